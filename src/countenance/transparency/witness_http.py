"""The witness behind HTTP: POST /add-checkpoint (C2SP tlog-witness) and GET /, its public key.

Needs the extra `server`. Every answer that is no cosignature is one sentence with its code; no request is logged.
No connection lasts longer than CONNECTION_S, so that slow ones do not keep everybody else out for good.
"""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from countenance.errors import BadInput, CountenanceError
from countenance.transparency.witness import LARGEST_BODY, Stale, Witness

STATUS = {
    "witness-body": 400,
    "witness-old-large": 400,
    "witness-log-signature": 403,
    "witness-log-unknown": 404,
    "witness-stale": 409,
    "witness-fork": 409,  # without a size: asking again with another `old` does not help
    "witness-body-large": 413,
    "witness-proof": 422,
    "witness-state": 500,
    "witness-store": 500,
    "witness-clock": 503,
    "store-busy": 503,
}
SIZE = "text/x.tlog.size"

CONNECTION_S = 20.0
"""Seconds that a connection lasts at most, whatever came over it: who asks needs a moment of them."""

_AT_ONCE, _GOODBYE_S = 256, 5


class _Brief(H11Protocol):
    """A connection with an end. uvicorn itself waits for ever for the end of a request's headers, and of its body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._end = self.loop.call_later(CONNECTION_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)


def app_of(witness: Witness) -> Starlette:
    """Return the application."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            return PlainTextResponse(await run_in_threadpool(witness.add_checkpoint, body))
        except Stale as stale:  # no charset behind this type: clients compare it as it stands
            return Response(f"{stale.size}\n", STATUS[stale.code], {"content-type": SIZE})
        except CountenanceError as error:
            return PlainTextResponse(f"{error.sentence} [{error.code}]\n", STATUS.get(error.code, 500))
        except Exception:  # noqa: BLE001  # the last net: a trace would show its locals
            return PlainTextResponse("Something went wrong inside; nothing was cosigned. [internal]\n", 500)

    async def key(_request: Request) -> Response:
        return PlainTextResponse(f"{witness.key.text}\n")

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"]), Route("/", key)])


def listen(host: str, port: int) -> socket.socket:
    """Take an address; port 0 (of 65,535) takes a free one. Raises BadInput(listen-address)."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError):
        raise BadInput("listen-address", "That address cannot be listened on, or another program has it.") from None


def server_of(witness: Witness) -> uvicorn.Server:
    """Return the server; `run(sockets=[...])` serves until it is told to stop."""
    return uvicorn.Server(uvicorn.Config(
        app_of(witness), log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off",
        http=_Brief, limit_concurrency=_AT_ONCE, timeout_graceful_shutdown=_GOODBYE_S))


async def _body(request: Request) -> bytes:
    """Return the body. Raises BadInput(witness-body-large) before more than the limit is held."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > LARGEST_BODY:
            raise BadInput("witness-body-large", "This request is too long.")
    return bytes(parts)
