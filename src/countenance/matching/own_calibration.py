"""A gallery calibrates itself: its people, compared with each other, are trials of different people (DESIGN 6).

What is learnt only ever makes a threshold stricter, never looser, and by no more than a tenth of the rate. A few pairs
that are one person twice, or twins, must neither move it nor be told by name: they are taken out by how unlikely they
are, and counted. Nothing here says who resembles whom.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput, Refused
from countenance.matching import score
from countenance.matching.calibration import Calibration
from countenance.matching.cohort import AnyCohort
from countenance.matching.score import as_score
from countenance.permits import Door, Kind, Permit, PermitBook, Scope
from countenance.quantities import Score

LEAST_PEOPLE = 100
_AT_ONCE = 256
_STEP = 0.01           # of a score, in the histogram
_RANGE = -60.0, 60.0
_LEAST_PAIRS = 100     # at or below a threshold, before its rate is believed
_MOST_STRICTER = 10.0  # the rate that is asked for, over this, is as far as a threshold moves
_UNLIKELY = 0.01       # so many pairs would be expected so near: those that are there are looked at as duplicates


@dataclass(frozen=True)
class Tail:
    """How many pairs have a score at or below each edge: counts (n,), for edges from -60 to 60. No pair is named."""

    pairs: int
    counts: NDArray[np.int64]

    def below(self, threshold: float) -> int:
        """Return how many pairs have a score at or below a threshold, to a hundredth."""
        at = math.floor((threshold - _RANGE[0]) / _STEP + 1e-9)
        return int(self.counts[min(max(at, 0), len(self.counts) - 1)])


@dataclass(frozen=True)
class Moved:
    """What came of it. `stricter_by`: how much the threshold goes down, 0 or more. `duplicates`: pairs too near."""

    threshold: Score
    stricter_by: float
    pairs: int
    duplicates: int


def tail(book: PermitBook, permit: Permit, scope: Scope, codes: NDArray[np.int8], cohort: AnyCohort) -> Tail:
    """Compare all of `codes`, (n, dimension) int8 of n people, with each other, and count the scores.

    Spends COMPARE. 10,000 people are 50 million pairs, some seconds and 100 MB. Raises Refused: permit-door for any
    kind but CALIBRATE, and as `PermitBook.spend`; BadInput(cohort-too-few) for fewer than 100 people.
    """
    book.spend(permit, Door.COMPARE, scope)
    if scope.kind is not Kind.CALIBRATE:
        raise Refused("permit-door", "This kind of permit does not open this door.")
    if len(codes) < LEAST_PEOPLE:
        raise BadInput("cohort-too-few", f"A gallery's own calibration takes {LEAST_PEOPLE} people who agreed to it.")
    numbers = cohort.numbers(codes)
    table = codes.astype(np.float32)  # whole numbers: products stay exact
    squares = (table**2).sum(axis=1)
    counts = np.zeros(round((_RANGE[1] - _RANGE[0]) / _STEP) + 1, np.int64)
    for start in range(0, len(table), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        apart = squares[rows, None] + squares[None, start:] - 2 * (table[rows] @ table[start:].T)
        for at, one in enumerate(apart):
            if start + at + 1 < len(table):
                found = score.of(one[at + 1:], numbers[:, start + at], numbers[:, start + at + 1:])
                places = np.ceil((np.clip(found, *_RANGE) - _RANGE[0]) / _STEP).astype(np.intp)
                counts += np.bincount(places, minlength=len(counts))
    table.fill(0)
    return Tail(len(table) * (len(table) - 1) // 2, counts.cumsum())


def moved(calibration: Calibration, fmr: float, found: Tail) -> Moved:
    """Return the threshold for `fmr` after what a gallery's own people say. Lower is stricter; it never rises.

    At each rate of the calibration that the gallery's pairs can speak of (100 of them at least, duplicates aside), it
    is seen how much nearer than there the same share of pairs lies; the median of those shifts counts. Raises
    BadInput(rate-*).
    """
    usual = calibration.threshold(fmr)
    duplicates = _too_near(calibration, found, 0.0)
    shift = _shift(calibration, found, duplicates)
    duplicates = _too_near(calibration, found, shift)   # once more, as near as this gallery is
    shift = _shift(calibration, found, duplicates)
    most = float(usual) - _strictest(calibration, fmr)
    by = min(max(shift, 0.0), max(most, 0.0))
    return Moved(as_score(float(usual) - by), by, found.pairs, duplicates)


def _shift(calibration: Calibration, found: Tail, duplicates: int) -> float:
    shifts = []
    for point in calibration.points:
        wanted = point.fmr * (found.pairs - duplicates)
        if wanted >= _LEAST_PAIRS:
            at = bisect_left(found.counts, math.ceil(wanted) + duplicates)
            shifts.append(point.threshold - (_RANGE[0] + at * _STEP))
    return float(np.median(shifts)) if shifts else 0.0


def _too_near(calibration: Calibration, found: Tail, shift: float) -> int:
    """Return how many pairs are nearer than any would be expected to be among so many of different people.

    Beyond the calibration's last point the rate is taken to go on falling as it does between its last two.
    """
    above, last = calibration.points[-2:]
    slope = math.log(above.fmr / last.fmr) / max(above.threshold - last.threshold, 1e-6)
    expected = math.log(max(_UNLIKELY / found.pairs, 1e-300))
    edge = last.threshold - max(shift, 0.0) - max(0.0, math.log(last.fmr) - expected) / slope
    return found.below(edge)


def _strictest(calibration: Calibration, fmr: float) -> float:
    try:
        return float(calibration.threshold(fmr / _MOST_STRICTER))
    except BadInput:
        return float(calibration.points[-1].threshold)  # what there is
