"""ONNX graphs of the default pack's two networks, built from what `dlib_format` read.

Everything that a graph need not do at the gate is folded into weights here: the affine layers and
the normalisation (rgb - mean) / 256. Both first convolutions have no padding, so folding is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault
from countenance.vision.dlib_bytes import Floats

if TYPE_CHECKING:
    from countenance.vision.dlib_format import Layer, Network

BUILDER_VERSION = 1
"""Raised whenever a change here changes a graph: cached graphs of other versions are not used."""

CHIP_SIDE = 150
_SCALE = 256.0
_LANE = 16  # floats of one AVX-512 register; ONNX Runtime blocks channels by it
_OPSET = 18
_IR = 10


_Value = tuple[str, list[str | int]]  # name and shape


class _Graph:
    """Collects nodes and weights; every method returns the name of what it made."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, operation: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def weight(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def convolve(self, source: str, weights: Floats, bias: Floats, **attributes: Any) -> str:
        return self.add("Conv", source, self.weight(weights), self.weight(bias), **attributes)

    def bytes(self, source: _Value, result: _Value, *, uint8: bool) -> bytes:
        """Serialise with one input (uint8 or float32) and one float32 output."""
        from onnx import TensorProto, helper

        kind = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "countenance",
            [helper.make_tensor_value_info(source[0], kind, source[1])],
            [helper.make_tensor_value_info(result[0], TensorProto.FLOAT, result[1])],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def embedder(network: Network) -> bytes:
    """Return the embedder: input `chips` uint8 (n, 150, 150, 3) RGB, output `embeddings` float32 (n, 128)."""
    graph = _Graph()
    flow = graph.add("Cast", graph.add("Transpose", "chips", perm=[0, 3, 1, 2]), to=1)
    _Residual(graph, _folded(network)).run(flow)
    return graph.bytes(
        ("chips", ["n", CHIP_SIDE, CHIP_SIDE, 3]), ("embeddings", ["n", 128]), uint8=True
    )


class _Residual:
    """Walks the embedder's layers, keeping each value's (channels, side) to know what to pad."""

    def __init__(self, graph: _Graph, layers: list[Layer]) -> None:
        self._graph = graph
        self._layers = layers
        self._tags: dict[str, tuple[str, int, int]] = {}

    def run(self, flow: str) -> None:
        """Add every layer; the last one makes `embeddings`."""
        here = (flow, 3, CHIP_SIDE)
        for layer in self._layers:
            if layer.kind.startswith("tag"):
                self._tags[layer.kind] = here
            elif layer.kind == "skip1":
                here = self._tags["tag1"]
            elif layer.kind.startswith("add"):
                here = self._sum(here, self._tags[layer.kind.replace("add", "tag")])
            else:
                here = self._step(layer, *here)

    def _step(self, layer: Layer, flow: str, channels: int, side: int) -> tuple[str, int, int]:
        graph, numbers = self._graph, layer.numbers
        if layer.kind == "relu":
            return graph.add("Relu", flow), channels, side
        if layer.kind == "fc":
            flat = graph.add("Flatten", flow)
            weights = graph.weight(layer.arrays["weights"])
            return graph.add("MatMul", flat, weights, output="embeddings"), 128, 1
        if layer.kind == "avg" and numbers["rows"] == 0:
            return graph.add("GlobalAveragePool", flow), channels, 1
        after = (side + 2 * numbers["pad_y"] - numbers["rows"]) // numbers["stride_y"] + 1
        shape: dict[str, Any] = {"kernel_shape": [numbers["rows"], numbers["cols"]], **_strides(layer)}
        if layer.kind == "con":
            made = graph.convolve(flow, layer.arrays["weights"], layer.arrays["bias"], **shape)
            return made, numbers["filters"], after
        pool = "MaxPool" if layer.kind == "max" else "AveragePool"
        return graph.add(pool, flow, **shape), channels, after

    def _sum(self, one: tuple[str, int, int], other: tuple[str, int, int]) -> tuple[str, int, int]:
        """Add, with zeros where one of the two is smaller (dlib add_prev_)."""
        channels, side = max(one[1], other[1]), max(one[2], other[2])
        grown = [self._grow(value, channels, side) for value in (one, other)]
        return self._graph.add("Add", *grown), channels, side

    def _grow(self, value: tuple[str, int, int], channels: int, side: int) -> str:
        if value[1:] == (channels, side):
            return value[0]
        more, edge = channels - value[1], side - value[2]
        ends = np.array([0, 0, 0, 0, 0, more, edge, edge], np.int64)
        return self._graph.add("Pad", value[0], self._graph.weight(ends))


def detector(network: Network) -> bytes:
    """Return the detector: input `tiles` float32 (3, H, W) RGB 0 to 255, output `heat` float32 (1, 1, h, w).

    `heat` at (r, c) scores the window whose middle is at (8 c + 14, 8 r + 14); higher is more face-like.
    """
    graph = _Graph()
    flow = graph.add("Unsqueeze", "tiles", graph.weight(np.array([0], np.int64)))
    convolutions = [layer for layer in _folded(network) if layer.kind == "con"]
    channels = 3
    for layer in convolutions[:-1]:
        weights, bias = layer.arrays["weights"], layer.arrays["bias"]
        filters = -(-weights.shape[0] // _LANE) * _LANE
        grown = np.zeros((filters, channels, *weights.shape[2:]), np.float32)
        grown[: weights.shape[0], : weights.shape[1]] = weights
        flow = graph.convolve(flow, grown, np.pad(bias, (0, filters - bias.size)), **_strides(layer))
        flow = graph.add("Relu", flow)
        channels = filters
    _score(graph, flow, convolutions[-1], channels)
    return graph.bytes(("tiles", [3, "h", "w"]), ("heat", [1, 1, "r", "c"]), uint8=False)


def _score(graph: _Graph, flow: str, layer: Layer, channels: int) -> None:
    """Add the last convolution, many channels to one, as two that the runtime is fast at.

    First each row of the kernel by itself (1 x n, one output channel per row), then the sum of those,
    each shifted by its row (n x 1). The same sums in another order.
    """
    weights, numbers = layer.arrays["weights"][0], layer.numbers
    rows, cols = numbers["rows"], numbers["cols"]
    across = np.zeros((_LANE, channels, 1, cols), np.float32)
    across[:rows, : weights.shape[0], 0, :] = weights.transpose(1, 0, 2)
    down = np.zeros((1, _LANE, rows, 1), np.float32)
    down[0, np.arange(rows), np.arange(rows), 0] = 1
    pad = numbers["pad_y"], numbers["pad_x"]
    flow = graph.convolve(flow, across, np.zeros(_LANE, np.float32), pads=[0, pad[1], 0, pad[1]])
    inputs = flow, graph.weight(down), graph.weight(layer.arrays["bias"])
    graph.add("Conv", *inputs, output="heat", pads=[pad[0], 0, pad[0], 0])


def _strides(layer: Layer) -> dict[str, list[int]]:
    numbers = layer.numbers
    y, x = numbers["pad_y"], numbers["pad_x"]
    return {"strides": [numbers["stride_y"], numbers["stride_x"]], "pads": [y, x, y, x]}


def _folded(network: Network) -> list[Layer]:
    """Return the layers, each affine folded into the convolution before it, the input into the first."""
    layers = list(_without_affine(network.layers))
    first = layers[0]
    weights = first.arrays["weights"].astype(np.float64) / _SCALE
    mean = np.array(network.mean_rgb)
    bias = first.arrays["bias"] - np.einsum("oihw,i->o", weights, mean)
    layers[0] = _with(first, weights, bias)
    return layers


def _without_affine(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    held: Layer | None = None
    for layer in layers:
        if layer.kind == "affine":
            if held is None:
                raise ModelFault("model-file-malformed", "A model file is damaged or cut short.")
            scale = layer.arrays["scale"].astype(np.float64)
            weights = held.arrays["weights"] * scale[:, None, None, None]
            held = _with(held, weights, held.arrays["bias"] * scale + layer.arrays["shift"])
            continue
        if held is not None:
            yield held
        held = layer if layer.kind == "con" else None
        if held is None:
            yield layer
    if held is not None:
        yield held


def _with(layer: Layer, weights: NDArray[np.float64], bias: NDArray[np.float64]) -> Layer:
    from countenance.vision.dlib_format import Layer as Made

    arrays = {"weights": weights.astype(np.float32), "bias": bias.astype(np.float32)}
    return Made(layer.kind, layer.numbers, arrays)
