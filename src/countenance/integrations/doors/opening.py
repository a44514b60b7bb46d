"""From what `outside.toml` says to doors that open."""

from __future__ import annotations

from typing import Protocol

from countenance.clock import Clock, SystemClock
from countenance.errors import StoreFault
from countenance.integrations.doors.settings import CommandDoor, Door, ModbusDoor, MqttDoor, WebhookDoor
from countenance.integrations.outside import Outside


class OpenDoor(Protocol):
    """A door. Safe for use by several threads; no call takes longer than `door.timeout_s`, whatever is behind it."""

    @property
    def door(self) -> Door:
        """What `outside.toml` says of it."""

    def open(self, token_text: str, people: int) -> None:
        """Open once, for `people`. `token_text` is what `formats.door_tokens.write` gave.

        Raises StoreFault: door-unreachable, door-refused (it did not open), door-timeout (nobody knows), door-stuck
        (it may stand open). Nothing is tried a second time.
        """

    def heartbeat(self) -> None:
        """Say that all is well; to be called every `door.heartbeat_s` seconds where that is above 0.

        It opens for nobody. Raises as `open`.
        """

    def close(self) -> None:
        """Let go. A fail-safe door is released once it has missed its heartbeats."""


class NoDoor:
    """The answer itself is the signal."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def open(self, token_text: str, people: int) -> None:
        """See `OpenDoor.open`; nothing happens."""

    def heartbeat(self) -> None:
        """See `OpenDoor.heartbeat`; nothing happens."""

    def close(self) -> None:
        """See `OpenDoor.close`."""


def open_doors(outside: Outside, clock: Clock | None = None) -> dict[str, OpenDoor]:
    """Return the doors by name. Nothing is connected yet. Raises StoreFault(outside-keys, outside-value)."""
    ticks = clock or SystemClock()
    return {name: _open_door(door, outside, ticks) for name, door in outside.doors.items()}


def _open_door(door: Door, outside: Outside, clock: Clock) -> OpenDoor:
    """The libraries of a kind are loaded only where a door of that kind is."""
    if isinstance(door, WebhookDoor):
        from countenance.integrations.doors.webhook import Webhook

        return Webhook(door, clock)
    if isinstance(door, MqttDoor):
        from countenance.integrations.doors.over_mqtt import OverMqtt

        if outside.mqtt is None:
            raise StoreFault("outside-keys", f"In outside.toml, [[door]] {door.name} needs a section [mqtt].")
        return OverMqtt(door, outside.mqtt)
    if isinstance(door, ModbusDoor):
        from countenance.integrations.doors.modbus import Modbus

        return Modbus(door, clock)
    if isinstance(door, CommandDoor):
        from countenance.integrations.doors.command import Command

        return Command(door)
    return NoDoor(door)
