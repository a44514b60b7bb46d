"""Entitlement from a CSV file: `person_ref,household,valid_until,language,contact`, UTF-8, one ticket a line."""

from __future__ import annotations

import csv
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from countenance.clock import parse_day
from countenance.errors import BadInput, Refused, StoreFault
from countenance.flows.ports import Ticket

LAST_YEAR = 2999
MOST_AT_ONCE = 50
"""How many people one scan admits at most. Fewer is stricter."""

COLUMNS = ("person_ref", "household", "valid_until", "language", "contact")


class CsvEntitlement:
    """Reads the file anew when it has changed. Contacts are not kept: no story here needs them.

    A line that cannot be read, or a reference that stands twice, is nobody's ticket; it closes no lane for others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = ""
        self._list = _List({}, {}, [], {})
        self._lock = threading.Lock()

    def require_good(self, reference: str, on: date) -> Ticket:
        """See `ports.Entitlement`. Good through its last day, in UTC. Raises Refused(ticket-unclear) too."""
        with self._lock:
            self._refresh()
            if reference in self._list.unclear:
                raise Refused("ticket-unclear", f"This ticket's line in the list {self._list.unclear[reference]}.")
            ticket = self._list.tickets.get(reference)
        if ticket is None:
            raise Refused("ticket-unknown", "There is no ticket with this reference.")
        if on > ticket.valid_until:
            raise Refused("ticket-expired", "This ticket has expired.")
        return ticket

    def party(self, reference: str, on: date) -> int:
        """See `ports.Entitlement`."""
        household = self.require_good(reference, on).household
        with self._lock:
            members = self._list.households.get(household, []) if household else []
            tickets = [self._list.tickets[name] for name in members if name in self._list.tickets]
        good = [ticket for ticket in tickets if on <= ticket.valid_until]
        return min(MOST_AT_ONCE, max(1, len(good)))

    def version(self) -> str:
        """See `ports.Entitlement`."""
        try:
            stat = self._path.stat()
        except OSError:
            raise StoreFault("entitlement-missing", "The list of tickets cannot be read.") from None
        return f"{stat.st_mtime_ns}/{stat.st_size}/{stat.st_ino}"

    def require_whole(self) -> None:
        """Raise BadInput(entitlement-lines) where some lines are nobody's ticket."""
        with self._lock:
            self._refresh()
            lines = self._list.faulty
        if lines:
            told = ", ".join(map(str, lines[:5])) + (" and more" if len(lines) > 5 else "")
            raise BadInput("entitlement-lines",
                           f"In the list of tickets these lines count for nobody (dates are YYYY-MM-DD): {told}.")

    def _refresh(self) -> None:
        version = self.version()
        if version != self._version:
            self._list = _read(self._path)
            self._version = version


@dataclass(frozen=True)
class _List:
    tickets: dict[str, Ticket]
    unclear: dict[str, str]  # reference to what is wrong with it
    faulty: list[int]        # numbers of lines
    households: dict[str, list[str]]  # name to references


def _read(path: Path) -> _List:
    found = _List({}, {}, [], {})
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a byte order mark
            rows = csv.reader(file, strict=True)
            if tuple(next(rows, ())) != COLUMNS:
                raise BadInput("entitlement-columns", f"The list of tickets needs the columns {','.join(COLUMNS)}.")
            for row in rows:
                _take(found, row, rows.line_num)
    except OSError:
        raise StoreFault("entitlement-missing", "The list of tickets cannot be read.") from None
    except (csv.Error, UnicodeDecodeError):
        raise BadInput("entitlement-malformed", "The list of tickets is not a UTF-8 CSV file.") from None
    return found


def _named(household: str) -> str:
    """Return a household's name, or "": blanks and dashes are what people write where there is none."""
    name = household.strip()
    return name if name.strip("- ") else ""


def _within_reason(day: date) -> date:
    if day.year > LAST_YEAR:
        raise ValueError(day)
    return day


def _take(found: _List, row: list[str], line: int) -> None:
    if not row:
        return
    reference = row[0]
    try:
        _, household, until, language, _contact = row
        ticket = Ticket(reference, _named(household), _within_reason(parse_day(until)), language)
    except ValueError:
        found.unclear[reference] = "cannot be read"
    else:
        if reference not in found.tickets and reference not in found.unclear and reference:
            found.tickets[reference] = ticket
            found.households.setdefault(ticket.household, []).append(reference)
            return
        found.unclear[reference] = "stands there twice"
    found.tickets.pop(reference, None)
    found.faulty.append(line)
