"""A gallery in memory, sealed there too: opened a block at a time into scratch buffers (DESIGN 3).

Exact: every row that could have a score within the threshold is scored, and of rows equally near the lowest wins.
A score is the very number that `matching.score` gives for the same two templates.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from countenance.features import Codes
from countenance.matching.cohort import AnyCohort
from countenance.matching.embedded import kernel, search
from countenance.matching.embedded.blocks import Scratch, SealedBlocks, require_codes
from countenance.matching.embedded.kernel import Wanted
from countenance.matching.matcher import Nearest
from countenance.process import LOCKED
from countenance.quantities import PurposeId, Score

ANY = Score(float("inf"))
"""The threshold that every row is within: the nearest is told, however far."""


class SealedGallery:
    """An `Index` over templates of shape (dimension,). Rows are numbered in the order given, from 0.

    Immutable: a change of the gallery makes a new one. `nearest` may be called by several threads; they take turns.
    """

    def __init__(
        self, rows: Iterable[Codes], dimension: int, cohort: AnyCohort, purpose: PurposeId, generation: int
    ) -> None:
        """Seal `rows`, wiping each as it is taken, with the two numbers of each (matching/score.py).

        Raises Refused(pack-other).
        """
        self._dimension = dimension
        self._cohort = cohort
        self._purpose = purpose
        self._generation = generation
        self._lock = threading.Lock()
        self._blocks = SealedBlocks(rows, dimension, f"{cohort.identity}|{purpose}|{generation}", cohort)
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
        return self._cohort.pack

    @property
    def cohort(self) -> str:
        """See `matcher.Index`."""
        return self._cohort.identity

    @property
    def memory(self) -> str:
        """Return whether what a search opens can be swapped out: `process.LOCKED`, or why it could not be locked."""
        return next((one.state for one in self._scratches if one.state != LOCKED), LOCKED)

    def __len__(self) -> int:
        return self._blocks.rows

    def nearest(self, codes: Codes, within: Score = ANY) -> Nearest | None:
        """See `matcher.Index`. Takes about 0.2 ms for each block of 2 MiB; the scratches are wiped, also on an error.

        Raises Refused(pack-other), StoreFault(gallery-altered).
        """
        require_codes(codes, self._dimension)
        wanted = Wanted(codes, self._cohort.numbers(codes), within)
        with self._lock:
            found = search.nearest(self._blocks, wanted, self._scratches)
        return None if found is None else Nearest(found.row, Score(found.score))
