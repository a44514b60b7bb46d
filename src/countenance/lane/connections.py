"""Connections with an end: one request each, CONNECTION_S for all of it, and AT_ONCE of them.

The oldest gives way to a new one, so that idle or slow ones never keep a scan out. Over TLS the time and the place in
the queue begin with the connection itself, not behind the handshake, which some never finish.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from countenance.errors import BadInput

CONNECTION_S = 5.0
AT_ONCE = 256
"""Shorter and fewer are stricter."""


class _Config(uvicorn.Config):
    """What the connections of one server share."""

    queue: OrderedDict[_Turn, None]
    context: ssl.SSLContext
    """Set where connections are `_Secured`."""


class _Turn:
    """One connection's time, and its place among the others."""

    def __init__(self, config: _Config, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._queue, self._transport = config.queue, transport
        self._timer = loop.call_later(CONNECTION_S, self.end)
        self._queue[self] = None
        if len(self._queue) > AT_ONCE:
            next(iter(self._queue)).end()

    def end(self) -> None:
        """End the connection at once."""
        self.over()
        self._transport.abort()

    def over(self) -> None:
        """Stop counting: the connection has ended."""
        self._timer.cancel()
        self._queue.pop(self, None)


class _Brief(H11Protocol):
    """A connection with an end."""

    config: _Config
    turn: _Turn | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.turn = self.turn or _Turn(self.config, self.loop, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.turn is not None:
            self.turn.over()
        super().connection_lost(exc)


class _Kept(asyncio.Protocol):
    """Keeps what comes in the moment between the handshake and the protocol that reads it."""

    def __init__(self) -> None:
        self.data: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.data.append(data)


class _Secured(asyncio.Protocol):
    """A connection whose time runs during the handshake too."""

    def __init__(self, **uvicorns: Any) -> None:
        self._http = _Brief(**uvicorns)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # sockets are both ways
        transport.pause_reading()
        self._http.turn = _Turn(self._http.config, self._http.loop, transport)
        self._handshake = self._http.loop.create_task(self._shake_hands(transport))  # the loop alone would drop it

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        kept, http = _Kept(), self._http
        try:
            secured: asyncio.Transport | None = await http.loop.start_tls(
                transport, kept, http.config.context, server_side=True, ssl_handshake_timeout=CONNECTION_S)
        except OSError:  # no TLS, or not in time
            secured = None
        if secured is None:  # the client left during the handshake, or was sent away
            if http.turn is not None:
                http.turn.end()
            return
        http.connection_made(secured)
        secured.set_protocol(http)
        for data in kept.data:
            http.data_received(data)


def server_of(app: Starlette, context: ssl.SSLContext | None = None) -> uvicorn.Server:
    """Return the server; `run(sockets=[...])` serves until it is told to stop, and then ends at once."""
    config = _Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off",
        loop="asyncio", http=_Brief if context is None else _Secured,
        ws="none", backlog=AT_ONCE, headers=[("connection", "close")], timeout_graceful_shutdown=0)
    config.queue = OrderedDict()
    if context is not None:
        config.context = context
    return uvicorn.Server(config)


def tls(cert: str, key: str) -> ssl.SSLContext:
    """Return what TLS needs. Raises BadInput(listen-tls)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password="")  # a key with a password would ask for it here
    except (OSError, ValueError):
        raise BadInput("listen-tls", "The certificate or its key cannot be read, or they do not match.") from None
    return context
