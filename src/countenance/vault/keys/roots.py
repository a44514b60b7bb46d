"""The root key: the operator's, outside both stores. It wraps the epoch key and nothing else.

`file:PATH` (mode 0600, relative to the data folder), `env:NAME` (64 hex characters), or `pkcs11:` and the rest
of an RFC 7512 URI: a key that never leaves its token (`token.py`, read only when such a root is named).
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


def in_memory() -> Root:
    """Return a fresh root that nobody has but this process: what it seals is for good when that ends."""
    return _BytesRoot(os.urandom(KEY_BYTES))


def make_file(path: Path) -> None:
    """Write a new random root key, readable by its owner only. Raises FileExistsError."""
    durable.create(path, os.urandom(KEY_BYTES), durable.SECRET)


def make(spec: str, folder: Path) -> None:
    """Make the root that `spec` names, unless it is there: a file, or a key inside a token.

    A variable is the operator's to set. What is there already is not looked into; `open_root` does that.
    Raises BadInput(root-spec), OSError, and for a token as `token.make`.
    """
    how, where = _split(spec)
    if how == "file" and not (folder / where).exists():
        make_file(folder / where)
    elif how == "pkcs11":
        from countenance.vault.keys import token

        token.make(token.parse(spec))


def open_root(spec: str, folder: Path) -> Root:
    """Return the root that `spec` names.

    Raises BadInput(root-spec), StoreFault(root-missing, root-open, root-wrong), and for a token as `token.TokenRoot`.
    """
    how, where = _split(spec)
    if how == "file":
        return _BytesRoot(_from_file(folder / where))
    if how == "env":
        return _BytesRoot(_from_environment(where))
    from countenance.vault.keys import token

    return token.TokenRoot(token.parse(spec))


def _split(spec: str) -> tuple[str, str]:
    how, _, where = spec.partition(":")
    if how not in {"file", "env", "pkcs11"} or not where:
        raise BadInput("root-spec", "A root key is given as file:PATH, env:NAME or pkcs11:TOKEN.")
    return how, where


def private_bytes(path: Path, what: str, missing: str) -> bytes:
    """Read a secret file of the operator's. Raises StoreFault: `missing`, or root-open where others may touch it."""
    try:
        with path.open("rb") as file:
            data, mode = file.read(), os.fstat(file.fileno()).st_mode
    except OSError:
        raise StoreFault(missing, f"The {what} cannot be read.") from None
    if mode & 0o077:
        raise StoreFault("root-open", f"The {what} may be readable by its owner only (chmod 600).")
    return data


def _from_file(path: Path) -> bytes:
    key = private_bytes(path, "root key file", "root-missing")
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
