"""A door token: one admission, for a door's controller to verify by itself (docs/formats/door_token.md is normative).

`CND1:` + base64url, without padding, of a COSE_Sign1 (EdDSA) over CWT claims (RFC 8392). Not base45, as a pass is: no
token is ever printed, and base45's space, `%` and `+` change their meaning in addresses and forms. A token names a
venue, a gate, how many may come in, and ten seconds; nothing in it says who, and two tokens of one person have
nothing in common.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput, Refused
from countenance.formats import canonical, cose
from countenance.quantities import END_OF_TIME, Instant, VenueId

PREFIX = "CND1:"
LONGEST = 1_024
"""Characters."""
GOOD_FOR_S = 10
"""Seconds between `issued_at` and `expires_at`, at most. Less is stricter."""
AHEAD_S = 2
"""How far a controller's clock may lag behind the venue's, in seconds. Less is stricter."""
TOKEN_ID_BYTES = 16
MOST_PEOPLE = 99
LONGEST_NAME = 128
"""Bytes (UTF-8) of the venue, and of the gate."""

ISS, SUB, EXP, IAT, CTI = 1, 2, 4, 6, 7
PEOPLE = -65538
"""For private use (RFC 8392 9.1)."""

_KINDS = {ISS: str, SUB: str, EXP: int, IAT: int, CTI: bytes, PEOPLE: int}
_WHAT = "door-token"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class DoorToken:
    """The signed content. `token_id` is random, 16 bytes; a controller takes it once."""

    venue: VenueId
    gate: str
    issued_at: Instant
    expires_at: Instant
    token_id: bytes
    people: int = 1


def issue(venue: VenueId, gate: str, now: Instant, people: int = 1) -> DoorToken:
    """Return a new token for one admission, good for ten seconds from `now`."""
    return DoorToken(venue, gate, now, Instant(now + GOOD_FOR_S), secrets.token_bytes(TOKEN_ID_BYTES), people)


def write(token: DoorToken, key: Ed25519PrivateKey, kid: bytes) -> str:
    """Return the text of a token. Raises BadInput(door-token-malformed) for one that nobody would read."""
    claims = {ISS: token.venue, SUB: token.gate, EXP: token.expires_at, IAT: token.issued_at, CTI: token.token_id,
              PEOPLE: token.people}
    _checked(claims)
    message = cose.sign1(canonical.encode(claims), key, kid)
    return PREFIX + base64.urlsafe_b64encode(message).rstrip(b"=").decode()


def read(text: str, public_key: Ed25519PublicKey, now: Instant, gate: str, venue: VenueId) -> DoorToken:
    """Read and verify a token at the door of `gate`. Whether it was spent before, `Spent` knows.

    Raises BadInput: door-token-malformed, door-token-altered; Refused: door-token-other-venue, door-token-other-gate,
    door-token-from-future (issued more than AHEAD_S seconds from now), door-token-expired.
    """
    token = _checked(canonical.decode(cose.verify1(_message(text), public_key, _WHAT), _WHAT))
    if token.venue != venue:
        raise Refused("door-token-other-venue", "This door token is of another venue.")
    if token.gate != gate:
        raise Refused("door-token-other-gate", "This door token is for another gate.")
    if token.issued_at > now + AHEAD_S:
        raise Refused("door-token-from-future", "This door token is from the future, or this clock is slow.")
    if now >= token.expires_at:
        raise Refused("door-token-expired", "This door token has expired.")
    return token


def peek(text: str) -> DoorToken:
    """Return what a token says, unverified: for whoever has just written it. Raises BadInput(door-token-malformed)."""
    parts = canonical.decode(_message(text), _WHAT)
    try:
        _protected, _unprotected, payload, _signature = parts.value
        return _checked(canonical.decode(payload, _WHAT))
    except (AttributeError, TypeError, ValueError):
        raise _malformed() from None


class Spent:
    """The tokens that a controller has taken: at most `most` at once, each until it expires. Thread safe.

    A full memory refuses; it never forgets a token that could still be shown. A clock that is set back brings no
    token back.
    """

    def __init__(self, most: int = 4_096) -> None:
        self._most = most
        self._lock = Lock()
        self._until: dict[bytes, Instant] = {}
        self._latest = Instant(0)

    def take(self, token: DoorToken, now: Instant) -> None:
        """Take a token that `read` gave. Raises Refused: door-token-spent, door-token-expired, door-token-full."""
        with self._lock:
            self._latest = max(self._latest, now)
            if token.expires_at <= self._latest:
                raise Refused("door-token-expired", "This door token has expired.")
            if token.token_id in self._until:
                raise Refused("door-token-spent", "This door token was spent before.")
            if len(self._until) >= self._most:
                self._until = {one: until for one, until in self._until.items() if until > self._latest}
            if len(self._until) >= self._most:
                raise Refused("door-token-full", "This door has taken as many tokens as it can remember.")
            self._until[token.token_id] = token.expires_at


def _checked(claims: Any) -> DoorToken:
    if not isinstance(claims, dict) or set(claims) != set(_KINDS) or any(type(name) is not int for name in claims):
        raise _malformed()  # in Python, true is 1
    if any(type(claims[name]) is not kind for name, kind in _KINDS.items()):
        raise _malformed()
    right = (all(0 < len(claims[name].encode()) <= LONGEST_NAME for name in (ISS, SUB))
             and 0 < claims[IAT] < claims[EXP] < END_OF_TIME and claims[EXP] - claims[IAT] <= GOOD_FOR_S
             and len(claims[CTI]) == TOKEN_ID_BYTES and 1 <= claims[PEOPLE] <= MOST_PEOPLE)
    if not right:
        raise _malformed()
    return DoorToken(VenueId(claims[ISS]), claims[SUB], Instant(claims[IAT]), Instant(claims[EXP]), claims[CTI],
                     claims[PEOPLE])


def _message(text: str) -> bytes:
    body = text[len(PREFIX) :]
    if len(text) > LONGEST or not text.startswith(PREFIX) or not _BASE64URL.fullmatch(body):
        raise _malformed()
    try:
        message = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if base64.urlsafe_b64encode(message).rstrip(b"=").decode() != body:  # its last bits may be anything
        raise _malformed()
    return message


def _malformed() -> BadInput:
    return BadInput("door-token-malformed", "This is not a door token, or it is cut short.")
