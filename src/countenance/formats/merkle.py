"""The tree of the log: RFC 6962 section 2.1 with SHA-256, and the checking of its proofs (RFC 9162 2.1.3.2, 2.1.4.2).

A hash is 32 bytes. Leaves are hashed with 0x00 before them and nodes with 0x01, so that no node passes for a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from countenance.errors import BadInput

HASH_BYTES = 32
EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

LONGEST_PROOF = 63
"""Hashes. No tree that is counted in 63 bits needs more."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry of the log."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Range:
    """A tree that grows by one hash at a time and keeps only the roots of its full subtrees, largest first."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._full: list[bytes] = []
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        """Add one leaf's hash."""
        size = self.size
        while size & 1:
            leaf = node_hash(self._full.pop(), leaf)
            size >>= 1
        self._full.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of what was added so far."""
        if not self._full:
            return EMPTY
        root = self._full[-1]
        for left in reversed(self._full[:-1]):
            root = node_hash(left, root)
        return root


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the hashes of leaves."""
    return Range(leaves).root()


def require_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """Check that a leaf's hash is at `index` (from 0) of the tree of `size` with this root.

    Raises BadInput(inclusion-wrong).
    """
    wrong = BadInput("inclusion-wrong", "The proof does not show that this entry is in the log.")
    if not 0 <= index < size or len(proof) > LONGEST_PROOF or not _hashes(leaf, *proof, expected):
        raise wrong
    here, last, found = index, size - 1, leaf
    for beside in proof:
        if last == 0:
            raise wrong
        if here & 1 or here == last:
            found = node_hash(beside, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        here, last = here >> 1, last >> 1
    if last or found != expected:
        raise wrong


def require_consistency(old_size: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `old_size` is the beginning of the tree of `size`. Raises BadInput(consistency-wrong)."""
    wrong = BadInput("consistency-wrong", "The proof does not show that the log only grew.")
    if not 0 <= old_size <= size or len(proof) > LONGEST_PROOF + 1 or not _hashes(old_root, new_root, *proof):
        raise wrong
    if old_size in (0, size):
        if proof or old_root != (EMPTY if old_size == 0 else new_root) or (size == 0 and new_root != EMPTY):
            raise wrong
        return
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path or _folded(path, old_size - 1, size - 1) != (old_root, new_root):
        raise wrong


def _folded(path: list[bytes], here: int, last: int) -> tuple[bytes, bytes] | None:
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = path[0]
    for beside in path[1:]:
        if last == 0:
            return None
        if here & 1 or here == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            new = node_hash(new, beside)
        here, last = here >> 1, last >> 1
    return None if last else (old, new)


def _hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
