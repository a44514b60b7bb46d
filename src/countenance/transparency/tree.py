"""The tree over a log in the store: roots and proofs, from its kept tiles and its newest events (RFC 6962 2.1)."""

from __future__ import annotations

from sqlalchemy import Connection

from countenance.errors import BadInput
from countenance.formats import merkle, tiles
from countenance.storage import sequence


class Tree:
    """One log as one transaction sees it. A root or a proof reads a few tiles; each is read once.

    Raises StoreFault(log-missing, log-damaged).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.head = sequence.head(connection)
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    @property
    def size(self) -> int:
        """Return how many entries there are."""
        return self.head.size

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` entries."""
        return self._over(0, size) if size else merkle.EMPTY

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that entry `index` is in the tree of `size`, lowest first. Raises BadInput(log-size)."""
        self._within(index, size)
        self._within(index + 1, size)
        return tuple(self._path(index, 0, size))

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `old` is the beginning of that of `size`. Raises BadInput(log-size)."""
        self._within(old, size)
        if old in (0, size):
            return ()
        return tuple(self._subproof(old, 0, size, whole=True))

    def hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """Return the first `width` hashes of a tile."""
        kept = self._tiles.get((level, number), [])
        if len(kept) < width:
            kept = self._tiles[level, number] = sequence.hashes(self._connection, self.head, level, number, width)
        return kept[:width]

    def kept(self, level: int, number: int, width: int = tiles.WIDTH) -> list[bytes]:
        """Return a tile as it is kept, not remembered: whoever goes through all of them needs no memory for it."""
        return sequence.hashes(self._connection, self.head, level, number, width)

    def entries(self, low: int, high: int) -> list[bytes]:
        """Return entries `low` to `high` (not included)."""
        return sequence.entries(self._connection, self.head, low, high)

    def _within(self, low: int, size: int) -> None:
        if not 0 <= low <= size <= self.size:
            raise BadInput("log-size", "The log has no such entry.")

    def _path(self, index: int, low: int, high: int) -> list[bytes]:
        if high - low == 1:
            return []
        middle = low + _split(high - low)
        if index < middle:
            return [*self._path(index, low, middle), self._over(middle, high)]
        return [*self._path(index, middle, high), self._over(low, middle)]

    def _subproof(self, old: int, low: int, high: int, *, whole: bool) -> list[bytes]:
        if old == high:
            return [] if whole else [self._over(low, high)]
        middle = low + _split(high - low)
        if old <= middle:
            return [*self._subproof(old, low, middle, whole=whole), self._over(middle, high)]
        return [*self._subproof(old, middle, high, whole=False), self._over(low, middle)]

    def _over(self, low: int, high: int) -> bytes:
        """Return the root over the entries `low` to `high`; `low` is a multiple of the power of two that covers it."""
        length = high - low
        if length & (length - 1):
            middle = low + _split(length)
            return merkle.node_hash(self._over(low, middle), self._over(middle, high))
        level, inside = divmod(length.bit_length() - 1, tiles.HEIGHT)
        number, start = divmod(low >> (level * tiles.HEIGHT), tiles.WIDTH)
        return merkle.root(self.hashes(level, number, self._width(level, number))[start:start + (1 << inside)])

    def _width(self, level: int, number: int) -> int:
        return min(tiles.WIDTH, (self.size >> (level * tiles.HEIGHT)) - number * tiles.WIDTH)


def _split(number: int) -> int:
    """Return the largest power of two below `number` (2 and up)."""
    return 1 << (number - 1).bit_length() - 1
