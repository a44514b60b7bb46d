"""What is written down to be told, to whom, and what goes with a consent that ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from countenance.clock import SetClock
from countenance.consent import consents, notices
from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.flows import about, admit, deliveries, disclose, events_out, sweep, withdraw
from countenance.flows.admit import AtGate
from countenance.flows.venue import Venue
from countenance.quantities import DAY, HOUR, PersonId
from countenance.storage import schema
from support.recipients import LOUNGE, PARKING, agrees, recipient, rows, tells, yes
from support.venue import VERIFY, comes_back, enrolled, picture

VISITS = recipient("parking", events_out.VISIT)
PAGE = Path(__file__).parents[2] / "docs" / "operating" / "events.md"


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def told(venue: Venue, to: str = "parking") -> list[dict[str, object]]:
    return [json.loads(row["body"])["data"] for row in rows(venue) if row["recipient"] == to]


@pytest.mark.promise(8)
def test_a_visit_is_told_of_only_to_whom_the_person_agreed(venue: Venue) -> None:
    tells(venue, VISITS, recipient("lounge", events_out.VISIT))
    one, other = enrolled(venue), enrolled(venue, "ben", 2)
    comes_back(venue, one.pass_text)
    assert rows(venue) == []  # nobody agreed yet
    agrees(venue, one.person)
    comes_back(venue, one.pass_text)
    comes_back(venue, other.pass_text, 2)
    assert [row["recipient"] for row in rows(venue)] == ["parking"]
    assert set(told(venue)[0]) == set(events_out.TYPES[events_out.VISIT])
    text = b"".join(row["body"] for row in rows(venue))
    assert str(told(venue)[0]["person"]).encode() in text
    for secret in (one.person, "ada", "ben", other.person):
        assert str(secret).encode() not in text


def test_each_recipient_knows_a_person_by_another_name_and_each_delivery_has_its_own_id(venue: Venue) -> None:
    tells(venue, VISITS, recipient("lounge", events_out.VISIT))
    one = enrolled(venue)
    agrees(venue, one.person, PARKING)
    agrees(venue, one.person, LOUNGE)
    for _ in range(2):
        comes_back(venue, one.pass_text)
    names = {to: {visit["person"] for visit in told(venue, to)} for to in ("parking", "lounge")}
    assert len(names["parking"]) == len(names["lounge"]) == 1
    assert names["parking"].isdisjoint(names["lounge"])
    assert len({row["event_id"] for row in rows(venue)}) == 4


@pytest.mark.promise(5)
def test_every_visit_told_of_stands_in_the_persons_own_record(venue: Venue) -> None:
    tells(venue, VISITS)
    one = enrolled(venue)
    agrees(venue, one.person)
    comes_back(venue, one.pass_text)
    seen = [e for e in about.about(venue, one.person)["events"] if e["type"] == "disclosure"]
    assert [(e["to"], e["why"]) for e in seen] == [("Parking Ltd", PARKING)]
    assert "gate" in seen[0]["what"]


@pytest.mark.promise(2)
@pytest.mark.parametrize("how", ["stop", "erase", "expire"])
def test_what_was_not_sent_goes_with_the_consent_and_nobody_elses_does(
        venue: Venue, clock: SetClock, how: str) -> None:
    tells(venue, VISITS, valid_days=10)
    one, other = enrolled(venue), enrolled(venue, "ben", 2)
    agrees(venue, one.person)
    clock.move(DAY)
    agrees(venue, other.person)
    comes_back(venue, one.pass_text)
    comes_back(venue, other.pass_text, 2)
    with venue.store.read() as unit:
        [theirs] = [c for c in consents.all_of(unit, other.person) if c.purpose == PARKING]
        mine = sorted((str(v["person"]) for v in told(venue)), key=lambda n: n == consents.alias(unit, theirs))
    assert len(set(mine)) == 2
    if how == "stop":
        assert disclose.stop(venue, one.person, PARKING).receipt
    elif how == "erase":
        withdraw.erase(venue, one.person)
    else:
        clock.move(9 * DAY)
        sweep.sweep(venue)
    left = told(venue)
    assert [v["person"] for v in left] == mine[1:]
    if how == "stop":
        comes_back(venue, one.pass_text)  # the face goes on
        assert told(venue) == left
        assert refusal(lambda: disclose.stop(venue, one.person, PARKING)) == "consent-withdrawn"


def test_where_the_record_is_lost_every_visit_for_this_recipient_goes(venue: Venue) -> None:
    tells(venue, VISITS, recipient("lounge", events_out.VISIT, "sweep.ran"))
    one, other = enrolled(venue), enrolled(venue, "ben", 2)
    agrees(venue, one.person)
    agrees(venue, other.person)
    agrees(venue, other.person, LOUNGE)
    comes_back(venue, other.pass_text, 2)
    with venue.store.write() as unit:
        events_out.clear(unit, venue, "sweep.ran", {"rotated": True})
    with venue.store.read() as unit:
        key = unit.run(schema.person.select().where(schema.person.c.person_id == one.person)).one().record_key
    venue.keys.destroy([key])
    disclose.stop(venue, one.person, PARKING)
    assert [row["recipient"] for row in rows(venue)] == ["lounge", "lounge"]


def test_after_it_ended_the_name_is_kept_nowhere(venue: Venue) -> None:
    tells(venue, VISITS)
    one = enrolled(venue)
    agrees(venue, one.person)
    comes_back(venue, one.pass_text)
    before = told(venue)[0]["person"]
    disclose.stop(venue, one.person, PARKING)
    agrees(venue, one.person)
    comes_back(venue, one.pass_text)
    assert told(venue)[0]["person"] != before


@pytest.mark.promise(1)
def test_no_permit_comes_of_a_consent_to_tell_others(venue: Venue) -> None:
    tells(venue, VISITS)
    one = enrolled(venue)
    agrees(venue, one.person)
    assert venue.gate.verify(one.person, VERIFY).permit  # the gate does give one where it may
    assert refusal(lambda: venue.gate.verify(one.person, PARKING)) == "purpose-other"
    assert refusal(lambda: venue.gate.load(PARKING)) == "purpose-other"
    with venue.store.write() as unit:
        assert refusal(lambda: venue.gate.enrol(unit, one.person, PARKING)) == "purpose-other"
    with pytest.raises(Refused):
        enrolled(venue, "ben", 2, PARKING)


def test_a_purpose_to_tell_that_is_made_one_for_faces_serves_nobody(venue: Venue) -> None:
    tells(venue, VISITS)
    one = enrolled(venue)
    agrees(venue, one.person)
    with venue.store.write() as unit:
        unit.run(update(schema.purpose).where(schema.purpose.c.purpose_id == PARKING).values(
            comparison="verify", custody="carried"))
    assert refusal(lambda: venue.gate.verify(one.person, PARKING)) == "purpose-altered"
    comes_back(venue, one.pass_text)
    assert rows(venue) == []


def test_a_consent_for_faces_tells_nobody_and_one_to_tell_is_agreed_to_once(venue: Venue) -> None:
    tells(venue, VISITS)
    one = enrolled(venue)
    assert refusal(lambda: disclose.agree(venue, one.person, VERIFY, yes(venue, VERIFY))) == "purpose-other"
    assert refusal(lambda: disclose.stop(venue, one.person, VERIFY)) == "purpose-other"
    assert refusal(lambda: disclose.agree(venue, PersonId("0" * 32), PARKING, yes(venue, PARKING))) == "person-unknown"
    agrees(venue, one.person)
    assert refusal(lambda: agrees(venue, one.person)) == "consent-standing"


def test_a_notice_that_does_not_name_the_recipient_asks_nobody(venue: Venue) -> None:
    texts = {"en": "Somebody is told.", "zh": "Parking Ltd"}
    assert refusal(lambda: disclose.offer(venue, "parking", "Parking Ltd", "entrance", texts)) == "recipient-notice"
    tells(venue, VISITS)  # nothing of the refused one was left
    one = enrolled(venue)
    agrees(venue, one.person)
    with venue.store.write() as unit:
        notices.publish(unit, venue.venue_id, PARKING, texts)
    agrees(venue, one.person)  # renewed, to the new text
    comes_back(venue, one.pass_text)
    assert rows(venue) == []
    assert refusal(lambda: events_out.require_asked(venue, [VISITS])) == "recipient-notice"


def test_renewed_to_a_new_notice_the_old_name_is_gone_with_what_was_unsent(venue: Venue) -> None:
    tells(venue, VISITS)
    one = enrolled(venue)
    agrees(venue, one.person)
    comes_back(venue, one.pass_text)
    old = told(venue)[0]["person"]
    with venue.store.write() as unit:
        notices.publish(unit, venue.venue_id, PARKING, {"en": "Parking Ltd, anew.", "zh": "Parking Ltd"})
    comes_back(venue, one.pass_text)
    assert len(rows(venue)) == 1  # to an older notice nothing more is told
    agrees(venue, one.person)
    assert rows(venue) == []
    comes_back(venue, one.pass_text)
    assert told(venue)[0]["person"] != old


@pytest.mark.promise(8)
def test_everybody_else_is_in_hourly_totals(venue: Venue, clock: SetClock) -> None:
    tells(venue, recipient("counts", "gate.hour"))
    one = enrolled(venue)
    for person in (1, 1, 2):
        admit.by_pass(venue, one.pass_text, picture(person, 9), AtGate(name="north"))
    with venue.store.write() as unit:
        events_out.close_hours(unit, venue)
    assert rows(venue) == []  # the hour is not over
    clock.move(HOUR)
    for _ in range(2):
        with venue.store.write() as unit:
            events_out.close_hours(unit, venue)
    [total] = told(venue, "counts")
    assert (total["gate"], total["admitted"], total["referred"]) == ("north", 2, 1)
    assert rows(venue, "hourly") == []


@pytest.mark.parametrize("body", [{"rotated": True, "name": "Ada"}, {}, {"rotated": 1}, {"ref": True}])
def test_nothing_but_the_fields_of_a_type_is_told(venue: Venue, body: dict[str, object]) -> None:
    tells(venue, recipient("ops", "sweep.ran", "gate.closed"))
    with venue.store.write() as unit:
        assert refusal(lambda: events_out.clear(unit, venue, "sweep.ran", body)) == "event-shape"
        assert refusal(lambda: events_out.clear(unit, venue, "gate.closed", {"gate": "a", "by": 65 * "x"})
                       ) == "event-shape"
        visit = {"person": "p", "gate": "g", "decision": "admit", "people": 1, "at": "now"}
        assert refusal(lambda: events_out.clear(unit, venue, events_out.VISIT, visit)) == "event-shape"
        events_out.clear(unit, venue, "gate.closed", {"gate": "north", "by": "rule 1"})
    assert len(rows(venue)) == 1


def test_a_decision_that_is_undone_tells_nobody(venue: Venue) -> None:
    tells(venue, recipient("ops", "sweep.ran"))

    def undone() -> None:
        with venue.store.write() as unit:
            events_out.clear(unit, venue, "sweep.ran", {"rotated": True})
            raise StoreFault("store-fault", "No.")

    assert refusal(undone) == "store-fault"
    assert rows(venue) == []


def test_the_times_of_trying_again_and_giving_up(venue: Venue, clock: SetClock) -> None:
    tells(venue, recipient("ops", "sweep.ran"))
    with venue.store.write() as unit:
        events_out.clear(unit, venue, "sweep.ran", {"rotated": False})
    start, tried, first = clock.now(), [], rows(venue)[0]["event_id"]
    while rows(venue):
        [row] = rows(venue)
        clock.move(row["next_at"] - clock.now())
        tried.append(clock.now() - start)
        with venue.store.write() as unit:
            [number] = deliveries.due(unit, "ops")
        message = deliveries.still(venue, number)
        assert message is not None
        with venue.store.write() as unit:
            deliveries.failed(unit, message, "timeout")
            assert deliveries.due(unit, "ops") == []
    assert tried == [0, 5, 35, 155, 755, 4355, 25955, 47555, 69155, DAY]
    with venue.store.write() as unit:
        assert [(one.event_id, one.code) for one in deliveries.dead(unit, "ops")] == [(first, "timeout")]
        with pytest.raises(BadInput):
            deliveries.replay(unit, "ops", "msg_other")
        assert deliveries.replay(unit, "ops", first) == 1
    assert rows(venue)[0]["event_id"] == first
    clock.move(31 * DAY)
    with venue.store.write() as unit:
        assert deliveries.clear_away(unit) == 1


def test_the_page_has_every_type_with_an_example_of_its_shape() -> None:
    page = PAGE.read_text(encoding="utf-8")
    examples = {one["type"]: one for one in map(json.loads, re.findall(r"```json\n(.*?)```", page, re.DOTALL))}
    assert set(examples) == set(events_out.TYPES)
    for kind, example in examples.items():
        assert set(example) == {"type", "timestamp", "data"}
        events_out._require_shape(kind, example["data"])
