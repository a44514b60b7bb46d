"""Quality components of a face image that need no further network: ISO/IEC 29794-5:2025 as OFIQ computes them.

Names, formulas and constants of the mappings are those of OFIQ (BSI, v1.0.3), so that figures can be set beside its
own: a native value, and a scalar from 0 (bad) to 100 (good). OFIQ has 98 points and a mask of the face; here there are
five points, so the face's region is an ellipse by the eyes, the chin lies where it does in most adults, and pose is
worked out from eyes and nose. Each of those is said where it is used. What needs a network is named as not assessed.

ISO/IEC 29794-1:2024 leaves thresholds to policy: see `Extremes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.vision.geometry import similarity

if TYPE_CHECKING:
    from countenance.vision.image import Frame

NOT_ASSESSED = ("UnifiedQualityScore", "BackgroundUniformity", "CompressionArtifacts", "EyesOpen", "EyesVisible",
                "MouthClosed", "MouthOcclusionPrevention", "FaceOcclusionPrevention", "ExpressionNeutrality",
                "NoHeadCoverings", "Sharpness")
"""OFIQ's components that need a network, its forest, or points that are not at hand. `OwnSharpness` is no Sharpness."""

CHIN = 1.85
"""T, the distance from between the eyes to the chin, in distances between the eyes; of an adult, looking ahead."""

_CROP, _IED = 160, 56.0      # the face as it is looked at: pixels, and pixels between the eyes
_EYES_AT = 0.36              # of the crop's height
_HALF_WIDTH, _HALF_HEIGHT, _LOWER = 0.85, 1.15, 0.45   # the face's ellipse, in distances between the eyes
_CHEEK, _CHEEK_ACROSS, _CHEEK_DOWN = 0.3, 0.5, 0.75    # squares on both cheeks, the same

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Marks:
    """Middles of both eyes and a point of the nose, (x, y) in source pixels; `left` is the one on the picture's left.

    `drop` and `depth`: where the nose's point lies below and before the eyes in a face that looks ahead, in distances
    between the eyes. Drop is that of the pack's mean face; depth is taken from body measurements and is rough.
    """

    left: tuple[float, float]
    right: tuple[float, float]
    nose: tuple[float, float]
    drop: float
    depth: float

    @property
    def between(self) -> float:
        """Pixels between the eyes."""
        return math.dist(self.left, self.right)

    @property
    def middle(self) -> tuple[float, float]:
        """Where the middle between the eyes is."""
        return (self.left[0] + self.right[0]) / 2, (self.left[1] + self.right[1]) / 2


def marks(points: NDArray[np.float64], alignment: str) -> Marks:
    """Return the marks of a pack's five points: dlib-5 (corners of the eyes, foot of the nose) or arcface-5."""
    def pair(at: NDArray[np.float64]) -> tuple[float, float]:
        return float(at[0]), float(at[1])

    if alignment == "dlib-5":
        return Marks(pair(points[2:4].mean(axis=0)), pair(points[:2].mean(axis=0)), pair(points[4]), 0.773, 0.35)
    return Marks(pair(points[0]), pair(points[1]), pair(points[2]), 0.571, 0.60)


@dataclass(frozen=True)
class Component:
    """One figure: `native` in its own unit, `scalar` from 0 to 100, HIGHER is better."""

    native: float
    scalar: int


@dataclass(frozen=True)
class Extremes:
    """What an enrolment is refused for, and nothing milder: the person can do something about each.

    `most_turned` and `most_tilted` are degrees, LOWER is stricter. `most_dark` and `most_bright` are shares of the
    face's pixels whose brightest channel is under 24, or whose darkest is over 250: what a camera clips in any skin.
    OFIQ's exposure is not used, for its luminance calls dark skin in good light half under-exposed. `least_sharp`:
    HIGHER is stricter.
    """

    most_turned: float = 45.0
    most_tilted: float = 45.0
    most_dark: float = 0.6
    most_bright: float = 0.5
    least_sharp: float = 0.05


@dataclass(frozen=True)
class Assessment:
    """The components of one face, by name, and what was not assessed."""

    components: dict[str, Component]
    dark: float = 0.0
    bright: float = 0.0
    not_assessed: tuple[str, ...] = field(default=NOT_ASSESSED)

    def advice(self, extremes: Extremes) -> tuple[str, str] | tuple[()]:
        """Return the first extreme, as a code and what to do about it; empty where there is none."""
        turned = max(abs(self.components[name].native) for name in ("HeadPoseYaw", "HeadPosePitch"))
        if turned > extremes.most_turned:
            return "face-turned", "The face is turned away; please look straight at the camera."
        if abs(self.components["HeadPoseRoll"].native) > extremes.most_tilted:
            return "face-tilted", "The head is tilted; please hold it upright."
        if self.dark > extremes.most_dark:
            return "face-dark", "The face is too dark; please turn towards the light."
        if self.bright > extremes.most_bright:
            return "face-bright", "The face is too bright; please move out of the glare."
        if self.components["OwnSharpness"].native < extremes.least_sharp:
            return "face-blurred", "The picture is blurred; please stand still, and wipe the camera if it is smeared."
        return ()


def require_fit(found: Assessment, extremes: Extremes | None = None) -> None:
    """Refuse extremes. Raises BadInput: face-turned, face-tilted, face-dark, face-bright, face-blurred."""
    advice = found.advice(extremes or Extremes())
    if advice:
        raise BadInput(*advice)


def assess(frame: Frame, at: Marks, boxes: list[float]) -> Assessment:
    """Return every component of the face at `at`. `boxes`: areas of the faces found, in any unit, this one's first."""
    yaw, pitch, roll = pose(at)
    between = at.between
    crop, mask = _crop(frame.pixels, at)
    light = luminance(crop)
    inside = light[mask]
    found = {
        "SingleFacePresent": _component((boxes[1] / boxes[0]) if len(boxes) > 1 else 0.0, lambda x: 100 * (1 - x)),
        "InterEyeDistance": _component(between / math.cos(math.radians(yaw)), lambda x: 100 * sigmoid(x, 70, 20)),
        "HeadPoseYaw": _component(yaw, _turned), "HeadPosePitch": _component(pitch, _turned),
        "HeadPoseRoll": _component(roll, _turned),
        "UnderExposurePrevention": _component(float((inside <= 25).mean()),
                                              lambda x: 120 * (0.832 - sigmoid(x, 0.92, 0.05))),
        "OverExposurePrevention": _component(float((inside >= 247).mean()), lambda x: round(1 / (x + 0.01))),
        "DynamicRange": _component(entropy(inside), lambda x: 12.5 * x),
        "LuminanceMean": _component(float(inside.mean()) / 255,
                                    lambda m: 100 * sigmoid(m, 0.2, 0.05) * (1 - sigmoid(m, 0.8, 0.05))),
        "LuminanceVariance": _component(float((inside / 255.0).var()),
                                        lambda v: 100 * math.sin(math.pi * 60 * v / (60 * v + 1))),
        "IlluminationUniformity": _component(uniformity(light), lambda x: 100 * x**0.3),
        "NaturalColour": _component(colour_off(crop, mask), lambda d: 200 * (1 - sigmoid(d, 0, 10))),
        "OwnSharpness": _component(sharpness(crop, mask), lambda x: 100 * min(1.0, x / 0.6)),
        **_framing(frame.size, at, between, yaw),
    }
    picture = crop[mask]
    result = Assessment(found, float((picture.max(axis=1) < 24).mean()), float((picture.min(axis=1) > 250).mean()))
    crop.fill(0)
    return result


def pose(at: Marks) -> tuple[float, float, float]:
    """Return yaw, pitch and roll in degrees: 0 ahead; yaw above 0 towards the picture's right, pitch above 0 upwards.

    Seen from far away, a nose's point at (0, drop, depth) below and before the eyes moves across by depth tan(yaw) and
    shows a drop of drop cos(pitch) - depth sin(pitch), in distances between the eyes as they are seen. Depth differs
    between people by some fifth, so yaw and pitch are right to about that; roll is exact. A nose lower than either
    gives the furthest down that can be told: 24 degrees with dlib's points, 46 with the others.
    """
    across, down = at.right[0] - at.left[0], at.right[1] - at.left[1]
    between = math.hypot(across, down)
    if not between > 0:
        raise BadInput("face-unusable", "The face's features lie too close together to be used.")
    x, y = at.nose[0] - at.middle[0], at.nose[1] - at.middle[1]
    aside, drop = (x * across + y * down) / between**2, (y * across - x * down) / between**2
    yaw = math.atan(aside / at.depth)
    reach = math.hypot(at.drop, at.depth)
    seen = min(1.0, max(-1.0, drop * math.cos(yaw) / reach))
    pitch = math.acos(seen) - math.atan2(at.depth, at.drop)
    return math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(down, across))


def sigmoid(x: float, middle: float, width: float) -> float:
    """Return 1 / (1 + exp(-(x - middle) / width)), OFIQ's sigmoid."""
    return 1 / (1 + math.exp(min(700.0, -(x - middle) / width)))


def luminance(crop: Image) -> NDArray[np.float64]:
    """Return relative luminance, 0 to 255: sRGB made linear (IEC 61966-2-1), 0.2126 R + 0.7152 G + 0.0722 B."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    weighted: NDArray[np.float64] = np.rint(255 * (linear[crop] @ np.array([0.2126, 0.7152, 0.0722])))
    return weighted


def entropy(values: NDArray[np.float64]) -> float:
    """Return the entropy, in bits, of the histogram of values from 0 to 255."""
    share = np.bincount(values.astype(np.intp), minlength=256) / max(1, values.size)
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())


def uniformity(light: NDArray[np.float64]) -> float:
    """Return the intersection of the histograms of a square on each cheek: 1 where both are lit alike."""
    shares = []
    half = _CHEEK * _IED / 2
    for side in (-1, 1):
        x, y = _CROP / 2 + side * _CHEEK_ACROSS * _IED, _EYES_AT * _CROP + _CHEEK_DOWN * _IED
        part = light[round(y - half):round(y + half), round(x - half):round(x + half)]
        shares.append(np.bincount(part.astype(np.intp).ravel(), minlength=256) / part.size)
    return float(np.minimum(*shares).sum())


def colour_off(crop: Image, mask: NDArray[np.bool_]) -> float:
    """Return how far the mean colour lies outside a in [5, 25], b in [5, 35] of CIELAB.

    Never acted upon: what it calls natural is so for some skins more than for others.
    """
    import cv2

    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[mask].mean(axis=0)
    a, b = float(lab[1]), float(lab[2])
    return math.hypot(max(5 - a, 0, a - 25), max(5 - b, 0, b - 35))


def sharpness(crop: Image, mask: NDArray[np.bool_]) -> float:
    """Return the spread of the Laplacian over the spread of the grey values: an own measure, not OFIQ's forest.

    HIGHER is sharper. It is taken at the size that an embedder sees, so that a large soft picture counts as sharp.
    """
    import cv2

    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = cv2.Laplacian(cv2.GaussianBlur(grey, (3, 3), 0), cv2.CV_32F, ksize=1)
    return float(edges[mask].std() / max(float(grey[mask].std()), 1.0))


def _turned(degrees: float) -> float:
    return 100 * max(0.0, math.cos(math.radians(degrees))) ** 2


def _component(native: float, mapping: Callable[[float], float]) -> Component:
    return Component(native, round(min(100.0, max(0.0, float(mapping(native))))))


def _framing(size: tuple[int, int], at: Marks, between: float, yaw: float) -> dict[str, Component]:
    """Return head size and margins; the distance to the chin is `CHIN` times that between the eyes, not measured."""
    distance = between / math.cos(math.radians(yaw))
    chin = CHIN * distance
    x, y = at.middle

    def margin(value: float, middle: float) -> Component:
        return _component(value, lambda v: 100 * sigmoid(v, middle, 0.1))

    return {
        "HeadSize": _component(abs(chin / size[1] - 0.45), lambda v: 200 * (1 - sigmoid(v, 0, 0.05))),
        "LeftwardCropOfTheFaceImage": margin((x - distance / 2) / distance, 0.9),
        "RightwardCropOfTheFaceImage": margin((size[0] - x - distance / 2) / distance, 0.9),
        "MarginBelowOfTheFaceImage": margin((size[1] - y) / chin, 1.8),
        "MarginAboveOfTheFaceImage": margin(y / chin, 1.4),
    }


def _crop(pixels: Image, at: Marks) -> tuple[Image, NDArray[np.bool_]]:
    """Return the face upright, `_IED` pixels between the eyes, and which of its pixels are the face's."""
    import cv2

    eyes = np.array([at.left, at.right])
    y = _EYES_AT * _CROP
    target = np.array([[(_CROP - _IED) / 2, y], [(_CROP + _IED) / 2, y]])
    scale = _IED / max(at.between, 1e-6)
    if scale < 0.5:  # a large face is averaged down first, or what is sampled of it would look sharper than it is
        pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        eyes = eyes * scale
    m, t = similarity(eyes, target)
    crop = cv2.warpAffine(pixels, np.column_stack([m, t]), (_CROP, _CROP), flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)
    row, column = np.mgrid[:_CROP, :_CROP]
    inside = (((column - _CROP / 2) / (_HALF_WIDTH * _IED)) ** 2
              + ((row - y - _LOWER * _IED) / (_HALF_HEIGHT * _IED)) ** 2) <= 1
    return np.asarray(crop, np.uint8), inside
