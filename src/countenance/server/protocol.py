"""A connection with an end: time and size limits that the HTTP server itself does not have.

uvicorn waits for ever for the end of a request's headers and of its body, and for a reader of its answers. Here each
phase of a connection has a time of its own, counted from its beginning: bytes that trickle in win nothing. Where there
are more connections than there is room for, the one that has been silent for the longest makes room.

The stricter of uvicorn's two parsers (h11) is used: it costs 0.05 ms more for a request than the other.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from countenance.server import problems

LARGEST_HEAD = 16 * 1024
MOST_HEADERS = 100
LONGEST_TARGET = 4 * 1024
"""Bytes of the request line and all headers; headers; bytes of the path with its query."""

_TOO_LARGE = 431  # h11's own word for it, as an HTTP status
_GRACE_S = 2.0  # the application says body-slow first; this is for one that never asks for the body
_KEPT_FILES = 192  # databases, models, logs, and the connections of the server's own clients
_MOST_FILES = 8192


@dataclass(frozen=True)
class Times:
    """Seconds; shorter is stricter.

    `idle`: without a first byte. `head`: from the first byte of a request to the end of its headers. `body`: from
    there to the end of the body. `answer`: from there until the answer is written; a stream of events may last longer
    as long as its client reads.
    """

    idle: float = 60.0
    head: float = 10.0
    body: float = 20.0
    answer: float = 120.0


def room_for_connections() -> int:
    """Ask the system for as many open files as it gives (8,192 at most); return how many connections fit in them."""
    try:
        import resource
    except ImportError:
        return 512 - _KEPT_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    most = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(most - _KEPT_FILES, 64)


def bounded(times: Times | None = None, most: int | None = None) -> type[BoundedProtocol]:
    """Return the protocol for `uvicorn.Config(http=...)`; `most` connections at once, else what there is room for."""

    class _Bounded(BoundedProtocol):
        _times = times or Times()
        _most = most or room_for_connections()

    return _Bounded


class _Connection(h11.Connection):
    """Refuses heads that came in one piece too, which h11 lets pass however large; knows what is being answered."""

    streams = False
    refused = "request-malformed"

    def next_event(self) -> Any:  # h11's own type has its sentinels in it
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                self.streams = False
                _require_plain(event)
        except h11.RemoteProtocolError as error:
            self.refused = "headers-too-large" if error.error_status_hint == _TOO_LARGE else "request-malformed"
            raise
        return event

    def send(self, event: Any) -> Any:
        if isinstance(event, h11.Response):
            self.streams = any(name == b"content-type" and value.startswith(b"text/event-stream")
                               for name, value in event.headers)
        return super().send(event)


def _require_plain(request: h11.Request) -> None:
    names = [name for name, _ in request.headers]
    size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers)
    if size > LARGEST_HEAD or len(names) > MOST_HEADERS or len(request.target) > LONGEST_TARGET:
        raise h11.RemoteProtocolError("head", error_status_hint=_TOO_LARGE)
    if b"transfer-encoding" in names and b"content-length" in names:
        raise h11.RemoteProtocolError("two lengths")  # who counts otherwise sees another request in this one
    if request.http_version not in {b"1.0", b"1.1"}:
        raise h11.RemoteProtocolError("version")


class BoundedProtocol(H11Protocol):
    """One connection. See the module; made by `bounded`."""

    _times = Times()
    _most = 1024

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: _Connection = _Connection(h11.SERVER, LARGEST_HEAD)
        self.timeout_keep_alive = self._times.idle + _GRACE_S  # type: ignore[assignment]  # the timer below comes first
        self._phase = ("", 0)
        self._since = 0.0
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to count. Where there is no room, the connection that is silent for the longest goes, or this one."""
        super().connection_made(transport)
        taken = transport.get_extra_info("socket")
        if taken is not None and taken.family in {socket.AF_INET, socket.AF_INET6}:
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else an answer's body waits 40 ms for an ACK
        if len(self.connections) > self._most:
            silent = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.waits]
            min(silent, key=lambda one: one.since, default=self).end()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to count."""
        if self._end is not None:
            self._end.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what is no HTTP ends the connection."""
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # bytes behind the end of what may be sent here
            self.end()
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # what is told is a problem of our own
        """Answer what cannot be read as a request, unless another answer has begun; then end."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # what it still has to say would stand behind this answer
            cycle.message_event.set()
            if cycle.response_started:
                self.end()
                return
        self.transport.write(problems.bare(self.conn.refused))
        self.transport.close()

    @property
    def waits(self) -> bool:
        """Whether no request is being read or answered here."""
        return self._phase[0] in {"idle", "head"}

    @property
    def since(self) -> float:
        """When this phase began, on the loop's clock."""
        return self._since

    def end(self) -> None:
        """End the connection at once, whatever is not written yet."""
        self.transport.abort()

    def _watch(self) -> None:
        phase = (self._name(), id(self.cycle))
        if phase == self._phase:
            return
        self._phase, self._since = phase, self.loop.time()
        if self._end is not None:
            self._end.cancel()
        seconds = {"idle": self._times.idle, "head": self._times.head, "body": self._times.body + _GRACE_S,
                   "answer": self._times.answer}[phase[0]]
        self._end = self.loop.call_later(seconds, self._over, seconds)

    def _name(self) -> str:
        if self.cycle is not None and not self.cycle.response_complete:
            return "body" if self.cycle.more_body else "answer"
        return "head" if self.conn.trailing_data[0] else "idle"

    def _over(self, seconds: float) -> None:
        """The phase's time is up: also of an answer that stays unread after the connection was closed."""
        if self._phase[0] == "answer" and self.conn.streams and not self.flow.write_paused:
            self._end = self.loop.call_later(seconds, self._over, seconds)
        else:
            self.end()
