"""A checkpoint: how long the log is and the root over it, signed (C2SP tlog-checkpoint; docs/formats/checkpoint.md)."""

from __future__ import annotations

from dataclasses import dataclass

from countenance.errors import BadInput
from countenance.formats import merkle, signed_note, strict64
from countenance.formats.signed_note import Note, NoteKey

LONGEST_ORIGIN = 255
_LARGEST_SIZE = 1 << 63


@dataclass(frozen=True)
class Checkpoint:
    """The log `origin` at `size` entries has this `root` (32 bytes). `extra`: lines that other logs may have below."""

    origin: str
    size: int
    root: bytes
    extra: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the text that is signed."""
        lines = (self.origin, str(self.size), strict64.encode(self.root), *self.extra)
        return "".join(f"{line}\n" for line in lines)


def parse(note: Note) -> Checkpoint:
    """Read the text of a note as a checkpoint. Raises BadInput(checkpoint-malformed)."""
    malformed = BadInput("checkpoint-malformed", "This note is not a checkpoint of a log.")
    lines = note.text.removesuffix("\n").split("\n")
    try:
        origin, number, encoded, *extra = lines
        found = Checkpoint(origin, int(number), strict64.decode(encoded, merkle.HASH_BYTES), tuple(extra))
    except ValueError:
        raise malformed from None
    if (found.text != note.text or not 1 <= len(origin) <= LONGEST_ORIGIN or not 0 <= found.size < _LARGEST_SIZE
            or not all(extra) or (found.size == 0 and found.root != merkle.EMPTY)):
        raise malformed
    return found


def read(text: str, key: NoteKey) -> tuple[Checkpoint, Note]:
    """Read a checkpoint of the log whose key this is, its signature checked.

    Raises BadInput: note-malformed, checkpoint-malformed, checkpoint-origin, signature-missing, signature-wrong.
    """
    note = signed_note.parse(text)
    found = parse(note)
    if found.origin != key.name:
        raise BadInput("checkpoint-origin", "This checkpoint is of another log.")
    signed_note.require_signed(note, key)
    return found, note
