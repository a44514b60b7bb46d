"""Which keys of a key store open: tried before a copy takes the place of the store, and whenever it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, bindparam, select

from countenance.errors import BadInput, StoreFault
from countenance.quantities import KeyId
from countenance.storage import engine as engines
from countenance.storage.key_schema import wrapped_key
from countenance.vault.keys.epochs import Epoch
from countenance.vault.keys.sealing import Wrapping

_BATCH = 2_000
_PART = (select(wrapped_key).where(wrapped_key.c.key_id > bindparam("after"))
         .order_by(wrapped_key.c.key_id).limit(_BATCH))


def openable(engine: Engine, epochs: Sequence[Epoch]) -> dict[KeyId, str]:
    """Unwrap every key of these epochs, keep none, and return their ids, each with its kind.

    Keys of other epochs open nothing any more, and are left out. Raises BadInput(backup-damaged) where none of the
    epochs' own keys opens, StoreFault(key-altered) where some do not.
    """
    wrappings = {epoch.number: Wrapping(epoch.number, epoch.key) for epoch in epochs}
    opened: dict[KeyId, str] = {}
    closed, after = 0, ""
    while True:
        with engines.reading(engine) as connection:
            rows = connection.execute(_PART, {"after": after}).all()
        for row in rows:
            if row.epoch not in wrappings:
                continue
            try:
                key = wrappings[row.epoch].unwrap(row.key_id, row.binding, row.wrapped)
            except StoreFault:
                closed += 1
            else:
                key[:] = bytes(len(key))
                opened[KeyId(row.key_id)] = row.kind
        if not rows:
            break
        after = rows[-1].key_id
    if closed and not opened:
        raise BadInput("backup-damaged", "None of these keys opens here: they were altered, or are of another venue.")
    if closed:
        raise StoreFault("key-altered", f"{closed} keys of this key store were altered, and do not open.")
    return opened
