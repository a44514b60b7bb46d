"""A gallery that has changed is read anew once, however many gates ask for it at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from countenance.consent.gate import ConsentGate, Granted, Members
from countenance.errors import Refused
from countenance.flows import withdraw
from countenance.flows.venue import Venue
from countenance.quantities import PurposeId
from support import venue as support


def test_four_gates_that_ask_together_read_it_once(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = support.enrolled(venue, purpose=support.SEARCH)
    together, read = threading.Barrier(4), []
    load = ConsentGate.load

    def slow(gate: ConsentGate, purpose: PurposeId) -> tuple[Granted, Members]:
        read.append(purpose)
        threading.Event().wait(0.2)  # the others ask meanwhile
        return load(gate, purpose)

    def ask(_number: int) -> int:
        together.wait()
        return len(venue.galleries.exact(support.SEARCH).owners)

    monkeypatch.setattr(ConsentGate, "load", slow)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [1, 1, 1, 1]
        assert len(read) == 1
        withdraw.withdraw(venue, agreed.person, support.SEARCH)
        assert list(pool.map(ask, range(4))) == [0, 0, 0, 0]
        assert len(read) == 2


def test_a_reading_that_fails_does_not_keep_the_next_one_out(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    support.enrolled(venue, purpose=support.SEARCH)
    with monkeypatch.context() as patch:
        patch.setattr(ConsentGate, "load", lambda *_: (_ for _ in ()).throw(Refused("sweep-late", "Not now.")))
        with pytest.raises(Refused):
            venue.galleries.exact(support.SEARCH)
    assert len(venue.galleries.exact(support.SEARCH).owners) == 1
