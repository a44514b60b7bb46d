"""Keys: made at random, one per person and purpose, wrapped under the epoch, destroyed for good (DESIGN 3).

This package is the only one that touches key bytes. Nothing is derived from a master key: what can be
recomputed cannot be destroyed. Each wrapped key is bound (as AES-GCM's additional data) to its id, its
kind, its owner, its purpose and its epoch, and each sealed thing to its owner, its place and its kind, so
that swapped rows do not open.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, bindparam, delete, func, insert, select, update

from countenance.clock import Clock
from countenance.errors import Refused, StoreFault
from countenance.formats import canonical
from countenance.quantities import Instant, KeyId, PersonId
from countenance.storage import engine as engines
from countenance.storage.key_schema import wrapped_key
from countenance.vault.keys.epochs import Epoch, EpochFile
from countenance.vault.keys.roots import KEY_BYTES, NONCE_BYTES
from countenance.vault.residue import Needle

FACE, RECORD, PASS = "face", "record", "pass"
_BATCH = 2_000

_ONE = select(wrapped_key).where(wrapped_key.c.key_id == bindparam("wanted"))

T = TypeVar("T")


@dataclass(frozen=True)
class KeyRef:
    """A key by name: what it is for and whose it is. Knowing it opens nothing."""

    key_id: KeyId
    kind: str
    person: PersonId
    purpose: str

    def binding(self) -> bytes:
        """Return 32 bytes that stand for kind, owner and purpose in the key store."""
        return hashlib.sha256(canonical.encode(["countenance/key-binding/1", self.kind, self.person,
                                                self.purpose])).digest()


def new_ref(kind: str, person: PersonId, purpose: str) -> KeyRef:
    """Name a key that does not exist yet; the name may be written into an intent first."""
    return KeyRef(KeyId(secrets.token_hex(16)), kind, person, purpose)


@dataclass(frozen=True, repr=False)
class FaceKeys:
    """Sealing and opening under the keys of faces; as `KeyStore.seal`, `open` and `open_many`."""

    seal: Callable[[KeyRef, str, bytes], bytes]
    open: Callable[[KeyRef, str, bytes], bytearray]
    open_many: Callable[[Sequence[tuple[KeyRef, str, bytes]]], Iterator[bytearray | None]]


class KeyStore:
    """`keys.db` together with the epoch's file. Several threads may use it."""

    def __init__(self, engine: Engine, epochs: EpochFile, clock: Clock) -> None:
        self.engine = engine
        self._epochs = epochs
        self._clock = clock
        self._known: dict[int, Epoch] = {}
        self._closed = False
        self._faces_taken = False
        self._read_epochs()
        self._of_thread = threading.local()  # so that one story's end wipes no other story's keys

    @property
    def epoch(self) -> tuple[int, Instant]:
        """Return the number of the epoch in force and when it was made."""
        newest = self._read_epochs()
        return newest.number, newest.made_at

    @property
    def _at_hand(self) -> dict[KeyId, bytearray]:
        kept: dict[KeyId, bytearray] = self._of_thread.__dict__.setdefault("kept", {})
        return kept

    @contextmanager
    def kept_open(self, ref: KeyRef) -> Iterator[None]:
        """Keep one key unwrapped until the block ends, for a story that needs it several times."""
        self._no_face(ref)
        with self._opened(ref) as key:
            if ref.key_id in self._at_hand:  # whoever keeps it already also wipes it
                yield
                return
            self._at_hand[ref.key_id] = key
            try:
                yield
            finally:
                self._at_hand.pop(ref.key_id, None)

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Keep the keys made inside this block unwrapped until it ends; for one story's own work."""
        before, outer = set(self._at_hand), self._of_thread.__dict__.get("keeping", False)
        self._of_thread.keeping = True
        try:
            yield
        finally:
            self._of_thread.keeping = outer
            for key_id in set(self._at_hand) - before:
                self._at_hand.pop(key_id)[:] = bytes(KEY_BYTES)

    def make(self, refs: Sequence[KeyRef]) -> None:
        """Make random keys under these names; durable on return, all or none."""
        self._still_open()
        with engines.writing(self.engine) as connection:
            epoch = self._read_epochs()  # inside the transaction: a rotation cannot end between
            rows = []
            for ref in refs:
                key = bytearray(os.urandom(KEY_BYTES))
                rows.append({
                    "key_id": ref.key_id, "kind": ref.kind, "binding": ref.binding(),
                    "epoch": epoch.number, "made_at": self._clock.now(),
                    "wrapped": _wrap(epoch, ref.key_id, ref.binding(), key),
                })
                if self._of_thread.__dict__.get("keeping"):
                    self._at_hand[ref.key_id] = key
            connection.execute(insert(wrapped_key), rows)

    def take_faces(self) -> FaceKeys:
        """Return the only way to use the keys of faces, once; from then on this store refuses them elsewhere.

        The vault of templates takes it, which asks for a permit. Raises Refused(faces-taken).
        """
        if self._faces_taken:
            raise Refused("faces-taken", "The keys of faces belong to one vault, which is open already.")
        self._faces_taken = True
        return FaceKeys(self._seal, self._open, self._open_many)

    def seal(self, ref: KeyRef, label: str, plain: bytes | memoryview) -> bytes:
        """Return nonce ‖ AES-256-GCM of `plain` under the named key, bound to owner, purpose and label."""
        self._no_face(ref)
        return self._seal(ref, label, plain)

    def _seal(self, ref: KeyRef, label: str, plain: bytes | memoryview) -> bytes:
        with self._opened(ref) as key:
            return seal_plain(key, _aad(ref, label), plain)

    def open(self, ref: KeyRef, label: str, sealed: bytes) -> bytearray:
        """Open what `seal` made. Raises StoreFault: key-destroyed, key-altered, sealed-altered; Refused(key-face)."""
        self._no_face(ref)
        return self._open(ref, label, sealed)

    def _open(self, ref: KeyRef, label: str, sealed: bytes) -> bytearray:
        with self._opened(ref) as key:
            return open_sealed(key, _aad(ref, label), sealed)

    def with_key(self, ref: KeyRef, use: Callable[[bytearray], T]) -> T:
        """Return `use(key)`; the key is wiped when it returns. For formats that do their own sealing."""
        self._no_face(ref)
        with self._opened(ref) as key:
            return use(key)

    def open_many(self, items: Sequence[tuple[KeyRef, str, bytes]]) -> Iterator[bytearray | None]:
        """Open many sealed things, each (ref, label, sealed), in order; None where the key no longer exists.

        Raises StoreFault: key-altered, sealed-altered; Refused(key-face).
        """
        for ref, _, _ in items:
            self._no_face(ref)
        return self._open_many(items)

    def _open_many(self, items: Sequence[tuple[KeyRef, str, bytes]]) -> Iterator[bytearray | None]:
        for at in range(0, len(items), _BATCH):
            some = items[at : at + _BATCH]
            with engines.reading(self.engine) as connection:
                names = [ref.key_id for ref, _, _ in some]
                found = connection.execute(select(wrapped_key).where(wrapped_key.c.key_id.in_(names))).all()
            rows = {row.key_id: row for row in found}
            for ref, label, sealed in some:
                if ref.key_id not in rows:
                    yield None
                    continue
                row = rows[ref.key_id]
                key = _unwrap(self._of(row.epoch), ref.key_id, self._bound(ref, row.binding), row.wrapped)
                yield open_sealed(key, _aad(ref, label), sealed)
                key[:] = bytes(KEY_BYTES)

    def seal_record(self, key: KeyId, person: PersonId, label: str, plain: bytes) -> bytes:
        """See storage.outbox.Sealer."""
        return self.seal(KeyRef(key, RECORD, person, ""), label, plain)

    def open_record(self, key: KeyId, person: PersonId, label: str, sealed: bytes) -> bytes:
        """See storage.outbox.Sealer."""
        return bytes(self.open(KeyRef(key, RECORD, person, ""), label, sealed))

    def destroy(self, key_ids: Sequence[KeyId]) -> None:
        """Delete keys for good; those that are gone already are fine.

        On return the wrapped keys are in no file of the key store, the write-ahead log included.
        Copies of the key store made before die with the epoch, at the next rotation.
        """
        with engines.writing(self.engine) as connection:
            for at in range(0, len(key_ids), _BATCH):
                some = list(key_ids[at : at + _BATCH])
                connection.execute(delete(wrapped_key).where(wrapped_key.c.key_id.in_(some)))
        engines.empty_wal(self.engine)

    def count(self) -> int:
        """Return how many keys live."""
        with engines.reading(self.engine) as connection:
            return int(connection.execute(select(func.count()).select_from(wrapped_key)).scalar_one())

    def needles(self, ref: KeyRef) -> list[Needle]:
        """Return what a search for this key must look for: the plain key and the wrapped one.

        For proving that a withdrawn key is gone: ask before it is destroyed.
        """
        self._no_face(ref)
        wrapped = self._row(ref.key_id).wrapped
        with self._opened(ref) as key:
            return [Needle("key", bytes(key)), Needle("wrapped key", bytes(wrapped))]

    def rotate(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> int:
        """Begin a new epoch, or finish a rotation that was interrupted; return the epoch's number.

        (1) both epochs are in the third place; (2) living keys are rewrapped, a batch at a time;
        (3) the log of the key store is emptied; (4) the old epoch is destroyed. Safe to interrupt anywhere.
        `progress(done, all)` counts keys.
        """
        with engines.writing(self.engine) as connection:  # two that rotate take turns: the second joins the first's
            epochs = self._epochs.read()
            if len(epochs) == 1:
                epochs.append(self._epochs.add_next(epochs[0], self._clock.now()))
            old, new = epochs
            total = int(connection.execute(
                select(func.count()).where(wrapped_key.c.epoch == old.number)).scalar_one())
        done = 0
        self._known = {**self._known, new.number: new}
        ended = False
        while not ended:  # again where a key was made under the old epoch meanwhile
            while moved := self._rewrap_some(old, new):
                done += moved
                progress(done, total)
            engines.empty_wal(self.engine)
            ended = self._ended(old, new)
        self._read_epochs()
        return new.number

    @property
    def rotation_unfinished(self) -> bool:
        """Say whether a rotation was begun and not ended."""
        return len(self._epochs.read()) > 1

    def close(self) -> None:
        """Let go of the file and wipe the epoch keys from memory."""
        known, self._known, self._closed = self._known, {}, True
        for epoch in known.values():
            epoch.key[:] = bytes(KEY_BYTES)
        self.engine.dispose()

    def _ended(self, old: Epoch, new: Epoch) -> bool:
        """Destroy the old epoch if no key is left under it; nobody can make one meanwhile."""
        left = select(func.count()).where(wrapped_key.c.epoch == old.number)
        with engines.writing(self.engine) as connection:
            if connection.execute(left).scalar_one():
                return False
            if any(epoch.number == old.number for epoch in self._epochs.read()):  # another may have ended it
                self._epochs.keep_only(new)
        return True

    def _read_epochs(self) -> Epoch:
        """Take the third place as it is now, and return the newest epoch. Another process may have rotated."""
        self._still_open()
        epochs = self._epochs.read()
        # Other threads may be using what was known: it is replaced, never wiped under their hands.
        self._known = {epoch.number: self._known.get(epoch.number, epoch) for epoch in epochs}
        return self._epoch

    @property
    def _epoch(self) -> Epoch:
        return self._known[max(self._known)]

    def _of(self, number: int) -> Epoch:
        if number not in self._known:
            self._read_epochs()
        if number not in self._known:
            raise StoreFault("key-altered", "A key was altered, moved, or is of another epoch.")
        return self._known[number]

    def _rewrap_some(self, old: Epoch, new: Epoch) -> int:
        with engines.writing(self.engine) as connection:
            rows = connection.execute(
                select(wrapped_key).where(wrapped_key.c.epoch == old.number).limit(_BATCH)).all()
            moved = []
            for row in rows:
                key = _unwrap(old, row.key_id, row.binding, row.wrapped)
                wrapped = _wrap(new, row.key_id, row.binding, key)
                key[:] = bytes(KEY_BYTES)
                moved.append({"id": row.key_id, "wrapped": wrapped, "epoch": new.number})
            if moved:
                connection.execute(
                    update(wrapped_key).where(wrapped_key.c.key_id == bindparam("id")), moved)
        return len(rows)

    def _still_open(self) -> None:
        if self._closed:
            raise StoreFault("store-closed", "This venue has been closed.")

    def _no_face(self, ref: KeyRef) -> None:
        if ref.kind == FACE and self._faces_taken:
            raise Refused("key-face", "The key of a face is used by the vault only, under a permit.")

    @contextmanager
    def _opened(self, ref: KeyRef) -> Iterator[bytearray]:
        kept = self._at_hand.get(ref.key_id)
        if kept is not None:
            yield kept
            return
        row = self._row(ref.key_id)
        key = _unwrap(self._of(row.epoch), ref.key_id, self._bound(ref, row.binding), row.wrapped)
        try:
            yield key
        finally:
            key[:] = bytes(KEY_BYTES)

    @staticmethod
    def _bound(ref: KeyRef, stored: bytes) -> bytes:
        if ref.binding() != stored:
            raise StoreFault("key-altered", "A key does not belong to what it was asked for.")
        return stored

    def _row(self, key_id: KeyId) -> Any:
        self._still_open()
        with engines.reading(self.engine) as connection:
            row = connection.execute(_ONE, {"wanted": key_id}).one_or_none()
        if row is None:
            raise StoreFault("key-destroyed", "The key to this no longer exists.")
        return row


def _aad(ref: KeyRef, label: str) -> bytes:
    return canonical.encode(["countenance/sealed/1", label, ref.key_id, ref.person, ref.purpose])


def _key_aad(epoch: Epoch, key_id: str, binding: bytes) -> bytes:
    return canonical.encode(["countenance/wrapped/1", epoch.number, key_id, binding])


def _wrap(epoch: Epoch, key_id: str, binding: bytes, key: bytearray) -> bytes:
    return seal_plain(epoch.key, _key_aad(epoch, key_id, binding), bytes(key))


def _unwrap(epoch: Epoch, key_id: str, binding: bytes, wrapped: bytes) -> bytearray:
    try:
        return open_sealed(epoch.key, _key_aad(epoch, key_id, binding), wrapped)
    except StoreFault:
        raise StoreFault("key-altered", "A key was altered, moved, or is of another epoch.") from None


def seal_plain(key: bytearray, aad: bytes, plain: bytes | memoryview) -> bytes:
    """Return nonce ‖ AES-256-GCM. For this package only."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(bytes(key)).encrypt(nonce, bytes(plain), aad)


def open_sealed(key: bytearray, aad: bytes, sealed: bytes) -> bytearray:
    """Open what `seal_plain` made. Raises StoreFault(sealed-altered). For this package only."""
    try:
        return bytearray(AESGCM(bytes(key)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad))
    except (InvalidTag, ValueError):
        raise StoreFault("sealed-altered", "A sealed record does not open: it was altered or moved.") from None
