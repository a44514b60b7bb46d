"""The lane behind HTTP: POST /decide, GET /health, and a page for a scanner that types (docs/operating/lane.md).

No request is logged. How connections end: `connections`.
"""

from __future__ import annotations

import html
import ipaddress
import socket
from collections.abc import Mapping
from importlib import resources
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from countenance.errors import BadInput
from countenance.lane.connections import AT_ONCE
from countenance.lane.running import Lane

LARGEST_BODY = 8 << 10
_CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'")
_HEADERS = {"content-security-policy": _CSP, "cache-control": "no-store", "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer"}


def app_of(lane: Lane, *, staff: bool = False, local_only: bool = True) -> Starlette:
    """Return the application. `staff`: answers say why; `local_only`: only pages of this machine may ask."""

    async def decide(request: Request) -> Response:
        try:
            _require_from_here(request, local_only=local_only)
            text = (await _body(request)).decode(errors="replace")
        except BadInput as error:
            return _json({"code": error.code, "detail": error.sentence}, 413 if error.code == "body-large" else 403)
        answer = lane.decide(text, together=request.query_params.get("together") == "1")
        told = {"decision": "admit" if answer.admitted else "refer", "people": answer.people}
        return _json(told | ({"reason": answer.reason} if staff else {}))

    async def health(_request: Request) -> Response:
        return _json(lane.health())

    async def page(request: Request) -> Response:
        name = {"/": "page.html"}.get(request.url.path, request.url.path[1:])
        text = resources.files("countenance.lane").joinpath(name).read_text(encoding="utf-8")
        names = lane.folder.names.value
        if name == "page.html":
            text = text.replace("@NAME@", html.escape("" if names is None else names.name))
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript"}[name.rpartition(".")[2]]
        return Response(text, media_type=kind, headers=_HEADERS)

    pages = [Route(path, page) for path in ("/", "/page.css", "/page.js")]
    return Starlette(routes=[Route("/decide", decide, methods=["POST"]), Route("/health", health), *pages])


def listen(host: str, port: int) -> socket.socket:
    """Take an address; port 0 takes a free one. Raises BadInput(listen-address)."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=AT_ONCE)
    except (OSError, UnicodeError, OverflowError):
        raise BadInput("listen-address", "That address cannot be listened on, or another program has it.") from None


def is_local(host: str) -> bool:
    """Say whether a host is this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _require_from_here(request: Request, *, local_only: bool) -> None:
    """Raise unless the page that asks is the lane's own: any page in a browser here can send text to this port."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if local_only and not is_local(urlsplit(f"//{host}").hostname or ""):
        raise BadInput("host-other", "This lane is asked by the name of this machine only.")
    if origin is not None and urlsplit(origin).netloc != host:
        raise BadInput("origin-other", "Another page may not ask here.")


async def _body(request: Request) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > LARGEST_BODY:
            raise BadInput("body-large", "This request is longer than 8 KiB.")
    return bytes(parts)


def _json(value: Mapping[str, object], status: int = 200) -> JSONResponse:
    return JSONResponse(value, status, _HEADERS)
