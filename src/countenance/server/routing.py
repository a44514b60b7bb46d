"""Routes, each with who may use it; nothing reaches a route's own code before that was looked at.

`mount` puts a table of `Route`s into the application. For each request, in this order: who asks (API key, session,
or nobody), whether the route is open to them, the CSRF secret where a cookie says who asks, how often they ask, and
the idempotency key. What every route may answer with beside its own errors follows from that.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from countenance.access import keys, sessions
from countenance.access.roles import Role, Who
from countenance.errors import Refused
from countenance.server import idempotency, problems
from countenance.server.codes import STATUS, TITLES
from countenance.server.limits_middleware import LARGEST_JSON
from countenance.server.state import Serving

ANYONE: frozenset[Role] = frozenset()
"""For routes that need no sign-in."""

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
KEY_PER_MINUTE, SESSION_PER_MINUTE = 3_000, 600
"""Requests of one key, and of one who is signed in, before `attempts`. Fewer is stricter. Who is not signed in is
counted by the few routes that could be guessed at, and mostly for what was wrong: many may share one address."""

PICTURE = {"requestBody": {"required": True, "content": {
    "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
    "image/png": {"schema": {"type": "string", "format": "binary"}},
    "multipart/form-data": {"schema": {"type": "object", "properties": {
        "image": {"type": "string", "format": "binary"}, "pass": {"type": "string"}, "press": {"type": "string"}}}},
}}}
"""How OpenAPI describes a body that is read in memory, past the framework."""


@dataclass(frozen=True)
class Route:
    """One operation. `roles`: ANYONE, or those who may; `errors`: the codes of its own.

    `secret`: its answer is never stored for an idempotency key. `example`: of its answer, `asks`: of its body.
    """

    method: str
    path: str
    endpoint: Callable[..., Any]
    roles: frozenset[Role]
    summary: str
    example: Any = None
    asks: Any = None
    errors: tuple[str, ...] = ()
    status: int = 200
    secret: bool = False
    picture: bool = False
    media: str = "application/json"
    openapi: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what the operation is called in clients."""
        return self.endpoint.__name__


def mount(app: FastAPI, tag: str, routes: Iterable[Route]) -> None:
    """Add routes to the application."""
    for route in routes:
        app.router.add_api_route(
            route.path, route.endpoint, methods=[route.method], status_code=route.status, summary=route.summary,
            description=route.endpoint.__doc__, tags=[tag], name=route.name, operation_id=route.name,
            responses=_responses(route), openapi_extra=_extra(route), response_class=Response if
            route.media != "application/json" or route.status == NO_CONTENT else _json(),
            response_model=None if route.media != "application/json" else _default(),
            route_class_override=_guarded(route))


NO_CONTENT = 204


def _json() -> Any:
    from fastapi.responses import JSONResponse

    return JSONResponse


def _default() -> Any:
    from fastapi.datastructures import Default

    return Default(None)


def _guarded(route: Route) -> type[APIRoute]:
    class Guarded(APIRoute):
        declared = route

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                request.state.template = route.path
                await run_in_threadpool(_let_in, request, route)
                if not route.picture and "body" in request.scope["state"]:
                    request.scope["state"]["body"].at_most(LARGEST_JSON)
                here: Serving = request.app.state.serving
                who = request.state.who
                busy = here.pictures.of(who.key_id or who.operator_id) if route.picture and who else nullcontext()
                with busy:
                    if route.method in UNSAFE and "idempotency-key" in request.headers and who is not None:
                        return await idempotency.once(request, route.secret, route.picture, inner)
                    return await inner(request)

            return handle

    return Guarded


def _let_in(request: Request, route: Route) -> None:
    """Find out who asks, and raise Refused unless this route is open to them."""
    here: Serving = request.app.state.serving
    request.state.who = who = _who(request, here, needed=bool(route.roles))
    request.state.role = who.role.value if who else "anyone"
    if route.roles and (who is None or who.role not in route.roles):
        raise Refused("role-refused", "This is not open to whoever is signed in here.")
    if who is not None and who.session and route.method in UNSAFE:
        with here.venue.store.read() as unit:
            sessions.require_csrf(unit, request.cookies[here.cookie], request.headers.get("x-csrf-token", ""))
    if who is not None and who.key_id:
        here.limits.attempt("key", who.key_id, per_minute=KEY_PER_MINUTE, burst=KEY_PER_MINUTE // 10)
    elif who is not None:
        here.limits.attempt("session", who.person or who.operator_id, per_minute=SESSION_PER_MINUTE,
                            burst=SESSION_PER_MINUTE // 5)


def still_in(request: Request, route_roles: frozenset[Role]) -> None:
    """Raise Refused where whoever asked may not any more: for what goes on for long."""
    here: Serving = request.app.state.serving
    who = _who(request, here, needed=True)
    if who is None or who.role not in route_roles:
        raise Refused("role-refused", "This is not open to whoever is signed in here.")


def _who(request: Request, here: Serving, *, needed: bool) -> Who | None:
    """Return who asks. Something that is no good is an error, also where nothing was needed."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    text = given.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    if text:
        with here.venue.store.read() as unit:
            return keys.who(unit, text)
    token = request.cookies.get(here.cookie, "")
    if token and needed:
        return sessions.looked_up(here.venue.store, token)
    if needed:
        raise Refused("sign-in-needed", "Sign in, or send an API key.")
    return None


def address_of(request: Request) -> str:
    """Return where a request comes from, as the connection says; a header is believed from our own proxy alone.

    That one adds whom it heard from at the end; what stands before it was said by anybody.
    """
    said = [request.client.host if request.client else ""]
    if request.app.state.serving.behind_proxy:  # some proxies add a line of their own: the last one counts
        said.append(",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip())
    for host in reversed(said):
        with suppress(ValueError):
            return ipaddress.ip_address(host).compressed
    return "unknown"


async def _serving(request: Request) -> Serving:
    found: Serving = request.app.state.serving
    return found


async def _caller(request: Request) -> Who:
    found: Who = request.state.who
    return found


Here = Annotated[Serving, Depends(_serving)]
"""The venue and everything around it."""

Caller = Annotated[Who, Depends(_caller)]
"""Who asks; only for routes that are not open to ANYONE."""


def _extra(route: Route) -> dict[str, Any]:
    extra: dict[str, Any] = {**(PICTURE if route.picture else {}), **route.openapi}
    extra["x-roles"] = sorted(role.value for role in route.roles) or ["anyone"]
    if route.asks is not None and not route.picture:
        extra["requestBody"] = {"content": {"application/json": {"example": route.asks}}}
    return extra


def errors_of(route: Route) -> tuple[str, ...]:
    """Return every code that a route documents: its own, and what follows from what it takes and whom it lets in."""
    found = {*route.errors, "attempts", "host-refused", "path-refused", "request-malformed", "body-too-large",
             "body-slow", "internal", "store-busy", "key-unknown"}
    if "{" in route.path or "?" in route.path or route.asks is not None or route.method == "GET":
        found |= {"request-invalid"}
    if route.roles:
        found |= {"sign-in-needed", "role-refused", "csrf-missing", "session-unknown", "session-expired", "key-expired",
                  "key-revoked"}
    if route.method in UNSAFE:
        found |= {"idempotency-running", "idempotency-other", "idempotency-key", "idempotency-secret"}
    if route.picture:
        found |= {"body-type", "body-malformed", "body-cut"}
    return tuple(sorted(found))


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    answers: dict[int | str, dict[str, Any]] = {}
    if route.example is not None:
        answers[route.status] = {"content": {route.media: {"example": route.example}}}
    elif route.media != "application/json":
        answers[route.status] = {"content": {route.media: {}}}
    by_status: dict[int, list[str]] = {}
    for code in errors_of(route):
        by_status.setdefault(STATUS[code], []).append(code)
    for status, found in by_status.items():
        examples = {code: {"value": problems.document(code, status, "One sentence.", "4f1c")} for code in found}
        answers[status] = {"description": f"{TITLES[status]}: {', '.join(found)}.",
                           "content": {problems.MEDIA_TYPE: {"schema": PROBLEM, "examples": examples}}}
    return answers


PROBLEM = {
    "type": "object", "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                   "detail": {"type": "string"}, "code": {"type": "string"}, "request_id": {"type": "string"},
                   "fields": {"type": "array", "items": {"type": "string"}}},
}
"""RFC 9457, section 3.1, with a stable `code`."""
