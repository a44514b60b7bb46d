"""Controls: on a fresh venue none fails; each that can be broken is named when it is; the table is the code's."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from countenance import settings
from countenance.cli.main import app
from countenance.clock import SetClock, SystemClock
from countenance.controls import regime, run, table
from countenance.controls.catalogue import CONTROLS
from countenance.controls.sabotage import ALL
from countenance.errors import CountenanceError
from countenance.flows import duties, found, gates, parity, sweep
from countenance.flows.opening import open_venue
from countenance.flows.venue import Venue
from countenance.integrations.entitlement import CsvEntitlement
from support import venue as support

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = [name for name in regime.names() if regime.load(name).face == "allowed"]


def fresh(folder: Path, name: str) -> Path:
    found.found(folder, SystemClock(), name="Zoo", contact="desk", scenario="annual-pass", regime=name)
    return folder


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: fresh(tmp_path_factory.mktemp("v") / name, name) for name in ALLOWED}


def controls(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["controls", *map(str, arguments), "--json"])


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_fails_in_a_fresh_venue_and_nothing_is_hidden(places: dict[str, Path], name: str) -> None:
    said = controls("--venue", places[name])
    assert said.exit_code == 0, said.output
    rows = json.loads(said.stdout)["controls"]
    assert {row["id"] for row in rows} == set(CONTROLS) >= {*regime.load(name).controls, "K33"}
    assert {row["outcome"] for row in rows} <= {"holds", "needs a person"}
    assert all(row["evidence"] for row in rows)
    assert {row["id"] for row in rows if row["outcome"] == "needs a person"} == {"K06", "K15", "K16", "K41"}


def test_every_control_can_be_broken() -> None:
    assert set(ALL) == set(CONTROLS)


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("control", ALL)
def test_each_sabotage_is_named(places: dict[str, Path], control: str, name: str) -> None:
    if (control, name) in {("K10", "cn"), ("K17", "eu"), ("K17", "us-il")}:
        return  # what is broken is no breach there: faces under the venue's key; many people, unfiled
    folder = places[name]
    before = support.state_of(folder)
    said = controls("--venue", folder, "--sabotage", control)
    assert said.exit_code == 0, said.output
    value = json.loads(said.stdout)
    assert (value["sabotage"], value["outcome"]) == (control, "fails")
    assert value["evidence"]
    after = support.state_of(folder)
    assert {key for key in before if before[key] != after.get(key)} <= {"countenance.db/mark"}  # it was left as it is


def test_a_sabotage_that_is_none(places: dict[str, Path]) -> None:
    for control, code in (("K99", "control-unbroken"), ("K36", "control-unbroken")):
        said = controls("--venue", places["cn"], "--sabotage", control)
        assert isinstance(said.exception, CountenanceError)
        assert said.exception.code == code


def test_a_live_venue_with_people_holds_and_another_regime_fails_by_name(venue: Venue) -> None:
    for purpose in (support.VERIFY, support.SEARCH):
        support.enrolled(venue, "ada" if purpose == support.VERIFY else "synthetic-000014", 1, purpose)
    looked = {one.control.id: one.finding for one in run.run(venue, regime.load("cn"))}
    assert [name for name, one in looked.items() if one.outcome.value == "fails"] == []
    assert "2 templates" in looked["K01"].evidence
    assert "2 persons" in looked["K17"].evidence
    failed = {one.control.id for one in run.failed(run.run(venue, regime.load("eu")))}
    assert failed == {"K10", "K12", "K16", "K33"}  # a gallery, under the venue's key, in a venue of another regime


def test_a_late_sweep_fails_retention(venue: Venue) -> None:
    with venue.store.write() as unit:
        unit.set_mark("swept", support.START)
    venue.clock.move(100 * 3600)  # type: ignore[attr-defined]  # the tests' clock
    assert "K08" in {one.control.id for one in run.failed(run.run(venue, regime.load("cn")))}


def test_the_list_needs_no_venue_and_names_code_and_test(tmp_path: Path) -> None:
    for name in regime.names():
        said = controls("--regime", name, "--list", "--venue", tmp_path)
        rows = json.loads(said.stdout)["controls"]
        assert [(row["id"], row["cite"]) for row in rows] == [(r.control, r.cite) for r in regime.load(name).rules]
        assert all({"id", "cite", "code", "test"} <= set(row) for row in rows)


def test_a_banned_regime_looks_at_nothing(places: dict[str, Path]) -> None:
    said = controls("--regime", "us-portland", "--venue", places["cn"])
    assert isinstance(said.exception, CountenanceError)
    assert said.exception.code == "regime-banned"


def names(path: Path) -> set[str]:
    found_here = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            found_here |= {node.name, *(f"{node.name}.{inner.name}" for inner in node.body
                                        if isinstance(inner, ast.FunctionDef))}
        elif isinstance(node, ast.FunctionDef):
            found_here.add(node.name)
    return found_here


@pytest.mark.parametrize("control", sorted(CONTROLS))
def test_code_and_test_of_each_control_are_there(control: str) -> None:
    one = CONTROLS[control]
    assert bool(one.code) == bool(one.test)
    for place, base in ((one.code, ROOT / "src" / "countenance"), (one.test, ROOT)):
        if place:
            path, _, name = place.partition("::")
            assert name in names(base / path), place


def test_every_control_that_a_regime_asks_for_is_in_the_catalogue() -> None:
    for name in regime.names():
        assert set(regime.load(name).controls) <= set(CONTROLS)


def test_the_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "controls.md").read_text("utf-8") == table.text()


def test_opening_a_copy_needs_no_more_than_the_folder(places: dict[str, Path]) -> None:
    with open_venue(places["cn"], CsvEntitlement(places["cn"] / "tickets.csv")) as opened:
        assert run.failed(run.run(opened, regime.load("cn"))) == []


@pytest.mark.parametrize("control", ["K02", "K06", "K27"])
def test_a_venue_with_people_is_broken_as_a_fresh_one_is(venue: Venue, folder: Path, control: str) -> None:
    support.enrolled(venue)
    venue.close()
    said = controls("--venue", folder, "--sabotage", control)
    assert json.loads(said.stdout)["outcome"] == "fails", said.output


SCENARIOS = [(place, name) for place in settings.presets("scenarios") for name in ALLOWED]


@pytest.mark.parametrize(("place", "name"), SCENARIOS)
def test_each_scenario_holds_under_each_regime_once_people_have_done_what_they_must(tmp_path: Path, place: str,
                                                                                     name: str) -> None:
    folder, clock = tmp_path / "v", SetClock(support.START)
    found.found(folder, clock, name="A place", contact="desk", scenario=place, regime=name, threshold=found.CALIBRATED)
    support.duties_done(folder)
    with support.open_venue(folder, clock) as venue:
        with venue.store.write() as unit:
            for zone in gates.zones(unit):
                for lane in (parity.FACE, parity.PASS):
                    for _ in range(parity.FEWEST):
                        parity.waited(unit, zone, lane, 12)
        looked = run.run(venue, regime.load(name))
    assert {one.control.id: one.finding.evidence for one in looked if one.finding.outcome.value != "holds"} == {}


def test_filing_is_due_thirty_working_days_after_so_many_are_stored(venue: Venue,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    support.enrolled(venue)
    rules = settings.preset("regimes", "cn")
    rules["parameters"]["stored_persons_filing"] = 1
    monkeypatch.setattr(settings, "preset", lambda kind, name: rules if kind == "regimes" else preset(kind, name))
    asks = regime._regime(rules)

    def seen() -> str:
        return next(one.finding.outcome.value for one in run.run(venue, asks) if one.control.id == "K17")

    sweep.sweep(venue)
    assert seen() == "needs a person"
    venue.clock.move(60 * 86_400)  # type: ignore[attr-defined]  # the tests' clock
    sweep.sweep(venue)
    assert seen() == "fails"
    support.do_duties(venue)
    duties.take(venue, support.signed(venue, "filing", "stored-persons"))
    assert seen() == "holds"


preset = settings.preset
