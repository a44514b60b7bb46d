"""Who signs in at the console, and with what.

A sign-in gives a session that was never anywhere before, and ends the one that the browser had. An unknown name and a
wrong password are the same answer after the same work. Passwords are hashed in threads of their own, so that whoever
tries many of them keeps no gate waiting, and never while a transaction is open.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
from anyio import to_thread
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from countenance.access import codes, operators, passkeys, sessions
from countenance.access.roles import CONSOLE_ROLES, Role, Who
from countenance.access.sessions import NewSession
from countenance.clock import utc_text
from countenance.errors import BadInput, Refused
from countenance.quantities import DAY
from countenance.server.api import staff
from countenance.server.api.models import Code, Name, Strict
from countenance.server.routing import ANYONE, Caller, Here, Route, address_of
from countenance.server.state import Serving
from countenance.storage.unit import Unit

EVERYBODY = frozenset(Role)

CODES_PER_MINUTE, PASSKEYS_PER_MINUTE = 10, 30
"""Attempts from one address. Fewer is stricter."""

DEVICE_DAYS = 365
_HASHING = anyio.CapacityLimiter(2 * operators.AT_ONCE)
T = TypeVar("T")

Password = Annotated[str, StringConstraints(max_length=1_024)]
MaybeName = Annotated[str, StringConstraints(max_length=64)]
Number = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class First(Strict):
    """A one-time code, and what its owner wants to be called; who was invited has a name already."""

    code: Code
    name: MaybeName = ""
    password: Password


class SignIn(Strict):
    """A name and its password."""

    name: Name
    password: Password


class NewPassword(Strict):
    """The password so far, and the next one."""

    old: Password
    new: Password


class Answered(Strict):
    """What a browser's passkey answered (`PublicKeyCredential.toJSON()`), and to which challenge."""

    id: Number
    answer: dict[str, Any]


class NewPasskey(Answered):
    """As `Answered`, with a name for the passkey."""

    label: Name


# sessions

async def start_first_session(here: Here, request: Request, response: Response, body: First) -> dict[str, Any]:
    """Spend a one-time code: set a password, and sign in by it. A code that is refused is good still."""
    return await _aside(_first, here, request, response, body)


def _first(here: Serving, request: Request, response: Response, body: First) -> dict[str, Any]:
    try:
        with here.venue.store.read() as unit:
            _require_code(unit, body.code)  # nobody without one has anything hashed
    except Refused:
        here.limits.attempt("code", address_of(request), per_minute=CODES_PER_MINUTE, burst=CODES_PER_MINUTE)
        raise
    hashed = operators.hash_password(body.password)
    with here.venue.store.write() as unit:
        new, who = _begin(here, unit, request, operators.take_code(unit, body.code, body.name, hashed))
    here.venue.log.sign_if_possible()
    return _handed_over(here, response, new, who)


def _require_code(unit: Unit, code: str) -> None:
    with suppress(Refused):
        codes.look(unit, codes.OWNER, code)
        return
    codes.look(unit, codes.OPERATOR, code)


async def start_session(here: Here, request: Request, response: Response, body: SignIn) -> dict[str, Any]:
    """Sign in. The cookie that comes is new; the session that the browser had ends. `csrf` goes with every request
    that changes something, in the header `x-csrf-token`.
    """
    _attempt(here, request, body.name)
    return await _aside(_sign_in, here, request, response, body)


def _sign_in(here: Serving, request: Request, response: Response, body: SignIn) -> dict[str, Any]:
    with here.venue.store.read() as unit:
        against = operators.kept(unit, body.name)
    proved = operators.prove(against, body.password)
    with here.venue.store.write() as unit:
        new, who = _begin(here, unit, request, operators.confirm(unit, proved))
    _known_next_time(here, request, response, body.name)
    return _handed_over(here, response, new, who)


def show_session(here: Here, caller: Caller, request: Request) -> dict[str, Any]:
    """Who asks. For a session there is a new `csrf`, for a page that was loaded again; the older counts no more."""
    csrf = ""
    if caller.session:
        with here.venue.store.write() as unit:
            csrf = sessions.renew_csrf(unit, _token(here, request))
    return {"role": caller.role.value, "name": caller.name, "gate": caller.gate, "csrf": csrf}


def end_session(here: Here, caller: Caller, request: Request, response: Response) -> None:
    """Sign out. An API key has no session, and stays as good as it is."""
    if caller.session:
        with here.venue.store.write() as unit:
            sessions.end(unit, _token(here, request))
    response.delete_cookie(here.cookie, path="/", secure=here.secure, httponly=True, samesite="strict")


async def change_password(here: Here, caller: Caller, request: Request, response: Response,
                          body: NewPassword) -> dict[str, Any]:
    """Set another password. Every session of yours ends, and this browser gets a new one."""
    _attempt(here, request, _at_the_console(caller).name)
    return await _aside(_change, here, caller, request, response, body)


def _change(here: Serving, caller: Who, request: Request, response: Response, body: NewPassword) -> dict[str, Any]:
    with here.venue.store.read() as unit:
        against = operators.kept(unit, caller.name)
    proved = operators.prove(against, body.old)
    _known_next_time(here, request, response, caller.name)
    hashed = operators.hash_password(body.new)
    with here.venue.store.write() as unit:
        operators.change_password(unit, caller.operator_id, proved, hashed)
        new, who = _begin(here, unit, request, caller.operator_id)
    return _handed_over(here, response, new, who)


# passkeys

def passkey_challenge(here: Here, request: Request) -> dict[str, Any]:
    """What a browser needs to sign in with a passkey: `options` for `navigator.credentials.get`. The same for all."""
    _limit_passkeys(here, request)
    options, challenge = passkeys.sign_in_options(here.rp_id)
    return {"id": here.challenges.put("", challenge), "options": json.loads(options)}


def start_passkey_session(here: Here, request: Request, response: Response, body: Answered) -> dict[str, Any]:
    """Sign in with a passkey. A challenge counts once, and for five minutes."""
    _limit_passkeys(here, request)
    challenge = _challenge(here, body.id, "")
    with here.venue.store.write() as unit:
        operator = passkeys.sign_in(unit, challenge, json.dumps(body.answer), here.rp_id, here.origin)
        new, who = _begin(here, unit, request, operator)
    return _handed_over(here, response, new, who)


def new_passkey_challenge(here: Here, caller: Caller) -> dict[str, Any]:
    """What a browser needs to make a passkey: `options` for `navigator.credentials.create`."""
    mine = _at_the_console(caller).operator_id
    with here.venue.store.read() as unit:
        options, challenge = passkeys.registration_options(unit, mine, caller.name, here.rp_id,
                                                           here.venue.settings.name)
    return {"id": here.challenges.put(mine, challenge), "options": json.loads(options)}


def add_passkey(here: Here, caller: Caller, body: NewPasskey) -> dict[str, Any]:
    """Keep a passkey of yours."""
    mine = _at_the_console(caller).operator_id
    challenge = _challenge(here, body.id, mine)
    with here.venue.store.write() as unit:
        made = passkeys.register(unit, mine, challenge, json.dumps(body.answer), here.rp_id, here.origin, body.label)
    return {"passkey": made, "label": body.label.strip()}


def list_passkeys(here: Here, caller: Caller) -> dict[str, Any]:
    """Your passkeys."""
    mine = _at_the_console(caller).operator_id
    with here.venue.store.read() as unit:
        return {"passkeys": [{"passkey": one.credential_id, "label": one.label, "made_at": utc_text(one.made_at)}
                             for one in passkeys.all_of(unit, mine)]}


def remove_passkey(here: Here, caller: Caller, passkey: str) -> None:
    """Take a passkey of yours away."""
    mine = _at_the_console(caller).operator_id
    with here.venue.store.write() as unit:
        passkeys.take_away(unit, mine, passkey)


async def _aside(job: Callable[..., T], *given: Any) -> T:
    """Run what hashes a password in a thread of its own kind: those of all other routes stay free."""
    return await to_thread.run_sync(partial(job, *given), limiter=_HASHING)


def _begin(here: Serving, unit: Unit, request: Request, operator: str) -> tuple[NewSession, Who]:
    new = sessions.begin(unit, operator=operator, instead_of=_token(here, request))
    return new, sessions.who(unit, new.token)


def _handed_over(here: Serving, response: Response, new: NewSession, who: Who) -> dict[str, Any]:
    response.set_cookie(here.cookie, new.token, max_age=sessions.LONGEST, path="/", secure=here.secure, httponly=True,
                        samesite="strict")
    return {"role": who.role.value, "name": who.name, "csrf": new.csrf, "expires_at": utc_text(new.expires_at)}


def _attempt(here: Serving, request: Request, name: str) -> None:
    here.sign_in.attempt(_one_name(name), address_of(request), request.cookies.get(_device(here), ""))


def _known_next_time(here: Serving, request: Request, response: Response, name: str) -> None:
    device = here.sign_in.succeeded(_one_name(name), address_of(request), request.cookies.get(_device(here), ""))
    response.set_cookie(_device(here), device, max_age=DEVICE_DAYS * DAY, path="/", secure=here.secure, httponly=True,
                        samesite="strict")


def _device(here: Serving) -> str:
    return f"{here.cookie}-device"


def _token(here: Serving, request: Request) -> str:
    return request.cookies.get(here.cookie, "")


def _one_name(name: str) -> str:
    """Return a name as attempts are counted: spelling it otherwise begins no new count."""
    with suppress(BadInput):
        name = operators.plain_name(name)
    return name.casefold()


def _at_the_console(caller: Who) -> Who:
    """Return who signed in themselves. Raises Refused(console-only) for an API key."""
    if not caller.operator_id:
        raise Refused("console-only", "This is for who signs in at the console; an API key cannot do it.")
    return caller


def _limit_passkeys(here: Serving, request: Request) -> None:
    here.limits.attempt("passkey", address_of(request), per_minute=PASSKEYS_PER_MINUTE, burst=PASSKEYS_PER_MINUTE)


def _challenge(here: Serving, name: str, whose: str) -> bytes:
    waiting = here.challenges.take(name)
    if waiting.for_whom != whose:
        raise Refused("passkey-failed", "This passkey did not sign you in.")
    return waiting.challenge


_WHEN = "2026-06-21T09:00:00Z"
SESSION = {"role": "owner", "name": "Ada", "csrf": "3q2-…", "expires_at": _WHEN}
_PASSWORD = ("password-short", "password-long", "password-common")
_OPTIONS = {"id": "pX1…", "options": {"challenge": "b64…", "rpId": "zoo.example", "userVerification": "required"}}
_ANSWER = {"id": "pX1…", "answer": {"id": "AbC…", "type": "public-key", "response": {}}}
ROUTES = [
    Route("POST", "/v1/session/first", start_first_session, ANYONE, "Sign in for the first time, by a code", SESSION,
          {"code": "7K2M-…", "name": "Ada", "password": "…"},
          ("code-unknown", "operator-name", "operator-name-taken", "operator-name-other", *_PASSWORD), secret=True),
    Route("POST", "/v1/session", start_session, ANYONE, "Sign in", SESSION, {"name": "Ada", "password": "…"},
          ("sign-in-failed",), secret=True),
    Route("GET", "/v1/session", show_session, EVERYBODY, "Say who asks",
          {"role": "owner", "name": "Ada", "gate": "", "csrf": "3q2-…"}),
    Route("DELETE", "/v1/session", end_session, EVERYBODY, "Sign out", status=204),
    Route("POST", "/v1/session/password", change_password, CONSOLE_ROLES, "Change your password", SESSION,
          {"old": "…", "new": "…"}, ("sign-in-failed", "console-only", *_PASSWORD), secret=True),
    Route("POST", "/v1/session/passkey/options", passkey_challenge, ANYONE, "Begin to sign in with a passkey",
          _OPTIONS, secret=True),
    Route("POST", "/v1/session/passkey", start_passkey_session, ANYONE, "Sign in with a passkey", SESSION, _ANSWER,
          ("passkey-failed", "sign-in-failed"), secret=True),
    Route("GET", "/v1/passkeys", list_passkeys, CONSOLE_ROLES, "List your passkeys",
          {"passkeys": [{"passkey": "AbC…", "label": "phone", "made_at": _WHEN}]}, errors=("console-only",)),
    Route("POST", "/v1/passkeys/options", new_passkey_challenge, CONSOLE_ROLES, "Begin to make a passkey", _OPTIONS,
          errors=("console-only",), secret=True),
    Route("POST", "/v1/passkeys", add_passkey, CONSOLE_ROLES, "Keep a passkey", {"passkey": "AbC…", "label": "phone"},
          _ANSWER | {"label": "phone"}, ("passkey-failed", "passkey-many", "passkey-label", "console-only"), 201),
    Route("DELETE", "/v1/passkeys/{passkey}", remove_passkey, CONSOLE_ROLES, "Take a passkey away",
          errors=("passkey-unknown", "console-only"), status=204),
    *staff.ROUTES,
]
