"""A strict reader of dlib's own serialisation, for the three files of the default model pack.

Sources: dlib `serialize.h` (integers, reals, strings), `dnn/tensor.h`, `dnn/core.h` (the wrappers
around layers), `dnn/layers.h`, `dnn/loss.h` (mmod_options), `image_processing/shape_predictor.h`.
Only what those files hold is read: anything else is a ModelFault, never a guess.

The shape of each network is not in its file: dlib has it in a C++ type. It is written down here as
the list of layers in the order in which data flows, which is also the order of the file: a network
is written as all its wrappers' versions, outermost first, and then layer by layer, innermost first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.vision.dlib_bytes import Floats, Reader, Tokens, integers, malformed, reals

MAX_SIDE = 4096
"""No count of filters, channels, rows or columns in these files comes near this."""


@dataclass(frozen=True)
class Layer:
    """One layer: its dlib name, its integers, and its parameters as float32 arrays."""

    kind: str
    numbers: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Overlap:
    """When two boxes are the same face: intersection over the box AROUND both, or share covered.

    Both are limits from above: lower is stricter. See dlib `box_overlap_testing.h`.
    """

    iou: float
    covered: float


@dataclass(frozen=True)
class Network:
    """A network as read: mean colour to subtract (RGB, 0 to 255) and its layers in order of flow."""

    mean_rgb: tuple[float, float, float]
    layers: tuple[Layer, ...]
    window: tuple[int, int] = (0, 0)          # width, height of the detector's window in pixels
    overlap: Overlap = Overlap(1.0, 1.0)      # of the detector's suppression


@dataclass(frozen=True)
class ShapeModel:
    """Regression trees of Kazemi and Sullivan (CVPR 2014) as dlib keeps them.

    C cascades of T trees with S splits and S + 1 leaves each; P points; F feature pixels.
    """

    initial: Floats                  # (P, 2) in units of the face box
    first: NDArray[np.int32]         # (C, T, S) feature pixel minus ...
    second: NDArray[np.int32]        # (C, T, S) ... this one; more than the threshold goes left
    threshold: Floats                # (C, T, S)
    leaves: Floats                   # (C, T, S + 1, P, 2)
    anchor: NDArray[np.int32]        # (C, F) the point that a feature pixel hangs on
    offset: Floats                   # (C, F, 2) from that point, in units of the face box


_CONVOLUTION = ("filters", "rows", "cols", "stride_y", "stride_x", "pad_y", "pad_x")
_POOLING = ("rows", "cols", "stride_y", "stride_x", "pad_y", "pad_x")


def _convolution(r: Reader) -> Layer:
    parameters = r.tensor().ravel()
    numbers = {name: r.count(MAX_SIDE) for name in _CONVOLUTION}
    weights, biases = r.alias(MAX_SIDE), r.alias(MAX_SIDE)
    r.reals(4)  # multipliers of the learning rate and weight decay, of use in training only
    count = math.prod(weights)
    r.expect(weights[0] == numbers["filters"] and weights[2:] == (numbers["rows"], numbers["cols"]))
    r.expect(math.prod(biases) == numbers["filters"] and count + math.prod(biases) == parameters.size)
    r.expect(min(numbers["rows"], numbers["cols"], numbers["stride_y"], numbers["stride_x"]) > 0)
    return Layer("con", numbers, {"weights": parameters[:count].reshape(weights), "bias": parameters[count:]})


def _halves(r: Reader, parameters: Floats) -> tuple[Floats, Floats]:
    """Split scale and shift, of one size each, out of one parameter tensor."""
    scale, shift = r.alias(MAX_SIDE), r.alias(MAX_SIDE)
    r.expect(scale == shift and 2 * math.prod(scale) == parameters.size)
    return parameters[: parameters.size // 2], parameters[parameters.size // 2 :]


def _affine(r: Reader) -> Layer:
    scale, shift = _halves(r, r.tensor().ravel())
    r.expect(r.count(1) == 0)  # 0: one pair per channel
    return Layer("affine", {}, {"scale": scale, "shift": shift})


def _batch_norm(r: Reader) -> Layer:
    """Turn batch normalisation with its running statistics into the affine layer that it is at work."""
    gamma, beta = _halves(r, r.tensor().ravel())
    r.tensor()
    r.tensor()  # means and deviations of the last batch in training
    mean, variance = r.tensor().ravel(), r.tensor().ravel()
    r.count(2**40)
    r.count(2**40)  # updates seen, window of the running statistics
    *_, eps = r.reals(5)
    r.expect(mean.size == variance.size == gamma.size and bool((variance >= 0).all()) and 0 < eps < 1)
    scale = gamma / np.sqrt(variance + np.float32(eps))
    return Layer("affine", {}, {"scale": scale, "shift": beta - scale * mean})


def _pooling(r: Reader) -> Layer:
    return Layer("pool", {name: r.count(MAX_SIDE) for name in _POOLING})


def _dense(r: Reader) -> Layer:
    outputs, inputs = r.count(MAX_SIDE), r.count(MAX_SIDE)
    weights = r.tensor()
    r.expect(r.alias(MAX_SIDE)[:2] == (inputs, outputs) and weights.size == inputs * outputs)
    r.alias(MAX_SIDE)
    r.expect(r.count(1) == 1)  # 1: no bias
    r.reals(4)
    return Layer("fc", {}, {"weights": weights.reshape(inputs, outputs)})


def _bare(_: Reader) -> Layer:
    return Layer("bare")


_DETAILS = {
    "con": ("con_4", _convolution),
    "affine": ("affine_", _affine),
    "bn": ("bn_con2", _batch_norm),
    "relu": ("relu_", _bare),
    "max": ("max_pool_2", _pooling),
    "avg": ("avg_pool_2", _pooling),
    "fc": ("fc_2", _dense),
    "add1": ("add_prev_", _bare),
    "add2": ("add_prev_", _bare),
}
_MARKS = ("tag1", "tag2", "skip1")

_SAME = ["tag1", "con", "affine", "relu", "con", "affine", "add1", "relu"]
_HALF = ["tag1", "con", "affine", "relu", "con", "affine", "tag2", "skip1", "avg", "add2", "relu"]
EMBEDDER = [
    *["con", "affine", "relu", "max", *(_SAME * 3)],
    *[*_HALF, *(_SAME * 3)],
    *[*_HALF, *(_SAME * 2)],
    *[*_HALF, *(_SAME * 2)],
    *[*_HALF, "avg", "fc"],
]
"""dlib `dnn_face_recognition_ex.cpp`, as the list of its layers in order of flow."""

DETECTOR = ["con", "bn", "relu"] * 6 + ["con"]
"""dlib `dnn_mmod_face_detection_ex.cpp`: three halvings, three convolutions of 45, one score."""


def read_embedder(data: bytes) -> Network:
    """Read `dlib_face_recognition_resnet_model_v1.dat`. Raises ModelFault(model-file-malformed)."""
    r = Reader(data)
    r.expect(r.count(9) == 1)
    r.expect(r.text() == "loss_metric_2")
    r.reals(2)  # margin and distance threshold, of use in training only
    mean, layers = _network(r, EMBEDDER, "input_rgb_image_sized", sized=True)
    r.end()
    return Network(mean, layers)


def read_detector(data: bytes) -> Network:
    """Read `mmod_human_face_detector.dat`. Raises ModelFault(model-file-malformed)."""
    r = Reader(data)
    r.expect(r.count(9) == 1)
    r.expect(r.text() == "loss_mmod_")
    r.expect(r.count(9) == 1)  # version of mmod_options: one window, no labels
    window = (r.count(MAX_SIDE), r.count(MAX_SIDE))
    r.reals(3)  # losses of training, and how well a box has to match there
    suppression, _ = _overlap(r), _overlap(r)
    mean, layers = _network(r, DETECTOR, "input_rgb_image_pyramid", sized=False)
    r.end()
    return Network(mean, layers, window, suppression)


def _overlap(r: Reader) -> Overlap:
    iou, covered = r.reals(2)
    r.expect(0 <= iou <= 1 and 0 <= covered <= 1)
    return Overlap(iou, covered)


def _network(
    r: Reader, shape: list[str], source: str, *, sized: bool
) -> tuple[tuple[float, float, float], tuple[Layer, ...]]:
    for kind in reversed(shape[1:]):
        r.expect(r.count(9) == (1 if kind in _MARKS else 2))
    r.expect(r.count(9) == 3)  # the innermost wrapper also holds the input
    r.expect(r.text() == source)
    red, green, blue = r.reals(3)
    if sized:
        r.expect((r.count(MAX_SIDE), r.count(MAX_SIDE)) == (150, 150))
    return (red, green, blue), tuple(_layer(r, kind, first=i == 0) for i, kind in enumerate(shape))


def _layer(r: Reader, kind: str, *, first: bool) -> Layer:
    if kind in _MARKS:
        return Layer(kind)
    name, read = _DETAILS[kind]
    r.expect(r.text() == name)
    layer = read(r)
    for _ in range(3):
        r.flag()  # set-up, gradient and output states of the training run
    for _ in range(3):
        r.tensor()  # gradients and cached output of the training run, empty in these files
    if first:
        r.expect(r.count(9) == 1)  # samples made of one image
    return Layer("affine" if kind == "bn" else kind, layer.numbers, layer.arrays)


def read_shape_model(data: bytes) -> ShapeModel:
    """Read `shape_predictor_5_face_landmarks.dat`. Raises ModelFault(model-file-malformed)."""
    tokens = Tokens(integers(data))
    tokens.expect(tokens.next() == 1)
    initial = tokens.vector(tokens.next(), tokens.next())
    cascades = tokens.bounded(100)
    forests = [_forest(tokens, initial.size) for _ in range(cascades)]
    first, second, threshold, leaves = (_stack(part) for part in zip(*forests, strict=True))
    anchor = _anchors(tokens, cascades, initial.size // 2)
    offset = _offsets(tokens, cascades, anchor.shape[1])
    tokens.end()
    tokens.expect(int(max(first.max(), second.max())) < anchor.shape[1])
    return ShapeModel(initial.reshape(-1, 2), first, second, threshold, leaves, anchor, offset)


def _stack(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len({part.shape for part in parts}) != 1:
        malformed()
    return np.stack(parts)


def _forest(tokens: Tokens, values: int) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats, Floats]:
    """Read one cascade. All its trees have one shape, so it is one table of integers."""
    trees, splits = tokens.bounded(5000), tokens.peek_bounded(1023)
    # Per tree: the number of splits, four integers each; the number of leaves, each a column
    # of (-rows, -1) and its reals, two integers each.
    width = 1 + 4 * splits + 1 + (splits + 1) * (2 + 2 * values)
    table = tokens.table(trees, width)
    nodes = table[:, 1 : 1 + 4 * splits].reshape(trees, splits, 4)
    ends = table[:, 2 + 4 * splits :].reshape(trees, splits + 1, 2 + 2 * values)
    tokens.expect(bool((table[:, 0] == splits).all() and (table[:, 1 + 4 * splits] == splits + 1).all()))
    tokens.expect(bool((ends[:, :, 0] == -values).all() and (ends[:, :, 1] == -1).all()))
    tokens.expect(bool((nodes[:, :, :2] >= 0).all() and (nodes[:, :, :2] < 1 << 20).all()))
    return (
        nodes[:, :, 0].astype(np.int32),
        nodes[:, :, 1].astype(np.int32),
        reals(nodes[:, :, 2], nodes[:, :, 3]),
        reals(ends[:, :, 2::2], ends[:, :, 3::2]).reshape(trees, splits + 1, -1, 2),
    )


def _anchors(tokens: Tokens, cascades: int, points: int) -> NDArray[np.int32]:
    tokens.expect(tokens.next() == cascades)
    rows = [tokens.table(1, tokens.bounded(1 << 16))[0] for _ in range(cascades)]
    anchors: NDArray[np.int32] = _stack(rows).astype(np.int32)
    tokens.expect(anchors.size > 0 and int(anchors.min()) >= 0 and int(anchors.max()) < points)
    return anchors


def _offsets(tokens: Tokens, cascades: int, pixels: int) -> Floats:
    tokens.expect(tokens.next() == cascades)
    rows = []
    for _ in range(cascades):
        tokens.expect(tokens.next() == pixels)
        table = tokens.table(pixels, 4)
        rows.append(reals(table[:, 0::2], table[:, 1::2]))
    return np.stack(rows)
