"""Searches files for something that must not be there: a destroyed key, a frame, a template.

A search that finds nothing proves nothing until the same search found something planted; callers do that
first (`flows/demo`, the tests). Looked for as raw bytes, as hex in both cases, and as base64 at each of
its three alignments, standard and URL-safe.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_WINDOW = 1 << 20
SHORTEST = 16
"""Bytes. A shorter needle would be found by chance."""


@dataclass(frozen=True)
class Needle:
    """What to look for, and what to call it when it is found."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Needle({self.name!r})"


@dataclass(frozen=True)
class Finding:
    """Where something was found, and in which spelling."""

    file: Path
    name: str
    spelling: str


def spellings(needle: Needle) -> Iterator[tuple[str, bytes]]:
    """Give each way in which the needle could stand in a file."""
    if len(needle.secret) < SHORTEST:
        raise ValueError("a needle needs 16 bytes")
    yield "raw", needle.secret
    yield "hex", needle.secret.hex().encode()
    yield "hex", needle.secret.hex().upper().encode()
    for shift in range(3):
        # Characters at either end mix in neighbouring bits; those in between are the needle's alone.
        text = base64.b64encode(b"\0" * shift + needle.secret)
        first = (0, 2, 3)[shift]
        last = (shift + len(needle.secret)) * 8 // 6
        yield "base64", text[first:last]
        yield "base64", base64.urlsafe_b64encode(b"\0" * shift + needle.secret)[first:last]


def search(folder: Path, needles: Sequence[Needle]) -> list[Finding]:
    """Return every finding in every file below `folder`, hidden ones and database logs included."""
    wanted = [(n.name, spelling, text) for n in needles for spelling, text in dict.fromkeys(spellings(n))]
    longest = max((len(text) for _, _, text in wanted), default=0)
    findings: dict[Finding, None] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        for window in _windows(path, longest):
            for name, spelling, text in wanted:
                if text in window:
                    findings[Finding(path.relative_to(folder), name, spelling)] = None
    return list(findings)


def _windows(path: Path, overlap: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        tail = b""
        while block := file.read(_WINDOW):
            yield tail + block
            tail = (tail + block)[-overlap:]
