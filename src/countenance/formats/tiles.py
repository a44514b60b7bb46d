"""The files of a published log: tiles of hashes and bundles of entries (C2SP tlog-tiles; docs/formats/log_entry.md)."""

from __future__ import annotations

from collections.abc import Sequence

from countenance.errors import BadInput
from countenance.formats.merkle import HASH_BYTES

WIDTH = 256
"""Hashes in a full tile, entries in a full bundle."""

HEIGHT = 8
"""Levels of the tree that one tile spans."""

ENTRIES = -1
"""Stands for the bundles of entries where a level is asked for."""


def path(level: int, number: int, width: int = WIDTH) -> str:
    """Return where a tile lies below the log's folder; `width` below 256 is a partial one."""
    groups: list[str] = []
    while True:
        number, rest = divmod(number, 1_000)
        groups.insert(0, f"x{rest:03}" if groups else f"{rest:03}")
        if not number:
            break
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{'entries' if level == ENTRIES else level}/{'/'.join(groups)}{partial}"


def widths(size: int) -> list[tuple[int, int, int]]:
    """Return (level, number, width) of the last tile on every level of a log with `size` entries, partial or full."""
    found = []
    level = 0
    while size:
        number, rest = divmod(size, WIDTH)
        found.append((level, number, rest) if rest else (level, number - 1, WIDTH))
        size, level = size // WIDTH, level + 1
    return found


def split(tile: bytes, width: int) -> list[bytes]:
    """Return the hashes of a tile. Raises BadInput(tile-short) for another length than `width` hashes."""
    if len(tile) != width * HASH_BYTES:
        raise BadInput("tile-short", "A tile of the log is shorter or longer than it must be.")
    return [tile[at:at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def bundle(entries: Sequence[bytes]) -> bytes:
    """Return a bundle of entries, each behind its length in 16 bits."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def unbundle(data: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle. Raises BadInput(bundle-short) unless it holds `width` and nothing else."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        length = int.from_bytes(data[at:at + 2])
        entries.append(data[at + 2:at + 2 + length])
        at += 2 + length
    if len(entries) != width or at != len(data):
        raise BadInput("bundle-short", "A bundle of the log's entries is shorter or longer than it must be.")
    return entries
