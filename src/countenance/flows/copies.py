"""copies: what a file must be before `restore` puts it in the place of a store (docs/flows.md, restore (1)).

Whoever made it is not known. What lies in it may be anything a database can hold, but its tables are exactly those that
this program makes: a trigger would go on working for whoever put it there, long after the restore.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, MetaData, select

from countenance import durable
from countenance.errors import BadInput, StoreFault
from countenance.flows.recover import RESTORED
from countenance.flows.venue import OLDER_MARK, STRICTER
from countenance.formats import log_entries
from countenance.quantities import DAY, HOUR, Instant
from countenance.settings import Settings
from countenance.storage import engine as engines
from countenance.storage import key_schema, migrate, schema

DATA, KEYS = "data", "keys"
_STORES: dict[str, tuple[str, MetaData]] = {
    DATA: (schema.HEAD, schema.metadata), KEYS: (key_schema.HEAD, key_schema.metadata)}
_DAMAGED = {"store-corrupt", "store-incomplete", "store-altered", "store-fault"}

_MOMENTS = {"time", "swept", "rotate_by", "asked_from", "vacuum", "published", "many_stored", OLDER_MARK}
_NUMBERS = {"epoch", "erased", "forward", "list", "gate", "signed"}
_STRICTEST = 100_000  # thousandths of a score by which a gallery's own calibration moved its threshold
_HIGHEST = 10**12
"""Nothing was counted that often, and whatever counts on from here stays far below what SQLite can hold."""


def beside(copy: Path | None, place: Path) -> Path | None:
    """Copy a file beside the place that it is to take. Raises BadInput(backup-unreadable)."""
    if copy is None:
        return None
    to = place.with_name(place.name + RESTORED)
    try:
        to.unlink(missing_ok=True)
        # Without waiting: a pipe that nobody writes to would hold this up for ever.
        with os.fdopen(os.open(copy, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as source:
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                raise OSError  # a device, perhaps, which never ends
            with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, durable.SECRET), "wb") as out:
                shutil.copyfileobj(source, out)
        durable.sync(to)
    except OSError:
        raise BadInput("backup-unreadable", f"{copy.name} cannot be read.") from None
    return to


@contextmanager
def database(path: Path, which: str, *, copied: bool) -> Iterator[Engine]:
    """Open a store, "data" or "keys", that was looked at from end to end.

    Raises StoreFault(store-*), and in place of those that tell of damage BadInput(backup-damaged) where it is `copied`.
    """
    head, tables = _STORES[which]
    try:
        engine = engines.open_engine(path)
        try:
            migrate.require_layout(engine, head, which)  # first: what a table or a rule of theirs does is not tried out
            engines.require_whole(engine)
            if copied:
                engines.require_all(engine)
            migrate.require_current(engine, head, which)
            migrate.require_kinds(engine, tables)
            yield engine
        finally:
            engine.dispose()
    except StoreFault as fault:
        if copied and fault.code in _DAMAGED:
            raise BadInput("backup-damaged", f"This is not a whole backup of the {which} store.") from None
        raise


def require_venue(data: Engine, venue: str) -> None:
    """Raise BadInput unless the first event says that this venue was founded: backup-other-venue, backup-damaged."""
    with engines.reading(data) as connection:
        rows = connection.execute(select(schema.event.c.entry).where(
            schema.event.c.tag.is_(None)).order_by(schema.event.c.event_id).limit(1)).scalars().all()
    if not rows or _founded(rows[0]) != venue:
        raise BadInput("backup-other-venue", "This backup is of another venue.")


def _founded(event: bytes) -> str:
    damaged = BadInput("backup-damaged", "This backup does not say of which venue it is.")
    try:
        entry = log_entries.parse(event)
    except BadInput:
        raise damaged from None
    venue = entry.body.get("venue") if isinstance(entry, log_entries.Clear) else None
    if not isinstance(venue, str):
        raise damaged
    return venue


def require_marks(data: Engine, now: Instant, here: Settings) -> None:
    """Raise BadInput(backup-damaged) where a kept moment or count is none that this program could have kept by now."""
    with engines.reading(data) as connection:
        marks = {row.name: row.at for row in connection.execute(select(schema.mark))}
    latest = dict.fromkeys(_MOMENTS, now + DAY) | dict.fromkeys(_NUMBERS, _HIGHEST)
    latest["rotate_by"] += here.rotate_within_hours * HOUR  # it is a promise
    latest |= {name: _STRICTEST for name in marks if name.startswith(STRICTER)}
    for name, at in marks.items():
        if name not in latest or not 0 <= at <= latest[name]:
            raise BadInput("backup-damaged", "This backup keeps a time that is still to come, or an impossible count; "
                                             "if it is sound, the clock here is wrong.")
