"""The only place where a face becomes an embedding, and only against a permit (DESIGN 1.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput, Refused
from countenance.features import Probe, quantise
from countenance.permits import Door, Kind, Permit, PermitBook, Scope
from countenance.vision.align import CHIP_SIDE
from countenance.vision.session import Session

MOST_CHIPS = 64
"""Of one call, for a data set. Everything else embeds one face at a time."""


class Embedder:
    """Makes embeddings; safe for use by several threads. Its session cannot be reached from outside.

    Embeddings are compared by Euclidean distance: lower is closer.
    """

    __slots__ = ("__mirrored", "__pack", "__run", "__step")

    def __init__(self, session: Session, pack: str, step: float, *, mirrored: bool = False) -> None:
        """`mirrored`: an embedding is the mean of the chip's own and of the mirrored chip's."""
        self.__run = session.run
        self.__mirrored = mirrored
        self.__pack = pack
        self.__step = step

    def embed(self, book: PermitBook, permit: Permit, scope: Scope, chip: NDArray[np.uint8]) -> Probe:
        """Spend `permit` at EMBED for `scope`, then return the probe of one face.

        `chip`: uint8 (150, 150, 3) RGB, aligned. Raises Refused (see PermitBook.spend) before anything
        is looked at, BadInput(chip-unusable, score-not-finite), ModelFault.
        """
        book.spend(permit, Door.EMBED, scope)
        measured = self.__measured(_batch(chip[None], most=1))[0]
        return Probe(quantise(measured, self.__step), self.__pack, permit, self.__step)

    def embed_dataset(
        self, book: PermitBook, permit: Permit, scope: Scope, chips: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Spend a DATASET permit at EMBED, then return the embeddings of many faces, float32 (n, 128).

        `chips`: uint8 (n, 150, 150, 3) RGB, aligned, n up to 64. Raises Refused (see PermitBook.spend;
        permit-door for another kind), BadInput(chip-unusable), ModelFault.
        """
        book.spend(permit, Door.EMBED, scope)
        if scope.kind is not Kind.DATASET:
            raise Refused("permit-door", "This kind of permit does not open this door.")
        return self.__measured(_batch(chips, most=MOST_CHIPS))

    def embed_pattern(self) -> NDArray[np.float32]:
        """Return the embedding, (128,), of the fixed pattern below: nobody's face, to check the model."""
        made: NDArray[np.float32] = self.__measured(pattern(CHIP_SIDE, CHIP_SIDE)[None])[0]
        return made

    def __measured(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not self.__mirrored:
            return self.__run(chips)
        both = np.concatenate([chips, chips[:, :, ::-1]])
        try:
            measured = self.__run(both)
        finally:
            both.fill(0)  # a copy that nobody else wipes
        mean: NDArray[np.float32] = (measured[:len(chips)] + measured[len(chips):]) / np.float32(2)
        return mean


def _batch(chips: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    shaped = chips.dtype == np.uint8 and chips.shape[1:] == (CHIP_SIDE, CHIP_SIDE, 3)
    if not shaped or not 0 < len(chips) <= most:
        raise BadInput("chip-unusable", "A chip must be 150 x 150 RGB bytes.")
    return np.ascontiguousarray(chips)


def pattern(width: int, height: int) -> NDArray[np.uint8]:
    """Return a face drawn by formula, uint8 (height, width, 3) RGB; a photograph of nobody."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = (x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1
    tone = 90 + 40 * x + 20 * y  # a slanted light over everything
    tone = np.where((x / 0.72) ** 2 + (y / 0.9) ** 2 < 1, 190 - 50 * x * x - 30 * (y - 0.1) ** 2, tone)
    for side in (-0.32, 0.32):
        tone = np.where(((x - side) / 0.2) ** 2 + ((y + 0.22) / 0.09) ** 2 < 1, 235, tone)
        tone = np.where((x - side) ** 2 + (y + 0.22) ** 2 < 0.08**2, 30, tone)
        tone = np.where((np.abs(x - side) < 0.24) & (np.abs(y + 0.42) < 0.035), 60, tone)
    tone = np.where((np.abs(x) < 0.05 + 0.1 * (y + 0.2)) & (y > -0.2) & (y < 0.2), 160, tone)
    tone = np.where((np.abs(x) < 0.14) & (np.abs(y - 0.2) < 0.03), 110, tone)
    tone = np.where((x / 0.3) ** 2 + ((y - 0.48) / 0.08) ** 2 < 1, 100, tone)
    rgb = np.stack([tone + 10, tone - 8, tone - 22], axis=2)
    return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)
