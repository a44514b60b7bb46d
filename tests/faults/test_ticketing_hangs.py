"""A ticketing system that hangs holds up whoever asked, and nobody at another gate."""

from __future__ import annotations

import threading
from datetime import date

import pytest

from countenance.flows import admit
from countenance.flows.ports import Ticket
from countenance.flows.venue import Venue
from countenance.integrations.entitlement import CsvEntitlement
from support.venue import SEARCH, comes_back, enrolled, picture

PATIENCE_S = 20


class Hanging(CsvEntitlement):
    """Answers as its list does, but from the `nth` question about one booking number on only once it is let go."""

    def hang(self, reference: str, nth: int) -> None:
        self.held, self.left = reference, nth
        self.hangs, self.go = threading.Event(), threading.Event()

    def require_good(self, reference: str, on: date) -> Ticket:
        """See `ports.Entitlement`."""
        if reference == getattr(self, "held", ""):
            self.left -= 1
            if self.left <= 0:
                self.hangs.set()
                assert self.go.wait(PATIENCE_S)
        return super().require_good(reference, on)


@pytest.mark.parametrize("nth", [1, 2])  # before the camera, and before the decision
def test_another_gate_decides_while_a_question_hangs(venue: Venue, nth: int) -> None:
    one, other = enrolled(venue), enrolled(venue, "ben", 2)
    tickets = Hanging(venue.folder / "tickets.csv")
    venue.entitlement = tickets
    tickets.hang("ada", nth)
    waiting: list[admit.Decision] = []
    there = threading.Thread(target=lambda: waiting.append(comes_back(venue, one.pass_text)), daemon=True)
    there.start()
    try:
        assert tickets.hangs.wait(PATIENCE_S)
        passing: list[admit.Decision] = []
        beside = threading.Thread(target=lambda: passing.append(comes_back(venue, other.pass_text, 2)), daemon=True)
        beside.start()
        beside.join(PATIENCE_S / 2)
        assert [one.outcome for one in passing] == [admit.Outcome.ADMIT]
        venue.store.empty_wal()  # what a withdrawal waits for: no unit is open meanwhile
        assert waiting == []
    finally:
        tickets.go.set()
        there.join(PATIENCE_S)
    assert [one.outcome for one in waiting] == [admit.Outcome.ADMIT]


def test_a_search_asks_before_its_transaction_too(venue: Venue) -> None:
    from countenance.consent import gate

    enrolled(venue, "ada", 1, SEARCH)
    tickets = Hanging(venue.folder / "tickets.csv")
    venue.entitlement = tickets
    venue.galleries.exact(SEARCH)
    tickets.hang("ada", 1)
    there = threading.Thread(
        target=lambda: admit.by_face(venue, SEARCH, gate.press(venue.clock), picture(1)), daemon=True)
    there.start()
    try:
        assert tickets.hangs.wait(PATIENCE_S)
        with venue.store.write() as unit:  # the writer is free
            unit.set_mark("free", unit.now)
    finally:
        tickets.go.set()
        there.join(PATIENCE_S)
