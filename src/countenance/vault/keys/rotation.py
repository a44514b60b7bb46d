"""Rotation: living keys are wrapped anew under a fresh epoch, and the old epoch dies with every older copy.

(1) both epochs are in the third place, and in its off-site copy; (2) living keys are rewrapped, a batch at a
time; a key that nobody knows stops the rotation, or (`leave_unknown`) is left behind; (3) the key store's log is
emptied; (4) the old epoch is destroyed, off-site first. Safe to interrupt anywhere: done again it goes on
where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select

from countenance.errors import StoreFault
from countenance.quantities import Instant
from countenance.storage import engine as engines
from countenance.storage.key_schema import wrapped_key
from countenance.vault.keys import gone, rows
from countenance.vault.keys.epochs import Epoch
from countenance.vault.keys.sealing import Wrapping
from countenance.vault.keys.third import ThirdPlace

_ROUNDS = 10

BATCH = 20_000
"""Keys of one transaction: 3 MB of log, and as often a sync to the disk."""

_PART = (select(wrapped_key.c.key_id, wrapped_key.c.binding, wrapped_key.c.wrapped, wrapped_key.c.epoch)
         .where(wrapped_key.c.key_id > bindparam("after")).order_by(wrapped_key.c.key_id).limit(BATCH))
# As SQLite itself takes them: a third faster for a million rows than through SQLAlchemy's own statements.
_MOVE = "UPDATE wrapped_key SET wrapped = ?, epoch = ? WHERE key_id = ?"
_DROP = "DELETE FROM wrapped_key WHERE key_id = ?"


@dataclass(frozen=True)
class _Turn:
    old: Epoch
    new: Epoch
    living: Container[str] | None
    """None: every key that is there."""
    total: int


def rotate(engine: Engine, place: ThirdPlace, now: Instant, living: Callable[[], Container[str]],
           progress: Callable[[int, int], None], leave_unknown: bool = False) -> int:
    """Rotate, and return the number of the epoch in force then. `progress(done, all)` counts keys.

    `living` is called once both epochs are in place: a key that is made later is under the new one. Raises
    StoreFault: offsite-* and keys-unknown (the rotation is not finished then), epoch-older (it has not begun),
    epoch-missing, key-altered, store-*.
    """
    with engines.writing(engine) as connection:  # two that rotate take turns: the second joins the first's
        epochs = place.epochs.read()
        rows.require_current(rows.newest_epoch(connection), [epoch.number for epoch in epochs])
        if len(epochs) == 1:
            fresh = place.epochs.add_next(epochs[0], now)
            place.gone.new_epoch(fresh.number)
            epochs.append(fresh)
        total = int(connection.execute(select(func.count()).select_from(wrapped_key)).scalar_one())
    needed = living()
    if not leave_unknown:
        _require_known(engine, epochs[0].number, needed, living)
    turn = _Turn(epochs[0], epochs[1], needed if leave_unknown else None, total)
    for _round in range(_ROUNDS):  # again where a key was made under the old epoch meanwhile
        _rewrap(engine, turn, progress)
        engines.empty_wal(engine)
        if _ended(engine, place, turn):
            return turn.new.number
    raise StoreFault("store-corrupt", "A key cannot be brought under the new epoch; the key store is damaged.")


def _require_known(engine: Engine, old: int, needed: Container[str], living: Callable[[], Container[str]]) -> None:
    """Raise StoreFault(keys-unknown) where a key under the old epoch belongs to nobody in the data store.

    The data store is then an older one; to leave the key behind would be the end of somebody's face.
    """
    if _unknown(engine, old, needed) and _unknown(engine, old, living()):  # it may have been made meanwhile
        raise StoreFault("keys-unknown",
                         "The key store has keys that the data store does not know; faces wait for `restore`.")


def _unknown(engine: Engine, old: int, needed: Container[str]) -> list[str]:
    with engines.reading(engine) as connection:
        found = connection.execute(select(wrapped_key.c.key_id).where(wrapped_key.c.epoch == old)).scalars()
        return [key_id for key_id in found if key_id not in needed]


def _rewrap(engine: Engine, turn: _Turn, progress: Callable[[int, int], None]) -> None:
    wrappings = Wrapping(turn.old.number, turn.old.key), Wrapping(turn.new.number, turn.new.key)
    done, after = 0, ""
    while True:
        with engines.writing(engine) as connection:
            part = connection.execute(_PART, {"after": after}).all()
            _batch(connection, [row for row in part if row.epoch == turn.old.number], turn, wrappings)
        if not part:
            return
        done, after = done + len(part), part[-1].key_id
        progress(min(done, turn.total), turn.total)


def _batch(connection: Connection, part: list[Any], turn: _Turn, wrappings: tuple[Wrapping, Wrapping]) -> None:
    old, new = wrappings
    moved = [(old.rewrap(new, key_id, binding, wrapped), new.number, key_id)
             for key_id, binding, wrapped, _ in part if turn.living is None or key_id in turn.living]
    left = [(key_id,) for key_id, *_ in part if turn.living is not None and key_id not in turn.living]
    if moved:
        connection.exec_driver_sql(_MOVE, moved)
    if left:
        connection.exec_driver_sql(_DROP, left)


def _ended(engine: Engine, place: ThirdPlace, turn: _Turn) -> bool:
    """Destroy the old epoch if no key is left under it; nobody can make one meanwhile."""
    left = select(func.count()).where(wrapped_key.c.epoch == turn.old.number)
    with engines.writing(engine) as connection:
        if connection.execute(left).scalar_one():
            return False
        if any(epoch.number == turn.old.number for epoch in place.epochs.read()):  # another may have ended it
            place.epochs.keep_only(turn.new)
            with suppress(gone.Lost):  # which closes the face lane by itself
                place.gone.restart()
    return True
