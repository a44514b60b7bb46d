"""What a model pack says of itself: its manifest, read strictly. Nothing is guessed from a file's name."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

from countenance.errors import ModelFault

FORMAT = 1
DLIB, YUNET = "dlib-mmod", "yunet"
RESNET, ONNX = "dlib-resnet", "onnx"
_WAYS = {(DLIB, "dlib-5", RESNET), (YUNET, "arcface-5", ONNX)}
"""Detector, alignment and embedder that go together: the five points of one are not those of the other."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PACK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_OURS = {"manifest.toml", "acceptance.json", "cohort.json", "calibration.json"}
LARGEST_FILE = 1 << 30
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class ModelFile:
    """One file of weights."""

    role: str      # detector, landmarks or embedder
    name: str      # of a file in the pack's own folder, without a path
    size: int      # bytes
    sha256: str
    licence: str
    url: str       # where `pull` finds it; "" where it comes with a Python distribution or is put there by hand


@dataclass(frozen=True)
class ErrorRate:
    """One figure, with where it comes from: nothing is said of accuracy without that."""

    dataset: str
    measure: str
    value: float
    conditions: str
    origin: str    # published or measured
    source: str
    date: str


@dataclass(frozen=True)
class Input:
    """What one network takes."""

    role: str
    shape: list[int]        # of one input; 0 stands for any
    layout: str
    colour: str
    mean: list[float]       # subtracted, per colour, of 0 to 255
    divisor: float


@dataclass(frozen=True)
class GoldenEmbedding:
    """What the embedder makes of the drawn pattern of `embed.pattern`, and how far off that may be."""

    embedding: list[float]       # the first sixteen
    embedding_norm: float        # before it is made one long, where it is
    embedding_tolerance: float


@dataclass(frozen=True)
class Golden(GoldenEmbedding):
    """What the default pack's other two parts make of it, too."""

    heat_peak: float             # highest score on the detector's canvas
    heat_mean: float
    heat_cells: int
    heat_tolerance: float
    points: list[list[float]]    # pixels
    points_tolerance: float


@dataclass(frozen=True)
class Manifest:
    """One pack's manifest, as in `manifests/NAME.toml`; each key is required and no other is allowed."""

    format: int
    name: str
    version: str
    summary: str
    detects: str
    aligns: str
    embeds: str
    detector: str          # dlib-mmod or yunet
    alignment: str         # dlib-5 or arcface-5
    embedder: str          # dlib-resnet or onnx
    dim: int
    step: float            # what one step of a template's int8 code is worth
    mirrored: bool         # an embedding is the mean of the chip's and of the mirrored chip's
    normalised: bool       # an embedding is made one long, so that distance says what cosine does
    metric: str
    package: str           # where the files come from, as a Python distribution's import name; "": a models folder
    folder: str
    licence: str
    non_commercial: bool   # the licence forbids commercial use
    terms: str             # what the licence asks for, in plain words, shown before it is accepted
    training_data: str
    files: list[ModelFile]
    inputs: list[Input]
    error_rates: list[ErrorRate]
    golden: GoldenEmbedding | None


def parse(text: str) -> Manifest:
    """Read a manifest; unknown, missing and mistyped keys raise ModelFault(model-manifest-invalid)."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise _invalid("the text") from fault
    table["files"] = _records(ModelFile, table.get("files"))
    table["inputs"] = _records(Input, table.get("inputs"))
    table["error_rates"] = _records(ErrorRate, table.get("error_rates"), may_be_none=True)
    kind = Golden if table.get("detector") == DLIB else GoldenEmbedding
    table["golden"] = _record(kind, table["golden"]) if kind is Golden or "golden" in table else None
    manifest = _record(Manifest, table)
    _judge(manifest)
    return manifest


def _judge(manifest: Manifest) -> None:
    """Refuse what is of the right type and still cannot be. Raises ModelFault(model-manifest-invalid, model-path)."""
    if manifest.format != FORMAT or manifest.metric != "euclidean" or not 0 < manifest.step < 1:
        raise _invalid("format, metric or step")
    if (manifest.detector, manifest.alignment, manifest.embedder) not in _WAYS or not 16 <= manifest.dim <= 2048:
        raise _invalid("detector, alignment, embedder or dim")
    if not PACK_NAME.fullmatch(manifest.name):
        raise _invalid("name")
    for one in manifest.inputs:
        if one.colour not in {"RGB", "BGR"} or len(one.mean) != 3 or not one.divisor > 0:
            raise _invalid("Input.colour, mean or divisor")
    for file in manifest.files:
        if not PLAIN_NAME.fullmatch(file.name) or file.name in _OURS:
            raise ModelFault("model-path", "A model file's name must be a plain name, without a path.")
        if not 0 < file.size <= LARGEST_FILE or not re.fullmatch("[0-9a-f]{64}", file.sha256):
            raise _invalid("ModelFile.size or sha256")
    if len({file.name for file in manifest.files}) < len(manifest.files):
        raise _invalid("ModelFile.name")


def _invalid(where: str) -> ModelFault:
    return ModelFault("model-manifest-invalid", f"A model pack's manifest is not as it must be ({where}).")


def _records(kind: type[_Record], value: object, *, may_be_none: bool = False) -> list[_Record]:
    if not isinstance(value, list) or not (value or may_be_none):
        raise _invalid(kind.__name__)
    return [_record(kind, item) for item in value]


def _record(kind: type[_Record], value: object) -> _Record:
    hints = get_type_hints(kind)
    wanted = {item.name for item in fields(kind)}  # type: ignore[arg-type]  # only dataclasses come here
    if not isinstance(value, dict) or value.keys() != wanted:
        raise _invalid(kind.__name__)
    for key, item in value.items():
        if key != "golden" and not _fits(item, hints[key]):
            raise _invalid(f"{kind.__name__}.{key}")
    return kind(**value)


def _fits(value: object, hint: Any) -> bool:
    """Tell whether `value` is exactly of a scalar type, or a list of such, however deep."""
    origin = getattr(hint, "__origin__", None)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, hint.__args__[0]) for item in value)
    return type(value) is hint
