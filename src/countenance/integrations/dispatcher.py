"""Sends what is due: a thread for each recipient, so that one that hangs never keeps another waiting.

Each sends one message at a time. A recipient that failed is left alone for a while, longer each time up to a minute:
what is behind would fail too. Every message is looked up again right before it is sent, as its person may have stopped
it meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from countenance.errors import CountenanceError
from countenance.flows import deliveries, events_out
from countenance.flows.events_out import Message
from countenance.integrations.webhooks import Sender, Undelivered
from countenance.quantities import MINUTE

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

POLL_S = 0.5
"""Seconds after which it is looked whether something became due."""

_QUIET_S = (1.0, 5.0, 15.0, 60.0)


class Dispatcher:
    """The threads of one open venue. Made by `start`; `close` before the venue is closed."""

    def __init__(self, venue: Venue, senders: Mapping[str, Sender]) -> None:
        self._venue, self._senders = venue, dict(senders)
        self._stop = Event()
        self._threads = [Thread(target=self._run, args=(name,), name=f"events to {name}", daemon=True)
                         for name in self._senders]
        self._threads.append(Thread(target=self._tidy, name="events by the hour", daemon=True))

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop, and wait for what is on its way: some seconds at most. What was not sent stays written down."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10.0)
        for sender in self._senders.values():
            sender.close()

    def _run(self, name: str) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                failures, some = self._round(name, failures)
            except Exception:  # noqa: BLE001  # a full disk, say: it is tried again, and nothing is lost
                failures, some = failures + 1, False
            if failures:
                self._stop.wait(_QUIET_S[min(failures, len(_QUIET_S)) - 1])
            elif not some:
                self._stop.wait(POLL_S)

    def _round(self, name: str, failures: int) -> tuple[int, bool]:
        """Send what is due now; return how many failed in a row, and whether anything was due."""
        with self._venue.store.read() as unit:
            due = deliveries.due(unit, name)
        sent = False
        for delivery_id in due:
            message = None if self._stop.is_set() else deliveries.still(self._venue, delivery_id)
            if message is None:
                continue
            sent = True
            if not self._one(self._senders[name], message):
                return failures + 1, True
            failures = 0
        return (0 if sent or not due else failures), sent

    def _one(self, sender: Sender, message: Message) -> bool:
        try:
            sender.send(message)
        except Undelivered as why:
            code, for_good = why.code, why.for_good
            self._venue.store.together(lambda unit: deliveries.failed(unit, message, code, for_good=for_good))
            return for_good  # of this message alone
        self._venue.store.together(lambda unit: deliveries.taken(unit, message))
        return True

    def _tidy(self) -> None:
        while not self._stop.is_set():
            with suppress(CountenanceError), self._venue.store.write() as unit:
                events_out.close_hours(unit, self._venue)
                deliveries.clear_away(unit)
            self._stop.wait(MINUTE)
