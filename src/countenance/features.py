"""What a comparison is made of: a probe and a reference (ISO/IEC 2382-37), each under a permit.

Both are biometric data, as good as a photograph. Both live in memory for one story and are wiped; neither
is ever written, logged or sent, and their text form shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from countenance.errors import Refused
from countenance.permits import Permit

Vector = NDArray[np.float32]
"""One embedding: shape (dimension,), float32, contiguous; 128 numbers for the default pack."""


@dataclass(frozen=True, eq=False, repr=False)
class _Feature:
    vector: Vector
    pack: str
    permit: Permit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Overwrite the vector with zeros."""
        self.vector.fill(0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()}>"

    def __reduce__(self) -> NoReturn:
        raise Refused("feature-copied", "A face's features cannot be copied, stored or sent.")


class Probe(_Feature):
    """The embedding of the face in front of the camera. Made by `vision.embed` only."""


class Reference(_Feature):
    """A person's stored template, opened. Made by the vault only."""
