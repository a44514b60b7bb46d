"""A pass: what its holder carries to the gate (docs/formats/pass.md is normative).

`CN1:` + base45 of a COSE_Sign1 (EdDSA) over a CWT claims map (RFC 8392). Everything the lane without
faces needs is in the clear and signed: it checks with a public key alone. A secret, where there is one,
is a COSE_Encrypt0 inside, under this pass's own key, which the venue keeps and can destroy; the pass
then goes on as a plain one. (Why the signature is outside: docs/decisions/0003.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import base45, canonical, cose
from countenance.quantities import Instant, PassId, PersonId, PurposeId, VenueId

PREFIX = "CN1:"
LONGEST = 4_296
"""Characters: what the largest QR code holds (ISO/IEC 18004, version 40-L, alphanumeric)."""


class Custody(Enum):
    """Where the template is (DESIGN 3). `CARRIED` comes with the custody issue."""

    PLAIN = "plain"
    HOLDER_KEYED = "holder_keyed"
    VENUE_KEYED = "venue_keyed"


ISS, SUB, AUD, EXP, IAT, CTI = 1, 2, 3, 4, 6, 7
REF, ASK_NOT_BEFORE, CUSTODY, FACE_ID, PACK, SECRET, FORMAT = range(-65543, -65536)
"""Claims for private use (RFC 8392 9.1: below -65536)."""


_NOBODY, _NOTHING, _NEVER = PersonId(""), PurposeId(""), Instant(0)


@dataclass(frozen=True)
class Pass:
    """The signed content. `person` is empty on the pass of somebody who said no: there is no such record.

    `reference` is the venue's own booking number, `purpose` is empty on a plain pass; `secret` is a
    COSE_Encrypt0; `ask_not_before` is the moment before which its holder may not be asked again.
    """

    pass_id: PassId
    venue: VenueId
    reference: str
    custody: Custody
    issued_at: Instant
    expires_at: Instant
    person: PersonId = _NOBODY
    purpose: PurposeId = _NOTHING
    face_id: bytes = b""
    pack: str = ""
    secret: bytes = b""
    ask_not_before: Instant = _NEVER

    def binding(self) -> bytes:
        """Return the external data under which `secret` is sealed: it opens in no other pass."""
        return canonical.encode(["countenance/pass-secret/1", self.pass_id, self.venue, self.person,
                                 self.purpose, self.face_id, self.pack])


def write(content: Pass, key: Ed25519PrivateKey, kid: bytes) -> str:
    """Return the text of a pass. Raises BadInput(pass-too-long)."""
    claims: dict[int, Any] = {
        ISS: content.venue, AUD: content.purpose, EXP: content.expires_at, IAT: content.issued_at,
        CTI: bytes.fromhex(content.pass_id), SUB: content.person, REF: content.reference,
        ASK_NOT_BEFORE: content.ask_not_before, CUSTODY: content.custody.value,
        FACE_ID: content.face_id, PACK: content.pack, SECRET: content.secret, FORMAT: 1,
    }
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
    kinds = {ISS: str, AUD: str, EXP: int, IAT: int, CTI: bytes, SUB: str, REF: str,
             ASK_NOT_BEFORE: int, CUSTODY: str, FACE_ID: bytes, PACK: str, SECRET: bytes, FORMAT: int}
    if not isinstance(claims, dict) or set(claims) != set(kinds) or claims[FORMAT] != 1:
        raise _malformed()
    if any(type(claims[name]) is not kind for name, kind in kinds.items()):
        raise _malformed()
    return _checked(claims)


def _checked(claims: dict[int, Any]) -> Pass:
    try:
        custody = Custody(claims[CUSTODY])
    except ValueError:
        raise _malformed() from None
    plain = custody is Custody.PLAIN
    sealed = custody is Custody.HOLDER_KEYED
    right = (
        len(claims[CTI]) == 16 and 0 < claims[IAT] < claims[EXP]
        and plain == (claims[FACE_ID] == b"") == (claims[AUD] == "") == (claims[PACK] == "")
        and (plain or (len(claims[FACE_ID]) == 16 and claims[SUB] != ""))
        and sealed == (claims[SECRET] != b"")
    )
    if not right:
        raise _malformed()
    return Pass(
        PassId(claims[CTI].hex()), VenueId(claims[ISS]), claims[REF], custody,
        Instant(claims[IAT]), Instant(claims[EXP]), PersonId(claims[SUB]), PurposeId(claims[AUD]),
        claims[FACE_ID], claims[PACK], claims[SECRET], Instant(claims[ASK_NOT_BEFORE]),
    )


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
