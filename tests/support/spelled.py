"""CBOR spelled out by hand (RFC 8949, 3), so that a value can also be spelled as it must not be.

Nothing of this comes from the code under test or from a library: a value's right spelling is what `spell` gives, and
the other functions give wrong ones of the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UINT, NINT, BYTES, TEXT, LIST, MAP, TAG = range(7)
_WIDTHS = ((24, 1, 0x100), (25, 2, 0x1_0000), (26, 4, 0x1_0000_0000), (27, 8, 1 << 64))


@dataclass(frozen=True)
class Raw:
    """Bytes that stand as they are where a value is wanted."""

    spelled: bytes


def head(major: int, number: int, wider: int = 0) -> bytes:
    """Return the head of a value; `wider` steps longer than it need be."""
    steps = [(None, 0, 24), *_WIDTHS]
    shortest = next(at for at, (_, _, limit) in enumerate(steps) if number < limit)
    info, width, _ = steps[shortest + wider]
    if info is None:
        return bytes([major << 5 | number])
    return bytes([major << 5 | info]) + number.to_bytes(width, "big")


def spell(value: Any, wider: int = 0) -> bytes:
    """Return the one right spelling; with `wider`, the same value under a longer head."""
    if isinstance(value, Raw):
        return value.spelled
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return head(UINT, value, wider) if value >= 0 else head(NINT, -1 - value, wider)
    if isinstance(value, bytes | str):
        data = value.encode() if isinstance(value, str) else value
        return head(TEXT if isinstance(value, str) else BYTES, len(data), wider) + data
    if isinstance(value, list):
        return head(LIST, len(value), wider) + b"".join(map(spell, value))
    return mapping(pairs(value), wider)


def pairs(value: dict[Any, Any]) -> list[tuple[bytes, bytes]]:
    """Return the spelled pairs of a map, sorted by length of the key, then bytewise."""
    return sorted(((spell(k), spell(v)) for k, v in value.items()), key=lambda pair: (len(pair[0]), pair[0]))


def mapping(items: list[tuple[bytes, bytes]], wider: int = 0) -> bytes:
    """Return a map of pairs in the order given, one that stands twice included."""
    return head(MAP, len(items), wider) + b"".join(k + v for k, v in items)


def open_ended(value: Any) -> bytes:
    """Return a text, bytes, list or map of indefinite length."""
    if isinstance(value, bytes | str):
        major, parts = (TEXT if isinstance(value, str) else BYTES), [spell(value)]
    elif isinstance(value, list):
        major, parts = LIST, [spell(item) for item in value]
    else:
        major, parts = MAP, [k + v for k, v in pairs(value)]
    return bytes([major << 5 | 31]) + b"".join(parts) + b"\xff"


def tagged(tag: int, value: Any) -> bytes:
    """Return a value behind a tag."""
    return head(TAG, tag) + spell(value)
