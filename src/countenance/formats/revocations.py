"""A revocation list: which passes a gate that works from a copy must not take (docs/formats/revocation-list.md).

Base64 of a COSE_Sign1 over deterministic CBOR. Hashes stand sorted in one byte string each, so that a list of 10,000 is
160 KB and says nothing to whoever has not seen the pass.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput, Refused
from countenance.formats import canonical, cose
from countenance.formats.passes import Pass, face_hash
from countenance.quantities import END_OF_TIME, Instant, VenueId

_FORMAT = "countenance/revocations/1"
HASH_BYTES = 16
LARGEST = 16 << 20
"""Bytes: a million faces."""

_FRAME = bytes.fromhex("d2 84 43 a10127 a1 04 48")
"""How every signed list begins, up to its key's id."""

_LENGTHS = {0x58: 1, 0x59: 2, 0x5A: 4}  # head of a byte string to how many bytes say its length (RFC 8949 3)
_KID_BYTES, _SIGNATURE_HEAD, _SIGNATURE_BYTES = 8, b"\x58\x40", 64
_HIGHEST = 1 << 63
"""What a store cannot count to."""

_KINDS = {"format": str, "venue": str, "number": int, "issued_at": int, "good_until": int, "faces": bytes,
          "void": bytes, "before": list}


def reference_hash(venue: str, reference: str) -> bytes:
    """Return what stands for a booking number: the first 16 bytes of its SHA-256, with a label and the venue.

    Booking numbers can be guessed; whoever has the list and a ticket list can tell which were replaced.
    """
    return hashlib.sha256(canonical.encode(["countenance/void/1", venue, reference])).digest()[:HASH_BYTES]


@dataclass(frozen=True)
class RevocationList:
    """The signed content. `number` grows with every change; `void` is booking number's hash to moment."""

    venue: VenueId
    number: int
    issued_at: Instant
    good_until: Instant
    faces: frozenset[bytes]
    void: dict[bytes, Instant]

    def require_face(self, shown: Pass) -> None:
        """Raise Refused(face-revoked) where the face of this pass is compared no more."""
        if shown.face_id and face_hash(shown.face_id) in self.faces:
            raise Refused("face-revoked", "The face of this pass is compared no more; the pass itself is good.")

    def require_not_void(self, shown: Pass) -> None:
        """Raise Refused(pass-void) where this pass was replaced by another."""
        if shown.issued_at <= self.void.get(reference_hash(shown.venue, shown.reference), Instant(0)):
            raise Refused("pass-void", "This pass was replaced; the new one is good.")


def write(content: RevocationList, key: Ed25519PrivateKey, kid: bytes) -> str:
    """Return the text of a list."""
    void = sorted(content.void.items())
    signed = cose.sign1(canonical.encode({
        "format": _FORMAT, "venue": content.venue, "number": content.number, "issued_at": content.issued_at,
        "good_until": content.good_until, "faces": b"".join(sorted(content.faces)),
        "void": b"".join(digest for digest, _ in void), "before": [before for _, before in void]}), key, kid)
    return base64.b64encode(signed).decode() + "\n"


def read(text: str, key: Ed25519PublicKey) -> RevocationList:
    """Read and verify a list. Raises BadInput(list-malformed, list-altered). Whether it is fresh is the flow's."""
    message = _message(text)
    _require_frame(message)
    value = canonical.decode(cose.verify1(message, key, "list", largest=LARGEST), "list", LARGEST)
    if not isinstance(value, dict) or set(value) != set(_KINDS) or value["format"] != _FORMAT:
        raise _malformed()
    if any(type(value[name]) is not kind for name, kind in _KINDS.items()):
        raise _malformed()
    return _checked(value)


def _message(text: str) -> bytes:
    text = text.strip()
    if len(text) > LARGEST * 4 // 3 + 4:
        raise _malformed()
    try:
        message = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if base64.b64encode(message).decode() != text:  # its last bits may be anything
        raise _malformed()
    return message


def _require_frame(message: bytes) -> None:
    """Raise unless everything but the frame is one byte string, which costs nothing to read before it is verified.

    Anybody can hand a gate 16 MiB of small lists in lists: decoded strictly they are a gigabyte.
    """
    at = len(_FRAME) + _KID_BYTES
    start = at + 1 + _LENGTHS.get(int.from_bytes(message[at : at + 1]), 0)
    end = start + int.from_bytes(message[at + 1 : start])
    if not (message.startswith(_FRAME) and start > at + 1 and message[end : end + 2] == _SIGNATURE_HEAD
            and len(message) == end + 2 + _SIGNATURE_BYTES):
        raise _malformed()


def _checked(value: dict[str, Any]) -> RevocationList:
    faces, void, before = _split(value["faces"]), _split(value["void"]), value["before"]
    right = (len(void) == len(before) and all(type(moment) is int and 0 < moment < END_OF_TIME for moment in before)
             and 0 <= value["number"] < _HIGHEST and 0 < value["issued_at"] < value["good_until"] < END_OF_TIME)
    if not right:
        raise _malformed()
    return RevocationList(
        VenueId(value["venue"]), value["number"], Instant(value["issued_at"]), Instant(value["good_until"]),
        frozenset(faces), dict(zip(void, map(Instant, before), strict=True)))


def _split(joined: bytes) -> list[bytes]:
    hashes = [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
    if len(joined) % HASH_BYTES or any(not one < other for one, other in pairwise(hashes)):
        raise _malformed()
    return hashes


def _malformed() -> BadInput:
    return BadInput("list-malformed", "This file is not a revocation list.")
