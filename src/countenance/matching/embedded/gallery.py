"""A gallery in memory, sealed there too: opened a block at a time into scratch buffers (DESIGN 3).

Exact: every row is measured, in whole numbers of the pack's step, and of rows equally near the lowest wins.
A distance is the very number that `matching.score` gives for the same two templates.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable

from countenance.features import Codes
from countenance.matching.embedded import kernel, search
from countenance.matching.embedded.blocks import Scratch, SealedBlocks, require_codes
from countenance.matching.matcher import Nearest
from countenance.process import LOCKED
from countenance.quantities import Distance, PurposeId


class SealedGallery:
    """An `Index` over templates of shape (dimension,). Rows are numbered in the order given, from 0.

    Immutable: a change of the gallery makes a new one. `nearest` may be called by several threads; they take turns.
    """

    def __init__(
        self, rows: Iterable[Codes], dimension: int, step: float, pack: str, purpose: PurposeId, generation: int
    ) -> None:
        """Seal `rows`, wiping each as it is taken. `step`: what one code is worth. Raises Refused(pack-other)."""
        self._dimension = dimension
        self._step = step
        self._pack = pack
        self._purpose = purpose
        self._generation = generation
        self._lock = threading.Lock()
        self._blocks = SealedBlocks(rows, dimension, f"{pack}|{purpose}|{generation}")
        threads = search.useful_threads(len(self._blocks), kernel.threads())
        self._scratches = [Scratch(self._blocks.largest) for _ in range(threads)]

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

    @property
    def memory(self) -> str:
        """Return whether what a search opens can be swapped out: `process.LOCKED`, or why it could not be locked."""
        return next((one.state for one in self._scratches if one.state != LOCKED), LOCKED)

    def __len__(self) -> int:
        return self._blocks.rows

    def nearest(self, codes: Codes) -> Nearest | None:
        """See `matcher.Index`. Takes about 0.2 ms for each block of 2 MiB; the scratches are wiped, also on an error.

        Raises Refused(pack-other), StoreFault(gallery-altered).
        """
        require_codes(codes, self._dimension)
        with self._lock:
            found = search.nearest(self._blocks, codes, self._scratches)
        return None if found is None else Nearest(found.row, Distance(math.sqrt(found.squared) * self._step))
