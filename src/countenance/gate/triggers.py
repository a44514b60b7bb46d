"""What starts a gate: a pass under the scanner, or a button. Nothing else does, and no face ever.

One runs at a time. At 20 people a minute each has three seconds and needs one or two, so the next may scan while the
one before is still at it: one pass waits, for a few seconds. A press never waits: by its turn the camera would see
whoever stands there then, and who pressed would not be who is looked for. Everything else is dropped and told to staff,
not to the person in front, who would take it for their own answer. A scanner reads what it sees again and again: the
pass that is at work, waits or was just answered is not taken twice.
"""

from __future__ import annotations

import hashlib
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import BoundedSemaphore, Condition, Event, Thread, Timer
from typing import TYPE_CHECKING, Any, Literal, Protocol

from countenance.clock import Clock
from countenance.errors import BadInput
from countenance.formats import passes
from countenance.gate.settings import Broker

if TYPE_CHECKING:
    from paho.mqtt.client import Client

LONGEST_LINE = 8_192
"""Bytes of a scanned line; a pass is at most half of it."""

WAITS_S = 5.0
"""Seconds that a scanned pass waits for its turn."""

AGAIN_S = 2.0
"""Seconds after its answer in which the same pass is not taken again."""

_PAUSE_S = 1.0  # a line that stops half-way was cut off; the next scan begins a new one
_REQUEST_S, _CONNECTIONS = 3.0, 8

Taken = Literal["taken", "waits", "dropped", "ignored"]
Tell = Callable[[str, str], None]
"""Told of what was not taken: (event, code)."""


@dataclass(frozen=True)
class Trigger:
    """Somebody acted, at `at` (the clock's monotonic seconds). `shown`: the pass, "" for a press."""

    at: float
    shown: str = field(default="", repr=False)

    @property
    def mark(self) -> bytes:
        """What stands for the pass afterwards; empty for a press."""
        return hashlib.sha256(self.shown.encode()).digest() if self.shown else b""


class Inbox:
    """The one at work, and at most one that waits. Threads offer; the gate takes."""

    def __init__(self, clock: Clock, tell: Tell) -> None:
        self._clock, self._tell = clock, tell
        self._changed = Condition()
        self._waiting: Trigger | None = None
        self._at_work: Trigger | None = None
        self._last: tuple[float, bytes] = (0.0, b"")
        self._closed = False

    def press(self) -> Taken:
        """Somebody pressed the button."""
        return self._offer(Trigger(self._clock.monotonic()))

    def scan(self, line: bytes) -> Taken:
        """Something was scanned: a line without its end. What is no pass is ignored."""
        code = ("scan-long" if len(line) > LONGEST_LINE
                else "scan-control" if any(not 32 <= byte < 127 for byte in line)
                else "" if line.startswith(passes.PREFIX.encode()) else "scan-unknown")
        if code:
            self._tell("ignored", code)
            return "ignored"
        return self._offer(Trigger(self._clock.monotonic(), line.decode("ascii")))

    def _offer(self, trigger: Trigger) -> Taken:
        with self._changed:
            code = self._against(trigger)
            if not code:
                self._waiting = trigger
                self._changed.notify_all()
                return "taken" if self._at_work is None else "waits"
        self._tell("dropped", code)
        return "dropped"

    def _against(self, trigger: Trigger) -> str:
        """Return why it is not taken; "" if it is."""
        if self._closed:
            return "closing"
        others = [other for other in (self._at_work, self._waiting) if other is not None]
        if trigger.shown:
            ended, mark = self._last
            if trigger.mark in {other.mark for other in others} or (
                    trigger.mark == mark and trigger.at < ended + AGAIN_S):
                return "again"
            return "busy" if self._waiting is not None else ""
        return "busy" if others else ""

    def take(self) -> Trigger | None:
        """Wait for the next and return it; None once closed. `done` must follow."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed:
                    return None
                trigger, self._waiting = self._waiting, None
                if trigger is not None and self._clock.monotonic() - trigger.at <= WAITS_S:
                    self._at_work = trigger
                    return trigger
                self._tell("dropped", "waited")

    def done(self) -> None:
        """The one at work has its answer."""
        with self._changed:
            if self._at_work is not None:
                self._last = (self._clock.monotonic(), self._at_work.mark)
            self._at_work = None

    def close(self) -> None:
        """Take nothing any more."""
        with self._changed:
            self._closed, self._waiting = True, None
            self._changed.notify_all()


class Source(Protocol):
    """Something that triggers, in a daemon thread of its own."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End."""


class Lines:
    """Makes lines of bytes as they come in: at most LONGEST_LINE of one are held, however long it is."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take, self._line = take, bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes; CR and LF both end a line, and empty lines are nothing."""
        *whole, rest = data.replace(b"\r", b"\n").split(b"\n")
        for part in whole:
            self._add(part)
            if self._line:
                self._take(bytes(self._line))
            self._line.clear()
        self._add(rest)

    def pause(self) -> None:
        """Nothing came for a while: forget half a line."""
        self._line.clear()

    def _add(self, part: bytes) -> None:
        self._line += part[: LONGEST_LINE + 1 - len(self._line)]  # one more than may be shows that it is too long


class Scanner:
    """A keyboard-wedge scanner on an open file, such as standard input. A terminal does not show what it types."""

    def __init__(self, handle: int, inbox: Inbox, ended: Callable[[], None]) -> None:
        self._handle, self._lines, self._ended = handle, Lines(inbox.scan), ended
        self._stop = Event()
        self._thread = Thread(target=self._run, name="scanner", daemon=True)
        self._as_it_was: Any = None

    def start(self) -> None:
        """Begin to read."""
        self._hide()
        self._thread.start()

    def close(self) -> None:
        """End, and give the terminal back as it was."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(0.5)
        if self._as_it_was is not None:
            import termios

            with suppress(termios.error):
                termios.tcsetattr(self._handle, termios.TCSANOW, self._as_it_was)

    def _hide(self) -> None:
        """A pass on the screen could be photographed there; and a line of a terminal's is 4,096 bytes at most."""
        if not os.isatty(self._handle):
            return
        import termios

        self._as_it_was = termios.tcgetattr(self._handle)
        silent = termios.tcgetattr(self._handle)
        silent[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self._handle, termios.TCSANOW, silent)

    def _run(self) -> None:
        quiet = 0.0
        while not self._stop.is_set():
            try:
                ready = select.select([self._handle], [], [], 0.2)[0]
                data = os.read(self._handle, 4_096) if ready else None
            except (OSError, ValueError):  # it was unplugged, or closed
                data = b""
            if data == b"":
                self._ended()
                return
            if data is None:
                quiet += 0.2
                if quiet >= _PAUSE_S:
                    self._lines.pause()
                continue
            quiet = 0.0
            self._lines.feed(data)


class HttpButton:
    """`POST /press`, and `POST /pass` with a pass as its body, on this machine's loopback only.

    A page in a browser on this machine can reach loopback: a request must carry the header `countenance-trigger: 1`,
    which no page can send to another origin without asking, no `Origin`, and a loopback `Host`.
    """

    def __init__(self, port: int, inbox: Inbox) -> None:
        slots = BoundedSemaphore(_CONNECTIONS)

        class Handler(_Handler):
            taking, free = inbox, slots

        try:
            self._server = _Loopback(("127.0.0.1", port), Handler)
        except OSError:
            raise BadInput("gate-port", "The port for the button is taken.") from None
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="button", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        if self._thread.ident is not None:
            self._server.shutdown()
        self._server.server_close()


class _Loopback(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a trace would show its locals."""


class _Handler(BaseHTTPRequestHandler):
    taking: Inbox
    free: BoundedSemaphore
    timeout = _REQUEST_S
    server_version, sys_version = "countenance", ""

    def handle(self) -> None:
        """One request, within a few seconds from first byte to last; more than a few at once are hung up on."""
        if not self.free.acquire(blocking=False):
            return
        end = Timer(_REQUEST_S, self._hang_up)
        end.daemon = True
        end.start()
        try:
            with suppress(OSError):
                self.handle_one_request()
        finally:
            end.cancel()
            self.free.release()

    def do_POST(self) -> None:
        """Take a press or a pass."""
        length = self.headers.get("content-length", "0")
        host = self.headers.get("host", "").rpartition(":")[0]
        if (self.headers.get("countenance-trigger") != "1" or self.headers.get("origin") is not None
                or host not in {"127.0.0.1", "localhost"}):
            self._say(403, "refused")
        elif not (length.isascii() and length.isdecimal()) or int(length[:8]) > LONGEST_LINE:
            self._say(413, "ignored")
        elif self.path == "/press":
            self._say_taken(self.taking.press())
        elif self.path == "/pass":
            body = self.rfile.read(int(length))
            self._say_taken(self.taking.scan(body.strip(b"\r\n")) if len(body) == int(length) else "ignored")
        else:
            self._say(404, "ignored")

    def _say_taken(self, taken: Taken) -> None:
        self._say({"taken": 202, "waits": 202, "dropped": 409, "ignored": 422}[taken], taken)

    def _say(self, status: int, word: str) -> None:
        body = b'{"trigger": "%s"}\n' % word.encode()
        self.send_response_only(status)
        for name, value in (("content-type", "application/json"), ("content-length", str(len(body))),
                            ("connection", "close")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives it
        """Say nothing: a request line may hold anything."""

    def _hang_up(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class MqttButton:
    """Messages on one topic: `press`, or a pass. Whoever may publish there may press.

    Neither a kept message nor one from before this gate was connected counts: a press is for now.
    """

    def __init__(self, broker: Broker, inbox: Inbox, told: Callable[[str], None]) -> None:
        self._broker, self._inbox, self._told = broker, inbox, told
        self._state = "mqtt-back"
        self._client: Client | None = None

    def start(self) -> None:
        """Begin to connect, and connect again for ever, with growing waits of at most 30 s."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        at = self._broker
        client = Client(CallbackAPIVersion.VERSION2, clean_session=True)
        client.max_queued_messages_set(8)
        client.reconnect_delay_set(1, 30)
        if at.context is not None:
            client.tls_set_context(at.context)
        if at.user:
            client.username_pw_set(at.user, at.password)
        client.on_connect, client.on_disconnect = self._connected, self._gone
        client.on_connect_fail = lambda _client, _data: self._tell("mqtt-away")
        client.on_message = lambda _client, _data, message: self._heard(message)
        client.connect_async(at.host, at.port, keepalive=15)
        client.loop_start()
        self._client = client

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.disconnect()
            ending = Thread(target=self._client.loop_stop, name="mqtt-end", daemon=True)
            ending.start()  # it waits for a connection that is being made
            ending.join(0.5)

    def _connected(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._tell("mqtt-away" if reason.is_failure else "mqtt-back")
        if not reason.is_failure:
            client.subscribe(self._broker.topic, qos=0)

    def _gone(self, _client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self._tell("mqtt-away")

    def _tell(self, state: str) -> None:
        if state != self._state:  # not at every try
            self._state = state
            self._told(state)

    def _heard(self, message: Any) -> None:
        if message.retain:
            return
        payload = bytes(message.payload[: LONGEST_LINE + 1]).strip(b"\r\n")
        if payload == b"press":
            self._inbox.press()
        else:
            self._inbox.scan(payload)
