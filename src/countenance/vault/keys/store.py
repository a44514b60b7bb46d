"""Keys: made at random, one per person and purpose, wrapped under the epoch, destroyed for good (DESIGN 3).

This package is the only one that touches key bytes. Nothing is derived from a master key: what can be
recomputed cannot be destroyed. Each wrapped key is bound (as AES-GCM's additional data) to its id, its
kind, its owner, its purpose and its epoch, and each sealed thing to its owner, its place and its kind, so
that swapped rows do not open.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Engine, bindparam, delete, insert, select, update

from countenance.clock import Clock
from countenance.errors import Refused, StoreFault
from countenance.formats import canonical
from countenance.quantities import Instant, KeyId, PersonId
from countenance.storage import engine as engines
from countenance.storage.key_schema import wrapped_key
from countenance.vault.keys import gone, rotation, rows, sealing
from countenance.vault.keys.epochs import Epoch
from countenance.vault.keys.refs import FACE, OF_THE_VAULT, PASS, RECORD, FaceKeys, KeyRef, new_ref
from countenance.vault.keys.roots import KEY_BYTES
from countenance.vault.keys.sealing import Wrapping
from countenance.vault.keys.third import ThirdPlace
from countenance.vault.residue import Needle

__all__ = ["FACE", "PASS", "RECORD", "FaceKeys", "KeyRef", "KeyStore", "new_ref"]

_ONE = select(wrapped_key).where(wrapped_key.c.key_id == bindparam("wanted"))

T = TypeVar("T")


class KeyStore:
    """`keys.db` together with the third place. Several threads may use it."""

    def __init__(self, engine: Engine, place: ThirdPlace, clock: Clock) -> None:
        self.engine = engine
        self.place = place
        self._clock = clock
        self._known: dict[int, Epoch] = {}
        self._wrappings: dict[int, Wrapping] = {}
        self._seen = 0
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
            wrapping = self._newest()  # inside: a rotation cannot end between
            made = []
            for ref in refs:
                key = bytearray(os.urandom(KEY_BYTES))
                made.append({
                    "key_id": ref.key_id, "kind": ref.kind, "binding": ref.binding(),
                    "epoch": wrapping.number, "made_at": self._clock.now(),
                    "wrapped": wrapping.wrap(ref.key_id, ref.binding(), key),
                })
                if self._of_thread.__dict__.get("keeping"):
                    self._at_hand[ref.key_id] = key
            connection.execute(insert(wrapped_key), made)

    def bind(self, ref: KeyRef, digest: bytes) -> None:
        """Bind a pass's key to the SHA-256 of the pass that was issued: it opens no other bytes from then on.

        Durable on return. Raises StoreFault(key-destroyed), Refused(pass-bound) where it was bound before.
        """
        with engines.writing(self.engine) as connection:
            row = connection.execute(_ONE, {"wanted": ref.key_id}).one_or_none()
            if row is None:
                raise StoreFault("key-destroyed", "The key to this no longer exists.")
            wrapping = self._newest()
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
        for at in range(0, len(items), rows.BATCH):
            some = items[at : at + rows.BATCH]
            with engines.reading(self.engine) as connection:
                names = [ref.key_id for ref, _, _ in some]
                found = connection.execute(select(wrapped_key).where(wrapped_key.c.key_id.in_(names))).all()
            by_name = {row.key_id: row for row in found}
            for ref, label, sealed in some:
                row = by_name.get(ref.key_id)
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

    def tag_record(self, key: KeyId, person: PersonId, number: int) -> bytes:
        """See storage.outbox.Sealer."""
        with self._opened(KeyRef(key, RECORD, person, "")) as opened:
            return sealing.tag(opened, person, number)

    def destroy(self, key_ids: Sequence[KeyId]) -> None:
        """Delete keys for good; those that are gone already are fine.

        On return the wrapped keys are in no file of the key store, the write-ahead log included.
        Copies of the key store made before die with the epoch, at the next rotation; until then the third place
        knows which keys may not come back. Raises StoreFault(store-corrupt) where one stays; then all do.
        """
        with engines.writing(self.engine) as connection:
            with suppress(gone.Lost):  # which closes the face lane, and keeps nobody's face
                self.place.gone.add(key_ids)
            rows.remove(connection, key_ids)
        engines.empty_wal(self.engine)

    def destroy_of(self, whose: Sequence[tuple[PersonId, str, Sequence[KeyId]]]) -> None:
        """Destroy the keys of people's faces and passes for a purpose, also where the data store hides their ids.

        Of each: person, purpose, and the keys that it names. Another owner's among them stay, and if none is this
        person's, all keys are looked through. One transaction; durable on return, as `destroy`. Raises StoreFault.
        """
        with engines.reading(self.engine) as connection:
            mine = rows.owned_by(connection, whose, lambda person, purpose, key_id: {
                KeyRef(key_id, kind, person, purpose).binding() for kind in OF_THE_VAULT})
        self.destroy(mine)

    def drop_dead(self) -> None:
        """Delete keys of epochs that are gone, which a copy made during a rotation may hold: they open nothing.

        Raises StoreFault(epoch-older).
        """
        with engines.writing(self.engine) as connection:
            known = [epoch.number for epoch in self.place.epochs.read()]
            rows.require_current(rows.newest_epoch(connection), known)  # or everybody's keys would be dropped
            connection.execute(delete(wrapped_key).where(wrapped_key.c.epoch.not_in(known)))

    def note(self, count: int, keys: Sequence[KeyId] = ()) -> None:
        """Write into the third place how often something was ended; the store's own count may not be less.

        `keys` end with it, and are written down together with the count, before they are destroyed.
        """
        with engines.writing(self.engine), suppress(gone.Lost):
            self.place.gone.note(count, keys)

    def copy_offsite(self) -> None:
        """Write the off-site copy of the epoch key, between rotations. Raises as `EpochFile`, and epoch-older."""
        with engines.writing(self.engine):
            self.require_newest_epoch()
            self.place.epochs.copy_offsite()

    def require_newest_epoch(self) -> None:
        """Raise StoreFault(epoch-older) where the third place was put back: a key is under a later epoch."""
        with engines.reading(self.engine) as connection:
            newest = rows.newest_epoch(connection)
        rows.require_current(newest, [epoch.number for epoch in self.place.epochs.read()])

    def require_none_back(self, key_ids: Sequence[KeyId]) -> None:
        """Raise StoreFault(store-restored) where one of these destroyed keys is here, or one of an old epoch.

        The first and the last key tell that, as a rotation goes from the one to the other.
        """
        known = {epoch.number for epoch in self.place.epochs.read()}
        with engines.reading(self.engine) as connection:
            ends = {connection.execute(select(wrapped_key.c.epoch).order_by(by).limit(1)).scalar_one_or_none()
                    for by in (wrapped_key.c.key_id, wrapped_key.c.key_id.desc())} - {None}
            back = rows.present(connection, key_ids)
        known |= {epoch.number for epoch in self.place.epochs.read()}  # another process may have rotated
        if back or ends - known:
            raise StoreFault("store-restored", "An older key store was put back; faces wait for `restore`.")

    def check(self) -> int:
        """Unwrap every key, keep none, and return how many there are. Raises StoreFault(key-altered)."""
        names = sorted(self.ids())
        for some in rows.batches(names):
            with engines.reading(self.engine) as connection:
                found = connection.execute(select(wrapped_key).where(wrapped_key.c.key_id.in_(some))).all()
            for row in found:
                key = self._wrapping(row.epoch).unwrap(row.key_id, row.binding, row.wrapped)
                key[:] = bytes(len(key))
        return len(names)

    def ids(self, *kinds: str) -> frozenset[KeyId]:
        """Return the ids of all keys, or of those of some kinds."""
        wanted = select(wrapped_key.c.key_id).where(*([wrapped_key.c.kind.in_(kinds)] if kinds else []))
        with engines.reading(self.engine) as connection:
            return frozenset(map(KeyId, connection.execute(wanted).scalars()))

    def count(self) -> int:
        """Return how many keys live."""
        return len(self.ids())

    def needles(self, ref: KeyRef) -> list[Needle]:
        """Return what a search for this key must look for: the plain key and the wrapped one.

        For proving that a withdrawn key is gone: ask before it is destroyed.
        """
        self._no_face(ref)
        with self._opened(ref) as key:
            return [Needle("key", bytes(key[:KEY_BYTES])), Needle("wrapped key", bytes(self._row(ref.key_id).wrapped))]

    def rotate(self, living: Callable[[], Container[str]],
               progress: Callable[[int, int], None] = lambda _done, _all: None, leave_unknown: bool = False) -> int:
        """Begin a new epoch, or finish a rotation that was interrupted; return the epoch's number.

        See `rotation.rotate`: `living` gives the ids of the keys that somebody needs. Another one is a reason not to
        rotate (StoreFault, keys-unknown), or is left behind where `leave_unknown` says so.
        """
        self._still_open()
        new = rotation.rotate(self.engine, self.place, self._clock.now(), living, progress, leave_unknown)
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
        self._seen = max(self._seen, *known)
        return known[max(known)]

    def _newest(self) -> Wrapping:
        """Return what wraps new keys. Raises StoreFault(epoch-older): the file was put back meanwhile."""
        newest = self._read_epochs()
        rows.require_current(self._seen, [newest.number])
        return self._wrapping(newest.number)

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
        if ref.kind in OF_THE_VAULT and self._faces_taken:
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
        with engines.looking(self.engine) as connection:
            row = connection.execute(_ONE, {"wanted": key_id}).one_or_none()
        if row is None:
            raise StoreFault("key-destroyed", "The key to this no longer exists.")
        return row


def _aad(ref: KeyRef, label: str) -> bytes:
    return canonical.encode_texts("countenance/sealed/1", label, ref.key_id, ref.person, ref.purpose)
