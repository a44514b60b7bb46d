"""A folder of labelled photographs (folder = identity), measured under a dataset permit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.clock import SystemClock
from countenance.consent.gate import DatasetGate
from countenance.errors import BadInput
from countenance.evaluation.rates import Trials
from countenance.features import quantise
from countenance.matching import trials
from countenance.matching.cohort import AnyCohort
from countenance.permits import PermitBook
from countenance.vision import image
from countenance.vision.detect import Box
from countenance.vision.face_quality import Assessment
from countenance.vision.pack_runtime import FacePack

KINDS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
SMALLEST_FACE_PX = 60


@dataclass(frozen=True)
class Photograph:
    """One labelled file."""

    identity: str
    path: Path


def listed(folder: Path) -> list[Photograph]:
    """Return the photographs of `folder`/IDENTITY/, sorted. Raises BadInput(dataset-empty)."""
    found = [Photograph(path.parent.name, path) for path in sorted(folder.glob("*/*"))
             if path.suffix.lower() in KINDS]
    if not found:
        raise BadInput("dataset-empty", "This folder holds no folders of photographs.")
    return found


class Evaluation:
    """The evaluation of labelled photographs. Has a book of permits of its own, which opens no venue."""

    def __init__(self, photographs: list[Photograph], pack: FacePack) -> None:
        self.photographs = photographs
        names = "\n".join(f"{one.identity}/{one.path.name}" for one in photographs)
        self.digest = hashlib.sha256(names.encode()).hexdigest()
        self.pack = pack
        self._book = PermitBook(SystemClock())
        self._gate = DatasetGate(self._book)

    def measured(self, progress: Callable[[int, int], None],
                 quality: list[Assessment] | None = None) -> tuple[list[Photograph], NDArray[np.float32]]:
        """Return the photographs with one usable face and their embeddings (n, dimension).

        `quality`: where it is to be assessed, a list that takes it for each of those, in order. The face nearest to the
        picture's middle counts. Those without one are left out; the caller counts them (FTA).
        """
        kept, vectors = [], []
        for done, photograph in enumerate(self.photographs):
            try:
                vectors.append(self.measure(photograph.path.read_bytes(), quality))
                kept.append(photograph)
            except BadInput:
                continue
            finally:
                progress(done + 1, len(self.photographs))
        if not vectors:
            raise BadInput("dataset-faceless", "None of these photographs has a usable face.")
        return kept, np.stack(vectors)

    def measure(self, picture: bytes, quality: list[Assessment] | None = None) -> NDArray[np.float32]:
        """Return the embedding of the face nearest to one picture's middle. Raises BadInput.

        Portraits are framed around whom they are of: in LFW the largest of several is somebody else as often as not.
        """
        frame = image.decode(picture)
        faces = self.pack.detect(frame, SMALLEST_FACE_PX)
        if not faces:
            raise BadInput("no-face", "No face was found in this picture.")
        subject = min(faces, key=lambda face: _from_the_middle(face.box, frame.size))
        granted = self._gate.permit(self.digest)
        chip = self.pack.align(frame, subject)
        measured: NDArray[np.float32] = self.pack.embed_dataset(
            self._book, granted.permit, granted.scope, chip[None])[0]
        if quality is not None:
            quality.append(self.pack.assess(frame, faces, subject))
        return measured

    def trials(self, vectors: NDArray[np.float32], numbers: NDArray[Any], cohort: AnyCohort) -> Trials:
        """Score every pair, as templates that a gate would compare. `numbers`: whose each vector is."""
        codes = quantise(vectors, self.pack.step)
        granted = self._gate.permit(self.digest)
        found = np.empty(len(codes) * (len(codes) - 1) // 2, np.float32)
        first, second = np.empty(len(found), np.int32), np.empty(len(found), np.int32)
        at = 0
        for row, scores in trials.scores(self._book, granted.permit, granted.scope, codes, cohort):
            place = slice(at, at + len(scores))
            found[place], first[place], second[place] = scores, numbers[row], numbers[row + 1:]
            at += len(scores)
        return Trials(found, np.minimum(first, second), np.maximum(first, second))

    def distances(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compare everything with everything. See `matching.trials.distances`."""
        granted = self._gate.permit(self.digest)
        return trials.distances(self._book, granted.permit, granted.scope, vectors)


def _from_the_middle(box: Box, size: tuple[int, int]) -> float:
    """Return the squared distance, in pixels, of a face's middle from the picture's."""
    return (box.left + box.right + 1 - size[0]) ** 2 + (box.top + box.bottom + 1 - size[1]) ** 2
