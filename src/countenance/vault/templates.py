"""Templates: sealed under one person's key for one purpose, and opened with a permit only.

A template is the reference's int8 codes (features.py). Where it is kept is its custody: in the store under a
key of the venue's (`venue_keyed`), in the store under a key that is in the pass only (`holder_keyed`), or in the
pass only (`carried`). The additional data name the owner, the purpose, the template, the model pack and the
schema, so that a row put in another's place does not open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from countenance.errors import Refused
from countenance.features import Codes, Probe, Reference
from countenance.formats.passes import Custody, pack_hash
from countenance.permits import Door, Kind, Permit, PermitBook, Scope, load_scope, person_scope
from countenance.quantities import KeyId, PersonId, PurposeId, TemplateId, VenueId
from countenance.vault.keys import in_pass
from countenance.vault.keys.in_pass import Shown
from countenance.vault.keys.store import FACE, PASS, KeyRef, KeyStore

SCHEMA = 2
"""1 was float32."""

_KEY_OF = {Custody.VENUE_KEYED: FACE, Custody.CARRIED: PASS, Custody.HOLDER_KEYED: PASS}


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
    """A template as the store has it. `face_key` is None unless the venue has the key, `sealed` empty if `carried`."""

    place: Place
    custody: Custody
    face_key: KeyId | None
    sealed: bytes


@dataclass(frozen=True, repr=False)
class Kept:
    """A template under custody: `sealed` goes into the store, `secret` into the pass; either may be empty."""

    sealed: bytes
    secret: bytes


class TemplateVault:
    """Seals and opens templates, at the doors SEAL and OPEN.

    What a permit must be for is read off the template in hand, never taken from the caller.
    """

    def __init__(self, keys: KeyStore, book: PermitBook, venue: VenueId) -> None:
        self._faces = keys.take_faces()
        self._book = book
        self._venue = venue

    def seal(self, permit: Permit, probe: Probe, place: Place, custody: Custody, key: KeyRef,
             binding: bytes = b"") -> Kept:
        """Put the enrolled probe under custody. Spends SEAL. Raises Refused.

        `key` is a face key if `venue_keyed`, otherwise the key of the pass being made, whose `binding` it then needs.
        """
        self._book.spend(permit, Door.SEAL, self._about(Kind.ENROL, place))
        _of_this_permit(permit, probe)
        _of_this_person(key, place)
        if probe.pack != place.pack:
            raise Refused("pack-other", "This face was measured by another model than its record names.")
        if _KEY_OF.get(custody) != key.kind:
            raise Refused("custody-unknown", "This key is not for this way of keeping a face.")
        template = probe.codes.tobytes()
        if custody is Custody.VENUE_KEYED:
            return Kept(self._faces.seal(key, place.label(), template), b"")
        if custody is Custody.CARRIED:
            return Kept(b"", in_pass.carry(self._faces, key, binding, template))
        return Kept(*in_pass.seal_for_holder(self._faces, key, binding, _holder_aad(place), template))

    def open(self, permit: Permit, stored: Stored, shown: Shown | None = None) -> Reference:
        """Return one person's reference. Spends OPEN. `shown` is the pass in front, where the face is opened by one.

        Raises Refused (holder-key-missing, pass-unknown, pack-other, ...), StoreFault (key-destroyed, ...), BadInput.
        """
        place = stored.place
        self._book.spend(permit, Door.OPEN, self._about(Kind.VERIFY, place))
        if stored.custody not in _KEY_OF:
            raise Refused("custody-unknown", "No face is kept this way.")
        if stored.custody is Custody.VENUE_KEYED:
            plain = self._faces.open(_face_ref(stored), place.label(), stored.sealed)
            return Reference(_codes(plain), place.pack, permit)
        if shown is None:
            raise Refused("holder-key-missing", "Only the person's pass opens this face.")
        _of_this_person(shown.key, place)
        _of_this_template(shown, stored)
        if stored.custody is Custody.CARRIED:
            plain = in_pass.carried(self._faces, shown)
        else:
            plain = in_pass.open_for_holder(self._faces, shown, _holder_aad(place), stored.sealed)
        return Reference(_codes(plain), place.pack, permit)

    def require_issued(self, shown: Shown) -> None:
        """Raise Refused(pass-unknown) unless exactly these bytes were issued here. Opens nothing.

        Raises StoreFault(key-destroyed, key-altered) too.
        """
        self._faces.with_pass(shown.key, shown.digest, lambda _key: b"")

    def open_gallery(
        self, permit: Permit, purpose: PurposeId, generation: int, members: Iterable[str], stored: Sequence[Stored], *,
        calibrates: bool = False,
    ) -> Iterator[Codes | None]:
        """Give the codes of a gallery, in order, for re-sealing in memory; None where the key no longer exists.

        `calibrates`: for its own calibration, under the permit for that.

        `members` is what the gate listed; whatever of it is asked for must be of that purpose. Spends OPEN, for all.
        """
        members = frozenset(members)
        self._book.spend(permit, Door.OPEN, load_scope(self._venue, purpose, generation, members,
                                                         calibrates=calibrates))
        for one in stored:
            _of_this_gallery(one.place, purpose, members)
        items = [(_face_ref(one), one.place.label(), one.sealed) for one in stored]
        for plain in self._faces.open_many(items):
            yield None if plain is None else _codes(plain)

    def _about(self, kind: Kind, place: Place) -> Scope:
        return person_scope(kind, self._venue, place.purpose, place.person)


def _of_this_gallery(place: Place, purpose: PurposeId, members: frozenset[str]) -> None:
    if place.purpose != purpose or place.template_id not in members:
        raise Refused("permit-scope", "This face is not one of the gallery that the permit is for.")


def _of_this_person(key: KeyRef, place: Place) -> None:
    if (key.person, key.purpose) != (place.person, place.purpose):
        raise Refused("permit-scope", "This key is another person's, or for another purpose.")


def _of_this_template(shown: Shown, stored: Stored) -> None:
    """Raise Refused unless the pass says what the record says. That it was issued so, its binding proves."""
    if shown.content.pack != pack_hash(stored.place.pack):
        raise Refused("pack-other", "This pass was made for another model.")
    if shown.content.purpose != stored.place.purpose:
        raise Refused("permit-scope", "This pass is for another purpose.")
    if shown.content.custody is not stored.custody:
        raise Refused("custody-unknown", "This pass does not hold what its record says.")


def _face_ref(stored: Stored) -> KeyRef:
    if stored.face_key is None:
        raise Refused("holder-key-missing", "Only the person's pass holds the key to this face.")
    return KeyRef(stored.face_key, FACE, stored.place.person, stored.place.purpose)


def _of_this_permit(permit: Permit, probe: Probe) -> None:
    if probe.permit is not permit:
        raise Refused("permit-scope", "This face was captured under another permit.")


def _holder_aad(place: Place) -> bytes:
    return in_pass.holder_aad(place.label(), place.person, place.purpose)


def _codes(plain: bytearray) -> Codes:
    codes = np.frombuffer(plain, dtype=np.int8).copy()
    plain[:] = bytes(len(plain))
    return codes
