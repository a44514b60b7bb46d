"""What a venue sends outside: `outside.toml` in its data folder, optional, of its owner only (docs/operating/doors.md).

Doors, recipients and brokers stand in a file that somebody edits on the machine itself, and not in a database: a
stolen key of the API can redirect nothing. It holds secrets, so it is 0600. Strict: an unknown section or key is an
error, because a misspelled one would be a door that nobody opens, or a rule that nobody follows.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance import durable
from countenance.errors import StoreFault
from countenance.integrations.doors.settings import Door, parse_doors

if TYPE_CHECKING:
    from countenance.integrations.mqtt import Mqtt
    from countenance.integrations.outside_events import Recipient

FILE = "outside.toml"
LARGEST = 1 << 20
_EVENTS = "countenance.integrations.outside_events"


@dataclass(frozen=True)
class Outside:
    """Everything that leaves this venue for others. Empty: nothing does."""

    doors: dict[str, Door] = field(default_factory=dict)
    recipients: tuple[Recipient, ...] = ()
    mqtt: Mqtt | None = None


def _parse_recipients(value: Any) -> tuple[Recipient, ...]:
    from countenance.integrations.outside_events import parse_recipients

    return parse_recipients(value)


def _parse_mqtt(value: Any) -> Mqtt:
    from countenance.integrations.outside_events import parse_mqtt

    return parse_mqtt(value)


SECTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {"door": ("doors", parse_doors)}
"""A section's name, the field of `Outside` that it fills, and what reads it."""
if find_spec(_EVENTS):
    SECTIONS |= {"recipient": ("recipients", _parse_recipients), "mqtt": ("mqtt", _parse_mqtt)}


def load(folder: Path) -> Outside:
    """Read `outside.toml`; without it nothing is sent outside.

    Raises StoreFault: outside-open (others can read it), outside-unreadable, outside-malformed (no TOML, or of another
    shape), outside-keys (unknown or missing), outside-value.
    """
    path = folder / FILE
    try:
        data, mode = durable.read(path, LARGEST), stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return Outside()
    except OSError:
        raise StoreFault("outside-unreadable", "The file outside.toml cannot be read.") from None
    if mode & 0o077:
        raise StoreFault("outside-open", "The file outside.toml may be readable by its owner only (chmod 600).")
    return parse(data)


def parse(data: bytes) -> Outside:
    """Return what the file says. Raises StoreFault as `load`."""
    try:
        value = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        raise StoreFault("outside-malformed", "The file outside.toml is not valid TOML.") from None
    found: dict[str, Any] = {}
    for name, part in value.items():
        if name not in SECTIONS:
            raise StoreFault("outside-keys", f"The file outside.toml has an unknown section or key: {name}.")
        member, read = SECTIONS[name]
        found[member] = read(part)
    outside = Outside(**found)
    for door in outside.doors.values():
        if door.kind == "mqtt" and outside.mqtt is None:
            raise StoreFault("outside-keys", f"In outside.toml, [[door]] {door.name} needs a section [mqtt].")
    return outside
