"""Waiting for the other side no longer than one wants to, whatever it does.

A library's own limits are for one read each, and looking up a name has none at all: a byte now and then keeps it
waiting for ever. So what may hang runs in a thread of its own, which is left behind at the deadline. Of those that were
left behind only so many may be alive: somebody who hangs on purpose would fill this process with them otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TypeVar

T = TypeVar("T")

LEFT_BEHIND = 4
"""How many that did not end in time may still be waiting, for one other side."""


class TooManyHang(ConnectionError):
    """LEFT_BEHIND earlier ones still wait: nothing was begun."""


class Waiting:
    """The way to one other side. Safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._late: list[Thread] = []

    def at_most(self, seconds: float, act: Callable[[], T]) -> T:
        """Return what `act` returns, and raise what it raises.

        Raises TimeoutError after `seconds`; TooManyHang at once where too many earlier ones still hang.
        """
        with self._lock:
            self._late = [thread for thread in self._late if thread.is_alive()]
            if len(self._late) >= LEFT_BEHIND:
                raise TooManyHang
        ended: Future[T] = Future()
        thread = Thread(target=_run, args=(act, ended), name="outside", daemon=True)
        thread.start()
        try:
            return ended.result(max(0.0, seconds))
        except TimeoutError:
            if not ended.done():
                with self._lock:
                    self._late.append(thread)
            raise


def _run(act: Callable[[], T], ended: Future[T]) -> None:
    try:
        ended.set_result(act())
    except BaseException as error:  # noqa: BLE001  # it is raised where somebody waits for it
        ended.set_exception(error)
