"""From a stated rate to a threshold: never looser than asked, and refused where the data cannot say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from countenance.errors import BadInput, ModelFault
from countenance.matching import calibration
from countenance.matching.calibration import Calibration, Point, identification_rate, per_comparison


def made(trials: int = 1_000_000) -> Calibration:
    points = [Point(rate, threshold, rate / 2, rate * 2, 0.05, 0.04, 0.06)
              for rate, threshold in ((0.1, -2.0), (0.01, -3.0), (0.001, -5.0), (1e-5, -9.0))]
    return Calibration("pack@1", "pack@1|c", "made up", "2026-11-24", "by hand", 1_500, trials, points)


def test_thresholds_by_hand() -> None:
    assert made().threshold(0.01) == -3.0
    assert made().threshold(0.2) == -2.0          # looser than anything measured: the loosest measured
    assert made().threshold(1e-4) == pytest.approx(-7.0)  # half way in the logarithm
    thresholds = [made().threshold(rate) for rate in (0.1, 0.05, 0.01, 2e-3, 1e-3, 3e-4, 1e-5)]
    assert thresholds == sorted(thresholds, reverse=True)


@pytest.mark.parametrize(("rate", "code"), [(0, "rate-unusable"), (1, "rate-unusable"), (-1, "rate-unusable"),
                                            (float("nan"), "rate-unusable"), (1e-6, "rate-unsupported")])
def test_rates_that_cannot_be_had(rate: float, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        made().threshold(rate)
    assert refused.value.code == code


def test_too_few_trials_say_how_many_it_takes() -> None:
    with pytest.raises(BadInput, match=r"takes 300,000 comparisons of different people; this calibration has 1,210\."):
        made(1_210).threshold(1e-5)
    assert made(1_210).threshold(0.003) < -3.0  # which 1,210 do support


def test_a_gallery_multiplies_the_rate() -> None:
    assert identification_rate(1e-6, 10_000) == pytest.approx(0.00995, rel=1e-3)
    assert identification_rate(per_comparison(0.01, 5_000), 5_000) == pytest.approx(0.01)
    assert made().for_search(0.01, 100) == made().threshold(per_comparison(0.01, 100))
    assert made().for_search(0.01, 1) == -3.0


def test_the_largest_gallery_is_the_last_that_is_supported() -> None:
    largest = made().largest_gallery(0.01)
    assert 1_000 < largest < 1_010
    made().for_search(0.01, largest)
    with pytest.raises(BadInput):
        made().for_search(0.01, largest + 1)


def test_a_threshold_says_where_it_is_from() -> None:
    said = made().said(0.001)
    for part in ("made up", "0.001", "2026-11-24", "0.0005 to 0.002", "5.00%", "1,500 people"):
        assert part in said


def test_it_is_read_as_it_was_written() -> None:
    assert calibration.parse(made().text()) == made()


BROKEN: list[Any] = [
    {"format": 2}, {"trials": 0}, {"points": []}, {"points": [{"fmr": 0.1}]}, {"unknown": 1}, {"points": None},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_it_is_read_strictly(change: dict[str, Any]) -> None:
    with pytest.raises(ModelFault, match="not as it must be"):
        calibration.parse(json.dumps(json.loads(made().text()) | change))


@pytest.mark.parametrize("how", ["order", "looser", "nan", "twice", "one"])
def test_points_must_rise_and_fall_together(how: str) -> None:
    value = json.loads(made().text())
    points = value["points"]
    if how == "order":
        points.reverse()
    elif how == "looser":
        points[2]["threshold"] = 0.0
    elif how == "nan":
        points[1]["fnmr"] = float("nan")
    elif how == "twice":
        points.insert(1, points[1])
    else:
        del points[1:]
    with pytest.raises(ModelFault):
        calibration.parse(json.dumps(value))


def test_a_calibration_of_another_cohort_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "c.json"
    file.write_text(made().text(), encoding="utf-8")
    assert calibration.load("pack@1", "pack@1|c", file) == made()
    for pack, cohort in (("pack@1", "pack@1|d"), ("pack@2", "pack@1|c")):
        with pytest.raises(ModelFault) as fault:
            calibration.load(pack, cohort, file)
        assert fault.value.code == "calibration-other"
    with pytest.raises(ModelFault) as fault:
        calibration.load("pack@1", "pack@1|c", tmp_path / "none")
    assert fault.value.code == "calibration-missing"
