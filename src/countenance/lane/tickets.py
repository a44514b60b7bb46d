"""The list of tickets as a CSV file: `person_ref,household,valid_until,language,contact`, UTF-8, one ticket a line.

A line that cannot be read, or a reference that stands twice, is nobody's ticket; it closes no lane for others.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date

from countenance.clock import parse_day
from countenance.errors import BadInput, Refused

LAST_YEAR = 2999
MOST_AT_ONCE = 50
"""How many people one scan admits at most. Fewer is stricter."""

COLUMNS = ("person_ref", "household", "valid_until", "language", "contact")


@dataclass(frozen=True)
class Ticket:
    """What a ticket says. `reference` is the venue's own booking number; nothing here concerns a face."""

    reference: str
    household: str
    valid_until: date
    language: str


@dataclass(frozen=True)
class TicketList:
    """A list as it was read. Contacts are not kept: no story here needs them."""

    tickets: dict[str, Ticket]
    unclear: dict[str, str]  # reference to what is wrong with it
    faulty: list[int]        # numbers of lines
    households: dict[str, list[str]]  # name to references

    def require_good(self, reference: str, on: date) -> Ticket:
        """Return the ticket; it is good through its last day, in UTC.

        Raises Refused(ticket-unclear, ticket-unknown, ticket-expired).
        """
        if reference in self.unclear:
            raise Refused("ticket-unclear", f"This ticket's line in the list {self.unclear[reference]}.")
        ticket = self.tickets.get(reference)
        if ticket is None:
            raise Refused("ticket-unknown", "There is no ticket with this reference.")
        if on > ticket.valid_until:
            raise Refused("ticket-expired", "This ticket has expired.")
        return ticket

    def party(self, reference: str, on: date) -> int:
        """Return how many one scan may admit: the good tickets of this one's household. Raises as `require_good`."""
        household = self.require_good(reference, on).household
        members = self.households.get(household, []) if household else []
        good = [name for name in members if name in self.tickets and on <= self.tickets[name].valid_until]
        return min(MOST_AT_ONCE, max(1, len(good)))


def parse(data: bytes) -> TicketList:
    """Read a list. Raises BadInput(entitlement-columns, entitlement-malformed) where it is no list at all."""
    found = TicketList({}, {}, [], {})
    try:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)  # spreadsheets write a mark
        if tuple(next(rows, ())) != COLUMNS:
            raise BadInput("entitlement-columns", f"The list of tickets needs the columns {','.join(COLUMNS)}.")
        for row in rows:
            _take(found, row, rows.line_num)
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


def _take(found: TicketList, row: list[str], line: int) -> None:
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
