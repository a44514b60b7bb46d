"""Durable intents: what is about to happen across two stores, written down before it does.

A story that a crash interrupted is finished or undone from its intent, at the next opening, before anything
else. An intent names keys by id and never holds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from countenance.errors import Refused
from countenance.formats import canonical
from countenance.quantities import KeyId, PersonId, PurposeId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


@dataclass(frozen=True)
class Intent:
    """One story under way: enrol, pad, withdraw, expire, replace or erase. `keys` are those it makes or destroys."""

    intent_id: str
    story: str
    step: int
    person: PersonId
    purpose: PurposeId
    keys: tuple[KeyId, ...]
    begun_at: int


def begin(unit: Unit, story: str, person: PersonId, purpose: PurposeId, keys: list[KeyId]) -> Intent:
    """Write an intent at step 1."""
    intent = Intent(random_id(), story, 1, person, purpose, tuple(keys), unit.now)
    unit.run(insert(schema.intent).values(
        intent_id=intent.intent_id, story=story, step=1, person_id=person, purpose_id=purpose,
        plan=canonical.encode(list(keys)), begun_at=unit.now))
    return intent


def at_step(unit: Unit, intent: Intent, step: int) -> None:
    """Say how far an intent has come."""
    unit.run(update(schema.intent).where(schema.intent.c.intent_id == intent.intent_id).values(step=step))


def end(unit: Unit, intent: Intent) -> None:
    """Remove an intent: its story is over."""
    unit.run(delete(schema.intent).where(schema.intent.c.intent_id == intent.intent_id))


def pending(unit: Unit, *stories: str, person: PersonId | None = None) -> list[Intent]:
    """Return the intents of some stories, oldest first; of one person only, where one is given."""
    table = schema.intent
    wanted = select(table).where(table.c.story.in_(stories)).order_by(table.c.begun_at)
    rows = unit.run(wanted if person is None else wanted.where(table.c.person_id == person)).all()
    return [_intent(row) for row in rows]


def all_pending(unit: Unit) -> list[Intent]:
    """Return every intent."""
    return [_intent(row) for row in unit.run(select(schema.intent)).all()]


class Abandoned(Refused):
    """The story took too long and was undone already; what stands there by now is somebody else's work."""


def require_standing(unit: Unit, intent: Intent) -> None:
    """Raise Abandoned(enrolment-abandoned) where a story was undone meanwhile."""
    if not stands(unit, intent):
        raise Abandoned("enrolment-abandoned", "This enrolment took too long and was undone; begin again.")


def stands(unit: Unit, intent: Intent) -> bool:
    """Say whether an intent is still there: its story has neither ended nor been undone."""
    table = schema.intent
    return unit.run(select(table.c.step).where(table.c.intent_id == intent.intent_id)).one_or_none() is not None


def undo(venue: Venue, intent: Intent) -> None:
    """Undo an enrolment whose person was not told that it succeeded: keys first, then every row it may have left.

    A batch of made-up people whose one transaction took effect stays, whatever was raised after it.
    """
    with venue.store.read() as unit:
        if intent.story == "pad" and not stands(unit, intent):
            return
    venue.keys.destroy(intent.keys)
    with venue.store.write() as unit:
        _delete_rows(unit, intent)
        unit.move_gallery(intent.purpose)
        end(unit, intent)
    venue.store.empty_wal()


def _delete_rows(unit: Unit, intent: Intent) -> None:
    """Delete what an enrolment wrote; of somebody who was on record before, no more than that."""
    for table, states in ((schema.issued_pass, ("pending", "live")), (schema.template, ("pending", "live")),
                          (schema.consent, ("given",))):
        mine = (table.c.person_id == intent.person, table.c.purpose_id == intent.purpose)
        unit.run(delete(table).where(*mine, table.c.state.in_(states)))
    person = schema.person
    unit.run(delete(person).where(person.c.person_id == intent.person, person.c.record_key.in_(intent.keys)))


def _intent(row: Any) -> Intent:
    return Intent(row.intent_id, row.story, row.step, PersonId(row.person_id), PurposeId(row.purpose_id),
                  tuple(KeyId(k) for k in canonical.decode(row.plan, "intent")), row.begun_at)
