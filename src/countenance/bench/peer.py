"""The library `face_recognition`, for comparison: the same JPEG's bytes to its answer, as its examples do it.

It has no consent and no permits, so it never meets anybody's template here: it compares the portrait, which
is in the public domain, with vectors of nobody (vision.synthetic) and with nothing else. It loads a 68-point
model whose licence forbids commercial use; no other part of this program does.
"""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput, ModelFault

NAME = "face_recognition"
TOLERANCE = 0.6  # the library's default distance
CNN_ROUNDS = 3  # its CNN takes seconds for one picture

_NEEDS = (NAME, "dlib", "pkg_resources", "face_recognition_models")


@dataclass(frozen=True)
class Way:
    """One way to use the library. `decide` takes a JPEG's bytes; `group` and `model` say where it is reported."""

    group: str
    model: str
    most_rounds: int
    decide: Callable[[bytes], None]


class Peer:
    """The library, loaded, with as many vectors to compare with as our gallery holds."""

    def __init__(self, library: Any, known: NDArray[np.float32], shrink: float) -> None:
        """`shrink`: the size of our detector's working image relative to the picture."""
        self._library = library
        # float64 as the library makes them itself; it would otherwise convert 10,000 vectors each time
        self._known = known.astype(np.float64)
        self._shrink = shrink

    def ways(self, rounds: int) -> list[Way]:
        """Return its HOG and CNN detectors, each at its defaults and at our detector's resolution."""
        few = min(rounds, CNN_ROUNDS)
        return [Way(group, model, most, partial(decide, model))
                for model, most in (("hog", rounds), ("cnn", few))
                for group, decide in (("against", self._as_shipped), ("same_resolution", self._as_small))]

    def _as_shipped(self, model: str, jpeg: bytes) -> None:
        """At its defaults: it doubles the picture once, and so finds faces far smaller than we look for."""
        picture = self._library.load_image_file(io.BytesIO(jpeg))
        self._recognise(picture, self._library.face_locations(picture, model=model))

    def _as_small(self, model: str, jpeg: bytes) -> None:
        """Detect in the very image size that our detector works at, then measure in the full picture, as we do.

        Its detectors' window is 80 pixels too, so that without doubling it looks for faces of our size.
        """
        picture = self._library.load_image_file(io.BytesIO(jpeg))
        small = cv2.resize(picture, None, fx=self._shrink, fy=self._shrink, interpolation=cv2.INTER_AREA)
        boxes = self._library.face_locations(small, number_of_times_to_upsample=0, model=model)
        self._recognise(picture, [tuple(round(side / self._shrink) for side in box) for box in boxes])

    def _recognise(self, picture: Any, boxes: list[Any]) -> None:
        if len(boxes) != 1:
            raise ModelFault("bench-peer-missed", f"{NAME} did not find exactly one face, so it is not timed.")
        (vector,) = self._library.face_encodings(picture, boxes)
        distances = self._library.face_distance(self._known, vector)
        _answer = bool(distances[int(np.argmin(distances))] <= TOLERANCE)  # its answer is not our concern


def require(name: str) -> None:
    """Raise BadInput unless `name` is a library that this can compare with, and is installed.

    Codes: bench-peer-unknown, bench-peer-missing.
    """
    if name != NAME:
        raise BadInput("bench-peer-unknown", f"There is nothing to compare with but {NAME}.")
    if any(find_spec(needed) is None for needed in _NEEDS):  # it ends the process itself when one is missing
        _missing()


def load(known: NDArray[np.float32], shrink: float) -> Peer:
    """Import the library (about a second). Raises BadInput(bench-peer-missing)."""
    require(NAME)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources is deprecated, and says so
            return Peer(importlib.import_module(NAME), known, shrink)
    except (ImportError, SystemExit):
        _missing()


def _missing() -> NoReturn:
    raise BadInput("bench-peer-missing", f"{NAME} is not installed: pip install 'countenance[bench]' && "
                                         f"pip install --no-deps {NAME}")
