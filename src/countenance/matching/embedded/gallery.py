"""A gallery in memory, sealed there too: opened a block at a time into one scratch buffer (DESIGN 3).

Each block is AES-256-GCM under a key of this process that is never written. It protects against swap, core
dumps and heap leaks, not against code that runs in here. Faiss searches the scratch in place, exactly,
in float32; the best over the blocks is the answer.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Iterator
from itertools import islice

import faiss
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from countenance.features import Vector
from countenance.matching import score
from countenance.matching.matcher import Nearest
from countenance.quantities import Distance, PurposeId

BLOCK_ROWS = 4_096
"""With 128 float32 a block is 2 MiB: large enough for AES at full speed, small enough for the cache."""

_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealedGallery:
    """An `Index` over vectors of shape (dimension,). Rows are numbered in the order given, from 0.

    Immutable: a change of the gallery makes a new one. `nearest` may be called by several threads;
    they take turns at the scratch.
    """

    def __init__(
        self, vectors: Iterable[Vector], dimension: int, pack: str, purpose: PurposeId, generation: int
    ) -> None:
        self._dimension = dimension
        self._pack = pack
        self._purpose = purpose
        self._generation = generation
        self._aead = AESGCM(AESGCM.generate_key(256))
        self._lock = threading.Lock()
        self._index = faiss.IndexFlatL2(dimension)
        self._index.codes.resize(BLOCK_ROWS * dimension * 4)
        self._scratch: NDArray[np.uint8] = faiss.rev_swig_ptr(
            self._index.codes.data(), BLOCK_ROWS * dimension * 4)
        self._blocks: list[tuple[int, bytes]] = []
        with self._lock:
            self._fill(iter(vectors))

    @property
    def generation(self) -> int:
        """See `matcher.Index`."""
        return self._generation

    @property
    def purpose(self) -> PurposeId:
        """See `matcher.Index`."""
        return self._purpose

    @property
    def pack(self) -> str:
        """See `matcher.Index`."""
        return self._pack

    def __len__(self) -> int:
        return sum(rows for rows, _ in self._blocks)

    def nearest(self, vector: Vector) -> Nearest | None:
        """See `matcher.Index`. Takes about 0.1 ms for each block; the scratch is wiped, also on an error."""
        query = np.ascontiguousarray(vector, dtype=np.float32)[None]
        best: Nearest | None = None
        with self._lock:
            try:
                for number, (rows, sealed) in enumerate(self._blocks):
                    found = self._in_block(number, rows, sealed, query)
                    if best is None or found.distance < best.distance:
                        best = found
            finally:
                self._scratch.fill(0)
        return best

    def _in_block(self, number: int, rows: int, sealed: bytes, query: NDArray[np.float32]) -> Nearest:
        length = rows * self._dimension * 4
        self._aead.decrypt_into(
            sealed[:_NONCE_BYTES], memoryview(sealed)[_NONCE_BYTES:], self._aad(number),
            self._scratch[:length].data)
        self._index.ntotal = rows
        squared, row = self._index.search(query, 1)
        # faiss expands the square, so a tiny negative number may stand for zero; NaN must not
        distance = score.finite(float(squared[0, 0])) if row[0, 0] >= 0 else score.finite(math.nan)
        return Nearest(number * BLOCK_ROWS + int(row[0, 0]), Distance(max(0.0, distance) ** 0.5))

    def _fill(self, vectors: Iterator[Vector]) -> None:
        try:
            while chunk := list(islice(vectors, BLOCK_ROWS)):
                block = np.stack(chunk).astype(np.float32, copy=False)
                nonce = os.urandom(_NONCE_BYTES)
                sealed = self._aead.encrypt(nonce, block.tobytes(), self._aad(len(self._blocks)))
                self._blocks.append((len(chunk), nonce + sealed))
                block.fill(0)
                for vector in chunk:
                    vector.fill(0)
        finally:
            self._scratch.fill(0)

    def _aad(self, number: int) -> bytes:
        return f"{self._pack}|{self._generation}|{number}".encode()
