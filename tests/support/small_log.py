"""A log in memory with its key, for tests: entries, checkpoints, proofs by the recursion of RFC 6962, and its folder.

    log = SmallLog.of(300)                # 300 entries, every third in the clear
    note = log.checkpoint(200)            # the signed note for its first 200 entries
    log.write(folder)                     # checkpoint, tiles, bundles, as C2SP tlog-tiles has them
    merkle.require_inclusion(log.leaf(7), 7, 200, log.inclusion(7, 200), log.root(200))
    merkle.require_consistency(100, log.root(100), 200, log.root(200), log.consistency(100, 200))

The proofs are found by splitting, not by the code of `formats.merkle`, which folds: one checks the other.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.formats import checkpoints, log_entries, merkle, signed_note, tiles
from countenance.formats.signed_note import NoteKey
from countenance.quantities import Instant

ORIGIN = "countenance.invalid/zoo/log"
START = Instant(1_800_000_000)


def private_key(seed: str) -> Ed25519PrivateKey:
    """Return the key that this seed always gives."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def entry(index: int, tag: str = "") -> bytes:
    """Return a made-up entry: every third is in the clear (type `purpose`), the others are commitments."""
    if index % 3 == 0:
        return log_entries.clear("purpose", Instant(START + index), {"purpose": f"{tag}entrance-{index}"})
    return log_entries.sealed(hashlib.sha256(f"{tag}{index}".encode()).digest())


class SmallLog:
    """A log that only its test has. `seed` gives its key; two logs of one seed and origin are one log forked."""

    def __init__(self, entries: list[bytes] | None = None, *, origin: str = ORIGIN, seed: str = "log") -> None:
        self.entries = list(entries or [])
        self.origin = origin
        self.private = private_key(seed)

    @classmethod
    def of(cls, size: int, *, tag: str = "", origin: str = ORIGIN, seed: str = "log") -> SmallLog:
        """Return a log of so many made-up entries; another `tag` gives other entries."""
        return cls([entry(index, tag) for index in range(size)], origin=origin, seed=seed)

    @property
    def key(self) -> NoteKey:
        """Return the log's public key."""
        return signed_note.key_of(self.private, self.origin)

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return len(self.entries)

    def grow(self, number: int, tag: str = "") -> SmallLog:
        """Add so many made-up entries; return the log."""
        self.entries += [entry(self.size + more, tag) for more in range(number)]
        return self

    def forked(self, at: int, number: int) -> SmallLog:
        """Return another log of the same name and key: the same up to entry `at`, then `number` other entries."""
        other = SmallLog(self.entries[:at], origin=self.origin)
        other.private = self.private
        return other.grow(number, "other-")

    def leaf(self, index: int) -> bytes:
        """Return the hash of one entry."""
        return merkle.leaf_hash(self.entries[index])

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` entries (all without it)."""
        return _root([self.leaf(index) for index in range(self.size if size is None else size)])

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that an entry is among the first `size` (RFC 6962 2.1.1)."""
        return _path(index, [self.leaf(i) for i in range(size)])

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the proof that the first `old` entries begin the first `size` (RFC 6962 2.1.2); none from 0."""
        if old in (0, size):
            return []
        return _subproof(old, [self.leaf(i) for i in range(size)], whole=True)

    def checkpoint(self, size: int | None = None, extra: tuple[str, ...] = ()) -> str:
        """Return the signed note for the first `size` entries."""
        size = self.size if size is None else size
        return self.sign(checkpoints.Checkpoint(self.origin, size, self.root(size), extra).text)

    def sign(self, text: str) -> str:
        """Return a note with whatever text, signed by this log's key."""
        return signed_note.Note(text, (signed_note.sign(text, self.origin, self.private),)).encode()

    def write(self, folder: Path, size: int | None = None) -> Path:
        """Publish the first `size` entries below `folder`, partial tiles included; return the folder."""
        size = self.size if size is None else size
        for path, data in self.files(size).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    def files(self, size: int) -> dict[str, bytes]:
        """Return every file of the log at this size, by its path."""
        found = {"checkpoint": self.checkpoint(size).encode()}
        for at in range(0, size, tiles.WIDTH):
            part = self.entries[at:min(at + tiles.WIDTH, size)]
            found[tiles.path(tiles.ENTRIES, at // tiles.WIDTH, len(part))] = tiles.bundle(part)
        level, hashes = 0, [self.leaf(index) for index in range(size)]
        while hashes:
            for at in range(0, len(hashes), tiles.WIDTH):
                part = hashes[at:at + tiles.WIDTH]
                found[tiles.path(level, at // tiles.WIDTH, len(part))] = b"".join(part)
            full = len(hashes) // tiles.WIDTH
            hashes = [_root(hashes[n * tiles.WIDTH:(n + 1) * tiles.WIDTH]) for n in range(full)]
            level += 1
        return found


def _split(number: int) -> int:
    return 1 << (number - 1).bit_length() - 1


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = _split(len(leaves))
    return hashlib.sha256(b"\x01" + _root(leaves[:k]) + _root(leaves[k:])).digest()


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*_path(index, leaves[:k]), _root(leaves[k:])]
    return [*_path(index - k, leaves[k:]), _root(leaves[:k])]


def _subproof(old: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [_root(leaves)]
    k = _split(len(leaves))
    if old <= k:
        return [*_subproof(old, leaves[:k], whole=whole), _root(leaves[k:])]
    return [*_subproof(old - k, leaves[k:], whole=False), _root(leaves[:k])]
