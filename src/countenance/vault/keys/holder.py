"""A key that only its holder has: 32 bytes in their pass, never stored and never escrowed by the venue.

A lost one means enrolling again. That is the point (EDPB Opinion 11/2024, scenario 2).
"""

from __future__ import annotations

import os

from countenance.errors import BadInput
from countenance.formats import canonical, cose
from countenance.vault.keys.roots import KEY_BYTES
from countenance.vault.keys.store import KeyRef, KeyStore, open_sealed, seal_plain


class HolderKey:
    """The key of one `holder_keyed` template, for as long as one story needs it; then `wipe`."""

    def __init__(self, key: bytearray) -> None:
        self._key = key

    @classmethod
    def make(cls) -> HolderKey:
        """Return a new random key."""
        return cls(bytearray(os.urandom(KEY_BYTES)))

    @classmethod
    def from_pass(cls, keys: KeyStore, pass_key: KeyRef, secret: bytes, binding: bytes) -> HolderKey:
        """Take the key out of a pass. Raises StoreFault(key-destroyed), BadInput(pass-altered)."""
        plain = keys.with_key(pass_key, lambda key: cose.decrypt0(secret, key, "pass", binding))
        if len(plain) != KEY_BYTES:
            raise BadInput("pass-malformed", "The secret in this pass is not a key.")
        return cls(bytearray(plain))

    def into_pass(self, keys: KeyStore, pass_key: KeyRef, binding: bytes) -> bytes:
        """Return the key as a COSE_Encrypt0 under the pass's own key, bound to that pass."""
        kid = bytes.fromhex(pass_key.key_id)
        return keys.with_key(pass_key, lambda key: cose.encrypt0(bytes(self._key), key, kid, binding))

    def seal(self, label: str, person: str, purpose: str, plain: bytes) -> bytes:
        """Seal a template under this key, bound to its owner and place."""
        return seal_plain(self._key, _aad(label, person, purpose), plain)

    def open(self, label: str, person: str, purpose: str, sealed: bytes) -> bytearray:
        """Open what `seal` made. Raises StoreFault(sealed-altered)."""
        return open_sealed(self._key, _aad(label, person, purpose), sealed)

    def wipe(self) -> None:
        """Forget the key."""
        self._key[:] = bytes(KEY_BYTES)


def _aad(label: str, person: str, purpose: str) -> bytes:
    return canonical.encode(["countenance/holder-sealed/1", label, person, purpose])
