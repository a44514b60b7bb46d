"""Entitlement from a CSV file: `person_ref,household,valid_until,language,contact`, UTF-8, one ticket a line."""

from __future__ import annotations

import csv
import threading
from datetime import date
from pathlib import Path

from countenance.clock import parse_day
from countenance.errors import BadInput, Refused, StoreFault
from countenance.flows.ports import Ticket

COLUMNS = ("person_ref", "household", "valid_until", "language", "contact")


class CsvEntitlement:
    """Reads the file anew when it has changed. Contacts are not kept: no story here needs them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = ""
        self._tickets: dict[str, Ticket] = {}
        self._lock = threading.Lock()

    def require_good(self, reference: str, on: date) -> Ticket:
        """See `ports.Entitlement`. A ticket is good through its last day, in UTC."""
        with self._lock:
            self._refresh()
            ticket = self._tickets.get(reference)
        if ticket is None:
            raise Refused("ticket-unknown", "There is no ticket with this reference.")
        if on > ticket.valid_until:
            raise Refused("ticket-expired", "This ticket has expired.")
        return ticket

    def version(self) -> str:
        """See `ports.Entitlement`."""
        try:
            stat = self._path.stat()
        except OSError:
            raise StoreFault("entitlement-missing", "The list of tickets cannot be read.") from None
        return f"{stat.st_mtime_ns}/{stat.st_size}/{stat.st_ino}"

    def _refresh(self) -> None:
        version = self.version()
        if version != self._version:
            self._tickets = _read(self._path)
            self._version = version


def _read(path: Path) -> dict[str, Ticket]:
    tickets: dict[str, Ticket] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            if tuple(next(rows, ())) != COLUMNS:
                raise BadInput("entitlement-columns", f"The list of tickets needs the columns {','.join(COLUMNS)}.")
            for number, row in enumerate(rows, start=2):
                ticket = _ticket(row, number)
                if ticket.reference in tickets:
                    raise BadInput("entitlement-twice", f"Line {number} of the list of tickets repeats a reference.")
                tickets[ticket.reference] = ticket
    except OSError:
        raise StoreFault("entitlement-missing", "The list of tickets cannot be read.") from None
    except (csv.Error, UnicodeDecodeError):
        raise BadInput("entitlement-malformed", "The list of tickets is not a UTF-8 CSV file.") from None
    return tickets


def _ticket(row: list[str], number: int) -> Ticket:
    try:
        reference, household, until, language, _contact = row
        ticket = Ticket(reference, household, parse_day(until), language)
    except ValueError:
        raise BadInput("entitlement-line", f"Line {number} of the list of tickets cannot be read.") from None
    if not reference:
        raise BadInput("entitlement-line", f"Line {number} of the list of tickets has no reference.")
    return ticket
