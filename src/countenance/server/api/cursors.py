"""Cursors of long lists: opaque, and good only where they were made; a server that starts anew makes new ones."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets

from countenance.errors import BadInput

_KEY = secrets.token_bytes(32)
_TAG = 16
_ID = 16


def write(last: str) -> str:
    """Return the cursor behind a row; `last`: its random id, 128 bits in hex."""
    row = bytes.fromhex(last)
    return base64.urlsafe_b64encode(_tag(row) + row).decode().rstrip("=")


def read(cursor: str) -> str:
    """Return the id that a cursor stands behind. Raises BadInput(cursor-unknown) for any other text."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    tag, row = raw[:_TAG], raw[_TAG:]
    if len(row) != _ID or not secrets.compare_digest(tag, _tag(row)) or write(row.hex()) != cursor:
        raise BadInput("cursor-unknown", "This list begins anew: its cursor is not known here.")
    return row.hex()


def _tag(row: bytes) -> bytes:
    return hashlib.blake2b(row, key=_KEY, digest_size=_TAG, person=b"cursor").digest()
