"""A published log in a folder, entry by entry (C2SP tlog-tiles; docs/formats/log_entry.md).

One pass over the files, keeping one tile of each level: a log of any length takes no more memory than a short one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from countenance.errors import BadInput
from countenance.formats import log_entries, merkle, tiles
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.merkle import HASH_BYTES
from countenance.formats.tiles import ENTRIES, WIDTH
from countenance.formats.trust import Trust
from countenance.verifier.checkpoints import Head
from countenance.verifier.report import Report, follow

Progress = Callable[[int, int], None]
"""Called with the entries done and all of them."""

_LARGEST_BUNDLE = WIDTH * (2 + log_entries.LARGEST)


def verify(folder: Path, text: str, trust: Trust | None, progress: Progress = lambda _done, _all: None) -> Report:
    """Check the log in `folder` against its checkpoint, whose `text` was read before."""
    head = Head(text, trust)
    log = _Log(folder, head, progress)
    return follow("log", [*head.checks(), ("entries", log.entries), ("upper tiles", log.upper), ("root", log.root)],
                  trusted=trust is not None)


def entries_of(folder: Path, number: int, width: int) -> list[bytes]:
    """Return the first `width` entries of a bundle in the log's folder. Raises BadInput: bundle-missing, bundle-short.
    """
    missing = BadInput("bundle-missing", "A bundle of the log's entries is missing.")
    data, held = _read(folder, ENTRIES, number, width, _LARGEST_BUNDLE, missing)
    return tiles.unbundle(data, held)[:width]


class _Log:
    def __init__(self, folder: Path, head: Head, progress: Progress) -> None:
        self._folder, self._head, self._progress = folder, head, progress
        self._pending: list[list[bytes]] = []
        self._seen: list[int] = []
        self._rest: list[bytes] = []
        self._fault: BadInput | None = None

    def entries(self) -> str:
        """Check each entry against the lowest tiles, and take note of the tiles above on the way."""
        size = self._checkpoint.size
        _require_as_many(self._folder, -(-size // WIDTH))
        self._grow(-(-size // WIDTH))
        for number in range(-(-size // WIDTH)):
            width = min(WIDTH, size - number * WIDTH)
            hashes = self._bundle(number, width)
            if hashes != self._tile(0, number, width):
                raise BadInput("tile-altered", "A tile of the log is not that of its entries.")
            if width == WIDTH:
                self._add(1, merkle.root(hashes))
            else:
                self._rest = hashes
            self._progress(min(size, (number + 1) * WIDTH), size)
        return f"Each of {size} entries is what its tile says."

    def upper(self) -> str:
        """Check the tiles above the lowest, the partial ones too."""
        if self._fault is not None:
            raise self._fault
        for level, hashes in enumerate(self._pending[1:], 1):
            if hashes and hashes != self._tile(level, self._seen[level], len(hashes)):
                raise BadInput("tile-altered", "A tile of the log is not that of its entries.")
        return "Each tile above follows from those below it."

    def root(self) -> str:
        """Check that the tiles give the root of the checkpoint."""
        found: list[bytes] = []
        for hashes in [self._rest, *self._pending[1:]]:
            below = [*hashes, *found]
            found = [merkle.root(below)] if below else []
        if (found or [merkle.EMPTY]) != [self._checkpoint.root]:
            raise BadInput("root-other", "The entries do not give the root that the checkpoint says.")
        return "The entries give the root of the checkpoint."

    @property
    def _checkpoint(self) -> Checkpoint:
        return self._head.checkpoint

    def _grow(self, bundles: int) -> None:
        self._pending, self._seen = [[]], [0]
        while bundles:
            self._pending.append([])
            self._seen.append(0)
            bundles //= WIDTH

    def _add(self, level: int, hash_: bytes) -> None:
        hashes = self._pending[level]
        hashes.append(hash_)
        if len(hashes) < WIDTH:
            return
        try:
            same = self._fault is not None or hashes == self._tile(level, self._seen[level], WIDTH)
            if not same:
                raise BadInput("tile-altered", "A tile of the log is not that of its entries.")
        except BadInput as fault:  # told at its own step, after the entries
            self._fault = fault
        self._seen[level] += 1
        self._pending[level] = []
        self._add(level + 1, merkle.root(hashes))

    def _bundle(self, number: int, width: int) -> list[bytes]:
        entries = entries_of(self._folder, number, width)
        for entry in entries:
            log_entries.parse(entry)
        return [merkle.leaf_hash(entry) for entry in entries]

    def _tile(self, level: int, number: int, width: int) -> list[bytes]:
        missing = BadInput("tile-missing", "A tile of the log is missing.")
        data, held = _read(self._folder, level, number, width, WIDTH * HASH_BYTES, missing)
        return tiles.split(data, held)[:width]


def _read(folder: Path, level: int, number: int, width: int, largest: int, missing: BadInput) -> tuple[bytes, int]:
    """Return a tile's bytes and its width: the full one stands in for a partial one that was cleared away."""
    for held in dict.fromkeys((width, WIDTH)):
        try:
            path = _straight(folder, tiles.path(level, number, held))
            about = path.lstat()
            if stat.S_ISREG(about.st_mode) and about.st_size <= largest:
                return path.read_bytes(), held
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(about.st_mode):
            return b"", held  # too long; the reader says so
    raise missing


def _straight(folder: Path, name: str) -> Path:
    """Return where a file lies. Raises OSError where a link leads there: with links a few files are a log of any size.
    """
    path = folder
    for part in name.split("/"):
        path /= part
        if stat.S_ISLNK(path.lstat().st_mode):
            raise FileNotFoundError
    return path


def _require_as_many(folder: Path, bundles: int) -> None:
    """Check that there can be so many bundles. Raises BadInput(bundle-missing).

    A checkpoint that nobody vouches for may claim any size, and reading up to what is missing would take years.
    """
    left = bundles
    for _here, _folders, files in os.walk(folder / "tile" / "entries"):
        left -= len(files)
        if left <= 0:
            break
    if left > 0:
        raise BadInput("bundle-missing", "A bundle of the log's entries is missing.")
