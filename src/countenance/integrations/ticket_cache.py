"""Answers of a ticketing system, kept with their date, in memory and in `tickets.cache`.

The file holds booking numbers, as a ticket list does, and nothing about faces. It lets both lanes go on after a restart
while the ticketing system is silent; the lane without faces reads it through `CachedEntitlement`, without any network.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from datetime import date
from pathlib import Path

from countenance import durable
from countenance.clock import Clock
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.flows.ports import Ticket
from countenance.formats import entitlements
from countenance.formats.entitlements import Answer, Cache, Kept, State
from countenance.quantities import VenueId
from countenance.storage.folder import waited_for

FILE = "tickets.cache"
_LOCK = "tickets.cache.lock"
_LOCK_S = 1.0
SAVE_S = 30.0
"""Seconds between two writings, except where a ticket is good no more, which is written at once."""


class TicketCache:
    """What one venue was told. All methods may be called by several threads."""

    def __init__(self, path: Path, venue: VenueId, hours: int, clock: Clock) -> None:
        self._path, self._venue, self._hours, self._clock = path, venue, hours, clock
        self._lock, self._saving = threading.Lock(), threading.Lock()
        self._kept = self._read()
        self._unsaved, self._saved_at = False, -SAVE_S

    def _read(self) -> dict[str, Kept]:
        """Return what the file holds; nothing where it is missing, another venue's or damaged."""
        try:
            cache = entitlements.read_cache(durable.read(self._path, entitlements.LARGEST_CACHE))
        except (OSError, BadInput):
            return {}
        return cache.kept if cache.venue == self._venue else {}

    def get(self, reference: str) -> Kept | None:
        """Return what was last said of a ticket, if that may still stand for anything."""
        kept = self._kept.get(reference)
        return kept if kept is not None and kept.stands(self._clock.now(), self._hours) else None

    def take(self, answers: Iterable[Answer], on: date) -> set[str]:
        """Put answers in the place of older ones; return the references of which something else was said before."""
        now, other, ended = self._clock.now(), set(), False
        with self._lock:
            for answer in answers:
                before = self._kept.get(answer.reference)
                if before is None or before.answer != answer:
                    other.add(answer.reference)
                    ended |= before is not None and before.answer.state is State.GOOD
                self._kept[answer.reference] = Kept(answer, on, now)
            self._unsaved = True
        if ended or self._clock.monotonic() - self._saved_at >= SAVE_S:
            self.save()
        return other

    def save(self) -> None:
        """Write the file, if there is anything new. A disk that takes nothing closes no lane."""
        with self._saving:
            with self._lock:
                if not self._unsaved:
                    return
                self._unsaved, self._saved_at = False, self._clock.monotonic()
                self._kept = self._standing()
                kept = dict(self._kept)
            data = entitlements.write_cache(Cache(self._venue, self._hours, kept))
            try:
                with waited_for(self._path.with_name(_LOCK), _LOCK_S):
                    durable.write(self._path, data, durable.SECRET)
            except (OSError, StoreFault):
                with self._lock:
                    self._unsaved = True

    def _standing(self) -> dict[str, Kept]:
        """Return what may still stand for anything, the newest of it where there is too much."""
        now = self._clock.now()
        found = {name: kept for name, kept in self._kept.items() if kept.stands(now, self._hours)}
        if len(found) <= entitlements.MOST_KEPT:
            return found
        newest = sorted(found.items(), key=lambda item: item[1].given_at, reverse=True)
        return dict(newest[:entitlements.MOST_KEPT])


def ticket_of(answer: Answer) -> Ticket:
    """Return a good answer as the stories take it."""
    return Ticket(answer.reference, answer.household, answer.valid_until, answer.language)


class CachedEntitlement:
    """Tickets by what was kept alone: for the lane without faces, while another process asks and writes.

    Reads the file anew when it has changed. An answer stands as long as the file says, and no longer.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        self._version, self._cache = "", Cache(VenueId(""), 1, {})

    def require_good(self, reference: str, on: date) -> Ticket:
        """See `ports.Entitlement`. Raises StoreFault (entitlement-missing, ticketing-silent) too."""
        return ticket_of(self._good(reference, on))

    def party(self, reference: str, on: date) -> int:
        """See `ports.Entitlement`: as many as the ticketing system said."""
        return self._good(reference, on).party

    def prefetch(self, references: Collection[str], on: date) -> None:
        """See `ports.Entitlement`: there is nobody to ask."""

    def require_whole(self) -> None:
        """Raise BadInput(ticket-cache-malformed), StoreFault(entitlement-missing) where the file is not usable."""
        with self._lock:
            self._refresh()

    def version(self) -> str:
        """See `ports.Entitlement`."""
        try:
            stat = self._path.stat()
        except OSError:
            raise _missing() from None
        return f"{stat.st_mtime_ns}/{stat.st_size}/{stat.st_ino}"

    def _good(self, reference: str, on: date) -> Answer:
        with self._lock:
            self._refresh()
            kept, hours = self._cache.kept.get(reference), self._cache.hours
        now = self._clock.now()
        if kept is None or not kept.stands(now, hours):
            raise StoreFault("ticketing-silent", "The ticketing system has said nothing of this ticket for too long.")
        kept.answer.require_good(on, now)
        return kept.answer

    def _refresh(self) -> None:
        version = self.version()
        if version == self._version:
            return
        try:
            data = durable.read(self._path, entitlements.LARGEST_CACHE)
        except OSError:
            raise _missing() from None
        try:
            self._cache = entitlements.read_cache(data)
        except CountenanceError:
            self._cache = Cache(VenueId(""), 1, {})  # what it said before is not what it says now
            self._version = ""
            raise
        self._version = version


def _missing() -> StoreFault:
    return StoreFault("entitlement-missing", "The kept answers of the ticketing system cannot be read.")
