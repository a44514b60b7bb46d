"""Regimes: strict files; places and ways that they refuse; a banned place founds no venue."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import select

from countenance import settings
from countenance.clock import SetClock
from countenance.controls import regime, run
from countenance.errors import BadInput, Refused
from countenance.flows import found, gates, scenarios
from countenance.flows.opening import open_venue
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import Instant
from countenance.storage import schema

START = Instant(1_782_000_000)


def text(name: str = "cn") -> str:
    return (files("countenance.controls") / "regimes" / f"{name}.toml").read_text("utf-8")


def test_what_ships_is_whole_and_says_how_sure_we_are() -> None:
    assert regime.names() == ["cn", "eu", "us-il", "us-portland"]
    for name in regime.names():
        made = regime.load(name)
        assert made.name == name
        assert made.rules
        assert all(rule.sure in regime.SURE for rule in made.rules)
    assert {rule.sure for rule in regime.load("eu").rules} == {"second-hand", "unconfirmed"}


@pytest.mark.parametrize(("before", "after"), [
    ('face = "allowed"', 'face = "perhaps"'), ('name = "cn"', 'name = "cn"\nextra = 1'),
    ("minors_under_years = 14 ", "minors = 14 "), ("minors_under_years = 14 ", 'minors_under_years = "14" '),
    ('cite = "PIPL art 15"', 'cite = ""'), ('cite = "PIPL art 15"', 'quote = "PIPL art 15"'),
    ('control = "K08"', 'control = "K99"'), ('sure = "read"', 'sure = "certain"'), ("format = 1", "format = 2"),
    ('rights_days_are = "working"', 'rights_days_are = "lunar"'), ('cite = "PIPL art 15"', 'cite = '),
    ('cite = "PIPL art 15"', 'cite = "Fa Shi [2021] 15, art 12"')])
def test_a_regime_is_strict(before: str, after: str) -> None:
    assert before in text()
    with pytest.raises(BadInput) as fault:
        regime.parse(text().replace(before, after, 1))
    assert fault.value.code == "regime-malformed"


def test_an_unknown_regime() -> None:
    with pytest.raises(BadInput) as fault:
        regime.load("atlantis")
    assert fault.value.code == "regime-unknown"


def founded(tmp_path: Path, name: str) -> Path:
    place = tmp_path / "venue"
    found.found(place, SetClock(START), name="Zoo", contact="desk", scenario="annual-pass", regime=name)
    return place


def test_a_banned_place_founds_no_venue(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as fault:
        founded(tmp_path, "us-portland")
    assert fault.value.code == "regime-banned"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Refused) as refusal:
        run.require_allowed(regime.load("us-portland"))
    assert "Portland City Code" in refusal.value.sentence


@pytest.mark.parametrize(("kind", "name"), [("toilet", "cn"), ("hotel-room", "cn"), ("changing-room", "eu"),
                                            ("dormitory", "us-il")])
def test_a_zone_where_it_is_banned_is_refused_with_its_citation(kind: str, name: str) -> None:
    rules = settings.preset("regimes", name)
    with pytest.raises(Refused) as refusal:
        scenarios.require_zone(rules, kind)
    assert refusal.value.code == "zone-banned"
    assert name != "cn" or "FRT Measures art 13" in refusal.value.sentence
    scenarios.require_zone(rules, "entrance")


def test_no_venue_is_founded_with_such_a_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = settings.preset("scenarios", "annual-pass")
    plan["zone"][0]["kind"] = "toilet"
    rules = settings.preset("regimes", "cn")
    monkeypatch.setattr(settings, "preset", lambda kind, _name: rules if kind == "regimes" else plan)
    with pytest.raises(Refused) as refusal:
        founded(tmp_path, "cn")
    assert refusal.value.code == "zone-banned"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["eu", "us-il"])
def test_faces_under_the_venues_own_key_stay_out_where_that_is_refused(tmp_path: Path, name: str) -> None:
    place = founded(tmp_path, name)
    with open_venue(place, CsvEntitlement(place / "tickets.csv"), SetClock(START)) as venue, \
            venue.store.read() as unit:
        kept = {row.custody for row in unit.run(select(schema.purpose.c.custody))}
        assert kept == {"carried", "holder_keyed"}
        assert {gate.mode.value for gate in gates.all_of(unit)} == {"pass-and-face", "pass"}
