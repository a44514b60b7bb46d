"""D(s) and D_sys, the measures of linkability, from the scores of mated and non-mated pairs.

M. Gomez-Barrero, J. Galbally, C. Rathgeb, C. Busch, "General Framework to Evaluate Unlinkability in Biometric
Template Protection Systems", IEEE Transactions on Information Forensics and Security 13 (6), 2018
(arXiv 2311.04633). With LR(s) = p(s | mated) / p(s | non-mated):

    D(s)  = 0                                       where omega LR(s) <= 1
          = 2 omega LR(s) / (1 + omega LR(s)) - 1   elsewhere; 1 where no non-mated pair scores s
    D_sys = the integral of p(s | mated) D(s) over s

0: the score says nothing about who is who. 1: every mated pair is told by its score. `OMEGA` is how much likelier a
pair is mated than not, before anything is seen: 1, as in the paper, is every second pair, far more than an attacker
meets who has thousands of people on either side.

ISO/IEC 30136:2018 gives guidance on measuring unlinkability, and excludes conventional encryption (both in clause 1);
the measure is used here for it all the same.

Densities are histograms, so a finite sample never gives exactly 0 (positive bias). What chance alone gives is measured
with it: the same scores, dealt out anew as if there were no telling them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput

OMEGA = 1.0
FEWEST = 50
"""Mated pairs. Fewer give figures that chance alone decides."""

MOST_BINS, FEWEST_IN_A_BIN = 40, 25
SHUFFLES, MORE_SHUFFLES = 1_000, 20_000
"""How often scores are dealt out by chance; more often where chance hardly reaches what was measured."""

_HARDLY = 10
_LEVELS = 250
_AT_ONCE = 200

Scores = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Measured:
    """`d_sys` of one linkage function; `local[n]` is D(s) for scores between `edges[n]` and `edges[n + 1]`.

    Of scores dealt out by chance: `chance` is the mean D_sys, `chance_95` what 95 of 100 stay below, and `p` the share
    that reaches `d_sys` (a permutation test). Lower `p`: less likely that nothing links.
    """

    d_sys: float
    chance: float
    chance_95: float
    p: float
    mated: int
    nonmated: int
    edges: Scores
    local: Scores


def measure(mated: Scores, nonmated: Scores, random: np.random.Generator) -> Measured:
    """Measure one linkage function. Which way the score goes does not matter, nor does its scale.

    Raises BadInput(scores-few, scores-not-finite).
    """
    _usable(mated, nonmated)
    values, index = np.unique(np.concatenate([mated, nonmated]), return_inverse=True)
    ours = np.bincount(index[: len(mated)], minlength=len(values))
    theirs = np.bincount(index[len(mated) :], minlength=len(values))
    bins = _bins(len(mated))
    place = _places(ours[None], theirs[None], bins)[0]
    local, d_sys = _measures(ours[None], theirs[None], bins)
    by_chance = _by_chance(ours + theirs, len(mated), bins, random, SHUFFLES)
    if (reached := _reaching(by_chance, d_sys[0])) < _HARDLY:
        by_chance = _by_chance(ours + theirs, len(mated), bins, random, MORE_SHUFFLES)
        reached = _reaching(by_chance, d_sys[0])
    used, starts = np.unique(place, return_index=True)
    return Measured(
        float(d_sys[0]), float(by_chance.mean()), float(np.quantile(by_chance, 0.95)),
        (1 + reached) / (1 + len(by_chance)), len(mated), len(nonmated), _edges(values, starts), local[0][used])


def _reaching(by_chance: Scores, d_sys: float) -> int:
    return int((by_chance >= d_sys - 1e-12).sum())


def _usable(mated: Scores, nonmated: Scores) -> None:
    if min(len(mated), len(nonmated)) < FEWEST:
        raise BadInput("scores-few", f"Fewer than {FEWEST} people say nothing about linking; take more.")
    if not (np.isfinite(mated).all() and np.isfinite(nonmated).all()):
        raise BadInput("scores-not-finite", "Some scores are not numbers.")


def _bins(mated: int) -> int:
    # Even, so that two halves that do not overlap fall into bins of their own.
    return max(2, min(MOST_BINS, mated // FEWEST_IN_A_BIN // 2 * 2))


def _places(ours: Counts, theirs: Counts, bins: int) -> Counts:
    """Return the bin of every value, (rows, values): equally many in each, mated and non-mated counted alike.

    By rank, so no change of scale moves a score into another bin; equal scores are never parted.
    """
    share = (ours / ours.sum(axis=1, keepdims=True) + theirs / theirs.sum(axis=1, keepdims=True)) / 2
    middle = np.cumsum(share, axis=1) - share / 2
    return np.asarray(np.minimum(middle * bins, bins - 1), np.int64)


def _measures(ours: Counts, theirs: Counts, bins: int) -> tuple[Scores, Scores]:
    """Return D(s) of every bin, (rows, bins), and D_sys, (rows,), from counts by value, (rows, values)."""
    rows = len(ours)
    at = (_places(ours, theirs, bins) + np.arange(rows)[:, None] * bins).ravel()
    p, q = (np.bincount(at, counts.ravel(), rows * bins).reshape(rows, bins) / counts.sum(axis=1, keepdims=True)
            for counts in (ours, theirs))
    more = OMEGA * p > q
    local = np.where(more, (OMEGA * p - q) / np.where(more, OMEGA * p + q, 1.0), 0.0)  # 2 w LR / (1 + w LR) - 1
    return local, (p * local).sum(axis=1)


def _by_chance(both: Counts, mated: int, bins: int, random: np.random.Generator, shuffles: int) -> Scores:
    """Return the D_sys of scores dealt out at random, `shuffles` times."""
    levels = _levels(both)
    found = []
    for start in range(0, shuffles, _AT_ONCE):
        size = min(_AT_ONCE, shuffles - start)
        ours = random.multivariate_hypergeometric(levels, mated, size=size, method="marginals")
        found.append(_measures(ours, levels - ours, bins)[1])
    return np.concatenate(found)


def _levels(both: Counts) -> Counts:
    """Put neighbouring values together where there are very many: far finer than the bins, and much faster."""
    if len(both) <= _LEVELS:
        return both
    middle = (np.cumsum(both) - both / 2) / both.sum()
    return np.bincount(np.asarray(middle * _LEVELS, np.int64), both, _LEVELS).astype(np.int64)


def _edges(values: Scores, starts: NDArray[np.intp]) -> Scores:
    inner = [(values[start - 1] + values[start]) / 2 for start in starts[1:]]
    return np.array([values[0], *inner, values[-1]])
