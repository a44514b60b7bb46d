"""events_out: what happened goes to those whom the venue tells (docs/operating/events.md).

What is to be sent is written down in the transaction of what it tells of, one row for each recipient: both are there,
or neither. Sending comes later (integrations/dispatcher.py), at least once, with the same id each time.

Two kinds. Events about nobody go to every recipient that lists their type; their fields are fixed, and none holds a
person. A visit is about one person even without a number: it goes only to a recipient for whom that person gave a
separate consent, under a name that only this recipient knows them by. Everybody else is in hourly totals.

A row holds that name, because it is what is sent, and nothing else of the person: whoever has the disk learns what the
recipient was to be told. Rows of one person are found by it when their consent ends, and deleted in that transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as put

from countenance.clock import utc_text
from countenance.consent import consents, notices
from countenance.consent.states import State
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.formats.notices import Notice
from countenance.quantities import DAY, HOUR, Instant, PersonId, PurposeId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

VISIT = "gate.decided"
"""The one type about a person."""

TYPES: dict[str, dict[str, type]] = {
    VISIT: {"person": str, "gate": str, "decision": str, "people": int, "at": str},
    "gate.opened": {"gate": str, "by": str},
    "gate.closed": {"gate": str, "by": str},
    "gate.hour": {"gate": str, "hour": str, "admitted": int, "referred": int},
    "sweep.ran": {"rotated": bool},
    "log.signed": {"size": int},
    "health.changed": {"ready": bool, "code": str},
    "test": {"note": str},
}
"""Every type with its fields, all of which are there and no others. None holds a name, a booking number or a face."""

KEPT_DAYS = 30
"""How long a dead letter can be sent again. Fewer is stricter."""

PENDING, DEAD, HOURLY = "pending", "dead", "hourly"
_OF_SOMEBODY, _OF_NOBODY = "p", "n"  # how the number of a row begins; it is not sent
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_PLAIN = re.compile(r"[\w.,:/ -]{0,64}")  # what a rule, a gate or a code is called


@dataclass(frozen=True)
class Recipient:
    """Somebody whom the venue tells. `title`: as people read it in the notice. `purpose`: empty where none asks people.

    `types`: what it is told of, names of TYPES.
    """

    name: str
    title: str
    types: frozenset[str]
    purpose: PurposeId


@dataclass(frozen=True)
class Message:
    """What is sent: `event_id` stays the same however often. `delivery_id`: of its row; empty where it has none."""

    delivery_id: str
    event_id: str
    kind: str
    body: bytes


@dataclass(frozen=True)
class Outgoing:
    """Whom an open venue tells. `waiting` is set when there may be something to send."""

    recipients: tuple[Recipient, ...]
    waiting: Event = field(default_factory=Event, compare=False)

    def told_of(self, kind: str) -> list[Recipient]:
        """Return who lists a type."""
        return [one for one in self.recipients if kind in one.types]


def require_asked(venue: Venue, recipients: Sequence[Recipient]) -> None:
    """Raise StoreFault(recipient-purpose, recipient-notice) unless each that hears of visits has a purpose of its own.

    For whoever starts sending: that purpose is `events.NAME`, to disclose, and its notice names the recipient.
    """
    with venue.store.read() as unit:
        for one in recipients:
            if one.purpose:
                _require_named(unit, one)


def decided(unit: Unit, venue: Venue, gate: str, outcome: str, people: int, person: PersonId | None) -> None:
    """Take note of a decision at a gate, in its transaction. `people`: how many it admits; `person`: who was admitted.

    Nobody is told of somebody who was referred but in the hour's total. Raises nothing of its own: what keeps a
    recipient from being told keeps nobody out.
    """
    if venue.outside is None:
        return
    gate = gate if _PLAIN.fullmatch(gate) else ""
    if venue.outside.told_of("gate.hour"):
        _count(unit, gate, outcome, max(1, people))
    if person is None or outcome != "admit":
        return
    for one in venue.outside.told_of(VISIT):
        with suppress(CountenanceError):  # they did not agree, or not to this notice
            _visit(unit, venue.outside, one, person, {"gate": gate, "decision": outcome, "people": people})


def clear(unit: Unit, venue: Venue, kind: str, body: dict[str, Any]) -> None:
    """Tell of something about nobody, in its transaction. Raises BadInput(event-shape) for what is not as in TYPES."""
    if kind == VISIT:
        raise BadInput("event-shape", "A visit is somebody's; it is told of by their consent only.")
    _require_shape(kind, body)
    if venue.outside is not None:
        for one in venue.outside.told_of(kind):
            _put(unit, venue.outside, one.name, kind, body)


def close_hours(unit: Unit, venue: Venue) -> None:
    """Tell of the hours that are over: how many each gate admitted and referred."""
    table = schema.delivery
    over = (table.c.state == HOURLY) & (table.c.next_at <= unit.now)
    totals: dict[tuple[int, str], dict[str, int]] = {}
    for row in unit.run(select(table).where(over)).all():
        about = json.loads(row.body)
        of_gate = totals.setdefault((row.next_at, about["gate"]), {"admit": 0, "refer": 0})
        of_gate[about["outcome"]] += row.attempts
    unit.run(delete(table).where(over))
    for (end, gate), number in sorted(totals.items()):
        clear(unit, venue, "gate.hour", {"gate": gate, "hour": utc_text(Instant(end - HOUR)),
                                         "admitted": number["admit"], "referred": number["refer"]})


def forget(unit: Unit, person: PersonId, purpose: PurposeId) -> int:
    """Delete what was to be told of a person under a consent that ends, in that transaction; return how much it was.

    Where their record is lost, nobody can say which rows are theirs: then all visits that this recipient was not told
    of yet are deleted. Nothing for a purpose of a face. What is on the wire at this moment arrives.
    """
    name = recipient_of(purpose)
    if not name:
        return 0
    table = schema.delivery
    mine = (table.c.recipient == name) & table.c.delivery_id.like(f"{_OF_SOMEBODY}%")
    try:
        given = [c for c in consents.all_of(unit, person) if c.purpose == purpose and c.state is State.GIVEN]
        called = [consents.alias(unit, consent) for consent in given]
        for consent in given:
            consents.forget_alias(unit, consent)
    except (CountenanceError, ValueError):  # ValueError: a row of theirs is odd
        return int(unit.run(delete(table).where(mine)).rowcount)
    return sum(int(unit.run(delete(table).where(mine, func.instr(table.c.body, one.encode()) > 0)).rowcount)
               for one in called)


def is_name(name: str) -> bool:
    """Say whether a recipient may be called this."""
    return _NAME.fullmatch(name) is not None


def recipient_of(purpose: PurposeId) -> str:
    """Return whom a purpose to disclose is about; empty for any other."""
    return purpose.removeprefix("events.") if purpose.startswith("events.") else ""


def require_names(notice: Notice, title: str) -> None:
    """Raise StoreFault(recipient-notice) where a notice does not say, in each of its languages, who is told."""
    if not title or not all(title in text for text in notice.texts.values()):
        raise StoreFault("recipient-notice", "The notice for this recipient does not name it in every language.")


def _require_named(unit: Unit, one: Recipient) -> None:
    if recipient_of(one.purpose) != one.name or notices.purpose(unit, one.purpose).comparison != notices.DISCLOSE:
        raise StoreFault("recipient-purpose", "A recipient's purpose is called events.NAME and has no face.")
    require_names(notices.in_force(unit, one.purpose), one.title)


def written(kind: str, at: Instant, body: dict[str, Any]) -> Message:
    """Return what is sent of an event, under a new id. Raises BadInput(event-shape)."""
    _require_shape(kind, body)
    told = {"type": kind, "timestamp": utc_text(at), "data": body}
    return Message("", f"msg_{random_id()}", kind, json.dumps(told, separators=(",", ":"), sort_keys=True).encode())


def _visit(unit: Unit, outgoing: Outgoing, one: Recipient, person: PersonId, facts: dict[str, Any]) -> None:
    _require_named(unit, one)
    called = consents.alias(unit, consents.require_live(unit, person, one.purpose))
    told = {**facts, "person": called, "at": utc_text(unit.now)}
    _require_shape(VISIT, told)
    unit.tell_of(person, "disclosure", {"to": one.title, "what": f"{VISIT}: {', '.join(sorted(facts))} and the time",
                                        "why": one.purpose})
    _put(unit, outgoing, one.name, VISIT, told, _OF_SOMEBODY)


_NEW = insert(schema.delivery)


def _put(unit: Unit, outgoing: Outgoing, recipient: str, kind: str, body: dict[str, Any], of: str = _OF_NOBODY) -> None:
    message = written(kind, unit.now, body)
    unit.run(_NEW, {
        "delivery_id": of + random_id(), "recipient": recipient, "event_id": message.event_id, "body": message.body,
        "attempts": 0, "next_at": unit.now, "state": PENDING, "last_code": "", "made_at": unit.now,
        "delete_at": unit.now + (KEPT_DAYS + 1) * DAY})
    outgoing.waiting.set()


def _require_shape(kind: str, body: dict[str, Any]) -> None:
    shape = TYPES.get(kind)
    if shape is None or set(body) != set(shape) or any(type(body[name]) is not shape[name] for name in shape):
        raise BadInput("event-shape", "This is no event of docs/operating/events.md.")
    if not all(_PLAIN.fullmatch(value) for value in body.values() if isinstance(value, str)):
        raise BadInput("event-shape", "What an event says is short and plain.")


_ONE_MORE = put(schema.delivery).on_conflict_do_update(
    index_elements=["delivery_id"], set_={"attempts": schema.delivery.c.attempts + bindparam("more")})


def _count(unit: Unit, gate: str, outcome: str, number: int) -> None:
    """Add to an hour's total: a row that is sent to nobody, and told of once its hour is over (`close_hours`)."""
    end = unit.now - unit.now % HOUR + HOUR
    unit.run(_ONE_MORE, {
        "delivery_id": f"{end}/{outcome}/{gate}", "recipient": "", "event_id": "", "attempts": number, "more": number,
        "body": json.dumps({"gate": gate, "outcome": outcome}).encode(), "next_at": end, "state": HOURLY,
        "last_code": "", "made_at": unit.now, "delete_at": end + 2 * DAY})
