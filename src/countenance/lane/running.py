"""The lane at work: decisions from memory, and one thread that looks at files and writes counts.

A decision waits for no disk and no door, so that neither holds up the people in front of it (promise 7).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

from countenance.clock import Clock, utc_day
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.lane import check, counts
from countenance.lane.folder import LaneFolder
from countenance.quantities import Instant


@dataclass(frozen=True)
class Door:
    """A door that needs no token. Both may block and may raise: each has a thread of its own.

    `open`: for so many people, within `longest_s`; `beat`: called every `beat_s` seconds, never where that is 0.
    """

    open: Callable[[int], None]
    beat: Callable[[], None]
    beat_s: int = 0
    longest_s: float = 10.0


LOOK_S = 1.0
"""Seconds between two looks at the files."""
DOOR_S = 3.0
"""Seconds after which an opening that still waits for the one before is dropped: nobody stands there any more."""
GOODBYE_S = 0.3


@dataclass(frozen=True)
class Answer:
    """`people` is 0 where somebody is referred to staff; `reason` is a code, for staff alone."""

    admitted: bool
    people: int
    reason: str


class Lane:
    """Decides. `close` writes what is not yet counted, waiting GOODBYE_S at most; and for a door that is opening."""

    def __init__(self, folder: LaneFolder, counts_file: Path, clock: Clock, door: Door | None = None) -> None:
        self.folder, self._file, self._clock = folder, counts_file, clock
        self._began = (clock.now(), clock.monotonic())
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._uncounted: dict[tuple[str, str], int] = {}
        self._trouble: dict[str, str] = {}
        self._door = door
        self._openings: Queue[tuple[float, int]] = Queue(4)
        self._ringing = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Read the files once, then look at them again and again."""
        self.folder.look()
        jobs = [self._keep]
        if self._door is not None:
            jobs += [self._open] + [self._beat] * (self._door.beat_s > 0)
        self._threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads, and count what is left."""
        self._stop.set()
        if self._threads:
            self._threads[0].join(GOODBYE_S)
        if self._door is not None and self._ringing.acquire(timeout=self._door.longest_s):
            self._ringing.release()  # a relay that is on must go off again first

    def decide(self, text: str, *, together: bool = False) -> Answer:
        """Admit, or refer; whatever is wrong, it is an answer."""
        now = self.now()
        try:
            people = self._people(text, now, together=together)
            answer = Answer(admitted=True, people=people, reason="pass")
        except CountenanceError as error:
            answer = Answer(admitted=False, people=0, reason=error.code)
        except Exception:  # noqa: BLE001  # the last net: whoever is in front goes on to staff
            answer = Answer(admitted=False, people=0, reason="internal")
        with suppress(Exception):  # the answer stands, counted or not
            self._count(now, answer)
        if answer.admitted and self._door is not None:
            self._ring(answer.people)
        return answer

    def now(self) -> Instant:
        """Return the time; a clock that is set back while the lane runs does not bring back what has expired."""
        at, ticks = self._began
        return Instant(max(self._clock.now(), at + int(self._clock.monotonic() - ticks)))

    def health(self) -> dict[str, Any]:
        """Return what is wrong, by code; nothing about anybody."""
        faults = self.folder.faults() | dict(self._trouble)
        if self.now() > self._clock.now() + 60:
            faults["clock"] = "clock-set-back"
        found, listed = self.folder.tickets.value, self.folder.revoked.value
        ready = None not in (found, self.folder.names.value, self.folder.keys.value)
        return {"deciding": ready, "faults": faults, "list": None if listed is None else listed.number,
                "faulty_lines": len(getattr(found, "faulty", ()))}

    def _people(self, text: str, now: Instant, *, together: bool) -> int:
        names, keys, tickets = self.folder.names.value, self.folder.keys.value, self.folder.tickets.value
        if names is None or keys is None:
            raise StoreFault("lane-keys", "This lane has no key to check passes with yet.")
        if tickets is None:
            raise StoreFault("lane-tickets", "This lane has read no list of tickets yet.")
        if not text.strip("\r\n"):
            raise BadInput("pass-missing", "No pass was scanned.")
        ticket = check.require_good(text, keys, names.venue, tickets, now, self.folder.revoked.value)
        return tickets.party(ticket.reference, utc_day(now)) if together else 1

    def _count(self, now: Instant, answer: Answer) -> None:
        key = (utc_day(now).isoformat(), "admit" if answer.admitted else "refer")
        with self._lock:
            self._uncounted[key] = self._uncounted.get(key, 0) + max(1, answer.people)

    def _ring(self, people: int) -> None:
        try:
            self._openings.put_nowait((self._clock.monotonic(), people))
        except Full:
            self._trouble["door"] = "door-busy"

    def _open(self) -> None:
        while not self._stop.is_set():
            with suppress(Empty):
                self._open_for(*self._openings.get(timeout=LOOK_S))

    def _open_for(self, at: float, people: int) -> None:
        with self._ringing:
            if self._door is None or self._stop.is_set():
                return
            if self._clock.monotonic() - at > DOOR_S:
                self._trouble["door"] = "door-late"
                return
            self._at_door("door", partial(self._door.open, people))

    def _beat(self) -> None:
        while self._door is not None and not self._stop.wait(self._door.beat_s):
            self._at_door("heartbeat", self._door.beat)

    def _at_door(self, what: str, act: Callable[[], None]) -> None:
        try:
            act()
            self._trouble.pop(what, None)
        except Exception as error:  # noqa: BLE001  # whatever a door does, the lane goes on
            self._trouble[what] = getattr(error, "code", "door-failed")

    def _keep(self) -> None:
        while not self._stop.wait(LOOK_S):
            with suppress(Exception):  # this thread must not end
                self.folder.look()
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            more, self._uncounted = self._uncounted, {}
        if not more:
            return
        try:
            counts.add_all(self._file, more, 0.2)
            self._trouble.pop("counts", None)
        except (OSError, StoreFault):
            self._trouble["counts"] = "counts-unwritten"
            with self._lock:
                for key, number in more.items():
                    self._uncounted[key] = self._uncounted.get(key, 0) + number
