"""What a comparison is made of: a probe and a reference (ISO/IEC 2382-37), each under a permit.

Both are biometric data, as good as a photograph. Both live in memory for one story and are wiped; neither
is ever written, logged or sent, and their text form shows nothing.

Both are held as int8 codes: an embedding divided by the model pack's fixed step and rounded. A distance between
codes is a whole number, the same on every machine, in a pass, in the store and in a gallery
(docs/decisions/0009).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput, Refused
from countenance.permits import Permit

Vector = NDArray[np.float32]
"""One embedding: shape (dimension,), float32, contiguous; 128 numbers for the default pack."""

Codes = NDArray[np.int8]
"""One embedding in steps: shape (dimension,), int8, -127 to 127."""

_HIGHEST = 127


def quantise(vector: Vector, step: float) -> Codes:
    """Return round(vector / step), cut off at 127 either way. `step` is the model pack's.

    Raises BadInput(score-not-finite): what is not a number must not compare as near or far.
    """
    if not np.isfinite(vector).all():
        raise BadInput("score-not-finite", "This capture could not be measured.")
    codes: Codes = np.clip(np.rint(vector / step), -_HIGHEST, _HIGHEST).astype(np.int8)
    return codes


@dataclass(frozen=True, eq=False, repr=False)
class _Feature:
    codes: Codes
    pack: str
    permit: Permit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Overwrite the codes with zeros."""
        self.codes.fill(0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()}>"

    def __reduce__(self) -> NoReturn:
        raise Refused("feature-copied", "A face's features cannot be copied, stored or sent.")


@dataclass(frozen=True, eq=False, repr=False)
class Probe(_Feature):
    """The embedding of the face in front of the camera; `step` is what one code is worth. Made by `vision` only."""

    step: float


class Reference(_Feature):
    """A person's stored template, opened. Made by the vault only."""
