"""Entitlement by a ticketing system: a signed question, a signed answer, and what was said before while it is silent.

How old an answer may be, by who waits for a newer one:

* up to REFRESH_S it is used, and nobody asks;
* up to FRESH_S it is used, and asked anew behind the back of whoever is at the gate;
* older, it is asked for, and waited for, TIMEOUT_S at most. Only without an answer the old one stands in, up to the
  hours in the settings and never beyond the ticket's own last day; then the question fails (ticketing-silent).

A wrong answer is no answer: it admits nobody and changes nothing that was kept. Once a call has failed, nobody waits:
what was kept is used at once, and one call every QUIET_S tries whether the ticketing system is there again.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future
from datetime import date
from pathlib import Path

from countenance.clock import Clock, utc_day
from countenance.errors import CountenanceError, Refused, StoreFault
from countenance.flows.ports import Ticket
from countenance.formats import entitlements
from countenance.formats.entitlements import Answer, Kept, State
from countenance.integrations import ticketing_call
from countenance.integrations.ticket_cache import FILE, TicketCache, ticket_of
from countenance.integrations.ticketing_call import TIMEOUT_S, Ask
from countenance.quantities import MINUTE, Instant
from countenance.settings import Settings

FRESH_S = 5 * MINUTE
"""Seconds for which an answer needs no newer one. A visit's second question, at its end, finds the first one's answer;
a ticket that is cancelled opens a gate for so long at most. Shorter is stricter."""

REFRESH_S = FRESH_S // 2
NOT_GOOD_S = 30
"""Seconds for which "unknown" or "ended" needs no newer answer: people go and buy a ticket."""

QUIET_S = 5.0
PREFETCH_S = 10.0
"""Seconds after which a prefetch leaves the rest unasked."""

TURNS_S = MINUTE
"""Seconds between two looks whether time alone has changed an answer."""


class TicketingEntitlement:
    """Asks a ticketing system. See `ports.Entitlement`; all methods may be called by several threads.

    `ask` stands in for the call in tests. Raises BadInput(ticketing-address, ticketing-key).
    """

    def __init__(self, folder: Path, here: Settings, clock: Clock, ask: Ask | None = None) -> None:
        self._clock = clock
        self._ask = ask or ticketing_call.from_settings(folder, here, clock)
        self._cache = TicketCache(folder / FILE, here.venue, here.ticketing_cache_hours, clock)
        self._line = _Line(clock)
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, date], Future[StoreFault | None]] = {}
        self._later: dict[str, date] = {}
        self._worker: threading.Thread | None = None
        self._closed = False
        self._watch = _Watch(self._cache, clock)

    def require_good(self, reference: str, on: date) -> Ticket:
        """See `ports.Entitlement`. Raises Refused (ticket-early, ticket-too-soon), StoreFault (ticketing-*, tickets-*).

        Waits for the ticketing system as long as the module says.
        """
        return ticket_of(self._good(reference, on))

    def party(self, reference: str, on: date) -> int:
        """See `ports.Entitlement`: as many as the ticketing system said."""
        return self._good(reference, on).party

    def prefetch(self, references: Collection[str], on: date) -> None:
        """Ask in batches for what is not fresh, so that `require_good` of these answers at once; raises nothing.

        From then on `version` tells of changes in their answers, and asks for them anew from time to time.
        """
        asked = sorted({one for one in references if entitlements.may_be_asked(one)})
        self._ask_in_batches([one for one in asked if not self._young(self._cache.get(one), on, 0.5)], on)
        self._watch.add(asked)

    def require_whole(self) -> None:
        """Ask about a ticket that nobody has, so that `doctor` says what is wrong. Raises StoreFault."""
        try:
            self._good("countenance-doctor", utc_day(self._clock.now()), newly=True)
        except Refused:
            return

    def version(self) -> str:
        """See `ports.Entitlement`: changes where an answer about a prefetched ticket did; others concern no gallery."""
        due = self._watch.due(QUIET_S if self._line.failing() else REFRESH_S)
        if due:
            self._behind(due, utc_day(self._clock.now()))
        return self._watch.version()

    def close(self) -> None:
        """Ask no more, and write down what is not yet written."""
        with self._lock:
            self._closed = True
            worker = self._worker
        if worker is not None:
            worker.join(TIMEOUT_S + 1)
        self._cache.save()

    def _good(self, reference: str, on: date, *, newly: bool = False) -> Answer:
        if not entitlements.may_be_asked(reference):
            raise Refused("ticket-unknown", "There is no ticket with this reference.")
        answer = self._answer(reference, on, newly=newly)
        answer.require_good(on, self._clock.now())
        return answer

    def _answer(self, reference: str, on: date, *, newly: bool) -> Answer:
        kept = self._cache.get(reference)
        if kept is not None and not newly:
            if self._young(kept, on):
                if not self._young(kept, on, 0.5):
                    self._behind([reference], on)
                return kept.answer
            if self._line.failing():
                self._behind([reference], on)
                return kept.answer
        try:
            self._asked([reference], on)
        except StoreFault:
            kept = None if newly else self._cache.get(reference)  # another thread may have been told meanwhile
            if kept is None:
                raise
            return kept.answer
        kept = self._cache.get(reference)
        if kept is None:  # the clock was moved, or two calls crossed a day
            raise StoreFault("ticketing-silent", "The ticketing system has said nothing of this ticket.")
        return kept.answer

    def _young(self, kept: Kept | None, on: date, part: float = 1.0) -> bool:
        if kept is None or kept.on != on:
            return False
        longest = FRESH_S if kept.answer.state is State.GOOD else NOT_GOOD_S
        return 0 <= self._clock.now() - kept.given_at < longest * part

    def _ask_in_batches(self, references: Sequence[str], on: date) -> None:
        until = self._clock.monotonic() + PREFETCH_S
        for at in range(0, len(references), entitlements.MOST):
            try:
                if self._clock.monotonic() >= until:
                    raise self._line.cut(StoreFault("ticketing-silent", "The ticketing system takes too long."))
                self._asked(references[at : at + entitlements.MOST], on)
            except StoreFault:
                return  # each question says so for itself, at once: the line is known to fail

    def _asked(self, references: Sequence[str], on: date) -> None:
        """Have these answered, by a call that is under way or by one of this thread. Raises StoreFault."""
        mine: Future[StoreFault | None] = Future()
        with self._lock:
            others = {call for one in references if (call := self._under_way.get((one, on)))}
            own = [one for one in references if (one, on) not in self._under_way]
            if own:
                self._line.require()
            for one in own:
                self._under_way[one, on] = mine
        calls = [*others, mine] if own else [*others]
        if own:
            self._call(own, on, mine)
        for call in calls:
            try:
                fault = call.result(TIMEOUT_S + 1)
            except TimeoutError:
                fault = StoreFault("ticketing-silent", "The ticketing system does not answer.")
            if fault is not None:
                raise StoreFault(fault.code, fault.sentence)

    def _call(self, own: Sequence[str], on: date, mine: Future[StoreFault | None]) -> None:
        fault: StoreFault | None = StoreFault("ticketing-silent", "The ticketing system could not be asked.")
        try:
            answers = self._ask(own, on)
            self._watch.told(self._cache.take(answers, on))
            self._line.works()
            fault = None
        except CountenanceError as error:
            fault = self._line.cut(StoreFault(error.code, error.sentence))
        finally:
            with self._lock:
                for one in own:
                    del self._under_way[one, on]
            mine.set_result(fault)

    def _behind(self, references: Iterable[str], on: date) -> None:
        """Have these asked for by a thread of its own, one at a time."""
        with self._lock:
            if self._closed or self._line.quiet():
                return
            self._later |= dict.fromkeys(references, on)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="ticketing", daemon=True)
                self._worker.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                day = next(iter(self._later.values()), None)
                batch = sorted(one for one, on in self._later.items() if on == day)[:entitlements.MOST]
                if day is None or self._closed:
                    self._worker = None
                    return
                for one in batch:
                    del self._later[one]
            try:
                self._asked(batch, day)
            except Exception:  # noqa: BLE001  # whoever asks next is told; this thread must say that it ended
                with self._lock:
                    self._later.clear()


class _Line:
    """Whether the last call failed, and until when nobody tries again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fault: StoreFault | None = None
        self._quiet_until = 0.0

    def failing(self) -> bool:
        return self._fault is not None

    def quiet(self) -> bool:
        return self._fault is not None and self._clock.monotonic() < self._quiet_until

    def require(self) -> None:
        """Raise the last fault while nobody may try; otherwise the caller tries, and others keep quiet meanwhile."""
        fault = self._fault
        if fault is None:
            return
        if self.quiet():
            raise StoreFault(fault.code, fault.sentence)
        self._quiet_until = self._clock.monotonic() + max(QUIET_S, TIMEOUT_S)

    def cut(self, fault: StoreFault) -> StoreFault:
        self._fault, self._quiet_until = fault, self._clock.monotonic() + QUIET_S
        return fault

    def works(self) -> None:
        self._fault = None


class _Watch:
    """The tickets that galleries were made by: whether somebody must come into one since, or out of one.

    Somebody who may not enter again for a while stays in a gallery that has them: each admission would otherwise have
    all of it read anew, and the question before the door refuses them anyhow.
    """

    def __init__(self, cache: TicketCache, clock: Clock) -> None:
        self._cache, self._clock = cache, clock
        self._lock = threading.Lock()
        self._watched: dict[str, None] = {}
        self._in: set[str] = set()
        self._changes = 0
        self._turns_at = self._asked_at = 0.0

    def add(self, references: Sequence[str]) -> None:
        """Watch these, of which a gallery is made just now: what is said of them now is no change."""
        now = self._clock.now()
        with self._lock:
            self._watched |= dict.fromkeys(references)
            self._asked_at = self._clock.monotonic()
            self._in -= set(references)
            self._in |= {one for one in references if _is_good(self._cache.get(one), now)}

    def told(self, other: set[str]) -> None:
        """Take note of answers that differ from those before."""
        with self._lock:
            self._turn([one for one in other if one in self._watched])

    def due(self, seconds: float) -> list[str]:
        """Return all that is watched where it was last asked for `seconds` ago; then not again for so long."""
        with self._lock:
            if not self._watched or self._clock.monotonic() - self._asked_at < seconds:
                return []
            self._asked_at = self._clock.monotonic()
            return list(self._watched)

    def version(self) -> str:
        with self._lock:
            if self._watched and self._clock.monotonic() >= self._turns_at:
                self._turns_at = self._clock.monotonic() + TURNS_S
                self._turn(self._watched)
            return str(self._changes)

    def _turn(self, references: Iterable[str]) -> None:
        now, come, gone = self._clock.now(), set(), set()
        for one in references:
            kept = self._cache.get(one)
            if one not in self._in:
                if _is_good(kept, now):
                    come.add(one)
            elif not _is_good(kept, now, resting=True):
                gone.add(one)
        self._in = (self._in | come) - gone
        self._changes += bool(come or gone)


def _is_good(kept: Kept | None, now: Instant, *, resting: bool = False) -> bool:
    """Say whether a gallery is to have this one; `resting`: one who may not enter again for a while too."""
    if kept is None:
        return False
    try:
        kept.answer.require_good(utc_day(now), max(now, kept.answer.not_before) if resting else now)
    except Refused:
        return False
    return True
