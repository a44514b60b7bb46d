"""Permits: the only way to a face. DESIGN 1.1, "no permit, no comparison".

A `Permit` is a value that the consent gate makes and that each door takes once. A door is a place
where something becomes possible with a face: computing an embedding (EMBED), storing a template
(SEAL), opening a stored template (OPEN), comparing (COMPARE). What a kind may open is the table
`DOORS`. The book holds the permits that are still worth something; a `Permit` that somebody built,
copied or kept is not in it, so knowing the class is of no use to an attacker.

This protects against mistakes and against every public door of this program. It does not protect
against a venue that replaces the program: LIMITS.md says so.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from countenance.clock import Clock
from countenance.errors import Refused
from countenance.quantities import PersonId, PurposeId, VenueId

LIFETIME_SECONDS = 30.0
"""A permit that was not used by then is worth nothing. Shorter is stricter."""


class Kind(Enum):
    """What a permit is for."""

    ENROL = "enrol"          # make one template of one person who has just said yes; compares nothing
    LOAD = "load"            # re-seal a gallery's live templates into memory; compares nothing
    VERIFY = "verify"        # compare one probe with one person's reference (1:1)
    SEARCH = "search"        # compare one probe with one gallery (1:N), after a press
    DATASET = "dataset"      # evaluate one folder of photographs; opens no venue
    CALIBRATE = "calibrate"  # compare references with each other, under its own consent


class Door(Enum):
    """Where a permit is spent."""

    EMBED = "embed"
    SEAL = "seal"
    OPEN = "open"
    COMPARE = "compare"


DOORS: dict[Kind, frozenset[Door]] = {
    Kind.ENROL: frozenset({Door.EMBED, Door.SEAL}),
    Kind.LOAD: frozenset({Door.OPEN}),
    Kind.VERIFY: frozenset({Door.EMBED, Door.OPEN, Door.COMPARE}),
    Kind.SEARCH: frozenset({Door.EMBED, Door.COMPARE}),
    Kind.DATASET: frozenset({Door.EMBED, Door.COMPARE}),
    Kind.CALIBRATE: frozenset({Door.OPEN, Door.COMPARE}),
}


@dataclass(frozen=True)
class Scope:
    """What a permit is bound to; every field is compared at every door.

    `subject` is a person (ENROL, VERIFY), a gallery with its generation (LOAD, SEARCH, CALIBRATE)
    or a folder (DATASET). `venue` of a DATASET permit is empty, so that it fits no venue's doors.
    """

    kind: Kind
    venue: VenueId
    purpose: PurposeId
    subject: str


@dataclass(frozen=True, eq=False)
class Permit:
    """Leave to do one thing once. Made by the consent gate only; compared by identity only."""

    number: str
    scope: Scope

    def __reduce__(self) -> NoReturn:
        """Refuse copies and pickles: a permit does not leave its process."""
        raise Refused("permit-copied", "A permit cannot be copied, stored or sent.")

    def __copy__(self) -> NoReturn:
        self.__reduce__()

    def __deepcopy__(self, memo: object) -> NoReturn:
        self.__reduce__()


@dataclass
class _Entry:
    permit: Permit
    lapses: float
    left: set[Door]


class PermitBook:
    """The ledger of permits that are still worth something; one per open venue or evaluation.

    Doors hold the book and `spend`. Only whoever was appointed first (the consent gate) can issue.
    Safe for use by several threads: of two that spend the same permit at the same door one is refused.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}  # in the order of issue, so also of lapsing
        self._lock = threading.Lock()
        self._appointed = False

    def appoint(self) -> Callable[[Scope], Permit]:
        """Return the issuing function, once. Raises Refused(permit-issuer) at the second call."""
        with self._lock:
            self._appointed_once()
            self._appointed = True
        return self._issue

    def spend(self, permit: Permit, door: Door, expected: Scope) -> None:
        """Take `permit` at `door`, or raise Refused.

        The checks, in order: (1) issued here, (2) for exactly this scope, (3) its kind may open this
        door, (4) not lapsed, (5) not spent here before. Codes: permit-forged, permit-scope,
        permit-door, permit-expired, permit-spent.
        """
        with self._lock:
            entry = self._issued_here(permit)
            self._right_scope(entry, expected)
            self._right_door(entry, door)
            self._in_time(entry)
            self._first_time(entry, door)
            entry.left.discard(door)

    def _appointed_once(self) -> None:
        if self._appointed:
            raise Refused("permit-issuer", "This book of permits already has its issuer.")

    def _issue(self, scope: Scope) -> Permit:
        permit = Permit(secrets.token_hex(16), scope)
        now = self._clock.monotonic()
        with self._lock:
            self._forget_lapsed(now)
            self._entries[permit.number] = _Entry(permit, now + LIFETIME_SECONDS, set(DOORS[scope.kind]))
        return permit

    def _forget_lapsed(self, now: float) -> None:
        while self._entries:
            number, oldest = next(iter(self._entries.items()))
            if oldest.lapses + LIFETIME_SECONDS > now:  # kept a while, to say "expired" and not "forged"
                return
            del self._entries[number]

    def _issued_here(self, permit: Permit) -> _Entry:
        entry = self._entries.get(getattr(permit, "number", ""))
        if entry is None or entry.permit is not permit:
            raise Refused("permit-forged", "This permit was not made by this venue's consent gate.")
        return entry

    def _right_scope(self, entry: _Entry, expected: Scope) -> None:
        if entry.permit.scope != expected:
            raise Refused("permit-scope", "This permit is for another kind, person, purpose or venue.")

    def _right_door(self, entry: _Entry, door: Door) -> None:
        if door not in DOORS[entry.permit.scope.kind]:
            raise Refused("permit-door", "This kind of permit does not open this door.")

    def _in_time(self, entry: _Entry) -> None:
        if self._clock.monotonic() >= entry.lapses:
            raise Refused("permit-expired", "This permit has lapsed; the person must ask again.")

    def _first_time(self, entry: _Entry, door: Door) -> None:
        if door not in entry.left:
            raise Refused("permit-spent", "This permit has been used here before.")


def person_scope(kind: Kind, venue: VenueId, purpose: PurposeId, person: PersonId) -> Scope:
    """Return the scope of a permit about one person."""
    return Scope(kind, venue, purpose, f"person:{person}")


def gallery_scope(kind: Kind, venue: VenueId, purpose: PurposeId, generation: int) -> Scope:
    """Return the scope of a permit about a gallery as it stood at one generation of its consents."""
    return Scope(kind, venue, purpose, f"gallery:{generation}")


def load_scope(venue: VenueId, purpose: PurposeId, generation: int, templates: Iterable[str], *,
               calibrates: bool = False) -> Scope:
    """Return the scope of a permit to hold exactly these templates in memory, or to compare them with each other."""
    listed = hashlib.sha256("\n".join(sorted(templates)).encode()).hexdigest()
    return Scope(Kind.CALIBRATE if calibrates else Kind.LOAD, venue, purpose, f"gallery:{generation}:{listed}")


def dataset_scope(folder_digest: str) -> Scope:
    """Return the scope of a permit to evaluate one folder of photographs, by the digest of its listing."""
    return Scope(Kind.DATASET, VenueId(""), PurposeId("evaluation"), f"dataset:{folder_digest}")
