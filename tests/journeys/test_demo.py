"""The demo: the whole story with few made-up people, its table, its JSON, and your own two photographs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from journeys.conftest import Run


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go, so that what is left of them can be seen."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def only_what_she_took_home(scratch: Path) -> Path:
    """Nothing of the venue is left, and no picture: one folder, with what anybody may check."""
    [home] = scratch.iterdir()
    assert {path.suffix for path in home.iterdir()} <= {".receipt", ".pass", ".zip", ".trust", ".html"}
    assert all(path.is_file() for path in home.iterdir())
    return home


def test_the_story_comes_out_as_it_must_and_leaves_nothing(run: Run, scratch: Path) -> None:
    told = run("demo", "--once", "--people", "40")
    assert told.status == 0
    assert set(told.json) == {"ok", "steps", "taken_home", "timings_ms"}
    assert told.json["ok"]
    assert all(set(step) == {"name", "outcome", "expected", "ms"} for step in told.json["steps"])
    assert all(step["outcome"] == step["expected"] for step in told.json["steps"])
    assert set(told.json["timings_ms"]) == {"decode", "detect", "align", "embed", "search", "decision"}
    outcomes = [step["outcome"] for step in told.json["steps"]]
    assert outcomes.count("admit") >= 11
    assert outcomes.count("refer") >= 4
    for code in ("press-missing", "ticket-expired", "consent-message", "pass-void"):
        assert f"refused: {code}" in outcomes
    assert {"published", "verified", "self-consistent", "refused"} <= set(outcomes)
    home = only_what_she_took_home(scratch)
    told = run("verify", home / "collins-evidence.zip", "--trust", home / "zoo.trust")
    assert told.status == 0
    assert '"verified"' in told.out


def test_a_story_that_goes_wrong_says_so(run: Run, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that says "destroyed" and destroys nothing."""
    from countenance.vault.keys.store import KeyStore

    monkeypatch.setattr(KeyStore, "destroy_of", lambda *_: None)
    told = run("demo", "--people", "5")
    assert told.status == 1
    assert not told.json["ok"]
    wrong = [step["name"] for step in told.json["steps"] if step["outcome"] != step["expected"]]
    assert wrong[0] == "It looks for her key, plain and wrapped"
    only_what_she_took_home(scratch)


def test_the_table_is_80_columns_wide_in_ascii_if_asked(run: Run, scratch: Path) -> None:
    told = run("demo", "--people", "5", "--ascii", json_out=False).out
    assert told.isascii()
    lines = told.splitlines()
    told_places = [line for line in lines[:-4] if str(scratch) in line]  # of what she took home, as long as they are
    assert len(told_places) == 2
    assert all(len(line) <= 80 for line in lines[:-4] if line not in told_places)  # the last three name this program
    rows = [line for line in lines if line.endswith("ms") and line.startswith("ok ")]
    assert len(rows) > 25
    assert all(row[50] == " " and row[3] != " " for row in rows)  # no name runs into its outcome
    assert [line for line in lines if line.startswith("NO ")] == []
    assert sum("countenance" in line for line in lines[-4:]) == 3


def test_what_it_keeps_is_a_venue_that_goes_on(run: Run, scratch: Path, tmp_path: Path, pictures: Path) -> None:
    kept = tmp_path / "kept"
    assert run("demo", "--people", "5", "--keep", kept).status == 0
    assert sorted(p.name for p in (kept / "taken-home").iterdir())[:2] == [
        "collins-enrolment.receipt", "collins-erasure.receipt"]
    again = run("admit", "--venue", kept, "--pass", kept / "taken-home" / "collins-key.pass",
                "--image", pictures / "later.jpg")
    assert again.json["outcome"] == "admit"
    assert run("demo", "--people", "5", "--keep", kept).code == "store-exists"
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("later", "outcome", "reason"), [
    ("later", "admit", "match"), ("hopper", "refer", "no-match"), ("nobody", "refer", "no-face"),
    ("two", "refer", "several-faces")])
def test_your_own_two_photographs(
    run: Run, scratch: Path, pictures: Path, later: str, outcome: str, reason: str
) -> None:
    told = run("demo", "--me", pictures / "collins.jpg", "--later", pictures / f"{later}.jpg", "--yes")
    assert (told.status, told.json["outcome"], told.json["reason"]) == (0, outcome, reason)
    assert list(scratch.iterdir()) == []


def test_nobody_is_compared_without_being_asked(run: Run, scratch: Path, pictures: Path) -> None:
    asked = run("demo", "--me", pictures / "collins.jpg", "--later", pictures / "later.jpg")
    assert asked.code == "answer-missing"
    assert list(scratch.iterdir()) == []
