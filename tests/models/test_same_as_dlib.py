"""The default pack equals dlib, stage by stage: detector, points, chip, embedding."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from photographs import EVERYTHING, embed, frame, portraits, shared, shrunk

from countenance.vision import align
from countenance.vision.detect import Detection
from countenance.vision.image import Frame
from countenance.vision.pack_runtime import FacePack
from countenance.vision.packs import Pack

WORKING = 320
MOST_PIXELS_OFF = 2
MOST_SCORE_OFF = 0.02


@pytest.fixture(scope="session")
def their_detector(dlib: ModuleType, weights: Pack) -> Any:
    return dlib.cnn_face_detection_model_v1(str(weights.path("detector")))


@pytest.fixture(scope="session")
def their_points(dlib: ModuleType, weights: Pack) -> Any:
    return dlib.shape_predictor(str(weights.path("landmarks")))


@pytest.fixture(scope="session")
def their_embedder(dlib: ModuleType, weights: Pack) -> Any:
    return dlib.face_recognition_model_v1(str(weights.path("embedder")))


def scenes() -> list[Path]:
    return shared("faces/compreface", 18) + shared("faces/scenes", 12)


def lfw(count: int) -> list[Path]:
    found = shared("faces/lfw_a/images", 6000)
    return found if EVERYTHING else found[:: len(found) // count][:count]


def assert_same_detections(ours: list[Detection], theirs: Any, name: str) -> None:
    assert len(ours) == len(theirs), name
    for one, other in zip(ours, theirs, strict=True):
        box, rect = one.box, other.rect
        off = [
            box.left - rect.left(), box.top - rect.top(), box.right - rect.right(), box.bottom - rect.bottom(),
        ]
        assert max(map(abs, off)) <= MOST_PIXELS_OFF, name
        assert abs(one.score - other.confidence) <= MOST_SCORE_OFF, name


def test_detections_on_every_scene_are_dlibs(pack: FacePack, their_detector: Any) -> None:
    found = 0
    for path in [*scenes(), *portraits()]:
        small = shrunk(path, WORKING)
        ours = pack.detect(small, 80)
        assert_same_detections(ours, their_detector(small.pixels, 0), path.name)
        found += len(ours)
    assert found >= 7


def test_detections_of_many_small_faces_are_dlibs(pack: FacePack, their_detector: Any) -> None:
    found = 0
    for name in ("000_5.jpg", "016_8.jpg", "bald_guys.jpg"):
        (path,) = [path for path in scenes() if path.name == name]
        large = shrunk(path, 800)
        ours = pack.detect(large, 80)
        assert_same_detections(ours, their_detector(large.pixels, 0), name)
        found += len(ours)
    assert found >= 10


def test_detections_on_lfw_are_dlibs(pack: FacePack, their_detector: Any) -> None:
    paths = lfw(20)
    hits = 0
    for path in paths:
        # Their faces are about 60 pixels wide: twice the size, both see the same pixels.
        doubled = Frame(cv2.resize(frame(path).pixels, None, fx=2, fy=2).astype(np.uint8))
        ours = pack.detect(doubled, 80)
        assert_same_detections(ours, their_detector(doubled.pixels, 0), path.name)
        hits += len(ours)
    assert hits >= 0.95 * len(paths)


@pytest.fixture(scope="session")
def faces(pack: FacePack) -> list[tuple[Frame, Detection]]:
    """Faces of every size there is, in pictures of every size there is."""
    found = []
    for path in [*scenes(), *portraits()]:
        picture = frame(path)
        smallest = max(40, max(picture.size) / 20)
        found += [(picture, face) for face in pack.detect(picture, smallest)]
    for path in lfw(60)[:60]:
        picture = frame(path)
        found += [(picture, face) for face in pack.detect(picture, 40)]
    assert len(found) >= 120
    return found


def rectangle(dlib: ModuleType, face: Detection) -> Any:
    box = face.box.rounded()
    return dlib.rectangle(int(box.left), int(box.top), int(box.right), int(box.bottom))


def test_points_are_dlibs(
    pack: FacePack, dlib: ModuleType, their_points: Any, faces: list[tuple[Frame, Detection]]
) -> None:
    for picture, face in faces:
        theirs = their_points(picture.pixels, rectangle(dlib, face))
        assert pack.landmarks(picture, face).tolist() == [[p.x, p.y] for p in theirs.parts()]


def test_chips_are_dlibs_but_for_one_step_of_rounding(
    pack: FacePack, dlib: ModuleType, their_points: Any, faces: list[tuple[Frame, Detection]]
) -> None:
    unequal = total = 0
    for picture, face in faces:
        points = their_points(picture.pixels, rectangle(dlib, face))
        theirs = dlib.get_face_chip(picture.pixels, points, 150, 0.25)
        off = np.abs(pack.align(picture, face).astype(int) - theirs)
        assert off.max() <= 1
        unequal += int((off > 0).sum())
        total += off.size
    assert unequal / total < 0.001


def test_chips_over_the_edge_are_dlibs(dlib: ModuleType, pack: FacePack, their_points: Any) -> None:
    picture = frame(portraits()[0])
    (face,) = pack.detect(picture, 80)
    box = face.box.rounded()
    for left, top in ((0, 0), (60, 20), (-1, -1)):
        x, y = int(box.left) + left, int(box.top) + top
        cropped = Frame(np.ascontiguousarray(picture.pixels[y : y + 90, x : x + 90]))
        points = their_points(cropped.pixels, dlib.rectangle(-10, -10, 80, 80))
        theirs = dlib.get_face_chip(cropped.pixels, points, 150, 0.25)
        ours = align.chip(cropped, np.array([[p.x, p.y] for p in points.parts()], float))
        assert (theirs == 0).any(axis=2).sum() > 0
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def assert_same_embeddings(
    pack: FacePack, their_embedder: Any, chips: list[NDArray[np.uint8]]
) -> None:
    ours = embed(pack, chips)
    for one, chip in zip(ours, chips, strict=True):
        mirrored = np.ascontiguousarray(chip[:, ::-1])
        theirs = np.mean([their_embedder.compute_face_descriptor(one) for one in (chip, mirrored)], axis=0)
        assert np.abs(one - theirs).max() <= 1e-5


def test_embeddings_of_the_johns_are_dlibs(pack: FacePack, their_embedder: Any) -> None:
    chips = [frame(path).pixels for path in shared("faces/johns", 55)]
    assert_same_embeddings(pack, their_embedder, chips)


def test_embeddings_of_every_scenes_faces_are_dlibs(
    pack: FacePack, their_embedder: Any, faces: list[tuple[Frame, Detection]]
) -> None:
    assert_same_embeddings(pack, their_embedder, [pack.align(*face) for face in faces])


def test_embeddings_on_lfw_are_dlibs(pack: FacePack, their_embedder: Any) -> None:
    paths = lfw(200)
    chips = []
    for path in paths:
        picture = frame(path)
        chips += [pack.align(picture, face) for face in pack.detect(picture, 40)]
    assert len(chips) >= 0.97 * len(paths)
    assert_same_embeddings(pack, their_embedder, chips)


def test_a_picture_alone_and_in_a_block_has_one_embedding(pack: FacePack) -> None:
    picture = frame(portraits()[0])
    chip = pack.align(picture, pack.detect(picture, 80)[0])
    alone, block = embed(pack, [chip]), embed(pack, [chip] * 5)
    assert np.abs(block - alone).max() <= 1e-6
