"""Passkeys (WebAuthn, by py_webauthn): to sign in without a password that could be told to somebody else.

The authenticator must have verified its user, each challenge counts once and for five minutes, and an answer counts
for this console's own address only. A counter that does not rise is refused: the key may have been copied. Whatever
is wrong with an answer, the refusal is the same. Keys are discoverable, so the options for signing in are the same
for every name, and tell nobody which names there are.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from countenance.clock import Clock
from countenance.errors import BadInput, Refused
from countenance.quantities import MINUTE, Instant
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

LASTS = 5 * MINUTE
"""Seconds a challenge is good for. Fewer is stricter."""

MOST_WAITING = 10_000
"""Challenges in memory at once; beyond, the oldest go. Whoever asks for them is limited by address before."""

MOST_EACH = 10
"""Passkeys of one operator."""

CHALLENGE_BYTES = 32
LARGEST_ANSWER, LONGEST_LABEL, LONGEST_ID = 64 << 10, 64, 1_023
"""Characters of JSON and of a label; bytes of a credential id (the standard's)."""

_KEY, _OPERATOR = schema.passkey, schema.operator


@dataclass(frozen=True)
class Waiting:
    """A challenge that was given out, and to whom: an operator's id, or "" for whoever wants to sign in."""

    for_whom: str
    challenge: bytes


@dataclass(frozen=True)
class Passkey:
    """What is shown of a passkey."""

    credential_id: str
    label: str
    made_at: Instant


class Challenges:
    """Challenges that wait for their answer, in memory. Several threads may use it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, tuple[float, Waiting]] = OrderedDict()
        self._lock = Lock()

    def put(self, for_whom: str, challenge: bytes) -> str:
        """Keep a challenge; return the id by which `take` gives it back, once."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._waiting[name] = (self._clock.monotonic() + LASTS, Waiting(for_whom, challenge))
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        return name

    def take(self, name: str) -> Waiting:
        """Return a challenge, and forget it. Raises Refused(passkey-failed)."""
        with self._lock:
            until, waiting = self._waiting.pop(name, (0.0, None))
        if waiting is None or self._clock.monotonic() >= until:
            raise _failed()
        return waiting


def registration_options(unit: Unit, operator_id: str, name: str, rp_id: str, rp_name: str) -> tuple[str, bytes]:
    """Return what a browser needs to make a passkey, as JSON, and the challenge. `rp_id`: the console's host name."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers import structs

    mine = [structs.PublicKeyCredentialDescriptor(id=_bytes(key.credential_id)) for key in all_of(unit, operator_id)]
    options = generate_registration_options(
        rp_id=rp_id, rp_name=rp_name, user_name=name, user_id=operator_id.encode(),
        challenge=secrets.token_bytes(CHALLENGE_BYTES), exclude_credentials=mine, supported_pub_key_algs=_algorithms(),
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED))
    return options_to_json(options), options.challenge


def register(unit: Unit, operator_id: str, challenge: bytes, answer: str, rp_id: str, origin: str, label: str) -> str:
    """Keep a new passkey of an operator who is signed in; return its id.

    `origin`: such as "https://zoo.example". Raises Refused(passkey-failed, passkey-many), BadInput(passkey-label).
    """
    from webauthn import verify_registration_response

    label = label.strip()
    if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable():
        raise BadInput("passkey-label", f"Name the passkey in 1 to {LONGEST_LABEL} plain characters.")
    _require_active(unit, operator_id)
    if len(all_of(unit, operator_id)) >= MOST_EACH:
        raise Refused("passkey-many", f"There are {MOST_EACH} passkeys already; take one away first.")
    told = _answer(answer)
    try:
        proved = verify_registration_response(
            credential=told, expected_challenge=challenge, expected_rp_id=rp_id, expected_origin=origin,
            require_user_verification=True, supported_pub_key_algs=_algorithms())
        credential_id = _text(proved.credential_id)
    except Exception:  # noqa: BLE001  # whatever a parser makes of a stranger's bytes, it is no passkey
        raise _failed() from None
    if len(proved.credential_id) > LONGEST_ID or _row(unit, credential_id) is not None:
        raise _failed()
    unit.run(insert(_KEY).values(credential_id=credential_id, operator_id=operator_id,
                                 public_key=proved.credential_public_key, sign_count=proved.sign_count, label=label,
                                 made_at=unit.now))
    return credential_id


def sign_in_options(rp_id: str) -> tuple[str, bytes]:
    """Return what a browser needs to use a passkey, as JSON, and the challenge; the same for everybody."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    options = generate_authentication_options(rp_id=rp_id, challenge=secrets.token_bytes(CHALLENGE_BYTES),
                                              user_verification=UserVerificationRequirement.REQUIRED)
    return options_to_json(options), options.challenge


def sign_in(unit: Unit, challenge: bytes, answer: str, rp_id: str, origin: str) -> str:
    """Return whose passkey answered; needs a unit that may write. Raises Refused(passkey-failed)."""
    from webauthn import verify_authentication_response

    told = _answer(answer)
    row = _row(unit, str(told.get("id")))
    if row is None:
        raise _failed()
    _require_active(unit, row.operator_id)
    try:
        proved = verify_authentication_response(
            credential=told, expected_challenge=challenge, expected_rp_id=rp_id, expected_origin=origin,
            credential_public_key=row.public_key, credential_current_sign_count=row.sign_count,
            require_user_verification=True)
        handle = told["response"].get("userHandle")
        whose = row.operator_id if handle is None else _bytes(handle).decode()
    except Exception:  # noqa: BLE001  # as above
        raise _failed() from None
    if whose != row.operator_id:
        raise _failed()
    unit.run(update(_KEY).where(_KEY.c.credential_id == row.credential_id).values(sign_count=proved.new_sign_count))
    return str(row.operator_id)


def all_of(unit: Unit, operator_id: str) -> list[Passkey]:
    """Return an operator's passkeys, oldest first."""
    rows = unit.run(select(_KEY).where(_KEY.c.operator_id == operator_id).order_by(_KEY.c.made_at))
    return [Passkey(row.credential_id, row.label, Instant(row.made_at)) for row in rows]


def take_away(unit: Unit, operator_id: str, credential_id: str) -> None:
    """Remove one of an operator's own passkeys. Raises Refused(passkey-unknown)."""
    mine = delete(_KEY).where(_KEY.c.operator_id == operator_id, _KEY.c.credential_id == credential_id)
    if not unit.run(mine).rowcount:
        raise Refused("passkey-unknown", "There is no such passkey of yours.")


def _algorithms() -> list[COSEAlgorithmIdentifier]:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm

    return [Algorithm.EDDSA, Algorithm.ECDSA_SHA_256]


def _answer(text: str) -> dict[str, Any]:
    if len(text) > LARGEST_ANSWER:
        raise _failed()
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise _failed() from None
    if not isinstance(told, dict):
        raise _failed()
    return told


def _row(unit: Unit, credential_id: str) -> Any:
    return unit.run(select(_KEY).where(_KEY.c.credential_id == credential_id)).one_or_none()


def _require_active(unit: Unit, operator_id: str) -> None:
    found = select(_OPERATOR.c.state).where(_OPERATOR.c.operator_id == operator_id, _OPERATOR.c.password != "")
    if unit.run(found).scalar_one_or_none() != "active":
        raise _failed()


def _bytes(text: str) -> bytes:
    from webauthn.helpers import base64url_to_bytes

    return base64url_to_bytes(text)


def _text(data: bytes) -> str:
    from webauthn.helpers import bytes_to_base64url

    return bytes_to_base64url(data)


def _failed() -> Refused:
    return Refused("passkey-failed", "This passkey did not sign you in.")
