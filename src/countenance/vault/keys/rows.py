"""The rows of `keys.db` as SQL sees them: which epoch is the newest, whose a key is, and deleting for good.

No key is unwrapped here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, delete, func, select

from countenance.errors import StoreFault
from countenance.quantities import KeyId, PersonId
from countenance.storage import engine as engines
from countenance.storage.key_schema import wrapped_key

BATCH = 2_000

_OWNED = select(wrapped_key.c.key_id, wrapped_key.c.binding)


def newest_epoch(connection: Connection) -> int:
    """Return the number of the newest epoch that any key is wrapped under, 0 where there is no key.

    Ask for it before the file of the epochs is read: that one is ahead of the keys at every moment.
    """
    return int(connection.execute(select(func.max(wrapped_key.c.epoch))).scalar_one() or 0)


def newest_epoch_in(path: Path) -> int:
    """Return the same of a file that nothing has opened; 0 where it is missing."""
    if not path.is_file():
        return 0
    engine = engines.open_engine(path)
    try:
        with engines.reading(engine) as connection:
            return newest_epoch(connection)
    finally:
        engine.dispose()


def require_current(newest: int, epochs: Iterable[int]) -> None:
    """Raise StoreFault(epoch-older) where a key is of a later epoch than the file of the epochs has."""
    if newest > max(epochs):
        raise StoreFault("epoch-older",
                         "This epoch key is older than the keys that it should open; faces wait for the newest one.")


def owned(connection: Connection, bindings: Callable[[KeyId], Container[bytes]],
          among: Sequence[KeyId] | None = None) -> list[KeyId]:
    """Return the keys whose binding is one of `bindings(key_id)`: of some keys, or (None) of all that there are."""
    if among is None:
        found = connection.execute(_OWNED).partitions(BATCH)
        return [row.key_id for part in found for row in part if row.binding in bindings(row.key_id)]
    return [row.key_id for some in batches(among) for row in connection.execute(
        _OWNED.where(wrapped_key.c.key_id.in_(some))) if row.binding in bindings(row.key_id)]


def owned_by(connection: Connection, whose: Sequence[tuple[PersonId, str, Sequence[KeyId]]],
             bindings: Callable[[PersonId, str, KeyId], Container[bytes]]) -> list[KeyId]:
    """Return the keys of several people for a purpose each: of those that are named, or else of all that there are.

    A key that is named and not there is returned too: that it may not come back is written down all the same.
    """
    found: list[KeyId] = []
    for person, purpose, key_ids in whose:
        theirs = partial(bindings, person, purpose)
        there = set(present(connection, key_ids))
        found += owned(connection, theirs, key_ids) or owned(connection, theirs)
        found += [key_id for key_id in key_ids if key_id not in there]
    return found


def present(connection: Connection, key_ids: Sequence[KeyId]) -> list[KeyId]:
    """Return which of these keys there are."""
    return [key_id for some in batches(key_ids) for key_id in connection.execute(
        select(wrapped_key.c.key_id).where(wrapped_key.c.key_id.in_(some))).scalars()]


def remove(connection: Connection, key_ids: Sequence[KeyId]) -> None:
    """Delete keys; absent is fine. Raises StoreFault(store-corrupt) where one is there all the same."""
    for some in batches(key_ids):
        connection.execute(delete(wrapped_key).where(wrapped_key.c.key_id.in_(some)))
    if present(connection, key_ids):  # a trigger that nobody of ours wrote
        raise StoreFault("store-corrupt", "The key store does not let go of a key; it was tampered with.")


def batches(key_ids: Sequence[KeyId]) -> list[list[KeyId]]:
    """Return the ids in parts that one statement takes."""
    return [list(key_ids[at : at + BATCH]) for at in range(0, len(key_ids), BATCH)]
