"""The server for tests: a venue served in this process, asked over HTTP without a socket.

`serving` puts an open venue behind the routes, `Client` asks it as an httpx client does. Cookies, forms, redirects and
headers are httpx's own; a request runs to its end before the call returns. What streams for ever needs a real server.
"""

from __future__ import annotations

import asyncio
import io
import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import insert
from starlette.types import ASGIApp

from countenance.access import codes, keys, sessions
from countenance.access.roles import Role
from countenance.consent import notices
from countenance.flows import gates
from countenance.flows.gates import Mode
from countenance.flows.venue import Venue
from countenance.integrations.feed import Feed
from countenance.quantities import PersonId, PurposeId, random_id
from countenance.server import app as apps
from countenance.server import problems
from countenance.server.logs import Log
from countenance.server.metrics import Metrics
from countenance.server.routing import Route, mount
from countenance.server.state import Serving
from countenance.storage import schema
from support import venue as support

ORIGIN = "http://127.0.0.1:8080"
HOSTS = {"127.0.0.1", "zoo.example"}
ALL_PURPOSES = (support.VERIFY, support.KEYED, support.SEARCH)


def serving(venue: Venue, origin: str = ORIGIN, **more: Any) -> Serving:
    """Return a venue with everything around it that routes need; ready. Its `doors` may be given."""
    here = Serving(venue, origin, Feed(), Metrics(), **more)
    here.ready.set()
    return here


def application(here: Serving, tables: Iterable[Sequence[Route]] | None = None) -> FastAPI:
    """Return the application: of some tables of routes alone, or whole."""
    if tables is None:
        return apps.application(here)
    app = FastAPI(telemetry=apps.SILENT, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json",
                  redirect_slashes=False)
    app.state.serving = here
    problems.install(app)
    for number, routes in enumerate(tables):
        mount(app, f"table {number}", routes)
    return app


class _Bridge(httpx.BaseTransport):
    """Runs an application in a loop of its own, a request at a time."""

    def __init__(self, app: ASGIApp, address: str, raises: bool) -> None:
        self._runner = asyncio.Runner()
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=raises, client=(address, 50_000))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        got = await self._inner.handle_async_request(request)
        return httpx.Response(got.status_code, headers=got.headers, content=await got.aread(), request=request)

    def close(self) -> None:
        self._runner.close()


class Client(httpx.Client):
    """Asks a served venue; `with Client(here) as client:`. One thread at a time; several clients may run beside.

    `tables`: only these tables of routes. `headers`: sent with each request, such as `key_of(…)`. `address`: where
    requests come from. `raises`: what a route raises beside its own errors is raised here (False: answered with 500).
    """

    def __init__(self, here: Serving, tables: Iterable[Sequence[Route]] | None = None, *,
                 headers: dict[str, str] | None = None, address: str = "127.0.0.1", raises: bool = True) -> None:
        self.here = here
        self.log = io.StringIO()
        clock = here.venue.clock
        self.app = application(here, tables)
        whole = apps.RequestLog(apps.Limits(self.app, HOSTS), Log(clock, self.log), clock)
        super().__init__(transport=_Bridge(whole, address, raises), base_url=here.origin, headers=headers or {})

    def undocumented(self) -> set[tuple[str, str, int]]:
        """Return what was answered so far that the OpenAPI document does not have: method, route, status."""
        paths = self.app.openapi()["paths"]
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        answered = {(line["method"].lower(), line["route"], line["status"]) for line in lines
                    if line["event"] == "request" and line["route"] in paths}
        return {one for one in answered if str(one[2]) not in paths[one[1]][one[0]]["responses"]}


def key_of(here: Serving, role: Role, *, purposes: Iterable[PurposeId] = ALL_PURPOSES, gate: str = "",
           pressed: bool = False, label: str = "desk one", days: int = 30) -> dict[str, str]:
    """Make an API key, and return the header that it is sent in."""
    with here.venue.store.write() as unit:
        made = keys.make(unit, role, gate=gate, purposes=purposes, pressed=pressed, label=label, by="machine",
                         days=days)
    return {"authorization": f"Bearer {made.text}"}


def operator_of(here: Serving, role: Role, name: str = "") -> str:
    """Write down an operator who may sign in, with a password that nobody knows; returns the id."""
    operator_id = random_id()
    with here.venue.store.write() as unit:
        unit.run(insert(schema.operator).values(
            operator_id=operator_id, name=name or f"{role.value} {operator_id[:6]}", role=role.value,
            password="!" + secrets.token_hex(8), state="active", made_at=unit.now))
    return operator_id


def sign_in(client: Client, *, operator: str = "", person: PersonId = codes.NOBODY) -> dict[str, str]:
    """Begin a session and put its cookie into the client; returns the header with its CSRF secret."""
    with client.here.venue.store.write() as unit:
        begun = sessions.begin(unit, operator=operator, person=person)
    client.cookies.set(client.here.cookie, begun.token)
    return {"x-csrf-token": begun.csrf}


def auth_of(client: Client, role: Role | None, *, gate: str = "main",
            person: PersonId = codes.NOBODY) -> dict[str, str]:
    """Return the headers by which a client asks as a role, or as nobody: a key where there can be one, else a session.

    For a key of a gate or its staff, `gate` must be there; for a person, who it is.
    """
    client.cookies.clear()
    if role is None:
        return {}
    if role is Role.PERSON:
        return sign_in(client, person=person)
    if role in keys.KEY_ROLES:
        return key_of(client.here, role, gate=gate if role in keys.AT_A_GATE else "")
    return sign_in(client, operator=operator_of(client.here, role))


def refused(answer: httpx.Response, code: str, status: int | None = None) -> None:
    """Ask for a problem, and for exactly this one."""
    assert answer.headers["content-type"] == problems.MEDIA_TYPE, answer.text
    body = json.loads(answer.content)
    assert body["code"] == code, body
    assert answer.status_code == body["status"] == (status or problems.CODES[code][0])


def gate_of(here: Serving, name: str = "north", mode: Mode = Mode.PASS_AND_FACE,
            purpose: PurposeId = support.VERIFY) -> dict[str, str]:
    """Set up a gate, and return the header with a key of its own."""
    with here.venue.store.write() as unit:
        gates.add(unit, name, mode, purpose)
    return key_of(here, Role.GATE, gate=name, label="a gate")


def notice_of(here: Serving, purpose: PurposeId = support.VERIFY) -> str:
    """Return the hash of the notice in force."""
    with here.venue.store.read() as unit:
        return notices.in_force(unit, purpose).hash


def form_of(here: Serving, reference: str = "ada", person: int = 1, purpose: PurposeId = support.VERIFY,
            other: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what `client.post` sends to begin an enrolment; `other`: fields in another way, or more of them."""
    data = {"reference": reference, "purpose": purpose, "notice": notice_of(here, purpose), "language": "en",
            "channel": "desk"}
    return {"data": {**data, **(other or {})}, "files": {"image": ("image", support.picture(person)(), "image/png")}}


def enrol(client: Client, reference: str = "ada", person: int = 1, purpose: PurposeId = support.VERIFY,
          headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Enrol a made-up person over HTTP, both steps; returns `person`, `purpose`, `receipt`, `me_code` and `pass`."""
    begun = client.post("/v1/enrolments", headers=headers, **form_of(client.here, reference, person, purpose))
    assert begun.status_code == 201, begun.text
    shown = begun.json()
    done = client.post(f"/v1/enrolments/{shown['enrolment']}/read-back", json={"pass": shown["pass"]}, headers=headers)
    assert done.status_code == 200, done.text
    return {**done.json(), "pass": shown["pass"]}


def decide(client: Client, key: dict[str, str], pass_text: str, person: int = 1, gate: str = "north") -> str:
    """Show a pass and a face at a gate; return `admit` or `refer`."""
    answer = client.post(f"/v1/gates/{gate}/decisions", content=support.picture(person, shade=9)(),
                         headers={**key, "content-type": "image/png", "countenance-pass": pass_text})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["decision"])
