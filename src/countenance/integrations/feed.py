"""What happens now, for the pages of staff: published and listened to within this process, and kept nowhere.

Whoever listens slowly loses the oldest and is told how many; nobody who publishes ever waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Any

from countenance.errors import Refused

MOST_KEPT, MOST_LISTENERS = 256, 200


@dataclass(frozen=True)
class Told:
    """One event. `gate` is empty where it is about the venue. `missed`: how many this listener lost right before it."""

    kind: str
    gate: str
    body: dict[str, Any]
    missed: int = 0


class Listener:
    """One who listens. An iterator: `None` when nothing came within `timeout` seconds, for a sign of life."""

    def __init__(self, gates: frozenset[str] | None, timeout: float) -> None:
        self.gates, self._timeout = gates, timeout
        self._waiting: deque[Told] = deque()
        self._missed, self._ended = 0, False
        self._news = Condition()

    def __iter__(self) -> Iterator[Told | None]:
        """Yield what comes until the feed, or this listener, is closed."""
        while True:
            with self._news:
                if not self._waiting and not self._ended:
                    self._news.wait(self._timeout)
                if not self._waiting and self._ended:
                    return
                told = self._next()
            yield told

    def take(self) -> Told | None:
        """Return the next event at once, or None where none waits; for listeners that may not hold up a thread."""
        with self._news:
            return self._next()

    def _next(self) -> Told | None:
        told = self._waiting.popleft() if self._waiting else None
        if told is not None and self._missed:
            told, self._missed = Told(told.kind, told.gate, told.body, self._missed), 0
        return told

    def put(self, told: Told) -> None:
        """Hand over an event; the oldest that waits is lost where there are too many."""
        with self._news:
            if len(self._waiting) == MOST_KEPT:
                self._waiting.popleft()
                self._missed += 1
            self._waiting.append(told)
            self._news.notify()

    def close(self) -> None:
        """End the iteration after what waits already."""
        with self._news:
            self._ended = True
            self._news.notify_all()


class Feed:
    """The feed of one open venue. Safe for several threads."""

    def __init__(self) -> None:
        self._guard = Condition()
        self._listeners: list[Listener] = []
        self._closed = False

    def tell(self, kind: str, gate: str, body: dict[str, Any]) -> None:
        """Publish. Says nothing of a person: it is shown on screens that others see."""
        with self._guard:
            listeners = [one for one in self._listeners if one.gates is None or not gate or gate in one.gates]
        for one in listeners:
            one.put(Told(kind, gate, dict(body)))

    @contextmanager
    def subscribe(self, gates: Collection[str] | None = None, timeout: float = 15.0) -> Iterator[Listener]:
        """Listen to some gates, or to all (None); what is about the venue comes always.

        Raises Refused(feed-full) where too many listen, or the feed is closed.
        """
        one = Listener(None if gates is None else frozenset(gates), timeout)
        with self._guard:
            if self._closed or len(self._listeners) >= MOST_LISTENERS:
                raise Refused("feed-full", "Too many pages listen to what happens; close one and try again.")
            self._listeners.append(one)
        try:
            yield one
        finally:
            one.close()
            with self._guard:
                self._listeners.remove(one)

    def close(self) -> None:
        """End every listener."""
        with self._guard:
            self._closed = True
            for one in self._listeners:
                one.close()
