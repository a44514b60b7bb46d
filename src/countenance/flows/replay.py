"""replay: after a restore the log goes on, or a new one begins (docs/flows.md, restore (5)).

What was logged after the copy was made is put back up to the last checkpoint that left this program: entries from the
published log, and those not published yet from beside the last signature. What they said of people stays sealed for
good where it was lost. Where even the entries cannot be had, the log cannot go on without telling two histories, so
another one begins, under another name, and says so in its first entry.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert

from countenance import durable
from countenance.errors import BadInput, StoreFault
from countenance.formats import checkpoints, log_entries, merkle, tiles
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.signed_note import NoteKey
from countenance.quantities import Instant
from countenance.storage import schema, sequence
from countenance.storage.outbox import CHAFF_BYTES, TAG_BYTES
from countenance.storage.unit import Unit
from countenance.transparency import mirror, publish
from countenance.transparency.log import MARK, Signed
from countenance.transparency.tree import Tree

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


@dataclass(frozen=True)
class Replayed:
    """What came of the log: entries that were put back, and whether another log began."""

    entries: int
    anew: bool

    @property
    def whole(self) -> bool:
        """Say whether the store had every entry that was ever signed for: then nothing in it is older than that."""
        return not self.entries and not self.anew


def replay(venue: Venue, copy: Path | None = None) -> Replayed:
    """Bring the log of a restored store up to what was signed and published; `copy` in place of the folder `log`.

    Raises StoreFault.
    """
    anew = False
    try:
        signed = venue.log.last_signed()
    except StoreFault:  # what was signed cannot be read
        signed = None
    with venue.store.write() as unit:
        tree = Tree(unit.connection)
        key = venue.log.key()
        known = _published(copy or venue.folder / publish.FOLDER, key)
        try:
            missing = _missing(tree, signed, known)
        except (BadInput, StoreFault):
            missing, anew = [], True
            _begin_anew(unit, tree, signed, known[0] if known else None)
        _put_back(unit, tree, missing)
        if missing:
            unit.set_mark("asked_from", unit.now)  # whatever becomes of this restore: something is lost
    if anew:  # only now: an older store must never find nothing that was signed for its own log
        venue.log.set_aside_unreadable()
        _move_away(venue.folder / publish.FOLDER)
    return Replayed(len(missing), anew)


def _published(folder: Path, key: NoteKey) -> tuple[Checkpoint, Path] | None:
    """Return the checkpoint of a copy of this log, its signature checked; None where there is none that is believed."""
    try:
        with mirror.opened(str(folder)) as files:
            found, _ = checkpoints.read(mirror.checkpoint(files), key)
    except BadInput:
        return None
    return found, folder


def _missing(tree: Tree, signed: Signed | None, known: tuple[Checkpoint, Path] | None) -> list[bytes]:
    """Return the entries that the store lacks, checked against both roots. Raises BadInput, StoreFault."""
    if signed is None:  # how far the log had come is known to nobody here
        raise _unknown()
    target = max(signed.checkpoint.size, known[0].size if known else 0)
    missing: list[bytes] = []
    if known is not None and known[0].size > tree.size:
        missing = _from_copy(known[1], tree.size, known[0].size)
    at = tree.size + len(missing)
    if signed.checkpoint.size > at:
        if signed.start > at:
            raise _unknown()
        missing += signed.tail[at - signed.start:]
    roots = {one.size: one.root for one in (signed.checkpoint, *([known[0]] if known else []))}
    grown = merkle.Range()
    for entry in _all(tree, missing):
        grown.add(merkle.leaf_hash(entry))
        if grown.size in roots and grown.root() != roots[grown.size]:
            raise _unknown()
    if grown.size < target:
        raise _unknown()
    return missing


def _all(tree: Tree, missing: list[bytes]) -> Iterator[bytes]:
    for low in range(0, tree.size, tiles.WIDTH):
        yield from tree.entries(low, min(low + tiles.WIDTH, tree.size))
    yield from missing


def _from_copy(folder: Path, low: int, high: int) -> list[bytes]:
    found: list[bytes] = []
    with mirror.opened(str(folder)) as files:
        for number in range(low // tiles.WIDTH, -(-high // tiles.WIDTH)):
            start = number * tiles.WIDTH
            width = min(tiles.WIDTH, high - start)
            found += mirror.bundle(files, number, width)[max(0, low - start):]
    return found


def _put_back(unit: Unit, tree: Tree, missing: list[bytes]) -> None:
    """Write entries as rows; in the place of what they held of people stand random bytes, as after an erasure."""
    if not missing:
        return
    rows = []
    for place, entry in enumerate(missing):
        clear = isinstance(log_entries.parse(entry), log_entries.Clear)
        rows.append({"event_id": tree.head.next_id + place, "entry": entry,
                     "tag": None if clear else os.urandom(TAG_BYTES),
                     "sealed": None if clear else os.urandom(CHAFF_BYTES)})
    unit.run(insert(schema.event), rows)
    sequence.advance(unit.connection, tree.head, len(rows))


def _begin_anew(unit: Unit, tree: Tree, signed: Signed | None, known: Checkpoint | None) -> None:
    last = max((one for one in (signed.checkpoint if signed else None, known) if one), key=lambda one: one.size,
               default=None)
    sequence.begin(unit.connection)
    unit.set_mark("asked_from", unit.now)
    unit.set_mark(MARK, Instant(0))  # the new one has signed nothing yet
    unit.tell("log-began-anew", {
        "before": tree.head.generation, "size": last.size if last else tree.size,
        "root": last.root if last else b""})


def _move_away(folder: Path) -> None:
    """Keep what was published of the log before under another name; the new one is published in its place."""
    if not folder.exists():
        return
    number = next(n for n in range(1, 10_000) if not folder.with_name(f"{folder.name}.{n}").exists())
    try:
        durable.sync(folder.rename(folder.with_name(f"{folder.name}.{number}")))
    except OSError:
        raise StoreFault("store-io", "The log before could not be moved away.") from None


def _unknown() -> BadInput:
    return BadInput("log-lost", "What the log held after the copy was made is not known here.")
