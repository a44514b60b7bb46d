"""`evaluate` on altered photographs, and by quality: on four captures made of the two portraits."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.errors import CountenanceError
from countenance.evaluation import altered, portraits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("faces")
    for name in ("collins", "hopper"):
        (made / name).mkdir()
        picture = portraits.at_gate(name)
        (made / name / "1.jpg").write_bytes(portraits.jpeg(picture))
        (made / name / "2.jpg").write_bytes(portraits.later(picture)["closer by a tenth"])
    return made


def test_every_alteration_has_a_row_and_the_worst_ones_show(folder: Path) -> None:
    said = CliRunner().invoke(app, ["evaluate", str(folder), "--altered", "5", "--json"])
    value = json.loads(said.stdout)
    assert value["pairs"] == 2
    assert list(value["alterations"]) == list(altered.ALTERATIONS)
    plain, tiny = value["alterations"]["none"], value["alterations"]["an eighth"]
    assert (plain["fta"], plain["compared"], plain["fnmr"]) == (0.0, 2, 0.0)
    assert tiny["compared"] + 2 * tiny["fta"] == 2
    assert value["turned"]["0"] == 2


def test_the_table_says_what_the_threshold_rests_on(folder: Path) -> None:
    said = CliRunner().invoke(app, ["evaluate", str(folder), "--altered", "1"]).stdout
    assert "Labeled Faces in the Wild" in said
    assert "covered: eyes" in said


def test_one_photograph_each_is_no_pair(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(portraits.jpeg(portraits.at_gate("hopper")))
    said = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--altered", "5"])
    assert isinstance(said.exception, CountenanceError)
    assert said.exception.code == "trials-missing"


def test_alterations_do_what_they_say() -> None:
    picture = portraits.at_gate("hopper")
    dark = altered.ALTERATIONS["a quarter of the light"](picture)
    middle = np.array([60, 120, 200])
    wanted = 255 * ((middle / 255) ** 2.2 / 4) ** (1 / 2.2)
    flat = altered.ALTERATIONS["a quarter of the light"](np.repeat(middle[:, None, None], 3, 2).astype(np.uint8))
    assert np.abs(flat[:, 0, 0] - wanted).max() < 8     # the camera's noise
    assert dark.mean() < picture.mean()
    covered = altered.ALTERATIONS["covered: eyes"](picture)
    changed = (covered != picture).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max()) == (192, 239)       # 0.4 and 0.5 of 480
    assert columns.min() >= 160
    assert columns.max() < 480
    small = altered.ALTERATIONS["a quarter of the size"](picture)
    assert cv2.Laplacian(small, cv2.CV_32F).std() < cv2.Laplacian(picture, cv2.CV_32F).std() / 2


def test_quality_is_reported_with_the_rates(folder: Path) -> None:
    said = CliRunner().invoke(app, ["evaluate", str(folder), "--quality", "--json"])
    value = json.loads(said.stdout)
    assert value["mated"] == 2
    assert [share for share, _ in value["discard"]["OwnSharpness"]] == [0.0, 0.05, 0.1, 0.15, 0.2, 0.3]
    assert all(fnmr == 0.0 for _, fnmr in value["discard"]["HeadPoseYaw"])
