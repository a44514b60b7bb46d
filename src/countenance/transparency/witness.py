"""A witness: somebody outside the venue who cosigns the log's checkpoints, and never two logs of one name.

It answers C2SP tlog-witness `add-checkpoint` (docs/operating/witness.md). Of each log it keeps the newest checkpoint it
cosigned, in one file, as the note with its own cosignature on it: written durably before the answer goes out, compared
and replaced under one lock. Whoever runs it must not be the venue: a witness that the venue controls counts as none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from countenance import durable
from countenance.clock import Clock
from countenance.errors import BadInput, Refused, StoreFault
from countenance.formats import checkpoints, merkle, signed_note, strict64
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.signed_note import LOG, WITNESS, Note, NoteKey, Signature
from countenance.quantities import Instant
from countenance.storage.folder import waited_for

LARGEST_BODY = 1 << 16
"""Bytes of a request that are read at all."""

LOCK = "lock"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")

Cosign = Callable[[str, Instant], Signature]
"""Signs a checkpoint's text with the moment, cosignature/v1."""


class Stale(Refused):
    """The proof begins elsewhere than where this witness stands, which is `size`."""

    def __init__(self, size: int) -> None:
        super().__init__("witness-stale", "The proof does not begin at the size that this witness cosigned last.")
        self.size = size


@dataclass(frozen=True)
class Request:
    """A request to cosign: the proof leads from `old` entries to the checkpoint; nothing of it is checked yet."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    def encode(self) -> bytes:
        """Return the body as C2SP tlog-witness has it; `parse` reads no other spelling."""
        lines = (f"old {self.old}", *map(strict64.encode, self.proof), "")
        return ("".join(f"{line}\n" for line in lines) + self.note.encode()).encode()


def parse(body: bytes) -> Request:
    """Read a request. Raises BadInput(witness-body-large, witness-body)."""
    if len(body) > LARGEST_BODY:
        raise BadInput("witness-body-large", "This request is too long.")
    try:
        head, blank, rest = body.decode().partition("\n\n")
        old, *proof = head.split("\n")
        counted = _OLD.fullmatch(old)
        hashes = tuple(strict64.decode(line, merkle.HASH_BYTES) for line in proof)
        note = signed_note.parse(rest)
        checkpoint = checkpoints.parse(note)
    except (ValueError, BadInput):
        counted = None
    if not counted or not blank or len(hashes) > merkle.LONGEST_PROOF:
        raise BadInput("witness-body", "This is not a request to cosign a checkpoint.") from None
    return Request(int(counted[1]), hashes, note, checkpoint)


class Witness:
    """Cosigns, under `key`, the checkpoints of the logs whose keys it was given; a log's name is its key's name."""

    def __init__(self, folder: Path, key: NoteKey, cosign: Cosign, logs: Sequence[NoteKey], clock: Clock) -> None:
        if key.kind != WITNESS or any(log.kind != LOG or log.public == key.public for log in logs):
            raise BadInput("witness-key-kind", "A key of a log and one of a witness were mixed up.")
        self.folder, self.key = folder, key
        self._cosign, self._logs, self._clock = cosign, tuple(logs), clock

    def add_checkpoint(self, body: bytes) -> str:
        """Return the cosignature's line, once it and the checkpoint are on the disk.

        Raises BadInput: witness-body, witness-body-large, witness-old-large; Refused: witness-log-unknown,
        witness-log-signature, witness-stale (a `Stale`), witness-fork, witness-proof; StoreFault: witness-clock,
        witness-store, witness-state, store-busy. Then nothing was cosigned.
        """
        asked = parse(body)
        signed = self._signed_by_its_log(asked)
        if asked.old > asked.checkpoint.size:
            raise BadInput("witness-old-large", "The proof begins behind the end of this checkpoint.")
        try:
            with waited_for(self.folder / LOCK):
                return self._follow(asked, signed)
        except OSError:
            raise StoreFault("witness-store", "The witness cannot write to its folder; it cosigned nothing.") from None

    def newest(self, origin: str) -> tuple[Checkpoint, Instant] | None:
        """Return the newest checkpoint cosigned of a log and when; None before the first.

        Raises StoreFault(witness-state) for a file that this witness did not write.
        """
        path = self._file(origin)
        try:
            note = signed_note.parse(durable.read(path, 2 * LARGEST_BODY).decode())
            at = signed_note.require_signed(note, self.key)
            found = checkpoints.parse(note)
        except FileNotFoundError:
            return None
        except (ValueError, BadInput):
            found, at = Checkpoint("", 0, b""), Instant(0)
        if found.origin != origin:
            raise StoreFault("witness-state", f"{path.name} is not what this witness wrote; it cosigns nothing.")
        return found, at

    def _signed_by_its_log(self, asked: Request) -> Note:
        """Return the note with the signature of its log alone: others are ignored, and not kept."""
        keys = [key for key in self._logs if key.name == asked.checkpoint.origin]
        if not keys:
            raise Refused("witness-log-unknown", "This witness does not know a log of this name.")
        for key in keys:
            with suppress(BadInput):
                signed_note.require_signed(asked.note, key)
                mine = [s for s in asked.note.signatures if (s.name, s.key_id) == (key.name, key.key_id)]
                return Note(asked.note.text, tuple(mine))
        raise Refused("witness-log-signature", "This checkpoint is not signed by the log that it names.")

    def _follow(self, asked: Request, signed: Note) -> str:
        newer = asked.checkpoint
        stood = self.newest(newer.origin)
        last, before = stood if stood else (Checkpoint(newer.origin, 0, merkle.EMPTY), Instant(0))
        if asked.old != last.size:
            raise Stale(last.size)
        if newer.size == last.size and newer.root != last.root:
            self._keep_fork(signed)
            raise Refused("witness-fork", "This witness cosigned another log of this name and length.")
        try:
            merkle.require_consistency(last.size, last.root, newer.size, newer.root, asked.proof)
        except BadInput:
            raise Refused("witness-proof", "The proof does not show that the log only grew.") from None
        at = self._clock.now()
        if at < before:
            raise StoreFault("witness-clock", "The witness's clock stands before its last cosignature; set it right.")
        line = self._cosign(signed.text, at)
        durable.write(self._file(newer.origin), signed.with_line(line).encode().encode(), durable.SECRET)
        return line.line

    def _keep_fork(self, other: Note) -> None:
        """Keep the first checkpoint that contradicts ours: with our file it convicts the log, to anybody."""
        path = self._file(checkpoints.parse(other).origin)
        with suppress(FileExistsError):
            durable.create(path.with_name(path.name + ".fork"), other.encode().encode(), durable.SECRET)

    def _file(self, origin: str) -> Path:
        return self.folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"
