"""Cuts the aligned face out of a frame: dlib's get_face_chip_details and extract_image_chips.

The embedder knows faces in this position and size only. Chips equal dlib's (`interpolation.h`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.vision.geometry import similarity
from countenance.vision.image import Frame
from countenance.vision.landmarks import Points

CHIP_SIDE = 150
PADDING = 0.25
"""Border around the face, as a share of its size, on each side."""

_MEAN_FACE = np.array([
    [0.8595674595992, 0.2134981538014],
    [0.6460604764104, 0.2289674387677],
    [0.1205750620789, 0.2137274526848],
    [0.3340850613712, 0.2290642403242],
    [0.4901123135679, 0.6277975316475],
])
"""Where the five points lie in a mean face of size 1 (published in dlib `interpolation.h`)."""

_HALVING_SHIFT = np.array([1.25, 0.75])  # of dlib pyramid_down<2>, in pixels of the smaller image
_BORDER = 2
_ROUNDING = 1 / 4096  # dlib rounds down in float64; this covers what float32 loses of whole numbers


@dataclass(frozen=True)
class Cut:
    """A turned square in the source: its middle, side and angle (radians, x towards y)."""

    x: float
    y: float
    side: float
    angle: float


def cut(points: Points) -> Cut:
    """Return the square whose content is the chip. Raises BadInput(face-unusable)."""
    target = (PADDING + _MEAN_FACE) / (2 * PADDING + 1) * CHIP_SIDE
    m, t = similarity(target, points)
    scale = math.hypot(m[0, 0], m[1, 0])
    if not 0.01 < scale < 1000:
        raise BadInput("face-unusable", "The face's features lie too close together to be used.")
    middle = m @ np.full(2, CHIP_SIDE / 2) + t
    return Cut(float(middle[0]), float(middle[1]), CHIP_SIDE * scale, math.atan2(m[1, 0], m[0, 0]))


def chip(frame: Frame, points: Points) -> NDArray[np.uint8]:
    """Return the aligned face, uint8 (150, 150, 3) RGB; black where the frame has no pixels.

    Raises BadInput(face-unusable).
    """
    return extract(frame.pixels, cut(points))


def extract(pixels: NDArray[np.uint8], where: Cut) -> NDArray[np.uint8]:
    """Return the content of `where`. Where it is much larger than the chip it is halved before."""
    levels, edge = _levels(where)
    left, top, right, bottom = _surroundings(pixels, where, edge)
    if right < left or bottom < top:
        return np.zeros((CHIP_SIDE, CHIP_SIDE, 3), np.uint8)
    image = pixels[top : bottom + 1, left : right + 1]
    half = (where.side - 1) / 2
    middle = np.array([where.x - left, where.y - top])
    corners = middle + half * np.array([[-1, -1], [1, -1], [-1, 1]])
    for _ in range(levels):
        image = halve(image)
        corners = corners / 2 - _HALVING_SHIFT
    return _sample(image, corners, where.angle)


def _levels(where: Cut) -> tuple[int, float]:
    """Return how often to halve, and how many pixels around the square that takes."""
    levels, edge = 0, float(_BORDER)
    half = (where.side - 1) / 2
    while (half := half / 2) > 0 and (2 * half + 1) ** 2 > CHIP_SIDE**2:
        levels += 1
        edge = 2 * edge + _BORDER
    return levels, edge


def _surroundings(pixels: NDArray[np.uint8], where: Cut, edge: float) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom), inside, of the pixels that are looked at."""
    half = (where.side - 1) / 2
    reach = half * (abs(math.cos(where.angle)) + abs(math.sin(where.angle))) + edge
    height, width = pixels.shape[:2]
    return (
        _round(max(where.x - reach, 0)),
        _round(max(where.y - reach, 0)),
        _round(min(where.x + reach, width - 1)),
        _round(min(where.y + reach, height - 1)),
    )


def _round(value: float) -> int:
    return math.floor(value + 0.5)


def halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return dlib's pyramid_down<2>: 1 4 6 4 1 both ways, every other pixel, rounded down.

    (H, W, 3) becomes ((H - 3) // 2, (W - 3) // 2, 3); nothing is left of an image of 8 pixels.
    """
    if min(image.shape[:2]) <= 8:
        return np.zeros((0, 0, 3), np.uint8)
    import cv2

    rows, columns = ((side - 3) // 2 for side in image.shape[:2])
    halved = cv2.pyrDown(image.astype(np.float32))  # whole numbers up to 65,280, over 256: exact in float32
    return halved[1 : 1 + rows, 1 : 1 + columns].astype(np.uint8)


def _sample(image: NDArray[np.uint8], corners: NDArray[np.float64], angle: float) -> NDArray[np.uint8]:
    """Turn the square by `angle` about its middle and read it out bilinearly; black outside."""
    import cv2

    size = CHIP_SIDE - 1
    middle = (corners[1] + corners[2]) / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    origin, across, down = (corners - middle) @ turn.T + middle
    matrix = np.column_stack([(across - origin) / size, (down - origin) / size, origin])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if min(image.shape[:2]) < 2:
        return np.zeros((CHIP_SIDE, CHIP_SIDE, 3), np.uint8)
    values = cv2.warpAffine(
        image.astype(np.float32), matrix, (CHIP_SIDE, CHIP_SIDE), flags=flags, borderMode=cv2.BORDER_CONSTANT
    )
    made: NDArray[np.uint8] = (values + _ROUNDING).astype(np.uint8)
    _blacken(made, matrix, image.shape[1], image.shape[0])
    return made


def _blacken(made: NDArray[np.uint8], matrix: NDArray[np.float64], width: int, height: int) -> None:
    """Blacken what was mixed with the outside: dlib wants all four neighbours of a point to be there."""
    size = CHIP_SIDE - 1
    ends = matrix @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    if ends.min() >= 0 and (ends.max(axis=1) < [width - 1, height - 1]).all():
        return
    y, x = np.mgrid[:CHIP_SIDE, :CHIP_SIDE]
    at_x = np.floor(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2])
    at_y = np.floor(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2])
    made[(at_x < 0) | (at_y < 0) | (at_x + 1 >= width) | (at_y + 1 >= height)] = 0
