"""Ed25519 as a verifier takes it: stricter than the library, and as the page in evidence has it.

OpenSSL takes public keys of small order, under which one signature fits many texts, and keys that have two spellings.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_FIELD = (1 << 255) - 19
_BYTES, _SIGNATURE_BYTES = 32, 64
_ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7
_SMALL = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""Second coordinates of the eight points whose order divides 8: no other point has one of them."""


def require_point(encoded: bytes) -> None:
    """Check that 32 bytes are no point of small order and in the one spelling. Raises ValueError.

    Bytes that are no point at all pass: nothing verifies under them.
    """
    second = int.from_bytes(encoded, "little") & ((1 << 255) - 1)
    if len(encoded) != _BYTES or second >= _FIELD or second in _SMALL:
        raise ValueError


def verify(key: Ed25519PublicKey, signature: bytes, message: bytes) -> None:
    """Check a signature. Raises cryptography's InvalidSignature, for a key or an R of small order too."""
    try:
        require_point(key.public_bytes_raw())
        require_point(signature[:_BYTES])
    except ValueError:
        raise InvalidSignature from None
    if len(signature) != _SIGNATURE_BYTES:
        raise InvalidSignature
    key.verify(signature, message)
