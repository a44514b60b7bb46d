"""Templates in memory, sealed in blocks, and opened one block at a time into a scratch buffer that is locked.

Each block is AES-256-GCM under a key of its own gallery, which is never written. That keeps templates out of core
files, heap leaks and whatever copies part of this memory; not from code that runs in here, and, as the key
is in the same memory, from swap only together with locking or encrypted swap (process.memory_report).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from countenance import process
from countenance.errors import Refused, StoreFault
from countenance.features import Codes
from countenance.matching.cohort import AnyCohort
from countenance.matching.score import Numbers

BLOCK_BYTES = 2 << 20
"""Large enough for AES and the search to run at full speed, small enough to stay in the cache between the two."""

FLIP = 0x80
"""A code is stored with its top bit flipped (code + 128, unsigned), because that is how faiss reads int8."""

Stored = NDArray[np.uint8]
"""Codes as they are stored: shape (rows, dimension), or flat in a scratch buffer."""

NUMBERS_BYTES = 8
"""Of one template's two numbers (matching/score.py); they stand before the codes of a block, slopes first."""

_NONCE_BYTES = 12
_TAG_BYTES = 16


class Opened(NamedTuple):
    """One block: codes as stored, shape (rows, dimension), and their numbers, shape (2, rows)."""

    rows: Stored
    numbers: Numbers


class Blocks(Protocol):
    """What a search reads. Every block but the last has `block_rows` rows; rows are numbered through, from 0."""

    @property
    def block_rows(self) -> int:
        """Return the rows in a full block."""

    def __len__(self) -> int:
        """Return the number of blocks."""

    def opened(self, number: int, scratch: Stored) -> Opened:
        """Return a block; it may stand in `scratch`, and is good until that is used again.

        Raises StoreFault(gallery-altered).
        """


class Scratch:
    """One block's worth of memory for one thread. `state` says whether it is locked: see `process.lock`."""

    def __init__(self, size: int) -> None:
        """`size` in bytes."""
        own = process.pages(max(1, size))
        self.state = process.lock(own)
        self.bytes: Stored = np.frombuffer(own, np.uint8)

    def wipe(self) -> None:
        """Overwrite all of it with zeros."""
        self.bytes.fill(0)


class SealedBlocks:
    """Codes in sealed blocks; immutable. See `Blocks`."""

    def __init__(self, rows: Iterable[Codes], dimension: int, label: str, cohort: AnyCohort) -> None:
        """Seal `rows`, each of shape (dimension,), with what `cohort` says of them, and wipe each one as it is taken.

        `label` goes into every block's AAD with its number and its size. Raises Refused(pack-other).
        """
        self.block_rows = rows_in_a_block(dimension)
        self.rows = 0
        self._dimension = dimension
        self._label = label
        self._cohort = cohort
        self._aead = AESGCM(AESGCM.generate_key(256))
        self._sealed: list[bytes] = []
        staging = Scratch(self.block_rows * (dimension + NUMBERS_BYTES))
        try:
            self._fill(rows, staging.bytes)
        finally:
            staging.wipe()

    @property
    def largest(self) -> int:
        """Bytes of scratch that opening any of the blocks takes."""
        return max((len(sealed) - _TAG_BYTES for sealed in self._sealed), default=0)

    def __len__(self) -> int:
        return len(self._sealed)

    def opened(self, number: int, scratch: Stored) -> Opened:
        """See `Blocks`. On an error the part of `scratch` that was written is wiped."""
        sealed = self._sealed[number]
        plain = scratch[:len(sealed) - _TAG_BYTES]
        rows = len(plain) // (self._dimension + NUMBERS_BYTES)
        try:
            self._aead.decrypt_into(_nonce(number), sealed, self._aad(number, rows), plain.data)
        except InvalidTag:
            plain.fill(0)  # it holds what came out, unauthenticated
            raise StoreFault("gallery-altered", "The gallery in memory is not as it was sealed.") from None
        return _parts(plain, rows, self._dimension)

    def _fill(self, rows: Iterable[Codes], staging: Stored) -> None:
        codes = staging[self.block_rows * NUMBERS_BYTES:].reshape(self.block_rows, self._dimension)
        filled = 0
        for row in rows:
            require_codes(row, self._dimension)
            codes[filled] = row.view(np.uint8)
            row.fill(0)
            filled += 1
            if filled == self.block_rows:
                self._seal(staging, filled)
                filled = 0
        if filled:
            self._seal(staging[(self.block_rows - filled) * NUMBERS_BYTES:][:filled * (
                self._dimension + NUMBERS_BYTES)], filled)

    def _seal(self, plain: Stored, rows: int) -> None:
        block = _parts(plain, rows, self._dimension)
        block.numbers[:] = self._cohort.numbers(block.rows.view(np.int8))
        np.bitwise_xor(block.rows, FLIP, out=block.rows)
        number = len(self._sealed)
        self._sealed.append(self._aead.encrypt(_nonce(number), plain.data, self._aad(number, rows)))
        self.rows += rows

    def _aad(self, number: int, rows: int) -> bytes:
        return f"{self._label}|{number}|{rows}|{self._dimension}".encode()


def _parts(plain: Stored, rows: int, dimension: int) -> Opened:
    numbers = plain[:rows * NUMBERS_BYTES].view(np.float32).reshape(2, rows)
    return Opened(plain[rows * NUMBERS_BYTES:].reshape(rows, dimension), numbers)


def rows_in_a_block(dimension: int) -> int:
    """Return how many templates of `dimension` codes stand in a full block."""
    return max(1, BLOCK_BYTES // dimension)


def require_codes(codes: Codes, dimension: int) -> None:
    """Raise Refused(pack-other) unless this is one template of `dimension` codes."""
    if codes.dtype != np.int8 or codes.shape != (dimension,):
        raise Refused("pack-other", "These were measured by different models.")


def _nonce(number: int) -> bytes:
    # Unique: the key seals one gallery, which is filled once, and each of its blocks has a number of its own.
    return number.to_bytes(_NONCE_BYTES, "big")
