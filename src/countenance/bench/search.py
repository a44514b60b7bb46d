"""bench search: one exact search of sealed templates, beside what its parts take by themselves.

The templates are random numbers: they are nobody's, so no permit is involved, and no gallery that holds a person
can be searched from here. Four ways take turns in every round, each with the same number of threads: our search of
the same codes unsealed, faiss alone, AES-GCM alone (opening the same blocks), and our sealed search. A ratio is the
median over the rounds, so that a busy neighbour slows both sides of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from countenance.bench import machine
from countenance.clock import SystemClock
from countenance.errors import ModelFault
from countenance.features import Codes
from countenance.matching.cohort import Unnormalised
from countenance.matching.embedded import search
from countenance.matching.embedded.blocks import FLIP, Opened, Scratch, SealedBlocks, Stored, rows_in_a_block
from countenance.matching.embedded.kernel import Wanted
from countenance.matching.score import as_score, of, squared

SEED = 20210409
WIDEST = 60  # codes; an embedding of length 1 in steps of 0.005 hardly has larger ones
WARM_UPS = 2

_WAYS = ("plain", "faiss", "aes", "sealed")
Progress = Callable[[int, int], None]
Each = Callable[..., Iterator[Any]]  # `map`, or a pool's: waiting threads cost the others nothing to start
Ways = dict[str, Callable[[], int | None]]
"""Each gives the row that it found."""


@dataclass(frozen=True)
class PlainBlocks:
    """The same codes unsealed; see `blocks.Blocks`. They are views of the memory of `Bare`'s indexes."""

    blocks: list[Stored]
    block_rows: int
    numbers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.blocks)

    def opened(self, number: int, _scratch: Stored) -> Opened:
        """Return a block where it lies; every row has the same numbers."""
        rows = self.blocks[number]
        return Opened(rows, self.numbers[:, :len(rows)])


class Bare:
    """Faiss alone: an index for each thread, each searched with one OpenMP thread."""

    def __init__(self, people: int, dimension: int, threads: int) -> None:
        rows_each = rows_in_a_block(dimension)
        share = -(-people // (threads * rows_each)) * rows_each
        self._starts = range(0, people, share)
        memory: list[Stored] = []
        self._indexes = []
        for start in self._starts:
            rows = min(share, people - start)
            index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit_direct_signed)
            index.codes.resize(rows * dimension)
            index.ntotal = rows
            self._indexes.append(index)
            memory.append(faiss.rev_swig_ptr(index.codes.data(), rows * dimension).reshape(rows, dimension))
        self.plain = PlainBlocks(
            [rows[at:at + rows_each] for rows in memory for at in range(0, len(rows), rows_each)], rows_each,
            Unnormalised("bench").numbers(np.zeros((rows_each, dimension), np.int8)))

    def nearest(self, codes: Codes, each: Each) -> int:
        """Search every index on a thread of its own."""
        query = codes.astype(np.float32)[None]

        def look(start: int, index: Any) -> tuple[float, int]:
            far, row = index.search(query, 1)
            return float(far[0, 0]), start + int(row[0, 0])

        found: list[tuple[float, int]] = list(each(look, self._starts, self._indexes))
        return min(found)[1]


def run(people: int, dimension: int, rounds: int, threads: int, progress: Progress) -> dict[str, Any]:
    """Time them; return the figures that `--json` prints. `progress(done, all)` counts blocks made, then rounds.

    Raises ModelFault(bench-search-differs) when the ways do not find the same.
    """
    blocks = -(-people // rows_in_a_block(dimension))
    threads = search.useful_threads(blocks, threads)
    steps = blocks + WARM_UPS + rounds
    bare = Bare(people, dimension, threads)
    sealed = SealedBlocks(_made(bare.plain, lambda done: progress(done, steps)), dimension, "bench",
                          Unnormalised("bench"))
    probe = _near(bare.plain, people * 7 // 9)
    took = []
    with (machine.one_thread(),  # for this thread; the others are told so as they start
          ThreadPoolExecutor(threads, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool):
        ways = _ways(bare, sealed, probe, threads, map if threads == 1 else pool.map)
        for number in range(WARM_UPS + rounds):
            took.append(_round(ways))
            progress(blocks + number + 1, steps)
    return _summary(took[WARM_UPS:]) | {
        "people": people, "dim": dimension, "rounds": rounds, "blocks": blocks, "machine": machine.described(threads)}


def _made(plain: PlainBlocks, progress: Callable[[int], None]) -> Iterator[Codes]:
    """Fill the plain blocks with random codes, and give a copy of each row: sealing wipes what it is given."""
    chance = np.random.default_rng(SEED)
    for number, block in enumerate(plain.blocks):
        block[:] = chance.integers(FLIP - WIDEST, FLIP + WIDEST, block.shape, np.uint8, endpoint=True)
        yield from (block ^ FLIP).view(np.int8)
        progress(number + 1)


def _near(plain: PlainBlocks, row: int) -> Codes:
    """Return a probe a little off one row, as a second capture would be."""
    block = plain.blocks[row // plain.block_rows]
    probe: Codes = (block[row % plain.block_rows] ^ FLIP).view(np.int8)
    probe[::3] += 3
    return probe


def _ways(bare: Bare, sealed: SealedBlocks, probe: Codes, threads: int, each: Each) -> Ways:
    scratches = [Scratch(sealed.largest) for _ in range(threads)]
    unused = [Scratch(1) for _ in range(threads)]
    wanted = _wanted(bare.plain, probe)

    def ours(blocks: PlainBlocks | SealedBlocks, some: list[Scratch]) -> int | None:
        found = search.nearest(blocks, wanted, some)
        return None if found is None else found.row

    return {
        "plain": lambda: ours(bare.plain, unused),
        "faiss": lambda: bare.nearest(probe, each),
        "aes": lambda: _open_all(sealed, scratches, each),
        "sealed": lambda: ours(sealed, scratches),
    }


def _wanted(plain: PlainBlocks, probe: Codes) -> Wanted:
    """Return the probe with a threshold that a few rows are within, as at a gate."""
    numbers = Unnormalised("bench").numbers(probe)
    apart = squared(probe, (plain.blocks[0][0] ^ FLIP).view(np.int8))
    return Wanted(probe, numbers, as_score(of(apart / 2, numbers, numbers)))


def _open_all(sealed: SealedBlocks, scratches: list[Scratch], each: Each) -> None:
    due = deque(range(len(sealed)))

    def open_some(scratch: Scratch) -> None:
        while True:
            try:
                number = due.popleft()
            except IndexError:
                return
            sealed.opened(number, scratch.bytes)

    list(each(open_some, scratches))


def _round(ways: Ways) -> dict[str, float]:
    took = {}
    answers = set()
    clock = SystemClock()
    for name, way in ways.items():
        start = clock.monotonic()
        answer = way()
        took[name] = (clock.monotonic() - start) * 1000
        if answer is not None:
            answers.add(answer)
    if len(answers) != 1:
        raise ModelFault("bench-search-differs", "The ways to search did not find the same, so they are not timed.")
    return took


def _summary(took: list[dict[str, float]]) -> dict[str, float]:
    plain, bare, aes, sealed = (np.array([one[way] for one in took]) for way in _WAYS)
    times = {f"{way}_ms": _median(np.array([one[way] for one in took])) for way in _WAYS}
    return times | {
        "plain_over_faiss": _median(plain / bare),
        "sealed_over_plain": _median(sealed / plain),
        "sealed_over_parts": _median(sealed / (aes + bare)),
    }


def _median(values: NDArray[np.float64]) -> float:
    return round(float(np.median(values)), 3)
