"""AES-256-GCM as this package uses it: nonce ‖ ciphertext ‖ tag, always with additional data."""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countenance.errors import StoreFault
from countenance.formats import canonical
from countenance.vault.keys.roots import NONCE_BYTES

ID_CHARACTERS, BINDING_BYTES = 32, 32
_ID_HEAD, _BINDING_HEAD = b"\x78\x20", b"\x58\x20"  # a text of 32, bytes of 32 (RFC 8949 3)


def seal(key: bytes | bytearray, aad: bytes, plain: bytes | bytearray | memoryview) -> bytes:
    """Return nonce ‖ AES-256-GCM of `plain`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def open_sealed(key: bytes | bytearray, aad: bytes, sealed: bytes) -> bytearray:
    """Open what `seal` made. Raises StoreFault(sealed-altered)."""
    try:
        return bytearray(AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad))
    except (InvalidTag, ValueError):
        raise StoreFault("sealed-altered", "A sealed record does not open: it was altered or moved.") from None


def tag(key: bytes | bytearray, person: str, number: int) -> bytes:
    """Return 16 bytes for one number under a record key: keyed BLAKE2b (RFC 7693), random to whoever lacks the key."""
    whose = canonical.encode(["countenance/event-tag/1", person, number])
    return hashlib.blake2b(whose, key=bytes(key), digest_size=16).digest()


class Wrapping:
    """Wraps and unwraps keys under one epoch. Made once an epoch: setting up the cipher costs as much as using it."""

    def __init__(self, number: int, key: bytes | bytearray) -> None:
        self.number = number
        self._aead = AESGCM(key)
        # What `canonical.encode(["countenance/wrapped/1", number, key_id, binding])` begins with: a million keys
        # would spend more time on that than on AES.
        self._head = b"\x84" + canonical.encode("countenance/wrapped/1") + canonical.encode(number)

    def wrap(self, key_id: str, binding: bytes, key: bytes | bytearray) -> bytes:
        """Return the key, wrapped; bound to epoch, id and owner."""
        return self._wrapped(_whose(key_id, binding), key)

    def unwrap(self, key_id: str, binding: bytes, wrapped: bytes) -> bytearray:
        """Return what `wrap` was given. Raises StoreFault(key-altered)."""
        return self._unwrapped(_whose(key_id, binding), wrapped)

    def rewrap(self, new: Wrapping, key_id: str, binding: bytes, wrapped: bytes) -> bytes:
        """Return a key of this epoch, wrapped under the `new` one. Raises StoreFault(key-altered)."""
        whose = _whose(key_id, binding)
        key = self._unwrapped(whose, wrapped)
        again = new._wrapped(whose, key)  # another of this class
        key[:] = bytes(len(key))
        return again

    def _wrapped(self, whose: bytes, key: bytes | bytearray) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, self._head + whose)

    def _unwrapped(self, whose: bytes, wrapped: bytes) -> bytearray:
        try:
            return bytearray(self._aead.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], self._head + whose))
        except (InvalidTag, ValueError):
            raise _altered() from None


def _whose(key_id: str, binding: bytes) -> bytes:
    """Return the part of a wrapped key's additional data that is not the epoch's (docs/formats/template.md)."""
    named = key_id.encode()
    if len(named) != ID_CHARACTERS or len(binding) != BINDING_BYTES:
        raise _altered()
    return _ID_HEAD + named + _BINDING_HEAD + binding


def _altered() -> StoreFault:
    return StoreFault("key-altered", "A key was altered, moved, or is of another epoch.")
