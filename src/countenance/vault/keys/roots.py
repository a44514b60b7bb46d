"""The root key: the operator's, outside both stores. It wraps the epoch key and nothing else.

`file:PATH` (mode 0600, relative to the data folder), `env:NAME` (64 hex characters). A token
(`pkcs11:`) comes with the custody issue.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countenance import durable
from countenance.errors import BadInput, StoreFault

KEY_BYTES = 32
NONCE_BYTES = 12


class Root(Protocol):
    """Wraps and unwraps; the key itself need not be readable."""

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return nonce ‖ AES-256-GCM of `key`."""

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytearray:
        """Return the key. Raises StoreFault(root-wrong)."""


class _BytesRoot:
    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, aad)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytearray:
        try:
            return bytearray(self._aead.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], aad))
        except (InvalidTag, ValueError):
            raise StoreFault("root-wrong", "This root key is not the one of this data folder.") from None


def make_file(path: Path) -> None:
    """Write a new random root key, readable by its owner only. Raises FileExistsError."""
    durable.create(path, os.urandom(KEY_BYTES), durable.SECRET)


def open_root(spec: str, folder: Path) -> Root:
    """Return the root that `spec` names. Raises BadInput(root-spec) or StoreFault(root-missing, root-open)."""
    how, _, where = spec.partition(":")
    if how == "file" and where:
        return _BytesRoot(_from_file(folder / where))
    if how == "env" and where:
        return _BytesRoot(_from_environment(where))
    raise BadInput("root-spec", "A root key is given as file:PATH or env:NAME.")


def _from_file(path: Path) -> bytes:
    try:
        key, mode = path.read_bytes(), path.stat().st_mode
    except OSError:
        raise StoreFault("root-missing", "The root key file cannot be read.") from None
    if mode & 0o077:
        raise StoreFault("root-open", "The root key file may be readable by its owner only (chmod 600).")
    if len(key) != KEY_BYTES:
        raise StoreFault("root-wrong", "The root key file does not hold a key of 32 bytes.")
    return key


def _from_environment(name: str) -> bytes:
    try:
        key = bytes.fromhex(os.environ[name])
    except (KeyError, ValueError):
        raise StoreFault("root-missing", f"The variable {name} does not hold a key in hex.") from None
    if len(key) != KEY_BYTES:
        raise StoreFault("root-wrong", f"The variable {name} does not hold a key of 32 bytes.")
    return key
