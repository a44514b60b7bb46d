"""Those who sign in at the console, and the API keys that they hand out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from countenance.access import keys, operators
from countenance.access.keys import KeyFacts
from countenance.access.roles import Role
from countenance.clock import utc_text
from countenance.errors import BadInput, Refused
from countenance.quantities import HOUR, PurposeId
from countenance.server.api.models import Name, Strict
from countenance.server.routing import Caller, Here, Route

OWNER = frozenset({Role.OWNER})
IN_CHARGE = frozenset({Role.OWNER, Role.OPERATOR})


class NewOperator(Strict):
    """Somebody who is to sign in."""

    name: Name
    role: Name


class NewKey(Strict):
    """An API key to be made. `days`: none for as long as this venue allows."""

    role: Name
    label: Name
    gate: Annotated[str, StringConstraints(max_length=64)] = ""
    purposes: list[Name] = Field(default_factory=list, max_length=64)
    pressed: bool = False
    days: int | None = None


def list_operators(here: Here) -> dict[str, Any]:
    """Everybody who signs in at the console, or did."""
    with here.venue.store.read() as unit:
        found = operators.all_of(unit)
    return {"operators": [{"operator": one.operator_id, "name": one.name, "role": one.role.value,
                           "state": ("active" if one.ready else "invited") if one.active else "off",
                           "made_at": utc_text(one.made_at)} for one in found]}


def invite_operator(here: Here, caller: Caller, body: NewOperator) -> dict[str, Any]:
    """Invite somebody. They set their own password with the code, once, within a day."""
    with here.venue.store.write() as unit:
        code = operators.invite(unit, body.name, _role(body.role, "operator-role"), caller.operator_id)
    return {"code": code, "hours": operators.CODE_LASTS // HOUR}


def invite_operator_again(here: Here, caller: Caller, operator: str) -> dict[str, Any]:
    """Make a code for who lost their password or their code. Password, passkeys and sessions end at once."""
    with here.venue.store.write() as unit:
        code = operators.invite_again(unit, operator, caller.operator_id)
    return {"code": code, "hours": operators.CODE_LASTS // HOUR}


def switch_operator_off(here: Here, operator: str) -> dict[str, Any]:
    """Switch somebody off. Their sessions, passkeys and codes end, and every API key that they made."""
    with here.venue.store.write() as unit:
        revoked = operators.switch_off(unit, operator)
    here.venue.log.sign_if_possible()
    return {"operator": operator, "keys_revoked": revoked}


def list_keys(here: Here) -> dict[str, Any]:
    """Every API key, without what opens anything."""
    with here.venue.store.read() as unit:
        return {"keys": [_told(key, unit.now) for key in keys.all_of(unit)]}


def make_key(here: Here, caller: Caller, body: NewKey) -> dict[str, Any]:
    """Make an API key of a role below yours. `key` is shown this once, and kept nowhere."""
    most = here.venue.settings.key_days
    role, days = _role(body.role, "key-role"), most if body.days is None else body.days
    keys.require_may_make(caller, role)
    if days > most:
        raise BadInput("key-days", "A key may not last that long in this venue (server.key_days).")
    with here.venue.store.write() as unit:
        made = keys.make(unit, role, gate=body.gate, purposes=map(PurposeId, body.purposes), pressed=body.pressed,
                         label=body.label, by=caller.operator_id, days=days)
    here.venue.log.sign_if_possible()
    return {"id": made.key_id, "key": made.text, "expires_at": utc_text(made.expires_at)}


def revoke_key(here: Here, caller: Caller, key: str) -> None:
    """Revoke an API key of a role that you could make, at once."""
    with here.venue.store.write() as unit:
        found = next((one for one in keys.all_of(unit) if one.key_id == key), None)
        if found is None:
            raise Refused("api-key-unknown", "There is no API key of this number.")
        keys.require_may_make(caller, found.role)
        keys.revoke(unit, key)
    here.venue.log.sign_if_possible()


def _role(name: str, code: str) -> Role:
    if name not in {role.value for role in Role}:
        raise BadInput(code, "There is no such role.")
    return Role(name)


def _told(key: KeyFacts, now: int) -> dict[str, Any]:
    ended = "revoked" if key.revoked_at is not None else "expired" if now >= key.expires_at else ""
    return {"id": key.key_id, "role": key.role.value, "gate": key.gate, "purposes": list(key.purposes),
            "pressed": key.pressed, "label": key.label, "made_by": key.made_by, "made_at": utc_text(key.made_at),
            "expires_at": utc_text(key.expires_at), "state": ended or "good"}


_WHEN = "2026-06-21T09:00:00Z"
_INVITED = {"code": "7K2M-…", "hours": 24}
_KEY = {"id": "5d2f", "role": "gate", "gate": "main", "purposes": ["entry.verify"], "pressed": False, "label": "north",
        "made_by": "77ab", "made_at": _WHEN, "expires_at": _WHEN, "state": "good"}
ROUTES = [
    Route("GET", "/v1/operators", list_operators, OWNER, "List who signs in", {"operators": [
        {"operator": "77ab", "name": "Ada", "role": "owner", "state": "active", "made_at": _WHEN}]}),
    Route("POST", "/v1/operators", invite_operator, OWNER, "Invite an operator", _INVITED,
          {"name": "Ben", "role": "desk"},
          ("operator-name", "operator-role", "operator-name-taken", "operator-unknown", "owner-only"), 201,
          secret=True),
    Route("POST", "/v1/operators/{operator}/code", invite_operator_again, OWNER, "Invite an operator again", _INVITED,
          errors=("operator-unknown", "operator-off", "owner-last", "owner-only"), status=201, secret=True),
    Route("DELETE", "/v1/operators/{operator}", switch_operator_off, OWNER, "Switch an operator off",
          {"operator": "77ab", "keys_revoked": 2}, errors=("operator-unknown", "owner-last")),
    Route("GET", "/v1/keys", list_keys, IN_CHARGE, "List API keys", {"keys": [_KEY]}),
    Route("POST", "/v1/keys", make_key, IN_CHARGE, "Make an API key",
          {"id": "5d2f", "key": "cnt_5d2f…_…", "expires_at": _WHEN},
          {"role": "gate", "gate": "main", "purposes": ["entry.verify"], "label": "north", "days": 90},
          ("key-role", "key-role-higher", "key-gate", "key-purposes", "key-pressed", "key-label", "key-days"), 201,
          secret=True),
    Route("DELETE", "/v1/keys/{key}", revoke_key, IN_CHARGE, "Revoke an API key",
          errors=("api-key-unknown", "key-role-higher"), status=204),
]
