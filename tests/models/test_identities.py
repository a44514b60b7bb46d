"""At the demo's threshold: no stranger passes among the identities of the test data; misses are counted.

Photographs are compared under the dataset permit of an evaluation. 1,230 pairs of strangers say little: no false
match among them bounds the false match rate at 0.3% with 95% confidence (rule of three), no better.
"""

from __future__ import annotations

import numpy as np
import pytest
from photographs import shared

from countenance.evaluation.dataset import Evaluation, Photograph
from countenance.features import quantise
from countenance.flows.venue import DEMO_VERIFY
from countenance.matching import score
from countenance.vision.pack_runtime import FacePack


def _pairs(evaluation: Evaluation, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which pairs are of one person, their distances, and their distances as templates in codes have them."""
    kept, vectors = evaluation.measured(lambda _done, _all: None)
    assert len(kept) == len(evaluation.photographs)
    names = np.array([one.identity for one in kept])
    pairs = np.triu_indices(len(names), 1)
    same = (names[:, None] == names[None, :])[pairs]
    codes = [quantise(vector, step) for vector in vectors]
    coded = [score.distance(codes[one], codes[other], step) for one, other in zip(*pairs, strict=True)]
    return same, evaluation.distances(vectors)[pairs], np.asarray(coded)


@pytest.mark.parametrize(("folder", "mated", "nonmated", "missed"), [
    ("faces/johns", 275, 1210, 8),
    ("faces/compreface", 16, 20, 0),
])
def test_no_false_match_and_the_false_non_matches_that_limits_states(
    pack: FacePack, folder: str, mated: int, nonmated: int, missed: int
) -> None:
    photographs = [
        Photograph(path.parent.name if folder.endswith("johns") else path.stem[-1], path)
        for path in shared(folder, 18) if folder.endswith("johns") or path.stem[-1].isalpha()
    ]
    same, *measured = _pairs(Evaluation(photographs, pack), pack.step)
    assert (int(same.sum()), int((~same).sum())) == (mated, nonmated)
    for distances in measured:
        assert int((distances[~same] <= DEMO_VERIFY).sum()) == 0
        assert int((distances[same] > DEMO_VERIFY).sum()) == missed
    assert np.abs(measured[0] - measured[1]).max() < 0.01  # decision 0009
