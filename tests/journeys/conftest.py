"""Journeys run the real command line, in this process, on the public-domain portraits and the real model."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from countenance.cli import main
from countenance.evaluation import portraits

TICKETS = "person_ref,household,valid_until,language,contact\ncollins,,2099-12-31,en,\nwen,,2099-12-31,zh,\n"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def code(self) -> str:
        """The stable code of its error, or nothing."""
        return str(self.json.get("error", {}).get("code", ""))


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures as a gate would take them: `collins`, `later`, `hopper`, and some that show no one usable."""
    folder = tmp_path_factory.mktemp("pictures")
    collins, hopper = portraits.at_gate("collins"), portraits.at_gate("hopper")
    (folder / "collins.jpg").write_bytes(portraits.jpeg(collins))
    (folder / "later.jpg").write_bytes(portraits.later(collins)["turned by 5 degrees"])
    (folder / "hopper.jpg").write_bytes(portraits.jpeg(hopper))
    (folder / "two.jpg").write_bytes(portraits.jpeg(np.hstack([collins, hopper])))
    (folder / "far.jpg").write_bytes(portraits.jpeg(_far(collins)))
    (folder / "cut.jpg").write_bytes(portraits.jpeg(np.ascontiguousarray(collins[:, 300:])))
    (folder / "nobody.jpg").write_bytes(portraits.jpeg(np.full((480, 640, 3), 128, np.uint8)))
    return folder


def _far(picture: np.ndarray) -> np.ndarray:
    canvas = np.full((480, 640, 3), 128, np.uint8)
    canvas[120:312, 192:448] = cv2.resize(picture, (256, 192))
    return canvas


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `countenance ARGS --json` and return how it ended."""

    def ran(*args: object, json_out: bool = True) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["countenance", *map(str, args), *(["--json"] if json_out else [])])
        with pytest.raises(SystemExit) as ended:
            main.run()
        told = capsys.readouterr()
        return Ran(int(ended.value.code or 0), told.out, told.err)

    return ran


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A folder with `zoo`, in which Collins is enrolled both ways, and her passes. Nobody may change it."""
    home = tmp_path_factory.mktemp("enrolled")
    _quietly("init", home / "zoo", "--scenario", "annual-pass", "--regime", "cn", "--demo-threshold")
    (home / "zoo" / "tickets.csv").write_text(TICKETS)
    for purpose in ("verify", "search"):
        _quietly("enrol", "--venue", home / "zoo", "--ref", "collins", "--purpose", f"entry.{purpose}",
                 "--image", pictures / "collins.jpg", "--pass-out", home / f"{purpose}.pass", "--yes",
                 "--receipt-out", home / f"{purpose}.json")
    return home


def _quietly(*args: object) -> None:
    before = sys.argv
    sys.argv = ["countenance", *map(str, args)]
    try:
        main.run()
    except SystemExit as ended:
        if ended.code:
            raise AssertionError(f"{args[0]} ended with {ended.code}") from None
    finally:
        sys.argv = before


@pytest.fixture
def home(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of `enrolled` for one test."""
    return Path(shutil.copytree(enrolled, tmp_path / "home"))
