"""Error rates: by hand, and against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput
from countenance.evaluation import rates
from countenance.evaluation.rates import Trials

MATED = np.array([-9, -8, -7, -2], np.float32)
NONMATED = np.array([-7, -3, 0, 1, 2, 3, 4, 5, 6, 7], np.float32)


def test_by_hand() -> None:
    assert rates.fmr(NONMATED, -3.0) == 0.2  # at the threshold counts as a match
    assert rates.fnmr(MATED, -7.0) == 0.25
    assert rates.fnmr(MATED, -10) == 1.0
    assert rates.fmr(NONMATED, -10) == 0.0
    assert rates.eer(MATED, NONMATED) == pytest.approx((0.2 + 0.25) / 2)


@given(st.lists(st.integers(-20, 20), min_size=10, max_size=80), st.floats(0.1, 0.9))
def test_a_threshold_keeps_the_rate_and_the_next_score_would_not(values: list[int], wanted: float) -> None:
    scores = np.array(values, np.float32)
    threshold = rates.threshold_at(scores, wanted)
    assert rates.fmr(scores, threshold) <= wanted
    above = scores[scores > threshold]
    assert not len(above) or rates.fmr(scores, float(above.min())) > wanted


def test_ten_pairs_cannot_speak_of_a_millionth() -> None:
    with pytest.raises(BadInput, match="takes 3,000,000 comparisons") as refused:
        rates.threshold_at(NONMATED, 1e-6)
    assert refused.value.code == "rate-unsupported"


def test_the_curve_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(1)
    mated, nonmated = (chance.normal(at, 2, 500).astype(np.float32) for at in (-6, 0))
    labels = np.r_[np.ones(500), np.zeros(500)]
    matches, hits, thresholds = metrics.roc_curve(labels, -np.r_[mated, nonmated], drop_intermediate=False)
    for fmr, hit, threshold in zip(matches[1:], hits[1:], thresholds[1:], strict=True):
        assert rates.fmr(nonmated, -threshold) == pytest.approx(fmr)
        assert rates.fnmr(mated, -threshold) == pytest.approx(1 - hit)


@pytest.mark.parametrize(("errors", "trials"), [(1, 10), (5, 50), (50, 1_210), (10, 10)])
def test_wilson_is_that_of_scipy(errors: int, trials: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    interval = stats.binomtest(errors, trials).proportion_ci(method="wilson")
    found = rates.wilson(errors, trials)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_no_error_is_not_no_error_rate() -> None:
    assert rates.wilson(0, 1_210) == rates.Rate(0.0, 0.0, 3 / 1_210)
    trials = Trials(NONMATED, np.zeros(10, np.int32), np.arange(1, 11, dtype=np.int32))
    assert rates.by_identity(trials, np.zeros(10, bool)).high == 0.3


def test_an_interval_by_identity_is_wider_where_one_person_makes_all_errors() -> None:
    first, second = np.triu_indices(40, 1)
    trials = Trials(np.zeros(len(first), np.float32), first.astype(np.int32), second.astype(np.int32))
    wrong = (first == 0) | (second == 0)
    spread = np.random.default_rng(1).permutation(wrong)
    one, many = rates.by_identity(trials, wrong), rates.by_identity(trials, spread)
    assert one.value == many.value
    assert one.low <= one.value <= one.high
    assert one.high - one.low > 1.5 * (many.high - many.low)


def test_scores_that_are_not_numbers_and_no_scores_at_all() -> None:
    with pytest.raises(BadInput):
        Trials(np.array([np.nan], np.float32), np.zeros(1, np.int32), np.zeros(1, np.int32))
    for call in (lambda: rates.fmr(MATED[:0], 0), lambda: rates.fnmr(MATED[:0], 0), lambda: rates.wilson(0, 0)):
        with pytest.raises(BadInput) as refused:
            call()
        assert refused.value.code == "trials-missing"
