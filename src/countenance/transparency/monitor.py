"""Watching a log from outside: did it only grow since the last look, and what was added (docs/operating/witness.md).

Believed is what the log's own key signed and what its files give, recomputed from the entries. A log shown to one
watcher and another to the next is found only where both compare, or where a witness cosigned: a witness that the
venue controls counts as none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from countenance import durable
from countenance.errors import BadInput, Refused, StoreFault
from countenance.formats import checkpoints, log_entries, merkle, signed_note, strict64, tiles
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.log_entries import Clear
from countenance.formats.merkle import Range
from countenance.formats.signed_note import Note, NoteKey
from countenance.storage.folder import waited_for
from countenance.transparency import mirror as published
from countenance.transparency.mirror import Mirror

FORMAT = "countenance/monitor/1"


class Frontier(Range):
    """A tree that is put down and taken up again. `full`: the roots of its full subtrees, largest first."""

    def __init__(self, size: int = 0, full: Sequence[bytes] = ()) -> None:
        super().__init__()
        if len(full) != size.bit_count():
            raise ValueError(size)
        self.size, self._full = size, list(full)

    @property
    def full(self) -> tuple[bytes, ...]:
        """Return the roots to take it up with."""
        return tuple(self._full)

    def cut(self, size: int) -> Frontier:
        """Return the tree of its first `size` entries, where those are whole subtrees of it. Raises ValueError."""
        return Frontier(size, self._full[:size.bit_count()])


@dataclass(frozen=True)
class Believed:
    """What the state file holds: the newest checkpoint believed, as it was signed, and its tree."""

    note: str
    checkpoint: Checkpoint
    tree: Frontier

    def encode(self) -> bytes:
        """Return the file."""
        value = {"format": FORMAT, "checkpoint": self.note, "full": [strict64.encode(h) for h in self.tree.full]}
        return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


@dataclass(frozen=True)
class Look:
    """What one look found. `before`: the size at the last look, None at the first. Indexes count from 0.

    `clear`: entries about nobody since then; `sealed`: how many are about people; `unreadable`: in no known form;
    `witnesses`, `strangers`: who cosigned of those that are trusted, and whose cosignatures count for nothing.
    """

    believed: Believed
    before: int | None
    clear: tuple[tuple[int, Clear], ...]
    sealed: int
    unreadable: tuple[int, ...]
    witnesses: tuple[str, ...]
    strangers: tuple[str, ...]
    read: bytes | None
    """The state file as it was read, None where there was none."""


class Monitor:
    """Watches one log. `keys` are its own, of one name; a checkpoint needs cosignatures by `need` of `witnesses`."""

    def __init__(self, mirror: Mirror, state: Path, keys: Sequence[NoteKey],
                 witnesses: Sequence[NoteKey] = (), need: int = 0) -> None:
        self._mirror, self._state = mirror, state
        self._keys, self._witnesses, self._need = tuple(keys), tuple(witnesses), need

    def look(self, *, again: bool = False) -> Look:
        """Look at the log, from where the last look ended; `again`: from its first entry. Changes no state.

        Raises Refused: log-rollback, log-forked (the checkpoint that contradicts the state is kept beside it, in
        STATE.other), cosignature-missing; BadInput: checkpoint-*, signature-*, note-malformed, tile-missing,
        tile-short, tile-altered, bundle-missing, bundle-short, root-other, log-unreadable; StoreFault(monitor-state).
        """
        last, read = self._load()
        text = published.checkpoint(self._mirror)
        now, note = self._signed(text)
        witnesses, strangers = self._cosigned(note)
        try:
            _require_growth(last, now)
            tree, new = self._read(now, last, again=again)
        except Refused:
            durable.write(self._state.with_name(self._state.name + ".other"), text.encode())
            raise
        return Look(Believed(text, now, tree), last.checkpoint.size if last else None, tuple(new.clear), new.sealed,
                    tuple(new.unreadable), witnesses, strangers, read)

    def believe(self, look: Look) -> None:
        """Move the state to what was found; durable on return. Raises Refused(monitor-busy), StoreFault(store-busy)."""
        with waited_for(self._state.with_name(self._state.name + ".lock")):
            if self._bytes() != look.read:
                raise Refused("monitor-busy", "Another monitor moved this state meanwhile; look again.")
            durable.write(self._state, look.believed.encode())

    # -- what is believed

    def _bytes(self) -> bytes | None:
        return self._state.read_bytes() if self._state.exists() else None

    def _load(self) -> tuple[Believed | None, bytes | None]:
        read = self._bytes()
        if read is None:
            return None, None
        try:
            value = json.loads(read)
            now, _note = self._signed(value["checkpoint"])
            tree = Frontier(now.size, [strict64.decode(h, merkle.HASH_BYTES) for h in value["full"]])
            found = Believed(value["checkpoint"], now, tree)
            if found.encode() == read and tree.root() == now.root:
                return found, read
        except (ValueError, LookupError, TypeError, AttributeError, BadInput):
            pass
        raise StoreFault("monitor-state", "The state file is not one that a monitor of this log wrote.")

    def _signed(self, text: str) -> tuple[Checkpoint, Note]:
        """Return a checkpoint that one of the log's keys signed. Raises what `checkpoints.read` does."""
        for key in self._keys[:-1]:
            try:
                return checkpoints.read(text, key)
            except BadInput:
                continue
        return checkpoints.read(text, self._keys[-1])

    def _cosigned(self, note: Note) -> tuple[tuple[str, ...], tuple[str, ...]]:
        known = {(key.name, key.key_id): key for key in self._witnesses}
        logs = {(key.name, key.key_id) for key in self._keys}
        there = [(s.name, s.key_id) for s in note.signatures if (s.name, s.key_id) not in logs]
        seen = [known[one] for one in there if one in known]
        for key in seen:
            signed_note.require_signed(note, key)
        if len(seen) < self._need:
            raise Refused("cosignature-missing",
                          f"{len(seen)} of the witnesses that are trusted cosigned this checkpoint; {self._need} must.")
        return tuple(key.name for key in seen), tuple(name for name, key_id in there if (name, key_id) not in known)

    # -- what is published

    def _read(self, now: Checkpoint, last: Believed | None, *, again: bool) -> tuple[Frontier, _New]:
        """Recompute the tree of `now` from the entries; return it with what the new ones are."""
        old, new = last.checkpoint.size if last else 0, _New()
        begin = 0 if again else old
        if begin == now.size and last:
            return last.tree, new
        start = begin - begin % tiles.WIDTH
        tree = last.tree.cut(start) if last and start else Frontier()
        roots: dict[int, bytes] = {}
        for number in range(start // tiles.WIDTH, -(-now.size // tiles.WIDTH)):
            entries, hashes = self._bundle(number, min(tiles.WIDTH, now.size - number * tiles.WIDTH))
            for entry, leaf in zip(entries, hashes, strict=True):
                self._require_same(tree, last, now)
                if tree.size >= old:
                    new.add(tree.size, entry)
                tree.add(leaf)
            if len(hashes) == tiles.WIDTH:
                roots[number] = merkle.root(hashes)
        self._require_same(tree, last, now)
        if tree.root() != now.root:
            self._judge(now)
        self._upper(begin, now.size, roots)
        return tree, new

    def _bundle(self, number: int, width: int) -> tuple[list[bytes], list[bytes]]:
        """Return entries and their hashes, which the tile has too. Raises BadInput(tile-altered)."""
        entries = published.bundle(self._mirror, number, width)
        hashes = [merkle.leaf_hash(entry) for entry in entries]
        if published.tile(self._mirror, 0, number, width) != hashes:
            raise _altered(0, number, width)
        return entries, hashes

    def _require_same(self, tree: Frontier, last: Believed | None, now: Checkpoint) -> None:
        """Where the last look ended, the tree must be the one that was believed."""
        if last and tree.size == last.checkpoint.size and tree.root() != last.checkpoint.root:
            self._judge(now)

    def _judge(self, now: Checkpoint) -> NoReturn:
        """Say which it is: the log signed another past, or its files are not those that it signed."""
        tree = Range()
        for number in range(-(-now.size // tiles.WIDTH)):
            width = min(tiles.WIDTH, now.size - number * tiles.WIDTH)
            for leaf in published.tile(self._mirror, 0, number, width):
                tree.add(leaf)
        if tree.root() == now.root:
            raise Refused("log-forked", "The log signed another past than the one seen before.")
        raise BadInput("root-other", "The log's files do not give the root that it signed: one was altered.")

    def _upper(self, begin: int, size: int, roots: dict[int, bytes]) -> None:
        """Check what is new in the tiles above the leaves; `roots` are those of the full tiles one level below."""
        level, first, count = 1, begin // tiles.WIDTH, size // tiles.WIDTH
        while first < count:
            above: dict[int, bytes] = {}
            for number in range(first // tiles.WIDTH, -(-count // tiles.WIDTH)):
                at = number * tiles.WIDTH
                width = min(tiles.WIDTH, count - at)
                hashes = published.tile(self._mirror, level, number, width)
                if any(hashes[n - at] != roots[n] for n in range(max(first, at), at + width)):
                    raise _altered(level, number, width)
                if width == tiles.WIDTH:
                    above[number] = merkle.root(hashes)
            level, roots, first, count = level + 1, above, first // tiles.WIDTH, count // tiles.WIDTH


def _require_growth(last: Believed | None, now: Checkpoint) -> None:
    if last and now.size < last.checkpoint.size:
        raise Refused("log-rollback", "The log is shorter than it was: it was rolled back, or this copy of it is old.")
    if last and now.size == last.checkpoint.size and now.root != last.checkpoint.root:
        raise Refused("log-forked", "The log signed another past than the one seen before.")


class _New:
    """What is new, sorted as it is read: a log may be longer than the memory."""

    def __init__(self) -> None:
        self.clear: list[tuple[int, Clear]] = []
        self.sealed, self.unreadable = 0, list[int]()

    def add(self, index: int, entry: bytes) -> None:
        try:
            found = log_entries.parse(entry)
        except BadInput:
            self.unreadable.append(index)
            return
        if isinstance(found, Clear):
            self.clear.append((index, found))
        else:
            self.sealed += 1


def _altered(level: int, number: int, width: int) -> BadInput:
    return BadInput("tile-altered", f"The tile {tiles.path(level, number, width)} is not what its entries give.")
