"""Revocation lists and leases: what a gate with a copy may do, and what a withdrawal can promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from countenance.clock import SetClock
from countenance.errors import CountenanceError
from countenance.flows import admit, enrol, passes, replace, revocations, sweep, withdraw
from countenance.flows.admit import AtGate, Outcome
from countenance.flows.found import LIST, SIGNING
from countenance.flows.venue import Venue
from countenance.quantities import DAY, MINUTE
from countenance.vault.keys import signing
from support.venue import (
    KEYED,
    SEARCH,
    START,
    VERIFY,
    as_written,
    enrolled,
    make_venue,
    no_camera,
    open_venue,
    picture,
    state_of,
)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def at(venue: Venue, text: str) -> AtGate:
    return AtGate(revoked=revocations.read(venue, text))


def plain(venue: Venue, text: str, lists: str | None = None) -> str:
    keys = signing.verifiers(venue.folder / SIGNING, "pass")
    copy = None if lists is None else revocations.read(venue, lists)
    return passes.plain_lane(text, keys, venue.venue_id, venue.entitlement, venue.clock.now(), copy).reference


def test_a_gate_with_a_fresh_list_admits(venue: Venue) -> None:
    who = enrolled(venue)
    gate = at(venue, revocations.publish(venue, "north").text)
    assert admit.by_pass(venue, who.pass_text, picture(1, 9), gate).outcome is Outcome.ADMIT


@pytest.mark.promise(7)
def test_a_list_that_is_too_old_closes_the_lane_for_faces_only(venue: Venue, clock: SetClock, folder: Path) -> None:
    who, text = enrolled(venue), revocations.publish(venue, "north").text
    clock.move(60 * MINUTE)
    before = state_of(folder)
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera, at(venue, text))) == "list-stale"
    assert state_of(folder) == before
    assert plain(venue, who.pass_text, text) == "ada"


def test_a_list_from_the_future_is_not_fresh(venue: Venue, folder: Path) -> None:
    later = SetClock(START)
    later.move(2 * MINUTE)
    with open_venue(folder, later) as ahead:
        text = revocations.publish(ahead, "north").text
    content = revocations.read(venue, text)
    assert code_of(lambda: revocations.require_fresh(content, START)) == "list-stale"


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_a_withdrawn_face_is_on_the_next_list_and_the_pass_goes_on(venue: Venue, purpose: str) -> None:
    who, ben = enrolled(venue, purpose=purpose), enrolled(venue, "ben", 2, purpose)  # type: ignore[arg-type]  # a purpose
    withdraw.withdraw(venue, who.person, who.purpose)
    text = revocations.publish(venue, "north").text
    content, now = revocations.read(venue, text), venue.clock.now()
    hers, his = (passes.read_here(venue, one.pass_text, now) for one in (who, ben))
    assert code_of(lambda: revocations.require_unrevoked(content, hers, now)) == "face-revoked"
    revocations.require_unrevoked(content, his, now)
    assert plain(venue, who.pass_text, text) == "ada"
    assert admit.by_pass(venue, ben.pass_text, picture(2, 9), at(venue, text)).outcome is Outcome.ADMIT


@pytest.mark.promise(2)
def test_a_withdrawal_waits_for_gates_that_may_not_know(venue: Venue, clock: SetClock) -> None:
    who, ben, cem = enrolled(venue), enrolled(venue, "ben", 2), enrolled(venue, "cem", 3)
    revocations.publish(venue, "north")
    clock.move(10 * MINUTE)
    south = revocations.publish(venue, "south")
    first = withdraw.withdraw(venue, who.person, VERIFY)
    assert (first.final, first.final_by) == ("final_by", south.good_until)
    assert '"final_by": "2026-06-21T01:10:00Z"' in first.receipt
    assert '"final": false' in first.receipt

    for gate in ("north", "south"):  # both have the newest list now, so this one they know
        revocations.acknowledge(venue, gate, revocations.publish(venue, gate).text)
    second = withdraw.withdraw(venue, ben.person, VERIFY)
    assert second.final == "final_by"  # a newer change, which nobody has yet
    clock.move(DAY)
    sweep.sweep(venue)
    third = withdraw.withdraw(venue, cem.person, VERIFY)
    assert (third.final, third.final_by) == ("final", None)  # every lease is over


def test_an_old_list_acknowledged_again_changes_nothing(venue: Venue) -> None:
    who = enrolled(venue)
    old = revocations.publish(venue, "north").text
    withdraw.withdraw(venue, who.person, VERIFY)
    new = revocations.publish(venue, "north").text
    assert revocations.acknowledge(venue, "north", new) > revocations.acknowledge(venue, "north", old)
    with venue.store.read() as unit:
        assert revocations.final_by(unit) is None


@pytest.mark.parametrize(("act", "code"), [
    (lambda venue: revocations.publish(venue, ""), "gate-name"),
    (lambda venue: revocations.publish(venue, "two\nlines"), "gate-name"),
    (lambda venue: revocations.publish(venue, "x" * 65), "gate-name"),
    (lambda venue: revocations.acknowledge(venue, "nowhere", revocations.publish(venue, "n").text), "gate-unknown"),
    (lambda venue: revocations.forget(venue, "nowhere"), "gate-unknown"),
    (lambda venue: (revocations.publish(venue, "north"), revocations.forget(venue, "north")), "gate-leased"),
    (lambda venue: revocations.read(venue, "no list"), "list-malformed"),
], ids=["empty", "lines", "long", "acknowledge", "forget", "leased", "malformed"])
def test_what_is_refused(venue: Venue, act: Callable[[Venue], object], code: str) -> None:
    assert code_of(lambda: act(venue)) == code


def test_another_venues_list_is_refused(venue: Venue, tmp_path: Path) -> None:
    with open_venue(make_venue(tmp_path / "park")) as other:
        text = revocations.publish(other, "north").text
    assert code_of(lambda: revocations.read(venue, text)) == "list-altered"


def test_a_gate_out_of_use_is_waited_for_no_more(venue: Venue, clock: SetClock) -> None:
    revocations.publish(venue, "north")
    clock.move(60 * MINUTE)
    revocations.forget(venue, "north")
    with venue.store.read() as unit:
        assert revocations.final_by(unit) is None


@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_a_lost_pass_is_void_in_both_lanes_and_its_face_is_over(venue: Venue, folder: Path, purpose: str) -> None:
    who = enrolled(venue, purpose=purpose)  # type: ignore[arg-type]  # a purpose
    done = replace.replace(venue, "ada", as_written)
    lists = (folder / LIST).read_text()
    assert [one.purpose for one in done.ended] == [purpose]
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera)) == "pass-void"
    assert code_of(lambda: plain(venue, who.pass_text, lists)) == "pass-void"
    assert plain(venue, done.pass_text, lists) == "ada"
    assert code_of(lambda: admit.by_pass(venue, done.pass_text, no_camera)) == "pass-plain"
    assert venue.keys.count() == 1  # the record's
    again = enrolled(venue, purpose=purpose)  # type: ignore[arg-type]  # a purpose
    assert code_of(lambda: admit.by_pass(venue, again.pass_text, no_camera)) == "pass-void"  # made in the same second


def test_after_a_replacement_a_new_enrolment_counts(venue: Venue, clock: SetClock) -> None:
    enrolled(venue)
    replace.replace(venue, "ada", as_written)
    clock.move(2)
    again = enrolled(venue)
    assert admit.by_pass(venue, again.pass_text, picture(1, 9)).outcome is Outcome.ADMIT


def test_replacing_keeps_a_face_that_the_venue_keeps(venue: Venue) -> None:
    enrolled(venue, purpose=SEARCH)
    assert replace.replace(venue, "ada", as_written).ended == []
    assert len(venue.galleries.exact(SEARCH).owners) == 1


def test_a_plain_pass_of_somebody_who_said_no_can_be_replaced(venue: Venue, folder: Path, clock: SetClock) -> None:
    lost = enrol.say_no(venue, "ben", as_written)
    clock.move(MINUTE)
    done = replace.replace(venue, "ben", as_written)
    lists = (folder / LIST).read_text()
    assert code_of(lambda: plain(venue, lost, lists)) == "pass-void"
    assert plain(venue, done.pass_text, lists) == "ben"
    with venue.store.read() as unit:
        assert passes.read_here(venue, done.pass_text, unit.now).ask_not_before == 0


def test_the_old_pass_stays_void_where_the_new_one_was_not_read_back(venue: Venue) -> None:
    who = enrolled(venue)
    assert code_of(lambda: replace.replace(venue, "ada", lambda _text: "")) == "pass-not-read"
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera)) == "pass-void"
    assert replace.replace(venue, "ada", as_written).ended == []


def test_entries_leave_the_list_with_the_passes_they_are_about(folder: Path, clock: SetClock) -> None:
    with open_venue(folder, clock) as venue:
        who = enrolled(venue)
        withdraw.withdraw(venue, who.person, VERIFY)
        replace.replace(venue, "ben", as_written)
        content = revocations.read(venue, revocations.publish(venue, "north").text)
        assert (len(content.faces), len(content.void)) == (1, 1)
        clock.move(1_500 * DAY)
        sweep.sweep(venue)
        later = revocations.read(venue, revocations.publish(venue, "north").text)
        assert (len(later.faces), len(later.void)) == (0, 1)
        clock.move(revocations.VOID_KEPT_DAYS * DAY)
        sweep.sweep(venue)
        last = revocations.read(venue, revocations.publish(venue, "north").text)
        assert (len(last.faces), len(last.void)) == (0, 0)
