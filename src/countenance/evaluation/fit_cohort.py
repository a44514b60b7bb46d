"""Fits the cohort of nobody, and calibrates scores with it, cross-validated by identity (DESIGN 6).

A mixture of normal distributions with diagonal covariances is fitted on one photograph of each person. The thresholds
come from people that the mixture had not seen: identities are put into five parts by the SHA-256 of their names, and
each part is scored with a cohort fitted on the other four. What ships is fitted on everybody.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.evaluation import rates
from countenance.evaluation.dataset import Evaluation
from countenance.evaluation.rates import Trials
from countenance.features import quantise
from countenance.matching import cohort
from countenance.matching.calibration import Calibration, Point
from countenance.matching.cohort import Mixture

FOLDS = 5
COMPONENTS = 192
DRAWN = 5_000
NEAREST = 350
SEED = 20_261_124
MOST_PHOTOGRAPHS = 10
"""Of one person, for a calibration: somebody with 500 would count for more than all others."""

FEWEST_PEOPLE = 200
RATES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6, 2e-6, 1e-6)
_FLOOR = 1e-5  # least variance of a component, in squared units of an embedding

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Shape:
    """How a cohort is made. `nearest` of the `drawn` templates count."""

    components: int = COMPONENTS
    drawn: int = DRAWN
    nearest: int = NEAREST
    seed: int = SEED


def mixture(people: NDArray[np.float32], components: int, seed: int) -> Mixture:
    """Return the mixture fitted on vectors (n, dimension), one of each person.

    Components that stand for fewer than `cohort.FEWEST` people are left out, and so is nobody's template.
    Raises BadInput: cohort-too-few, sklearn-missing.
    """
    require()
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if len(people) < FEWEST_PEOPLE:
        raise BadInput("cohort-too-few", f"A cohort takes photographs of at least {FEWEST_PEOPLE} people.")
    components = min(components, len(people) // (cohort.FEWEST + 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fit that could still improve a little serves
        model = GaussianMixture(components, covariance_type="diag", reg_covar=_FLOOR, random_state=seed % 2**32,
                                max_iter=200).fit(people.astype(np.float64))
    enough = model.weights_ * len(people) >= cohort.FEWEST
    shares = model.weights_[enough] / model.weights_[enough].sum()
    return Mixture(shares, model.means_[enough], np.sqrt(model.covariances_[enough]))


def require() -> None:
    """Raise BadInput(sklearn-missing) where scikit-learn is not installed; before anything takes time."""
    try:
        import sklearn.mixture  # noqa: F401  # only to see whether it is there
    except ImportError:
        raise BadInput("sklearn-missing",
                       'Fitting a cohort needs scikit-learn: pip install "countenance[calibrate]".') from None


def parameters(evaluation: Evaluation, vectors: NDArray[np.float32], identities: list[str], shape: Shape,
               provenance: dict[str, Any]) -> str:
    """Return the parameters fitted on everybody, as `cohort.parse` reads them. Raises BadInput, ModelFault."""
    first = _one_of_each(np.array(identities))
    fitted = mixture(vectors[first], shape.components, shape.seed)
    return cohort.text_of(fitted, quantise(vectors[first], evaluation.pack.step), evaluation.pack.identity,
                          evaluation.pack.step,
                          (shape.seed, shape.drawn, shape.nearest), {**provenance, "people": len(first)})


def held_out(evaluation: Evaluation, vectors: NDArray[np.float32], identities: list[str], shape: Shape,
             tell: Tell, *, raw: bool = False) -> Trials:
    """Return the scores of all pairs within each fold, each by a cohort that was fitted on the other folds.

    `raw`: without normalisation, of the same pairs.
    """
    names, numbers = np.unique(np.array(identities), return_inverse=True)
    fold = np.array([hashlib.sha256(name.encode()).digest()[0] % FOLDS for name in names])[numbers]
    found = []
    for part in range(FOLDS):
        seen, unseen = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        people = vectors[seen[_one_of_each(numbers[seen])]]
        plain = cohort.Unnormalised(evaluation.pack.identity)
        own: cohort.AnyCohort = plain if raw else _own(evaluation, people, shape)
        found.append(evaluation.trials(vectors[unseen], numbers[unseen], own))
        tell(f"part {part + 1} of {FOLDS}")
    return Trials(*(np.concatenate([getattr(one, name) for one in found]) for name in ("scores", "first", "second")))


def _own(evaluation: Evaluation, people: NDArray[np.float32], shape: Shape) -> cohort.Cohort:
    fitted = mixture(people, shape.components, shape.seed)
    drawn = cohort.as_codes(fitted.draw(shape.seed, shape.drawn), evaluation.pack.step)
    return cohort.limited(evaluation.pack.identity, drawn, shape.nearest,
                          quantise(people, evaluation.pack.step), {})[0]


def calibrated(trials: Trials, cohort_identity: str, provenance: dict[str, Any],
               members: dict[str, set[int]]) -> Calibration:
    """Return the calibration that held-out scores give. `members`: identities' numbers, by the name of a group."""
    nonmated, mated = trials.some(~trials.same), trials.some(trials.same)
    people = len(np.union1d(trials.first, trials.second))
    pairs = len(np.unique(nonmated.first.astype(np.int64) * (int(nonmated.second.max()) + 1) + nonmated.second))
    points = []
    for rate in RATES:
        if rate < 3 / pairs:
            break
        points.append(_point(rate, mated, nonmated))
    groups = {name: _group(trials, within, points) for name, within in members.items()}
    return Calibration(cohort_identity.partition("|")[0], cohort_identity, people=people, trials=pairs, points=points,
                       groups=groups, **provenance)


def photographs_that_count(identities: list[str]) -> list[int]:
    """Return the places of at most `MOST_PHOTOGRAPHS` of each person, in order."""
    seen: dict[str, int] = {}
    kept = []
    for at, name in enumerate(identities):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] <= MOST_PHOTOGRAPHS:
            kept.append(at)
    return kept


def _point(rate: float, mated: Trials, nonmated: Trials) -> Point:
    threshold = rates.threshold_at(nonmated.scores, rate)
    matched = rates.by_identity(nonmated, nonmated.scores <= threshold)
    missed = rates.by_identity(mated, mated.scores > threshold)
    return Point(rate, threshold, matched.low, matched.high, missed.value, missed.low, missed.high)


def _group(trials: Trials, within: set[int], points: list[Point]) -> dict[str, float]:
    """Return FMR and FNMR within a group, by the overall FMR whose threshold is used."""
    inside = trials.some(np.isin(trials.first, list(within)) & np.isin(trials.second, list(within)))
    mated, nonmated = inside.scores[inside.same], inside.scores[~inside.same]
    shown = {"mated": float(len(mated)), "nonmated": float(len(nonmated))}
    for point in points:
        if point.fmr in {0.01, 0.001, 0.0001} and len(mated) and len(nonmated):
            shown[f"fmr at {point.fmr:g}"] = rates.fmr(nonmated, point.threshold)
            shown[f"fnmr at {point.fmr:g}"] = rates.fnmr(mated, point.threshold)
    return shown


def _one_of_each(identities: NDArray[Any]) -> NDArray[np.intp]:
    """Return the place of the first photograph of each person."""
    return np.unique(identities, return_index=True)[1]
