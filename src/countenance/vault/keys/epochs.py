"""The epoch key: wraps every living key, lies in a third place, and dies at rotation (DESIGN 3).

`epoch.key` is read by no backup. It holds one epoch, or two while a rotation is under way: the file with
both is durable before the first key is rewrapped, and the old one leaves it after the last. There may be one
copy elsewhere (off-site), which is written first each time: a rotation that cannot replace it is not finished.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from countenance import durable
from countenance.errors import BadInput, Refused, StoreFault
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
    """The third place. `offsite` is where its one copy lies, or None."""

    def __init__(self, path: Path, root: Root, offsite: Path | None = None) -> None:
        self._path = path
        self._root = root
        self._offsite = offsite

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
        return self._opened(data)

    def add_next(self, current: Epoch, now: Instant) -> Epoch:
        """Put a fresh epoch beside the current one; durable on return. Raises StoreFault(offsite-missing)."""
        fresh = Epoch(current.number + 1, now, bytearray(os.urandom(KEY_BYTES)))
        self._replace([current, fresh])
        return fresh

    def keep_only(self, epoch: Epoch) -> None:
        """Destroy every other epoch: after this no copy of the key store from before opens.

        Raises StoreFault(offsite-missing); then both stay, and the rotation is not finished.
        """
        self._replace([epoch])

    def copy_offsite(self) -> None:
        """Write the copy that lies elsewhere. Raises StoreFault(offsite-missing), Refused(offsite-none)."""
        if self._offsite is None:
            raise Refused("offsite-none", "The settings (keys.offsite) name no place for a copy.")
        self._put_offsite(self._path.read_bytes())

    def require_offsite(self) -> None:
        """Raise StoreFault (offsite-missing, offsite-stale) unless the copy is the same as the file."""
        if self._offsite is None:
            return
        try:
            there = self._opened(self._offsite.read_bytes())
        except OSError:
            raise _no_copy() from None
        if [(e.number, e.key) for e in there] != [(e.number, e.key) for e in self.read()]:
            raise StoreFault("offsite-stale", "The off-site copy of the epoch key is an old one; copy it anew.")

    def fetch(self) -> None:
        """Take the file back from its copy. Raises Refused(epoch-present), StoreFault(offsite-missing, root-wrong)."""
        if self._path.exists():
            raise Refused("epoch-present", "The epoch key is here; an old copy may not take its place.")
        if self._offsite is None:
            raise _no_copy()
        try:
            data = self._offsite.read_bytes()
        except OSError:
            raise _no_copy() from None
        self._opened(data)
        durable.write(self._path, data, durable.SECRET)  # half a file would be here, and in the way of the next try

    def _replace(self, epochs: list[Epoch]) -> None:
        data = self._encoded(epochs)
        if self._offsite is not None:
            self._put_offsite(data)
        try:
            durable.replace_secret(self._path, data)
        except OSError:
            raise StoreFault("store-io", "The epoch key could not be written.") from None

    def _put_offsite(self, data: bytes) -> None:
        assert self._offsite is not None  # noqa: S101  # both callers have looked
        try:
            if self._offsite.exists():
                durable.replace_secret(self._offsite, data)
            else:
                durable.create(self._offsite, data, durable.SECRET)
        except OSError:
            raise _no_copy() from None

    def _opened(self, data: bytes) -> list[Epoch]:
        return [Epoch(number, Instant(made_at), self._root.unwrap(wrapped, _aad(number)))
                for number, made_at, wrapped in _rows(data)]

    def _encoded(self, epochs: list[Epoch]) -> bytes:
        rows = [[e.number, e.made_at, self._root.wrap(bytes(e.key), _aad(e.number))] for e in epochs]
        return canonical.encode({"format": _FORMAT, "epochs": rows})


def _no_copy() -> StoreFault:
    return StoreFault("offsite-missing", "The off-site copy of the epoch key cannot be reached.")
