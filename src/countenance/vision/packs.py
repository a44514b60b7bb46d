"""Model packs: those that are known, where their files lie, and their files, read only if unchanged."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from countenance.errors import BadInput, ModelFault
from countenance.vision import models_folder
from countenance.vision.manifest import DLIB, PACK_NAME, Manifest, ModelFile, parse

DEFAULT = "dlib-resnet"
MANIFEST = "manifest.toml"
_LARGEST_MANIFEST = 1 << 20


@dataclass(frozen=True)
class Pack:
    """A pack that is known here; opening its weights is `pack_runtime.FacePack.open`.

    `place`: its folder, or None where its files come with a Python distribution.
    """

    manifest: Manifest
    place: Path | None = None

    @property
    def identity(self) -> str:
        """Return NAME@VERSION+HASH. Templates are bound to it; templates of different packs never meet.

        The hash is over the weights and what is done with them, not over the manifest's wording.
        """
        made = self.manifest
        parts = [made.name, made.version, made.metric, str(made.dim), str(made.step), f"mirrored={made.mirrored}"]
        if made.detector != DLIB:
            parts += [made.detector, made.alignment, made.embedder, f"normalised={made.normalised}"]
            parts += sorted(f"{i.role}:{i.colour}:{i.mean}:{i.divisor}" for i in made.inputs)
        parts += sorted(f"{file.role}:{file.sha256}" for file in made.files)
        short = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        return f"{made.name}@{made.version}+{short}"

    def file(self, role: str) -> ModelFile:
        """Return the file that plays `role`. Raises ModelFault(model-manifest-invalid)."""
        found = [file for file in self.manifest.files if file.role == role]
        if len(found) != 1:
            raise ModelFault("model-manifest-invalid",
                             f"A model pack's manifest is not as it must be ({self.manifest.name}).")
        return found[0]

    def path(self, role: str) -> Path:
        """Return where it lies; a package is found, not imported. Raises ModelFault(model-file-missing, model-path)."""
        name = self.file(role).name
        if self.place is not None:
            path = self.place / name
            if path.is_symlink():
                raise ModelFault("model-path", "A model file may not be a link to somewhere else.")
            if path.is_file():
                return path
            raise ModelFault("model-file-missing", f"The model file {name} is not here; "
                             f"`countenance models pull {self.manifest.name}` fetches what is known.")
        spec = importlib.util.find_spec(self.manifest.package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            path = Path(place) / self.manifest.folder / name
            if path.is_file():
                return path
        raise ModelFault("model-file-missing", f"The model file {name} is not installed.")

    def read(self, role: str) -> bytes:
        """Return the file's bytes, once its size and SHA-256 are the manifest's.

        Raises ModelFault: model-file-missing, model-file-changed, model-path.
        """
        wanted, path = self.file(role), self.path(role)
        try:
            data = path.read_bytes() if path.stat().st_size == wanted.size else b""
        except OSError as fault:
            raise ModelFault("model-file-missing", f"The model file {wanted.name} cannot be read.") from fault
        if len(data) != wanted.size or hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise ModelFault("model-file-changed", f"The model file {wanted.name} is not its manifest's.")
        return data

    def require_accepted(self) -> None:
        """Refuse a pack from a models folder whose licence nobody accepted. Raises Refused(model-licence)."""
        if self.place is not None:
            models_folder.require_accepted(self.place, self.identity)

    def own(self, name: str) -> Path | None:
        """Return the file of that name, `cohort.json` or `calibration.json`, beside the pack's, where it is one.

        Whoever measured a cohort of their own puts it there; also for the default pack.
        """
        path = (self.place or models_folder.folder() / self.manifest.name) / name
        return path if path.is_file() else None

    def describe(self) -> dict[str, Any]:
        """Return everything but the golden outputs, in plain types, for `models show`."""
        shown = asdict(self.manifest)
        del shown["golden"]
        return {"identity": self.identity, **shown}


def bundled() -> list[str]:
    """Return the names of the packs whose manifests come with the program, sorted."""
    folder = resources.files("countenance.vision") / "manifests"
    found = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def names() -> list[str]:
    """Return the names of the packs that can be opened here, sorted."""
    own = [name for name in bundled() if _bundled(name).package]
    place = models_folder.folder()
    try:
        there = [path.name for path in place.iterdir() if (path / models_folder.ACCEPTANCE).is_file()]
    except OSError:
        there = []
    return sorted({*own, *(name for name in there if PACK_NAME.fullmatch(name))})


def load(name: str = DEFAULT) -> Pack:
    """Return the pack of that name: one that comes with the program, or one in the models folder.

    Raises ModelFault: model-pack-unknown, model-manifest-invalid.
    """
    if name in bundled():
        manifest = _bundled(name)
        return Pack(manifest, None if manifest.package else models_folder.folder() / name)
    place = models_folder.folder() / name
    if not PACK_NAME.fullmatch(name) or not (place / MANIFEST).is_file():
        raise ModelFault("model-pack-unknown", "There is no model pack of that name.")
    return from_folder(place)


def from_folder(place: Path) -> Pack:
    """Return the pack whose manifest lies in a folder. Raises as `manifest_text`, and ModelFault."""
    return described(manifest_text(place), place)


def manifest_text(place: Path) -> str:
    """Return the manifest in a folder, not yet parsed. Raises BadInput: folder-unreadable, file-too-large."""
    path = place / MANIFEST
    try:
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise BadInput("file-too-large", "This manifest is larger than 1 MiB.")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInput("folder-unreadable", f"This folder holds no {MANIFEST} that can be read.") from None


def described(text: str, place: Path) -> Pack:
    """Return the pack that a manifest describes, its files in `place`. Raises ModelFault."""
    manifest = parse(text)
    if manifest.package:
        raise ModelFault("model-manifest-invalid", "A pack in a folder has its files there, not in a package.")
    return Pack(manifest, place)


def _bundled(name: str) -> Manifest:
    return parse((resources.files("countenance.vision") / "manifests" / f"{name}.toml").read_text("utf-8"))
