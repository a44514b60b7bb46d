"""Recall by noses: figures known by hand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from countenance.errors import BadInput
from countenance.evaluation import finding
from countenance.vision.detect import Box, Detection
from countenance.vision.image import Frame


class Fixed:
    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes
        self.asked: list[float] = []

    def detect(self, frame: Frame, smallest_face_px: float) -> list[Detection]:
        self.asked.append(smallest_face_px)
        return [Detection(box, 1.0) for box in self.boxes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, side in (("a.png", 200), ("b.png", 2_000)):
        (tmp_path / name).write_bytes(bytes(cv2.imencode(".png", np.zeros((100, side, 3), np.uint8))[1]))
    return tmp_path


def test_a_nose_takes_a_face_and_a_face_one_nose(folder: Path) -> None:
    detector = Fixed(Box(10, 10, 49, 49), Box(100, 10, 139, 49))
    noses = {"a.png": [(10.0, 49.0), (30.0, 30.0), (99.9, 30.0)], "b.png": [(120.0, 20.0)]}
    found = finding.run(folder, noses, detector, 40, lambda _done, _all: None)
    assert (found["noses"], found["found"], found["recall"]) == (4, 2, 0.5)
    assert found["missed"] == ["a.png at 30, 30", "a.png at 99.9, 30"]
    assert found["faces_without_a_nose"] == 2
    assert detector.asked == [40, 80]


@pytest.mark.parametrize("text", ["", "image,nose_x\na.png,1\n", "image,nose_x,nose_y\na.png,one,2\n",
                                  "image,nose_x,nose_y\na.png,1\n"])
def test_a_list_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "noses.csv").write_text(text)
    with pytest.raises(BadInput) as fault:
        finding.listed(tmp_path / "noses.csv")
    assert fault.value.code == "dataset-noses"


@pytest.mark.parametrize("name", ["none.png", "../a.png"])
def test_an_image_elsewhere(name: str, folder: Path) -> None:
    (folder / "in").mkdir()
    with pytest.raises(BadInput) as fault:
        finding.run(folder / "in", {name: [(1.0, 1.0)]}, Fixed(), 40, lambda _done, _all: None)
    assert fault.value.code == "dataset-noses"
