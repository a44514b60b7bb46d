"""Finds faces: the max-margin detector of dlib (King, arXiv 1502.00046) on ONNX Runtime."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.vision import tiles
from countenance.vision.image import Frame
from countenance.vision.session import Session

if TYPE_CHECKING:
    from countenance.vision.dlib_format import Network, Overlap

SMALLEST_FACE_PX = 160
"""What a gate looks for when nothing else is said: a face at arm's length fills more than that."""

MAX_WORKING_PIXELS = 2_000_000
"""Above that the working image is made smaller, and the smallest face found grows with it.

It bounds a run to about 0.4 s on one core and 250 MB whatever picture comes in.
"""

_LEAST_SIDE = 16
_STRIDE = 8
_MIDDLE = 14  # of the window that the first cell of the heat map scores


@dataclass(frozen=True)
class Box:
    """A rectangle in source pixels: the indices of its first and last column and row, as in dlib."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Pixels from the left edge of the first column to the right edge of the last."""
        return self.right - self.left + 1

    @property
    def height(self) -> float:
        """Pixels from the top edge of the first row to the bottom edge of the last."""
        return self.bottom - self.top + 1

    def rounded(self) -> Box:
        """Return the box on whole pixels, halves upwards, as dlib rounds."""
        return Box(*(float(math.floor(v + 0.5)) for v in (self.left, self.top, self.right, self.bottom)))


@dataclass(frozen=True)
class Detection:
    """One face: where, and how face-like. Above 0; HIGHER is more certain, a higher threshold stricter.

    `points`: (x, y) in source pixels, where the detector finds them itself; else none.
    """

    box: Box
    score: float
    points: tuple[tuple[float, float], ...] = ()


class Detector:
    """Finds faces in frames of any size; safe for use by several threads."""

    def __init__(self, session: Session, network: Network) -> None:
        self._session = session
        self._mean = network.mean_rgb
        self._half = (network.window[0] - 1) / 2, (network.window[1] - 1) / 2
        self._window = network.window[0]
        self._overlap = network.overlap

    def detect(
        self, frame: Frame, smallest_face_px: float = SMALLEST_FACE_PX, least_score: float = 0.0
    ) -> list[Detection]:
        """Return the faces in `frame`, highest score first, none overlapping another.

        Faces narrower than `smallest_face_px` source pixels are mostly not found: the frame is scaled
        so that such a face fills the detector's window (80 px), down or up. Half the size takes four
        times as long. `least_score`: higher is stricter. Raises BadInput(face-size-unusable).
        """
        require_size(smallest_face_px)
        image, across, down = self._working(frame.pixels, self._window / smallest_face_px)
        return [
            Detection(scaled(found.box, across, down), found.score)
            for found in _suppress(self._candidates(image, least_score), self._overlap)
        ]

    def heat(self, frame: Frame) -> NDArray[np.float32]:
        """Return every score of the network for `frame` at its own size, (rows, columns): for checks."""
        return self._heat(frame.pixels)[1]

    def _heat(self, image: NDArray[np.uint8]) -> tuple[tiles.Layout, NDArray[np.float32]]:
        where = tiles.layout(image.shape[1], image.shape[0])
        return where, self._session.run(tiles.paint(image, where, self._mean))[0, 0]

    def _working(self, pixels: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.uint8], float, float]:
        """Return the working image and how many source pixels one of its pixels is, across and down."""
        import cv2

        height, width = pixels.shape[:2]
        scale = min(scale, math.sqrt(MAX_WORKING_PIXELS / (height * width)))
        across, down = (max(_LEAST_SIDE, round(side * scale)) for side in (width, height))
        if (across, down) == (width, height):
            return pixels, 1.0, 1.0
        image = pixels
        while min(image.shape[1] / across, image.shape[0] / down) >= 2:  # averages by halves: a tenth of the time
            half = (image.shape[1] // 2, image.shape[0] // 2)            # that one averaging by any factor takes
            image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        image = np.asarray(cv2.resize(image, (across, down), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        return image.astype(np.uint8, copy=False), width / across, height / down

    def _candidates(self, image: NDArray[np.uint8], least_score: float) -> list[Detection]:
        """Return every window over the threshold, highest score first, in pixels of the working image."""
        where, heat = self._heat(image)
        rows, columns = np.nonzero(heat > least_score)
        order = np.argsort(-heat[rows, columns], kind="stable")
        found = []
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            x, y = _STRIDE * column + _MIDDLE, _STRIDE * row + _MIDDLE
            found.append(Detection(Box(*where.to_image(x, y, self._half)), float(heat[row, column])))
        return found


def require_size(smallest_face_px: float) -> None:
    """Raise BadInput(face-size-unusable) for a size that no detector here looks for."""
    if not 20 <= smallest_face_px <= 10_000:
        raise BadInput("face-size-unusable", "The smallest face must be from 20 to 10,000 pixels wide.")


def scaled(box: Box, across: float, down: float) -> Box:
    """Map a box of the working image to the source, edge to edge: 80 pixels become 80 times the scale."""
    return Box(
        box.left * across,
        box.top * down,
        (box.right + 1) * across - 1,
        (box.bottom + 1) * down - 1,
    )


def _suppress(candidates: list[Detection], limit: Overlap) -> list[Detection]:
    """Keep each candidate, best first, that overlaps none kept before; on whole pixels, as dlib does."""
    kept: list[tuple[Detection, Box]] = []
    for candidate in candidates:
        box = candidate.box.rounded()
        if not any(overlaps(box, other, limit) for _, other in kept):
            kept.append((candidate, box))
    return [candidate for candidate, _ in kept]


def overlaps(one: Box, other: Box, limit: Overlap) -> bool:
    """Tell whether two boxes are the same face (dlib `box_overlap_testing.h`).

    The share is of the smallest box around both, which is not the union.
    """
    across = min(one.right, other.right) - max(one.left, other.left) + 1
    down = min(one.bottom, other.bottom) - max(one.top, other.top) + 1
    if across <= 0 or down <= 0:
        return False
    inner = across * down
    around = (max(one.right, other.right) - min(one.left, other.left) + 1) * (
        max(one.bottom, other.bottom) - min(one.top, other.top) + 1
    )
    smaller = min(one.width * one.height, other.width * other.height)
    return inner / around > limit.iou or inner / smaller > limit.covered
