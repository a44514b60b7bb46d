"""Keeps what is built from model files, so that a gate starts in a fraction of a second.

The folder is trusted as the program's own files are: whoever can write there can change the program
too. The sum in each file is against damage. Nothing of any person is ever here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from countenance import durable

_DIGEST = hashlib.sha256().digest_size


def folder() -> Path:
    """Return `$COUNTENANCE_CACHE`, else `$XDG_CACHE_HOME/countenance`, else `~/.cache/countenance`."""
    own = os.environ.get("COUNTENANCE_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "countenance"


def cached(name: str, build: Callable[[], bytes]) -> bytes:
    """Return the bytes kept as `name`, or build and keep them.

    `name` says everything that the bytes depend on. A damaged file is built anew; where the folder
    cannot be written, the bytes are built each time and nothing fails.
    """
    try:
        path = folder() / name
        stored = path.read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        stored = b""
    data = stored[_DIGEST:]
    if len(stored) > _DIGEST and hashlib.sha256(data).digest() == stored[:_DIGEST]:
        return data
    data = build()
    _keep(name, data)
    return data


def _keep(name: str, data: bytes) -> None:
    try:
        place = folder()
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable.write(place / name, hashlib.sha256(data).digest() + data)
    except (OSError, RuntimeError):
        return
