"""examples/over_http.sh against a served venue, and its receipts checked by the command line, as its reader would."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from journeys.conftest import Run

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "over_http.sh"
PROGRAM = [sys.executable, "-c", "from countenance.cli.main import run; run()"]


@contextmanager
def served(venue: Path) -> Iterator[str]:
    process = subprocess.Popen([*PROGRAM, "serve", "--json", "--port", "0", "--venue", str(venue)],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 40)[0], "it says nothing"
        yield json.loads(process.stdout.readline())["origin"]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def home(enrolled: Path, tmp_path: Path, pictures: Path) -> Path:
    for name in ("hopper", "collins"):
        shutil.copy(pictures / f"{name}.jpg", tmp_path)
    shutil.copytree(enrolled / "zoo", tmp_path / "zoo")
    return tmp_path


def told(home: Path, run: Run, later: str) -> subprocess.CompletedProcess[str]:
    """Tell the story for `wen`, who looks like Hopper, and comes to the gate with a picture."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    keys = {name: run("apikey", "make", role, *where, "--purpose", "entry.verify", "--label", "test",
                      "--venue", home / "zoo").json["key"]
            for name, role, where in (("DESK", "desk", ()), ("GATE", "gate", ("--gate", "main")))}
    with served(home / "zoo") as origin:
        return subprocess.run(["sh", SCRIPT, "wen", "hopper.jpg", later], cwd=home, check=False, capture_output=True,
                              text=True, env={**os.environ, **keys, "AT": origin, "GATE_NAME": "main"}, timeout=60)


@pytest.mark.promise(2)
def test_the_story_over_http_ends_with_nobody_compared_and_two_good_receipts(home: Path, run: Run) -> None:
    done = told(home, run, "hopper.jpg")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["decision"] for line in done.stdout.splitlines()] == ["admit", "refer"]
    assert run("log", "trust", "--venue", home / "zoo", "--out", home / "zoo.trust").status == 0
    for name in ("wen.receipt", "wen-gone.receipt"):
        assert (home / name).stat().st_mode & 0o077 == 0
        verdict = run("verify", home / name, "--trust", home / "zoo.trust", json_out=False)
        assert verdict.status == 0
        assert "\nverified." in verdict.out
    altered = (home / "wen-gone.receipt").read_text().replace("Z", "Y", 1)
    (home / "wen-gone.receipt").write_text(altered)
    assert run("verify", home / "wen-gone.receipt", "--trust", home / "zoo.trust").status in {3, 4}


def test_the_story_over_http_refers_somebody_else(home: Path, run: Run) -> None:
    done = told(home, run, "collins.jpg")
    assert [json.loads(line)["decision"] for line in done.stdout.splitlines()] == ["refer", "refer"]
