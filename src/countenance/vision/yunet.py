"""Finds faces and five points of each: YuNet (Wu, Peng and Yu, Machine Intelligence Research 2023) on ONNX Runtime.

The file has twelve outputs, for strides of 8, 16 and 32 pixels: how face-like (`cls`), how well placed (`obj`), the
box (`bbox`) and the points (`kps`), each per cell. A face much larger than the coarsest cells see is missed, so a
large working image is looked at in smaller copies too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault
from countenance.vision.detect import MAX_WORKING_PIXELS, SMALLEST_FACE_PX, Box, Detection, require_size, scaled
from countenance.vision.image import Frame
from countenance.vision.session import Session

STRIDES = 8, 16, 32
OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
LEAST_SCORE = 0.6
OVERLAP = 0.3
WINDOW_PX = 24
"""How wide the smallest face is in the working image; the network was trained on faces from 10 pixels up."""

_COARSEST_SIDE = 320
_MUCH_SMALLER = 0.5  # boxes of one face differ in width between detectors; half of what was asked for is another face
_WHOLE = 32  # sides of the network's input are multiples of it


class YunetDetector:
    """Finds faces in frames of any size; safe for use by several threads."""

    def __init__(self, session: Session) -> None:
        """Raises ModelFault(model-shape) where the graph is not of this layout."""
        self._session = session
        if sorted(session.outputs) != sorted(OUTPUTS) or len(session.input_shape) != 4 or session.input_shape[1] != 3:
            raise ModelFault("model-shape", "This detector's graph has other inputs or outputs than YuNet's.")
        self._order = [session.outputs.index(name) for name in OUTPUTS]
        height, width = session.input_shape[2:]
        self._fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def detect(
        self, frame: Frame, smallest_face_px: float = SMALLEST_FACE_PX, least_score: float = LEAST_SCORE
    ) -> list[Detection]:
        """Return the faces in `frame`, highest score first, none overlapping another, each with its five points.

        The points are in source pixels: the eye on the left of the picture, the eye on its right, tip of the nose,
        corner of the mouth on the left, on the right. `least_score`: 0 to 1, higher is stricter. A file of a fixed
        input size finds small faces in large pictures badly. Raises BadInput(face-size-unusable), ModelFault.
        """
        require_size(smallest_face_px)
        found: list[Detection] = []
        for scale in self._scales(frame.size, smallest_face_px):
            found += self._at(frame.pixels, scale, least_score)
        large = [one for one in found if one.box.width >= smallest_face_px * _MUCH_SMALLER]
        return _suppress(sorted(large, key=lambda one: -one.score))

    def _scales(self, size: tuple[int, int], smallest: float) -> list[float]:
        """Return the working images' sizes, as shares of the source's: the first finds the smallest faces."""
        longest = max(size)
        if self._fixed is not None:
            return [min(self._fixed[0] / size[1], self._fixed[1] / size[0])]
        scale = min(1.0, WINDOW_PX / smallest, math.sqrt(MAX_WORKING_PIXELS / (size[0] * size[1])))
        scale = max(scale, min(1.0, _COARSEST_SIDE / longest))
        scales = [scale]
        while scales[-1] * longest > 2 * _COARSEST_SIDE:
            scales.append(max(scales[-1] / 4, _COARSEST_SIDE / longest))
        return scales

    def _at(self, pixels: NDArray[np.uint8], scale: float, least_score: float) -> list[Detection]:
        import cv2

        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        rows, columns = self._fixed or (-(-height // _WHOLE) * _WHOLE, -(-width // _WHOLE) * _WHOLE)
        height, width = min(height, rows), min(width, columns)
        canvas = np.zeros((rows, columns, 3), np.uint8)
        canvas[:height, :width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        value = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)  # BGR, 0 to 255
        outputs = self._session.run_all(value)
        across, down = pixels.shape[1] / width, pixels.shape[0] / height
        return [_to_source(one, across, down)
                for one in decode([outputs[at] for at in self._order], (rows, columns), least_score)]


def decode(outputs: list[NDArray[np.float32]], size: tuple[int, int], least_score: float) -> list[Detection]:
    """Return the detections that the outputs, in the order of `OUTPUTS`, stand for, in pixels of the input.

    `size`: rows and columns of the input. The score is the geometric mean of `cls` and `obj`. A cell's box is given
    as (x, y) of its middle from the cell's corner and the logarithm of (width, height), all in strides.
    """
    found = []
    for level, stride in enumerate(STRIDES):
        cls, obj, boxes, points = (outputs[3 * kind + level][0] for kind in range(4))
        columns = size[1] // stride
        if len(cls) != columns * (size[0] // stride):
            raise ModelFault("model-shape", "This detector's graph has other inputs or outputs than YuNet's.")
        scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        for cell in np.flatnonzero(scores > least_score):
            corner = np.array([cell % columns, cell // columns])
            middle = (corner + boxes[cell, :2]) * stride
            half = np.exp(np.clip(boxes[cell, 2:], -10, 10)) * stride / 2
            left, top = middle - half
            right, bottom = middle + half - 1
            face = Box(float(left), float(top), float(right), float(bottom))
            if not all(map(math.isfinite, (face.left, face.top, face.right, face.bottom))):
                continue
            marks = (points[cell].reshape(5, 2) + corner) * stride
            found.append(Detection(face, float(scores[cell]), tuple((float(x), float(y)) for x, y in marks)))
    return found


def _to_source(one: Detection, across: float, down: float) -> Detection:
    return replace(one, box=scaled(one.box, across, down), points=tuple((x * across, y * down) for x, y in one.points))


def _suppress(found: list[Detection]) -> list[Detection]:
    """Keep each, best first, whose box overlaps none kept before by more than `OVERLAP` of their union."""
    kept: list[Detection] = []
    for one in found:
        if all(_iou(one.box, other.box) <= OVERLAP for other in kept):
            kept.append(one)
    return kept


def _iou(one: Box, other: Box) -> float:
    across = min(one.right, other.right) - max(one.left, other.left) + 1
    down = min(one.bottom, other.bottom) - max(one.top, other.top) + 1
    inner = max(across, 0.0) * max(down, 0.0)
    return inner / (one.width * one.height + other.width * other.height - inner)
