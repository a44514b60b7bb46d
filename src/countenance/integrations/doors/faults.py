"""What goes wrong at a door, in its few words."""

from __future__ import annotations

from countenance.errors import StoreFault


def unreachable(name: str) -> StoreFault:
    """Nobody was there: the door did not open."""
    return StoreFault("door-unreachable", f"The door {name} cannot be reached.")


def refused(name: str) -> StoreFault:
    """Somebody was there and said no: the door did not open."""
    return StoreFault("door-refused", f"The door {name} did not take the signal to open.")


def timeout(name: str) -> StoreFault:
    """Nothing came in time: whether the door opened, nobody knows."""
    return StoreFault("door-timeout", f"The door {name} did not answer in time.")


def stuck(name: str) -> StoreFault:
    """The door may stand open."""
    return StoreFault("door-stuck", f"The door {name} was opened and may not have locked again: look at it.")
