"""Base64 (RFC 4648 section 4, padded) of which every value has one spelling, and only that is read."""

from __future__ import annotations

import base64
import binascii


def encode(data: bytes) -> str:
    """Return the one spelling."""
    return base64.b64encode(data).decode()


def decode(text: str, length: int | None = None) -> bytes:
    """Return the bytes. Raises ValueError for any other spelling, and where `length` (bytes) is given, for others."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError(text[:0]) from None
    if encode(data) != text or (length is not None and len(data) != length):  # spare bits of the last letter, for one
        raise ValueError(text[:0])
    return data
