"""The bounded capture zone: what lies outside is cut away before anything else happens to a frame.

No face is looked for here. Which frame is sharpest is a number about edges in the zone, and is kept by nobody.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.gate.settings import Zone

MIN_SIDE = 32
"""Pixels; the server reads no smaller picture."""

_QUALITY = 92
Pixels = NDArray[np.uint8]


def cut(frame: Pixels, zone: Zone) -> Pixels:
    """Return a view of the zone, rounded inwards. `frame`: uint8 (H, W, 3), BGR. Raises BadInput(camera-wrong)."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise BadInput("camera-wrong", "The camera's frames are not 8-bit pictures in colour.")
    height, width = frame.shape[:2]
    left, right = _inside(zone.left, zone.right, width)
    top, bottom = _inside(zone.top, zone.bottom, height)
    if min(right - left, bottom - top) < MIN_SIDE:
        raise BadInput("camera-wrong", "The zone is less than 32 pixels wide or high in this camera's picture.")
    return frame[top:bottom, left:right]


def _inside(low: float, high: float, side: int) -> tuple[int, int]:
    return int(np.ceil(round(low * side, 6))), int(np.floor(round(high * side, 6)))


def sharpness(part: Pixels) -> float:
    """Return the variance of the Laplacian, 0 and up; higher is sharper. What it was worked out from is wiped."""
    import cv2

    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    edges = cv2.Laplacian(grey, cv2.CV_16S)
    try:
        _mean, deviation = cv2.meanStdDev(edges)
        return float(deviation[0, 0]) ** 2
    finally:
        grey.fill(0)
        edges.fill(0)


def encode(part: Pixels) -> Pixels:
    """Return a JPEG, made in memory, as an array that its user wipes. Raises BadInput(camera-wrong)."""
    import cv2

    done, data = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise BadInput("camera-wrong", "The camera's picture cannot be written as a JPEG.")
    return np.asarray(data, np.uint8).reshape(-1)


def wipe(*buffers: Pixels | None) -> None:
    """Fill with zeros; views of them turn black too."""
    for buffer in buffers:
        if buffer is not None:
            buffer.fill(0)
