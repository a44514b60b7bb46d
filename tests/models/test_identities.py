"""At the demo's threshold: no stranger passes among the identities of the test data; misses are counted.

Photographs are compared under the dataset permit of an evaluation. 1,210 pairs of strangers say little: no false
match among them bounds the false match rate at 0.3% with 95% confidence (rule of three), no better.
"""

from __future__ import annotations

import numpy as np
import pytest
from photographs import shared

from countenance.evaluation import rates
from countenance.evaluation.dataset import Evaluation, Photograph
from countenance.features import quantise
from countenance.flows.venue import DEMO_FMR
from countenance.matching import calibration, cohort, score
from countenance.vision.pack_runtime import FacePack


@pytest.mark.parametrize(("folder", "mated", "nonmated", "missed"), [
    ("faces/johns", 275, 1210, 0),
    ("faces/compreface", 16, 20, 0),
])
def test_no_false_match_and_the_false_non_matches_that_limits_states(
    pack: FacePack, folder: str, mated: int, nonmated: int, missed: int
) -> None:
    photographs = [
        Photograph(path.parent.name if folder.endswith("johns") else path.stem[-1], path)
        for path in shared(folder, 18) if folder.endswith("johns") or path.stem[-1].isalpha()
    ]
    evaluation, held = Evaluation(photographs, pack), cohort.load(pack.identity)
    kept, vectors = evaluation.measured(lambda _done, _all: None)
    assert len(kept) == len(photographs)
    trials = evaluation.trials(vectors, np.unique([one.identity for one in kept], return_inverse=True)[1], held)
    threshold = calibration.load(pack.identity, held.identity).threshold(DEMO_FMR["verify"])
    mates, others = trials.scores[trials.same], trials.scores[~trials.same]
    assert (len(mates), len(others)) == (mated, nonmated)
    assert rates.fmr(others, threshold) == 0
    assert round(rates.fnmr(mates, threshold) * mated) == missed
    one, other = (quantise(vector, pack.step) for vector in vectors[:2])  # as a gate would compare the first pair
    gate = score.of(score.squared(one, other), held.numbers(one), held.numbers(other))
    assert trials.scores[0] == np.float32(gate)
