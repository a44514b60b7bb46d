"""Signed notes and their keys (C2SP signed-note, C2SP tlog-cosignature; docs/formats/checkpoint.md).

A note is text that ends in a line break, an empty line, and one line for each signature. A log signs the text itself
(kind 0x01); a witness signs it with the moment at which it saw it (kind 0x04, cosignature/v1).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import ed25519, strict64
from countenance.quantities import END_OF_TIME, Instant

PrivateKey = Ed25519PrivateKey
"""What signs."""

LOG, WITNESS = 0x01, 0x04
"""Kinds of key: Ed25519 over the note, Ed25519 over a cosignature/v1."""

_NAME = re.compile(r"[!-*,-~]+")
_DASH = "\u2014 "
_ID_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 4, 8, 64
MOST_SIGNATURES = 64
LARGEST = 1 << 20
"""Characters of a note that are read at all."""


@dataclass(frozen=True)
class NoteKey:
    """A public key of a log or a witness, with the name that it signs under. `public` is 32 bytes, Ed25519."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes by which a signature names its key: the first of a SHA-256 over name, kind and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """Return the key as people hand it on: NAME+ID+KEY (C2SP signed-note, verifier keys)."""
        return f"{self.name}+{self.key_id.hex()}+{strict64.encode(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True)
class Signature:
    """One line below a note. `value` is what follows the key's id: 64 bytes, with 8 of time before them (WITNESS)."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def line(self) -> str:
        """Return the line as it stands in the note."""
        return f"{_DASH}{self.name} {strict64.encode(self.key_id + self.value)}\n"


@dataclass(frozen=True)
class Note:
    """A text with its signatures, none of them checked yet."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        """Return the note as it is written; `parse` reads no other spelling of it."""
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def with_line(self, signature: Signature) -> Note:
        """Return the same note with one more signature, in the place of an older one of the same key."""
        others = [s for s in self.signatures if (s.name, s.key_id) != (signature.name, signature.key_id)]
        return Note(self.text, (*others, signature))


def read_key(text: str) -> NoteKey:
    """Read NAME+ID+KEY. Raises BadInput(note-key)."""
    try:
        name, key_id, rest = text.split("+", 2)
        data = strict64.decode(rest, 33)
        key = NoteKey(name, data[0], data[1:])
        ed25519.require_point(key.public)
    except ValueError:
        raise BadInput("note-key", "This is not the public key of a log or a witness.") from None
    if key.kind not in (LOG, WITNESS) or not is_name(name) or key.key_id.hex() != key_id:
        raise BadInput("note-key", "This is not the public key of a log or a witness.")
    return key


def key_of(private: Ed25519PrivateKey, name: str, kind: int = LOG) -> NoteKey:
    """Return the public half of a key that signs under `name`."""
    return NoteKey(name, kind, private.public_key().public_bytes_raw())


def sign(text: str, name: str, private: Ed25519PrivateKey) -> Signature:
    """Return a log's signature."""
    return Signature(name, key_of(private, name).key_id, private.sign(text.encode()))


def cosign(text: str, name: str, private: Ed25519PrivateKey, at: Instant) -> Signature:
    """Return a witness's signature, with the moment."""
    key = key_of(private, name, WITNESS)
    return Signature(name, key.key_id, at.to_bytes(_TIME_BYTES) + private.sign(_cosigned(text, at)))


def parse(note: str) -> Note:
    """Read a note. Raises BadInput(note-malformed)."""
    malformed = BadInput("note-malformed", "This is not a signed note.")
    if len(note) > LARGEST or any((c < " " and c != "\n") or "\ud800" <= c <= "\udfff" for c in note):
        raise malformed
    text, blank, below = note.rpartition("\n\n")
    lines = below.splitlines(keepends=True)
    if not blank or not text or not 1 <= len(lines) <= MOST_SIGNATURES:
        raise malformed
    try:
        found = Note(text + "\n", tuple(_signature(line) for line in lines))
    except ValueError:
        raise malformed from None
    named = {(s.name, s.key_id) for s in found.signatures}
    if found.encode() != note or len(named) != len(lines):
        raise malformed
    return found


def require_signed(note: Note, key: NoteKey) -> Instant:
    """Check the signature of one key; return when a witness saw it (0 for a log's).

    Raises BadInput: signature-missing, signature-wrong.
    """
    mine = [s for s in note.signatures if (s.name, s.key_id) == (key.name, key.key_id)]
    if not mine:
        raise BadInput("signature-missing", "A signature that is needed is not there.")
    value, at = mine[0].value, Instant(0)
    message = note.text.encode()
    if key.kind == WITNESS:
        at = Instant(int.from_bytes(value[:_TIME_BYTES]))
        value, message = value[_TIME_BYTES:], _cosigned(note.text, at)
    try:
        ed25519.verify(Ed25519PublicKey.from_public_bytes(key.public), value, message)
    except InvalidSignature:
        raise BadInput("signature-wrong", "A signature does not belong to this text and key.") from None
    if at >= END_OF_TIME:
        raise BadInput("signature-wrong", "A signature does not belong to this text and key.")
    return at


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH) or not line.endswith("\n"):
        raise ValueError
    name, _space, rest = line.removeprefix(_DASH).removesuffix("\n").partition(" ")
    data = strict64.decode(rest)
    if not is_name(name) or len(data) <= _ID_BYTES:
        raise ValueError
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _cosigned(text: str, at: Instant) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def is_name(name: str) -> bool:
    """Say whether a key can have this name: visible ASCII without a plus, which all readers see the same way."""
    return _NAME.fullmatch(name) is not None
