"""Sessions of those who signed in: a token in a cookie, and a second secret that pages send along (CSRF).

A session begins with a token that was never anywhere before, so nobody can plant one. The store has hashes only.
It ends when nobody used it for a while, at the latest after twelve hours, and when whoever it belongs to is
switched off. Time is the unit's, which never goes back. Reading writes nothing: `looked_up` moves the time of last
use once a minute, and removes what has expired, so that a clock that is set back revives nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from countenance.access import codes
from countenance.access.roles import Role, Who
from countenance.errors import Refused
from countenance.quantities import HOUR, MINUTE, Instant, PersonId
from countenance.storage import schema
from countenance.storage.unit import Store, Unit

IDLE = {"operator": 30 * MINUTE, "person": 15 * MINUTE}
"""Seconds without use after which a session ends. Fewer is stricter."""

LONGEST = 12 * HOUR
"""Seconds after which it ends in any case. Fewer is stricter."""

SEEN_EVERY = MINUTE
"""How seldom the time of last use is written; a session may end that much earlier, never later."""

_SESSION, _OPERATOR = schema.session, schema.operator
_FOUND = select(_SESSION).where(_SESSION.c.token_hash == bindparam("wanted"))
_ACTIVE = select(_OPERATOR.c.name, _OPERATOR.c.role).where(
    _OPERATOR.c.operator_id == bindparam("wanted"), _OPERATOR.c.state == "active", _OPERATOR.c.password != "")
_PERSON = select(schema.person.c.person_id).where(schema.person.c.person_id == bindparam("wanted"))
_NONE = "You are not signed in."


class Token(str):
    """A session's token, which `Who` carries so that the session can be ended; no trace and no log line shows it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Token()"


@dataclass(frozen=True)
class NewSession:
    """What the browser gets, once: `token` in a cookie, `csrf` in the page."""

    token: str
    csrf: str
    expires_at: Instant

    def __repr__(self) -> str:
        return f"NewSession(until {self.expires_at})"  # a trace shows no secret


def begin(unit: Unit, *, operator: str = "", person: PersonId = codes.NOBODY, instead_of: str = "") -> NewSession:
    """Begin a session of an operator who may sign in, or of a person; `instead_of`: a token that ends with it.

    Raises Refused(sign-in-failed) where there is no such operator, or person, any more.
    """
    _require_there(unit, operator, person)
    if instead_of:
        end(unit, instead_of)
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    expires_at = Instant(unit.now + LONGEST)
    unit.run(insert(_SESSION).values(
        token_hash=codes.hash_of(token), kind="operator" if operator else "person", operator_id=operator,
        person_id=person, csrf_hash=codes.hash_of(csrf), made_at=unit.now, seen_at=unit.now,
        expires_at=expires_at, delete_at=expires_at))
    return NewSession(token, csrf, expires_at)


def who(unit: Unit, token: str) -> Who:
    """Return who is signed in by a token, with the token as `session`; writes nothing.

    Raises Refused(session-unknown, session-expired).
    """
    return _who(unit, _alive(unit, token), token)


def looked_up(store: Store, token: str) -> Who:
    """As `who`, for each request: also keeps the session from ending of idleness, and removes one that has ended."""
    try:
        with store.read() as unit:
            row = _alive(unit, token)
            found, due = _who(unit, row, token), unit.now - row.seen_at >= SEEN_EVERY
    except Refused as refused:
        if refused.code == "session-expired":
            with store.write() as unit:
                _remove_if_over(unit, token)
        raise
    if due:
        with store.write() as unit:
            touch(unit, token)
    return found


def touch(unit: Unit, token: str) -> None:
    """Write down that a session is in use. Raises as `who`."""
    row = _alive(unit, token)
    unit.run(update(_SESSION).where(_SESSION.c.token_hash == row.token_hash).values(seen_at=unit.now))


def require_csrf(unit: Unit, token: str, csrf: str) -> None:
    """Raise Refused(csrf-missing) unless `csrf` was given out with this session. Raises as `who`, too."""
    row = _alive(unit, token)
    try:
        codes.same(csrf, row.csrf_hash)
    except Refused:
        raise Refused("csrf-missing", "This request did not come from a page of this console.") from None


def renew_csrf(unit: Unit, token: str) -> str:
    """Return a new CSRF secret for a page that lost its own; the older counts no more. Raises as `who`."""
    row = _alive(unit, token)
    csrf = secrets.token_urlsafe(32)
    unit.run(update(_SESSION).where(_SESSION.c.token_hash == row.token_hash).values(csrf_hash=codes.hash_of(csrf)))
    return csrf


def end(unit: Unit, token: str) -> None:
    """End a session; none is no error."""
    unit.run(delete(_SESSION).where(_SESSION.c.token_hash == codes.hash_of(token)))


def end_all(unit: Unit, *, operator: str = "", person: PersonId = codes.NOBODY, but: str = "") -> int:
    """End every session of an operator or of a person, all `but` the one of a token; return how many those were."""
    whose = _SESSION.c.operator_id == operator if operator else _SESSION.c.person_id == person
    if not operator and not person:
        return 0
    done = unit.run(delete(_SESSION).where(whose, _SESSION.c.token_hash != codes.hash_of(but)))
    return int(done.rowcount)


def _require_there(unit: Unit, operator: str, person: PersonId) -> None:
    there = None
    if bool(operator) != bool(person):
        there = unit.run(_ACTIVE if operator else _PERSON, {"wanted": operator or person}).one_or_none()
    if there is None:
        raise Refused("sign-in-failed", "This did not sign you in.")


def _alive(unit: Unit, token: str) -> Any:
    row = unit.run(_FOUND, {"wanted": codes.hash_of(token)}).one_or_none()
    if row is None:
        raise Refused("session-unknown", _NONE)
    if _over(unit, row):
        raise Refused("session-expired", "You were signed out after a while; sign in again.")
    return row


def _over(unit: Unit, row: Any) -> bool:
    return bool(unit.now >= row.expires_at or unit.now - row.seen_at >= IDLE[row.kind])


def _remove_if_over(unit: Unit, token: str) -> None:
    row = unit.run(_FOUND, {"wanted": codes.hash_of(token)}).one_or_none()
    if row is not None and _over(unit, row):
        end(unit, token)


def _who(unit: Unit, row: Any, token: str) -> Who:
    if row.kind == "person":
        return Who(Role.PERSON, "", person=PersonId(row.person_id), session=Token(token))
    operator = unit.run(_ACTIVE, {"wanted": row.operator_id}).one_or_none()
    if operator is None:
        raise Refused("session-unknown", _NONE)
    return Who(Role(operator.role), operator.name, operator_id=row.operator_id, session=Token(token))
