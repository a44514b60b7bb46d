"""`evaluate` on labelled photographs: figures known by hand, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from countenance.cli.main import app
from countenance.errors import BadInput, CountenanceError
from countenance.evaluation import trial_data
from countenance.permits import Door, Kind, Permit, PermitBook, Scope
from countenance.vision.pack_runtime import FacePack
from support.venue import StubPack, vector_of


class DatasetPack(StubPack):
    def embed_dataset(self, book: PermitBook, permit: Permit, scope: Scope,
                      chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        book.spend(permit, Door.EMBED, scope)
        assert scope.kind is Kind.DATASET
        return np.stack([vector_of(int(chip[0, 0, 0]), int(chip[0, 0, 1])) for chip in chips])


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FacePack, "open", staticmethod(lambda _name="dlib-resnet": DatasetPack()))


def photograph(folder: Path, person: int, shade: int, name: str = "") -> None:
    pixels = np.zeros((260, 260, 3), np.uint8)
    pixels[:, :] = (7, shade, person)
    place = folder / (name or f"p{person:03d}")
    place.mkdir(exist_ok=True, parents=True)
    (place / f"{shade}.png").write_bytes(bytes(cv2.imencode(".png", pixels)[1]))


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """20 people with 3 photographs each, and one of everything that is odd."""
    for person in range(20):
        for shade in (1, 2, 3):
            photograph(tmp_path / "faces", person, shade)
    photograph(tmp_path / "faces", 30, 1)                    # one photograph: no mated pair
    photograph(tmp_path / "faces", 0, 1, name="p000-again")  # one file under two names
    (tmp_path / "faces/p001/bad.png").write_bytes(b"no picture")
    (tmp_path / "faces/loose.txt").write_text("not a photograph")
    return tmp_path / "faces"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def value(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refusal(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, CountenanceError)
    return error.code


def test_what_is_counted_is_known_by_hand(faces: Path) -> None:
    found = value(faces)
    assert (found["photographs"], found["fta"], found["people"]) == (63, 1, 22)
    assert found["mated"] == 20 * 3
    assert found["pairs"] == 62 * 61 // 2 == found["mated"] + found["nonmated"]
    assert found["twice"] == [["p000/1.png", "p000-again/1.png"]]
    at = found["at_threshold"]
    assert at["fnmr"] == 0
    assert at["fmr"] == pytest.approx(3 / found["nonmated"])  # p000-again against p000's three, labelled otherwise
    assert found["at_fmr"]["0.0001"] is None  # so few pairs cannot say
    assert found["at_fmr"]["0.01"]["fmr"] <= 0.01
    assert found["identification"]["fpir"] == pytest.approx(1 - (1 - at["fmr"]) ** 1_000)


def test_raw_scores_have_no_shipped_threshold(faces: Path) -> None:
    found = value(faces, "--raw")
    assert found["at_threshold"] is None
    assert found["cohort"].endswith("|raw")
    assert found["at_fmr"]["0.01"]["fnmr"] == 0


def test_groups_are_told_at_the_overall_threshold(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("identity,group\np000,one\np000-again,one\np001,one\np002,other\n")
    found = value(faces, "--groups", tmp_path / "groups.csv")
    one, other = found["groups"]["one"], found["groups"]["other"]
    assert (one["mated"], one["nonmated"]) == (6, 3 * 3 + 3 + 3 - 0)
    assert one["fmr"] == pytest.approx(3 / one["nonmated"])
    assert one["threshold"] == found["at_threshold"]["threshold"]
    assert (other["mated"], other["nonmated"], other["fmr"]) == (3, 0, None)


def test_pairs_count_as_they_are_listed(faces: Path, tmp_path: Path) -> None:
    listed = ["p000/1.png,p000/2.png,Yes", "p003/1.png,p004/1.png,No", "p000/1.png,p000-again/1.png,yes",
              "p001/bad.png,p001/1.png,Yes", "p005/1.png,p005/2.png,No"]
    (tmp_path / "pairs.csv").write_text("file_x,file_y,Decision\n" + "\n".join(listed) + "\n")
    found = value("--pairs", tmp_path / "pairs.csv", "--root", faces)
    assert (found["mated"], found["nonmated"], found["fta"]) == (2, 2, 1)  # the third is mated: the list says so
    assert (found["at_threshold"]["fmr"], found["at_threshold"]["fnmr"]) == (0.5, 0)


@pytest.mark.parametrize(("lines", "code"), [
    ("", "dataset-empty"), ("p000/1.png,p000/2.png,Perhaps", "pairs-malformed"), ("p000/1.png", "pairs-malformed"),
    ("p000/9.png,p000/2.png,Yes", "pairs-file-missing"), ("../../etc/passwd,p000/2.png,Yes", "pairs-outside")])
def test_pairs_that_cannot_be_read_are_refused(faces: Path, tmp_path: Path, lines: str, code: str) -> None:
    (tmp_path / "pairs.csv").write_text("file_x,file_y,Decision\n" + lines + "\n")
    with pytest.raises(BadInput) as refused:
        trial_data.pairs(tmp_path / "pairs.csv", faces)
    assert refused.value.code == code


def test_folders_with_one_photograph_each_have_no_false_non_match_rate(tmp_path: Path) -> None:
    for person in range(10):
        photograph(tmp_path, person, 1)
    found = value(tmp_path)
    assert (found["mated"], found["at_threshold"]["fnmr"], found["eer"]) == (0, None, None)


def test_nothing_to_measure(tmp_path: Path) -> None:
    assert refusal() == "evaluate-what"
    assert refusal(tmp_path) == "dataset-empty"
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.png").write_bytes(b"no picture")
    assert refusal(tmp_path) == "dataset-faceless"


@pytest.mark.parametrize("rate", ["0", "1", "-1", "nan"])
def test_rates_that_are_none(faces: Path, rate: str) -> None:
    assert refusal(faces, "--fmr", rate) == "rate-unusable"


def test_a_rate_that_the_shipped_calibration_cannot_support(faces: Path) -> None:
    assert refusal(faces, "--fmr", "1e-9") == "rate-unsupported"


def test_groups_that_cannot_be_read(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("who,what\na,b\n")
    assert refusal(faces, "--groups", tmp_path / "groups.csv") == "groups-unreadable"


def test_the_report_is_a_page_with_a_plot_and_scores_lie_beside_it(faces: Path, tmp_path: Path) -> None:
    done = run(faces, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.exception
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "the shipped threshold" in page
    assert "Labeled Faces in the Wild" in page  # a threshold says where it is from
    with np.load(tmp_path / "out/scores.npz") as kept:
        assert len(kept["scores"]) == 62 * 61 // 2
    assert json.loads((tmp_path / "out/report.json").read_text())["mated"] == 60
    assert refusal(faces, "--out", tmp_path / "out") == "out-exists"
