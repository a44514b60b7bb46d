"""A strict corner of COSE (RFC 9052): COSE_Sign1 with EdDSA, COSE_Encrypt0 with A256GCM, both tagged.

Stricter than the libraries at hand, which read messages with trailing bytes, with `alg` outside the
protected header, with another `alg` than the key's, and with headers in several spellings. Here the
protected header is exactly {1: alg}, the unprotected one exactly {4: kid} or {5: nonce}.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from cbor2 import CBORTag
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countenance.errors import BadInput
from countenance.formats import canonical, ed25519

_SIGN1, _ENCRYPT0 = 18, 16
_EDDSA = canonical.encode({1: -8})
_A256GCM = canonical.encode({1: 3})
_NONCE_BYTES = 12


def sign1(payload: bytes, key: Ed25519PrivateKey, kid: bytes, aad: bytes = b"") -> bytes:
    """Return a tagged COSE_Sign1 over `payload` with external data `aad`."""
    signature = key.sign(canonical.encode(["Signature1", _EDDSA, aad, payload]))
    return canonical.encode(CBORTag(_SIGN1, [_EDDSA, {4: kid}, payload, signature]))


def key_id(key: Ed25519PublicKey) -> bytes:
    """Return the id of a public key: the first 8 bytes of its SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).digest()[:8]


def peek_kid(message: bytes, what: str) -> bytes:
    """Return the key id of a COSE_Sign1 that is not verified yet. Raises BadInput(`what`-malformed)."""
    _protected, unprotected, *_rest = _parts(message, _SIGN1, 4, what)
    return _kid(unprotected, what)


def verify1(message: bytes, key: Ed25519PublicKey, what: str, aad: bytes = b"",
            largest: int = canonical.LARGEST) -> bytes:
    """Return the payload of a COSE_Sign1, verified. Raises BadInput: `what`-malformed, `what`-altered."""
    protected, unprotected, payload, signature = _parts(message, _SIGN1, 4, what, largest)
    kid = _kid(unprotected, what)
    if protected != _EDDSA or not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise _malformed(what)
    if kid != key_id(key):
        raise _altered(what)
    try:
        ed25519.verify(key, signature, canonical.encode(["Signature1", protected, aad, payload]))
    except InvalidSignature:
        raise _altered(what) from None
    return payload


def encrypt0(plain: bytes, key: bytes | bytearray, aad: bytes) -> bytes:
    """Return a tagged COSE_Encrypt0; `key` is 32 bytes, `aad` binds it to its place, which also says the key."""
    nonce = os.urandom(_NONCE_BYTES)
    bound = canonical.encode(["Encrypt0", _A256GCM, aad])
    sealed = AESGCM(bytes(key)).encrypt(nonce, plain, bound)
    return canonical.encode(CBORTag(_ENCRYPT0, [_A256GCM, {5: nonce}, sealed]))


def decrypt0(message: bytes, key: bytes | bytearray, what: str, aad: bytes) -> bytes:
    """Return what a COSE_Encrypt0 holds. Raises BadInput: `what`-malformed, `what`-altered."""
    protected, unprotected, sealed = _parts(message, _ENCRYPT0, 3, what)
    if protected != _A256GCM or not isinstance(sealed, bytes):
        raise _malformed(what)
    nonce = _nonce(unprotected, what)
    try:
        return AESGCM(bytes(key)).decrypt(nonce, sealed, canonical.encode(["Encrypt0", protected, aad]))
    except InvalidTag:
        raise BadInput(f"{what}-altered", f"The sealed part of this {what} does not open.") from None


def _parts(message: bytes, tag: int, count: int, what: str, largest: int = canonical.LARGEST) -> list[Any]:
    value = canonical.decode(message, what, largest)
    if not isinstance(value, CBORTag) or value.tag != tag:
        raise _malformed(what)
    if not isinstance(value.value, list | tuple) or len(value.value) != count:
        raise _malformed(what)
    return list(value.value)


def _kid(header: Any, what: str) -> bytes:
    if not isinstance(header, Mapping) or set(header) != {4} or not isinstance(header[4], bytes):
        raise _malformed(what)
    return header[4]


def _nonce(header: Any, what: str) -> bytes:
    if not isinstance(header, Mapping) or set(header) != {5}:
        raise _malformed(what)
    nonce = header[5]
    if not isinstance(nonce, bytes) or len(nonce) != _NONCE_BYTES:
        raise _malformed(what)
    return nonce


def _altered(what: str) -> BadInput:
    return BadInput(f"{what}-altered", f"This {what} was altered, or signed by somebody else.")


def _malformed(what: str) -> BadInput:
    return BadInput(f"{what}-malformed", f"These bytes are not a {what}.")
