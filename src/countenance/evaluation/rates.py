"""Error rates from comparison scores (ISO/IEC 19795-1): FMR, FNMR, EER, and how sure they are. Lower scores are closer.

A pair counts once. Pairs share people, so they are not independent: intervals are by bootstrap over identities
(Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems", CVIU 93(1), 2004), not by pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput

CONFIDENCE = 0.95
_Z = 1.959963984540054  # of the normal distribution, both sides of 95 %
REPEATS = 200

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Trials:
    """Scores with whose they are: `first` and `second` number the identities, 0 and up; all of shape (n,)."""

    scores: Scores
    first: NDArray[np.int32]
    second: NDArray[np.int32]

    def __post_init__(self) -> None:
        if np.isnan(self.scores).any():
            raise BadInput("score-not-finite", "A comparison score is not a number.")

    @property
    def same(self) -> NDArray[np.bool_]:
        """Return which pairs are mated."""
        same: NDArray[np.bool_] = self.first == self.second
        return same

    def some(self, chosen: NDArray[np.bool_]) -> Trials:
        """Return the pairs chosen."""
        return Trials(self.scores[chosen], self.first[chosen], self.second[chosen])


@dataclass(frozen=True)
class Rate:
    """A share of errors with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def fmr(nonmated: Scores, threshold: float) -> float:
    """Return the share of non-mated scores at or below `threshold`. Raises BadInput(trials-missing)."""
    return float((_some(nonmated) <= threshold).mean())


def fnmr(mated: Scores, threshold: float) -> float:
    """Return the share of mated scores above `threshold`. Raises BadInput(trials-missing)."""
    return float((_some(mated) > threshold).mean())


def threshold_at(nonmated: Scores, wanted: float) -> float:
    """Return the highest score threshold whose FMR on these scores is at most `wanted`; below all of them if need be.

    Raises BadInput: rate-unusable, rate-unsupported where fewer than 1 / `wanted` scores are given, trials-missing.
    """
    if not 0 < wanted < 1:
        raise BadInput("rate-unusable", "An error rate lies between 0 and 1, both excluded.")
    number = len(_some(nonmated))
    allowed = math.floor(wanted * number * (1 + 1e-12))
    if allowed < 1:
        raise BadInput("rate-unsupported", f"A rate of {wanted:g} takes {math.ceil(3 / wanted):,} comparisons of "
                       f"different people; here are {number:,}.")
    ranked = np.partition(nonmated, allowed) if allowed < number else np.append(np.sort(nonmated), np.float32(np.inf))
    return float(np.nextafter(np.float32(ranked[allowed]), np.float32(-np.inf)))


def eer(mated: Scores, nonmated: Scores) -> float:
    """Return the equal error rate: where FMR and FNMR are nearest each other, their mean. Raises BadInput."""
    thresholds = np.unique(np.concatenate([_some(mated), _some(nonmated)]))
    if len(thresholds) > 1_000_000:
        thresholds = thresholds[:: len(thresholds) // 1_000_000 + 1]
    matches = np.searchsorted(np.sort(nonmated), thresholds, side="right") / len(nonmated)
    misses = 1 - np.searchsorted(np.sort(mated), thresholds, side="right") / len(mated)
    at = int(np.abs(matches - misses).argmin())
    return float((matches[at] + misses[at]) / 2)


def wilson(errors: int, trials: int) -> Rate:
    """Return a share with Wilson's interval (JASA 22, 1927); for zero errors the upper end is the rule of three's.

    Right for independent trials only. Raises BadInput(trials-missing).
    """
    if trials < 1:
        raise _missing()
    share, square = errors / trials, _Z**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2)) / (1 + square / trials)
    high = min(1.0, 3 / trials) if errors == 0 else min(1.0, middle + half)
    return Rate(share, 0.0 if errors == 0 else max(0.0, middle - half), high)


def by_identity(trials: Trials, wrong: NDArray[np.bool_], seed: int = 1) -> Rate:
    """Return the share of `wrong` pairs with a bootstrap interval over identities; see the module.

    A pair weighs the product of how often its people were drawn (mated: how often its one person was). Where nothing
    is wrong, the upper end is the rule of three's over the pairs of people (mated: over people).
    """
    if not len(trials.scores):
        raise _missing()
    share = float(wrong.mean())
    people = int(max(trials.first.max(), trials.second.max())) + 1
    code, at = np.unique(trials.first.astype(np.int64) * people + trials.second, return_inverse=True)
    one, other = code // people, code % people
    counts, errors = np.bincount(at), np.bincount(at, weights=wrong)
    if not errors.any():
        return Rate(share, 0.0, min(1.0, 3 / len(code)))
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(REPEATS):
        drawn = np.bincount(chance.integers(0, people, people), minlength=people)
        weights = np.where(one == other, drawn[one], drawn[one] * drawn[other])
        if total := float((weights * counts).sum()):
            found.append(float((weights * errors).sum()) / total)
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Rate(share, float(low), float(high))


def _some(scores: Scores) -> Scores:
    if not len(scores):
        raise _missing()
    return scores


def _missing() -> BadInput:
    return BadInput("trials-missing", "There is no pair to measure this on.")
