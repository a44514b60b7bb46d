"""A pass: what its holder carries to the gate (docs/formats/pass.md is normative).

`CN1:` + base45 of a COSE_Sign1 (EdDSA) over a CWT claims map (RFC 8392). Everything the lane without
faces needs is in the clear and signed: it checks with a public key alone. A secret, where there is one,
is a COSE_Encrypt0 inside, under this pass's own key, which the venue keeps and can destroy; the pass
then goes on as a plain one. (Why the signature is outside: docs/decisions/0003.) A pass names no person.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import base45, canonical, cose
from countenance.quantities import END_OF_TIME, Instant, PassId, PurposeId, VenueId

PREFIX = "CN1:"
LONGEST = 4_296
"""Characters: what the largest QR code holds (ISO/IEC 18004, version 40-L, alphanumeric)."""


class Custody(Enum):
    """Where the template is (DESIGN 3)."""

    PLAIN = "plain"                # nowhere: the holder said no
    CARRIED = "carried"            # in the pass only
    HOLDER_KEYED = "holder_keyed"  # ciphertext at the venue, the key in the pass only
    VENUE_KEYED = "venue_keyed"    # ciphertext and key at the venue


ISS, AUD, EXP, IAT, CTI = 1, 3, 4, 6, 7
OURS = -65537
"""One claim for private use (RFC 8392 9.1: below -65536), a map with the members below."""
CUSTODY, REF, ASK_NOT_BEFORE, FACE_ID, PACK, SECRET = range(6)

_CODES = {custody: number for number, custody in enumerate(Custody)}
_CUSTODIES = dict(enumerate(Custody))
_WITH_SECRET = {Custody.CARRIED, Custody.HOLDER_KEYED}
_KINDS = {ISS: str, AUD: str, EXP: int, IAT: int, CTI: bytes, OURS: dict}
_OUR_KINDS = {CUSTODY: int, REF: str, ASK_NOT_BEFORE: int, FACE_ID: bytes, PACK: bytes, SECRET: bytes}
PASS_ID_BYTES, FACE_ID_BYTES, PACK_BYTES = 16, 16, 8

_NOTHING, _NEVER = PurposeId(""), Instant(0)


@dataclass(frozen=True)
class Pass:
    """The signed content.

    `reference` is the venue's own booking number, `purpose` is empty on a plain pass; `secret` is a
    COSE_Encrypt0; `pack` is what `pack_hash` gives; `ask_not_before`, on plain passes only, is the moment before
    which its holder may not be asked again.
    """

    pass_id: PassId
    venue: VenueId
    reference: str
    custody: Custody
    issued_at: Instant
    expires_at: Instant
    purpose: PurposeId = _NOTHING
    face_id: bytes = b""
    pack: bytes = b""
    secret: bytes = b""
    ask_not_before: Instant = _NEVER

    def binding(self) -> bytes:
        """Return the external data under which `secret` is sealed: it opens in no other pass."""
        return canonical.encode([
            "countenance/pass-secret/1", self.pass_id, self.venue, self.purpose, self.custody.value,
            self.expires_at, self.face_id, self.pack])


def pack_hash(identity: str) -> bytes:
    """Return what stands for a model pack in a pass: the first 8 bytes of its identity's SHA-256."""
    return hashlib.sha256(identity.encode()).digest()[:PACK_BYTES]


def face_hash(face_id: bytes) -> bytes:
    """Return what stands for a face in a revocation list: the first 16 bytes of the SHA-256 of its `face_id`."""
    return hashlib.sha256(face_id).digest()[:16]


def issued_digest(text: str) -> bytes:
    """Return the SHA-256 of a pass as it was issued. Line ends around it do not count."""
    return hashlib.sha256(text.strip("\r\n").encode()).digest()


def write(content: Pass, key: Ed25519PrivateKey, kid: bytes) -> str:
    """Return the text of a pass. Raises BadInput(pass-too-long)."""
    ours: dict[int, Any] = {CUSTODY: _CODES[content.custody], REF: content.reference}
    claims: dict[int, Any] = {
        ISS: content.venue, EXP: content.expires_at, IAT: content.issued_at,
        CTI: bytes.fromhex(content.pass_id), OURS: ours}
    if content.custody is Custody.PLAIN:
        ours[ASK_NOT_BEFORE] = content.ask_not_before
    else:
        claims[AUD] = content.purpose
        ours |= {FACE_ID: content.face_id, PACK: content.pack}
    if content.custody in _WITH_SECRET:
        ours[SECRET] = content.secret
    text = PREFIX + base45.encode(cose.sign1(canonical.encode(claims), key, kid))
    if len(text) > LONGEST:
        raise BadInput("pass-too-long", "This booking number is too long for a pass.")
    return text


def peek_kid(text: str) -> bytes:
    """Return the id of the key that a pass says it was signed with. Nothing is verified yet."""
    return cose.peek_kid(_message(text), "pass")


def read(text: str, key: Ed25519PublicKey) -> Pass:
    """Read and verify a pass. Raises BadInput: pass-malformed, pass-altered. Expiry is the flow's to judge."""
    claims = canonical.decode(cose.verify1(_message(text), key, "pass"), "pass")
    if not isinstance(claims, dict) or not isinstance(claims.get(OURS), dict):
        raise _malformed()
    custody = _custody(claims[OURS].get(CUSTODY))
    names, ours = _names(custody)
    _shaped(claims, {name: _KINDS[name] for name in names})
    _shaped(claims[OURS], {name: _OUR_KINDS[name] for name in ours})
    return _checked(claims, claims[OURS], custody)


def _custody(code: Any) -> Custody:
    if type(code) is not int or code not in _CUSTODIES:
        raise _malformed()
    return _CUSTODIES[code]


def _names(custody: Custody) -> tuple[set[int], set[int]]:
    """Return which claims, and which members of ours, a pass of this custody has: exactly these."""
    if custody is Custody.PLAIN:
        return {ISS, EXP, IAT, CTI, OURS}, {CUSTODY, REF, ASK_NOT_BEFORE}
    secret = {SECRET} if custody in _WITH_SECRET else set()
    return {ISS, AUD, EXP, IAT, CTI, OURS}, {CUSTODY, REF, FACE_ID, PACK} | secret


def _shaped(found: dict[Any, Any], kinds: dict[int, type]) -> None:
    if set(found) != set(kinds) or any(type(name) is not int for name in found):  # in Python, true is 1
        raise _malformed()
    if any(type(found[name]) is not kind for name, kind in kinds.items()):
        raise _malformed()


def _checked(claims: dict[int, Any], ours: dict[int, Any], custody: Custody) -> Pass:
    right = len(claims[CTI]) == PASS_ID_BYTES and 0 < claims[IAT] < claims[EXP] < END_OF_TIME
    if custody is not Custody.PLAIN:
        right = right and (claims[AUD] != "" and len(ours[FACE_ID]) == FACE_ID_BYTES
                           and len(ours[PACK]) == PACK_BYTES and ours.get(SECRET) != b"")
    if not right or not 0 <= ours.get(ASK_NOT_BEFORE, 0) < END_OF_TIME:
        raise _malformed()
    return Pass(
        PassId(claims[CTI].hex()), VenueId(claims[ISS]), ours[REF], custody, Instant(claims[IAT]),
        Instant(claims[EXP]), PurposeId(claims.get(AUD, "")), ours.get(FACE_ID, b""), ours.get(PACK, b""),
        ours.get(SECRET, b""), Instant(ours.get(ASK_NOT_BEFORE, 0)))


def _message(text: str) -> bytes:
    text = text.strip("\r\n")
    if not text.startswith(PREFIX) or len(text) > LONGEST:
        raise _malformed()
    try:
        return base45.decode(text[len(PREFIX) :])
    except BadInput:
        raise _malformed() from None


def _malformed() -> BadInput:
    return BadInput("pass-malformed", "This is not a pass, or it is cut short.")
