"""A pack, opened: from a frame to detections, points, a chip and, against a permit, an embedding."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault
from countenance.features import Probe
from countenance.permits import Permit, PermitBook, Scope
from countenance.vision import align, arcface, dlib_format, face_quality, graphs, packs
from countenance.vision.cache import cached
from countenance.vision.detect import SMALLEST_FACE_PX, Box, Detection, Detector
from countenance.vision.embed import Embedder, pattern
from countenance.vision.face_quality import Assessment
from countenance.vision.image import Frame
from countenance.vision.landmarks import Landmarker, Points
from countenance.vision.manifest import DLIB, Golden
from countenance.vision.session import Session
from countenance.vision.yunet import YunetDetector

_PATTERN_SIZE = 320, 240
_PATTERN_BOX = Box(70.0, 30.0, 249.0, 209.0)


@dataclass(frozen=True)
class Check:
    """One golden output that was recomputed: how far off it is, and how far it may be."""

    what: str
    off_by: float
    tolerance: float


class FacePack:
    """One pack at work; safe for use by several threads."""

    def __init__(self, pack: packs.Pack, detector: Detector | YunetDetector, landmarker: Landmarker | None,
                 embedder: Embedder) -> None:
        """`landmarker`: None where the detector finds the points itself."""
        self._pack = pack
        self._detector = detector
        self._landmarker = landmarker
        self._embedder = embedder

    @classmethod
    def open(cls, name: str = packs.DEFAULT, threads: int = 1) -> FacePack:
        """Verify the pack's files and load them; the first time on a machine takes a second more.

        `threads`: of one run of a network. Raises ModelFault, Refused(model-licence).
        """
        pack = packs.load(name)
        pack.require_accepted()
        return cls.of(pack, threads)

    @classmethod
    def of(cls, pack: packs.Pack, threads: int = 1) -> FacePack:
        """Load a pack whose licence is being looked at, or was. Raises ModelFault."""
        return _dlib(pack, threads) if pack.manifest.detector == DLIB else _yunet(pack, threads)

    @property
    def identity(self) -> str:
        """See `packs.Pack.identity`."""
        return self._pack.identity

    @property
    def alignment(self) -> str:
        """Which five points it has: dlib-5 or arcface-5."""
        return self._pack.manifest.alignment

    def own(self, name: str) -> Path | None:
        """See `packs.Pack.own`."""
        return self._pack.own(name)

    @property
    def dim(self) -> int:
        """Numbers per embedding."""
        return self._pack.manifest.dim

    @property
    def step(self) -> float:
        """What one step of a template's int8 code is worth, in the embedding's own units."""
        return self._pack.manifest.step

    def detect(self, frame: Frame, smallest_face_px: float = SMALLEST_FACE_PX) -> list[Detection]:
        """See `Detector.detect`."""
        return self._detector.detect(frame, smallest_face_px)

    def landmarks(self, frame: Frame, detection: Detection) -> Points:
        """Return the five points, (5, 2) in source pixels: see `Landmarker.find` or `YunetDetector.detect`."""
        if self._landmarker is None:
            return np.array(detection.points, np.float64)
        return self._landmarker.find(frame, detection.box)

    def align(self, frame: Frame, detection: Detection) -> NDArray[np.uint8]:
        """Return the chip of one face, uint8 (side, side, 3) RGB: 150 for the default pack, 112 for others.

        Raises BadInput(face-unusable).
        """
        points = self.landmarks(frame, detection)
        return arcface.chip(frame, points) if self._landmarker is None else align.chip(frame, points)

    def embed(self, book: PermitBook, permit: Permit, scope: Scope, chip: NDArray[np.uint8]) -> Probe:
        """See `Embedder.embed`: spends `permit` first of all."""
        return self._embedder.embed(book, permit, scope, chip)

    def embed_several(
        self, book: PermitBook, permit: Permit, scope: Scope, chips: list[NDArray[np.uint8]]
    ) -> Probe:
        """See `Embedder.embed_several`: spends `permit`, which must be of kind ENROL, first of all."""
        return self._embedder.embed_several(book, permit, scope, chips)

    def assess(self, frame: Frame, found: list[Detection], face: Detection) -> Assessment:
        """Return the quality of one of the faces that were found; nothing that tells people apart is computed."""
        others = [one.box.width * one.box.height for one in found if one is not face]
        at = face_quality.marks(self.landmarks(frame, face), self._pack.manifest.alignment)
        return face_quality.assess(frame, at, [face.box.width * face.box.height, *sorted(others, reverse=True)])

    def embed_dataset(
        self, book: PermitBook, permit: Permit, scope: Scope, chips: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """See `Embedder.embed_dataset`: spends `permit`, which must be of kind DATASET, first of all."""
        return self._embedder.embed_dataset(book, permit, scope, chips)

    def check(self) -> list[Check]:
        """Recompute the golden outputs on a drawn pattern; needs no permit, for it is nobody's face.

        A manifest without golden outputs is checked for numbers that are numbers.
        Raises ModelFault(model-check-failed) at the first that is further off than its tolerance.
        """
        checks = [*self._check_embedding(), *self._check_finding()]
        for done in checks:
            if not done.off_by <= done.tolerance:
                raise ModelFault("model-check-failed", f"The model's {done.what} is not what it must be.")
        return checks

    def _check_embedding(self) -> list[Check]:
        golden = self._pack.manifest.golden
        made = self._embedder.embed_pattern().astype(np.float64)
        if golden is None:
            usable = np.isfinite(made).all() and np.linalg.norm(made) > 0
            return [Check("embedding, without a golden one,", 0.0 if usable else np.inf, 0.0)]
        off = np.abs(made[: len(golden.embedding)] - golden.embedding).max()
        norm = abs(float(np.linalg.norm(made)) - golden.embedding_norm)
        return [
            Check("embedding", float(off), golden.embedding_tolerance),
            Check("embedding's length", norm, golden.embedding_tolerance),
        ]

    def _check_finding(self) -> list[Check]:
        golden = self._pack.manifest.golden
        if not isinstance(golden, Golden) or isinstance(self._detector, YunetDetector) or self._landmarker is None:
            return []
        heat = self._detector.heat(Frame(pattern(*_PATTERN_SIZE)))
        points = self._landmarker.find(Frame(pattern(*_PATTERN_SIZE)), _PATTERN_BOX)
        return [
            Check("highest score", abs(float(heat.max()) - golden.heat_peak), golden.heat_tolerance),
            Check("mean score", abs(float(heat.mean()) - golden.heat_mean), golden.heat_tolerance),
            Check("number of scores", float(abs(heat.size - golden.heat_cells)), 0.0),
            Check("points", float(np.abs(points - golden.points).max()), golden.points_tolerance),
        ]


def _dlib(pack: packs.Pack, threads: int) -> FacePack:
    network = dlib_format.read_detector(pack.read("detector"))
    finder = cached(_key(pack, "detector", "onnx"), lambda: graphs.detector(network))
    return FacePack(
        pack,
        Detector(Session(finder, threads), network),
        Landmarker(_shape_model(pack)),
        Embedder(Session(_embedder_graph(pack), threads), pack.identity, pack.manifest.step,
                 mirrored=pack.manifest.mirrored),
    )


def _yunet(pack: packs.Pack, threads: int) -> FacePack:
    made = pack.manifest
    taken = [one for one in made.inputs if one.role == "embedder"]
    if len(taken) != 1:
        raise ModelFault("model-manifest-invalid", f"A model pack's manifest is not as it must be ({made.name}).")
    network = arcface.Network(Session(pack.read("embedder"), threads), taken[0], made.dim)
    return FacePack(
        pack, YunetDetector(Session(pack.read("detector"), threads)), None,
        Embedder(network, pack.identity, made.step, mirrored=made.mirrored, normalised=made.normalised,
                 side=arcface.CHIP_SIDE),
    )


def _key(pack: packs.Pack, role: str, ending: str) -> str:
    return f"{role}-{pack.file(role).sha256[:32]}-{graphs.BUILDER_VERSION}.{ending}"


def _embedder_graph(pack: packs.Pack) -> bytes:
    data = pack.read("embedder")  # verified even where the graph is kept
    return cached(_key(pack, "embedder", "onnx"), lambda: graphs.embedder(dlib_format.read_embedder(data)))


def _shape_model(pack: packs.Pack) -> dlib_format.ShapeModel:
    """Return the regression trees; kept as arrays, for three million integers take half a second to read."""
    data = pack.read("landmarks")
    kept = cached(_key(pack, "landmarks", "npz"), lambda: _arrays(dlib_format.read_shape_model(data)))
    with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
        names = [item.name for item in fields(dlib_format.ShapeModel)]
        return dlib_format.ShapeModel(**{name: arrays[name] for name in names})


def _arrays(model: dlib_format.ShapeModel) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **{item.name: getattr(model, item.name) for item in fields(model)})
    return stream.getvalue()
