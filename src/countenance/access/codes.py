"""Secrets that people type or carry: how they are made, read back and kept, and codes that are spent once.

What is random here has at least 100 bits, so one SHA-256 keeps it as well as a slow hash would; the store never has
the text. Passwords, which people choose, are another matter (access/operators.py).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from countenance.errors import Refused
from countenance.quantities import PersonId
from countenance.storage import schema
from countenance.storage.unit import Unit

OWNER, OPERATOR, INVITE = "owner", "operator", "invite"
"""What a one-time code is for."""

NOBODY = PersonId("")

CODE_LETTERS = 20
"""Of a code that is typed; 5 bits each."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no letter that is read as another
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0", " ": None, "-": None, "\t": None, "\n": None, "\r": None})
_LONGEST = 200

_ONE = schema.one_time


@dataclass(frozen=True)
class OneTime:
    """Whom a one-time code is for; either may be empty."""

    operator: str
    person: PersonId


def hash_of(text: str) -> str:
    """Return what the store keeps of a random secret: its SHA-256 in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same(text: str, kept: str) -> None:
    """Raise Refused(secret-other) unless the text's hash is the one that was kept; takes as long for any text."""
    if not secrets.compare_digest(hash_of(text), kept):
        raise Refused("secret-other", "This is not the secret.")


def typed_code() -> str:
    """Return a new code of 100 bits: 20 letters in groups of 4, none of which is read as another."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_LETTERS))
    return "-".join(letters[at:at + 4] for at in range(0, CODE_LETTERS, 4))


def plain(text: str) -> str:
    """Return a typed code as it was made: without case, blanks, dashes and misread letters."""
    return text[:_LONGEST].upper().translate(_MISREAD)


def put(unit: Unit, kind: str, lasts: int, *, operator: str = "", person: PersonId = NOBODY) -> str:
    """Make a one-time code good for `lasts` seconds; older ones of the same kind for the same one are void."""
    unit.run(delete(_ONE).where(_ONE.c.kind == kind, _ONE.c.operator_id == operator, _ONE.c.person_id == person))
    code, until = typed_code(), unit.now + lasts
    unit.run(insert(_ONE).values(code_hash=hash_of(plain(code)), kind=kind, operator_id=operator, person_id=person,
                                 expires_at=until, delete_at=until))
    return code


def look(unit: Unit, kind: str, code: str) -> OneTime:
    """Return whom a code is for, and leave it as it is. Raises Refused(code-unknown): spent, expired or never made."""
    row = unit.run(select(_ONE).where(_ONE.c.code_hash == hash_of(plain(code)), _ONE.c.kind == kind)).one_or_none()
    if row is None or unit.now >= row.expires_at:
        raise Refused("code-unknown", "This code is not known here; it may be spent, or too old.")
    return OneTime(row.operator_id, PersonId(row.person_id))


def spend(unit: Unit, kind: str, code: str) -> OneTime:
    """Return whom a code is for; it counts no more once the unit commits. Raises Refused(code-unknown)."""
    found = look(unit, kind, code)
    unit.run(delete(_ONE).where(_ONE.c.code_hash == hash_of(plain(code))))
    return found


def void(unit: Unit, operator: str) -> None:
    """Make every code for an operator worth nothing."""
    unit.run(delete(_ONE).where(_ONE.c.operator_id == operator, _ONE.c.kind == OPERATOR))
