"""Comparison trials for an evaluation, at the door COMPARE, under a dataset permit only (ISO/IEC 19795-1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from countenance.errors import Refused
from countenance.features import Vector
from countenance.matching import score
from countenance.matching.cohort import AnyCohort
from countenance.permits import Door, Kind, Permit, PermitBook, Scope

_AT_ONCE = 256


def distances(book: PermitBook, permit: Permit, scope: Scope, vectors: NDArray[np.float32]) -> Vector:
    """Return all distances between the rows of `vectors` (n, dimension), as (n, n) float32.

    Spends COMPARE. Raises Refused: permit-door for any kind but DATASET, and as `PermitBook.spend`.
    """
    _take(book, permit, scope)
    square = (vectors.astype(np.float64) ** 2).sum(axis=1)
    between = square[:, None] + square[None, :] - 2.0 * vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    found: Vector = np.sqrt(np.maximum(between, 0.0)).astype(np.float32)
    return found


def scores(
    book: PermitBook, permit: Permit, scope: Scope, codes: NDArray[np.int8], cohort: AnyCohort
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Give each row's scores with all rows after it: (row, (n - row - 1,) float64). `codes`: (n, dimension).

    The very numbers that a gate would compute. Spends COMPARE, at the first. Raises Refused as `distances`.
    """
    _take(book, permit, scope)
    numbers = cohort.numbers(codes)
    table = codes.astype(np.float32)  # whole numbers: sums of 128 or 512 products stay exact
    squares = (table**2).sum(axis=1)
    for start in range(0, len(table), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        apart = squares[some, None] + squares[None, :] - 2 * (table[some] @ table.T)
        for row, one in enumerate(apart, start):
            if row + 1 < len(table):
                yield row, score.of(one[row + 1:], numbers[:, row], numbers[:, row + 1:])


def _take(book: PermitBook, permit: Permit, scope: Scope) -> None:
    book.spend(permit, Door.COMPARE, scope)
    if scope.kind is not Kind.DATASET:
        raise Refused("permit-door", "This kind of permit does not open this door.")
