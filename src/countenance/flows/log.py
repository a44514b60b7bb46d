"""log: the venue's log as others see it (docs/flows.md, log).

(1) a checkpoint over everything that is committed is signed, and cosigned where there are witnesses; (2) entries and
tiles are written, then (3) the checkpoint; not more often than the settings say.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from countenance.errors import BadInput, StoreFault
from countenance.flows import events_out
from countenance.formats import checkpoints, merkle, tiles
from countenance.formats.signed_note import NoteKey, key_of, require_signed
from countenance.formats.trust import Trust
from countenance.quantities import MINUTE, Instant
from countenance.storage import sequence
from countenance.storage.folder import waited_for
from countenance.transparency import publish as files
from countenance.transparency.log import receipt_name
from countenance.transparency.tree import Tree

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

Progress = Callable[[int, int], None]
PUBLISHED_MARK = "published"
PUBLISHING = "log.publishing"
"""Who is publishing. Not the file of who is signing: receipts do not wait for tiles."""


PATIENCE_S = 120.0
"""Seconds for which one who publishes waits for another."""


@dataclass(frozen=True)
class Published:
    """How many entries are published, and from when on more may be."""

    size: int
    next_at: Instant
    anew: bool


def publish(venue: Venue, progress: Progress = lambda _done, _all: None, *, now: bool = False) -> Published:
    """Publish the log into the folder `log` of the venue, if its interval is over, or `now`.

    Raises StoreFault (log-behind, log-forked, log-damaged, log-other, store-io, store-full).
    """
    with ExitStack() as alone:  # of two, the one that signed first would put the older checkpoint over the newer
        try:
            alone.enter_context(waited_for(venue.folder / PUBLISHING, PATIENCE_S))
        except OSError:
            raise StoreFault("store-io", "The log could not be published: its folder takes no file.") from None
        return _published(venue, progress, now)


def _published(venue: Venue, progress: Progress, now: bool) -> Published:
    interval = venue.settings.log_minutes * MINUTE
    with venue.store.read() as unit:
        turn, last = unit.now // interval, unit.mark(PUBLISHED_MARK)
    standing = venue.log.published()
    if last is not None and last // interval >= turn and standing is not None and not now:
        return Published(checkpoints.parse(standing).size, Instant((last // interval + 1) * interval), anew=False)
    _, note = venue.log.sign()                                              # (1)
    size = files.publish(venue.store, venue.folder / files.FOLDER, note, standing, progress)   # (2) (3)
    with venue.store.write() as unit:
        unit.set_mark(PUBLISHED_MARK, unit.now)
        events_out.clear(unit, venue, "log.signed", {"size": size})
        return Published(size, Instant((unit.now // interval + 1) * interval), anew=True)


def rebuild(venue: Venue, progress: Progress = lambda _done, _all: None) -> int:
    """Make the kept tiles again from the events; return the log's size.

    Raises StoreFault (log-damaged; log-forked, log-behind where the events are not those that were signed): then the
    tiles stay as they were, and what they tell of the events before.
    """
    with venue.store.write() as unit:
        for done, total in sequence.rebuild(unit.connection):
            progress(done, total)
        tree = Tree(unit.connection)
        venue.log.require_continued(tree)
    return tree.size


def require_cosigned(venue: Venue) -> None:
    """Ask every witness for its cosignature now. Raises StoreFault(witness-missing), naming those that gave none."""
    _, note = venue.log.sign()
    missing = []
    for _, key in venue.witnesses():
        try:
            require_signed(note, key)
        except BadInput:
            missing.append(key.name)
    if missing:
        raise StoreFault("witness-missing", f"No cosignature came from: {', '.join(missing)}.")


def trust(venue: Venue) -> Trust:
    """Return the venue's keys in the form of a trust file.

    For whoever hands them on: a person who has them from the venue alone has the venue's word alone.
    """
    receipt = key_of(venue.signer("receipt").key, receipt_name(venue.venue_id))
    witnesses: tuple[NoteKey, ...] = tuple(key for _, key in venue.witnesses())
    return Trust((venue.log.key(),), (receipt,), witnesses, len(witnesses))


@dataclass(frozen=True)
class Verified:
    """How many entries the store has, how many of them were signed for, and how many are published."""

    size: int
    signed: int
    published: int


def verify(venue: Venue, progress: Progress = lambda _done, _all: None) -> Verified:
    """Derive the whole log again from its events, and compare: kept tiles, what was signed, what is published.

    Raises StoreFault: log-damaged, log-tile, log-behind, log-forked, log-published, log-published-other.
    """
    with venue.store.read() as unit:
        tree = Tree(unit.connection)
        marks, derived = _marks(venue, tree), _Derived(tree)
        for low in range(0, tree.size, tiles.WIDTH):
            leaves = [merkle.leaf_hash(entry) for entry in tree.entries(low, min(low + tiles.WIDTH, tree.size))]
            for size, root, fault in marks:
                if low < size <= low + len(leaves) and derived.root(leaves[:size - low]) != root:
                    raise fault
            derived.add(leaves)
            progress(low + len(leaves), tree.size)
        derived.end()
    signed, published = venue.log.last_signed(), venue.log.published()
    return Verified(tree.size, signed.checkpoint.size if signed else 0,
                    checkpoints.parse(published).size if published else 0)


class _Derived:
    """The tree made again from its leaves, compared with each kept tile; holds one tile of each level."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._above: list[list[bytes]] = []  # hashes of level 1 and up that are in no full tile yet
        self._full: list[int] = []

    def root(self, rest: list[bytes]) -> bytes:
        """Return the root over what was added and some leaves behind it."""
        found: list[bytes] = []
        for hashes in (rest, *self._above):
            below = [*hashes, *found]
            found = [merkle.root(below)] if below else []
        return found[0] if found else merkle.EMPTY

    def add(self, hashes: list[bytes], level: int = 0) -> None:
        """Add the next hashes of a level. Raises StoreFault(log-tile)."""
        if level == len(self._full):
            self._full.append(0)
            self._above.append([])
        if len(hashes) < tiles.WIDTH:
            return
        self._require(level, hashes)
        self._full[level] += 1
        above = self._above[level]
        above.append(merkle.root(hashes))
        if len(above) == tiles.WIDTH:
            self.add(above, level + 1)
            self._above[level] = []

    def end(self) -> None:
        """Compare the tiles that are not full yet; those of leaves are not kept. Raises StoreFault(log-tile)."""
        for below, hashes in enumerate(self._above):
            if hashes:
                self._require(below + 1, hashes)

    def _require(self, level: int, hashes: list[bytes]) -> None:
        number = self._full[level] if level < len(self._full) else 0
        where = f"Tile {number} on level {level} of the log is damaged; `log rebuild` mends it."
        try:
            same = self._tree.kept(level, number, len(hashes)) == hashes
        except StoreFault as fault:
            if fault.code != "log-damaged":
                raise
            same = False
        if not same:
            raise StoreFault("log-tile", where)


def _marks(venue: Venue, tree: Tree) -> list[tuple[int, bytes, StoreFault]]:
    """Return sizes with the root that each must have, by what was signed and published, and what it means if not."""
    marks: list[tuple[int, bytes, StoreFault]] = []
    signed, published = venue.log.last_signed(), venue.log.published()
    for known, fault in ((None if signed is None else signed.checkpoint, _forked()),
                         (None if published is None else checkpoints.parse(published), _published_other())):
        if known is not None and known.size > tree.size:
            raise StoreFault("log-behind", "This store is older than what its log has signed or published.")
        if known is not None:
            marks.append((known.size, known.root, fault))
    return marks


def _forked() -> StoreFault:
    return StoreFault("log-forked", "An entry of the log was changed after it was signed.")


def _published_other() -> StoreFault:
    return StoreFault("log-published-other", "What is published is not this log, or an entry was changed since.")
