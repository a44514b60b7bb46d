"""TLS handshakes with an end, and with a place for everybody.

The event loop alone would give each a minute and take as many as come. Here each has HANDSHAKE_S and there are AT_ONCE
of them; where one more comes, the oldest of the address that holds the most makes room, so that whoever opens many
pushes out only their own. An address is an IPv4 address, or the first half of an IPv6 one, which is one household.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HANDSHAKE_S = 5.0
AT_ONCE = 256
"""Seconds, and handshakes at one time. Shorter and fewer are stricter."""


class Handshakes:
    """Those that are under way at one server, oldest first."""

    def __init__(self, context: ssl.SSLContext, most: int = AT_ONCE, seconds: float = HANDSHAKE_S) -> None:
        self.context, self.seconds = context, seconds
        self._most = most
        self._under_way: dict[asyncio.Transport, str] = {}

    def begin(self, transport: asyncio.Transport) -> None:
        """Give a connection its place; the oldest of the address with the most loses its own where all are taken."""
        self._under_way[transport] = whose(transport)
        if len(self._under_way) > self._most:
            greediest, _ = Counter(self._under_way.values()).most_common(1)[0]
            first = next(one for one, address in self._under_way.items() if address == greediest)
            self.over(first)
            first.abort()

    def over(self, transport: asyncio.Transport) -> None:
        """Let the place go: the handshake is done, or the connection is."""
        self._under_way.pop(transport, None)


def whose(transport: asyncio.Transport) -> str:
    """Return whose a connection is; "" where there is no address (a local socket)."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return ""
    address = ipaddress.ip_address(peer[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


def secured(handshakes: Handshakes, protocol: type[H11Protocol]) -> type[asyncio.Protocol]:
    """Return what stands before `protocol` in `uvicorn.Config(http=...)` where connections are secured."""

    class _Of(_Secured):
        _handshakes = handshakes
        _protocol = protocol

    return _Of


class _Kept(asyncio.Protocol):
    """Keeps what comes in the moment between the handshake and the protocol that reads it."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.data.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class _Secured(asyncio.Protocol):
    """A connection before and during its handshake."""

    _handshakes: Handshakes
    _protocol: type[H11Protocol]

    def __init__(self, **uvicorns: Any) -> None:
        self._http = self._protocol(**uvicorns)
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # sockets are both ways
        transport.pause_reading()
        self._handshakes.begin(transport)
        self._task = self._http.loop.create_task(self._shake_hands(transport))  # kept: the loop alone would drop it

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        kept = _Kept()
        try:
            shaken = await self._http.loop.start_tls(
                transport, kept, self._handshakes.context, server_side=True,
                ssl_handshake_timeout=self._handshakes.seconds)
        except OSError:  # no TLS, not in time, or sent away
            shaken = None
        finally:
            self._handshakes.over(transport)
        if shaken is None or kept.lost:
            transport.abort()
            return
        self._http.connection_made(shaken)
        shaken.set_protocol(self._http)
        for data in kept.data:
            self._http.data_received(data)
