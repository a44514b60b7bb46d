"""Five points of a face by regression trees (Kazemi and Sullivan, CVPR 2014; dlib `shape_predictor.h`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from countenance.vision.detect import Box
from countenance.vision.dlib_bytes import Floats, malformed
from countenance.vision.image import Frame

if TYPE_CHECKING:
    from countenance.vision.dlib_format import ShapeModel

Points = NDArray[np.float64]
"""(5, 2): x and y in source pixels. Outer and inner corner of the eye on the right of the picture,
outer and inner corner of the eye on its left, foot of the nose."""


class Landmarker:
    """Finds the five points; safe for use by several threads.

    All arithmetic that decides a branch is float32, as in dlib, so that the same branch is taken.
    """

    def __init__(self, model: ShapeModel) -> None:
        cascades, trees, splits = model.first.shape
        self._initial = model.initial
        centred = model.initial.astype(np.float64) - model.initial.astype(np.float64).mean(axis=0)
        self._centred = centred[:, 0] + 1j * centred[:, 1]
        self._spread = float((centred * centred).sum())
        self._first = model.first.reshape(cascades, -1).astype(np.intp)
        self._second = model.second.reshape(cascades, -1).astype(np.intp)
        self._threshold = model.threshold.reshape(cascades, -1)
        self._leaves = model.leaves.reshape(cascades, trees * (splits + 1), -1)
        self._across = np.ascontiguousarray(model.offset[:, :, 0])
        self._down = np.ascontiguousarray(model.offset[:, :, 1])
        self._anchor = model.anchor.astype(np.intp)
        self._trees = np.arange(trees, dtype=np.intp) * (splits + 1)
        self._leaf_of = _leaf_table(splits)

    def find(self, frame: Frame, box: Box) -> Points:
        """Return the points of the face in `box`, on whole pixels, as dlib does."""
        box = box.rounded()
        left, top = np.float64(box.left + 0.5), np.float64(box.top + 0.5)  # the half rounds
        wide, high = np.float64(box.right - box.left), np.float64(box.bottom - box.top)
        shape = self._initial
        for cascade in range(len(self._first)):
            x, y = self._places(cascade, shape)
            values = _intensities(
                frame.pixels,
                np.floor(x * wide + left).astype(np.intp),
                np.floor(y * high + top).astype(np.intp),
            )
            shape = self._step(cascade, values, shape)
        points: Points = np.floor(shape * np.array([wide, high]) + np.array([left, top]))
        return points

    def _places(self, cascade: int, shape: Floats) -> tuple[Floats, Floats]:
        """Return where the feature pixels are: their offsets, turned and scaled as the shape is so far."""
        anchor = self._anchor[cascade]
        # The least-squares similarity of geometry.py, with all that does not change worked out before.
        turn = np.vdot(self._centred, shape.astype(np.float64).view(np.complex128)) / self._spread
        real, imaginary = np.float32(turn.real), np.float32(turn.imag)
        x, y = self._across[cascade], self._down[cascade]
        # Spelled out: a matrix product may fuse multiplication and addition, and round otherwise.
        return (
            real * x - imaginary * y + shape[:, 0].take(anchor),
            imaginary * x + real * y + shape[:, 1].take(anchor),
        )

    def _step(self, cascade: int, values: Floats, shape: Floats) -> Floats:
        """Let every tree choose its leaf; add the leaves to the shape one after another."""
        difference = values.take(self._first[cascade]) - values.take(self._second[cascade])
        right = difference <= self._threshold[cascade]
        answers = np.packbits(right.reshape(self._trees.size, -1), axis=1).view(np.uint16)[:, 0]
        leaves = self._leaves[cascade].take(self._trees + self._leaf_of.take(answers), axis=0)
        leaves[0] += shape.reshape(-1)
        made: Floats = leaves.sum(axis=0).reshape(shape.shape)
        return made


def _leaf_table(splits: int) -> NDArray[np.intp]:
    """Return the leaf that a tree ends in, for every combination of its splits' answers (a set bit: right).

    The answers of 15 splits are packed into two bytes in the order of np.packbits.
    """
    if splits != 15:
        malformed()
    combinations = np.arange(1 << 16, dtype=np.uint16)
    right = np.unpackbits(combinations.view(np.uint8).reshape(-1, 2), axis=1).astype(np.intp)
    node = np.zeros(combinations.size, np.intp)
    for _ in range(4):  # children of node i: 2 i + 1 (left) and 2 i + 2 (right)
        node = 2 * node + 1 + right[np.arange(node.size), node]
    return node - splits


def _intensities(pixels: NDArray[np.uint8], x: NDArray[np.intp], y: NDArray[np.intp]) -> Floats:
    """Return (r + g + b) // 3 at each (x, y); 0 outside the picture."""
    height, width = pixels.shape[:2]
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    flat = np.where(inside, y * width + x, 0) * 3
    bytes_ = pixels.reshape(-1)
    total = bytes_.take(flat).astype(np.uint16)
    total += bytes_.take(flat + 1)
    total += bytes_.take(flat + 2)
    grey = (total // 3).astype(np.float32)
    grey[~inside] = 0
    return grey
