"""Keys by name: what one is for and whose it is, and the use of those of faces. Knowing a name opens nothing."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from countenance.formats import canonical
from countenance.quantities import KeyId, PersonId

FACE, RECORD, PASS = "face", "record", "pass"
OF_THE_VAULT = {FACE, PASS}
"""A pass's key opens the face, or the face's key, inside the pass."""


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
