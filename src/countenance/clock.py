"""Time, injected. This is the only module that reads the clock."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Protocol

from countenance.quantities import Instant


class Clock(Protocol):
    """Gives the time. Implementations never go through the system's local time zone."""

    def now(self) -> Instant:
        """Return the seconds since 1970-01-01T00:00:00Z; it may step when somebody sets the clock."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; never goes back."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> Instant:
        """See `Clock.now`."""
        return Instant(int(time.time()))

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.perf_counter()


class SetClock:
    """A clock that stands still until it is moved: for tests and for the demo's story of a week."""

    def __init__(self, start: Instant) -> None:
        self._now = start
        self._ticks = 0.0

    def now(self) -> Instant:
        """See `Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._ticks

    def move(self, seconds: float) -> None:
        """Step by `seconds`; a negative step sets the clock back, its monotonic side stands."""
        self._now = Instant(int(self._now + seconds))
        self._ticks += max(0.0, seconds)


def utc_text(at: Instant) -> str:
    """Write an instant as RFC 3339, to the second, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_day(at: Instant) -> date:
    """Return the UTC calendar day of an instant."""
    return datetime.fromtimestamp(at, UTC).date()


def parse_day(text: str) -> date:
    """Read an ISO 8601 calendar day (YYYY-MM-DD); raises ValueError."""
    return date.fromisoformat(text)


def end_of_day(day: date) -> Instant:
    """Return the first instant after a UTC calendar day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Instant(int(start.timestamp()) + 86_400)
