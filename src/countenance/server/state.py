"""What the routes share: one open venue, and what the server keeps in memory beside it."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from countenance.access.limits import Limits, PassAttempts, SignIn, TooMany
from countenance.access.passkeys import Challenges
from countenance.clock import Clock
from countenance.errors import Refused
from countenance.flows import enrol
from countenance.flows.found import PLAIN_COUNTS
from countenance.flows.liveness import Sessions
from countenance.lane.counts import Tally
from countenance.quantities import MINUTE, random_id

if TYPE_CHECKING:
    from countenance.flows.enrol import Waiting
    from countenance.flows.venue import Venue
    from countenance.integrations.doors.opening import OpenDoor
    from countenance.integrations.feed import Feed
    from countenance.server.metrics import Metrics

READ_BACK_S = 5 * MINUTE
"""Seconds in which a pass that was handed over must be read back. Fewer is stricter."""

MOST_WAITING, MOST_OF_ONE = 64, 16


class HandedOver:
    """Enrolments whose passes are on their way: each counts once its pass was read back, or is undone."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._waiting: dict[str, tuple[float, str, Waiting]] = {}
        self._lock = threading.Lock()

    def put(self, waiting: Waiting, by: str) -> str:
        """Keep an enrolment until `take`; returns its number. Undoes those that nobody came back for."""
        self.give_up_late()
        with self._lock:
            mine = sum(whose == by for _, whose, _ in self._waiting.values())
            full = len(self._waiting) >= MOST_WAITING or mine >= MOST_OF_ONE
            if not full:
                number = random_id()
                self._waiting[number] = (self._venue.clock.monotonic(), by, waiting)
                return number
        enrol.give_up(self._venue, waiting)
        raise Refused("enrolments-waiting", "Too many passes wait to be read back; try again in a moment.")

    def take(self, number: str, by: str) -> Waiting:
        """Return an enrolment that waits, once, to whoever began it. Raises Refused(enrolment-unknown)."""
        with self._lock:
            found = self._waiting.get(number)
            if found is None or found[1] != by:
                raise Refused("enrolment-unknown", "No enrolment of this number waits; begin again.")
            del self._waiting[number]
        return found[2]

    def give_up_late(self, *, everything: bool = False) -> None:
        """Undo the enrolments whose passes nobody read back in time, or all of them, before the server ends."""
        now = self._venue.clock.monotonic()
        with self._lock:
            late = [number for number, (since, _, _) in self._waiting.items()
                    if everything or now - since > READ_BACK_S]
            found = [self._waiting.pop(number)[2] for number in late]
        for waiting in found:
            enrol.give_up(self._venue, waiting)


def _eyes() -> int:
    """Return one for each processor, 2 to 4: on two processors 2 decide a fifth more in a second than 4 do."""
    return max(2, min(4, os.cpu_count() or 2))


MOST_PICTURES, MOST_STREAMS = 8, 10
"""Requests with a picture that one key may have under way, and streams that one may listen to. Fewer is stricter."""


class AtOnce:
    """Counts what somebody has under way, so that nobody takes what is there for everybody."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def of(self, whose: str) -> Iterator[None]:
        """Count one more until the block ends. Raises TooMany."""
        with self._lock:
            if self._now[whose] >= self._most:
                raise TooMany(1.0)
            self._now[whose] += 1
        try:
            yield
        finally:
            with self._lock:
                self._now[whose] -= 1
                if not self._now[whose]:
                    del self._now[whose]


@dataclass
class Serving:
    """Everything a route may need. `origin`: as browsers see this server, without a slash at the end."""

    venue: Venue
    origin: str
    feed: Feed
    metrics: Metrics
    doors: dict[str, OpenDoor] = field(default_factory=dict)
    behind_proxy: bool = False
    ready: threading.Event = field(default_factory=threading.Event)
    ending: threading.Event = field(default_factory=threading.Event)
    camera: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_eyes()))
    """How many pictures are looked at together: more would only make each take longer."""

    def __post_init__(self) -> None:
        clock: Clock = self.venue.clock
        self.limits = Limits(clock)
        self.sign_in = SignIn(clock)
        self.passes = PassAttempts(clock)
        self.sessions = Sessions(clock)
        self.handed_over = HandedOver(self.venue)
        self.challenges = Challenges(clock)
        self.tally = Tally(self.venue.folder / PLAIN_COUNTS)
        self.pictures = AtOnce(MOST_PICTURES)
        self.listening = AtOnce(MOST_STREAMS)
        self.secure = urlsplit(self.origin).scheme == "https"
        self.rp_id = urlsplit(self.origin).hostname or "localhost"

    @property
    def cookie(self) -> str:
        """Return the name of the session's cookie; browsers hold one with this prefix to this very host, over TLS."""
        return "__Host-countenance" if self.secure else "countenance"
