"""Asking over the network somebody who may be slow on purpose: a deadline that no way of answering puts off.

An HTTP client's own limits are for one read each: a byte now and then, or `102 Processing` for ever, keeps it waiting,
and looking up a name has no limit at all. So an exchange runs in a thread of its own. At the deadline that is left
behind, its connection shut down; it keeps no process from ending.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_CONNECTED = "connection.connect_tcp.complete"


class Line:
    """The way out of one HTTP client, for one exchange after the other. `cut`: one did not end in time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: socket.socket | None = None  # a second handle, which no TLS takes away and no other thread closes
        self.cut = False

    def told(self, event: str, facts: Mapping[str, Any]) -> None:
        """Take note of a connection: the `trace` that a request of httpx has among its `extensions`."""
        if event != _CONNECTED:
            return
        with self._lock:
            self._let_go()
            self._held = facts["return_value"].get_extra_info("socket").dup()
            if self.cut:  # it came after the deadline
                self._hang_up()

    def exchange(self, seconds: float, act: Callable[[], T]) -> T:
        """Return what `act` returns, and raise what it raises. Raises TimeoutError after `seconds`, and for good."""
        if self.cut:
            raise TimeoutError
        ended: Future[T] = Future()

        def run() -> None:
            try:
                ended.set_result(act())
            except BaseException as error:  # noqa: BLE001  # it is raised where somebody waits for it
                ended.set_exception(error)

        Thread(target=run, name="exchange", daemon=True).start()
        try:
            return ended.result(seconds)
        except TimeoutError:
            with self._lock:
                self.cut = True
                self._hang_up()
            raise

    def close(self) -> None:
        """Let go of the connection; the client's own handle is the client's to close."""
        with self._lock:
            self._let_go()

    def _hang_up(self) -> None:
        if self._held is not None:
            with suppress(OSError):  # it was never connected, or is gone
                self._held.shutdown(socket.SHUT_RDWR)
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
