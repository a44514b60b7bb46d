"""Publishing over MQTT 5 by a deadline: for doors, and for what a venue sends to others.

One message at a time, QoS 1: `publish` returns once the broker has acknowledged it. A message that was not acknowledged
in time is forgotten with its connection, and never sent later: a door that opens a minute after its time opens for
somebody else. The next message makes a new connection. Nothing is retained; nothing is subscribed to.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Lock
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from countenance import durable
from countenance.clock import Clock, SystemClock
from countenance.errors import StoreFault
from countenance.integrations.waiting import Waiting

SYSTEM = "system"
"""For `tls_ca`: the certificates that this machine trusts."""

LARGEST = 256 << 10
"""Bytes of a message."""

_KEEPALIVE_S = 20
_GOODBYE_S = 0.5
_LARGEST_PASSWORD = 4_096
_NOBODY_LISTENS = 0x10  # MQTT 5.0, 3.4.2.1: a success, but nobody has subscribed


@dataclass(frozen=True)
class Mqtt:
    """A broker. `tls_ca`: a file of certificates, SYSTEM, or empty for no TLS. `password_file`: 0600, or empty.

    Each connection's client id is `client_id` with eight random digits behind it: two of the same id throw each other
    out. A broker's rules should go by `user`.
    """

    host: str
    port: int = 8883
    tls_ca: str = SYSTEM
    user: str = ""
    password_file: str = ""
    client_id: str = "countenance"


class MqttClient:
    """The way to one broker, connected when something is published. Safe for use by several threads."""

    def __init__(self, settings: Mqtt, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()
        self._turn, self._waiting = Lock(), Waiting()
        self._line: _Line | None = None

    def publish(self, topic: str, payload: bytes, deadline_s: float, *, expiry_s: int = 0,
                heard: bool = False) -> None:
        """Publish once, and return when the broker has it. At most `deadline_s` seconds, then it is not sent any more.

        `expiry_s`: how long the broker may keep it for somebody who is away; 0: as long as it likes. `heard`: refuse
        where the broker says that nobody listens. Raises StoreFault: mqtt-unreachable, mqtt-refused, mqtt-timeout,
        mqtt-unheard, mqtt-tls, mqtt-password, mqtt-large.
        """
        if len(payload) > LARGEST:
            raise StoreFault("mqtt-large", f"A message over MQTT has at most {LARGEST:,} bytes.")
        until = self._clock.monotonic() + deadline_s
        if not self._turn.acquire(timeout=max(0.0, deadline_s)):
            raise _timeout()
        try:
            reason = self._once(topic, payload, until, expiry_s)
        finally:
            self._turn.release()
        if reason >= 0x80:
            raise StoreFault("mqtt-refused", "The MQTT broker did not take this message.")
        if heard and reason == _NOBODY_LISTENS:
            raise StoreFault("mqtt-unheard", "Nobody listens to this topic at the MQTT broker.")

    def close(self) -> None:
        """Say goodbye; what is under way is cut off. Publishing again connects again."""
        line, self._line = self._line, None
        if line is not None:
            line.end(_GOODBYE_S)

    def _once(self, topic: str, payload: bytes, until: float, expiry_s: int) -> int:
        line = self._line
        if line is None or line.ended:
            line = self._line = _Line(self._settings)
            self._connect(line, until)
        try:
            return line.publish(topic, payload, expiry_s, lambda: until - self._clock.monotonic())
        except (StoreFault, ValueError):
            self._line = None
            line.end()
            raise

    def _connect(self, line: _Line, until: float) -> None:
        try:
            self._waiting.at_most(until - self._clock.monotonic(), line.connect)
        except TimeoutError:
            self._drop(line)
            raise _timeout() from None
        except (OSError, ValueError):  # ValueError: a host's name that cannot be one
            self._drop(line)
            raise _unreachable() from None
        except StoreFault:
            self._drop(line)
            raise

    def _drop(self, line: _Line) -> None:
        self._line = None
        line.end()


class _Client(paho.Client):
    """paho's client, whose own thread ends quietly on a broker that does not speak MQTT."""

    def _thread_main(self) -> None:
        try:
            super()._thread_main()
        except Exception:  # noqa: BLE001  # what it was, nobody waits for; that it ended, they do
            self.user_data_get().lost()


class _Line:
    """One connection: connected once, and never again after it was lost."""

    def __init__(self, settings: Mqtt) -> None:
        self._settings = settings
        self._news = Condition()
        self._greeted: int | None = None
        self._answers: dict[int, int] = {}
        self.ended = False
        self._client = _Client(
            CallbackAPIVersion.VERSION2, client_id=f"{settings.client_id}-{secrets.token_hex(4)}",
            protocol=paho.MQTTv5, userdata=self, reconnect_on_failure=False)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish

    def connect(self) -> None:
        """Connect. It may hang for ever. Raises OSError, ValueError, StoreFault(mqtt-tls, mqtt-password)."""
        client, settings = self._client, self._settings
        client.suppress_exceptions = True
        client.connect_timeout = 10.0
        if settings.tls_ca:
            client.tls_set_context(_tls(settings.tls_ca))
        if settings.user:
            client.username_pw_set(settings.user, _password(settings.password_file))
        client.connect(settings.host, settings.port, keepalive=_KEEPALIVE_S)
        with self._news:
            late = self.ended
            if not late:
                client.loop_start()
        if late:  # nobody waits any more
            self._cut()

    def publish(self, topic: str, payload: bytes, expiry_s: int, left: Any) -> int:
        """Return the broker's reason code. `left` gives the seconds left. Raises StoreFault, ValueError(topic)."""
        self._wait(lambda: self._greeted is not None, left)
        if self._greeted:
            raise StoreFault("mqtt-refused", "The MQTT broker does not let this program in.")
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho left it so
        if expiry_s:
            properties.MessageExpiryInterval = expiry_s
        number = self._client.publish(topic, payload, qos=1, retain=False, properties=properties).mid
        self._wait(lambda: number in self._answers, left)
        with self._news:
            return self._answers.pop(number)

    def end(self, goodbye_s: float = 0.0) -> None:
        """Let go of the connection. What is not sent by then is thrown away, also what the system still holds."""
        if goodbye_s and not self.ended:
            with suppress(OSError, ValueError):
                self._client.disconnect()
            with self._news:
                self._news.wait_for(lambda: self.ended, goodbye_s)
        self.lost()
        self._cut()

    def _cut(self) -> None:
        with suppress(OSError, ValueError, AttributeError):  # AttributeError: there is no socket, or no more
            held: socket.socket = self._client.socket()  # type: ignore[assignment]  # no WebSocket here
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            held.shutdown(socket.SHUT_RDWR)

    def lost(self) -> None:
        """Tell whoever waits that nothing will come any more."""
        with self._news:
            self.ended = True
            self._news.notify_all()

    def _wait(self, happened: Any, left: Any) -> None:
        with self._news:
            while not happened():
                if self.ended:
                    raise _unreachable()
                if (seconds := left()) <= 0:
                    raise _timeout()
                self._news.wait(seconds)

    def _on_connect(self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _facts: Any) -> None:
        with self._news:
            self._greeted = reason.value
            self._news.notify_all()

    def _on_disconnect(self, *_told: Any) -> None:
        self.lost()

    def _on_publish(self, _client: paho.Client, _data: Any, number: int, reason: ReasonCode, _facts: Any) -> None:
        with self._news:
            self._answers[number] = reason.value
            self._news.notify_all()


def _tls(ca: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca == SYSTEM else ca)
    except (OSError, ValueError):
        raise StoreFault("mqtt-tls", "The certificates for the MQTT broker (tls_ca) cannot be read.") from None
    context.sslsocket_class = _Tidy
    return context


class _Tidy(ssl.SSLSocket):
    """Closes itself where the handshake fails; paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:  # as the library has it
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _password(name: str) -> str | None:
    if not name:
        return None
    path = Path(name)
    try:
        text, mode = durable.read(path, _LARGEST_PASSWORD).decode(), stat.S_IMODE(path.stat().st_mode)
    except (OSError, UnicodeDecodeError):
        raise StoreFault("mqtt-password", "The password file for the MQTT broker cannot be read.") from None
    if mode & 0o077:
        raise StoreFault("mqtt-password", "The MQTT password file may be readable by its owner only (chmod 600).")
    return text.rstrip("\r\n")


def _unreachable() -> StoreFault:
    return StoreFault("mqtt-unreachable", "The MQTT broker cannot be reached.")


def _timeout() -> StoreFault:
    return StoreFault("mqtt-timeout", "The MQTT broker did not answer in time.")
