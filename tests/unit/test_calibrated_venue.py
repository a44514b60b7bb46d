"""A venue states an error rate; the threshold follows, gets stricter as people enrol, or closes the gate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.consent.gate import press
from countenance.errors import Refused
from countenance.flows import admit
from countenance.flows.found import CALIBRATED
from countenance.flows.venue import Venue
from countenance.matching import calibration
from support.venue import SEARCH, duties_done, enrolled, open_venue, picture


def settle(folder: Path, **changes: str) -> None:
    path = folder / "venue.toml"
    text = path.read_text(encoding="utf-8").replace('threshold = "demo-only"', f'threshold = "{CALIBRATED}"')
    for name, value in changes.items():
        before = {"fmr": "fmr = 0.001", "fpir": "fpir = 0.01"}[name]
        assert before in text
        text = text.replace(before, f"{name} = {value}")
    path.write_text(text, encoding="utf-8")
    duties_done(folder)


@pytest.fixture
def venue(folder: Path) -> Iterator[Venue]:
    settle(folder)
    with open_venue(folder) as here:
        yield here


def test_a_gate_admits_at_the_rate_that_was_stated(venue: Venue) -> None:
    ada = enrolled(venue)
    enrolled(venue, "ben", 2, SEARCH)
    assert admit.by_pass(venue, ada.pass_text, picture(1, 5)).outcome is admit.Outcome.ADMIT
    assert admit.by_pass(venue, ada.pass_text, picture(2, 5)).outcome is admit.Outcome.REFER
    assert admit.by_face(venue, SEARCH, press(venue.clock), picture(2, 5)).outcome is admit.Outcome.ADMIT
    assert admit.by_face(venue, SEARCH, press(venue.clock), picture(3, 5)).outcome is admit.Outcome.REFER
    told = venue.threshold("verify")
    assert "Labeled Faces in the Wild" in told.source  # data set, rate, interval and date
    assert "FMR 0.001" in told.source


def test_the_threshold_gets_stricter_as_people_enrol(venue: Venue) -> None:
    thresholds = [float(venue.threshold("search", people).score) for people in (1, 10, 100, 1_000)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 4
    measured = calibration.load(venue.pack.identity, venue.cohort.identity)
    assert thresholds[2] == measured.for_search(0.01, 100)


def test_a_gallery_too_large_for_the_rate_closes_the_face_lane(venue: Venue) -> None:
    measured = calibration.load(venue.pack.identity, venue.cohort.identity)
    largest = measured.largest_gallery(0.01)
    venue.threshold("search", largest)
    with pytest.raises(Refused, match="comparisons of different people") as refused:
        venue.threshold("search", largest + 1)
    assert refused.value.code == "gate-uncalibrated"


def test_a_rate_that_the_data_cannot_support_opens_no_gate(folder: Path) -> None:
    settle(folder, fmr="1e-9")
    with open_venue(folder) as venue:
        ada = enrolled(venue)
        with pytest.raises(Refused) as refused:
            admit.by_pass(venue, ada.pass_text, picture(1, 5))
        assert refused.value.code == "gate-uncalibrated"


def test_what_ships_can_be_shown() -> None:
    done = CliRunner().invoke(app, ["calibrate", "show", "--json"])
    assert done.exit_code == 0, done.exception
    value: dict[str, Any] = json.loads(done.stdout)
    assert value["largest_gallery"] > 1_000
    assert value["points"][0]["fmr"] == 0.1
    assert "at most" in CliRunner().invoke(app, ["calibrate", "show"]).stdout


def test_what_a_threshold_rests_on_is_said_in_the_evidence(venue: Venue) -> None:
    from countenance.flows import prove

    told = venue.threshold_rests_on()
    assert told == venue.threshold("verify").source
    assert "Labeled Faces in the Wild" in told
    with venue.store.read() as unit:
        assert prove._asserted(venue, unit, months=True)["settings"]["threshold_rests_on"] == told
        venue.settings = replace(venue.settings, threshold="none")
        assert prove._asserted(venue, unit, months=True)["settings"]["threshold_rests_on"] == ""
