"""Templates: sealed under one person's key for one purpose, and opened with a permit only.

A template is the reference's vector as little-endian float32. Its additional data name the owner, the
purpose, the template, the model pack and the schema, so that a row put in another's place does not open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from countenance.errors import Refused, StoreFault
from countenance.features import Probe, Reference, Vector
from countenance.permits import Door, Kind, Permit, PermitBook, Scope, load_scope, person_scope
from countenance.quantities import KeyId, PersonId, PurposeId, TemplateId, VenueId
from countenance.vault.keys.holder import HolderKey
from countenance.vault.keys.store import FACE, KeyRef, KeyStore

SCHEMA = 1
_STORED = np.dtype("<f4")


@dataclass(frozen=True)
class Place:
    """Where a template belongs. All of it is bound into the ciphertext."""

    template_id: TemplateId
    person: PersonId
    purpose: PurposeId
    pack: str

    def label(self) -> str:
        """Return the part of the binding that is not the owner's."""
        return f"template/{SCHEMA}/{self.template_id}/{self.pack}"


@dataclass(frozen=True)
class Stored:
    """A template as the store has it. `face_key` is None where only the holder has the key."""

    place: Place
    face_key: KeyId | None
    sealed: bytes


class TemplateVault:
    """Seals and opens templates, at the doors SEAL and OPEN.

    What a permit must be for is read off the template in hand, never taken from the caller.
    """

    def __init__(self, keys: KeyStore, book: PermitBook, venue: VenueId) -> None:
        self._faces = keys.take_faces()
        self._book = book
        self._venue = venue

    def seal(self, permit: Permit, probe: Probe, place: Place, key: KeyRef | HolderKey) -> bytes:
        """Return the enrolled probe as ciphertext. Spends SEAL. Raises Refused."""
        self._book.spend(permit, Door.SEAL, self._about(Kind.ENROL, place))
        _of_this_permit(permit, probe)
        if probe.pack != place.pack:
            raise Refused("pack-other", "This face was measured by another model than its record names.")
        plain = probe.vector.astype(_STORED).tobytes()
        if isinstance(key, HolderKey):
            return key.seal(place.label(), place.person, place.purpose, plain)
        _of_this_person(key, place)
        return self._faces.seal(key, place.label(), plain)

    def open(self, permit: Permit, stored: Stored, holder: HolderKey | None = None) -> Reference:
        """Return one person's reference. Spends OPEN. Raises Refused, StoreFault (key-destroyed, ...)."""
        place = stored.place
        self._book.spend(permit, Door.OPEN, self._about(Kind.VERIFY, place))
        if stored.face_key is not None:
            plain = self._faces.open(_face_ref(stored), place.label(), stored.sealed)
        elif holder is not None:
            plain = holder.open(place.label(), place.person, place.purpose, stored.sealed)
        else:
            raise Refused("holder-key-missing", "Only the person's pass holds the key to this face.")
        return Reference(_vector(plain), place.pack, permit)

    def open_gallery(
        self, permit: Permit, purpose: PurposeId, generation: int, members: Iterable[str], stored: Sequence[Stored]
    ) -> Iterator[Vector | None]:
        """Give the vectors of a gallery, in order, for re-sealing in memory; None where the key no longer exists.

        `members` is what the gate listed; whatever of it is asked for must be of that purpose. Spends OPEN, for all.
        """
        members = frozenset(members)
        self._book.spend(permit, Door.OPEN, load_scope(self._venue, purpose, generation, members))
        for one in stored:
            _of_this_gallery(one.place, purpose, members)
        items = [(_face_ref(one), one.place.label(), one.sealed) for one in stored]
        for plain in self._faces.open_many(items):
            yield None if plain is None else _vector(plain)

    def _about(self, kind: Kind, place: Place) -> Scope:
        return person_scope(kind, self._venue, place.purpose, place.person)


def _of_this_gallery(place: Place, purpose: PurposeId, members: frozenset[str]) -> None:
    if place.purpose != purpose or place.template_id not in members:
        raise Refused("permit-scope", "This face is not one of the gallery that the permit is for.")


def _of_this_person(key: KeyRef, place: Place) -> None:
    if (key.person, key.purpose) != (place.person, place.purpose):
        raise Refused("permit-scope", "This key is another person's, or for another purpose.")


def _face_ref(stored: Stored) -> KeyRef:
    if stored.face_key is None:
        raise Refused("holder-key-missing", "Only the person's pass holds the key to this face.")
    return KeyRef(stored.face_key, FACE, stored.place.person, stored.place.purpose)


def _of_this_permit(permit: Permit, probe: Probe) -> None:
    if probe.permit is not permit:
        raise Refused("permit-scope", "This face was captured under another permit.")


def _vector(plain: bytearray) -> Vector:
    if len(plain) % _STORED.itemsize:
        raise StoreFault("sealed-altered", "A stored template has the wrong length.")
    vector = np.frombuffer(plain, dtype=_STORED).astype(np.float32)
    plain[:] = bytes(len(plain))
    return vector
