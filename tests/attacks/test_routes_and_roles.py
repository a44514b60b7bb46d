"""Who may use which route: every one of docs/routes.md is tried in the name of every role, and without one.

By real API keys and real sessions, over HTTP. Whoever the line names is let in (what is then said of a made-up id is
another matter); whoever it does not name is refused, with the very body that would have moved something, and nothing
moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

import countenance
from countenance.access import keys
from countenance.access.roles import CONSOLE_ROLES, KEY_ROLES, Role
from countenance.clock import SetClock
from countenance.consent import notices
from countenance.errors import Refused
from countenance.flows.venue import Venue
from countenance.quantities import DAY, PersonId
from countenance.server import app as apps
from countenance.server import table
from countenance.server.routing import UNSAFE, Route
from countenance.server.state import Serving
from support import server
from support import venue as support
from support.server import Client

PAGE = Path(countenance.__file__).parents[2] / "docs" / "routes.md"
_LINE = re.compile(r"\| (GET|POST|PUT|PATCH|DELETE) \| `(/[^`]*)` \| ([a-z_, ]+) \| [^|]+ \|")
NOT_LET_IN = {"role-refused", "sign-in-needed", "session-unknown", "session-expired", "key-unknown", "key-expired",
              "key-revoked", "csrf-missing"}


@dataclass(frozen=True)
class Line:
    """One line of docs/routes.md."""

    method: str
    path: str
    roles: frozenset[str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def open_to(self, role: Role | None) -> bool:
        return self.roles == {table.ANYONE} or (role is not None and role.value in self.roles)


@dataclass(frozen=True)
class As:
    """In whose name: a role, by a key or by a session; None for nobody."""

    role: Role | None
    session: bool

    def __str__(self) -> str:
        return "nobody" if self.role is None else f"{self.role.value} by {'session' if self.session else 'key'}"


NAMES = [As(None, session=False), *(As(role, session=False) for role in Role if role in KEY_ROLES),
         *(As(role, session=True) for role in Role if role in CONSOLE_ROLES | {Role.PERSON})]


@cache
def lines() -> tuple[Line, ...]:
    found = (_LINE.fullmatch(line) for line in PAGE.read_text(encoding="utf-8").splitlines())
    return tuple(Line(m[1], m[2], frozenset(m[3].split(", "))) for m in found if m)


@cache
def routes() -> dict[tuple[str, str], Route]:
    return {(route.method, route.path): route for _, section in apps.tables() for route in section}


@pytest.fixture
def here(venue: Venue) -> Serving:
    found = server.serving(venue)
    found.ending.set()  # so that what streams ends at once
    return found


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here, raises=False) as opened:
        yield opened


class Party:
    """Everybody who asks. One person is on record; `real` are ids of what there is."""

    def __init__(self, client: Client) -> None:
        self.client, self.here = client, client.here
        self._references = iter(("ada", "ben", "cem", *(f"synthetic-{n}" for n in range(3))))
        self.person = self._somebody()
        with self.here.venue.store.write() as unit:
            notice = notices.in_force(unit, support.VERIFY).hash
            made = keys.make(unit, Role.DESK, label="one", by="machine", days=9)
        self.real = {"gate": "main", "purpose": "entry.verify", "person": self.person, "notice": notice,
                     "code": "store-busy", "key": made.key_id, "operator": server.operator_of(self.here, Role.DESK),
                     "path": "tile/0/000", "name": "me.js"}

    def _somebody(self) -> PersonId:
        return support.enrolled(self.here.venue, next(self._references), purpose=support.SEARCH).person

    def auth(self, name: As) -> dict[str, str]:
        """Return the headers of who asks, anew; a session's cookie goes into the client."""
        self.client.cookies.clear()
        if name.role is None:
            return {}
        if not name.session:
            return server.key_of(self.here, name.role, gate="main" if name.role in keys.AT_A_GATE else "")
        if name.role is not Role.PERSON:
            return server.sign_in(self.client, operator=server.operator_of(self.here, name.role))
        try:
            return server.sign_in(self.client, person=self.person)
        except Refused:  # they erased themselves just now
            self.person = self._somebody()
            return server.sign_in(self.client, person=self.person)

    def ask(self, line: Line, headers: dict[str, str], *, real: bool) -> tuple[int, str]:
        """Send one request; return its status and code. `real`: with ids and a body that move something."""
        route = routes()[line.method, line.path]
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: self._value(m[1], real=real), line.path)
        how: dict[str, Any] = {}
        if route.picture:
            how = {"content": support.picture(1)(), "headers": headers | {"content-type": "image/png"}}
        elif line.method in UNSAFE:
            how = {"json": (route.asks if real else None) or {}, "headers": headers}
        answer = self.client.request(line.method, path, **{"headers": headers, **how})
        kind = answer.headers.get("content-type", "")
        code = answer.json().get("code", "") if kind.startswith(("application/problem+json", "application/json")) and \
            isinstance(answer.json(), dict) else ""
        return answer.status_code, str(code)

    def _value(self, name: str, *, real: bool) -> str:
        return self.real.get(name, "0" * 32) if real or name in {"gate", "name"} else "0" * 32


def test_the_page_is_what_the_program_prints_and_all_there_is(here: Serving) -> None:
    assert PAGE.read_text(encoding="utf-8") == table.write(apps.tables()), "run python -m countenance.server.table"
    mounted = {(method, route.path) for route in apps.application(here).routes if isinstance(route, APIRoute)
               for method in route.methods}
    assert mounted == {(line.method, line.path) for line in lines()} == set(routes())
    others = {route.path for route in apps.application(here).routes  # type: ignore[attr-defined]  # all have a path
              if not isinstance(route, APIRoute)}
    assert others == {"/v1/openapi.json"}
    assert len(lines()) > 60


def test_what_a_line_says_is_what_the_route_declares() -> None:
    for line in lines():
        declared = {role.value for role in routes()[line.method, line.path].roles} or {table.ANYONE}
        assert line.roles == declared, line


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_whoever_a_line_does_not_name_is_refused_and_nothing_moves(client: Client, folder: Path, name: As) -> None:
    party = Party(client)
    headers, before = party.auth(name), support.state_of(folder)
    closed = [line for line in lines() if not line.open_to(name.role)]
    wanted = (401, "sign-in-needed") if name.role is None else (403, "role-refused")
    got = {str(line): party.ask(line, headers, real=True) for line in closed}
    assert {line: answer for line, answer in got.items() if answer != wanted} == {}
    assert support.state_of(folder) == before
    assert len(got) > 10


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_whoever_a_line_names_is_let_in(client: Client, name: As) -> None:
    party = Party(client)
    opened = [line for line in lines() if line.open_to(name.role)]
    got = {str(line): party.ask(line, party.auth(name), real=line.method == "GET") for line in opened}
    assert {line: answer for line, answer in got.items() if answer[1] in NOT_LET_IN} == {}
    assert {line: answer for line, answer in got.items() if answer[0] in {401, 500}} == {}
    assert len(got) > 10


def test_an_act_that_is_let_in_does_move_something(client: Client, folder: Path) -> None:
    party = Party(client)
    headers = party.auth(As(Role.OWNER, session=True))
    before = support.state_of(folder)
    line = next(line for line in lines() if str(line) == "POST /v1/gates")
    assert client.post(line.path, json={"gate": "north", "mode": "pass"}, headers=headers).status_code == 201
    assert support.state_of(folder) != before  # so that the comparison above can fail


def _forged(client: Client, clock: SetClock, how: str) -> tuple[dict[str, str], set[str]]:
    """Return headers of somebody who is nobody any more, or never was, and the codes that they may be given."""
    here = client.here
    with here.venue.store.write() as unit:
        made = keys.make(unit, Role.OPERATOR, label="one", by="machine", days=1)
    key = made.text
    if how == "revoked":
        with here.venue.store.write() as unit:
            keys.revoke(unit, made.key_id)
    if how == "expired":
        clock.move(DAY)
    if how == "altered":
        key = key[:-1] + ("a" if key[-1] != "a" else "b")
    if how == "of another key":
        key = f"cnt_{'0' * 32}_{key.split('_')[2]}"
    codes = {"revoked": {"key-revoked"}, "expired": {"key-expired"}}.get(how, {"key-unknown"})
    return {"authorization": f"Bearer {key}"}, codes


@pytest.mark.parametrize("how", ["revoked", "expired", "altered", "of another key"])
def test_a_key_that_is_not_good_opens_nothing_at_all(client: Client, folder: Path, clock: SetClock, how: str) -> None:
    party = Party(client)
    headers, codes = _forged(client, clock, how)
    before = support.state_of(folder)
    got = {str(line): party.ask(line, headers, real=True) for line in lines()}  # open ones too
    assert {line: answer for line, answer in got.items() if answer[0] != 401 or answer[1] not in codes} == {}
    assert support.state_of(folder) == before


def test_another_venues_key_opens_nothing(client: Client, folder: Path, tmp_path: Path) -> None:
    party = Party(client)
    with support.open_venue(support.make_venue(tmp_path / "other")) as other:
        headers = server.key_of(server.serving(other), Role.OPERATOR)
    before = support.state_of(folder)
    closed = [line for line in lines() if line.roles != {table.ANYONE}]
    got = {str(line): party.ask(line, headers, real=True) for line in closed}
    assert set(got.values()) == {(401, "key-unknown")}
    assert support.state_of(folder) == before


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "of-another-venue-or-made-up-altogether-0123456", "y" * 3_000])
def test_a_forged_cookie_opens_nothing(client: Client, folder: Path, token: str) -> None:
    party = Party(client)
    before = support.state_of(folder)
    cookie = {"cookie": f"{client.here.cookie}={token}"}
    closed = [line for line in lines() if line.roles != {table.ANYONE}]
    got = {str(line): party.ask(line, cookie, real=True) for line in closed}
    assert {answer[0] for answer in got.values()} == {401}
    assert {answer[1] for answer in got.values()} <= {"session-unknown", "sign-in-needed"}
    assert support.state_of(folder) == before


@pytest.mark.parametrize("role", [role for role in Role if role in CONSOLE_ROLES | {Role.PERSON}],
                         ids=lambda role: role.value)
def test_no_session_changes_anything_without_its_csrf_secret(client: Client, folder: Path, role: Role) -> None:
    party = Party(client)
    party.auth(As(role, session=True))
    before = support.state_of(folder)
    mine = [line for line in lines() if line.method in UNSAFE and line.roles != {table.ANYONE} and line.open_to(role)]
    for csrf in ({}, {"x-csrf-token": "x" * 43}):
        got = {str(line): party.ask(line, csrf, real=True) for line in mine}
        assert {line: answer for line, answer in got.items() if answer != (403, "csrf-missing")} == {}
    assert support.state_of(folder) == before
    assert mine


def test_a_gates_key_reaches_no_other_gate(client: Client, folder: Path) -> None:
    party = Party(client)
    owner = party.auth(As(Role.OWNER, session=True))
    assert client.post("/v1/gates", json={"gate": "north", "mode": "pass"}, headers=owner).status_code == 201
    party.real["gate"] = "north"
    at_gates = [line for line in lines() if line.path.startswith("/v1/gates/{gate}")]
    for role in sorted(keys.AT_A_GATE, key=lambda one: one.value):
        headers = party.auth(As(role, session=False))
        before = support.state_of(folder)
        mine = [line for line in at_gates if role.value in line.roles]
        assert {party.ask(line, headers, real=True) for line in mine} == {(403, "key-other-gate")}
        assert support.state_of(folder) == before
        assert len(mine) >= 4
