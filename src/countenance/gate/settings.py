"""What one gate has settled: `gate.toml`, read once, strict: an unknown key would be a rule that nobody follows.

Secrets stand in files of their own (mode 0600) or in the environment, never in this file and never on a command line.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
import tomllib
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from countenance import durable
from countenance.errors import BadInput, StoreFault

FORMAT = 1
LARGEST = 1 << 16
"""Bytes of `gate.toml`; a secret file has at most 4,096."""

_LARGEST_SECRET = 4_096
_NEEDED: Any = object()

# section -> key -> (type, what it is where it is left out); docs/operating/gate.md is checked against this table
SHAPE: dict[str, dict[str, tuple[type, Any]]] = {
    "": {"format": (int, _NEEDED)},
    "gate": {"id": (str, _NEEDED), "door": (str, "none")},
    "server": {"url": (str, _NEEDED), "key": (str, _NEEDED), "ca": (str, "")},
    "camera": {"source": (str, _NEEDED), "user": (str, ""), "password_file": (str, ""), "seconds": (float, 3.0),
               "width": (int, 0), "height": (int, 0)},
    "zone": {"left": (float, _NEEDED), "top": (float, _NEEDED), "right": (float, _NEEDED), "bottom": (float, _NEEDED)},
    "triggers": {"scanner": (bool, False), "http_port": (int, 0)},
    "mqtt": {"host": (str, _NEEDED), "port": (int, 1883), "topic": (str, _NEEDED), "user": (str, ""),
             "password_file": (str, ""), "tls": (bool, False), "ca": (str, "")},
    "lane": {"url": (str, _NEEDED), "ca": (str, "")},
}
_ALWAYS = {"", "gate", "server", "triggers"}

LONGEST_LOOK_S = 5.0
_MOST_SIDE, _LAST_PORT = 10_000, 65_535
_NARROWEST = 0.05
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"cnt_[!-~]{8,250}")
_TOPIC = re.compile(r"[^\x00-\x1f\x7f+#]{1,256}")


@dataclass(frozen=True)
class Zone:
    """Where people stand, as fractions of the picture's width and height: 0 <= left < right <= 1, top < bottom."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Place:
    """An address that is asked: https, or http on this machine's loopback. `ca`: PEM file, None: the system's."""

    tls: bool
    host: str
    port: int
    path: str
    ca: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """See `tls_context`; None for http on loopback."""
        return tls_context(self.ca) if self.tls else None


@dataclass(frozen=True)
class CameraAt:
    """A camera. `kind`: usb (`where` a number), rtsp (a URL without a password) or file. `seconds`: of frames, at most.

    `width`, `height`: pixels to ask a USB camera for; 0 leaves it to the camera.
    """

    kind: Literal["usb", "rtsp", "file"]
    where: str
    seconds: float
    width: int
    height: int
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Broker:
    """An MQTT broker whose messages press."""

    host: str
    port: int
    topic: str
    context: ssl.SSLContext | None
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class GateSettings:
    """One gate's settings. `camera` and `zone` are None at a gate that only reads passes; `http_port` 0: none."""

    gate_id: str
    door: Literal["server", "none"]
    server: Place
    key: str = field(repr=False)
    camera: CameraAt | None
    zone: Zone | None
    scanner: bool
    http_port: int
    mqtt: Broker | None
    lane: Place | None


def load(path: Path) -> GateSettings:
    """Read `gate.toml`; files it names are relative to its folder.

    Raises BadInput: gate-file-unreadable, gate-file-malformed, gate-file-keys, gate-file-value, gate-url, gate-key,
    gate-secret-missing, gate-ca; StoreFault(gate-secret-open) for a secret that others may read.
    """
    try:
        value = tomllib.loads(durable.read(path, LARGEST).decode())
    except OSError:
        raise BadInput("gate-file-unreadable", "The gate's settings (gate.toml) cannot be read.") from None
    except ValueError:  # of TOML, and of UTF-8
        raise BadInput("gate-file-malformed", "The gate's settings (gate.toml) are not valid TOML.") from None
    return _settled(_shaped(value), path.parent)


def _shaped(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every section that is there, with what was left out filled in."""
    sections = {name: part for name, part in value.items() if isinstance(part, dict)}
    sections[""] = {name: part for name, part in value.items() if not isinstance(part, dict)}
    unknown = set(sections) - set(SHAPE)
    for name in _ALWAYS | set(sections):
        part, shape = sections.get(name, {}), SHAPE.get(name, {})
        needed = {key for key, (_kind, otherwise) in shape.items() if otherwise is _NEEDED}
        if unknown or set(part) - set(shape) or needed - set(part):
            raise BadInput("gate-file-keys", f"In gate.toml, [{name or 'top'}] has an unknown or a missing key.")
        sections[name] = {key: _typed(f"{name}.{key}", kind, part.get(key, otherwise))
                          for key, (kind, otherwise) in shape.items()}
    if sections[""]["format"] != FORMAT:
        raise _wrong("format")
    return sections


def _typed(name: str, kind: type, given: Any) -> Any:
    if kind is float and type(given) is int:
        given = float(given)
    if type(given) is not kind or (isinstance(given, str) and not given.isprintable()):
        raise _wrong(name)
    return given


def _settled(parts: dict[str, dict[str, Any]], folder: Path) -> GateSettings:
    gate, server, triggers = parts["gate"], parts["server"], parts["triggers"]
    if not _NAME.fullmatch(gate["id"]):
        raise _wrong("gate.id")
    if gate["door"] not in {"server", "none"}:
        raise _wrong("gate.door")
    if not 0 <= triggers["http_port"] <= _LAST_PORT:
        raise _wrong("triggers.http_port")
    if not (triggers["scanner"] or triggers["http_port"] or "mqtt" in parts):
        raise BadInput("gate-file-value", "In gate.toml, nothing starts this gate: name a scanner, a port or MQTT.")
    if ("camera" in parts) != ("zone" in parts):
        raise BadInput("gate-file-keys", "In gate.toml, a camera needs a zone, and a zone a camera.")
    return GateSettings(
        gate["id"], gate["door"], _place("server", server, folder), _api_key(server["key"], folder),
        _camera(parts["camera"], folder) if "camera" in parts else None,
        _zone(parts["zone"]) if "zone" in parts else None, triggers["scanner"], triggers["http_port"],
        _broker(parts["mqtt"], folder) if "mqtt" in parts else None,
        _place("lane", parts["lane"], folder) if "lane" in parts else None)


def _zone(part: dict[str, Any]) -> Zone:
    zone = Zone(part["left"], part["top"], part["right"], part["bottom"])
    for low, high in ((zone.left, zone.right), (zone.top, zone.bottom)):
        if not (low >= 0 and low + _NARROWEST <= high <= 1):  # false for what is no number, too
            raise BadInput("gate-file-value", "In gate.toml, [zone] has fractions from 0 to 1, at least 0.05 apart.")
    return zone


def _camera(part: dict[str, Any], folder: Path) -> CameraAt:
    kind, _, where = part["source"].partition(":")
    if kind in {"rtsp", "rtsps"}:
        kind, where = "rtsp", _stream(part["source"])
    elif kind == "file" and where:
        where = str(folder / where)
    elif kind != "usb" or not re.fullmatch(r"[0-9]{1,2}", where):
        raise BadInput("gate-file-value", "In gate.toml, camera.source is usb:NUMBER, rtsp://HOST/PATH or file:PATH.")
    if not 0.5 <= part["seconds"] <= LONGEST_LOOK_S:
        raise _wrong("camera.seconds")
    if not all(0 <= part[side] <= _MOST_SIDE for side in ("width", "height")):
        raise _wrong("camera.width or camera.height")
    secret = _login("camera", part, folder)
    return CameraAt(kind, where, part["seconds"], part["width"], part["height"], part["user"], secret)


def _stream(url: str) -> str:
    found = _split(url, "camera.source")
    if found.username is not None or found.password is not None:
        raise BadInput("gate-url", "A camera's password belongs into camera.password_file, not into its address.")
    return url


def _login(section: str, part: dict[str, Any], folder: Path) -> str:
    """Return the password, "" where none is named."""
    if bool(part["user"]) != bool(part["password_file"]):
        raise BadInput("gate-file-keys", f"In gate.toml, [{section}] needs user and password_file, or neither.")
    return secret_file(folder / part["password_file"]) if part["password_file"] else ""


def _broker(part: dict[str, Any], folder: Path) -> Broker:
    if not 1 <= part["port"] <= _LAST_PORT or not _TOPIC.fullmatch(part["topic"]) or not part["host"]:
        raise _wrong("mqtt.host, mqtt.port or mqtt.topic")
    if not part["tls"] and not _loopback(part["host"]):
        raise BadInput("gate-url", "A broker on another machine needs mqtt.tls = true.")
    context = tls_context(_beside(part["ca"], folder)) if part["tls"] else None
    return Broker(part["host"], part["port"], part["topic"], context, part["user"], _login("mqtt", part, folder))


def _place(section: str, part: dict[str, Any], folder: Path) -> Place:
    found = _split(part["url"], f"{section}.url")
    if found.username is not None or found.password is not None or found.query or found.fragment:
        raise BadInput("gate-url", f"In gate.toml, {section}.url has more than a host, a port and a path.")
    host, tls = found.hostname or "", found.scheme == "https"
    if not tls and not (found.scheme == "http" and _loopback(host)):
        raise BadInput("gate-url", f"In gate.toml, {section}.url must be https, or http on this machine (127.0.0.1).")
    place = Place(tls, host, found.port or (443 if tls else 80), found.path.rstrip("/"), _beside(part["ca"], folder))
    place.context()  # now, so that a wrong file is said at the start
    return place


def _split(url: str, name: str) -> SplitResult:
    try:
        found = urlsplit(url)
        right = bool(found.hostname) and found.port != 0
    except ValueError:
        right = False
    if not right or not url.isascii() or " " in url:
        raise BadInput("gate-url", f"In gate.toml, {name} is not an address.")
    return found


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _beside(name: str, folder: Path) -> Path | None:
    return folder / name if name else None


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """Return what checks a server's certificate and name, against `ca` alone where it is given.

    Not `ssl.create_default_context`: that writes session keys to a file where SSLKEYLOGFILE is set. Raises
    BadInput(gate-ca).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=ca)
    except OSError:  # ssl.SSLError is one
        raise BadInput("gate-ca", "In gate.toml, ca is not a file of certificates in PEM.") from None
    return context


def secret_file(path: Path) -> str:
    """Return a secret, without its line end. Raises BadInput(gate-secret-missing), StoreFault(gate-secret-open)."""
    missing = BadInput("gate-secret-missing", f"The secret file {path.name} cannot be read, or holds no line of text.")
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        raise missing from None
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise missing
        if os.name == "posix" and mode & 0o077:
            raise StoreFault("gate-secret-open", f"The secret file {path.name} may be readable by its owner only "
                             "(chmod 600).")
        data = os.read(handle, _LARGEST_SECRET + 1)
    finally:
        os.close(handle)
    text = data.decode("ascii", errors="replace").strip("\r\n")
    if not text or len(data) > _LARGEST_SECRET or not text.isascii() or not text.isprintable():
        raise missing
    return text


def _api_key(spec: str, folder: Path) -> str:
    how, _, where = spec.partition(":")
    if how not in {"file", "env"} or not where:
        raise BadInput("gate-key", "In gate.toml, server.key is file:PATH or env:NAME; the key itself stands there.")
    key = secret_file(folder / where) if how == "file" else os.environ.get(where, "")
    if not _KEY.fullmatch(key):
        raise BadInput("gate-key", "What server.key names does not hold an API key, which begins with cnt_.")
    return key


def _wrong(name: str) -> BadInput:
    return BadInput("gate-file-value", f"In gate.toml, {name} has a wrong value.")
