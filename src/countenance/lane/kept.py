"""Tickets by what a ticketing system said before: for a lane that asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from countenance.clock import Clock
from countenance.errors import StoreFault
from countenance.formats.entitlements import Answer, Cache
from countenance.lane.tickets import Ticket


@dataclass(frozen=True)
class KeptTickets:
    """Kept answers; each stands as long as its file says, and no longer."""

    cache: Cache
    clock: Clock

    def require_good(self, reference: str, on: date) -> Ticket:
        """Return the ticket. Raises Refused(ticket-*), StoreFault(ticketing-silent)."""
        answer = self._answer(reference, on)
        return Ticket(answer.reference, answer.household, answer.valid_until, answer.language)

    def party(self, reference: str, on: date) -> int:
        """Return how many one scan may admit. Raises as `require_good`."""
        return self._answer(reference, on).party

    def _answer(self, reference: str, on: date) -> Answer:
        kept, now = self.cache.kept.get(reference), self.clock.now()
        if kept is None or not kept.stands(now, self.cache.hours):
            raise StoreFault("ticketing-silent", "The ticketing system has said nothing of this ticket for too long.")
        kept.answer.require_good(on, now)
        return kept.answer
