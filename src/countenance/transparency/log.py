"""The venue's log: signed after the commit, and never twice differently (DESIGN 4).

What was signed last lies in a file beside the stores, in no backup of theirs, with the entries that are not published
yet. A store that does not contain it (an older one was put back, or an event was changed) is not signed for: nobody can
be handed two histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from countenance import durable
from countenance.errors import BadInput, StoreFault
from countenance.formats import checkpoints, signed_note, tiles
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.receipts import Proven
from countenance.formats.signed_note import Note, NoteKey, PrivateKey
from countenance.quantities import Instant
from countenance.storage.folder import waited_for
from countenance.storage.outbox import Entry
from countenance.storage.unit import Store, Unit
from countenance.transparency.publish import FOLDER, published, signed_by
from countenance.transparency.tree import Tree

SIGNED, LOCK = "log.signed", "log.lock"
"""What this log has signed last, with its cosignatures; and who is signing."""

UNREADABLE = "log.signed.unreadable"

MARK = "signed"
"""Which generation of the log has signed anything: then the file must be there."""

LONGEST_TAIL, LARGEST_TAIL = 8_192, 1 << 20
"""Entries, bytes. Where more wait to be published none is kept beside the signature: publish more often, as sweeping
does."""

LARGEST = 8 << 20
"""Bytes of that file that are read at all."""

_END = b"\0"  # of the note in that file; behind it where the tail begins, in 8 bytes, and a bundle

Consistency = Callable[[int, int], Sequence[bytes]]
Cosigner = Callable[[Note, Consistency], Note]
"""Adds what witnesses sign; given (old size, size) the second argument yields a consistency proof."""


def origin(venue: str, name: str = "") -> str:
    """Return the name of a venue's log: that of its key. A log that had to begin anew has another."""
    return f"countenance.invalid/{venue}/log" + (f"/{name}" if name else "")


def receipt_name(venue: str) -> str:
    """Return the name under which the key that signs receipts stands in a trust file."""
    return f"countenance.invalid/{venue}/receipt"


@dataclass(frozen=True)
class Signer:
    """Who signs for the log of which venue; `cosign` asks the witnesses, if there are any.

    `older`: public keys (32 bytes each) that signed for it before.
    """

    venue: str
    key: PrivateKey
    cosign: Cosigner | None = None
    older: tuple[bytes, ...] = ()

    def keys(self, name: str) -> list[NoteKey]:
        """Return the public keys of the log of this name as others know them, the one in force first."""
        whose = origin(self.venue, name)
        return [signed_note.key_of(self.key, whose), *(NoteKey(whose, signed_note.LOG, old) for old in self.older)]


@dataclass(frozen=True)
class Signed:
    """The newest checkpoint that was signed, and the entries from `start` on that were in no published file then."""

    note: Note
    start: int
    tail: tuple[bytes, ...]

    @property
    def checkpoint(self) -> Checkpoint:
        """Return what was signed."""
        return checkpoints.parse(self.note)

    def encode(self) -> bytes:
        """Return the file."""
        return self.note.encode().encode() + _END + self.start.to_bytes(8) + tiles.bundle(self.tail)


class Log:
    """One venue's log. `folder` is the venue's data folder."""

    def __init__(self, store: Store, folder: Path, signer: Callable[[], Signer]) -> None:
        self._store = store
        self._signer = signer
        self._folder = folder

    def key(self) -> NoteKey:
        """Return the public key of the log in force."""
        return self.keys()[0]

    def keys(self) -> list[NoteKey]:
        """Return that key and the older ones of this log. Raises StoreFault(log-missing)."""
        with self._store.read() as unit:
            return self._signer().keys(Tree(unit.connection).head.name)

    def first_key(self) -> NoteKey:
        """Return the public key of the venue's first log, where nothing says which one is in force."""
        return self._signer().keys("")[0]

    def sign(self, *, ask: bool = True) -> tuple[Checkpoint, Note]:
        """Return a checkpoint over the whole log, with what witnesses gave at once; none is asked unless `ask`.

        Raises StoreFault: log-behind, log-forked, log-damaged, log-missing, log-signed, log-other, store-io.
        """
        signer = self._signer()
        with self._locked():
            with self._store.read() as unit:
                tree = Tree(unit.connection)
                keys = signer.keys(tree.head.name)
                last, known = self._require_continued(unit, tree, keys)
                found = Checkpoint(keys[0].name, tree.size, tree.root(tree.size))
                start, tail = _tail(tree, known.size if known else 0)
            if last is not None and last.note.text == found.text and last.note.signatures:
                note = last.note
            else:
                note = Note(found.text, (signed_note.sign(found.text, found.origin, signer.key),))
                self._keep(Signed(note, start, tail))
            if last is None:
                with self._store.write() as unit:
                    unit.set_mark(MARK, Instant(tree.head.generation))
        if ask and signer.cosign is not None:  # not under the lock: a witness may be slow
            note = self._cosigned(note, signer.cosign)
        return found, note

    def sign_if_possible(self) -> None:
        """Sign for what was just committed, so that it cannot be undone unseen; a log that cannot be signed is told
        of elsewhere (`require_continued`), and keeps nobody from what they came for.
        """
        with suppress(StoreFault):
            self.sign(ask=False)

    def prove(self, entries: Sequence[Entry], *, ask: bool = True) -> tuple[list[Proven], Note]:
        """Return events with their proofs, and the checkpoint that those lead to. `ask`, and what is raised: `sign`."""
        checkpoint, note = self.sign(ask=ask)
        with self._store.read() as unit:
            tree = Tree(unit.connection)
            return [proven(tree, entry, checkpoint.size) for entry in entries], note

    def require_continued(self, tree: Tree | None = None) -> None:
        """Raise StoreFault (log-behind, -forked, -damaged, -signed) unless the store contains what was signed.

        `tree`: the log as a transaction sees it that is not committed yet.
        """
        with self._store.read() as unit:
            tree = tree or Tree(unit.connection)
            self._require_continued(unit, tree, self._signer().keys(tree.head.name))

    def last_signed(self) -> Signed | None:
        """Return the newest checkpoint that was signed, or None before the first. Raises StoreFault(log-signed)."""
        return self._last(self.keys())

    def published(self) -> Note | None:
        """Return the newest checkpoint that was published, if this log has signed it. Raises StoreFault(log-other)."""
        return published(self._folder / FOLDER, self.keys())

    def _require_continued(self, unit: Unit, tree: Tree,
                           keys: list[NoteKey]) -> tuple[Signed | None, Checkpoint | None]:
        """Return what was signed last and what was published last; the store contains both."""
        last = self._last(keys)
        if last is None and unit.mark(MARK) == tree.head.generation:
            raise StoreFault("log-signed", "What the log has signed (log.signed) is missing; faces wait for `restore`.")
        try:
            note = published(self._folder / FOLDER, keys)
        except StoreFault:  # of a log before this one
            note = None
        known = None if note is None else checkpoints.parse(note)
        for signed in (known, None if last is None else last.checkpoint):
            if signed is not None:
                _require_contained(tree, signed)
        return last, known

    def set_aside_unreadable(self) -> None:
        """Keep a damaged file of what an older log has signed under another name: the log in force signs its own.

        Raises StoreFault(store-io).
        """
        try:
            self.last_signed()
        except StoreFault as fault:
            if fault.code != "log-signed":
                raise
        else:
            return
        path = self._folder / SIGNED
        try:
            durable.sync(path.replace(path.with_name(UNREADABLE)))
        except OSError:
            raise StoreFault("store-io", "What the log has signed could not be moved away.") from None

    def _last(self, keys: Sequence[NoteKey]) -> Signed | None:
        """Return what was signed last for this log; if by an older key, then without its signatures."""
        try:
            found = _read(durable.read(self._folder / SIGNED, LARGEST))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, BadInput):
            raise _unreadable() from None
        if found.checkpoint.origin != keys[0].name:  # of a log that had to begin anew
            return None
        by = signed_by(found.note, keys)
        if by is None:
            raise _unreadable()
        return found if by == keys[0] else replace(found, note=Note(found.note.text, ()))

    def _cosigned(self, note: Note, cosign: Cosigner) -> Note:
        more = cosign(note, self._consistency)
        if more != note:
            with self._locked():
                standing = self._last([signed_note.key_of(self._signer().key, checkpoints.parse(note).origin)])
                if standing is not None and standing.note.text == more.text:
                    self._keep(replace(standing, note=more))
        return more

    def _consistency(self, old: int, size: int) -> Sequence[bytes]:
        with self._store.read() as unit:
            return Tree(unit.connection).consistency(old, size)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(waited_for(self._folder / LOCK))
            except OSError:
                raise StoreFault("store-io", "The log could not be signed: its folder takes no file.") from None
            yield

    def _keep(self, signed: Signed) -> None:
        try:
            durable.write(self._folder / SIGNED, signed.encode(), durable.SECRET)
        except OSError:
            raise StoreFault("store-io", "What the log has signed could not be written down; nothing was.") from None


def proven(tree: Tree, entry: Entry, size: int) -> Proven:
    """Return an event with the proof that it is in the log of `size` entries. One of an older log has none."""
    index = entry.row - tree.head.first
    if index < 0:
        return Proven(entry.leaf, entry.nonce, entry.record, -1, ())
    return Proven(entry.leaf, entry.nonce, entry.record, index, tree.inclusion(index, size))


def _tail(tree: Tree, start: int) -> tuple[int, tuple[bytes, ...]]:
    """Return the entries from `start` on, if they are not too many to be written down at every signature."""
    if tree.size - start <= LONGEST_TAIL:
        tail = tuple(tree.entries(start, tree.size))
        if sum(map(len, tail)) <= LARGEST_TAIL:
            return start, tail
    return tree.size, ()


def _read(data: bytes) -> Signed:
    text, _end, rest = data.partition(_END)
    note = signed_note.parse(text.decode())
    size, start = checkpoints.parse(note).size, int.from_bytes(rest[:8])
    return Signed(note, start, tuple(tiles.unbundle(rest[8:], size - start)))


def _require_contained(tree: Tree, signed: Checkpoint) -> None:
    if signed.size > tree.size:
        raise StoreFault("log-behind", "This store is older than what its log has signed; faces wait for `restore`.")
    if tree.root(signed.size) != signed.root:
        raise StoreFault("log-forked", "An entry of the log was changed after it was signed; `log verify` says which.")


def _unreadable() -> StoreFault:
    return StoreFault("log-signed", "The file with what the log has signed (log.signed) cannot be read.")
