"""The cohort of nobody and the score it normalises: the same on every machine, symmetric, and of nobody."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import ModelFault, Refused
from countenance.matching import calibration, cohort, score
from countenance.matching.cohort import FEWEST, Cohort, Mixture
from countenance.vision import packs, synthetic

PARAMETERS = files("countenance.matching") / "parameters"
PACK = packs.load().identity


def shipped() -> dict[str, Any]:
    value: dict[str, Any] = json.loads((PARAMETERS / "cohort-dlib-resnet.json").read_text(encoding="utf-8"))
    return value


def small(dimension: int = 4, number: int = 50) -> Cohort:
    codes = np.random.default_rng(1).integers(-100, 100, (number, dimension)).astype(np.int8)
    return Cohort("pack@1", codes, 10, {})


def test_the_numbers_are_those_of_the_textbook() -> None:
    """Mean and spread of the logarithms of the ten smallest distances, computed the slow way."""
    codes = np.random.default_rng(1).integers(-100, 100, (50, 4)).astype(np.int8)
    probe = np.array([5, -60, 99, 0], np.int8)
    logarithms = sorted(np.log(((codes.astype(int) - probe) ** 2).sum(axis=1) + 0.5) / 2)[:10]
    slope, offset = small().numbers(probe)
    assert slope == pytest.approx(1 / np.std(logarithms), rel=1e-6)
    assert offset == pytest.approx(np.mean(logarithms) / np.std(logarithms), rel=1e-6)


def test_a_capture_has_the_same_numbers_alone_and_among_others() -> None:
    held = cohort.load(PACK)
    table = np.random.default_rng(3).integers(-60, 60, (600, 128)).astype(np.int8)
    together = held.numbers(table)
    assert together.shape == (2, 600)
    for at in (0, 255, 256, 599):
        assert (held.numbers(table[at]) == together[:, at]).all()


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_score_is_symmetric_and_rises_with_the_distance(one: int, other: int) -> None:
    a, b = np.array([12.0, 60.0], np.float32), np.array([30.0, 130.0], np.float32)
    assert score.of(one, a, b) == score.of(one, b, a)
    assert (score.of(one, a, b) < score.of(other, a, b)) == (one < other)


@given(st.floats(-30, 5), st.integers(1, 2**31))
def test_nothing_within_a_threshold_lies_beyond_its_reach(within: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    numbers = np.stack([chance.uniform(5, 40, 20), chance.uniform(20, 200, 20)]).astype(np.float32)
    probe = numbers[:, 0]
    reach = score.reach(score.as_score(within), probe, numbers)
    if reach > 1e15:  # farther than any two templates are
        return
    beyond = np.full(20, reach * (1 + 1e-9) + 1)
    assert (score.of(beyond, probe, numbers) > within).all()


def test_what_is_not_a_number_is_near_to_nobody() -> None:
    with pytest.raises(Refused, match="could not be measured"):
        score.as_score(np.nan)


def test_codes_of_another_model_are_refused() -> None:
    with pytest.raises(Refused):
        small().numbers(np.zeros(5, np.int8))


def test_the_draw_is_the_one_that_was_tried() -> None:
    held = cohort.load(PACK)
    assert held.digest == shipped()["sha256"]
    mixture = Mixture(np.array([0.25, 0.75]), np.array([[0.0, 4.0], [8.0, -4.0]]), np.array([[1.0, 0.5], [0.25, 2.0]]))
    drawn = mixture.draw(7, 20_000)
    first = drawn[:, 0] < 5
    assert first.mean() == pytest.approx(0.25, abs=0.01)
    assert drawn[first].mean(axis=0) == pytest.approx([0, 4], abs=0.05)
    assert drawn[~first].std(axis=0) == pytest.approx([0.25, 2.0], rel=0.03)
    assert (mixture.draw(7, 20_000) == drawn).all()
    assert (mixture.draw(8, 20_000) != drawn).any()


def test_what_ships_is_small_says_where_it_is_from_and_holds_nobody() -> None:
    value = shipped()
    assert (PARAMETERS / "cohort-dlib-resnet.json").stat().st_size < 300_000  # type: ignore[attr-defined]  # a Path
    assert {"pack", "data", "people", "date", "script", "seed", "number", "nearest"} <= set(value)
    shares = np.frombuffer(base64.b64decode(value["shares"]), "<f2").astype(float)
    assert (shares / shares.sum() * value["people"]).min() > FEWEST - 0.5  # rounded to float16


def test_strangers_drawn_from_another_distribution_hardly_match() -> None:
    """1,000 made-up people, none of them from the mixture: close to the rate that the threshold is for."""
    held = cohort.load(PACK)
    threshold = calibration.load(PACK, held.identity).threshold(0.01)
    drawn = cohort.as_codes(synthetic.load(PACK).draw(np.random.default_rng(5), 1_000).astype(np.float64), 0.005)
    numbers = held.numbers(drawn)
    table = drawn.astype(np.int64)
    squared = (table**2).sum(1)[:, None] + (table**2).sum(1) - 2 * table @ table.T
    matches = sum(int((score.of(squared[at, at + 1:], numbers[:, at], numbers[:, at + 1:]) <= threshold).sum())
                  for at in range(999))
    assert matches / (1_000 * 999 / 2) < 0.02


def test_what_is_no_face_is_near_to_nobody_and_not_to_what_is_no_face_either() -> None:
    """Random vectors lie far from every face; without limits two of them would be nearer than two captures of one."""
    held = cohort.load(PACK)
    threshold = calibration.load(PACK, held.identity).threshold(0.001)
    drawn = cohort.as_codes(_mixture().draw(shipped()["seed"], shipped()["number"]), 0.005)
    unlimited = Cohort(PACK, drawn, shipped()["nearest"], {})
    chance = np.random.default_rng(9)
    faces = cohort.as_codes(synthetic.load(PACK).draw(chance, 200).astype(np.float64), 0.005)
    random = chance.standard_normal((50, 128))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    found = {"limited": 0, "unlimited": 0}
    for length in (0.3, 1.0, 1.4, 3.0):
        wolves = cohort.as_codes(length * random, 0.005)
        for name, own in (("limited", held), ("unlimited", unlimited)):
            for at, wolf in enumerate(wolves):
                others = np.concatenate([faces, wolves[at + 1:]])
                apart = ((others.astype(np.int64) - wolf) ** 2).sum(axis=1)
                scores = score.of(apart, own.numbers(wolf), own.numbers(others))
                found[name] += int((scores[apart > (0.6 / 0.005) ** 2] <= threshold).sum())
    assert found["limited"] == 0
    assert found["unlimited"] > 1_000


def _mixture() -> Mixture:
    return cohort._mixture(shipped())


BROKEN: list[dict[str, Any]] = [
    {"format": 2}, {"nearest": 1}, {"nearest": 10**6}, {"number": 10**7}, {"number": "many"},
    {"components": 3},
    {"most_mean": "nan"}, {"least_spread": 0}, {"shares": "!"}, {"means": ""}, {"step": 0}, {"sha256": None},
    {"spreads": base64.b64encode(b"\0\0").decode()},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_parameters_are_read_strictly(change: dict[str, Any]) -> None:
    with pytest.raises(ModelFault) as fault:
        cohort.parse(json.dumps(shipped() | change), PACK)
    assert fault.value.code in {"cohort-malformed", "cohort-changed"}


@pytest.mark.parametrize("key", ["pack", "shares", "means", "seed", "data", "sha256"])
def test_every_key_is_needed(key: str) -> None:
    value = shipped()
    del value[key]
    with pytest.raises(ModelFault, match="not as they must be"):
        cohort.parse(json.dumps(value), PACK)


def test_a_cohort_belongs_to_one_pack_and_one_seed() -> None:
    with pytest.raises(ModelFault) as fault:
        cohort.parse(json.dumps(shipped()), "another@1")
    assert fault.value.code == "cohort-other"
    with pytest.raises(ModelFault) as fault:
        cohort.parse(json.dumps(shipped() | {"seed": 1}), PACK)
    assert fault.value.code == "cohort-changed"
    with pytest.raises(ModelFault) as fault:
        cohort.load("unheard-of@1")
    assert fault.value.code == "cohort-missing"
