"""One search over all blocks: threads take the next block, open it, look, and the best of all is the answer.

The threads live for one search: starting one is cheap beside its work, and between searches nothing is left that
could hold a key or a template. A small gallery is searched by its caller's thread alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

from countenance.matching.embedded.blocks import Blocks, Scratch
from countenance.matching.embedded.kernel import Found, Wanted, nearest_in_block

BLOCKS_PER_THREAD = 8
"""Some 2 ms of work. For less, waiting until a busy machine runs the thread costs more than the thread saves."""

MOST_THREADS = 8
"""Each has a scratch of locked memory, of which systems grant little."""


def useful_threads(blocks: int, at_hand: int) -> int:
    """Return how many of the threads at hand a search of so many blocks is given: one or more."""
    return max(1, min(at_hand, blocks // BLOCKS_PER_THREAD, MOST_THREADS))


def nearest(blocks: Blocks, wanted: Wanted, scratches: Sequence[Scratch]) -> Found | None:
    """Return the row with the lowest score, or None where none is within. One thread for each scratch.

    All scratches are zeros afterwards, also on an error. Raises StoreFault(gallery-altered).
    """
    search = _Search(blocks, wanted)
    helpers = [Thread(target=search.work, args=(scratch,)) for scratch in scratches[1:]]
    try:
        for helper in helpers:
            with suppress(RuntimeError):  # no more threads to be had: fewer do the same
                helper.start()
        search.work(scratches[0])
    finally:
        search.end(helpers)
    if search.fault is not None:
        try:
            raise search.fault
        finally:
            search.fault = None  # or the two would keep each other, and the blocks, in memory
    return min(search.found, default=None)


class _Search:
    """What the threads of one search share."""

    def __init__(self, blocks: Blocks, wanted: Wanted) -> None:
        self.found: list[Found] = []
        self.fault: BaseException | None = None
        self._blocks = blocks
        self._wanted = wanted
        self._due = deque(range(len(blocks)))

    def work(self, scratch: Scratch) -> None:
        """Take blocks until there are none. An error ends the whole search, and is raised by the caller's thread."""
        try:
            with nearest_in_block(self._wanted) as look:
                while (number := self._next()) is not None:
                    found = look(self._blocks.opened(number, scratch.bytes))
                    if found is not None:
                        self.found.append(Found(found.score, number * self._blocks.block_rows + found.row))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the other threads stop and it is raised there
            self._stop(error)
        finally:
            scratch.wipe()

    def end(self, helpers: Sequence[Thread]) -> None:
        """Wait for the threads, come what may: the next search uses the same scratches."""
        for helper in helpers:
            while helper.is_alive():
                try:
                    helper.join()
                except KeyboardInterrupt as error:
                    self._stop(error)

    def _next(self) -> int | None:
        try:
            return self._due.popleft()
        except IndexError:
            return None

    def _stop(self, error: BaseException) -> None:
        self._due.clear()
        self.fault = self.fault or error
