"""A pass where it is shown: which venue's, from when to when, and only what was issued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from countenance.clock import SetClock, end_of_day, parse_day
from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.flows import admit, enrol, passes
from countenance.flows.venue import Venue
from countenance.formats import base45, cose
from countenance.formats import passes as form
from countenance.formats.passes import Custody
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import DAY, HOUR, Instant, VenueId
from countenance.vault.keys import signing
from support.make_pass_vectors import KEY, KID, PLAIN, SEALED, text_of
from support.venue import START, comes_back, enrolled, make_venue, no_camera, open_venue, state_of, write_tickets


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def test_own_pass_is_read(venue: Venue) -> None:
    text = enrolled(venue).pass_text
    content = passes.read_here(venue, text, START)
    assert (content.venue, content.reference, content.custody) == (venue.venue_id, "ada", Custody.HOLDER_KEYED)
    assert content.expires_at == end_of_day(parse_day("2029-12-31"))
    assert len(content.face_id) == 16


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


def test_expiry_is_to_the_second_and_the_future_is_refused(venue: Venue) -> None:
    content = passes.read_here(venue, enrolled(venue).pass_text, START)
    text = enrolled(venue, "ben", 2).pass_text
    last = Instant(content.expires_at - 1)
    assert passes.read_here(venue, text, last).reference == "ben"
    assert code_of(lambda: passes.read_here(venue, text, content.expires_at)) == "pass-expired"
    assert passes.read_here(venue, text, Instant(START - HOUR)).reference == "ben"
    assert code_of(lambda: passes.read_here(venue, text, Instant(START - HOUR - 1))) == "pass-from-future"


@pytest.mark.promise(1)
def test_a_stolen_signing_key_mints_no_face(venue: Venue, folder: Path) -> None:
    text = enrolled(venue).pass_text
    content = passes.read_here(venue, text, START)
    signer = venue.signer("pass")
    longer = form.write(replace(content, expires_at=Instant(content.expires_at + DAY)), signer.key, signer.kid)
    assert passes.read_here(venue, longer, START).person == content.person  # it verifies
    before = state_of(folder)
    assert code_of(lambda: admit.by_pass(venue, longer, no_camera)) == "pass-unknown"
    assert state_of(folder) == before
    assert comes_back(venue, text).outcome is admit.Outcome.ADMIT


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
def test_the_lane_without_faces_needs_a_public_key_and_a_list_only(venue: Venue, folder: Path) -> None:
    face, plain = enrolled(venue).pass_text, enrol.say_no(venue, "ben", lambda text: text)
    public, tickets = signing.verifier(folder / "signing", "pass"), CsvEntitlement(folder / "tickets.csv")
    for name in ("countenance.db", "keys.db", "epoch.key", "root.key", "signing/pass.key"):
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
    assert (content.custody, content.person, content.secret) == (Custody.PLAIN, "", b"")
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


@pytest.mark.parametrize(("how", "error"), [("destroyed", StoreFault), ("other", BadInput)])
def test_the_holders_key_comes_out_under_its_own_pass_only(venue: Venue, how: str, error: type[Exception]) -> None:
    first = passes.read_here(venue, enrolled(venue).pass_text, START)
    second = passes.read_here(venue, enrolled(venue, "ben", 2).pass_text, START)
    with venue.store.read() as unit:
        passes.holder_key(venue, unit, first).wipe()
    if how == "destroyed":
        with venue.store.read() as unit:
            venue.keys.destroy([row.pass_key for row in unit.run(_pass_keys())])
        content = first
    else:
        content = replace(first, secret=second.secret)
    with venue.store.read() as unit, pytest.raises(error):
        passes.holder_key(venue, unit, content)


def _pass_keys() -> object:
    from sqlalchemy import select

    from countenance.storage import schema

    return select(schema.issued_pass.c.pass_key)


def test_the_vectors_signer_is_not_a_venues(venue: Venue) -> None:
    assert signing.key_id(KEY.public_key()) == KID
    assert code_of(lambda: passes.read_here(venue, form.write(SEALED, KEY, KID), START)) == "pass-other-venue"
    assert cose.peek_kid(base45.decode(form.write(SEALED, KEY, KID)[4:]), "pass") == KID
