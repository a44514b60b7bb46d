"""At the demo's threshold: no stranger passes among the identities of the test data; misses are counted.

Photographs are compared under the dataset permit of an evaluation. 1,230 pairs of strangers say little: no false
match among them bounds the false match rate at 0.3% with 95% confidence (rule of three), no better.
"""

from __future__ import annotations

import numpy as np
import pytest
from photographs import shared

from countenance.evaluation.dataset import Evaluation, Photograph
from countenance.flows.venue import DEMO_VERIFY
from countenance.vision.pack_runtime import FacePack


def _pairs(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    kept, vectors = evaluation.measured(lambda _done, _all: None)
    assert len(kept) == len(evaluation.photographs)
    names = np.array([one.identity for one in kept])
    pairs = np.triu_indices(len(names), 1)
    same = (names[:, None] == names[None, :])[pairs]
    distances = evaluation.distances(vectors)[pairs]
    return distances[same], distances[~same]


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
    genuine, impostor = _pairs(Evaluation(photographs, pack))
    assert (len(genuine), len(impostor)) == (mated, nonmated)
    assert int((impostor <= DEMO_VERIFY).sum()) == 0
    assert int((genuine > DEMO_VERIFY).sum()) == missed
