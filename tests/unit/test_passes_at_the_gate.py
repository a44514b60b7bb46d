"""A pass where it is shown: which venue's, from when to when, and only what was issued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from countenance.clock import SetClock, end_of_day, parse_day
from countenance.errors import CountenanceError, Refused
from countenance.flows import admit, enrol, passes
from countenance.flows.venue import Venue
from countenance.formats import base45, cose
from countenance.formats import passes as form
from countenance.formats.passes import Custody
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import DAY, HOUR, Instant, PurposeId, VenueId
from countenance.storage import schema
from countenance.vault.keys import signing
from support.make_pass_vectors import CARRIED, KEY, KID, PLAIN, text_of
from support.venue import (
    KEYED,
    SEARCH,
    START,
    VERIFY,
    StubPack,
    comes_back,
    enrolled,
    make_venue,
    no_camera,
    open_venue,
    other_lane,
    picture,
    rows_of,
    state_of,
    write_tickets,
)

IN_PASS = [VERIFY, KEYED]


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


@pytest.mark.parametrize(("purpose", "custody"), [
    (VERIFY, Custody.CARRIED), (KEYED, Custody.HOLDER_KEYED), (SEARCH, Custody.VENUE_KEYED)])
def test_own_pass_is_read(venue: Venue, purpose: PurposeId, custody: Custody) -> None:
    text = enrolled(venue, purpose=purpose).pass_text
    content = passes.read_here(venue, text, START)
    assert (content.venue, content.reference, content.custody) == (venue.venue_id, "ada", custody)
    assert content.expires_at == end_of_day(parse_day("2029-12-31"))
    assert len(content.face_id) == 16
    assert content.pack == form.pack_hash(StubPack.identity)
    assert bool(content.secret) == (purpose != SEARCH)


@pytest.mark.promise(5)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_a_pass_names_no_person_and_its_venue_finds_them(venue: Venue, purpose: PurposeId) -> None:
    who = enrolled(venue, purpose=purpose)
    message = base45.decode(who.pass_text.removeprefix("CN1:"))
    assert who.person.encode() not in message
    assert bytes.fromhex(who.person) not in message
    with venue.store.read() as unit:
        assert passes.whose(unit, passes.read_here(venue, who.pass_text, START)) == who.person


def test_two_passes_of_one_person_have_nothing_random_in_common(venue: Venue) -> None:
    one, two = (passes.read_here(venue, enrolled(venue, "ada", 1, purpose).pass_text, START) for purpose in IN_PASS)
    assert one.face_id != two.face_id
    assert one.pass_id != two.pass_id


def test_a_pass_of_another_venue_is_refused_with_nothing_moved(venue: Venue, folder: Path, tmp_path: Path) -> None:
    with open_venue(make_venue(tmp_path / "park", name="Other Park")) as other:
        foreign = enrolled(other).pass_text
        assert comes_back(other, foreign).outcome is admit.Outcome.ADMIT
    enrolled(venue)
    before = state_of(folder)
    assert code_of(lambda: passes.read_here(venue, foreign, START)) == "pass-other-venue"
    assert code_of(lambda: admit.by_pass(venue, foreign, no_camera)) == "pass-other-venue"
    assert state_of(folder) == before


def test_the_right_signature_over_another_venues_name_is_refused(venue: Venue) -> None:
    signer = venue.signer("pass")
    text = form.write(replace(PLAIN, venue=VenueId("ffffffffffffffff")), signer.key, signer.kid)
    assert code_of(lambda: passes.read_here(venue, text, START)) == "pass-other-venue"


def test_a_pass_with_another_key_id_is_refused(venue: Venue) -> None:
    content = passes.read_here(venue, enrolled(venue).pass_text, START)
    text = form.write(content, venue.signer("pass").key, b"12345678")
    assert code_of(lambda: passes.read_here(venue, text, START)) == "pass-other-venue"


@pytest.mark.promise(7)
def test_what_a_retired_key_signed_is_good_in_neither_lane(venue: Venue, folder: Path) -> None:
    old, plain = enrolled(venue).pass_text, enrol.say_no(venue, "ben", lambda text: text)
    old_kid = cose.key_id(signing.verifier(folder / "signing", "pass"))
    new_kid = signing.renew(folder / "signing", "pass")
    assert new_kid != old_kid
    for text in (old, plain):
        assert code_of(lambda text=text: admit.by_pass(venue, text, no_camera)) == "pass-retired"
        assert code_of(lambda text=text: other_lane(venue, text)) == "pass-retired"
    new = enrolled(venue, "ben", 2).pass_text
    assert comes_back(venue, new, 2).outcome is admit.Outcome.ADMIT
    assert other_lane(venue, new) == "ben"
    forged = form.write(passes.read_here(venue, new, START), KEY, old_kid)  # the retired name, any signature
    assert code_of(lambda: other_lane(venue, forged)) == "pass-retired"


def test_expiry_is_to_the_second_and_the_future_is_refused(venue: Venue) -> None:
    content = passes.read_here(venue, enrolled(venue).pass_text, START)
    text = enrolled(venue, "ben", 2).pass_text
    last = Instant(content.expires_at - 1)
    assert passes.read_here(venue, text, last).reference == "ben"
    assert code_of(lambda: passes.read_here(venue, text, content.expires_at)) == "pass-expired"
    assert passes.read_here(venue, text, Instant(START - HOUR)).reference == "ben"
    assert code_of(lambda: passes.read_here(venue, text, Instant(START - HOUR - 1))) == "pass-from-future"


MINTED = {
    "longer": lambda content: replace(content, expires_at=Instant(content.expires_at + DAY)),
    "another ticket": lambda content: replace(content, reference="ben"),
    "earlier": lambda content: replace(content, issued_at=Instant(content.issued_at - 1)),
    "another face id": lambda content: replace(content, face_id=bytes(16)),
    "another pass id": lambda content: replace(content, pass_id="0" * 32),
    "another purpose": lambda content: replace(content, purpose=SEARCH),
    "another custody": lambda content: replace(
        content, custody=Custody.CARRIED if content.custody is Custody.HOLDER_KEYED else Custody.HOLDER_KEYED),
    "venue keyed": lambda content: replace(content, custody=Custody.VENUE_KEYED, secret=b""),
    "another secret": lambda content: replace(content, secret=CARRIED.secret),
    "another model": lambda content: replace(content, pack=bytes(8)),
}


@pytest.mark.promise(1)
@pytest.mark.parametrize("purpose", IN_PASS)
@pytest.mark.parametrize("how", MINTED)
def test_a_stolen_signing_key_mints_no_face(venue: Venue, folder: Path, how: str, purpose: PurposeId) -> None:
    text = enrolled(venue, purpose=purpose).pass_text
    signer = venue.signer("pass")
    minted = form.write(MINTED[how](passes.read_here(venue, text, START)), signer.key, signer.kid)
    assert minted != text
    assert passes.read_here(venue, minted, START)  # it verifies
    before = state_of(folder)
    assert code_of(lambda: admit.by_pass(venue, minted, no_camera)) == "pass-unknown"
    assert state_of(folder) == before
    assert comes_back(venue, text).outcome is admit.Outcome.ADMIT


@pytest.mark.parametrize("state", ["pending", "plain", "void"])
def test_a_pass_on_record_that_is_not_live_opens_no_face(venue: Venue, state: str) -> None:
    text = enrolled(venue).pass_text
    with venue.store.write() as unit:
        unit.run(update(schema.issued_pass).values(state=state))
    expected = "pass-void" if state == "void" else "pass-unknown"
    assert code_of(lambda: admit.by_pass(venue, text, no_camera)) == expected
    assert other_lane(venue, text) == "ada"


@pytest.mark.parametrize("spoil", [
    lambda text: text[:-3], lambda text: text[:40], lambda text: "", lambda text: text.replace("CN1:", "CN2:"),
    lambda text: text + "000", lambda text: text_of(base45.decode(text[4:])[:-1]),
], ids=["-3", "40", "nothing", "prefix", "more", "-1 byte"])
def test_spoiled_passes_are_refused_before_any_camera(
        venue: Venue, folder: Path, spoil: Callable[[str], str]) -> None:
    text = enrolled(venue).pass_text
    before = state_of(folder)
    assert code_of(lambda: admit.by_pass(venue, spoil(text), no_camera)) == "pass-malformed"
    assert state_of(folder) == before


@pytest.mark.promise(7)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_the_lane_without_faces_needs_a_public_key_and_a_list_only(
        venue: Venue, folder: Path, purpose: PurposeId) -> None:
    face, plain = enrolled(venue, purpose=purpose).pass_text, enrol.say_no(venue, "ben", lambda text: text)
    public, tickets = signing.verifiers(folder / "signing", "pass"), CsvEntitlement(folder / "tickets.csv")
    for name in ("countenance.db", "keys.db", "epoch.key", "gone.list", "root.key", "signing/pass.key"):
        (folder / name).unlink()
    assert passes.plain_lane(face, public, venue.venue_id, tickets, START).reference == "ada"
    assert passes.plain_lane(plain, public, venue.venue_id, tickets, START).reference == "ben"
    with pytest.raises(Refused) as caught:
        passes.plain_lane(plain, public, VenueId("0" * 16), tickets, START)
    assert caught.value.code == "pass-other-venue"


def test_saying_no_writes_nothing_and_says_when_to_ask_again(venue: Venue, folder: Path) -> None:
    before = state_of(folder)
    text = enrol.say_no(venue, "ada", lambda text: text)
    assert state_of(folder) == before
    content = passes.read_here(venue, text, START)
    assert content.ask_not_before == START + 48 * HOUR
    assert (content.custody, content.purpose, content.face_id, content.secret) == (Custody.PLAIN, "", b"", b"")
    assert code_of(lambda: admit.by_pass(venue, text, no_camera)) == "pass-plain"


@pytest.mark.parametrize(("days", "code"), [(0, None), (1, "ticket-expired")])
def test_the_ticket_is_asked_before_any_camera(folder: Path, clock: SetClock, days: int, code: str | None) -> None:
    with open_venue(folder, clock) as venue:
        text = enrolled(venue).pass_text
        write_tickets(folder, {"ada": parse_day("2026-06-21")})
        clock.move(days * DAY)
        if code is None:
            assert comes_back(venue, text).outcome is admit.Outcome.ADMIT
        else:
            assert code_of(lambda: admit.by_pass(venue, text, no_camera)) == code


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", IN_PASS)
def test_without_the_passs_key_nothing_is_shown_to_the_vault(venue: Venue, purpose: PurposeId) -> None:
    text = enrolled(venue, purpose=purpose).pass_text
    content = passes.read_here(venue, text, START)
    with venue.store.read() as unit:
        keys = unit.run(select(schema.issued_pass.c.pass_key)).scalars().all()
        assert [passes.shown(venue, unit, text, content).key.key_id] == keys
        venue.keys.destroy(keys)
        assert code_of(lambda: passes.shown(venue, unit, text, content)) == "key-destroyed"
    assert code_of(lambda: admit.by_pass(venue, text, no_camera)) == "key-destroyed"


def test_the_vectors_signer_is_not_a_venues(venue: Venue) -> None:
    assert cose.key_id(KEY.public_key()) == KID
    assert code_of(lambda: passes.read_here(venue, form.write(CARRIED, KEY, KID), START)) == "pass-other-venue"
    assert cose.peek_kid(base45.decode(form.write(CARRIED, KEY, KID)[4:]), "pass") == KID


# -- families


FAMILY = """person_ref,household,valid_until,language,contact
ada,house,2029-12-31,en,
ben,house,2029-12-31,en,
cem,house,2020-01-01,en,
dan,other,2029-12-31,en,
eve,,2029-12-31,en,
fay,,2029-12-31,en,
"""


@pytest.mark.parametrize(("reference", "together", "people"), [
    ("ada", True, 2), ("ada", False, 1), ("dan", True, 1), ("eve", True, 1)])
def test_one_scan_admits_the_good_tickets_of_a_household(
        venue: Venue, folder: Path, reference: str, together: bool, people: int) -> None:
    (folder / "tickets.csv").write_text(FAMILY, encoding="utf-8")
    who = enrolled(venue, reference)
    decision = admit.by_pass(venue, who.pass_text, picture(1, 9), admit.AtGate(together=together))
    assert (decision.outcome, decision.people) == (admit.Outcome.ADMIT, people)
    assert [row[3] for row in rows_of(folder / "countenance.db", "hourly_count")] == [people]
    referred = admit.by_pass(venue, who.pass_text, picture(2, 9), admit.AtGate(together=together))
    assert (referred.outcome, referred.people) == (admit.Outcome.REFER, 0)
    assert admit.at_gate(venue, lambda: admit.by_pass(venue, "CN1:", no_camera)).people == 0
