"""API keys: how a gate, a desk's program or a witness says who it is.

A key is `cnt_<key id>_<secret>`; the secret is shown once, to whoever makes it, and the store has its hash only.
Each is bound to a role, a gate key to its gate, and all to the purposes that were named: one that names none opens
no face at all.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from countenance.access import codes
from countenance.access.roles import AT_A_GATE, KEY_ROLES, MAY_BE_PRESSED, Role, Who
from countenance.errors import BadInput, Refused
from countenance.quantities import DAY, Instant, PurposeId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit

MOST_DAYS = 400
"""How long a key may last at all; a venue may settle on less (server.key_days). Fewer is stricter."""

LONGEST_LABEL = 64
SECRET_BYTES = 32
_PURPOSES_BYTES = 2_000  # of the column
_FORM = re.compile(r"cnt_([0-9a-f]{32})_([a-z2-7]{52})")
_NOBODY = "0" * 64  # no text has this hash

_KEY = schema.api_key
_ONE = select(_KEY).where(_KEY.c.key_id == bindparam("wanted"))

MAY_MAKE = {
    Role.OWNER: KEY_ROLES,
    Role.OPERATOR: frozenset({Role.DESK, Role.GATE_STAFF, Role.GATE, Role.WITNESS}),
}
"""Who may make keys of which roles at the console. Nobody makes one that may do more than they may."""


@dataclass(frozen=True)
class NewKey:
    """A key as it is handed over, once."""

    key_id: str
    text: str
    expires_at: Instant

    def __repr__(self) -> str:
        return f"NewKey({self.key_id!r})"  # a trace shows no secret


@dataclass(frozen=True)
class KeyFacts:
    """What is shown of a key afterwards: nothing that opens anything."""

    key_id: str
    role: Role
    gate: str
    purposes: tuple[PurposeId, ...]
    pressed: bool
    label: str
    made_by: str
    made_at: Instant
    expires_at: Instant
    revoked_at: Instant | None


def make(unit: Unit, role: Role, *, gate: str = "", purposes: Iterable[PurposeId] = (), pressed: bool = False,
         label: str, by: str, days: int) -> NewKey:
    """Make a key. `by`: the operator's id, or "machine" for whoever sits at it; it stands in the log in the clear.

    `pressed`: each call of this key stands for somebody's press at the gate; without it is stricter.
    Raises BadInput: key-role, key-gate, key-purposes, key-pressed, key-label, key-days.
    """
    named = sorted(set(purposes))
    _require_sound(role, gate, pressed, label, days)
    _require_known(unit, gate, named)
    secret = base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode().rstrip("=").lower()
    key_id, expires_at = random_id(), Instant(unit.now + days * DAY)
    unit.run(insert(_KEY).values(
        key_id=key_id, secret_hash=codes.hash_of(secret), role=role.value, gate_id=gate, purposes=json.dumps(named),
        pressed=pressed, label=label.strip(), made_by=by, made_at=unit.now, expires_at=expires_at, revoked_at=None))
    unit.tell("key-made", {"key": key_id, "role": role.value, "gate": gate, "purposes": list(named),
                           "pressed": pressed, "by": by})
    return NewKey(key_id, f"cnt_{key_id}_{secret}", expires_at)


def who(unit: Unit, text: str) -> Who:
    """Return who a key stands for.

    Raises Refused: key-unknown (malformed, unknown and wrong alike), and for the true secret only key-revoked,
    key-expired.
    """
    form = _FORM.fullmatch(text)
    key_id, secret = form.groups() if form else ("", "")
    row: Any = unit.run(_ONE, {"wanted": key_id}).one_or_none()
    try:
        codes.same(secret, _NOBODY if row is None else row.secret_hash)
    except Refused:
        raise Refused("key-unknown", "This API key is not known here.") from None
    if row.revoked_at is not None:
        raise Refused("key-revoked", "This API key was revoked.")
    if unit.now >= row.expires_at:
        raise Refused("key-expired", "This API key has expired.")
    return Who(Role(row.role), row.label, key_id=row.key_id, gate=row.gate_id,
               purposes=frozenset(map(PurposeId, json.loads(row.purposes))), pressed=bool(row.pressed))


def revoke(unit: Unit, key_id: str) -> None:
    """Make a key worth nothing, from this commit on; once is enough. Raises Refused(key-unknown)."""
    row = unit.run(_ONE, {"wanted": key_id}).one_or_none()
    if row is None:
        raise Refused("key-unknown", "This API key is not known here.")
    if row.revoked_at is None:
        unit.run(update(_KEY).where(_KEY.c.key_id == key_id).values(revoked_at=unit.now))
        unit.tell("key-revoked", {"key": key_id})


def revoke_made_by(unit: Unit, by: str) -> int:
    """Revoke every key that somebody made and that is good still; return how many."""
    mine = [key.key_id for key in all_of(unit) if key.made_by == by and key.revoked_at is None
            and unit.now < key.expires_at]
    for key_id in mine:
        revoke(unit, key_id)
    return len(mine)


def all_of(unit: Unit) -> list[KeyFacts]:
    """Return what may be shown of every key, oldest first."""
    return [_facts(row) for row in unit.run(select(_KEY).order_by(_KEY.c.made_at, _KEY.c.key_id))]


def require_may_make(who: Who, role: Role) -> None:
    """Raise Refused(key-role-higher) unless `who`, signed in at the console, may make keys of a role."""
    if who.key_id or role not in MAY_MAKE.get(who.role, frozenset()):
        raise Refused("key-role-higher", "You may not make a key of this role.")


def _require_sound(role: Role, gate: str, pressed: bool, label: str, days: int) -> None:
    if role not in KEY_ROLES:
        raise BadInput("key-role", "No API key has this role; whoever has it signs in.")
    if (role in AT_A_GATE) != bool(gate):
        raise BadInput("key-gate", "A key of a gate or its staff names that gate, and no other key names one.")
    if pressed and role not in MAY_BE_PRESSED:
        raise BadInput("key-pressed", "Only a key of a gate, its staff or a desk can stand for a press.")
    label = label.strip()
    if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable():
        raise BadInput("key-label", f"Say in 1 to {LONGEST_LABEL} plain characters what the key is for.")
    if not 1 <= days <= MOST_DAYS:
        raise BadInput("key-days", f"A key lasts 1 to {MOST_DAYS} days.")


def _require_known(unit: Unit, gate: str, purposes: list[PurposeId]) -> None:
    if gate and unit.run(select(schema.gate.c.gate_id).where(schema.gate.c.gate_id == gate)).one_or_none() is None:
        raise BadInput("key-gate", "There is no such gate.")
    known = set(unit.run(select(schema.purpose.c.purpose_id)).scalars())
    if not known.issuperset(purposes) or len(json.dumps(purposes)) > _PURPOSES_BYTES:
        raise BadInput("key-purposes", "A key names purposes that this venue has.")


def _facts(row: Any) -> KeyFacts:
    return KeyFacts(row.key_id, Role(row.role), row.gate_id, tuple(map(PurposeId, json.loads(row.purposes))),
                    bool(row.pressed), row.label, row.made_by, Instant(row.made_at), Instant(row.expires_at),
                    None if row.revoked_at is None else Instant(row.revoked_at))
