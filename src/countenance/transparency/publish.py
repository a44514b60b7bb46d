"""Publishes a log as files (C2SP tlog-tiles): anybody can copy the folder, and check it without asking.

At fixed intervals, so that when a file appears says nothing about anybody. First the entries and tiles, each durable,
then the checkpoint over them; a crash between leaves the older checkpoint with all that it needs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from countenance import durable
from countenance.errors import BadInput, StoreFault
from countenance.formats import checkpoints, signed_note, tiles
from countenance.formats.signed_note import Note, NoteKey
from countenance.storage.unit import Store
from countenance.transparency.tree import Tree

FOLDER, CHECKPOINT = "log", "checkpoint"
Progress = Callable[[int, int], None]


LARGEST = 4 * signed_note.LARGEST
"""Bytes of a checkpoint that are read at all."""


def published(folder: Path, keys: Sequence[NoteKey]) -> Note | None:
    """Return the checkpoint that lies in a log's folder, signed by one of `keys`; None where there is no such.

    Others may write there: what our log did not sign is nothing to it. Raises StoreFault(log-other) where it is of
    another log.
    """
    try:
        note = signed_note.parse(durable.read(folder / CHECKPOINT, LARGEST).decode())
        found = checkpoints.parse(note)
    except (OSError, UnicodeDecodeError, BadInput):
        return None
    if found.origin != keys[0].name:
        raise StoreFault("log-other", "The folder holds another log; move it away, and keep it.")
    return note if signed_by(note, keys) else None


def signed_by(note: Note, keys: Sequence[NoteKey]) -> NoteKey | None:
    """Return the first of these keys that signed a note, or None."""
    for key in keys:
        with suppress(BadInput):
            signed_note.require_signed(note, key)
            return key
    return None


def publish(store: Store, folder: Path, note: Note, standing: Note | None,
            progress: Progress = lambda _done, _all: None) -> int:
    """Write what is new up to a checkpoint that was signed; return how many entries are published.

    `standing`: what `published` gave; where it is None nothing that lies there is believed, and all is written anew.
    Otherwise files that are missing are, and full tiles of hashes that have another length than they must. One at
    a time (flows/log.py): of two, the one that is behind would take the place of the other. Raises StoreFault.
    """
    now = checkpoints.parse(note)
    try:
        with store.read() as unit:
            tree = Tree(unit.connection)
            todo = list(_wanted(folder, now.size, afresh=standing is None))
            for done, (level, number, width) in enumerate(todo):
                _write(folder, tree, level, number, width)
                progress(done + 1, len(todo))
        _make(folder)
        durable.write(folder / CHECKPOINT, note.encode().encode())
    except OSError as fault:
        raise _unwritable(fault) from None
    _tidy(folder, now.size)
    return now.size


def _wanted(folder: Path, size: int, *, afresh: bool) -> Iterator[tuple[int, int, int]]:
    """Yield (level, number, width) of every file to write; level `tiles.ENTRIES` first, for a bundle."""
    for level, last, width in tiles.widths(size):
        for number in range(last + 1):
            wide = width if number == last else tiles.WIDTH
            for kind in (tiles.ENTRIES, level) if level == 0 else (level,):
                if afresh or not _there(folder / tiles.path(kind, number, wide), kind, wide):
                    yield kind, number, wide


def _there(path: Path, level: int, width: int) -> bool:
    """Say whether a full tile lies there already. What is in it is for whoever verifies."""
    if width < tiles.WIDTH or not path.is_file():
        return False
    return level == tiles.ENTRIES or path.stat().st_size == width * 32


def _write(folder: Path, tree: Tree, level: int, number: int, width: int) -> None:
    low = number * tiles.WIDTH
    data = (tiles.bundle(tree.entries(low, low + width)) if level == tiles.ENTRIES
            else b"".join(tree.hashes(level, number, width)))
    path = folder / tiles.path(level, number, width)
    _make(path.parent)
    durable.write(path, data)


def _make(folder: Path) -> None:
    """Make a folder whose own name is as durable as what will be in it."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        durable.sync(folder)


def _tidy(folder: Path, size: int) -> None:
    """Remove partial tiles that a fuller one replaces; their widths would tell how the log grew."""
    last = {level: (number, width) for level, number, width in tiles.widths(size)}
    last[tiles.ENTRIES] = last.get(0, (0, 0))
    for path in sorted(folder.glob("tile/**/*.p")):
        level = path.relative_to(folder).parts[1]
        number, width = last.get(tiles.ENTRIES if level == "entries" else int(level), (0, 0))
        key = tiles.ENTRIES if level == "entries" else int(level)
        if width == tiles.WIDTH or path != (folder / tiles.path(key, number, width)).parent:
            shutil.rmtree(path, ignore_errors=True)
            continue
        for partial in path.iterdir():
            if partial.name != str(width):
                partial.unlink(missing_ok=True)


def _unwritable(fault: OSError) -> StoreFault:
    if fault.errno == 28:
        return StoreFault("store-full", "There is no room left to publish the log.")
    return StoreFault("store-io", "The log could not be published there.")
