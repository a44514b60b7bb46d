"""Keys: bound to owner, purpose and place; destroyed for good; opened with the right root only."""

from __future__ import annotations

import base64
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from countenance import settings
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.flows import admit, withdraw
from countenance.flows.venue import Venue
from countenance.formats import canonical
from countenance.quantities import PersonId
from countenance.storage import schema
from countenance.vault import residue
from countenance.vault.keys import roots, sealing, signing
from countenance.vault.keys.sealing import Wrapping
from countenance.vault.keys.store import FACE, PASS, RECORD, KeyRef, KeyStore, new_ref
from countenance.vault.residue import Needle
from support.keystore import ADA, BEN, held_by, made
from support.venue import SEARCH, comes_back, count, enrolled, make_venue, open_venue, rows_of


@pytest.fixture(autouse=True)
def below_the_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are of the key store itself; who may use the keys of faces is tests/attacks 1.55 to 1.57."""
    monkeypatch.setattr(KeyStore, "_no_face", lambda *_: None)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def alter(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "keys.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount >= 1


# -- wrapping, and rows put elsewhere


def test_a_sealed_thing_opens_under_its_own_name_only(venue: Venue) -> None:
    ref, other = made(venue.keys), made(venue.keys, BEN)
    sealed = venue.keys.seal(ref, "template/1", b"a face")
    assert venue.keys.open(ref, "template/1", sealed) == b"a face"
    assert b"a face" not in sealed
    assert code_of(lambda: venue.keys.open(ref, "template/2", sealed)) == "sealed-altered"
    assert code_of(lambda: venue.keys.open(other, "template/1", sealed)) == "sealed-altered"
    for wrong in (replace(ref, person=BEN), replace(ref, purpose="entry.verify"), replace(ref, kind=RECORD)):
        assert code_of(lambda wrong=wrong: venue.keys.open(wrong, "template/1", sealed)) == "key-altered"
    assert code_of(lambda: venue.keys.open(new_ref(FACE, ADA, "entry.search"), "x", sealed)) == "key-destroyed"


@pytest.mark.parametrize("cut", [0, 5, 12, 20, -1])
def test_a_sealed_thing_that_is_cut_or_flipped_does_not_open(venue: Venue, cut: int) -> None:
    ref = made(venue.keys)
    sealed = venue.keys.seal(ref, "x", b"a face")
    assert code_of(lambda: venue.keys.open(ref, "x", sealed[:cut])) == "sealed-altered"
    flipped = bytearray(sealed)
    flipped[cut] ^= 1
    assert code_of(lambda: venue.keys.open(ref, "x", bytes(flipped))) == "sealed-altered"


@pytest.mark.parametrize("columns", [
    ("wrapped",), ("binding",), ("wrapped", "binding"), ("wrapped", "binding", "kind", "epoch")])
def test_swapped_rows_of_the_key_store_open_nothing(venue: Venue, folder: Path, columns: tuple[str, ...]) -> None:
    one, two = made(venue.keys), made(venue.keys, BEN)
    sealed = {ref.key_id: venue.keys.seal(ref, "x", b"a face") for ref in (one, two)}
    rows = {row[0]: row for row in rows_of(folder / "keys.db", "wrapped_key")}
    place = {"kind": 1, "binding": 2, "epoch": 3, "wrapped": 4}
    for ref, other in ((one, two), (two, one)):
        for column in columns:
            alter(folder, f"UPDATE wrapped_key SET {column} = ? WHERE key_id = ?",  # noqa: S608
                  rows[other.key_id][place[column]], ref.key_id)
    for ref in (one, two):
        assert code_of(lambda ref=ref: venue.keys.open(ref, "x", sealed[ref.key_id])) == "key-altered"
        items = [(ref, "x", sealed[ref.key_id])]
        assert code_of(lambda items=items: list(venue.keys.open_many(items))) == "key-altered"


def test_swapped_key_ids_open_nothing(venue: Venue, folder: Path) -> None:
    one, two = made(venue.keys), made(venue.keys, ADA)  # same owner, purpose and kind: only the id differs
    sealed = venue.keys.seal(one, "x", b"a face")
    for old, new in ((one.key_id, "t"), (two.key_id, one.key_id), ("t", two.key_id)):
        alter(folder, "UPDATE wrapped_key SET key_id = ? WHERE key_id = ?", new, old)
    assert code_of(lambda: venue.keys.open(one, "x", sealed)) == "key-altered"


def test_keys_are_random_and_named_at_random(venue: Venue, folder: Path) -> None:
    refs = [new_ref(FACE, ADA, "entry.search") for _ in range(50)]
    with venue.keys.at_hand():
        venue.keys.make(refs)
    keys = [venue.keys.needles(ref)[0].secret for ref in refs]
    assert len(set(keys)) == len({ref.key_id for ref in refs}) == 50
    assert {len(key) for key in keys} == {32}
    assert b"a" * 32 not in (folder / "keys.db").read_bytes()  # the key store names nobody


def test_making_keys_is_all_or_none(venue: Venue) -> None:
    old, before = made(venue.keys), venue.keys.count()
    with venue.keys.at_hand():
        assert code_of(lambda: venue.keys.make([new_ref(FACE, ADA, "x"), old])) == "store-fault"
    assert venue.keys.count() == before


def test_many_open_as_one_by_one(venue: Venue) -> None:
    refs = [made(venue.keys) for _ in range(5)]
    items = [(ref, "x", venue.keys.seal(ref, "x", bytes([n]))) for n, ref in enumerate(refs)]
    assert [bytes(plain) for plain in venue.keys.open_many(items)] == [bytes([n]) for n in range(5)]
    venue.keys.destroy([refs[3].key_id])
    assert [plain is None for plain in venue.keys.open_many(items)] == [n == 3 for n in range(5)]


@pytest.mark.parametrize("number", [1, 23, 24, 255, 256, 70_000])
def test_what_a_wrapped_key_is_bound_to_is_canonical(number: int) -> None:
    """The key store spells it by hand, for speed; docs/formats/template.md says what it spells."""
    wrapping, epoch_key = Wrapping(number, bytes(32)), bytes(32)
    wrapped = wrapping.wrap("ab" * 16, b"b" * 32, b"k" * 32)
    bound = canonical.encode(["countenance/wrapped/1", number, "ab" * 16, b"b" * 32])
    assert sealing.open_sealed(epoch_key, bound, wrapped) == b"k" * 32
    assert wrapping.unwrap("ab" * 16, b"b" * 32, wrapped) == b"k" * 32
    other = Wrapping(number + 1, bytes(32))
    for wrong, key_id, binding in ((other, "ab" * 16, b"b" * 32), (wrapping, "ba" * 16, b"b" * 32),
                                   (wrapping, "ab" * 16, b"B" * 32), (wrapping, "ab" * 15, b"b" * 32),
                                   (wrapping, "ab" * 16, b"b" * 31), (wrapping, "", b"")):
        assert code_of(lambda w=wrong, k=key_id, b=binding: w.unwrap(k, b, wrapped)) == "key-altered"
    assert other.unwrap("ab" * 16, b"b" * 32, wrapping.rewrap(other, "ab" * 16, b"b" * 32, wrapped)) == b"k" * 32


@pytest.mark.promise(1)
@pytest.mark.parametrize("kind", [FACE, PASS])
def test_the_keys_of_faces_and_passes_are_the_vaults(
        venue: Venue, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    ref = made(venue.keys, kind=kind)
    sealed = venue.keys.seal(ref, "x", b"a face")
    monkeypatch.undo()
    for act in (lambda: venue.keys.seal(ref, "x", b""), lambda: venue.keys.open(ref, "x", sealed),
                lambda: venue.keys.needles(ref), lambda: list(venue.keys.open_many([(ref, "x", sealed)])),
                lambda: venue.keys.kept_open(ref).__enter__()):
        assert code_of(act) == "key-face"


def test_every_key_is_checked_and_counted_by_kind(venue: Venue, folder: Path) -> None:
    face, one = made(venue.keys), made(venue.keys, kind=PASS)
    record = made(venue.keys, kind=RECORD, purpose="")
    assert venue.keys.check() == venue.keys.count() == 3
    assert venue.keys.ids() == {face.key_id, one.key_id, record.key_id}
    assert venue.keys.ids(FACE, PASS) == {face.key_id, one.key_id}
    assert venue.keys.ids(RECORD) == {record.key_id}
    alter(folder, "UPDATE wrapped_key SET binding = ? WHERE key_id = ?", b"?" * 32, record.key_id)
    assert code_of(venue.keys.check) == "key-altered"


def test_keys_at_hand_are_wiped_when_the_story_ends(venue: Venue) -> None:
    ref = new_ref(FACE, ADA, "x")
    with venue.keys.at_hand():
        venue.keys.make([ref])
        held = held_by(venue.keys, ref)
        assert any(held)
    assert held == bytearray(32)
    assert held_by(venue.keys, ref) == bytearray(32)  # and so is one that was unwrapped, once it was used


@pytest.mark.parametrize("where", ["inside", "another thread"])
def test_one_storys_end_does_not_wipe_anothers_keys(venue: Venue, where: str) -> None:
    ref = new_ref(FACE, ADA, "x")

    def story() -> None:
        with venue.keys.at_hand():
            venue.keys.make([new_ref(FACE, BEN, "x")])

    with venue.keys.at_hand():
        venue.keys.make([ref])
        with venue.keys._opened(ref) as key:
            if where == "inside":
                story()
            else:
                thread = threading.Thread(target=story)
                thread.start()
                thread.join()
            assert bytes(key) != bytes(32), "a template would be sealed under zeros"


# -- destroyed


def plant(folder: Path, needle: Needle, how: str) -> Path:
    spelled = {"raw": lambda s: s, "hex": lambda s: s.hex().encode(), "HEX": lambda s: s.hex().upper().encode(),
               "base64+0": lambda s: base64.b64encode(s), "base64+1": lambda s: base64.b64encode(b"?" + s),
               "base64+2": lambda s: base64.b64encode(b"??" + s + b"more"),
               "urlsafe": lambda s: base64.urlsafe_b64encode(b"?" + s)}[how](needle.secret)
    path = folder / "signing" / "planted"
    path.write_bytes(b"x" * ((1 << 20) - 10) + spelled + b"y" * 100)  # across the border of two windows
    return path


@pytest.mark.promise(2)
@pytest.mark.parametrize("how", ["raw", "hex", "HEX", "base64+0", "base64+1", "base64+2", "urlsafe"])
def test_a_destroyed_key_is_in_no_file_plain_or_wrapped(venue: Venue, folder: Path, how: str) -> None:
    ref = made(venue.keys)
    needles = venue.keys.needles(ref)
    for needle in needles:
        path = plant(folder, needle, how)
        found = [f for f in residue.search(folder, [needle]) if f.file == path.relative_to(folder)]
        assert [(f.name, f.spelling) for f in found][:1] == [(needle.name, how.rstrip("+012").lower().replace(
            "urlsafe", "base64"))]
        path.unlink()
    assert [str(f.file) for f in residue.search(folder, needles)] == ["keys.db-wal"]  # wrapped, alive
    venue.keys.destroy([ref.key_id])
    assert residue.search(folder, needles) == []
    assert (folder / "keys.db-wal").stat().st_size == 0
    assert code_of(lambda: venue.keys.needles(ref)) == "key-destroyed"
    venue.keys.destroy([ref.key_id])  # again is fine


def test_a_needle_too_short_is_not_searched_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        residue.search(tmp_path, [Needle("short", b"x" * 15)])
    assert "k" * 16 not in repr(Needle("key", b"k" * 16))


@pytest.mark.promise(2)
def test_withdrawing_leaves_no_key_in_any_file(venue: Venue, folder: Path) -> None:
    who = enrolled(venue, purpose=SEARCH)
    ref = face_key(venue, who.person)
    needles = venue.keys.needles(ref)
    assert "keys.db" in {f.file.name.removesuffix("-wal") for f in residue.search(folder, needles)}
    withdraw.withdraw(venue, who.person, SEARCH)
    assert residue.search(folder, needles) == []


def face_key(venue: Venue, person: PersonId) -> KeyRef:
    with venue.store.read() as unit:
        row = unit.run(select(schema.template).where(schema.template.c.person_id == person)).one()
    return KeyRef(row.face_key, FACE, person, row.purpose_id)


# -- the root


def test_a_wrong_root_opens_nothing(folder: Path) -> None:
    (folder / "root.key").write_bytes(bytes(32))
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == "root-wrong"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_root_that_others_may_touch_is_refused(folder: Path, mode: int) -> None:
    (folder / "root.key").chmod(mode)
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == "root-open"


def test_secrets_are_made_for_their_owner_only(folder: Path) -> None:
    for name in ("root.key", "epoch.key", "gone.list", "lock", *(f"signing/{use}.key" for use in signing.USES)):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    assert (folder / "signing").stat().st_mode & 0o777 == 0o700


def test_a_root_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_ROOT", "07" * 32)
    folder = make_venue(tmp_path / "zoo", root="env:ZOO_ROOT")
    assert not (folder / "root.key").exists()
    assert settings.load(folder).root == "env:ZOO_ROOT"
    assert residue.search(folder, [Needle("root", b"\7" * 32)]) == []
    with open_venue(folder) as venue:
        who = enrolled(venue)
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    for value, code in (("08" * 32, "root-wrong"), ("07" * 31, "root-wrong"), ("zz", "root-missing")):
        monkeypatch.setenv("ZOO_ROOT", value)
        with pytest.raises(StoreFault) as caught, open_venue(folder):
            pass
        assert caught.value.code == code
    monkeypatch.delenv("ZOO_ROOT")
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == "root-missing"


@pytest.mark.parametrize("spec", ["", "file:", "env:", "file", "pkcs11:", "http://x", ":x"])
def test_a_root_of_no_known_kind_is_refused(tmp_path: Path, spec: str) -> None:
    with pytest.raises(BadInput) as caught:
        roots.open_root(spec, tmp_path)
    assert caught.value.code == "root-spec"


def test_a_closed_venue_holds_no_epoch_key(folder: Path) -> None:
    with open_venue(folder) as venue:
        key = venue.keys._known[1].key
        assert any(key)
    assert key == bytearray(32)


def test_counts_are_of_rows(venue: Venue, folder: Path) -> None:
    enrolled(venue)
    assert venue.keys.count() == count(folder, "wrapped_key") == 2


def test_a_key_kept_open_is_wiped_at_the_end_and_stays_at_hand_where_it_was(venue: Venue) -> None:
    old, fresh = made(venue.keys), new_ref(FACE, BEN, "x")
    with venue.keys.kept_open(old):
        held = held_by(venue.keys, old)
        assert held is held_by(venue.keys, old)
        assert any(held)
    assert not any(held)
    with venue.keys.at_hand():
        venue.keys.make([fresh])
        with venue.keys.kept_open(fresh):
            kept = held_by(venue.keys, fresh)
        assert any(kept)
    assert not any(kept), "left in memory"
