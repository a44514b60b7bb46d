"""Signing keys: Ed25519, one per use, each in a file of its own (docs/formats/signers.md)."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance import durable
from countenance.errors import BadInput, StoreFault
from countenance.formats import signed_note
from countenance.formats.cose import key_id

USES = ("pass", "receipt", "list", "log", "door")
_RETIRED = re.compile(r"[a-z]+\.([0-9a-f]{16})\.retired")


@dataclass(frozen=True, repr=False)
class Signer:
    """A signing key with its id, the first 8 bytes of the SHA-256 of its public key."""

    key: Ed25519PrivateKey
    kid: bytes


def make(folder: Path, use: str) -> None:
    """Write a new key pair `USE.key` (0600) and `USE.pub`. Raises FileExistsError."""
    key = Ed25519PrivateKey.generate()
    durable.create(folder / f"{use}.key", key.private_bytes_raw(), durable.SECRET)
    durable.create(folder / f"{use}.pub", _public(key.public_key()))


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


@dataclass(frozen=True)
class Verifiers:
    """The public key in force, and the ids of those that are retired: what they signed is good no more."""

    key: Ed25519PublicKey
    retired: frozenset[bytes]


def verifiers(folder: Path, use: str) -> Verifiers:
    """Open the public key in force with the list of retired ones. Raises StoreFault(signer-missing).

    A copy under another name, which somebody made by hand, retires nothing and closes no lane.
    """
    found = (_RETIRED.fullmatch(path.name) for path in folder.glob(f"{use}.*.retired"))
    return Verifiers(verifier(folder, use), frozenset(bytes.fromhex(name[1]) for name in found if name))


def retired(folder: Path, use: str) -> tuple[Ed25519PublicKey, ...]:
    """Open the retired public keys of a use, for what they signed in their time. Unreadable ones are none."""
    found = []
    for path in sorted(folder.glob(f"{use}.*.retired")):
        named = _RETIRED.fullmatch(path.name)
        with suppress(OSError, ValueError):
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(path.read_text().strip()))
            if named and key_id(key).hex() == named[1]:
                found.append(key)
    return tuple(found)


def renew(folder: Path, use: str) -> bytes:
    """Retire a signing key and make a new pair; return the new key's id. Done again, it finishes what was begun.

    The old public key stays as `USE.KID.retired`, the old private key is overwritten. Raises StoreFault.
    """
    old = signer(folder, use).key.public_key()
    if key_id(old) == key_id(verifier(folder, use)):
        retired = folder / f"{use}.{key_id(old).hex()}.retired"
        if not retired.exists():
            durable.create(retired, _public(old))
        fresh = Ed25519PrivateKey.generate()
        durable.replace_secret(folder / f"{use}.key", fresh.private_bytes_raw())
        old = fresh.public_key()
    durable.write(folder / f"{use}.pub", _public(old))
    return key_id(old)


def _public(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes_raw().hex().encode() + b"\n"


def verifier(folder: Path, use: str) -> Ed25519PublicKey:
    """Open a public key. Raises StoreFault(signer-missing)."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex((folder / f"{use}.pub").read_text().strip()))
    except (OSError, ValueError):
        raise StoreFault("signer-missing", f"The public key for each {use} cannot be read.") from None




def make_apart(path: Path, name: str) -> str:
    """Write a new private key with its signer's name, for somebody who is not the venue; return the public half.

    Raises FileExistsError.
    """
    private = Ed25519PrivateKey.generate()
    durable.create(path, f"{name}\n{private.private_bytes_raw().hex()}\n".encode(), durable.SECRET)
    return signed_note.key_of(private, name).text


def read_apart(text: str) -> tuple[str, Ed25519PrivateKey]:
    """Read what `make_apart` wrote: the signer's name, and the key. Raises BadInput(signer-key)."""
    name, _, rest = text.partition("\n")
    try:
        return name, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(rest))
    except ValueError:
        raise BadInput("signer-key", "This is not a key that `countenance statement key` made.") from None
