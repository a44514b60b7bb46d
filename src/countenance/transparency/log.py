"""The venue's log: signed after the commit, and never twice differently (DESIGN 4).

What was signed last lies in a file beside the stores, in no backup of theirs, with the entries that are not published
yet. A store that does not contain it (an older one was put back, or an event was changed) is not signed for: nobody can
be handed two histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from countenance import durable
from countenance.errors import BadInput, StoreFault
from countenance.formats import checkpoints, signed_note, tiles
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.receipts import Proven
from countenance.formats.signed_note import Note, NoteKey, PrivateKey
from countenance.storage.folder import waited_for
from countenance.storage.outbox import Entry
from countenance.storage.unit import Store
from countenance.transparency.publish import FOLDER, published
from countenance.transparency.tree import Tree

SIGNED, LOCK = "log.signed", "log.lock"
"""What this log has signed last, with its cosignatures; and who is signing."""

UNREADABLE = "log.signed.unreadable"

LONGEST_TAIL = 8_192
"""Entries. Where more wait to be published none is kept beside the signature: publish more often, sweeping does."""

_END = b"\0"  # of the note in that file; behind it where the tail begins, in 8 bytes, and a bundle

Consistency = Callable[[int, int], Sequence[bytes]]
Cosigner = Callable[[Note, Consistency], Note]
"""Adds what witnesses sign; given (old size, size) the second argument yields a consistency proof."""


def origin(venue: str, generation: int = 1) -> str:
    """Return the name of a venue's log: that of its key. A log that had to begin anew has another."""
    return f"countenance.invalid/{venue}/log" + ("" if generation == 1 else f"/{generation}")


def receipt_name(venue: str) -> str:
    """Return the name under which the key that signs receipts stands in a trust file."""
    return f"countenance.invalid/{venue}/receipt"


@dataclass(frozen=True)
class Signer:
    """Who signs for the log of which venue; `cosign` asks the witnesses, if there are any."""

    venue: str
    key: PrivateKey
    cosign: Cosigner | None = None

    def note_key(self, generation: int) -> NoteKey:
        """Return the public key as others know it."""
        return signed_note.key_of(self.key, origin(self.venue, generation))


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
        with self._store.read() as unit:
            return self._signer().note_key(Tree(unit.connection).head.generation)

    def first_key(self) -> NoteKey:
        """Return the public key of the venue's first log, where nothing says which one is in force."""
        return self._signer().note_key(1)

    def sign(self) -> tuple[Checkpoint, Note]:
        """Return a checkpoint over the whole log, with what witnesses gave at once.

        Raises StoreFault: log-behind, log-forked, log-damaged, log-missing, log-signed, store-io.
        """
        signer = self._signer()
        with self._locked():
            with self._store.read() as unit:
                tree = Tree(unit.connection)
                key = signer.note_key(tree.head.generation)
                last = self._last(key)
                _require_continued(tree, last)
                found = Checkpoint(key.name, tree.size, tree.root(tree.size))
                start = min(published_size(self._folder, key.name), tree.size)
                start = tree.size if tree.size - start > LONGEST_TAIL else start
                tail = tuple(tree.entries(start, tree.size))
            if last is not None and last.note.text == found.text and last.note.signatures:
                note = last.note
            else:
                note = Note(found.text, (signed_note.sign(found.text, found.origin, signer.key),))
                self._keep(Signed(note, start, tail))
        if signer.cosign is not None:  # not under the lock: a witness may be slow
            note = self._cosigned(note, signer.cosign)
        return found, note

    def prove(self, entries: Sequence[Entry]) -> tuple[list[Proven], Note]:
        """Return events with their proofs, and the checkpoint that those lead to. Raises as `sign`."""
        checkpoint, note = self.sign()
        with self._store.read() as unit:
            tree = Tree(unit.connection)
            return [proven(tree, entry, checkpoint.size) for entry in entries], note

    def require_continued(self, tree: Tree | None = None) -> None:
        """Raise StoreFault(log-behind, log-forked, log-damaged) where the store does not contain what was signed.

        `tree`: the log as a transaction sees it that is not committed yet.
        """
        if tree is None:
            with self._store.read() as unit:
                return self.require_continued(Tree(unit.connection))
        return _require_continued(tree, self._last(self._signer().note_key(tree.head.generation)))

    def last_signed(self) -> Signed | None:
        """Return the newest checkpoint that was signed, or None before the first. Raises StoreFault(log-signed)."""
        return self._last(self.key())

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

    def _last(self, key: NoteKey) -> Signed | None:
        """Return what was signed last for this log, also by an older key, without its signatures then."""
        try:
            found = _read((self._folder / SIGNED).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, BadInput):
            raise _unreadable() from None
        if found.checkpoint.origin != key.name:  # of a log that had to begin anew
            return None
        try:
            signed_note.require_signed(found.note, key)
        except BadInput as problem:
            if problem.code == "signature-missing":
                return replace(found, note=Note(found.note.text, ()))
            raise _unreadable() from None
        return found

    def _cosigned(self, note: Note, cosign: Cosigner) -> Note:
        more = cosign(note, self._consistency)
        if more != note:
            with self._locked():
                standing = self._last(signed_note.key_of(self._signer().key, checkpoints.parse(note).origin))
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


def published_size(folder: Path, origin_: str) -> int:
    """Return how many entries of a log lie in the published folder; 0 where that holds none of it."""
    try:
        known = published(folder / FOLDER)
    except StoreFault:
        return 0
    return known.size if known is not None and known.origin == origin_ else 0


def _read(data: bytes) -> Signed:
    text, _end, rest = data.partition(_END)
    note = signed_note.parse(text.decode())
    size, start = checkpoints.parse(note).size, int.from_bytes(rest[:8])
    return Signed(note, start, tuple(tiles.unbundle(rest[8:], size - start)))


def _require_continued(tree: Tree, last: Signed | None) -> None:
    if last is None:
        return
    signed = last.checkpoint
    if signed.size > tree.size:
        raise StoreFault("log-behind", "This store is older than what its log has signed; faces wait for `restore`.")
    if tree.root(signed.size) != signed.root:
        raise StoreFault("log-forked", "An entry of the log was changed after it was signed; `log verify` says which.")


def _unreadable() -> StoreFault:
    return StoreFault("log-signed", "The file with what the log has signed (log.signed) cannot be read.")
