"""One data folder, several processes: who has it open, and whether anybody else has.

An advisory lock on a file of its own (people edit the others, and editors replace files), shared by everybody who has
the venue open. Whoever opens it while nobody else has it holds it alone for a moment, and only then may finish or
undo what a crash left: what another process has under way is not a crash. Where the system has no such locks
(Windows) one process at a time is the operator's care: LIMITS.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from countenance.errors import StoreFault

try:
    import fcntl
except ImportError:  # pragma: no cover  # not on this system
    fcntl = None  # type: ignore[assignment]  # asked for below

PATIENCE_S = 10.0
"""Seconds for which a file that another process holds is waited for. What is done under one takes far less."""

_PAUSE_S = 0.01


class Tenancy:
    """This process's hold on the folder. `alone` until `share`."""

    def __init__(self, handle: int, *, alone: bool) -> None:
        self._handle = handle
        self.alone = alone

    def share(self) -> None:
        """Let others in."""
        if self.alone and fcntl is not None:
            fcntl.flock(self._handle, fcntl.LOCK_SH)
        self.alone = False


@contextmanager
def moved_in(file: Path) -> Iterator[Tenancy]:
    """Hold the folder of `file` until the block ends: alone if nobody else has it, otherwise shared with them."""
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        alone = _alone(handle)
        if not os.path.samestat(os.fstat(handle), file.stat()):
            raise StoreFault("store-busy", "Another process is setting up this data folder; try again.")
        yield Tenancy(handle, alone=alone)
    finally:
        os.close(handle)


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Hold a folder until the block ends, and wait for nobody. Raises BlockingIOError where another has it.

    The lock is on the folder itself, which may be removed inside the block: whoever waits for its name finds another.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise BlockingIOError from None  # another has just removed it
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not folder.exists() or not os.path.samestat(os.fstat(handle), folder.stat()):
            raise BlockingIOError
        yield
    finally:
        os.close(handle)


@contextmanager
def waited_for(file: Path, seconds: float = PATIENCE_S) -> Iterator[None]:
    """Hold a file, made where it is missing, until the block ends; wait up to `seconds` for whoever has it.

    Not for ever: a process that was stopped keeps what it holds. Raises OSError; StoreFault(store-busy).
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _wait(handle, seconds)
        yield
    finally:
        os.close(handle)


def _wait(handle: int, seconds: float) -> None:
    left, pause = round(seconds / _PAUSE_S), Event()
    while fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not left:
                raise StoreFault("store-busy", "Another process holds this data folder's lock; try again.") from None
        else:
            return
        left -= 1
        pause.wait(_PAUSE_S)


def _alone(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(handle, fcntl.LOCK_SH)
        return False
    return True
