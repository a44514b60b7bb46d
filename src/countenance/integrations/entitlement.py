"""Entitlement from a CSV file (`lane.tickets`), read anew when it has changed."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import date
from pathlib import Path

from countenance.errors import BadInput, StoreFault
from countenance.flows.ports import Ticket
from countenance.lane import tickets
from countenance.lane.tickets import COLUMNS, LAST_YEAR, MOST_AT_ONCE, TicketList

__all__ = ["COLUMNS", "LAST_YEAR", "MOST_AT_ONCE", "CsvEntitlement"]


class CsvEntitlement:
    """Reads the file anew when it has changed. See `lane.tickets` on lines that cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = ""
        self._list = TicketList({}, {}, [], {})
        self._lock = threading.Lock()

    def require_good(self, reference: str, on: date) -> Ticket:
        """See `ports.Entitlement`. Good through its last day, in UTC. Raises Refused(ticket-unclear) too."""
        return self._fresh().require_good(reference, on)

    def party(self, reference: str, on: date) -> int:
        """See `ports.Entitlement`."""
        return self._fresh().party(reference, on)

    def prefetch(self, references: Collection[str], on: date) -> None:
        """See `ports.Entitlement`: the list is at hand."""

    def version(self) -> str:
        """See `ports.Entitlement`."""
        try:
            stat = self._path.stat()
        except OSError:
            raise StoreFault("entitlement-missing", "The list of tickets cannot be read.") from None
        return f"{stat.st_mtime_ns}/{stat.st_size}/{stat.st_ino}"

    def require_whole(self) -> None:
        """Raise BadInput(entitlement-lines) where some lines are nobody's ticket."""
        lines = self._fresh().faulty
        if lines:
            told = ", ".join(map(str, lines[:5])) + (" and more" if len(lines) > 5 else "")
            raise BadInput("entitlement-lines",
                           f"In the list of tickets these lines count for nobody (dates are YYYY-MM-DD): {told}.")

    def _fresh(self) -> TicketList:
        with self._lock:
            version = self.version()
            if version != self._version:
                self._list = _read(self._path)
                self._version = version
            return self._list


def _read(path: Path) -> TicketList:
    try:
        return tickets.parse(path.read_bytes())
    except OSError:
        raise StoreFault("entitlement-missing", "The list of tickets cannot be read.") from None
