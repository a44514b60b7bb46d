"""Keys: made at random, one per person and purpose, wrapped under the epoch, destroyed for good (DESIGN 3).

This package is the only one that touches key bytes. Nothing is derived from a master key: what can be
recomputed cannot be destroyed. Each wrapped key is bound (as AES-GCM's additional data) to its id, its
kind, its owner, its purpose and its epoch, and each sealed thing to its owner, its place and its kind, so
that swapped rows do not open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Engine, bindparam, delete, func, insert, select, update

from countenance.clock import Clock
from countenance.errors import Refused, StoreFault
from countenance.formats import canonical
from countenance.quantities import Instant, KeyId, PersonId
from countenance.storage import engine as engines
from countenance.storage.key_schema import wrapped_key
from countenance.vault.keys import gone, rotation, sealing
from countenance.vault.keys.epochs import Epoch
from countenance.vault.keys.roots import KEY_BYTES
from countenance.vault.keys.sealing import Wrapping
from countenance.vault.keys.third import ThirdPlace
from countenance.vault.residue import Needle

FACE, RECORD, PASS = "face", "record", "pass"
_OF_THE_VAULT = {FACE, PASS}
"""A pass's key opens the face, or the face's key, inside the pass."""

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
        """Return 32 bytes that stand for kind, owner and purpose in the key store; others for each key of one owner."""
        return hashlib.sha256(canonical.encode_texts(
            "countenance/key-binding/1", self.key_id, self.kind, self.person, self.purpose)).digest()


def new_ref(kind: str, person: PersonId, purpose: str) -> KeyRef:
    """Name a key that does not exist yet; the name may be written into an intent first."""
    return KeyRef(KeyId(secrets.token_hex(16)), kind, person, purpose)


@dataclass(frozen=True, repr=False)
class FaceKeys:
    """The use of the keys of faces and passes.

    `seal`, `open` and `open_many` are as `KeyStore.seal` and so on. `with_new_pass(ref, use)` gives the key of a
    pass that is being made; `with_pass(ref, digest, use)` that of one which was issued with exactly these bytes.
    """

    seal: Callable[[KeyRef, str, bytes], bytes]
    open: Callable[[KeyRef, str, bytes], bytearray]
    open_many: Callable[[Sequence[tuple[KeyRef, str, bytes]]], Iterator[bytearray | None]]
    with_new_pass: Callable[[KeyRef, Callable[[bytearray], bytes]], bytes]
    with_pass: Callable[[KeyRef, bytes, Callable[[bytearray], bytes]], bytes]


class KeyStore:
    """`keys.db` together with the third place. Several threads may use it."""

    def __init__(self, engine: Engine, place: ThirdPlace, clock: Clock) -> None:
        self.engine = engine
        self.place = place
        self._clock = clock
        self._known: dict[int, Epoch] = {}
        self._wrappings: dict[int, Wrapping] = {}
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
            wrapping = self._wrapping(self._read_epochs().number)  # inside: a rotation cannot end between
            rows = []
            for ref in refs:
                key = bytearray(os.urandom(KEY_BYTES))
                rows.append({
                    "key_id": ref.key_id, "kind": ref.kind, "binding": ref.binding(),
                    "epoch": wrapping.number, "made_at": self._clock.now(),
                    "wrapped": wrapping.wrap(ref.key_id, ref.binding(), key),
                })
                if self._of_thread.__dict__.get("keeping"):
                    self._at_hand[ref.key_id] = key
            connection.execute(insert(wrapped_key), rows)

    def bind(self, ref: KeyRef, digest: bytes) -> None:
        """Bind a pass's key to the SHA-256 of the pass that was issued: it opens no other bytes from then on.

        Durable on return. Raises StoreFault(key-destroyed), Refused(pass-bound) where it was bound before.
        """
        with engines.writing(self.engine) as connection:
            row = connection.execute(_ONE, {"wanted": ref.key_id}).one_or_none()
            if row is None:
                raise StoreFault("key-destroyed", "The key to this no longer exists.")
            wrapping = self._wrapping(self._read_epochs().number)
            plain = self._wrapping(row.epoch).unwrap(ref.key_id, self._bound(ref, row.binding), row.wrapped)
            if len(plain) != KEY_BYTES or ref.kind != PASS:
                raise Refused("pass-bound", "This pass was issued already.")
            bound = wrapping.wrap(ref.key_id, row.binding, plain + digest)
            plain[:] = bytes(KEY_BYTES)
            connection.execute(update(wrapped_key).where(wrapped_key.c.key_id == ref.key_id).values(
                wrapped=bound, epoch=wrapping.number))

    def take_faces(self) -> FaceKeys:
        """Return the only way to use the keys of faces, once; from then on this store refuses them elsewhere.

        The vault of templates takes it, which asks for a permit. Raises Refused(faces-taken).
        """
        if self._faces_taken:
            raise Refused("faces-taken", "The keys of faces belong to one vault, which is open already.")
        self._faces_taken = True
        return FaceKeys(self._seal, self._open, self._open_many, self._with_new_pass, self._with_pass)

    def seal(self, ref: KeyRef, label: str, plain: bytes | memoryview) -> bytes:
        """Return nonce ‖ AES-256-GCM of `plain` under the named key, bound to owner, purpose and label."""
        self._no_face(ref)
        return self._seal(ref, label, plain)

    def _seal(self, ref: KeyRef, label: str, plain: bytes | memoryview) -> bytes:
        with self._opened(ref) as key:
            return sealing.seal(key, _aad(ref, label), plain)

    def open(self, ref: KeyRef, label: str, sealed: bytes) -> bytearray:
        """Open what `seal` made. Raises StoreFault: key-destroyed, key-altered, sealed-altered; Refused(key-face)."""
        self._no_face(ref)
        return self._open(ref, label, sealed)

    def _open(self, ref: KeyRef, label: str, sealed: bytes) -> bytearray:
        with self._opened(ref) as key:
            return sealing.open_sealed(key, _aad(ref, label), sealed)

    def _with_new_pass(self, ref: KeyRef, use: Callable[[bytearray], bytes]) -> bytes:
        with self._opened(ref) as key:
            if len(key) != KEY_BYTES:
                raise Refused("pass-bound", "This pass was issued already.")
            return use(key)

    def _with_pass(self, ref: KeyRef, digest: bytes, use: Callable[[bytearray], bytes]) -> bytes:
        with self._opened(ref) as bound:
            issued = bytes(bound[KEY_BYTES:])  # empty where it was never bound
            if not issued or not hmac.compare_digest(issued, digest):
                raise Refused("pass-unknown", "This pass opens no face here.")
            key = bound[:KEY_BYTES]
            try:
                return use(key)
            finally:
                key[:] = bytes(KEY_BYTES)

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
                row = rows.get(ref.key_id)
                if row is None:
                    yield None
                    continue
                key = self._wrapping(row.epoch).unwrap(ref.key_id, self._bound(ref, row.binding), row.wrapped)
                yield sealing.open_sealed(key, _aad(ref, label), sealed)
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
        Copies of the key store made before die with the epoch, at the next rotation; until then the third place
        knows which keys may not come back.
        """
        with engines.writing(self.engine) as connection:
            with suppress(gone.Lost):  # which closes the face lane, and keeps nobody's face
                self.place.gone.add(key_ids)
            for at in range(0, len(key_ids), _BATCH):
                some = list(key_ids[at : at + _BATCH])
                connection.execute(delete(wrapped_key).where(wrapped_key.c.key_id.in_(some)))
        engines.empty_wal(self.engine)

    def drop_dead(self) -> None:
        """Delete keys of epochs that are gone, which a copy made during a rotation may hold: they open nothing."""
        known = [epoch.number for epoch in self.place.epochs.read()]
        with engines.writing(self.engine) as connection:
            connection.execute(delete(wrapped_key).where(wrapped_key.c.epoch.not_in(known)))

    def note(self, count: int) -> None:
        """Write into the third place how often something was ended; the store's own count may not be less."""
        with engines.writing(self.engine), suppress(gone.Lost):
            self.place.gone.note(count)

    def require_none_back(self, key_ids: Sequence[KeyId]) -> None:
        """Raise StoreFault(store-restored) where one of these keys, which were destroyed, is here."""
        with engines.reading(self.engine) as connection:
            for at in range(0, len(key_ids), _BATCH):
                some = list(key_ids[at : at + _BATCH])
                back = select(wrapped_key.c.key_id).where(wrapped_key.c.key_id.in_(some)).limit(1)
                if connection.execute(back).one_or_none() is not None:
                    raise StoreFault("store-restored", "An older key store was put back; faces wait for `restore`.")

    def check(self) -> int:
        """Unwrap every key, keep none, and return how many there are. Raises StoreFault(key-altered)."""
        names = sorted(self.ids())
        for at in range(0, len(names), _BATCH):
            with engines.reading(self.engine) as connection:
                some = connection.execute(select(wrapped_key).where(
                    wrapped_key.c.key_id.in_(names[at : at + _BATCH]))).all()
            for row in some:
                key = self._wrapping(row.epoch).unwrap(row.key_id, row.binding, row.wrapped)
                key[:] = bytes(len(key))
        return len(names)

    def ids(self, *kinds: str) -> frozenset[KeyId]:
        """Return the ids of all keys, or of those of some kinds."""
        wanted = select(wrapped_key.c.key_id)
        with engines.reading(self.engine) as connection:
            found = connection.execute(wanted.where(wrapped_key.c.kind.in_(kinds)) if kinds else wanted)
            return frozenset(map(KeyId, found.scalars()))

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
            return [Needle("key", bytes(key[:KEY_BYTES])), Needle("wrapped key", bytes(wrapped))]

    def rotate(self, living: Callable[[], Container[str]],
               progress: Callable[[int, int], None] = lambda _done, _all: None) -> int:
        """Begin a new epoch, or finish a rotation that was interrupted; return the epoch's number.

        See `rotation.rotate`: `living` gives the ids of the keys that somebody needs, all others are left behind.
        """
        self._still_open()
        new = rotation.rotate(self.engine, self.place, self._clock.now(), living, progress)
        self._read_epochs()
        return new

    @property
    def rotation_unfinished(self) -> bool:
        """Say whether a rotation was begun and not ended."""
        return len(self.place.epochs.read()) > 1

    def close(self) -> None:
        """Let go of the file and wipe the epoch keys from memory."""
        known, self._known, self._wrappings, self._closed = self._known, {}, {}, True
        for epoch in known.values():
            epoch.key[:] = bytes(KEY_BYTES)
        self.engine.dispose()

    def _read_epochs(self) -> Epoch:
        """Take the third place as it is now, and return the newest epoch. Another process may have rotated."""
        self._still_open()
        epochs = self.place.epochs.read()
        # Other threads may be using what was known: it is replaced, never wiped under their hands.
        known = {epoch.number: self._known.get(epoch.number, epoch) for epoch in epochs}
        if known.keys() != self._known.keys():
            self._wrappings = {number: Wrapping(number, epoch.key) for number, epoch in known.items()}
        self._known = known
        return known[max(known)]

    def _wrapping(self, number: int) -> Wrapping:
        found = self._wrappings.get(number)
        if found is None:
            self._read_epochs()
            found = self._wrappings.get(number)
        if found is None:
            raise StoreFault("key-altered", "A key was altered, moved, or is of another epoch.")
        return found

    def _still_open(self) -> None:
        if self._closed:
            raise StoreFault("store-closed", "This venue has been closed.")

    def _no_face(self, ref: KeyRef) -> None:
        if ref.kind in _OF_THE_VAULT and self._faces_taken:
            raise Refused("key-face", "The key of a face is used by the vault only, under a permit.")

    @contextmanager
    def _opened(self, ref: KeyRef) -> Iterator[bytearray]:
        kept = self._at_hand.get(ref.key_id)
        if kept is not None:
            yield kept
            return
        row = self._row(ref.key_id)
        key = self._wrapping(row.epoch).unwrap(ref.key_id, self._bound(ref, row.binding), row.wrapped)
        try:
            yield key
        finally:
            key[:] = bytes(len(key))

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
    return canonical.encode_texts("countenance/sealed/1", label, ref.key_id, ref.person, ref.purpose)
