"""Fitting a cohort and calibrating with it, on made-up people: held-out, bounded, and of nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from countenance.errors import BadInput
from countenance.evaluation import calibrating, fit_cohort, rates
from countenance.evaluation.dataset import Evaluation, Photograph
from countenance.evaluation.fit_cohort import Shape
from countenance.matching import cohort
from countenance.vision import packs, synthetic
from countenance.vision.pack_runtime import FacePack
from support.venue import StubPack

PEOPLE, EACH = 400, 2
SHAPE = Shape(12, 500, 40, 5)


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Any:
    """400 made-up people with two captures each; the last one has 30. Nothing is photographed."""
    pack = packs.load()
    random = np.random.default_rng(4)
    drawn = synthetic.load(pack.identity).draw(random, PEOPLE)
    whose = np.repeat(np.arange(PEOPLE), EACH).tolist() + [PEOPLE - 1] * 28
    vectors = (drawn[whose] + 0.02 * random.standard_normal((len(whose), 128))).astype(np.float32)
    kept = [Photograph(f"p{at:03d}", Path(f"p{at:03d}/{n}.jpg")) for n, at in enumerate(whose)]
    monkeypatch.setattr(Evaluation, "measured", lambda _self, _progress: (kept, vectors))
    monkeypatch.setattr(calibrating, "listed", lambda _folder: kept)
    monkeypatch.setattr(FacePack, "open", staticmethod(lambda _name="": StubPack()))
    return kept, vectors


@pytest.mark.usefixtures("crowd")
def test_a_cohort_and_its_calibration_belong_together() -> None:
    made = calibrating.calibrate(Path("made-up"), "made-up people", {"some": {f"p{n:03d}" for n in range(50)}},
                                 lambda _done, _all: None, SHAPE)
    held = cohort.parse(made.text, StubPack.identity)
    found = made.calibration
    assert (found.cohort, found.pack) == (held.identity, StubPack.identity)
    assert (found.people, found.dataset) == (PEOPLE, "made-up people")
    assert found.trials < PEOPLE * (PEOPLE - 1) / 2 / fit_cohort.FOLDS * 1.2  # pairs within folds only, each once
    assert [point.fnmr for point in found.points] == [0.0] * len(found.points)  # captures that hardly differ
    assert found.points[-1].fmr >= 3 / found.trials
    assert found.groups["some"]["mated"] == 50
    assert set(made.curves) == {"normalised", "raw distance"}
    assert json.loads(made.text)["people"] == PEOPLE


def test_nobody_is_scored_by_a_cohort_that_has_seen_them(crowd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, vectors = crowd
    seen: list[set[bytes]] = []
    real = fit_cohort.mixture
    monkeypatch.setattr(fit_cohort, "mixture", lambda people, *how: (
        seen.append({one.tobytes() for one in people}), real(people, *how))[1])
    scored: list[set[bytes]] = []
    trials = Evaluation.trials
    monkeypatch.setattr(Evaluation, "trials", lambda self, some, *rest: (
        scored.append({one.tobytes() for one in some}), trials(self, some, *rest))[1])
    evaluation = Evaluation(kept, StubPack())  # type: ignore[arg-type]  # plays a FacePack
    fit_cohort.held_out(evaluation, vectors, [one.identity for one in kept], SHAPE, lambda _part: None)
    assert len(seen) == len(scored) == fit_cohort.FOLDS
    assert set.union(*scored) == {one.tobytes() for one in vectors}
    for fitted, tested in zip(seen, scored, strict=True):
        assert fitted
        assert not fitted & tested


def test_somebody_with_many_photographs_counts_for_ten(crowd: Any) -> None:
    kept, _ = crowd
    some = fit_cohort.photographs_that_count([one.identity for one in kept])
    assert len(some) == PEOPLE * EACH + fit_cohort.MOST_PHOTOGRAPHS - EACH


def test_no_component_stands_for_a_few(crowd: Any) -> None:
    _, vectors = crowd
    fitted = fit_cohort.mixture(vectors[:PEOPLE * EACH:EACH], 192, 5)
    assert len(fitted.shares) <= PEOPLE // (cohort.FEWEST + 4)
    assert fitted.shares.sum() == pytest.approx(1)
    assert fitted.shares.min() * PEOPLE > cohort.FEWEST * 0.9


def test_too_few_people_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 200 people") as refused:
        fit_cohort.mixture(np.zeros((199, 128), np.float32), 10, 1)
    assert refused.value.code == "cohort-too-few"


def test_normalising_evens_out_a_crowded_group() -> None:
    """A group that lies closer together than others has more false matches raw, and about as many normalised."""
    random = np.random.default_rng(8)
    spread = np.where(np.arange(1_000) < 300, 0.045, 0.09)[:, None]  # the first 300 lie close together
    people = (random.standard_normal((1_000, 128)) * spread + np.where(np.arange(1_000)[:, None] < 300, 0.1, 0)
              ).astype(np.float32)
    codes = np.stack([cohort.as_codes(one.astype(np.float64), StubPack.step) for one in people])
    fitted = fit_cohort.mixture(people[::2], 10, 1)
    held, _ = cohort.limited("p", cohort.as_codes(fitted.draw(1, 2_000), StubPack.step), 100, codes[::2], {})
    shares = {}
    for name, own in (("raw", cohort.Unnormalised("p")), ("normalised", held)):
        rows, _ = _scored(codes[1::2], own)
        first, second = np.triu_indices(500, 1)
        threshold = rates.threshold_at(rows, 0.01)
        shares[name] = float((rows[(first < 150) & (second < 150)] <= threshold).mean())
    assert shares["raw"] > 0.08
    assert shares["normalised"] < shares["raw"] / 2


def _scored(codes: np.ndarray, own: cohort.AnyCohort) -> tuple[np.ndarray, None]:
    from countenance.matching import score

    numbers = own.numbers(codes)
    table = codes.astype(np.int64)
    squared = (table**2).sum(1)[:, None] + (table**2).sum(1) - 2 * table @ table.T
    return np.concatenate([score.of(squared[at, at + 1:], numbers[:, at], numbers[:, at + 1:])
                           for at in range(len(codes) - 1)]).astype(np.float32), None
