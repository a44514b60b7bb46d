"""The error-versus-discard characteristic (ISO/IEC 29794-1): how many misses remain as the worst captures go.

A pair is as good as its worse capture. If quality says anything about errors, FNMR at a fixed threshold falls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)


def curve(mated: NDArray[np.float32], quality: NDArray[np.float64], threshold: float,
          shares: Sequence[float] = SHARES) -> list[tuple[float, float]]:
    """Return (share discarded, FNMR of the rest) for each share.

    `mated`: scores of mated pairs, lower is closer. `quality`: of each pair, HIGHER is better; among equals the earlier
    goes first. Raises BadInput: trials-missing, score-not-finite.
    """
    if not len(mated) or len(mated) != len(quality):
        raise BadInput("trials-missing", "There are no pairs of this kind to measure with.")
    if not (np.isfinite(mated).all() and np.isfinite(quality).all()):
        raise BadInput("score-not-finite", "A comparison score is not a number.")
    missed = (mated > threshold)[np.argsort(quality, kind="stable")]
    return [(share, float(missed[min(int(share * len(missed)), len(missed) - 1):].mean())) for share in shares]


def pairs_of(identities: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places (first, second) of every mated pair, as a triangle read row by row gives them."""
    at: dict[str, list[int]] = {}
    for place, name in enumerate(identities):
        at.setdefault(name, []).append(place)
    return sorted((one, other) for places in at.values() for n, one in enumerate(places) for other in places[n + 1:])
