"""The epoch key: wraps every living key, lies in a third place, and dies at rotation (DESIGN 3).

`epoch.key` is read by no backup. It holds one epoch, or two while a rotation is under way: the file with
both is durable before the first key is rewrapped, and the old one leaves it after the last.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from countenance import durable
from countenance.errors import BadInput, StoreFault
from countenance.formats import canonical
from countenance.quantities import Instant
from countenance.vault.keys.roots import KEY_BYTES, Root

_FORMAT = "countenance/epoch/1"


@dataclass(frozen=True, repr=False)
class Epoch:
    """One epoch. `key` is the plain key, 32 bytes, for vault/keys only."""

    number: int
    made_at: Instant
    key: bytearray


def _aad(number: int) -> bytes:
    return canonical.encode([_FORMAT, number])


def _rows(data: bytes) -> list[tuple[int, int, bytes]]:
    damaged = StoreFault("epoch-malformed", "The file of the epoch key is damaged.")
    try:
        value = canonical.decode(data, "epoch")
    except BadInput:
        raise damaged from None
    if not isinstance(value, dict) or set(value) != {"format", "epochs"} or value["format"] != _FORMAT:
        raise damaged
    rows = value["epochs"]
    if not isinstance(rows, list | tuple) or len(rows) not in {1, 2}:
        raise damaged
    if any(not isinstance(row, list | tuple) or [type(item) for item in row] != [int, int, bytes] for row in rows):
        raise damaged
    return [(number, made_at, wrapped) for number, made_at, wrapped in rows]


class EpochFile:
    """The third place."""

    def __init__(self, path: Path, root: Root) -> None:
        self._path = path
        self._root = root

    def begin(self, now: Instant) -> Epoch:
        """Make the first epoch. Raises FileExistsError."""
        first = Epoch(1, now, bytearray(os.urandom(KEY_BYTES)))
        durable.create(self._path, self._encoded([first]), durable.SECRET)
        return first

    def read(self) -> list[Epoch]:
        """Return the epochs, oldest first: one, or two while a rotation is unfinished.

        Raises StoreFault: epoch-missing, epoch-malformed, root-wrong.
        """
        try:
            data = self._path.read_bytes()
        except OSError:
            raise StoreFault("epoch-missing", "The epoch key is missing; no face can be opened.") from None
        return [
            Epoch(number, Instant(made_at), self._root.unwrap(wrapped, _aad(number)))
            for number, made_at, wrapped in _rows(data)
        ]

    def add_next(self, current: Epoch, now: Instant) -> Epoch:
        """Put a fresh epoch beside the current one; durable on return."""
        fresh = Epoch(current.number + 1, now, bytearray(os.urandom(KEY_BYTES)))
        durable.replace_secret(self._path, self._encoded([current, fresh]))
        return fresh

    def keep_only(self, epoch: Epoch) -> None:
        """Destroy every other epoch: after this no copy of the key store from before opens."""
        durable.replace_secret(self._path, self._encoded([epoch]))

    def _encoded(self, epochs: list[Epoch]) -> bytes:
        rows = [[e.number, e.made_at, self._root.wrap(bytes(e.key), _aad(e.number))] for e in epochs]
        return canonical.encode({"format": _FORMAT, "epochs": rows})
