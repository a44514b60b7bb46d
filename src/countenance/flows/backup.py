"""backup: a copy of one store, as it stands at one moment (docs/flows.md, backup).

Each store apart, so that the two copies may lie apart; the third place is in neither. A copy is a database file: what
holds a face, a name or a history in it is ciphertext, and the keys' copy opens only while its epoch lives.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import BadInput, StoreFault
from countenance.storage import engine as engines

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

DATA, KEYS = "data", "keys"


def backup(venue: Venue, which: str, to: Path,
           progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
    """Write a copy of the store `which`, "data" or "keys", as a new file; whole and durable on return, or absent.

    Raises BadInput(file-exists, backup-unwritable, backup-which), StoreFault. `progress(done, all)` counts pages.
    """
    if which not in (DATA, KEYS):
        raise BadInput("backup-which", "A backup is of the data or of the keys.")
    if os.path.lexists(to):
        raise _exists(to)
    if not to.parent.is_dir():
        raise _unwritable(to)
    with venue.store.write() as unit:  # before it: a copy that nobody knows of is worse than one too many in the log
        unit.tell("backup", {"store": which})
    copy(venue, which, to, progress)


def copy(venue: Venue, which: str, to: Path, progress: Callable[[int, int], None]) -> None:
    """Write a copy of which the log is not told: for a rehearsal, which destroys it at once. Raises as `backup`."""
    stores = {DATA: venue.store.engine, KEYS: venue.keys.engine}
    try:
        engines.copy_to(stores[which], to, progress)
    except FileExistsError:
        raise _exists(to) from None
    except StoreFault as fault:
        if fault.code in {"store-missing", "store-read-only"}:
            raise _unwritable(to) from None
        raise
    except OSError:
        raise _unwritable(to) from None


def _exists(to: Path) -> BadInput:
    return BadInput("file-exists", f"{to.name} exists already; it was left as it is.")


def _unwritable(to: Path) -> BadInput:
    return BadInput("backup-unwritable", f"{to.name} cannot be written there; there is no backup.")
