"""What holds for every request and answer, whichever route: sizes, time, names of hosts, paths, headers.

Pure ASGI, outermost: what is refused here reaches no route, and what a route answers leaves with the headers below.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countenance.errors import BadInput, CountenanceError
from countenance.quantities import random_id
from countenance.server import bodies, problems

LARGEST_JSON = 64 * 1024
LARGEST_FORM = bodies.LARGEST_PICTURE + bodies.MOST_PARTS * bodies.LARGEST_FIELD + 64 * 1024
"""Bytes of a body: of one with a picture, and of every other."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ODD = re.compile(rb"//|\\|%(?:00|2f|5c|0a|0d)|(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}


class Limits:
    """`hosts`: what a Host header may say, without a port: names, addresses ("[::1]" for IPv6); lower case."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], within: float = bodies.BODY_S) -> None:
        self._app, self._within = app, within
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = _texts(scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else random_id()
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        try:
            limit = self._require(scope, headers)
        except CountenanceError as error:
            await answer.problem(scope, receive, error)
            return
        body = _Body(receive, limit, self._within)
        answer.body = body
        scope["state"]["body"] = body  # the route may allow less: what a body says it is does not decide that
        try:
            await self._app(scope, body, answer)
        except Exception:
            if body.refused is None:
                raise
        if body.refused is not None and not answer.started:
            await answer.problem(scope, receive, body.refused)

    def _require(self, scope: Scope, headers: dict[str, str]) -> int:
        """Return the most bytes that this body may have; raises BadInput for what is refused before it is read."""
        if _host(headers.get("host", "")) not in self._hosts:
            raise BadInput("host-refused", "This server does not answer under that name.")
        path = scope.get("raw_path") or scope["path"].encode()
        if not path.startswith(b"/") or _ODD.search(path):
            raise BadInput("path-refused", "This address is not written in its plain form.")
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        picture = kind in bodies.PICTURE_TYPES or kind == "multipart/form-data"
        limit = LARGEST_FORM if picture else LARGEST_JSON
        said = headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit()):
            raise BadInput("request-malformed", problems.SENTENCES["request-malformed"])
        if len(said) > 12 or int(said) > limit:  # 12 digits: a terabyte; longer numbers take long to read
            raise BadInput("body-too-large", "This request is too large.")
        return limit


class _Body:
    """Counts a body while it is read, and its time. Its verdict stands, whatever the route makes of the exception."""

    def __init__(self, receive: Receive, limit: int, within: float) -> None:
        self._receive, self._limit, self._within = receive, limit, within
        self._seen, self._end, self._whole = 0, 0.0, False
        self.refused: BadInput | None = None

    def at_most(self, limit: int) -> None:
        """Allow no more bytes than that. Lower is stricter."""
        self._limit = min(self._limit, limit)

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._end = self._end or loop.time() + self._within
        try:
            async with asyncio.timeout_at(self._end):
                message = await self._receive()
        except TimeoutError:
            self.refused = BadInput("body-slow", "The request took too long to arrive.")
            raise self.refused from None
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            self.refused = BadInput("body-too-large", "This request is too large.")
            raise self.refused
        self._whole = not message.get("more_body", False)
        return message


class _Answer:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._id = send, request_id
        self.started = False
        self.body: _Body | None = None

    async def __call__(self, message: Message) -> None:
        if self.body is not None and self.body.refused is not None and not self.started:
            return  # what the route says of a refused body is left out
        if message["type"] == "http.response.start":
            self.started = True
            _complete(message, self._id)
        await self._send(message)

    async def problem(self, scope: Scope, receive: Receive, error: CountenanceError) -> None:
        """Send a problem of our own, and end the connection behind it: what is left of the body is not read."""
        self.body = None
        response = problems.problem(error, self._id)
        response.headers["connection"] = "close"
        await response(scope, receive, self)


def _complete(message: MutableMapping[str, Any], request_id: str) -> None:
    headers = MutableHeaders(raw=message.setdefault("headers", []))
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    headers["x-request-id"] = request_id
    message["headers"] = headers.raw


def _texts(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _host(text: str) -> str:
    """Return the name in a Host header without its port; "" where it is not a name."""
    found = re.fullmatch(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?", text.lower())
    return found[1] if found else ""


