"""Durable intents: what is about to happen across two stores, written down before it does.

A story that a crash interrupted is finished or undone from its intent, at the next opening, before anything
else. An intent names keys by id and never holds one.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        plan=_plan(keys, {}), begun_at=unit.now))
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


def made(unit: Unit, intent: Intent, rows: dict[str, str]) -> None:
    """Write down which rows an enrolment has made, table to id: undoing it deletes these and no others."""
    unit.run(update(schema.intent).where(schema.intent.c.intent_id == intent.intent_id).values(
        plan=_plan(intent.keys, rows)))


def undo(venue: Venue, intent: Intent, rows: dict[str, str] | None = None) -> None:
    """Undo an enrolment whose person was not told that it succeeded: its rows, then its keys.

    Nothing where its story has ended, or was undone before; unless it is the story itself that knows its `rows`, and
    failed after it went live. What others have built on meanwhile stays: who enrolled again keeps their record.
    """
    with venue.store.write() as unit:
        if not stands(unit, intent):
            if not _there(unit, rows or {}):
                return
            _begun_again(unit, intent, rows or {})
        keys = _without_rows(unit, intent)
        unit.run(update(schema.intent).where(schema.intent.c.intent_id == intent.intent_id)
                 .values(plan=_plan(keys, {})))
        if intent.purpose:  # people who are only put on record (flows/awaiting.py) are in no gallery
            unit.move_gallery(intent.purpose)
    venue.keys.destroy(keys)
    with venue.store.write() as unit:
        end(unit, intent)
    venue.store.empty_wal()


_MADE = {"pass": (schema.issued_pass, schema.issued_pass.c.pass_id, ("pending", "live")),
         "template": (schema.template, schema.template.c.template_id, ("pending", "live")),
         "consent": (schema.consent, schema.consent.c.consent_id, ("given",))}


def _there(unit: Unit, rows: dict[str, str]) -> bool:
    table = schema.template
    return unit.run(select(table.c.template_id).where(
        table.c.template_id == rows.get("template", ""))).first() is not None


def _begun_again(unit: Unit, intent: Intent, rows: dict[str, str]) -> None:
    unit.run(insert(schema.intent).values(
        intent_id=intent.intent_id, story=intent.story, step=intent.step, person_id=intent.person,
        purpose_id=intent.purpose, plan=_plan(intent.keys, rows), begun_at=intent.begun_at))


def _without_rows(unit: Unit, intent: Intent) -> list[KeyId]:
    """Delete what this enrolment wrote, and return the keys that nobody else needs."""
    row = unit.run(select(schema.intent.c.plan).where(schema.intent.c.intent_id == intent.intent_id)).one()
    rows = canonical.decode(row.plan, "intent")["rows"]
    for name, (table, column, states) in _MADE.items():
        if name in rows:
            unit.run(delete(table).where(column == rows[name], table.c.state.in_(states)))
    person = schema.person
    mine = unit.run(select(person.c.record_key).where(
        person.c.person_id == intent.person, person.c.record_key.in_(intent.keys))).scalar_one_or_none()
    if mine is None:
        return list(intent.keys)
    if _others_need(unit, intent):
        return [key for key in intent.keys if key != mine]
    unit.run(delete(person).where(person.c.person_id == intent.person))
    return list(intent.keys)


def _others_need(unit: Unit, intent: Intent) -> bool:
    """Say whether anything else is about the person whom this enrolment put on record."""
    other = select(schema.intent.c.intent_id).where(
        schema.intent.c.person_id == intent.person, schema.intent.c.intent_id != intent.intent_id)
    theirs = [select(table.c.person_id).where(table.c.person_id == intent.person)
              for table in (schema.issued_pass, schema.template, schema.consent)]
    return any(unit.run(query.limit(1)).first() is not None for query in (other, *theirs))


def _plan(keys: Sequence[KeyId], rows: dict[str, str]) -> bytes:
    return canonical.encode({"keys": list(keys), "rows": rows})


def _intent(row: Any) -> Intent:
    return Intent(row.intent_id, row.story, row.step, PersonId(row.person_id), PurposeId(row.purpose_id),
                  tuple(KeyId(k) for k in canonical.decode(row.plan, "intent")["keys"]), row.begun_at)
