"""From a folder of labelled photographs to a cohort and its calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from countenance.clock import SystemClock, utc_text
from countenance.evaluation import fit_cohort
from countenance.evaluation.dataset import Evaluation, listed
from countenance.evaluation.fit_cohort import Shape
from countenance.evaluation.report import curve
from countenance.matching import cohort
from countenance.matching.calibration import Calibration
from countenance.vision.pack_runtime import FacePack
from countenance.vision.packs import DEFAULT

SCRIPT = "countenance calibrate cohort"


@dataclass(frozen=True)
class Made:
    """Parameters as text, the calibration, and DET curves (FMR, FNMR) on people that no cohort had seen, by name."""

    text: str
    calibration: Calibration
    curves: dict[str, list[tuple[float, float]]]


def calibrate(folder: Path, named: str, groups: dict[str, set[str]], progress: Callable[[int, int], None],
              shape: Shape | None = None, pack: str = DEFAULT) -> Made:
    """Fit a cohort and calibrate with it. `groups`: identities by the name of a group.

    Raises BadInput: dataset-empty, cohort-too-few, rate-unsupported; ModelFault.
    """
    shape = shape or Shape()
    evaluation = Evaluation(listed(folder), FacePack.open(pack))
    steps = len(evaluation.photographs) + fit_cohort.FOLDS
    kept, vectors = evaluation.measured(lambda done, _all: progress(done, steps))
    some = fit_cohort.photographs_that_count([one.identity for one in kept])
    identities, vectors = [kept[at].identity for at in some], vectors[some]
    provenance = {"date": utc_text(SystemClock().now())[:10], "script": SCRIPT}
    text = fit_cohort.parameters(evaluation, vectors, identities, shape, {**provenance, "data": named})
    done = [len(evaluation.photographs)]

    def tell(_part: str) -> None:
        done[0] += 1
        progress(done[0], steps)

    trials = fit_cohort.held_out(evaluation, vectors, identities, shape, tell)
    names = np.unique(np.array(identities))
    members = {name: {int(at) for at in np.flatnonzero(np.isin(names, sorted(within)))}
               for name, within in groups.items()}
    ships = cohort.parse(text, evaluation.pack.identity)
    found = fit_cohort.calibrated(trials, ships.identity, {**provenance, "dataset": named}, members)
    raw = fit_cohort.held_out(evaluation, vectors, identities, shape, lambda _part: None, raw=True)
    return Made(text, found, {"normalised": curve(trials), "raw distance": curve(raw)})
