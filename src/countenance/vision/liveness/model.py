"""A slot for one more signal: a network of MiniFASNet's layout (minivision, Silent-Face-Anti-Spoofing), as ONNX.

None comes with the program. Such networks are trained on attacks that their makers had; what they were trained on is
mostly not said. So its word counts only against liveness, never for it alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from countenance.errors import ModelFault
from countenance.vision.detect import Box
from countenance.vision.image import Frame
from countenance.vision.session import Session

SIDE = 80
CLASSES = 3
LIVE_CLASS = 1
"""Of the three classes of that layout the middle one is a live face."""

LARGEST_BYTES = 64 << 20


@dataclass(frozen=True)
class Network:
    """One file: how much of the picture around the face it sees, in widths of the face, and its SHA-256."""

    path: Path
    scale: float
    sha256: str


class Minifasnet:
    """One or more such networks, their probabilities averaged; safe for use by several threads."""

    def __init__(self, networks: Sequence[Network]) -> None:
        """Load and check them.

        Raises ModelFault: model-file-missing, model-file-changed, model-graph-unusable, model-shape.
        """
        self._networks = [(one.scale, _loaded(one)) for one in networks]
        if not self._networks:
            raise ModelFault("model-file-missing", "There is no network to tell live faces with.")

    def live(self, frame: Frame, box: Box) -> float:
        """Return the mean probability that the face is live, 0 to 1. Raises ModelFault(model-run-failed)."""
        return float(np.mean([_probability(session, _cut(frame, box, scale)) for scale, session in self._networks]))


def _loaded(one: Network) -> Session:
    try:
        data = one.path.read_bytes() if one.path.stat().st_size <= LARGEST_BYTES else b""
    except OSError:
        raise ModelFault("model-file-missing", f"The model file {one.path.name} cannot be read.") from None
    if hashlib.sha256(data).hexdigest() != one.sha256:
        raise ModelFault("model-file-changed", f"The model file {one.path.name} is not its manifest's.")
    session = Session(data)
    shape, made = session.input_shape, session.output_shapes
    fits = len(shape) == 4 and all(not isinstance(side, int) or side == wanted
                                   for side, wanted in zip(shape, (1, 3, SIDE, SIDE), strict=True))
    if not fits or session.input_kind != "tensor(float)" or len(made) != 1 or made[0][-1] != CLASSES:
        raise ModelFault("model-shape", "This network takes no faces of 80 x 80, or has other than three classes.")
    return session


def _cut(frame: Frame, box: Box, scale: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the face with what is around it, (1, 3, 80, 80), BGR, 0 to 255; moved inside where the picture ends."""
    import cv2

    width, height = frame.size
    scale = min(scale, (width - 1) / box.width, (height - 1) / box.height)
    across, down = box.width * scale, box.height * scale
    left = min(max(0.0, (box.left + box.right) / 2 - across / 2), width - across)
    top = min(max(0.0, (box.top + box.bottom) / 2 - down / 2), height - down)
    part = frame.pixels[int(top):int(top + down) + 1, int(left):int(left + across) + 1, ::-1]
    small = cv2.resize(np.ascontiguousarray(part), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], dtype=np.float32)


def _probability(session: Session, value: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    made = session.run(value).reshape(-1).astype(np.float64)
    if made.size != CLASSES or not np.isfinite(made).all():
        raise ModelFault("model-run-failed", "A model could not be run on this input.")
    grown = np.exp(made - made.max())
    return float(grown[LIVE_CLASS] / grown.sum())
