"""Two desks, one ticket; a desk that dies; a withdrawal that is finished late. Found by an attack on 2026-11-23."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from countenance.clock import SetClock
from countenance.consent import gate
from countenance.errors import CountenanceError, StoreFault
from countenance.flows import admit, enrol, intents, rotate, sweep, withdraw
from countenance.flows.venue import Venue
from countenance.quantities import DAY, HOUR, PurposeId
from countenance.storage import schema
from support.venue import KEYED, SEARCH, VERIFY, as_written, comes_back, enrolled, picture, says_yes

pytestmark = pytest.mark.promise(2)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def at_desk(venue: Venue, purpose: PurposeId, person: int, camera: Callable[[], bytes] | None = None,
            hand_over: Callable[[str], str] = as_written) -> enrol.Enrolled:
    return enrol.enrol(venue, "ada", purpose, says_yes(venue, purpose), camera or picture(person), hand_over)


def found(venue: Venue, person: int) -> bool:
    return admit.by_face(venue, SEARCH, gate.press(venue.clock), picture(person, 9)).outcome is admit.Outcome.ADMIT


def people(venue: Venue) -> int:
    with venue.store.read() as unit:
        return len(unit.run(schema.person.select()).all())


@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_two_desks_with_one_ticket_make_one_person(venue: Venue, purpose: PurposeId) -> None:
    """Otherwise withdrawing by booking number would leave one of the two faces."""
    won: list[enrol.Enrolled] = []

    def camera() -> bytes:
        won.append(at_desk(venue, purpose, 1))
        return picture(2)()

    assert code_of(lambda: at_desk(venue, purpose, 2, camera)) == "enrolment-crossed"
    assert people(venue) == 1
    assert found(venue, 1) if purpose == SEARCH else comes_back(venue, won[0].pass_text).outcome.value == "admit"
    withdraw.withdraw(venue, won[0].person, purpose)
    assert not found(venue, 1)


def test_the_slower_desk_does_not_undo_the_faster_one(venue: Venue) -> None:
    at_desk(venue, SEARCH, 1)  # on record already
    won: list[enrol.Enrolled] = []

    def camera() -> bytes:
        won.append(at_desk(venue, VERIFY, 1))
        return picture(1)()

    assert code_of(lambda: at_desk(venue, VERIFY, 1, camera)) == "consent-standing"
    assert comes_back(venue, won[0].pass_text).outcome.value == "admit"
    assert withdraw.withdraw(venue, won[0].person, VERIFY).final == "final"
    assert found(venue, 1)


def test_a_failed_enrolment_takes_nothing_that_another_built_on(venue: Venue) -> None:
    won: list[enrol.Enrolled] = []

    def hand_over(_text: str) -> str:
        won.append(at_desk(venue, SEARCH, 1))
        return "not read"

    assert code_of(lambda: at_desk(venue, VERIFY, 1, hand_over=hand_over)) == "pass-not-read"
    assert people(venue) == 1
    assert found(venue, 1)
    assert venue.keys.count() == 2  # the record's and the face's
    assert withdraw.withdraw(venue, won[0].person, SEARCH).final == "final"


def test_the_undoing_of_a_dead_desk_leaves_those_who_enrolled_since(
        venue: Venue, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(intents, "undo", lambda *_: None)  # the desk is dead
        assert code_of(lambda: at_desk(venue, VERIFY, 1, hand_over=lambda _text: "")) == "pass-not-read"
    with venue.store.read() as unit:
        person = unit.run(schema.person.select()).one().person_id
    withdraw.withdraw(venue, person, VERIFY)
    again = at_desk(venue, VERIFY, 1)
    assert again.person == person
    clock.move(2 * HOUR)
    sweep.sweep(venue)
    assert comes_back(venue, again.pass_text).outcome.value == "admit"
    with venue.store.read() as unit:
        assert intents.all_pending(unit) == []
    clock.move(DAY)
    sweep.sweep(venue)
    assert withdraw.withdraw(venue, person, VERIFY).final == "final"


@pytest.mark.parametrize("purpose", [VERIFY, KEYED, SEARCH])
def test_a_withdrawal_while_the_pass_is_handed_over_wins(venue: Venue, purpose: PurposeId) -> None:
    handed: list[str] = []

    def hand_over(text: str) -> str:
        handed.append(text)
        with venue.store.read() as unit:
            person = unit.run(schema.person.select()).one().person_id
        withdraw.withdraw(venue, person, purpose)
        return text

    assert code_of(lambda: at_desk(venue, purpose, 1, hand_over=hand_over)) in {"consent-withdrawn", "key-destroyed"}
    with venue.store.read() as unit:
        assert unit.run(schema.template.select()).all() == []
    if purpose != SEARCH:
        assert code_of(lambda: comes_back(venue, handed[0])) in {"consent-withdrawn", "pass-unknown"}


def test_a_withdrawal_that_is_finished_after_a_rotation_promises_the_next(
        venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two somebody may have made a backup under the new epoch, with the key in it."""
    who = enrolled(venue)

    def fails(*_: object) -> None:
        raise StoreFault("store-busy", "Another process holds the data folder; try again.")

    with monkeypatch.context() as patch:
        patch.setattr(venue.keys, "destroy_of", fails)
        assert code_of(lambda: withdraw.withdraw(venue, who.person, VERIFY)) == "store-busy"
    rotate.rotate(venue)
    with venue.store.read() as unit:
        assert unit.mark("rotate_by") is None
    done = withdraw.withdraw(venue, who.person, VERIFY)
    with venue.store.read() as unit:
        assert unit.mark("rotate_by") == done.copies_open_until
    assert done.copies_open_until > venue.clock.now()


@pytest.mark.parametrize(("column", "value"), [("act", "xyz"), ("state", "xyz"), ("language", "")])
def test_no_odd_row_keeps_a_face_from_being_withdrawn(venue: Venue, column: str, value: str) -> None:
    who = enrolled(venue)
    with venue.store.write() as unit:
        unit.run(schema.consent.update().values({column: value}))
    assert withdraw.withdraw(venue, who.person, VERIFY).final == "final"
    assert venue.keys.count() == 1


def test_two_standing_consents_end_together(venue: Venue) -> None:
    who = enrolled(venue)
    with venue.store.write() as unit:
        row = unit.run(schema.consent.select()).one()
        unit.run(schema.consent.insert().values({**row._mapping, "consent_id": "f" * 32}))
    withdraw.withdraw(venue, who.person, VERIFY)
    with venue.store.read() as unit:
        assert {row.state for row in unit.run(schema.consent.select())} == {"withdrawn"}
    assert venue.keys.count() == 1
