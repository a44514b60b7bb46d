"""deliveries: what is to be sent and was not yet: when it is tried again, when it is given up, how it is sent again.

A row goes when its recipient has taken it. Whoever crashes between the two sends it again, with the same id: a
recipient keeps ids for a while and drops what it has seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select, update

from countenance.errors import BadInput, StoreFault
from countenance.flows.events_out import DEAD, KEPT_DAYS, PENDING, Message
from countenance.quantities import DAY, HOUR, MINUTE, Instant
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

WAITS_S = (5, 30, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR)
"""Seconds to wait after each attempt that failed; after the last of them again that long."""

GIVEN_UP_AFTER = DAY
"""Seconds. What was not taken by then is a dead letter."""

MOST = 64
"""How many are looked up at once."""

_ROW = schema.delivery
_DUE = (select(_ROW.c.delivery_id)
        .where(_ROW.c.state == PENDING, _ROW.c.next_at <= bindparam("now"), _ROW.c.recipient == bindparam("whose"))
        .order_by(_ROW.c.next_at, _ROW.c.made_at).limit(MOST))
_ONE = select(_ROW).where(_ROW.c.delivery_id == bindparam("wanted"), _ROW.c.state == PENDING)


@dataclass(frozen=True)
class DeadLetter:
    """What was given up, and why."""

    event_id: str
    recipient: str
    kind: str
    made_at: Instant
    code: str


def due(unit: Unit, recipient: str) -> list[str]:
    """Return the numbers of what may be sent to a recipient now, oldest first."""
    return list(unit.run(_DUE, {"now": unit.now, "whose": recipient}).scalars())


def still(venue: Venue, delivery_id: str) -> Message | None:
    """Return a message right before it is sent, or None where it is to be sent no more: its person withdrew, say.

    No visit is told of by a store that was put back: the person may have withdrawn since.
    """
    with venue.store.read() as unit:
        row = unit.run(_ONE, {"wanted": delivery_id}).one_or_none()
    if row is None:
        return None
    if row.delivery_id.startswith("p"):
        try:
            venue.require_stores()
        except StoreFault:
            return None
    return Message(row.delivery_id, row.event_id, str(json.loads(row.body)["type"]), row.body)


def taken(unit: Unit, message: Message) -> None:
    """The recipient has it."""
    unit.run(delete(_ROW).where(_ROW.c.delivery_id == message.delivery_id))


def failed(unit: Unit, message: Message, code: str, *, for_good: bool = False) -> None:
    """The recipient did not take it. `code`: why, in short; `for_good`: it says that it never will."""
    row = unit.run(_ONE, {"wanted": message.delivery_id}).one_or_none()
    if row is None:  # deleted while it was on its way
        return
    mine = update(_ROW).where(_ROW.c.delivery_id == message.delivery_id)
    end, attempts = row.made_at + GIVEN_UP_AFTER, row.attempts + 1
    if for_good or unit.now >= end:
        unit.run(mine.values(state=DEAD, last_code=code, attempts=attempts, delete_at=unit.now + KEPT_DAYS * DAY))
        return
    wait = WAITS_S[min(attempts, len(WAITS_S)) - 1]
    unit.run(mine.values(attempts=attempts, last_code=code, next_at=min(unit.now + wait, end)))


def dead(unit: Unit, recipient: str = "") -> list[DeadLetter]:
    """Return the dead letters, oldest first; of one recipient, where one is given."""
    rows = unit.run(select(_ROW).where(_ROW.c.state == DEAD).order_by(_ROW.c.made_at, _ROW.c.event_id)).all()
    return [DeadLetter(row.event_id, row.recipient, str(json.loads(row.body)["type"]), Instant(row.made_at),
                       row.last_code) for row in rows if recipient in ("", row.recipient)]


def replay(unit: Unit, recipient: str, event_id: str = "") -> int:
    """Send a recipient's dead letters again, or one of them, each with its id; return how many.

    Raises BadInput(dead-letter-unknown).
    """
    wanted = (_ROW.c.state == DEAD) & (_ROW.c.recipient == recipient)
    if event_id:
        wanted &= _ROW.c.event_id == event_id
    again = int(unit.run(update(_ROW).where(wanted).values(
        state=PENDING, attempts=0, next_at=unit.now, made_at=unit.now,
        delete_at=unit.now + (KEPT_DAYS + 1) * DAY)).rowcount)
    if event_id and not again:
        raise BadInput("dead-letter-unknown", "This recipient has no dead letter of this id.")
    return again


def clear_away(unit: Unit) -> int:
    """Delete what was kept long enough; return how many."""
    return int(unit.run(delete(_ROW).where(_ROW.c.delete_at <= unit.now)).rowcount)
