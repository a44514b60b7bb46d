"""Made-up people lie among faces as people do, and nobody's template is in what ships."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from countenance.errors import ModelFault, Refused
from countenance.permits import Door, Kind, PermitBook, person_scope
from countenance.quantities import PersonId, PurposeId, VenueId
from countenance.vision import synthetic
from countenance.vision.synthetic import SyntheticCamera

IDENTITY = json.loads((files("countenance.vision") / "parameters/nobody-dlib-resnet.json").read_text())["pack"]
# Distances between strangers measured on photographs of 2,872 people, and how far made-up ones may lie from them.
PEOPLE = {0.001: (0.531, 0.05), 0.01: (0.605, 0.04), 0.5: (0.813, 0.03)}


def _quantiles(vectors: np.ndarray) -> dict[float, float]:
    pairs = np.triu_indices(len(vectors), 1)
    squared = (vectors**2).sum(axis=1)
    between = np.sqrt(np.maximum(squared[:, None] + squared - 2 * vectors @ vectors.T, 0))[pairs]
    return {rate: float(np.quantile(between, rate)) for rate in PEOPLE}


def test_they_follow_the_distances_between_people() -> None:
    drawn = _quantiles(synthetic.load(IDENTITY).draw(np.random.default_rng(5), 2_000).astype(np.float64))
    for rate, (people, slack) in PEOPLE.items():
        assert abs(drawn[rate] - people) <= slack, rate


def test_a_random_sphere_would_not() -> None:
    random = np.random.default_rng(5).standard_normal((2_000, 128))
    random *= 1.4257 / np.linalg.norm(random, axis=1, keepdims=True)  # the mean length of a face's embedding
    assert _quantiles(random)[0.001] > 1.5


def test_they_belong_to_one_version_of_one_pack() -> None:
    with pytest.raises(ModelFault):
        synthetic.load("dlib-resnet@1+another")
    with pytest.raises(ModelFault):
        synthetic.load("unheard-of@1")


@pytest.mark.promise(1)
def test_a_made_up_face_needs_a_permit_like_any_other() -> None:
    from countenance.clock import SystemClock

    book = PermitBook(SystemClock())
    issue = book.appoint()
    scope = person_scope(Kind.ENROL, VenueId("v"), PurposeId("p"), PersonId("x"))
    permit, camera = issue(scope), SyntheticCamera(synthetic.load(IDENTITY), 0.005, 1)
    probe = camera.embed(book, permit, scope)
    assert (probe.codes.shape, probe.codes.dtype, probe.step) == ((128,), np.int8, 0.005)
    with pytest.raises(Refused, match="used here before"):
        camera.embed(book, permit, scope)
    book.spend(permit, Door.SEAL, scope)


def test_what_ships_is_a_mean_and_a_covariance_with_its_origin() -> None:
    value = json.loads((files("countenance.vision") / "parameters/nobody-dlib-resnet.json").read_text())
    assert set(value) == {"pack", "data", "date", "script", "impostor_quantiles", "raw_distance", "spread", "mean",
                          "factor"}
    assert len(value["mean"]) == 4 * -(-128 * 4 // 3)
    assert len(value["factor"]) == 4 * -(-128 * 129 // 2 * 2 // 3)
