"""What the stories need of the venue's own systems. Implementations are in `integrations/`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from typing import Protocol

from countenance.lane.tickets import Ticket as Ticket


class Entitlement(Protocol):
    """Is this ticket good today? Asked before any camera, on both lanes."""

    def require_good(self, reference: str, on: date) -> Ticket:
        """Return the ticket. Raises Refused(ticket-unknown, ticket-expired), StoreFault(entitlement-missing).

        May wait for somebody else's answer, for two seconds at most: StoreFault(ticketing-silent).
        """

    def party(self, reference: str, on: date) -> int:
        """Return how many people one scan may admit: the good tickets of this one's household, itself included.

        A counted group is a household with a ticket for each. Raises as `require_good`.
        """

    def prefetch(self, references: Collection[str], on: date) -> None:
        """Have the answers about many tickets at hand before each is asked for; raises nothing.

        What could not be had is said by `require_good`, of each ticket for itself.
        """

    def require_whole(self) -> None:
        """Raise BadInput where a part of the list is nobody's ticket; for whoever looks after it."""

    def version(self) -> str:
        """Return a text that changes whenever an answer may have changed."""


Camera = Callable[[], bytes]
"""Takes one picture and returns its file bytes. Called once per story, after a permit was granted."""

Door = Callable[[int], None]
"""Opens the gate for so many people. Called once, after the decision is durable."""


def no_door(people: int) -> None:
    """Stand in where there is no gate to open: the answer itself is the signal."""
