"""Quality of face images: OFIQ's mappings at known values, geometry with answers by hand, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.errors import BadInput
from countenance.evaluation import discard, portraits
from countenance.vision import face_quality
from countenance.vision.face_quality import Extremes, Marks
from countenance.vision.image import Frame, decode
from countenance.vision.pack_runtime import FacePack


def looking(yaw: float = 0, pitch: float = 0, roll: float = 0, depth: float = 0.35, drop: float = 0.773) -> Marks:
    """Eyes 100 apart around (300, 200) and a nose, turned in space, seen from far away: x right, y down, z to us."""
    y, p, r = (math.radians(v) for v in (yaw, pitch, roll))
    turned = []
    for point in ((-0.5, 0, 0), (0.5, 0, 0), (0, drop, depth)):
        x, down, near = point
        down, near = down * math.cos(p) - near * math.sin(p), down * math.sin(p) + near * math.cos(p)
        x, near = x * math.cos(y) + near * math.sin(y), near * math.cos(y) - x * math.sin(y)
        x, down = x * math.cos(r) - down * math.sin(r), x * math.sin(r) + down * math.cos(r)
        turned.append((300 + 100 * x, 200 + 100 * down))
    return Marks(*turned, drop, depth)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [
    (0, 0, 0), (20, 0, 0), (-35, 0, 0), (0, 15, 0), (0, -15, 0), (0, 0, 30), (0, 0, -10), (25, 0, 12)])
def test_pose_is_what_the_head_was_turned_by(yaw: float, pitch: float, roll: float) -> None:
    assert face_quality.pose(looking(yaw, pitch, roll)) == pytest.approx((yaw, pitch, roll), abs=0.01)


def test_turning_and_nodding_together_are_near() -> None:
    yaw, pitch, _ = face_quality.pose(looking(20, 10))
    assert (yaw, pitch) == pytest.approx((20, 10), abs=10)  # orthographic, and each is worked out by itself
    yaw, _, _ = face_quality.pose(looking(20, depth=0.6, drop=0.571))
    assert yaw == pytest.approx(20, abs=0.01)


def test_eyes_in_one_place_are_no_face() -> None:
    with pytest.raises(BadInput) as fault:
        face_quality.pose(Marks((1, 1), (1, 1), (1, 2), 0.7, 0.3))
    assert fault.value.code == "face-unusable"


def picture(level: int, noise: int = 20, side: int = 400) -> Frame:
    random = np.random.default_rng(1).integers(-noise, noise + 1, (side, side, 1))
    return Frame(np.clip(np.full((side, side, 3), level) + random, 0, 255).astype(np.uint8))


STRAIGHT = Marks((160, 150), (230, 150), (195, 150 + 70 * 0.773), 0.773, 0.35)


def scalars(frame: Frame, at: Marks = STRAIGHT) -> dict[str, int]:
    return {name: one.scalar for name, one in face_quality.assess(frame, at, [1.0]).components.items()}


@pytest.mark.parametrize(("name", "native", "scalar"), [
    ("InterEyeDistance", 50, 27), ("InterEyeDistance", 70, 50), ("InterEyeDistance", 90, 73),
    ("InterEyeDistance", 120, 92), ("HeadPoseYaw", 5, 99), ("HeadPoseYaw", 15, 93), ("HeadPoseRoll", 30, 75),
    ("HeadPoseYaw", 45, 50)])
def test_ofiqs_examples_of_geometry(name: str, native: float, scalar: int) -> None:
    if name == "InterEyeDistance":
        at = Marks((200 - native / 2, 150), (200 + native / 2, 150), (200, 150 + native * 0.773), 0.773, 0.35)
    else:
        at = looking(**{name.removeprefix("HeadPose").lower(): native})
    assert scalars(picture(128), at)[name] == scalar


def test_ofiqs_examples_of_light() -> None:
    """Luminance 0.15, 0.25, 0.5 gives 27, 73, 100; half of the pixels white gives an over-exposure of 2."""
    for level, scalar in ((0.15, 27), (0.25, 73), (0.5, 100)):
        srgb = round(255 * (1.055 * level ** (1 / 2.4) - 0.055))
        assert scalars(picture(srgb, 0))["LuminanceMean"] == pytest.approx(scalar, abs=1)
    assert scalars(picture(255, 0))["OverExposurePrevention"] == 1
    assert scalars(picture(128, 0))["OverExposurePrevention"] == 100
    assert scalars(picture(5, 0))["UnderExposurePrevention"] == 0    # 120 (0.832 - sig(1)) = 0.1
    assert scalars(picture(128, 0))["UnderExposurePrevention"] == 100
    assert scalars(picture(128, 0))["DynamicRange"] == 0


def test_light_from_one_side_is_not_uniform() -> None:
    plain = picture(90, 10)
    assert scalars(plain)["IlluminationUniformity"] > 80
    half = plain.pixels.copy()
    half[:, 195:] = np.minimum(half[:, 195:].astype(int) + 120, 255)
    assert scalars(Frame(half))["IlluminationUniformity"] == 0


def test_entropy_and_luminance_by_hand() -> None:
    assert face_quality.entropy(np.array([0.0, 0.0, 255.0, 255.0])) == 1.0
    assert face_quality.entropy(np.arange(256.0)) == 8.0
    light = face_quality.luminance(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [188, 188, 188]]], np.uint8))
    assert light.tolist() == [[54.0, 182.0, 18.0, 128.0]]


@pytest.fixture(scope="module")
def pack() -> FacePack:
    return FacePack.open()


def assessed(pack: FacePack, pixels: np.ndarray) -> face_quality.Assessment:
    frame = decode(portraits.jpeg(pixels))
    found = pack.detect(frame, 100)
    return pack.assess(frame, found, found[0])


@pytest.mark.parametrize("name", ["collins", "hopper"])
def test_portraits_would_enrol_and_spoilt_ones_would_not(pack: FacePack, name: str) -> None:
    picture = portraits.at_gate(name)
    assert assessed(pack, picture).advice(Extremes()) == ()
    blurred = cv2.GaussianBlur(picture, (0, 0), 9)
    assert assessed(pack, blurred).advice(Extremes())[0] == "face-blurred"
    tilt = cv2.getRotationMatrix2D((320, 240), 30, 0.9)
    tilted = cv2.warpAffine(picture, tilt, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    roll = assessed(pack, tilted).components["HeadPoseRoll"].native
    assert roll - assessed(pack, picture).components["HeadPoseRoll"].native == pytest.approx(-30, abs=3)
    assert assessed(pack, tilted).advice(Extremes(most_tilted=20))[0] == "face-tilted"


def test_what_cameras_clip_is_refused_and_dim_light_is_not() -> None:
    marks = STRAIGHT
    for level, code in ((5, "face-dark"), (255, "face-bright")):
        with pytest.raises(BadInput) as fault:
            face_quality.require_fit(face_quality.assess(picture(level, 3), marks, [1.0]))
        assert fault.value.code == code
    face_quality.require_fit(face_quality.assess(picture(40, 9), marks, [1.0]))  # dim, or dark skin: no reason


def test_turned_away_is_refused() -> None:
    with pytest.raises(BadInput) as fault:
        face_quality.require_fit(face_quality.assess(picture(128), looking(60), [1.0]))
    assert fault.value.code == "face-turned"


def test_a_second_face_counts_by_its_size() -> None:
    found = face_quality.assess(picture(128), STRAIGHT, [100.0, 25.0]).components["SingleFacePresent"]
    assert (found.native, found.scalar) == (0.25, 75)


def test_the_error_versus_discard_curve_by_hand() -> None:
    mated = np.array([1.0, 5.0, 1.0, 5.0, 1.0], np.float32)   # two misses above 2
    quality = np.array([90.0, 10.0, 80.0, 50.0, 70.0])
    assert discard.curve(mated, quality, 2.0, (0.0, 0.2, 0.4, 0.6)) == [(0.0, 0.4), (0.2, 0.25), (0.4, 0.0), (0.6, 0.0)]
    for bad in (np.array([]), np.array([1.0, np.nan, 1, 1, 1])):
        with pytest.raises(BadInput):
            discard.curve(bad.astype(np.float32), quality[:len(bad)], 2.0)


def test_mated_pairs_come_in_the_order_of_the_triangle() -> None:
    names = ["b", "a", "b", "a", "b"]
    rows, columns = np.triu_indices(5, 1)
    wanted = [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if names[i] == names[j]]
    assert discard.pairs_of(names) == wanted


def test_the_command_says_what_to_do(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(portraits.jpeg(portraits.at_gate("hopper")))
    bad.write_bytes(portraits.jpeg(cv2.GaussianBlur(portraits.at_gate("hopper"), (0, 0), 9)))
    said = CliRunner().invoke(app, ["quality", str(good)])
    assert "would do" in said.stdout
    assert "Not assessed: UnifiedQualityScore" in said.stdout
    said = CliRunner().invoke(app, ["quality", str(bad), "--json"])
    assert '"enrols": false' in said.stdout
    assert "face-blurred" in said.stdout
