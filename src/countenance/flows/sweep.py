"""sweep: retention that happens (docs/flows.md, sweep). Matching stops when it has not run for too long.

(1) what was begun and failed is finished, and consents whose time is over are ended, by the same steps as a withdrawal;
(2) people whose `delete_at` has passed are erased; (3) other rows past theirs are deleted, and after an erasure both
files written anew; (4) a rotation that is due is done; (5) the mark that it ran; (6) the log is published. Nobody is
there to take a receipt, so none is written, and no witness asked before (6).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from countenance import settings
from countenance.consent.states import State
from countenance.errors import Refused, StoreFault
from countenance.flows import drill, events_out, intents, log, record, revocations, rights, rotate, withdraw
from countenance.flows.recover import roll_forward
from countenance.quantities import HOUR, PersonId, PurposeId
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

BATCH = 200
"""Consents that are ended in one go: what an interruption leaves to be finished is at most so many."""

ABANDONED_SECONDS = HOUR
"""An enrolment that has not gone live by then never will: its person was told that it failed."""

MANY_STORED = "many_stored"
"""The mark of the moment from which so many people were stored that the regime asks for filing."""


@dataclass(frozen=True)
class Swept:
    """What the sweep did, or would do in a dry run."""

    expired: int
    people: int
    rows: int
    rotated: bool
    requests: int = 0
    """People's requests that are late, or must be answered within a few days."""


def sweep(venue: Venue, *, dry_run: bool = False,
          progress: Callable[[int, int], None] = lambda _done, _all: None) -> Swept:
    """Run the sweep. Safe to interrupt: what was begun is finished at the next opening. Raises StoreFault."""
    venue.store.require_forward()  # nobody's record ends by a wrong clock
    venue.require_stores()         # or by a store that is not the newest
    if not dry_run:
        drill.discard_stale(venue.folder)
    if not dry_run:
        roll_forward(venue)                                                 # (1)
        _undo_abandoned(venue)
    expired, people = _due(venue)
    rotation = rotate.is_due(venue)
    if dry_run:
        return Swept(len(expired), len(people), _old_rows(venue, count_only=True), rotation, _requests(venue))
    total = len(expired) + len(people)
    for at in range(0, len(expired), BATCH):
        _end(venue, expired[at:at + BATCH])
        progress(min(at + BATCH, len(expired)), total)
    for done, person in enumerate(people):                                  # (2)
        with suppress(Refused):  # an order keeps this record; its faces are gone
            withdraw.forget(venue, person)
        progress(len(expired) + done + 1, total)
    rows = _old_rows(venue, count_only=False)                               # (3)
    revocations.post(venue)
    if rotation or rotate.is_due(venue):                                    # (4)
        rotate.rotate(venue)
        rotation = True
    _rewrite(venue)
    with venue.store.write() as unit:                                       # (5)
        record.release(unit)
        _many_stored(unit, venue)
        unit.set_mark("swept", unit.now)
        events_out.clear(unit, venue, "sweep.ran", {"rotated": rotation})
    venue.store.empty_wal()
    log.publish(venue)                                                      # (6)
    return Swept(len(expired), len(people), rows, rotation, _requests(venue))


def _requests(venue: Venue) -> int:
    with venue.store.read() as unit:
        found = rights.counts(unit)
    return found.get("late", 0) + found.get("due soon", 0)


def _end(venue: Venue, expired: list[tuple[PersonId, PurposeId]]) -> None:
    try:
        withdraw.end_all(venue, expired, State.EXPIRED)
    except StoreFault:  # of one among them, perhaps: the others do not wait for that
        roll_forward(venue)
        for person, purpose in expired:
            with suppress(Refused):  # ended by now, or renewed or withdrawn since they were listed
                withdraw.end(venue, person, purpose, State.EXPIRED)


def _rewrite(venue: Venue) -> None:
    with venue.store.read() as unit:
        erased = unit.mark("vacuum") is not None
    if erased:
        engines.rewrite(venue.keys.engine)
        venue.store.rewrite()
        with venue.store.write() as unit:
            unit.run(delete(schema.mark).where(schema.mark.c.name == "vacuum"))


def stored_persons(unit: Unit) -> int:
    """Return of how many people a face is stored, made-up ones among them."""
    table = schema.template
    return int(unit.run(select(func.count(table.c.person_id.distinct())).where(table.c.state == "live")).scalar_one())


def _many_stored(unit: Unit, venue: Venue) -> None:
    """Remember since when so many people are stored that the regime asks for filing; below that, forget it."""
    limit = int(settings.parameters(venue.settings.regime).get("stored_persons_filing", 0))
    if not limit or stored_persons(unit) < limit:
        unit.run(delete(schema.mark).where(schema.mark.c.name == MANY_STORED))
    elif unit.mark(MANY_STORED) is None:
        unit.set_mark(MANY_STORED, unit.now)


def _undo_abandoned(venue: Venue) -> None:
    with venue.store.read() as unit:
        begun = [i for i in intents.pending(unit, "enrol", "pad") if unit.now - i.begun_at > ABANDONED_SECONDS]
    for intent in begun:
        intents.undo(venue, intent)


def _due(venue: Venue) -> tuple[list[tuple[PersonId, PurposeId]], list[PersonId]]:
    consent, person = schema.consent, schema.person
    with venue.store.read() as unit:
        expired = unit.run(select(consent.c.person_id, consent.c.purpose_id).where(
            consent.c.state == State.GIVEN.value, consent.c.expires_at <= unit.now)).all()
        people = unit.run(select(person.c.person_id).where(person.c.delete_at <= unit.now)).scalars().all()
    return [(PersonId(p), PurposeId(q)) for p, q in expired], [PersonId(p) for p in people]


def _old_rows(venue: Venue, *, count_only: bool) -> int:
    # Templates go with their consent above; what is past its date here opens nothing any more.
    tables = (schema.issued_pass, schema.consent, schema.revocation, schema.hourly_count, schema.one_time,
              schema.session, schema.idempotent, schema.delivery, schema.statement, schema.ruling, schema.request,
              schema.lane_wait)
    total = 0
    with venue.store.write() if not count_only else venue.store.read() as unit:
        for table in tables:
            old = table.c.delete_at <= unit.now
            if table is schema.consent:
                old &= table.c.state != State.GIVEN.value
            if table is schema.issued_pass:
                old &= table.c.pass_key.is_(None)  # while the key lives its name must not be lost
            if count_only:
                total += len(unit.run(select(table.c.delete_at).where(old)).all())
            else:
                total += unit.run(delete(table).where(old)).rowcount
    return total
