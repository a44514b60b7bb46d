"""One folder per person (`Alice/1.jpg`): the names of the folders, and nothing that is inside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from countenance.errors import BadInput
from countenance.integrations.importers.rows import Row


def rows(path: Path) -> Iterator[Row]:
    """Yield a row for each entry of a folder, by name. No folder inside is listed, no file opened, no link followed.

    Reasons of its own: row-link, row-hidden, row-no-folder. Raises BadInput(folder-unreadable).
    """
    try:
        with os.scandir(path) as entries:
            found = sorted((entry.name, _fault(entry)) for entry in entries)
    except OSError:
        raise BadInput("folder-unreadable", f"{path.name or path} is no folder that can be listed.") from None
    for name, fault in found:
        yield Row(_place(name), name, fault=fault)


def _fault(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "row-link"
    if entry.name.startswith((".", "__")):
        return "row-hidden"
    return "" if entry.is_dir(follow_symlinks=False) else "row-no-folder"


def _place(name: str) -> str:
    return ascii(name)[1:-1][:80]  # what a terminal can show, whatever the name holds
