"""opening: the way into a venue. What a crash interrupted is finished before anything else happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from countenance import settings
from countenance.clock import Clock, SystemClock
from countenance.flows.found import LOCK
from countenance.flows.ports import Entitlement
from countenance.flows.recover import recover
from countenance.flows.venue import Venue
from countenance.storage.folder import moved_in


@contextmanager
def open_venue(folder: Path, entitlement: Entitlement, clock: Clock | None = None) -> Iterator[Venue]:
    """Open a data folder, finish what was interrupted, and close it at the end.

    Raises StoreFault: store-absent, store-incomplete, store-missing, store-newer, epoch-missing, ...
    """
    settings.load(folder)
    with moved_in(folder / LOCK) as tenancy:  # first: a restore may put other files in the place of the databases
        venue = Venue(folder, clock or SystemClock(), entitlement)
        try:
            if tenancy.alone:
                recover(venue)
            else:
                venue.look_for_older_stores()
            venue.look_at_log()
            tenancy.share()
            yield venue
        finally:
            venue.close()
