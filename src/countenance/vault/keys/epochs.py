"""The epoch key: wraps every living key, lies in a third place, and dies at rotation (DESIGN 3).

`epoch.key` is read by no backup. It holds one epoch, or two while a rotation is under way: the file with
both is durable before the first key is rewrapped, and the old one leaves it after the last. There may be one
copy elsewhere (off-site), which is written first each time: a rotation that cannot replace it is not finished.
It may be the only right one, where an older file was put back here: nothing newer is ever written over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from countenance import durable
from countenance.errors import BadInput, Refused, StoreFault
from countenance.formats import canonical
from countenance.quantities import Instant
from countenance.vault.keys import rows
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
    found = value["epochs"]
    if not isinstance(found, list | tuple) or len(found) not in {1, 2}:
        raise damaged
    if any(not isinstance(row, list | tuple) or [type(item) for item in row] != [int, int, bytes] for row in found):
        raise damaged
    numbers = [number for number, _made_at, _wrapped in found]
    if numbers[0] < 1 or numbers != sorted(set(numbers)):
        raise damaged
    return [(number, made_at, wrapped) for number, made_at, wrapped in found]


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

    def begin_like(self, other: EpochFile) -> None:
        """Make the file with the epochs of another, which lies under another root. Raises FileExistsError."""
        durable.create(self._path, self._encoded(other.read()), durable.SECRET)

    def read(self) -> list[Epoch]:
        """Return the epochs, oldest first: one, or two while a rotation is unfinished.

        Raises StoreFault: epoch-missing, epoch-malformed, root-wrong.
        """
        try:
            data = durable.read_secret(self._path)
        except OSError:
            raise StoreFault("epoch-missing", "The epoch key is missing; no face can be opened.") from None
        return self._opened(data)

    def add_next(self, current: Epoch, now: Instant) -> Epoch:
        """Put a fresh epoch beside the current one; durable on return.

        No key may be under a later epoch than `current`. Raises StoreFault: offsite-*.
        """
        key = self._begun_offsite(current) or bytearray(os.urandom(KEY_BYTES))
        fresh = Epoch(current.number + 1, now, key)
        self._replace([current, fresh])
        return fresh

    def keep_only(self, epoch: Epoch) -> None:
        """Destroy every other epoch: after this no copy of the key store from before opens.

        Raises StoreFault (offsite-missing, ...); then both stay, and the rotation is not finished.
        """
        self._replace([epoch])

    def copy_offsite(self) -> None:
        """Write the copy that lies elsewhere; the key store's own `copy_offsite` calls it, with nobody else at work.

        Raises StoreFault (offsite-missing, offsite-newer, offsite-same, epoch-malformed), Refused(offsite-none).
        """
        if self._offsite is None:
            raise Refused("offsite-none", "The settings (keys.offsite) name no place for a copy.")
        self._put_offsite(durable.read_secret(self._path))

    def require_offsite(self) -> None:
        """Raise StoreFault (offsite-missing, offsite-stale, offsite-newer, offsite-same) unless it equals the file."""
        if self._offsite is None:
            return
        self._require_apart()
        try:
            there = self._opened(durable.read_secret(self._offsite))
        except OSError:
            raise _no_copy() from None
        here = self.read()
        if there[-1].number > here[-1].number:
            raise _newer()
        if [(e.number, e.key) for e in there] != [(e.number, e.key) for e in here]:
            raise StoreFault("offsite-stale", "The off-site copy of the epoch key is an old one; copy it anew.")

    def fetch(self, newest: int = 0) -> None:
        """Take the file back from its copy. `newest`: the newest epoch that a key here is under.

        Raises Refused(epoch-present), StoreFault (offsite-missing, root-wrong, epoch-older).
        """
        if self._path.exists():
            raise Refused("epoch-present", "The epoch key is here; an old copy may not take its place.")
        if self._offsite is None:
            raise _no_copy()
        try:
            data = durable.read_secret(self._offsite)
        except OSError:
            raise _no_copy() from None
        rows.require_current(newest, [epoch.number for epoch in self._opened(data)])
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
        self._require_apart()
        self._require_none_newer(data)
        try:
            if self._offsite.exists():
                durable.replace_secret(self._offsite, data)
            else:
                durable.create(self._offsite, data, durable.SECRET)
        except OSError:
            raise _no_copy() from None

    def _require_apart(self) -> None:
        assert self._offsite is not None  # noqa: S101  # all callers have looked
        pairs = ((self._offsite, self._path), (self._offsite.parent, self._path.parent))
        if any(os.path.realpath(one) == os.path.realpath(other) or _same(one, other) for one, other in pairs):
            raise StoreFault("offsite-same", "The off-site copy of the epoch key is the file here; name another place.")

    def _require_none_newer(self, data: bytes) -> None:
        """Raise StoreFault(offsite-newer) where the copy there knows a later epoch than `data`, or another key."""
        old = self._there()
        if old is None:
            return
        writing = {epoch.number: epoch.key for epoch in self._opened(data)}
        if any(number > max(writing) for number, _made_at, _wrapped in old):
            raise _newer()
        try:
            there = [(number, self._root.unwrap(wrapped, _aad(number))) for number, _made_at, wrapped in old]
        except StoreFault as fault:
            if fault.code == "root-wrong":  # damaged, or the copy of another venue, whose only one it may be
                raise _newer() from None
            raise
        if any(writing.get(number, key) != key for number, key in there):
            raise _newer()

    def _there(self) -> list[tuple[int, int, bytes]] | None:
        """Return the rows of the copy, or None where there is none, or half of one."""
        assert self._offsite is not None  # noqa: S101  # all callers have looked
        try:
            return _rows(durable.read_secret(self._offsite))
        except (FileNotFoundError, StoreFault):
            return None
        except OSError:
            raise _no_copy() from None

    def _begun_offsite(self, current: Epoch) -> bytearray | None:
        """Return the next epoch's key where a crash came after the copy was written, before the file was."""
        there = None if self._offsite is None else self._there()
        if there is None or [number for number, *_ in there] != [current.number, current.number + 1]:
            return None
        keys = [self._root.unwrap(wrapped, _aad(number)) for number, _made_at, wrapped in there]
        return keys[1] if keys[0] == current.key else None

    def _opened(self, data: bytes) -> list[Epoch]:
        return [Epoch(number, Instant(made_at), self._root.unwrap(wrapped, _aad(number)))
                for number, made_at, wrapped in _rows(data)]

    def _encoded(self, epochs: list[Epoch]) -> bytes:
        encoded = [[e.number, e.made_at, self._root.wrap(bytes(e.key), _aad(e.number))] for e in epochs]
        return canonical.encode({"format": _FORMAT, "epochs": encoded})


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False


def _newer() -> StoreFault:
    return StoreFault("offsite-newer", "The off-site copy of the epoch key is newer, or another one; find out which is "
                                       "right before anything is written over.")


def _no_copy() -> StoreFault:
    return StoreFault("offsite-missing", "The off-site copy of the epoch key cannot be reached.")
