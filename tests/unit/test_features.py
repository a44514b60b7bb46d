"""Codes: what a template is made of. Rounding is small, the same everywhere, and refuses what is not a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput, Refused
from countenance.features import quantise
from countenance.matching import score
from countenance.vision import packs, synthetic

STEP = packs.load().manifest.step


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=64), st.sampled_from([0.001, STEP, 0.01]))
def test_a_code_is_the_nearest_step_or_the_last(numbers: list[float], step: float) -> None:
    vector = np.asarray(numbers, np.float32)
    codes = quantise(vector, step)
    assert codes.dtype == np.int8
    inside = np.abs(vector / step) <= 127
    assert np.all(np.abs(codes[inside] * step - vector[inside]) <= step * 0.5001)
    assert np.all(np.abs(codes[~inside].astype(int)) == 127)
    assert np.all(np.sign(codes[~inside]) == np.sign(vector[~inside]))


@pytest.mark.promise(1)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_never_compared(wrong: float) -> None:
    vector = np.zeros(128, np.float32)
    vector[7] = wrong
    with pytest.raises(BadInput) as caught:
        quantise(vector, STEP)
    assert caught.value.code == "score-not-finite"


def test_rounding_moves_a_distance_by_less_than_a_hundredth() -> None:
    """The figures of decision 0009."""
    random = np.random.default_rng(5)
    one = synthetic.load(packs.load().identity).draw(random, 20_000)
    apart = random.standard_normal(one.shape)
    apart *= 0.48 / np.linalg.norm(apart, axis=1, keepdims=True)
    other = (one + apart).astype(np.float32)
    off = [abs(score.squared(quantise(a, STEP), quantise(b, STEP)) ** 0.5 * STEP - 0.48)
           for a, b in zip(one[:5_000], other[:5_000], strict=True)]
    assert np.median(off) == pytest.approx(0.0014, abs=0.0002)
    assert max(off) < 0.01


def test_nothing_of_the_default_pack_is_cut_off() -> None:
    drawn = synthetic.load(packs.load().identity).draw(np.random.default_rng(1), 20_000)
    assert 0.5 < np.abs(drawn).max() < 127 * STEP


@given(st.integers(1, 64), st.randoms(use_true_random=False))
def test_a_distance_is_symmetric_and_exact(size: int, random: object) -> None:
    draw = np.random.default_rng(random.randrange(1 << 30))  # type: ignore[attr-defined]  # hypothesis' own
    one, other = draw.integers(-127, 128, (2, size)).astype(np.int8)
    there, back = score.squared(one, other), score.squared(other, one)
    assert there == back
    assert there == sum((int(a) - int(b)) ** 2 for a, b in zip(one, other, strict=True))
    assert score.squared(one, one.copy()) == 0


def test_codes_of_another_length_are_another_models() -> None:
    with pytest.raises(Refused) as caught:
        score.squared(np.zeros(4, np.int8), np.zeros(5, np.int8))
    assert caught.value.code == "pack-other"
