"""Signing keys: Ed25519, one per use, each in a file of its own (docs/formats/signers.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance import durable
from countenance.errors import StoreFault

USES = ("pass", "receipt")


@dataclass(frozen=True, repr=False)
class Signer:
    """A signing key with its id, the first 8 bytes of the SHA-256 of its public key."""

    key: Ed25519PrivateKey
    kid: bytes


def make(folder: Path, use: str) -> None:
    """Write a new key pair `USE.key` (0600) and `USE.pub`. Raises FileExistsError."""
    key = Ed25519PrivateKey.generate()
    durable.create(folder / f"{use}.key", key.private_bytes_raw(), durable.SECRET)
    durable.create(folder / f"{use}.pub", key.public_key().public_bytes_raw().hex().encode() + b"\n")


def signer(folder: Path, use: str) -> Signer:
    """Open a signing key. Raises StoreFault(signer-missing, signer-open)."""
    path = folder / f"{use}.key"
    try:
        key, mode = Ed25519PrivateKey.from_private_bytes(path.read_bytes()), path.stat().st_mode
    except (OSError, ValueError):
        raise StoreFault("signer-missing", f"The key that signs each {use} cannot be read.") from None
    if mode & 0o077:
        raise StoreFault("signer-open", f"The key that signs each {use} may be readable by its owner only (chmod 600).")
    return Signer(key, key_id(key.public_key()))


def verifier(folder: Path, use: str) -> Ed25519PublicKey:
    """Open a public key. Raises StoreFault(signer-missing)."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex((folder / f"{use}.pub").read_text().strip()))
    except (OSError, ValueError):
        raise StoreFault("signer-missing", f"The public key for each {use} cannot be read.") from None


def key_id(key: Ed25519PublicKey) -> bytes:
    """Return the id of a public key."""
    return hashlib.sha256(key.public_bytes_raw()).digest()[:8]
