"""Gives events their place in the log, in the transaction that writes them (DESIGN 4).

The size of the log moves by compare-and-swap: of two who would continue it from the same place, one fails and its
transaction with it. A tile of 256 hashes is kept as soon as it is full, and what stands above it grows by one hash;
all tiles can be made again from the events (`rebuild`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from countenance.errors import StoreFault
from countenance.formats import merkle, tiles
from countenance.storage import schema

_LOG, _EVENT, _TILE = schema.log, schema.event, schema.log_tile


@dataclass(frozen=True)
class Head:
    """Where the log stands. Entry `i` is the event with id `first + i`."""

    generation: int
    name: str
    first: int
    size: int

    @property
    def next_id(self) -> int:
        """Return the id that the next event gets."""
        return self.first + self.size


_NEWEST = select(_LOG).order_by(_LOG.c.generation.desc()).limit(1)
_MOVE = update(_LOG).where(_LOG.c.generation == bindparam("which"), _LOG.c.size == bindparam("was")).values(
    size=bindparam("becomes"))
_ENTRIES = select(_EVENT.c.entry).where(
    _EVENT.c.event_id >= bindparam("low"), _EVENT.c.event_id < bindparam("high")).order_by(_EVENT.c.event_id)
_HASHES = select(_TILE.c.hashes).where(
    _TILE.c.generation == bindparam("which"), _TILE.c.level == bindparam("on"), _TILE.c.number == bindparam("at"))
_KEEP = upsert(_TILE)
_KEEP = _KEEP.on_conflict_do_update(
    index_elements=["generation", "level", "number"], set_={"hashes": _KEEP.excluded.hashes})


def head(connection: Connection) -> Head:
    """Return where the log stands. Raises StoreFault(log-missing)."""
    row = connection.execute(_NEWEST).one_or_none()
    if row is None:
        raise StoreFault("log-missing", "The log of this data folder is missing.")
    return Head(row.generation, row.name, row.first, row.size)


def begin(connection: Connection) -> Head:
    """Begin a log, or a new one where an older cannot be continued; return its head.

    Another than the first has a random name: from one backup it may be begun twice, and two logs of one name that
    differ would look like forgery.
    """
    generation = (connection.execute(select(func.max(_LOG.c.generation))).scalar_one() or 0) + 1
    newest = connection.execute(select(func.max(_EVENT.c.event_id))).scalar_one() or 0
    name = "" if generation == 1 else secrets.token_hex(8)
    connection.execute(insert(_LOG).values(generation=generation, name=name, first=newest + 1, size=0))
    return Head(generation, name, newest + 1, 0)


def advance(connection: Connection, was: Head, number: int) -> None:
    """Take `number` events, just written from `was.next_id` on, into the log.

    Raises StoreFault(log-fenced) where the log was continued by another meanwhile; then nothing of it holds.
    """
    becomes = was.size + number
    moved = connection.execute(_MOVE, {"which": was.generation, "was": was.size, "becomes": becomes})
    if moved.rowcount != 1:
        raise StoreFault("log-fenced", "Another process continued the log; nothing was written.")
    for tile in range(was.size // tiles.WIDTH, becomes // tiles.WIDTH):
        _fill(connection, was, tile)


def entries(connection: Connection, at: Head, low: int, high: int) -> list[bytes]:
    """Return the entries `low` to `high` (not included) of the log. Raises StoreFault(log-damaged)."""
    found = connection.execute(_ENTRIES, {"low": at.first + low, "high": at.first + high}).scalars().all()
    if len(found) != high - low:
        raise _damaged()
    return list(found)


def hashes(connection: Connection, at: Head, level: int, number: int, width: int) -> list[bytes]:
    """Return the first `width` hashes of a tile. Raises StoreFault(log-damaged)."""
    if level == 0 and width < tiles.WIDTH:
        low = number * tiles.WIDTH
        return [merkle.leaf_hash(entry) for entry in entries(connection, at, low, low + width)]
    kept = connection.execute(_HASHES, {"which": at.generation, "on": level, "at": number}).scalar_one_or_none()
    if kept is None or len(kept) < width * merkle.HASH_BYTES:
        raise _damaged()
    return tiles.split(kept[:width * merkle.HASH_BYTES], width)


def rebuild(connection: Connection) -> Iterator[tuple[int, int]]:
    """Make all tiles of the newest log again from its events; yields (done, all) entries on the way.

    Raises StoreFault(log-damaged) where an event is missing.
    """
    at = head(connection)
    connection.execute(delete(_TILE).where(_TILE.c.generation == at.generation))
    full = at.size // tiles.WIDTH
    for number in range(full):
        entries(connection, at, number * tiles.WIDTH, (number + 1) * tiles.WIDTH)
        _fill(connection, at, number)
        yield (number + 1) * tiles.WIDTH, at.size


def _fill(connection: Connection, at: Head, number: int) -> None:
    """Keep a full tile of leaves. Where an event is missing it is left out, and those above too: that is found later.

    Nobody's withdrawal waits for a damaged log.
    """
    low = number * tiles.WIDTH
    found = connection.execute(_ENTRIES, {"low": at.first + low, "high": at.first + low + tiles.WIDTH}).scalars().all()
    if len(found) == tiles.WIDTH:
        _keep(connection, at, 0, number, [merkle.leaf_hash(entry) for entry in found])


def _keep(connection: Connection, at: Head, level: int, number: int, full: list[bytes]) -> None:
    _put(connection, at, level, number, b"".join(full))
    above, place = divmod(number, tiles.WIDTH)
    where: dict[str, Any] = {"which": at.generation, "on": level + 1, "at": above}
    kept = connection.execute(_HASHES, where).scalar_one_or_none() or b""
    if len(kept) != place * merkle.HASH_BYTES:
        return
    kept += merkle.root(full)
    _put(connection, at, level + 1, above, kept)
    if place == tiles.WIDTH - 1:
        _keep(connection, at, level + 1, above, tiles.split(kept, tiles.WIDTH))


def _put(connection: Connection, at: Head, level: int, number: int, data: bytes) -> None:
    connection.execute(_KEEP, {"generation": at.generation, "level": level, "number": number, "hashes": data})


def _damaged() -> StoreFault:
    return StoreFault("log-damaged", "An entry of the log is missing or was altered; `log verify` tells more.")
