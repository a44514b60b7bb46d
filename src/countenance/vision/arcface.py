"""Embedders of ArcFace's layout: a face of 112 x 112 pixels by five points, any ONNX graph of that shape.

Points and alignment: Deng et al., ArcFace (CVPR 2019), whose mean points every such model is trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput, ModelFault
from countenance.vision.geometry import similarity

if TYPE_CHECKING:
    from countenance.vision.image import Frame
    from countenance.vision.manifest import Input
    from countenance.vision.session import Session

CHIP_SIDE = 112
MEAN_POINTS = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
                        [70.7299, 92.2041]])
"""Of the chip, in pixels: the eye on the left of the picture, the eye on its right, tip of the nose, corners of the
mouth on the left and on the right."""


def chip(frame: Frame, points: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the aligned face, uint8 (112, 112, 3) RGB; black where the frame has no pixels.

    Bilinear, without smoothing before, as such models were trained. Raises BadInput(face-unusable).
    """
    import cv2

    found = np.asarray(points, np.float64)
    if found.shape != (5, 2) or not np.isfinite(found).all():
        raise BadInput("face-unusable", "The face's features could not be found.")
    m, t = similarity(found, MEAN_POINTS)
    if not 1e-3 < float(np.hypot(m[0, 0], m[1, 0])) < 100:
        raise BadInput("face-unusable", "The face's features lie too close together to be used.")
    made = cv2.warpAffine(frame.pixels, np.column_stack([m, t]), (CHIP_SIDE, CHIP_SIDE), flags=cv2.INTER_LINEAR)
    return np.ascontiguousarray(made, dtype=np.uint8)


class Network:
    """A loaded embedder: from chips to embeddings as the graph gives them; safe for use by several threads."""

    def __init__(self, session: Session, taken: Input, dim: int) -> None:
        """`taken`: colour order and normalisation, (value - mean) / divisor. Raises ModelFault(model-shape)."""
        shape, made = session.input_shape, session.output_shapes
        if taken.shape != [CHIP_SIDE, CHIP_SIDE, 3] or session.input_kind != "tensor(float)" or len(shape) != 4 \
                or any(isinstance(side, int) and side != wanted
                       for side, wanted in zip(shape[1:], (3, CHIP_SIDE, CHIP_SIDE), strict=True)):
            raise ModelFault("model-shape", "This embedder's graph does not take 112 x 112 faces as its manifest says.")
        if len(made) != 1 or len(made[0]) != 2 or (isinstance(made[0][1], int) and made[0][1] != dim):
            raise ModelFault("model-shape", f"This embedder's graph does not make {dim} numbers.")
        self._session = session
        self._one_by_one = shape[0] == 1
        self._dim = dim
        self._mean = np.array(taken.mean, np.float32)
        self._divisor = np.float32(taken.divisor)
        self._backwards = taken.colour == "BGR"

    def run(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (n, dim) for chips uint8 (n, 112, 112, 3) RGB. Raises ModelFault(model-run-failed, model-shape)."""
        value = chips.astype(np.float32)
        value = ((value[..., ::-1] if self._backwards else value) - self._mean) / self._divisor
        value = np.ascontiguousarray(value.transpose(0, 3, 1, 2))
        try:
            parts = [self._session.run(one[None]) for one in value] if self._one_by_one else [self._session.run(value)]
        finally:
            value.fill(0)
        made = np.concatenate(parts).astype(np.float32, copy=False)
        if made.shape != (len(chips), self._dim):
            raise ModelFault("model-shape", f"This embedder's graph does not make {self._dim} numbers.")
        return made
