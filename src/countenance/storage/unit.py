"""The unit of work: a change and its events commit together, or neither does.

Time. `now` never goes back: a mark in the store keeps the latest time ever seen, and what has expired
stays expired when somebody sets the clock back. The face lane then closes (`require_forward`) until the
clock has caught up, and nothing is swept; withdrawing and the lane without faces go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from countenance.clock import Clock
from countenance.errors import StoreFault
from countenance.quantities import Instant, KeyId, PersonId, PurposeId
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.storage.outbox import Entry, Outbox, Sealer
from countenance.storage.together import Together

T = TypeVar("T")

CLOCK_SLACK_SECONDS = 5
"""How far a clock may be set back unnoticed (time servers do a little). Smaller is stricter."""

MOST_HINTS = 10_000
"""People of whose chains the length is remembered in memory."""

# Statements of the way through a gate are built once: building one takes three times as long as running it.
_MARK = select(schema.mark.c.at).where(schema.mark.c.name == bindparam("wanted"))
_NEW_MARK = insert(schema.mark)
_SET_MARK = _NEW_MARK.on_conflict_do_update(index_elements=["name"], set_={"at": _NEW_MARK.excluded.at})


class Unit:
    """What a story does within one transaction. Made by `Store.write` and `Store.read` only."""

    def __init__(self, connection: Connection, outbox: Outbox, now: Instant, shown: Instant) -> None:
        self.connection = connection
        self.now = now
        self._shown = shown  # by the clock; before `now` where it was set back
        self.memo: dict[str, Any] = {}  # what was read and cannot change in this unit but by its own hand
        self.outbox = outbox
        self.ended: Instant | None = None  # the new count, where something ended in this unit
        self.ended_keys: list[KeyId] = []

    def run(self, statement: Any, values: Any = None) -> Any:
        """Execute one SQLAlchemy Core statement."""
        return self.connection.execute(statement, values)

    def tell(self, kind: str, body: dict[str, Any]) -> int:
        """Record an event about no person; return its row (storage/outbox.py)."""
        return self.outbox.tell(kind, body)

    def tell_of(self, person: PersonId, kind: str, body: dict[str, Any]) -> Entry:
        """Record a sealed event about a person (storage/outbox.py)."""
        return self.outbox.tell_of(person, kind, body)

    def require_forward(self) -> None:
        """Raise StoreFault(clock-set-back) where the clock shows a time before one already seen."""
        if self._shown < self.now - CLOCK_SLACK_SECONDS:
            raise StoreFault("clock-set-back", "The clock was set back; faces wait until it has caught up.")

    def tell_of_even_if_lost(self, person: PersonId, kind: str, body: dict[str, Any]) -> Entry:
        """Record an event about a person whose record key may be gone (storage/outbox.py)."""
        return self.outbox.tell_of_even_if_lost(person, kind, body)

    def tell_for(self, kind: str, body: dict[str, Any]) -> Entry:
        """Record an event in nobody's chain, for a receipt (storage/outbox.py)."""
        return self.outbox.tell_for(kind, body)

    def set_mark(self, name: str, at: Instant) -> None:
        """Keep a moment under a name."""
        self.run(_SET_MARK, {"name": name, "at": at})

    def mark(self, name: str) -> Instant | None:
        """Return a kept moment, or None where there is none yet."""
        at = self.run(_MARK, {"wanted": name}).scalar_one_or_none()
        return None if at is None else Instant(at)

    def move_forward(self, keys: Sequence[KeyId] = ()) -> None:
        """Count something that an older store would not know: an enrolment, a consent that ended, a new notice.

        The count is also kept outside the stores (docs/formats/gone.md), so that older ones are noticed, and so are
        `keys`, which are to be destroyed and may not come back.
        """
        self.ended = Instant((self.mark("forward") or 0) + 1)
        self.ended_keys += keys
        self.set_mark("forward", self.ended)

    def move_gallery(self, purpose: PurposeId) -> None:
        """Say that the set of people who may be searched has changed; copies in memory are then stale."""
        generation = schema.gallery.c.generation
        row = insert(schema.gallery).values(purpose_id=purpose, generation=1)
        self.run(row.on_conflict_do_update(index_elements=["purpose_id"], set_={"generation": generation + 1}))


class Store:
    """The data store of one venue. Several threads may use it; each unit has its own connection."""

    def __init__(self, engine: Engine, clock: Clock, sealer: Sealer) -> None:
        self.engine = engine
        self._clock = clock
        self._sealer = sealer
        self._together = Together(self.write)
        self._hints: dict[PersonId, int] = {}

    def together(self, job: Callable[[Unit], T]) -> T:
        """Run a job in a transaction that threads share, durable on return (storage/together.py).

        For what many do at once. Raises what the job raises, and StoreFault; then nothing of it took effect.
        """
        return self._together.run(job)

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """Begin a unit that may change things; commits at the end, durable on return. Raises StoreFault."""
        with engines.writing(self.engine) as connection:
            seen = self._seen(connection)
            unit = self._unit(connection, seen)
            if unit.now != seen:  # a second has many units
                unit.set_mark("time", unit.now)
            yield unit
            unit.outbox.flush()
        if unit.ended is not None:
            self._sealer.note(unit.ended, unit.ended_keys)

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """Begin a unit that sees one consistent moment and changes nothing."""
        with engines.reading(self.engine) as connection:
            yield self._unit(connection, self._seen(connection))

    def require_forward(self) -> None:
        """Raise StoreFault(clock-set-back) while the clock shows a time before one already seen."""
        with self.read() as unit:
            unit.require_forward()

    def empty_wal(self) -> None:
        """Leave nothing deleted in the write-ahead log (storage/engine.py)."""
        engines.empty_wal(self.engine)

    def rewrite(self) -> None:
        """Write the file anew without what is left of deleted rows between living ones (storage/engine.py)."""
        engines.rewrite(self.engine)

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    def _unit(self, connection: Connection, seen: Instant) -> Unit:
        if len(self._hints) > MOST_HINTS:
            self._hints.clear()
        shown = self._clock.now()
        now = Instant(max(shown, seen))
        return Unit(connection, Outbox(connection, self._sealer, now, self._hints), now, shown)

    @staticmethod
    def _seen(connection: Connection) -> Instant:
        at = connection.execute(_MARK, {"wanted": "time"})
        return Instant(at.scalar_one_or_none() or 0)
