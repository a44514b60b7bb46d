"""The only place where a face becomes an embedding, and only against a permit (DESIGN 1.1)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput, Refused
from countenance.features import Probe, quantise
from countenance.permits import Door, Kind, Permit, PermitBook, Scope
from countenance.vision.align import CHIP_SIDE

MOST_CAPTURES = 5
"""Of one person, in one enrolment."""

MOST_CHIPS = 64
"""Of one call, for a data set. Everything else embeds one face at a time."""


class Network(Protocol):
    """What makes embeddings of chips: a session, or what prepares a chip for one."""

    def run(self, value: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return (n, dimension) for chips uint8 (n, side, side, 3) RGB. Raises ModelFault."""


class Embedder:
    """Makes embeddings; safe for use by several threads. Its session cannot be reached from outside.

    Embeddings are compared by Euclidean distance: lower is closer.
    """

    __slots__ = ("__mirrored", "__normalised", "__pack", "__run", "__side", "__step")

    def __init__(self, network: Network, pack: str, step: float, *, mirrored: bool = False, normalised: bool = False,
                 side: int = CHIP_SIDE) -> None:
        """`mirrored`: an embedding is the mean of the chip's own and of the mirrored chip's. `normalised`: it is made
        one long after that. `side`: of a chip, in pixels.
        """
        self.__run = network.run
        self.__mirrored = mirrored
        self.__normalised = normalised
        self.__side = side
        self.__pack = pack
        self.__step = step

    def embed(self, book: PermitBook, permit: Permit, scope: Scope, chip: NDArray[np.uint8]) -> Probe:
        """Spend `permit` at EMBED for `scope`, then return the probe of one face.

        `chip`: uint8 (side, side, 3) RGB, aligned. Raises Refused (see PermitBook.spend) before anything
        is looked at, BadInput(chip-unusable, score-not-finite), ModelFault.
        """
        book.spend(permit, Door.EMBED, scope)
        measured = self.__measured(_batch(chip[None], 1, self.__side))[0]
        return Probe(quantise(measured, self.__step), self.__pack, permit, self.__step)

    def embed_several(
        self, book: PermitBook, permit: Permit, scope: Scope, chips: list[NDArray[np.uint8]]
    ) -> Probe:
        """As `embed`, of up to five captures of one person: the mean of their embeddings, for enrolment only.

        That they are of one person is not asked: asking would be a comparison that nobody agreed to. Raises as `embed`,
        and Refused(permit-door) for any other kind than ENROL.
        """
        book.spend(permit, Door.EMBED, scope)
        if scope.kind is not Kind.ENROL:
            raise Refused("permit-door", "This kind of permit does not open this door.")
        if not 0 < len(chips) <= MOST_CAPTURES or len({chip.shape for chip in chips}) != 1:
            raise BadInput("chip-unusable", f"An enrolment takes one to {MOST_CAPTURES} captures of one size.")
        mean: NDArray[np.float32] = self.__measured(_batch(np.stack(chips), MOST_CAPTURES, self.__side)).mean(axis=0)
        fused = self.__unit(mean[None])[0] if self.__normalised else mean
        return Probe(quantise(fused, self.__step), self.__pack, permit, self.__step)

    def embed_dataset(
        self, book: PermitBook, permit: Permit, scope: Scope, chips: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Spend a DATASET permit at EMBED, then return the embeddings of many faces, float32 (n, dimension).

        `chips`: uint8 (n, side, side, 3) RGB, aligned, n up to 64. Raises Refused (see PermitBook.spend;
        permit-door for another kind), BadInput(chip-unusable), ModelFault.
        """
        book.spend(permit, Door.EMBED, scope)
        if scope.kind is not Kind.DATASET:
            raise Refused("permit-door", "This kind of permit does not open this door.")
        return self.__measured(_batch(chips, MOST_CHIPS, self.__side))

    def embed_pattern(self) -> NDArray[np.float32]:
        """Return the embedding, (dimension,), of the fixed pattern below, before it is made one long: to check a model.

        The pattern is nobody's face.
        """
        made: NDArray[np.float32] = self.__averaged(pattern(self.__side, self.__side)[None])[0]
        return made

    def __measured(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        made = self.__averaged(chips)
        return self.__unit(made) if self.__normalised else made

    @staticmethod
    def __unit(made: NDArray[np.float32]) -> NDArray[np.float32]:
        lengths = np.linalg.norm(made.astype(np.float64), axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise BadInput("score-not-finite", "This capture could not be measured.")
        unit: NDArray[np.float32] = (made / lengths).astype(np.float32)
        return unit

    def __averaged(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not self.__mirrored:
            return self.__run(chips)
        both = np.concatenate([chips, chips[:, :, ::-1]])
        try:
            measured = self.__run(both)
        finally:
            both.fill(0)  # a copy that nobody else wipes
        mean: NDArray[np.float32] = (measured[:len(chips)] + measured[len(chips):]) / np.float32(2)
        return mean


def _batch(chips: NDArray[np.uint8], most: int, side: int) -> NDArray[np.uint8]:
    shaped = chips.dtype == np.uint8 and chips.shape[1:] == (side, side, 3)
    if not shaped or not 0 < len(chips) <= most:
        raise BadInput("chip-unusable", f"A chip must be {side} x {side} RGB bytes.")
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
