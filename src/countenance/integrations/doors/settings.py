"""What `outside.toml` says of doors: one `[[door]]` each, strict, by its kind."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from countenance.errors import StoreFault
from countenance.integrations.strict_table import StrictTable

Fail = Literal["secure", "safe"]

MOST_TIMEOUT_S, MOST_HEARTBEAT_S = 10, 60
LEFT_OF_A_TIMEOUT_MS = 500
"""What a pulse leaves of its door's timeout for the wire."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SECRET_BYTES = range(24, 65)  # Standard Webhooks


@dataclass(frozen=True, kw_only=True)
class Door:
    """One door. `fail`: what happens without this program: secure stays locked, safe is released (escape routes).

    `timeout_s`: how long opening takes at most; `heartbeat_s`: how often `heartbeat` is to be called, 0: never.
    """

    kind = "none"
    name: str
    fail: Fail = "secure"
    timeout_s: int = 2
    heartbeat_s: int = 0

    @property
    def hold_s(self) -> int:
        """How long a controller may wait for a heartbeat before it releases the door: three of them."""
        return 3 * self.heartbeat_s


@dataclass(frozen=True, kw_only=True)
class WebhookDoor(Door):
    """`secret`: the bytes that sign. `ca`: a file of certificates for this door, or empty for the machine's."""

    kind = "webhook"
    url: str
    secret: bytes
    ca: str = ""

    def __repr__(self) -> str:
        return f"WebhookDoor({self.name!r})"


@dataclass(frozen=True, kw_only=True)
class MqttDoor(Door):
    """Tokens go to `topic`; heartbeats go to `topic`/hold."""

    kind = "mqtt"
    topic: str


@dataclass(frozen=True, kw_only=True)
class ModbusDoor(Door):
    """`coil` is pulsed for `pulse_ms`; `hold_coil` (where `fail` is safe, else -1) is held on while all is well."""

    kind = "modbus"
    host: str
    port: int = 502
    unit: int = 1
    coil: int
    pulse_ms: int = 500
    hold_coil: int = -1


@dataclass(frozen=True, kw_only=True)
class CommandDoor(Door):
    """`argv[0]` is an absolute path."""

    kind = "command"
    argv: tuple[str, ...]


def parse_doors(value: Any) -> dict[str, Door]:
    """Return the doors by name. Raises StoreFault: outside-malformed, outside-keys, outside-value."""
    if not isinstance(value, list):
        raise StoreFault("outside-malformed", "In outside.toml, a door is written [[door]].")
    doors: dict[str, Door] = {}
    for part in value:
        door = _door(part)
        if door.name in doors:
            raise StoreFault("outside-value", f"In outside.toml, two doors have the name {door.name}.")
        doors[door.name] = door
    return doors


def _door(value: Any) -> Door:
    table = StrictTable("a [[door]]", value)
    name = table.take("name", str, ok=lambda text: bool(_NAME.fullmatch(text)))
    table.where = f"[[door]] {name}"
    kind = table.take("kind", str, ok=lambda text: text in _KINDS)
    fail = cast("Fail", table.take("fail", str, "secure", lambda text: text in {"secure", "safe"}))
    timeout_s = table.take("timeout_s", int, 2, lambda seconds: 1 <= seconds <= MOST_TIMEOUT_S)
    if fail == "safe" and kind in _NEVER_SAFE:
        raise StoreFault("outside-value", f"In outside.toml, {table.where} cannot be fail-safe: nothing holds it.")
    beats = fail == "safe" or kind == "modbus"
    heartbeat_s = table.take("heartbeat_s", int, 5, lambda n: 1 <= n <= MOST_HEARTBEAT_S) if beats else 0
    door = _KINDS[kind](table, {"name": name, "fail": fail, "timeout_s": timeout_s, "heartbeat_s": heartbeat_s})
    table.done()
    return door


def _none(_table: StrictTable, common: dict[str, Any]) -> Door:
    return Door(**common)


def _webhook(table: StrictTable, common: dict[str, Any]) -> Door:
    url, plain = table.take("url", str), table.take("allow_plain", bool, default=False)
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        raise table.wrong("url") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and (plain or parts.hostname in _LOOPBACK))
    if not (secure and parts.hostname and port_ok) or parts.username or parts.fragment or not url.isprintable():
        raise table.wrong("url")
    return WebhookDoor(**common, url=url, secret=_secret(table), ca=table.take("ca", str, ""))


def _secret(table: StrictTable) -> bytes:
    text = table.take("secret", str, ok=lambda text: text.startswith("whsec_"))
    try:
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise table.wrong("secret") from None
    if len(secret) not in _SECRET_BYTES:
        raise table.wrong("secret")
    return secret


def _mqtt(table: StrictTable, common: dict[str, Any]) -> Door:
    topic = table.take("topic", str, ok=lambda text: 0 < len(text) <= 200 and not set(text) & set("+#\0")
                       and text.isprintable() and not text.startswith("$"))
    return MqttDoor(**common, topic=topic)


def _modbus(table: StrictTable, common: dict[str, Any]) -> Door:
    most = 1_000 * common["timeout_s"] - LEFT_OF_A_TIMEOUT_MS
    door = ModbusDoor(
        **common, host=table.take("host", str, ok=lambda text: bool(_HOST.fullmatch(text))),
        port=table.take("port", int, 502, lambda number: 0 < number < 65_536),
        unit=table.take("unit", int, 1, lambda number: 0 < number < 248),
        coil=table.take("coil", int, ok=_is_coil),
        pulse_ms=table.take("pulse_ms", int, 500, lambda ms: 50 <= ms <= most),
        hold_coil=table.take("hold_coil", int, ok=_is_coil) if common["fail"] == "safe" else -1)
    if door.hold_coil == door.coil:
        raise table.wrong("hold_coil")
    return door


def _is_coil(number: int) -> bool:
    return 0 <= number < 65_536


def _command(table: StrictTable, common: dict[str, Any]) -> Door:
    argv = table.take("argv", list, ok=lambda words: bool(words) and all(
        type(word) is str and "\0" not in word for word in words) and PurePosixPath(words[0]).is_absolute())
    return CommandDoor(**common, argv=tuple(argv))


_KINDS: dict[str, Callable[[StrictTable, dict[str, Any]], Door]] = {
    "none": _none, "webhook": _webhook, "mqtt": _mqtt, "modbus": _modbus, "command": _command}
_NEVER_SAFE = {"none", "command"}
