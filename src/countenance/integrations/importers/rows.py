"""What the importers share: a row of any source, judged for itself; one that cannot be used stops no other."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.clock import utc_day
from countenance.errors import BadInput, CountenanceError
from countenance.flows import awaiting
from countenance.flows.awaiting import Newcomer, Roll

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

MOST_ROWS = 1_000_000
LARGEST = 256 << 20
"""Rows of one import, and bytes of a file that is read. Fewer is stricter."""

LONGEST_HOUSEHOLD = 64

TAKEN = "row-taken"
"""The outcome of a row that puts somebody on record; every other one is a reason why it does not."""

_REASONS = {"reference-missing": "row-reference-missing", "reference-text": "row-reference-text",
            "reference-language": "row-language"}


@dataclass(frozen=True)
class Row:
    """One row as it was read. `place` is where it stands, for whoever mends it; `fault`: it could not be read."""

    place: str
    reference: str
    language: str = ""
    household: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Judged:
    """What becomes of a row: `row-taken`, or why not."""

    place: str
    outcome: str


@dataclass
class Imported:
    """What an import did, or would do. Every row is in `rows`; `ignored`: what was there and was not read."""

    rows: list[Judged] = field(default_factory=list)
    added: int = 0
    without_ticket: int = 0
    invitations: list[tuple[str, str]] = field(default_factory=list)
    ignored: tuple[str, ...] = ()


def bring_in(venue: Venue, rows: Iterable[Row], source: str, *, language: str = "en", dry_run: bool = False,
             invite: bool = False, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Imported:
    """Judge every row, and put on record whoever is new. `language`: of a row that says none.

    A dry run changes nothing and makes no invitation. Raises BadInput(rows-too-many, reference-language), StoreFault.
    """
    awaiting.require_language(language)
    found = Imported()
    roll = Roll(venue)
    taken: dict[str, Newcomer] = {}
    waiting: dict[str, Newcomer] = {}
    for number, row in enumerate(rows):
        if number >= MOST_ROWS:
            raise BadInput("rows-too-many", f"An import has at most {MOST_ROWS:,} rows; nobody was brought in.")
        outcome, one = _judge(row, language, taken, waiting)
        if one is not None and roll.person(one.reference) is not None:
            outcome = "row-known"
            waiting[one.reference] = one
        elif one is not None:
            taken[one.reference] = one
        found.rows.append(Judged(row.place, outcome))
    found.added = len(taken)
    found.without_ticket = _without_ticket(venue, taken)
    if not dry_run:
        asked = [*taken.values(), *(waiting.values() if invite else ())]
        done = awaiting.add_all(venue, asked, source, invite=invite, progress=progress)
        found.invitations = [(one.reference, one.invitation) for one in done if one.invitation]
    return found


def _judge(row: Row, language: str, *seen: dict[str, Newcomer]) -> tuple[str, Newcomer | None]:
    if row.fault:
        return row.fault, None
    try:
        reference = awaiting.require_reference(unicodedata.normalize("NFC", row.reference))
        spoken = awaiting.require_language(row.language.strip() or language)
    except BadInput as fault:
        return _REASONS[fault.code], None
    household = row.household.strip()
    if len(household) > LONGEST_HOUSEHOLD or not household.isprintable():
        return "row-household", None
    if any(reference in others for others in seen):
        return "row-reference-twice", None
    return TAKEN, Newcomer(reference, spoken, household)


def _without_ticket(venue: Venue, taken: dict[str, Newcomer]) -> int:
    today, missing = utc_day(venue.clock.now()), 0
    for reference in taken:
        try:
            venue.entitlement.require_good(reference, today)
        except CountenanceError:  # they can be on record all the same; without one they cannot enrol
            missing += 1
    return missing


def require_file(path: Path) -> None:
    """Raise BadInput(file-unreadable, file-too-large) unless this is a plain file; no link is followed.

    `LARGEST` bytes at most, so that a file without an end, or one that unpacks itself, fills nothing.
    """
    try:
        if path.is_symlink() or not path.is_file():
            raise BadInput("file-unreadable", f"{path.name} is no plain file.")
        if path.stat().st_size > LARGEST:
            raise BadInput("file-too-large", f"{path.name} is larger than {LARGEST >> 20} MiB.")
    except OSError:
        raise BadInput("file-unreadable", f"{path.name} cannot be read.") from None
