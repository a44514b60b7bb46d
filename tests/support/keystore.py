"""The key store from below, as only a test of itself may use it."""

from __future__ import annotations

from collections.abc import Callable

from countenance.flows.venue import Venue
from countenance.quantities import PersonId
from countenance.vault.keys.store import FACE, FaceKeys, KeyRef, KeyStore, new_ref

ADA, BEN = PersonId("a" * 32), PersonId("b" * 32)


def everybody_lives(venue: Venue) -> Callable[[], frozenset[str]]:
    """Return what a rotation asks for: here every key is needed."""
    return venue.keys.ids


def made(keys: KeyStore, person: PersonId = ADA, kind: str = FACE, purpose: str = "entry.search") -> KeyRef:
    """Make one key."""
    ref = new_ref(kind, person, purpose)
    with keys.at_hand():
        keys.make([ref])
    return ref


def held_by(keys: KeyStore, ref: KeyRef) -> bytearray:
    """Return the very buffer in which a key was used, as it is after its use."""
    with keys._opened(ref) as key:
        return key


def faces_of(keys: KeyStore) -> FaceKeys:
    """Return the use of the keys of faces, which the vault has taken already."""
    return FaceKeys(keys._seal, keys._open, keys._open_many, keys._with_new_pass, keys._with_pass)
