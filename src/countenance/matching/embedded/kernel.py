"""What is computed in one opened block: the row with the lowest normalised score, on one thread and without a copy.

The score falls with the distance, but each row has numbers of its own, so the nearest row need not be the one. From
the threshold follows how far away a row can be at most (`score.reach`); faiss's scanner lists the rows within that,
of which there are few, and only those are scored. It reads the block where it lies and gives a float32. Codes are
whole numbers, so a sum below 2**24 is exact whatever the order of its parts, on any processor. Where the reach is
farther than that, or the list is full, the block is measured in whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from countenance.features import Codes
from countenance.matching import score
from countenance.matching.embedded.blocks import FLIP, Opened, Stored
from countenance.matching.score import Numbers
from countenance.quantities import Score

EXACT_BELOW = 1 << 24
LISTED = 64
"""Rows that a scan lists at most. A longer list makes each scan slower; a shorter one is full more often."""


class Wanted(NamedTuple):
    """A probe's codes and numbers, and the score at or below which a row is of interest."""

    codes: Codes
    numbers: Numbers
    within: Score


class Found(NamedTuple):
    """A row and its score; lower is closer, and of equals the lower row comes first."""

    score: float
    row: int


InBlock = Callable[[Opened], Found | None]
Scan = Callable[[Stored, float, int], NDArray[np.int64] | None]


@contextmanager
def nearest_in_block(wanted: Wanted) -> Iterator[InBlock]:
    """Give the function that finds the best row within `wanted.within` in one block. One thread's.

    It goes by the best that it has found in earlier blocks, so what it finds last is its best.
    """
    best = wanted.within

    def look(block: Opened) -> Found | None:
        nonlocal best
        if best == np.inf:  # anybody's nearest row tells how far the best one is at most
            first = scan(block.rows, np.inf, 1)
            best = best if first is None else Score(_best(wanted, block, first).score)
        reach = score.reach(best, wanted.numbers, block.numbers)
        listed = scan(block.rows, reach, LISTED) if reach < EXACT_BELOW else None
        rows = np.arange(len(block.rows)) if listed is None else listed
        found = _best(wanted, block, rows) if len(rows) else None
        if found is None or found.score > best:
            return None
        best = Score(found.score)
        return found

    with _scanner(wanted.codes) as scan:
        yield look


@contextmanager
def _scanner(codes: Codes) -> Iterator[Scan]:
    query = codes.astype(np.float32)  # whole numbers, because the scanner turns them back into bytes
    quantizer: Any = faiss.ScalarQuantizer(len(codes), faiss.ScalarQuantizer.QT_8bit_direct_signed)
    scanner = quantizer.select_InvertedListScanner(faiss.METRIC_L2, None, store_pairs=True, sel=None)
    squared, labels = np.empty(LISTED, np.float32), np.empty(LISTED, np.int64)

    def scan(rows: Stored, reach: float, most: int) -> NDArray[np.int64] | None:
        """Return the rows no farther than `reach`; None if those are `most` or more, unless one is asked for."""
        squared.fill(np.floor(reach) + 1 if reach < EXACT_BELOW else np.inf)  # what is nearer is listed
        labels.fill(-1)
        scanner.scan_codes(len(rows), faiss.swig_ptr(rows), None, faiss.swig_ptr(squared), faiss.swig_ptr(labels), most)
        if most == 1:
            return labels[:1].copy() if squared[0] < EXACT_BELOW else None
        listed = labels[labels >= 0]
        return None if len(listed) == most else np.sort(listed)

    try:
        scanner.set_query(faiss.swig_ptr(query))
        scanner.set_list(0, 0.0)
        yield scan
    finally:
        query.fill(0)
        scanner.set_query(faiss.swig_ptr(query))  # over the copy in bytes that it made of the probe
        type(scanner).__swig_destroy__(scanner)  # Python does not own it and would leak it


def _best(wanted: Wanted, block: Opened, rows: NDArray[np.int64]) -> Found:
    """Score some rows, exactly at any distance, through copies, which are wiped; `rows` rises."""
    some, probe = block.rows[rows], wanted.codes.astype(np.int32)
    probe += FLIP
    apart = some.astype(np.int32)
    apart -= probe
    squared = np.einsum("ij,ij->i", apart, apart)
    for copy in (some, probe, apart):
        copy.fill(0)
    scores = score.of(squared, wanted.numbers, block.numbers[:, rows])
    at = int(scores.argmin())
    return Found(float(scores[at]), int(rows[at]))


def threads() -> int:
    """Return how many threads faiss may use here: the cores at hand, or what OMP_NUM_THREADS says."""
    return int(faiss.omp_get_max_threads())
