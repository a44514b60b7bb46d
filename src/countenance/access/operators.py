"""Those who sign in at the console: who they are, their passwords, and how the first owner comes in.

There is no default account. Whoever can run commands on the machine prints a one-time code, and that makes an owner;
owners invite the others. Passwords are kept as argon2id by the second recommendation of RFC 9106. Whether a name is
unknown, switched off or the password wrong takes the same work and gives the same answer.
"""

from __future__ import annotations

import threading
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from countenance.access import codes, keys, sessions
from countenance.access.roles import CONSOLE_ROLES, Role
from countenance.errors import BadInput, Refused
from countenance.quantities import HOUR, Instant, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from argon2 import PasswordHasher

CODE_LASTS = 24 * HOUR
"""Seconds a one-time code is good for. Fewer is stricter."""

SHORTEST, LONGEST, LONGEST_NAME = 12, 256, 64
"""Characters of a password, and of a name. A longer shortest password is stricter."""

ROUNDS, MEMORY_KIB, LANES = 3, 65_536, 4
"""Of argon2id. More rounds and more memory are stricter."""

AT_ONCE = 2
"""How many passwords are hashed at the same time: each takes 64 MiB, and more of them only wait for the processor."""

_DUMMY = ("$argon2id$v=19$m=65536,t=3,p=4$+YFgQm584FKvi8Ig9/POtg"
          "$nmEH2D85G/hrLcayc0ZqJ8lBOHEQCD8QKaF0BJfjn1Q")
"""What is checked where there is nothing to check. Whatever it was made of, nobody is signed in by it."""

_COMMON = frozenset((
    "123456789012", "1234567890123", "123456789123", "123123123123", "qwertyuiop12", "qwertyuiop123", "qwertyuiop[]",
    "qwerty123456", "1q2w3e4r5t6y", "1qaz2wsx3edc", "q1w2e3r4t5y6", "zaq12wsxcde3", "asdfghjkl123", "password1234",
    "password12345", "password123!", "passwordpassword", "iloveyou1234", "letmein12345", "welcome12345",
    "administrator", "administrator1", "changeme1234", "abcdefghijkl", "abcd12345678", "abc123456789", "countenance1",
    "countenance123", "correcthorsebatterystaple", "correct horse battery staple", "trustno1trustno1",
))
_AT_WORK = threading.BoundedSemaphore(AT_ONCE)
_OPERATOR = schema.operator
_BY_ID = select(_OPERATOR).where(_OPERATOR.c.operator_id == bindparam("wanted"))


class Hashed(str):
    """A password that was hashed already, outside of any transaction; no text from outside becomes one by accident."""

    __slots__ = ()


@dataclass(frozen=True)
class Operator:
    """What is shown of somebody who signs in. `ready`: they have a password; before, they have an unspent code."""

    operator_id: str
    name: str
    role: Role
    active: bool
    ready: bool
    made_at: Instant


@dataclass(frozen=True)
class Kept:
    """What there is to check a password against; the same for a name that nobody has. Never shown."""

    operator_id: str
    hash: str

    def __repr__(self) -> str:
        return "Kept()"


@dataclass(frozen=True)
class Proved:
    """That a password was right, for a row as it was. `anew`: its hash by today's parameters, where those differ."""

    operator_id: str
    hash: str
    anew: Hashed | None

    def __repr__(self) -> str:
        return "Proved()"


def first_code(unit: Unit) -> str:
    """Return a one-time code that makes an owner; older ones count no more. For the machine's own keyboard only."""
    return codes.put(unit, codes.OWNER, CODE_LASTS)


def invite(unit: Unit, name: str, role: Role, by: str) -> str:
    """Return a one-time code for somebody new, who sets a password with it. `by`: an owner's id.

    Raises BadInput: operator-name, operator-role; Refused: operator-name-taken, operator-unknown, owner-only.
    """
    _require_owner(unit, by)
    if role not in CONSOLE_ROLES:
        raise BadInput("operator-role", "Nobody signs in at the console in this role.")
    operator_id = _add(unit, plain_name(name), role)
    return codes.put(unit, codes.OPERATOR, CODE_LASTS, operator=operator_id)


def invite_again(unit: Unit, operator_id: str, by: str) -> str:
    """Return a code for who lost their password or their code: the password, passkeys and sessions end at once.

    Raises Refused: owner-only, operator-unknown, operator-off, owner-last.
    """
    _require_owner(unit, by)
    row = _known(unit, operator_id)
    if row.state != "active":
        raise Refused("operator-off", "This operator was switched off; invite them under another name.")
    _require_another_owner(unit, row)
    unit.run(update(_OPERATOR).where(_OPERATOR.c.operator_id == operator_id).values(password=""))
    unit.run(delete(schema.passkey).where(schema.passkey.c.operator_id == operator_id))
    sessions.end_all(unit, operator=operator_id)
    return codes.put(unit, codes.OPERATOR, CODE_LASTS, operator=operator_id)


def take_code(unit: Unit, code: str, name: str, password: str) -> str:
    """Spend a one-time code and set a password; return the operator's id.

    `password` may be what `hash_password` returned, so that the transaction does not wait for it. A first owner says
    their name; somebody invited has one already, and says the same or none. Raises Refused: code-unknown,
    operator-name-taken, operator-name-other; BadInput: operator-name, password-*. Then the code is good still.
    """
    kind, operator_id = _whose_code(unit, code)
    if kind == codes.OWNER:
        hashed = _hashed(password)
        codes.spend(unit, kind, code)
        operator_id = _add(unit, plain_name(name), Role.OWNER)
    else:
        if name.strip() and _named(unit, name) != _known(unit, operator_id):
            raise Refused("operator-name-other", "This code was made for somebody of another name.")
        hashed = _hashed(password)
        codes.spend(unit, kind, code)
    unit.run(update(_OPERATOR).where(_OPERATOR.c.operator_id == operator_id).values(password=str(hashed)))
    unit.tell("operator-made", {"operator": operator_id, "role": _known(unit, operator_id).role})
    return operator_id


def kept(unit: Unit, name: str) -> Kept:
    """Return what a password is checked against by `prove`, outside of any transaction."""
    row = _named(unit, name)
    if row is None or row.state != "active" or not row.password:
        return Kept("", _DUMMY)
    return Kept(row.operator_id, row.password)


def prove(against: Kept, password: str) -> Proved:
    """Check a password; about 0.1 s. Raises Refused(sign-in-failed)."""
    right = _matches(against.hash, password)
    if not right or not against.operator_id:
        raise _failed()
    stale = _hasher().check_needs_rehash(against.hash)
    return Proved(against.operator_id, against.hash, _hash(password) if stale else None)


def confirm(unit: Unit, proved: Proved) -> str:
    """Return who it is, if nothing changed since `kept`: nobody switched them off or changed the password meanwhile.

    Keeps the password's newer hash, where there is one; needs a unit that may write. Raises Refused(sign-in-failed).
    """
    row = unit.run(_BY_ID, {"wanted": proved.operator_id}).one_or_none()
    if row is None or row.state != "active" or row.password != proved.hash:
        raise _failed()
    if proved.anew is not None:
        unit.run(update(_OPERATOR).where(_OPERATOR.c.operator_id == row.operator_id).values(password=str(proved.anew)))
    return str(row.operator_id)


def check_password(unit: Unit, name: str, password: str) -> str:
    """Return whose name and password these are; writes nothing. Raises Refused(sign-in-failed) for any other pair.

    A server takes the three steps `kept`, `prove`, `confirm`, and holds no transaction while it hashes.
    """
    return prove(kept(unit, name), password).operator_id


def change_password(unit: Unit, operator_id: str, old: str | Proved, new: str) -> None:
    """Set another password; every session of the operator ends. A server proves the old and hashes the new before.

    Raises Refused: sign-in-failed where the old one is wrong, or not theirs; BadInput: password-*.
    """
    if isinstance(old, str):
        row = unit.run(_BY_ID, {"wanted": operator_id}).one_or_none()
        usable = row is not None and row.state == "active" and row.password
        old = prove(Kept(operator_id, row.password) if usable else Kept("", _DUMMY), old)
    if confirm(unit, old) != operator_id:
        raise _failed()
    unit.run(update(_OPERATOR).where(_OPERATOR.c.operator_id == operator_id).values(password=str(_hashed(new))))
    sessions.end_all(unit, operator=operator_id)


def switch_off(unit: Unit, operator_id: str, *, keep_keys: bool = False) -> int:
    """End an operator's sign-in, sessions, passkeys and codes, and revoke the keys they made; return how many keys.

    Whoever made a key has seen its secret, so it would let them in after they left; `keep_keys` is for who had
    others put in their place. Raises Refused: operator-unknown, owner-last. Switched off already: nothing changes.
    """
    row = _known(unit, operator_id)
    if row.state != "active":
        return 0
    _require_another_owner(unit, row)
    unit.run(update(_OPERATOR).where(_OPERATOR.c.operator_id == operator_id).values(state="off", password=""))
    unit.run(delete(schema.passkey).where(schema.passkey.c.operator_id == operator_id))
    sessions.end_all(unit, operator=operator_id)
    codes.void(unit, operator_id)
    unit.tell("operator-off", {"operator": operator_id})
    return 0 if keep_keys else keys.revoke_made_by(unit, operator_id)


def all_of(unit: Unit) -> list[Operator]:
    """Return what may be shown of every operator, oldest first."""
    rows = unit.run(select(_OPERATOR).order_by(_OPERATOR.c.made_at, _OPERATOR.c.name))
    return [Operator(row.operator_id, row.name, Role(row.role), row.state == "active", bool(row.password),
                     Instant(row.made_at)) for row in rows]


def hash_password(text: str) -> Hashed:
    """Return the argon2id hash of a new password; about 0.1 s, so outside of any transaction.

    Raises BadInput: password-short, password-long, password-common.
    """
    text = _one_form(text)
    if len(text) < SHORTEST:
        raise BadInput("password-short", f"A password has at least {SHORTEST} characters; several words are best.")
    if len(text) > LONGEST:
        raise BadInput("password-long", f"A password has at most {LONGEST} characters.")
    if text.casefold() in _COMMON or len(set(text)) < 5:  # so few different letters
        raise BadInput("password-common", "This password is among the first that anybody would try.")
    return _hash(text)


def plain_name(name: str) -> str:
    """Return a name as it is kept; two that differ in case or blanks only are one. Raises BadInput(operator-name)."""
    name = _one_line(name)
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise BadInput("operator-name", f"A name has 1 to {LONGEST_NAME} plain characters.")
    return name


def _one_line(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name[:4 * LONGEST_NAME]).split())


def _named(unit: Unit, name: str) -> Any:
    wanted = _one_line(name).casefold()  # they are few; what is unlike in Unicode only, SQLite cannot tell
    return next((row for row in unit.run(select(_OPERATOR)).all() if row.name.casefold() == wanted), None)


def _one_form(password: str) -> str:
    return unicodedata.normalize("NFC", password)  # keyboards differ in how they write one letter


def _hashed(password: str) -> Hashed:
    return password if isinstance(password, Hashed) else hash_password(password)


def _hash(password: str) -> Hashed:
    with _AT_WORK:
        return Hashed(_hasher().hash(_bytes(password)))


def _matches(kept_hash: str, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    if len(password) > LONGEST:
        password = ""  # takes as long, and is nobody's
    try:
        with _AT_WORK:
            return _hasher().verify(kept_hash, _bytes(password))
    except (Argon2Error, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    return _one_form(password).encode("utf-8", "surrogatepass")


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(ROUNDS, MEMORY_KIB, LANES, hash_len=32, salt_len=16)


def _add(unit: Unit, name: str, role: Role) -> str:
    if _named(unit, name) is not None:
        raise Refused("operator-name-taken", "Somebody has or had this name; say another, so that records stay clear.")
    operator_id = random_id()
    unit.run(insert(_OPERATOR).values(operator_id=operator_id, name=name, role=role.value, password="",
                                      state="active", made_at=unit.now))
    return operator_id


def _whose_code(unit: Unit, code: str) -> tuple[str, str]:
    try:
        return codes.OWNER, codes.look(unit, codes.OWNER, code).operator
    except Refused:
        return codes.OPERATOR, codes.look(unit, codes.OPERATOR, code).operator


def _known(unit: Unit, operator_id: str) -> Any:
    row = unit.run(_BY_ID, {"wanted": operator_id}).one_or_none()
    if row is None:
        raise Refused("operator-unknown", "There is no such operator.")
    return row


def _require_owner(unit: Unit, operator_id: str) -> None:
    row = _known(unit, operator_id)
    if row.role != Role.OWNER.value or row.state != "active" or not row.password:
        raise Refused("owner-only", "Only an owner invites others.")


def _require_another_owner(unit: Unit, row: Any) -> None:
    """Raise Refused(owner-last) where `row` is the only owner who can sign in."""
    others = select(func.count()).select_from(_OPERATOR).where(
        _OPERATOR.c.role == Role.OWNER.value, _OPERATOR.c.state == "active", _OPERATOR.c.password != "",
        _OPERATOR.c.operator_id != row.operator_id)
    if row.role == Role.OWNER.value and row.password and not unit.run(others).scalar_one():
        raise Refused("owner-last", "This is the last owner; make another first.")


def _failed() -> Refused:
    return Refused("sign-in-failed", "This did not sign you in.")
