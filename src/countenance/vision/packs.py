"""Model packs: what a pack is, read strictly from its manifest, and its files, read only if unchanged."""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from countenance.errors import ModelFault

DEFAULT = "dlib-resnet"
_FORMAT = 1
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class ModelFile:
    """One file of weights."""

    role: str      # detector, landmarks or embedder
    name: str
    size: int      # bytes
    sha256: str
    licence: str


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
class Golden:
    """Outputs for the drawn pattern of `embed.pattern`, and how far off they may be."""

    embedding: list[float]       # the first sixteen of 128
    embedding_norm: float
    embedding_tolerance: float
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
    dim: int
    step: float            # what one step of a template's int8 code is worth
    mirrored: bool         # an embedding is the mean of the chip's and of the mirrored chip's
    metric: str
    package: str           # where the files come from, as a Python distribution's import name
    folder: str
    licence: str
    training_data: str
    files: list[ModelFile]
    inputs: list[Input]
    error_rates: list[ErrorRate]
    golden: Golden


@dataclass(frozen=True)
class Pack:
    """A pack that is known here; opening its weights is `pack_runtime.FacePack.open`."""

    manifest: Manifest

    @property
    def identity(self) -> str:
        """Return NAME@VERSION+HASH. Templates are bound to it; templates of different packs never meet.

        The hash is over the weights, not over the manifest's wording.
        """
        parts = [self.manifest.name, self.manifest.version, self.manifest.metric, str(self.manifest.dim),
                 str(self.manifest.step), f"mirrored={self.manifest.mirrored}"]
        parts += sorted(f"{file.role}:{file.sha256}" for file in self.manifest.files)
        short = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        return f"{self.manifest.name}@{self.manifest.version}+{short}"

    def file(self, role: str) -> ModelFile:
        """Return the file that plays `role`. Raises ModelFault(model-manifest-invalid)."""
        found = [file for file in self.manifest.files if file.role == role]
        if len(found) != 1:
            raise _invalid(self.manifest.name)
        return found[0]

    def path(self, role: str) -> Path:
        """Return where it lies; its package is found, not imported. Raises ModelFault(model-file-missing)."""
        spec = importlib.util.find_spec(self.manifest.package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            path = Path(place) / self.manifest.folder / self.file(role).name
            if path.is_file():
                return path
        raise ModelFault("model-file-missing", f"The model file {self.file(role).name} is not installed.")

    def read(self, role: str) -> bytes:
        """Return the file's bytes, once its size and SHA-256 are the manifest's.

        Raises ModelFault: model-file-missing, model-file-changed.
        """
        wanted, path = self.file(role), self.path(role)
        try:
            data = path.read_bytes() if path.stat().st_size == wanted.size else b""
        except OSError as fault:
            raise ModelFault("model-file-missing", f"The model file {wanted.name} cannot be read.") from fault
        if len(data) != wanted.size or hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise ModelFault("model-file-changed", f"The model file {wanted.name} is not its manifest's.")
        return data

    def describe(self) -> dict[str, Any]:
        """Return everything but the golden outputs, in plain types, for `models show`."""
        shown = asdict(self.manifest)
        del shown["golden"]
        return {"identity": self.identity, **shown}


def names() -> list[str]:
    """Return the names of the packs that come with the program, sorted."""
    folder = resources.files("countenance.vision") / "manifests"
    found = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def load(name: str = DEFAULT) -> Pack:
    """Return the pack of that name. Raises ModelFault: model-pack-unknown, model-manifest-invalid."""
    if name not in names():
        raise ModelFault("model-pack-unknown", "There is no model pack of that name.")
    text = (resources.files("countenance.vision") / "manifests" / f"{name}.toml").read_text("utf-8")
    return Pack(parse(text))


def parse(text: str) -> Manifest:
    """Read a manifest; unknown, missing and mistyped keys raise ModelFault(model-manifest-invalid)."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise _invalid("the text") from fault
    table["files"] = _records(ModelFile, table.get("files"))
    table["inputs"] = _records(Input, table.get("inputs"))
    table["error_rates"] = _records(ErrorRate, table.get("error_rates"))
    table["golden"] = _record(Golden, table.get("golden"))
    manifest = _record(Manifest, table)
    if manifest.format != _FORMAT or manifest.metric != "euclidean" or manifest.step <= 0:
        raise _invalid("format, metric or step")
    return manifest


def _invalid(where: str) -> ModelFault:
    return ModelFault("model-manifest-invalid", f"A model pack's manifest is not as it must be ({where}).")


def _records(kind: type[_Record], value: object) -> list[_Record]:
    if not isinstance(value, list) or not value:
        raise _invalid(kind.__name__)
    return [_record(kind, item) for item in value]


def _record(kind: type[_Record], value: object) -> _Record:
    hints = get_type_hints(kind)
    wanted = {item.name for item in fields(kind)}  # type: ignore[arg-type]  # only dataclasses come here
    if not isinstance(value, dict) or value.keys() != wanted:
        raise _invalid(kind.__name__)
    for key, item in value.items():
        if not _fits(item, hints[key]):
            raise _invalid(f"{kind.__name__}.{key}")
    return kind(**value)


def _fits(value: object, hint: Any) -> bool:
    """Tell whether `value` is exactly of a scalar type, or a list of such, however deep."""
    origin = getattr(hint, "__origin__", None)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, hint.__args__[0]) for item in value)
    return type(value) is hint
