"""What stands in the log, and what a person's commitment in it opens to (docs/formats/log_entry.md).

An entry about nobody is in the clear. One about a person is 32 bytes, SHA-256(nonce ‖ record): without the nonce,
which only the venue's sealed row and the person's receipt hold, it says nothing, and all are of one length.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from countenance.errors import BadInput
from countenance.formats import canonical
from countenance.quantities import END_OF_TIME, Instant

LARGEST = 65_535
"""Bytes of an entry (C2SP tlog-tiles: its length stands in 16 bits)."""

NONCE_BYTES = LEAF_BYTES = 32
_SEALED, _CLEAR = b"\x00", b"\x01"
_BEYOND = 1 << 63


@dataclass(frozen=True)
class Clear:
    """An entry about nobody."""

    type: str
    at: Instant
    body: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """What a person's entry says. `number` counts from 1 in their chain; `before` is the leaf before, empty at first.

    Number 0: in nobody's chain.
    """

    type: str
    at: Instant
    number: int
    before: bytes
    body: dict[str, Any]

    def encode(self) -> bytes:
        """Return the record's one encoding."""
        return canonical.encode({"type": self.type, "at": self.at, "number": self.number, "before": self.before,
                                 "body": self.body})


def leaf_of(nonce: bytes, record: bytes) -> bytes:
    """Return the commitment to a record: 32 bytes."""
    return hashlib.sha256(nonce + record).digest()


def sealed(leaf: bytes) -> bytes:
    """Return the entry for a commitment."""
    return _SEALED + leaf


def clear(type_: str, at: Instant, body: dict[str, Any]) -> bytes:
    """Return the entry for an event about nobody. Raises BadInput(entry-too-large)."""
    entry = _CLEAR + canonical.encode({"type": type_, "at": at, "body": body})
    if len(entry) > LARGEST:
        raise BadInput("entry-too-large", "This is too long for one entry of the log; nothing was written.")
    return entry


def parse(entry: bytes) -> Clear | bytes:
    """Return a clear entry, or the leaf of a sealed one. Raises BadInput(entry-malformed)."""
    if entry[:1] == _SEALED and len(entry) == 1 + LEAF_BYTES:
        return entry[1:]
    value = _map(entry[1:], {"type": str, "at": int, "body": dict}) if len(entry) <= LARGEST else None
    if entry[:1] != _CLEAR or value is None:
        raise BadInput("entry-malformed", "An entry of the log is not in its form.")
    return Clear(value["type"], Instant(value["at"]), value["body"])


def read_record(record: bytes) -> Record:
    """Read a person's record. Raises BadInput(entry-malformed)."""
    value = _map(record, {"type": str, "at": int, "number": int, "before": bytes, "body": dict})
    if value is None or value["number"] < 0 or len(value["before"]) not in (0, LEAF_BYTES):
        raise BadInput("entry-malformed", "An entry of the log is not in its form.")
    return Record(value["type"], Instant(value["at"]), value["number"], value["before"], value["body"])


def _map(data: bytes, kinds: dict[str, type]) -> dict[str, Any] | None:
    try:
        value = canonical.decode(data, "entry")
    except BadInput:
        return None
    if not isinstance(value, dict) or set(value) != set(kinds):
        return None
    if any(type(value[name]) is not kind for name, kind in kinds.items()) or not 0 <= value["at"] < END_OF_TIME:
        return None
    return value if _facts(value) else None


def _facts(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _facts(inner) for name, inner in value.items())
    if isinstance(value, list):
        return all(map(_facts, value))
    if isinstance(value, int):
        return -_BEYOND <= value < _BEYOND
    return value is None or isinstance(value, str | bytes)  # and no tags, which no body has
