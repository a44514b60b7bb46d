"""Two portraits in the public domain, as a camera at a gate would see them, and later captures made from them.

They ship inside scikit-image (Eileen Collins, by NASA) and matplotlib (Grace Hopper, by the U.S. Navy); the
files are found without importing either package.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault

WIDTH, HEIGHT = 640, 480

# package, path inside it, and the part that a gate's camera would show: left, top, right, bottom
_WHERE = {
    "collins": ("skimage", "data/astronaut.png", (73, 17, 355, 228)),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", (0, 33, 512, 417)),
}


def path(name: str) -> Path:
    """Return where a portrait lies. Raises ModelFault(portrait-missing)."""
    package, inside, _ = _WHERE[name]
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        if (Path(folder) / inside).is_file():
            return Path(folder) / inside
    raise ModelFault("portrait-missing", f"The demo needs the package {package}: install countenance[demo].")


def at_gate(name: str) -> NDArray[np.uint8]:
    """Return a portrait as one camera picture, (480, 640, 3) uint8 BGR, its face about 220 pixels across."""
    left, top, right, bottom = _WHERE[name][2]
    whole = cv2.imread(str(path(name)), cv2.IMREAD_COLOR)
    if whole is None:
        raise ModelFault("portrait-missing", "A portrait of the demo cannot be read.")
    part = whole[top:bottom, left:right]
    return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def jpeg(picture: NDArray[np.uint8], quality: int = 92) -> bytes:
    """Return the bytes that a camera would send."""
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


def later(picture: NDArray[np.uint8]) -> dict[str, bytes]:
    """Return later captures of the same person, made from one picture: what each is, and its JPEG bytes."""
    middle = (WIDTH / 2, HEIGHT / 2)

    def moved(degrees: float, scale: float) -> NDArray[np.uint8]:
        matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
        return np.asarray(cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE),
                          dtype=np.uint8)

    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.0), dtype=np.uint8)
    return {
        "closer by a tenth": jpeg(moved(0, 1.1)),
        "turned by 5 degrees": jpeg(moved(5, 1.0)),
        "darker by 40%": jpeg((picture * 0.6).astype(np.uint8)),
        "blurred": jpeg(blurred),
        "JPEG at quality 60": jpeg(picture, 60),
    }
