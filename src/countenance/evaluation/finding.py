"""How many faces a detector finds: by the positions of noses in labelled photographs. Nothing of a face is measured."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from countenance.errors import BadInput
from countenance.evaluation import rates
from countenance.vision import image
from countenance.vision.detect import Detection
from countenance.vision.image import Frame

Nose = tuple[float, float]
_LEAST_SHARE = 25
"""Faces under a 25th of a picture's longer side are not looked for: a portrait of 40 megapixels has none so small."""


class Finds(Protocol):
    """A detector, or a pack."""

    def detect(self, frame: Frame, smallest_face_px: float, /) -> list[Detection]:
        """Return the faces of at least that width."""


def listed(file: Path) -> dict[str, list[Nose]]:
    """Return noses by image, from a CSV file with the columns image, nose_x, nose_y, in pixels.

    Raises BadInput(dataset-noses).
    """
    found: dict[str, list[Nose]] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            for row in csv.DictReader(text):
                found.setdefault(row["image"], []).append((float(row["nose_x"]), float(row["nose_y"])))
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError):
        found = {}
    if not found:
        raise BadInput("dataset-noses", "A list of noses needs the columns image, nose_x and nose_y, in pixels.")
    return found


def run(folder: Path, noses: dict[str, list[Nose]], detector: Finds, smallest_face_px: float,
        progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Return how many noses lie in a face that was found (recall), and how many faces hold none.

    A nose counts once, and so does a face. Raises BadInput(dataset-noses) for an image that is not there.
    """
    missed: list[str] = []
    wanted = elsewhere = 0
    for done, (name, here) in enumerate(sorted(noses.items())):
        path = folder / name
        if not path.is_file() or path.resolve().parent != folder.resolve():
            raise BadInput("dataset-noses", "The list of noses names an image that is not in this folder.")
        frame = image.decode(path.read_bytes())
        faces = detector.detect(frame, max(smallest_face_px, max(frame.size) / _LEAST_SHARE))
        frame.wipe()
        wanted += len(here)
        for nose in here:
            face = next((one for one in faces if holds(one, nose)), None)
            if face is None:
                missed.append(f"{name} at {nose[0]:g}, {nose[1]:g}")
            else:
                faces.remove(face)
        elsewhere += len(faces)
        progress(done + 1, len(noses))
    recall = rates.wilson(wanted - len(missed), wanted)
    return {"photographs": len(noses), "noses": wanted, "found": wanted - len(missed), "recall": recall.value,
            "recall_interval": [recall.low, recall.high], "missed": missed, "faces_without_a_nose": elsewhere}


def holds(face: Detection, nose: Nose) -> bool:
    """Tell whether a nose lies in a face's box, its edge included."""
    return face.box.left <= nose[0] <= face.box.right and face.box.top <= nose[1] <= face.box.bottom
