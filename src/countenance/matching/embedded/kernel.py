"""What is computed in one opened block: today the nearest row, by faiss, on one thread and without a copy.

faiss's scanner reads the block where it lies and gives a float32. Codes are whole numbers, so a sum below 2**24 is
exact whatever the order of its parts, on any processor; a block whose nearest row is farther than that (it takes
261 dimensions and a probe opposite to everybody) is measured again in whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import faiss
import numpy as np

from countenance.features import Codes
from countenance.matching.embedded.blocks import FLIP, Stored

EXACT_BELOW = 1 << 24


class Found(NamedTuple):
    """A row and its squared distance in codes; smaller is closer, and of equals the lower row comes first."""

    squared: int
    row: int


InBlock = Callable[[Stored], Found]


@contextmanager
def nearest_in_block(codes: Codes) -> Iterator[InBlock]:
    """Give the function that finds the row nearest to `codes` in one block of at least one row. One thread's."""
    query = codes.astype(np.float32)  # whole numbers, because the scanner turns them back into bytes
    squared, label = np.empty(1, np.float32), np.empty(1, np.int64)
    quantizer: Any = faiss.ScalarQuantizer(len(codes), faiss.ScalarQuantizer.QT_8bit_direct_signed)
    scanner = quantizer.select_InvertedListScanner(faiss.METRIC_L2, None, store_pairs=True, sel=None)

    def look(rows: Stored) -> Found:
        squared[0] = np.inf
        scanner.scan_codes(len(rows), faiss.swig_ptr(rows), None, faiss.swig_ptr(squared), faiss.swig_ptr(label), 1)
        if not squared[0] < EXACT_BELOW:
            return in_whole_numbers(codes, rows)
        return Found(int(squared[0]), int(label[0]))

    try:
        scanner.set_query(faiss.swig_ptr(query))
        scanner.set_list(0, 0.0)
        yield look
    finally:
        query.fill(0)
        scanner.set_query(faiss.swig_ptr(query))  # over the copy in bytes that it made of the probe
        type(scanner).__swig_destroy__(scanner)  # Python does not own it and would leak it


def in_whole_numbers(codes: Codes, rows: Stored) -> Found:
    """Do the same in numpy, exactly at any distance; slow, and through a copy, which is wiped."""
    apart = rows.astype(np.int32)
    apart -= codes.astype(np.int32) + FLIP
    squared = np.einsum("ij,ij->i", apart, apart)
    apart.fill(0)
    row = int(squared.argmin())
    return Found(int(squared[row]), row)


def threads() -> int:
    """Return how many threads faiss may use here: the cores at hand, or what OMP_NUM_THREADS says."""
    return int(faiss.omp_get_max_threads())
