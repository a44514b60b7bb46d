"""What CompreFace's clients send beside a picture, bounded; and how its errors look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from countenance.errors import BadInput, CountenanceError
from countenance.server.codes import BY_CLASS, STATUS

MOST_FACES = 10
_MOST = 1_000_000
_LONGEST = 400

NO_FACE, SEVERAL = "No face is found in the given image", "More than one face in the source image"

_THEIRS: dict[str, tuple[int, int, str]] = {  # code here: their status, their number, their words
    "no-face": (400, 28, NO_FACE), "face-too-small": (400, 28, NO_FACE), "face-cut-off": (400, 28, NO_FACE),
    "face-unusable": (400, 28, NO_FACE), "several-faces": (400, 31, SEVERAL),
    "file-missing": (400, 34, ""), "option-invalid": (400, 36, ""),
    "subject-unknown": (404, 42, ""), "subject-taken": (400, 43, ""), "face-unknown": (404, 44, ""),
}
_OURS = {"subject-missing": 400, "plugin-refused": 400, "comparison-refused": 403, "embedding-refused": 403,
         "picture-none": 404, "key-collection": 403, "person-has-pass": 400, "reference-text": 400,
         "reference-taken": 400, "reference-missing": 400}


@dataclass(frozen=True)
class Options:
    """How many faces and names are wanted at most, whether versions and landmarks are; the rest is without effect."""

    limit: int
    predictions: int
    versions: bool
    landmarks: bool


def read(query: Mapping[str, str]) -> Options:
    """Read the options of a request; unknown ones are passed over. Raises BadInput(option-invalid, plugin-refused)."""
    limit = _whole(query, "limit", 0)
    _share(query, "det_prob_threshold")
    plugins = {one.strip() for one in _text(query, "face_plugins").split(",")} - {""}
    if plugins - {"landmarks"}:
        raise BadInput("plugin-refused", "Nothing is inferred about a face, and no embedding leaves.")
    return Options(min(limit or MOST_FACES, MOST_FACES), _whole(query, "prediction_count", 1),
                   _text(query, "status").lower() == "true", "landmarks" in plugins)


def page(query: Mapping[str, str]) -> tuple[int | None, int]:
    """Return the page and its size; no page where neither is asked for. Raises BadInput(option-invalid)."""
    asked = "page" in query or "size" in query
    return (_whole(query, "page", 0) if asked else None), max(1, min(_whole(query, "size", 20), 10_000))


def error(fault: CountenanceError) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error: CompreFace's number where it has one for this, our own code elsewhere."""
    if fault.code in _THEIRS:
        status, number, words = _THEIRS[fault.code]
        return status, {"message": words or fault.sentence, "code": number}
    if fault.code.startswith("image-"):
        return 400, {"message": fault.sentence, "code": 21}
    by_class = next((BY_CLASS[kind.__name__] for kind in type(fault).__mro__ if kind.__name__ in BY_CLASS), 500)
    return _OURS.get(fault.code) or STATUS.get(fault.code) or by_class, {
        "message": fault.sentence, "code": fault.code}


def _text(query: Mapping[str, str], name: str) -> str:
    text = query.get(name, "")
    if len(text) > _LONGEST:
        raise _invalid(name)
    return text


def _whole(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = _text(query, name)
    if not text:
        return otherwise
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_MOST)) or int(text) > _MOST:
        raise _invalid(name)
    return int(text)


def _share(query: Mapping[str, str], name: str) -> None:
    try:
        value = float(_text(query, name) or 0)
    except ValueError:
        raise _invalid(name) from None
    if not math.isfinite(value) or not 0 <= value <= 1:
        raise _invalid(name)


def _invalid(name: str) -> BadInput:
    return BadInput("option-invalid", f"{name} is not in its range.")
