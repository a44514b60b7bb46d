"""The frames of a capture session in one body, so that they travel, are counted and are overwritten as one picture is.

Each frame: 4 bytes, milliseconds from the beginning of the session; 4 bytes, length; a JPEG, PNG or WebP of that
length. Both numbers big-endian, unsigned. Nothing before, between or after.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from countenance.errors import BadInput
from countenance.vision.liveness.session import MOST_FRAMES

_HEAD = struct.Struct(">II")
LARGEST_FRAME = 2 << 20


@dataclass(frozen=True)
class Sent:
    """One frame as it was sent; `moment` in seconds."""

    moment: float
    picture: bytes = field(repr=False)


def parse(data: bytes) -> list[Sent]:
    """Return the frames. Raises BadInput: frames-malformed, frames-many."""
    found: list[Sent] = []
    at = 0
    while at < len(data):
        if len(found) >= MOST_FRAMES:
            raise BadInput("frames-many", f"A capture session has at most {MOST_FRAMES} frames.")
        if at + _HEAD.size > len(data):
            raise _malformed()
        milliseconds, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if not 0 < length <= LARGEST_FRAME or at + length > len(data):
            raise _malformed()
        found.append(Sent(milliseconds / 1000, bytes(data[at:at + length])))
        at += length
    if not found:
        raise _malformed()
    return found


def written(frames: Iterable[tuple[float, bytes]]) -> bytes:
    """Return the body for frames, (seconds, picture) each: for clients, and tests."""
    return b"".join(_HEAD.pack(round(moment * 1000), len(picture)) + picture for moment, picture in frames)


def _malformed() -> BadInput:
    return BadInput("frames-malformed", "This is not a capture session: frames, each with its time and its length.")
