"""Comparison trials for an evaluation, at the door COMPARE, under a dataset permit only (ISO/IEC 19795-1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countenance.errors import Refused
from countenance.features import Vector
from countenance.permits import Door, Kind, Permit, PermitBook, Scope


def distances(book: PermitBook, permit: Permit, scope: Scope, vectors: NDArray[np.float32]) -> Vector:
    """Return all distances between the rows of `vectors` (n, dimension), as (n, n) float32.

    Spends COMPARE. Raises Refused: permit-door for any kind but DATASET, and as `PermitBook.spend`.
    """
    book.spend(permit, Door.COMPARE, scope)
    if scope.kind is not Kind.DATASET:
        raise Refused("permit-door", "This kind of permit does not open this door.")
    square = (vectors.astype(np.float64) ** 2).sum(axis=1)
    between = square[:, None] + square[None, :] - 2.0 * vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    found: Vector = np.sqrt(np.maximum(between, 0.0)).astype(np.float32)
    return found
