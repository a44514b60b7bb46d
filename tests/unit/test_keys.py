"""Keys: bound to owner, purpose and place; destroyed for good; rotated so that no older copy opens anything."""

from __future__ import annotations

import base64
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from countenance import settings
from countenance.clock import SetClock
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.flows import admit, enrol, gallery, pad, passes, rotate, withdraw
from countenance.flows.venue import Venue
from countenance.formats import canonical
from countenance.quantities import DAY, PersonId
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.vault import residue
from countenance.vault.keys import roots, signing
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.holder import HolderKey
from countenance.vault.keys.store import FACE, RECORD, KeyRef, KeyStore, new_ref
from countenance.vault.residue import Needle
from support.faults import AFTER, BEFORE, Crash, Faults
from support.venue import (
    SEARCH,
    START,
    comes_back,
    copy_of,
    count,
    enrolled,
    make_venue,
    open_venue,
    rows_of,
)

ADA, BEN = PersonId("a" * 32), PersonId("b" * 32)



@pytest.fixture(autouse=True)
def below_the_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are of the key store itself; who may use the keys of faces is tests/attacks 1.55 to 1.57."""
    monkeypatch.setattr(KeyStore, "_no_face", lambda *_: None)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def made(keys: KeyStore, person: PersonId = ADA, kind: str = FACE, purpose: str = "entry.search") -> KeyRef:
    ref = new_ref(kind, person, purpose)
    with keys.at_hand():
        keys.make([ref])
    return ref


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


def test_keys_at_hand_are_wiped_when_the_story_ends(venue: Venue) -> None:
    ref = new_ref(FACE, ADA, "x")
    held: list[bytearray] = []
    with venue.keys.at_hand():
        venue.keys.make([ref])
        venue.keys.with_key(ref, held.append)
        assert any(held[0])
    assert held[0] == bytearray(32)
    venue.keys.with_key(ref, held.append)
    assert held[1] == bytearray(32)  # and so is one that was unwrapped, once it was used


@pytest.mark.parametrize("where", ["inside", "another thread"])
def test_one_storys_end_does_not_wipe_anothers_keys(venue: Venue, where: str) -> None:
    ref = new_ref(FACE, ADA, "x")

    def story() -> None:
        with venue.keys.at_hand():
            venue.keys.make([new_ref(FACE, BEN, "x")])

    def meanwhile(key: bytearray) -> bytes:
        if where == "inside":
            story()
        else:
            thread = threading.Thread(target=story)
            thread.start()
            thread.join()
        return bytes(key)

    with venue.keys.at_hand():
        venue.keys.make([ref])
        assert venue.keys.with_key(ref, meanwhile) != bytes(32), "a template would be sealed under zeros"


# -- gone


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


# -- rotation


def test_a_rotation_rewraps_every_living_key_and_tells_the_log(
        venue: Venue, folder: Path, clock: SetClock) -> None:
    pad.pad(venue, SEARCH, 5)
    who = enrolled(venue)
    clock.move(3 * DAY)
    with venue.store.write() as unit:
        unit.set_mark("swept", unit.now)
    seen: list[tuple[int, int]] = []
    before = {row[0]: row[4] for row in rows_of(folder / "keys.db", "wrapped_key")}
    old_file = (folder / "epoch.key").read_bytes()
    assert rotate.rotate(venue, lambda done, total: seen.append((done, total))) == 2
    after = {row[0]: row for row in rows_of(folder / "keys.db", "wrapped_key")}
    assert seen == [(12, 12)]
    assert after.keys() == before.keys()
    assert {row[3] for row in after.values()} == {2}
    assert all(after[name][4] != before[name] for name in before)
    assert venue.keys.epoch == (2, START + 3 * DAY)
    assert (folder / "epoch.key").read_bytes() != old_file
    assert (folder / "epoch.key").stat().st_mode & 0o777 == 0o600
    assert not (folder / "epoch.key.new").exists()
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    clear = [canonical.decode(row[2], "event") for row in rows_of(folder / "countenance.db", "event") if row[2]]
    assert clear[-1] == {"type": "epoch", "at": START + 3 * DAY, "body": {"number": 2}}


def crashed_rotations() -> list[tuple[int, str]]:
    return [(at, when) for at in range(1, 9) for when in (BEFORE, AFTER)]


@pytest.mark.parametrize(("at", "when"), crashed_rotations())
def test_a_rotation_is_rolled_forward_wherever_it_stopped(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    with open_venue(folder) as venue:
        who = enrolled(venue)
        pad.pad(venue, SEARCH, 3)
        old = venue.keys._epoch.key.hex()
        faults = Faults(at, when, dies=True)
        with faults.armed(monkeypatch), pytest.raises(Crash):
            rotate.rotate(venue)
        assert faults.seen[:8] == ["commit keys.db", "replace", "commit keys.db", "commit keys.db", "empty",
                                   "commit keys.db", "replace", "commit countenance.db"][: len(faults.seen)]
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        begun = (at, when) != (2, BEFORE)  # the first commit ends after the file was replaced inside it
        assert venue.keys.epoch[0] == (2 if begun else 1)
        assert {row[3] for row in rows_of(left / "keys.db", "wrapped_key")} == {venue.keys.epoch[0]}
        assert len(EpochFile(left / "epoch.key", roots.open_root("file:root.key", left)).read()) == 1
        assert (venue.keys._epoch.key.hex() != old) == begun
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
        assert len(venue.galleries.exact(SEARCH).owners) == 3


@pytest.mark.promise(2)
def test_after_a_rotation_root_old_copies_and_todays_disk_open_nothing(
        folder: Path, tmp_path: Path, clock: SetClock) -> None:
    """The attacker has the root key, yesterday's copies of both stores, and today's disk (epoch.key: no copy)."""
    with open_venue(folder, clock) as venue:
        held = enrolled(venue)                              # holder keyed; the attacker found the pass too
        kept = enrolled(venue, "ben", 2, SEARCH)            # venue keyed
        yesterday = copy_of(folder, tmp_path / "yesterday")
        face = face_key(venue, kept.person)
        needles = venue.keys.needles(face)
        withdraw.withdraw(venue, held.person, held.purpose)
        withdraw.withdraw(venue, kept.person, SEARCH)
    stolen = attackers_folder(folder, yesterday, tmp_path / "before rotation")
    with open_venue(stolen, clock) as theirs:               # without a rotation the old copies do open
        assert open_old(theirs, kept.person, held.pass_text) == ["opened", "opened"]
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
    stolen = attackers_folder(folder, yesterday, tmp_path / "after rotation")
    (stolen / "epoch.key.today").write_bytes((folder / "epoch.key").read_bytes())
    with open_venue(stolen, clock) as theirs:
        assert open_old(theirs, kept.person, held.pass_text) == ["key-altered", "key-altered"]
    assert residue.search(folder, needles) == []


def attackers_folder(today: Path, yesterday: Path, to: Path) -> Path:
    stolen = copy_of(today, to)
    for name in ("countenance.db", "keys.db"):
        for end in ("", "-wal"):
            (stolen / (name + end)).unlink(missing_ok=True)
            if (yesterday / (name + end)).exists():
                shutil.copy2(yesterday / (name + end), stolen / (name + end))
    return stolen


def open_old(theirs: Venue, person: PersonId, pass_text: str) -> list[str]:
    """Try both withdrawn faces, with the program's own code and no gate in the way."""
    answers = []
    with theirs.store.read() as unit:
        row = enrol.live_template(unit, person, SEARCH)
    stored = gallery.stored_template(row)
    for attempt in (
        lambda: theirs.keys.open(face_key(theirs, person), stored.place.label(), stored.sealed),
        lambda: from_pass(theirs, pass_text),
    ):
        try:
            assert attempt()
            answers.append("opened")
        except CountenanceError as error:
            answers.append(error.code)
    return answers


def from_pass(theirs: Venue, pass_text: str) -> bytearray:
    content = passes.read_here(theirs, pass_text, START)
    with theirs.store.read() as unit:
        holder = passes.holder_key(theirs, unit, content)
        stored = gallery.stored_template(enrol.live_template(unit, content.person, content.purpose))
    return holder.open(stored.place.label(), stored.place.person, stored.place.purpose, stored.sealed)


def test_faces_open_while_a_rotation_is_under_way(venue: Venue) -> None:
    ref = made(venue.keys)
    sealed = venue.keys.seal(ref, "x", b"a face")
    opened: list[bytes] = []
    venue.keys.rotate(lambda _done, _all: opened.append(bytes(venue.keys.open(ref, "x", sealed))))
    assert opened == [b"a face"]


def test_a_key_made_during_a_rotation_lives(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[KeyRef] = []
    empty_wal = engines.empty_wal

    def another_thread_enrols(engine: Any) -> None:
        if not late:
            late.append(made(venue.keys))
        empty_wal(engine)

    monkeypatch.setattr(engines, "empty_wal", another_thread_enrols)
    venue.keys.rotate()
    assert len(venue.keys.needles(late[0])) == 2


# -- the root, and the third place


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
    for name in ("root.key", "epoch.key", *(f"signing/{use}.key" for use in signing.USES)):
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


@pytest.mark.parametrize("spec", ["", "file:", "env:", "file", "pkcs11:token", "http://x", ":x"])
def test_a_root_of_no_known_kind_is_refused(tmp_path: Path, spec: str) -> None:
    with pytest.raises(BadInput) as caught:
        roots.open_root(spec, tmp_path)
    assert caught.value.code == "root-spec"


@pytest.mark.parametrize("spoil", [
    lambda data: b"", lambda data: data[:-1], lambda data: data + b"\0", lambda data: b"\xa0",
    lambda data: canonical.encode({"format": "countenance/epoch/1", "epochs": []}),
    lambda data: canonical.encode({"format": "countenance/epoch/1", "epochs": [[1, 2]]}),
    lambda data: canonical.encode({"format": "countenance/epoch/1", "epochs": ["abc"]}),
    lambda data: canonical.encode({**canonical.decode(data, "x"), "format": "countenance/epoch/2"}),
    lambda data: canonical.encode({**canonical.decode(data, "x"), "more": 1}),
    lambda data: canonical.encode({"format": "countenance/epoch/1",
                                   "epochs": canonical.decode(data, "x")["epochs"] * 3}),
], ids=["nothing", "cut", "trailing", "no map", "none", "short row", "text row", "format", "more", "three"])
def test_a_damaged_epoch_file_closes_the_face_lane(folder: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = folder / "epoch.key"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == "epoch-malformed"


def test_an_epoch_that_calls_itself_another_does_not_open(folder: Path) -> None:
    path = folder / "epoch.key"
    value = canonical.decode(path.read_bytes(), "x")
    value["epochs"][0][0] = 2
    path.write_bytes(canonical.encode(value))
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == "root-wrong"


# -- holder keys


def test_a_holders_key_opens_its_own_template_only(venue: Venue) -> None:
    one, two = HolderKey.make(), HolderKey.make()
    sealed = one.seal("template", ADA, "entry.verify", b"a face")
    assert one.open("template", ADA, "entry.verify", sealed) == b"a face"
    for act in (lambda: two.open("template", ADA, "entry.verify", sealed),
                lambda: one.open("template", BEN, "entry.verify", sealed),
                lambda: one.open("template", ADA, "entry.search", sealed),
                lambda: one.open("other", ADA, "entry.verify", sealed)):
        assert code_of(act) == "sealed-altered"
    one.wipe()
    assert code_of(lambda: one.open("template", ADA, "entry.verify", sealed)) == "sealed-altered"


@pytest.mark.promise(1)
def test_the_venue_alone_cannot_open_a_holder_keyed_template(venue: Venue, folder: Path) -> None:
    who = enrolled(venue)
    content = passes.read_here(venue, who.pass_text, START)
    with venue.store.read() as unit:
        holder = passes.holder_key(venue, unit, content)
        row = enrol.live_template(unit, who.person, who.purpose)
    assert row.face_key is None
    secret = bytes(holder._key)
    assert residue.search(folder, [Needle("holder key", secret)]) == []
    (folder / "planted").write_bytes(secret)
    assert [f.file.name for f in residue.search(folder, [Needle("holder key", secret)])] == ["planted"]
    granted = venue.gate.verify(who.person, who.purpose)
    assert code_of(lambda: venue.vault.open(
        granted.permit, gallery.stored_template(row))) == "holder-key-missing"


def test_a_pass_secret_that_is_no_key_is_refused(venue: Venue) -> None:
    ref = made(venue.keys, kind="pass")
    short = HolderKey(bytearray(31))
    secret = short.into_pass(venue.keys, ref, b"bound")
    assert code_of(lambda: HolderKey.from_pass(venue.keys, ref, secret, b"bound")) == "pass-malformed"
    assert code_of(lambda: HolderKey.from_pass(venue.keys, ref, secret, b"elsewhere")) == "pass-altered"


def test_a_closed_venue_holds_no_epoch_key(folder: Path) -> None:
    with open_venue(folder) as venue:
        key = venue.keys._epoch.key
        assert any(key)
    assert key == bytearray(32)


def test_counts_are_of_rows(venue: Venue, folder: Path) -> None:
    enrolled(venue)
    assert venue.keys.count() == count(folder, "wrapped_key") == 2


def test_a_key_kept_open_is_wiped_at_the_end_and_stays_at_hand_where_it_was(venue: Venue) -> None:
    old, fresh = made(venue.keys), new_ref(FACE, BEN, "x")
    held: list[bytearray] = []
    with venue.keys.kept_open(old):
        venue.keys.with_key(old, held.append)
        venue.keys.with_key(old, held.append)
        assert held[0] is held[1]
        assert any(held[0])
    assert not any(held[0])
    with venue.keys.at_hand():
        venue.keys.make([fresh])
        with venue.keys.kept_open(fresh):
            venue.keys.with_key(fresh, held.append)
        assert any(held[2])
    assert not any(held[2]), "left in memory"
