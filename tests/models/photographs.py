"""Photographs for the tests of models: the shared data where it is, and two portraits in the public domain.

Faces of the shared data are embedded only to compare our number with dlib's for the same chip; never
with each other's.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from countenance.clock import SystemClock
from countenance.permits import PermitBook, dataset_scope
from countenance.vision.image import Frame, decode
from countenance.vision.pack_runtime import FacePack

REPOSITORY = Path(__file__).resolve().parents[2]
EVERYTHING = os.environ.get("COUNTENANCE_TEST_ALL") == "1"
"""Also the whole of LFW, some minutes long."""


def shared(folder: str, at_least: int) -> list[Path]:
    """Return a folder's pictures, sorted; skips where there is no shared data, fails where there is too little."""
    root = Path(os.environ.get("COUNTENANCE_TEST_DATA", REPOSITORY / "../shared/data"))
    if not root.is_dir():
        pytest.skip("no test data: COUNTENANCE_TEST_DATA names no folder")
    found = sorted(path for path in (root / folder).rglob("*") if path.suffix in {".jpg", ".png"})
    assert len(found) >= at_least, f"{folder} holds {len(found)} pictures, expected {at_least}"
    return found


def portraits() -> list[Path]:
    """Return the two portraits that ship inside scikit-image and matplotlib, neither being imported."""
    wanted = [("skimage", "data/astronaut.png"), ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")]
    found = []
    for package, path in wanted:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            pytest.skip(f"no portrait: {package} is not installed")
        found.append(Path(spec.origin).parent / path)
    return found


def frame(path: Path) -> Frame:
    """Decode a picture as the program does."""
    return decode(path.read_bytes())


def shrunk(path: Path, longest: int) -> Frame:
    """Decode a picture and make its longer side at most `longest` pixels."""
    pixels = frame(path).pixels
    scale = min(1.0, longest / max(pixels.shape[:2]))
    return Frame(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8))


def embed(pack: FacePack, chips: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Embed chips under permits for a data set, which open no venue."""
    book = PermitBook(SystemClock())
    issue, scope = book.appoint(), dataset_scope("tests/models")
    blocks = [np.stack(chips[i : i + 16]) for i in range(0, len(chips), 16)]
    return np.concatenate([pack.embed_dataset(book, issue(scope), scope, block) for block in blocks])
