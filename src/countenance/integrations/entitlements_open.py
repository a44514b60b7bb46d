"""Which entitlement a venue has settled on: its ticket list, or a ticketing system that is asked."""

from __future__ import annotations

from pathlib import Path

from countenance import settings
from countenance.clock import Clock
from countenance.flows.ports import Entitlement
from countenance.integrations.entitlement import CsvEntitlement


def open_entitlement(folder: Path, clock: Clock) -> Entitlement:
    """Return the entitlement of a data folder. Raises StoreFault (store-*, settings-*), BadInput(ticketing-*)."""
    here = settings.load(folder)
    if not here.ticketing_url:
        return CsvEntitlement(folder / here.entitlement_csv)
    from countenance.integrations.ticketing import TicketingEntitlement  # its HTTP client takes 100 ms to import

    return TicketingEntitlement(folder, here, clock)
