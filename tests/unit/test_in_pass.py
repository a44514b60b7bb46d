"""What is sealed in a pass: its key opens the bytes that were issued, and neither half alone is a face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from countenance.consent.gate import Granted
from countenance.errors import CountenanceError
from countenance.features import Probe, quantise
from countenance.flows import enrol, gallery, passes
from countenance.flows.venue import Venue
from countenance.formats import claim169, cose
from countenance.formats import passes as form
from countenance.formats.passes import Custody
from countenance.quantities import PassId, PurposeId, TemplateId, VenueId
from countenance.storage import schema
from countenance.vault import residue
from countenance.vault.keys import in_pass
from countenance.vault.keys.in_pass import Shown
from countenance.vault.keys.store import FACE, PASS, KeyRef, KeyStore, new_ref
from countenance.vault.residue import Needle
from countenance.vault.templates import Kept, Place, Stored
from support.keystore import BEN, everybody_lives, faces_of, held_by, made
from support.venue import KEYED, SEARCH, START, VERIFY, StubPack, enrolled, open_venue, rows_of, vector_of

DIGEST, OTHER = bytes([7]) * 32, bytes([8]) * 32
BLANK = form.Pass(PassId("1" * 32), VenueId("v"), "r", Custody.CARRIED, START, START)


@pytest.fixture(autouse=True)
def below_the_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are of the key store itself; who may use the keys of passes is tests/attacks."""
    monkeypatch.setattr(KeyStore, "_no_face", lambda *_: None)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def of(shown: Shown, **other: Any) -> Shown:
    """Return the same pass with another content."""
    return replace(shown, content=replace(shown.content, **other))


def opens(keys: KeyStore, ref: KeyRef, digest: bytes) -> bytes:
    return keys._with_pass(ref, digest, bytes)


# -- the key of a pass is bound to its bytes


def test_a_passs_key_opens_the_bytes_that_were_issued_and_no_others(venue: Venue) -> None:
    ref = made(venue.keys, kind=PASS)
    key = venue.keys._with_new_pass(ref, bytes)
    for before in (DIGEST, b"", bytes(32)):  # nothing was issued yet
        assert code_of(lambda digest=before: opens(venue.keys, ref, digest)) == "pass-unknown"
    venue.keys.bind(ref, DIGEST)
    assert opens(venue.keys, ref, DIGEST) == key
    for wrong in (OTHER, b"", DIGEST[:31], DIGEST + b"\0", bytes(32)):
        assert code_of(lambda digest=wrong: opens(venue.keys, ref, digest)) == "pass-unknown"


def test_a_pass_is_issued_once(venue: Venue) -> None:
    ref = made(venue.keys, kind=PASS)
    venue.keys.bind(ref, DIGEST)
    assert code_of(lambda: venue.keys.bind(ref, OTHER)) == "pass-bound"
    assert code_of(lambda: venue.keys._with_new_pass(ref, bytes)) == "pass-bound"
    assert opens(venue.keys, ref, DIGEST)


def test_only_a_passs_own_key_is_bound(venue: Venue) -> None:
    face, gone = made(venue.keys), made(venue.keys, kind=PASS)
    assert code_of(lambda: venue.keys.bind(face, DIGEST)) == "pass-bound"
    venue.keys.destroy([gone.key_id])
    assert code_of(lambda: venue.keys.bind(gone, DIGEST)) == "key-destroyed"
    ref = made(venue.keys, kind=PASS)
    for wrong in (replace(ref, person=BEN), replace(ref, purpose="entry.verify"), replace(ref, kind=FACE)):
        assert code_of(lambda wrong=wrong: venue.keys.bind(wrong, DIGEST)) == "key-altered"
        assert code_of(lambda wrong=wrong: opens(venue.keys, wrong, DIGEST)) == "key-altered"


def test_a_bound_key_stays_bound_through_a_rotation(venue: Venue) -> None:
    ref = made(venue.keys, kind=PASS)
    venue.keys.bind(ref, DIGEST)
    key = opens(venue.keys, ref, DIGEST)
    venue.keys.rotate(everybody_lives(venue))
    assert opens(venue.keys, ref, DIGEST) == key
    assert code_of(lambda: opens(venue.keys, ref, OTHER)) == "pass-unknown"


def test_binding_during_a_rotation_is_under_the_new_epoch(venue: Venue, folder: Path) -> None:
    ref = made(venue.keys, kind=PASS)
    living = everybody_lives(venue)

    def meanwhile() -> frozenset[str]:
        venue.keys.bind(ref, DIGEST)
        return living()

    venue.keys.rotate(meanwhile)
    assert {row[3] for row in rows_of(folder / "keys.db", "wrapped_key")} == {2}
    assert opens(venue.keys, ref, DIGEST)


def test_a_key_in_use_is_wiped_with_what_binds_it(venue: Venue) -> None:
    ref = made(venue.keys, kind=PASS)
    venue.keys.bind(ref, DIGEST)
    used: list[bytearray] = []
    venue.keys._with_pass(ref, DIGEST, lambda key: (used.append(key), b"")[1])
    assert used == [bytearray(32)]
    assert held_by(venue.keys, ref) == bytearray(64)
    needles = {needle.name: needle.secret for needle in venue.keys.needles(ref)}
    assert len(needles["key"]) == 32


@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_an_issued_pass_is_bound_to_its_text(venue: Venue, purpose: PurposeId) -> None:
    who = enrolled(venue, purpose=purpose)
    with venue.store.read() as unit:
        (key,) = unit.run(select(schema.issued_pass.c.pass_key)).scalars()
    ref = KeyRef(key, PASS, who.person, purpose)
    assert opens(venue.keys, ref, form.issued_digest(who.pass_text))
    assert opens(venue.keys, ref, form.issued_digest(who.pass_text + "\r\n"))  # a scanner's line end
    assert code_of(lambda: opens(venue.keys, ref, form.issued_digest(who.pass_text + " "))) == "pass-unknown"
    content = passes.read_here(venue, who.pass_text, START)
    signer = venue.signer("pass")
    assert form.write(content, signer.key, signer.kid) == who.pass_text  # the signature has one form
    assert {row[4] is None for row in rows_of(venue.folder / "countenance.db", "issued_pass")} == {False}


# -- what is sealed under it


def shown_at(venue: Venue, who: enrol.Enrolled) -> Shown:
    with venue.store.read() as unit:
        content = passes.read_here(venue, who.pass_text, unit.now)
        return passes.shown(venue, unit, who.pass_text, content)


def stored_of(venue: Venue, who: enrol.Enrolled) -> Stored:
    with venue.store.read() as unit:
        return gallery.stored_template(enrol.live_template(unit, who.person, who.purpose))


def codes_of(person: int) -> bytes:
    return quantise(vector_of(person), StubPack.step).tobytes()


def granted_to(venue: Venue, who: enrol.Enrolled) -> Granted:
    return venue.gate.verify(who.person, who.purpose)


@pytest.mark.promise(1)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_a_pass_and_its_key_are_the_persons_codes(venue: Venue, folder: Path, purpose: PurposeId) -> None:
    who = enrolled(venue, purpose=purpose)
    shown, stored = shown_at(venue, who), stored_of(venue, who)
    with venue.vault.open(granted_to(venue, who).permit, stored, shown) as reference:
        assert reference.codes.tobytes() == codes_of(1)
    assert (stored.sealed == b"") == (purpose == VERIFY)
    assert stored.face_key is None
    needle = Needle("codes", codes_of(1))
    assert residue.search(folder, [needle]) == []
    (folder / "planted").write_bytes(codes_of(1))
    assert [f.file.name for f in residue.search(folder, [needle])] == ["planted"]


@pytest.mark.promise(1)
def test_the_venue_alone_cannot_open_a_holder_keyed_template(venue: Venue, folder: Path) -> None:
    who = enrolled(venue, purpose=KEYED)
    shown, stored = shown_at(venue, who), stored_of(venue, who)
    secret = in_pass._opened(faces_of(venue.keys), shown)
    assert len(secret) == 32
    assert residue.search(folder, [Needle("holder key", secret)]) == []
    (folder / "planted").write_bytes(secret)
    assert [f.file.name for f in residue.search(folder, [Needle("holder key", secret)])] == ["planted"]
    granted = granted_to(venue, who)
    assert code_of(lambda: venue.vault.open(granted.permit, stored)) == "holder-key-missing"


@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_each_part_of_what_is_shown_must_be_right(venue: Venue, purpose: PurposeId) -> None:
    ada, ben = enrolled(venue, purpose=purpose), enrolled(venue, "ben", 2, purpose)
    shown, bens, stored = shown_at(venue, ada), shown_at(venue, ben), stored_of(venue, ada)
    wrong = {
        "pass-unknown": replace(shown, digest=bens.digest), "pass-altered": of(shown, secret=bens.content.secret),
        "pass-altered ": of(shown, pass_id=bens.content.pass_id), "pack-other": of(shown, pack=bytes(8)),
        "permit-scope": bens, "key-altered": replace(shown, key=replace(shown.key, key_id=bens.key.key_id)),
        "pass-malformed": of(shown, secret=b""), "holder-key-missing": None}
    for code, other in wrong.items():
        granted = granted_to(venue, ada)
        assert code_of(lambda o=other, g=granted: venue.vault.open(g.permit, stored, o)) == code.strip()
    with venue.vault.open(granted_to(venue, ada).permit, stored, shown) as reference:
        assert reference.codes.any()


def test_a_ciphertext_of_a_holder_opens_in_its_own_place_only(venue: Venue) -> None:
    ada = enrolled(venue, purpose=KEYED)
    shown, stored = shown_at(venue, ada), stored_of(venue, ada)
    moved = replace(stored, place=replace(stored.place, template_id=TemplateId("other")))
    granted = granted_to(venue, ada)
    assert code_of(lambda: venue.vault.open(granted.permit, moved, shown)) == "sealed-altered"
    flipped = replace(stored, sealed=stored.sealed[:-1] + bytes([stored.sealed[-1] ^ 1]))
    granted = granted_to(venue, ada)
    assert code_of(lambda: venue.vault.open(granted.permit, flipped, shown)) == "sealed-altered"


@pytest.mark.parametrize("inside", [b"", b"k" * 31, b"k" * 33, claim169.write(b"k" * 32)])
def test_a_secret_that_is_no_key_is_refused(venue: Venue, inside: bytes) -> None:
    ref = made(venue.keys, kind=PASS)
    secret = venue.keys._with_new_pass(ref, lambda key: cose.encrypt0(inside, key, BLANK.binding()))
    venue.keys.bind(ref, DIGEST)
    shown = Shown(ref, DIGEST, replace(BLANK, secret=secret))
    assert code_of(lambda: in_pass.open_for_holder(faces_of(venue.keys), shown, b"", b"")) == "pass-malformed"
    elsewhere = of(shown, pack=bytes(8))
    assert code_of(lambda: in_pass.open_for_holder(faces_of(venue.keys), elsewhere, b"", b"")) == "pass-altered"


@pytest.mark.parametrize("inside", [b"", b"\0" * 128, claim169.write(b"")[:-1], claim169.write(b"x") + b"\0"])
def test_a_secret_that_is_no_template_is_refused(venue: Venue, inside: bytes) -> None:
    ref = made(venue.keys, kind=PASS)
    secret = venue.keys._with_new_pass(ref, lambda key: cose.encrypt0(inside, key, BLANK.binding()))
    venue.keys.bind(ref, DIGEST)
    shown = Shown(ref, DIGEST, replace(BLANK, secret=secret))
    assert code_of(lambda: in_pass.carried(faces_of(venue.keys), shown)) == "pass-malformed"


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_once_the_key_is_destroyed_the_pass_opens_nothing(venue: Venue, purpose: PurposeId) -> None:
    who = enrolled(venue, purpose=purpose)
    shown, stored = shown_at(venue, who), stored_of(venue, who)
    venue.keys.destroy([shown.key.key_id])
    granted = granted_to(venue, who)
    assert code_of(lambda: venue.vault.open(granted.permit, stored, shown)) == "key-destroyed"
    assert code_of(lambda: shown_at(venue, who)) == "key-destroyed"


# -- custody at sealing


def sealing(venue: Venue, custody: Custody, kind: str) -> Kept:
    who = enrolled(venue)
    with venue.store.read() as unit:
        granted = venue.gate.enrol(unit, who.person, VERIFY)
    ref = new_ref(kind, who.person, VERIFY)
    place = Place(TemplateId("t"), who.person, VERIFY, StubPack.identity)
    probe = Probe(quantise(vector_of(1), StubPack.step), StubPack.identity, granted.permit, StubPack.step)
    with venue.keys.at_hand():
        venue.keys.make([ref])
        return venue.vault.seal(granted.permit, probe, place, custody, ref, b"bound")


@pytest.mark.parametrize(("custody", "kind", "sealed", "secret"), [
    (Custody.CARRIED, PASS, False, True), (Custody.HOLDER_KEYED, PASS, True, True),
    (Custody.VENUE_KEYED, FACE, True, False)])
def test_what_goes_where(venue: Venue, custody: Custody, kind: str, sealed: bool, secret: bool) -> None:
    kept = sealing(venue, custody, kind)
    assert (bool(kept.sealed), bool(kept.secret)) == (sealed, secret)
    assert codes_of(1) not in kept.sealed + kept.secret
    assert not any(name in repr(kept) for name in ("sealed=", "secret="))


@pytest.mark.parametrize(("custody", "kind"), [
    (Custody.CARRIED, FACE), (Custody.HOLDER_KEYED, FACE), (Custody.VENUE_KEYED, PASS), (Custody.PLAIN, FACE),
    (Custody.PLAIN, PASS), (Custody.CARRIED, "record"), (Custody.VENUE_KEYED, "record")])
def test_a_key_of_another_kind_seals_nothing(venue: Venue, custody: Custody, kind: str) -> None:
    assert code_of(lambda: sealing(venue, custody, kind)) == "custody-unknown"


def test_the_store_holds_no_ciphertext_of_a_carried_face_and_cannot(venue: Venue) -> None:
    enrolled(venue)
    enrolled(venue, "ben", 2, KEYED)
    enrolled(venue, "cem", 3, SEARCH)
    with venue.store.read() as unit:
        rows = unit.run(select(schema.template.c.custody, schema.template.c.sealed)).all()
    assert {row.custody: len(row.sealed) for row in rows} == {
        "carried": 0, "holder_keyed": 12 + 128 + 16, "venue_keyed": 12 + 128 + 16}
    for custody, sealed in (("carried", b"x"), ("holder_keyed", b""), ("venue_keyed", b"")):
        with pytest.raises(CountenanceError) as caught, venue.store.write() as unit:
            unit.run(schema.template.update().where(schema.template.c.custody == custody).values(sealed=sealed))
        assert caught.value.code == "store-fault"


def test_the_purpose_says_where_a_face_is_kept(folder: Path) -> None:
    with open_venue(folder) as venue:
        found = {purpose: passes.read_here(venue, enrolled(venue, "ada", 1, purpose).pass_text, START).custody
                 for purpose in (VERIFY, KEYED, SEARCH)}
    assert found == {VERIFY: Custody.CARRIED, KEYED: Custody.HOLDER_KEYED, SEARCH: Custody.VENUE_KEYED}
