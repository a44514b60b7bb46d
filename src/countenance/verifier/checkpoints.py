"""A checkpoint, and what receipts and evidence need of theirs: the log's signature, the witnesses', and trust."""

from __future__ import annotations

from collections.abc import Iterable

from countenance.errors import BadInput
from countenance.formats import checkpoints, signed_note
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.evidence import Keys
from countenance.formats.signed_note import Note, NoteKey
from countenance.formats.trust import Trust
from countenance.verifier.report import Check, Report, Unchecked, follow

NO_TRUST = "No trust file was given: whose keys these are, only the venue says."


def verify(text: str, trust: Trust | None) -> Report:
    """Check the file of a checkpoint."""
    return follow("checkpoint", Head(text, trust).checks(), trusted=trust is not None)


class Head:
    """The four checks of a checkpoint that stands alone; a log's folder begins with them."""

    def __init__(self, text: str, trust: Trust | None) -> None:
        self.text, self.trust = text, trust

    def checks(self) -> list[tuple[str, Check]]:
        """Return the checks in order."""
        return [("form", self._form), ("signature of the log", self._signed), ("cosignatures", self._cosigned),
                ("trust", self._trusted)]

    def _form(self) -> str:
        self.note = signed_note.parse(self.text)
        self.checkpoint = checkpoints.parse(self.note)
        return f"A checkpoint of {self.checkpoint.origin} at {self.checkpoint.size} entries."

    def _signed(self) -> str:
        if self.trust is None:
            raise Unchecked("Only a trust file says which key the log signs with.")
        self.log = _trusted_log(self.checkpoint, self.note, self.trust)
        checkpoints.read(self.text, self.log)
        return "The log has signed it."

    def _cosigned(self) -> str:
        return cosigned(self.note, (), self.checkpoint.origin, self.trust)

    def _trusted(self) -> str:
        if self.trust is None:
            raise Unchecked(NO_TRUST)
        return require_witnesses(self.note, self.trust, (self.log,))


def cosigned(note: Note, named: Iterable[NoteKey], origin: str, trust: Trust | None) -> str:
    """Check each cosignature by a witness that the file names or the trust file does; say whose they are.

    Signatures under the log's own name (`origin`) are checked elsewhere. One of anybody else is ignored, and that is
    said. Raises BadInput(signature-wrong).
    """
    trusted = trust.witnesses if trust else ()
    witnesses = {(key.name, key.key_id): key for key in (*named, *trusted)}  # the trust file's where two look alike
    right, unknown = [], []
    for signature in note.signatures:
        key = witnesses.get((signature.name, signature.key_id))
        if key is not None:
            signed_note.require_signed(note, key)
            right.append(signature.name)
        elif signature.name != origin:
            unknown.append(f"unknown cosignature {signature.name}: counts for nothing.")
    told = f"Cosigned by {', '.join(right)}." if right else "No known witness has cosigned it."
    return " ".join([told, *unknown])


def require_keys(keys: Keys, trust: Trust | None) -> str:
    """Check that a file's keys are those of the trust file. Raises Unchecked; BadInput: trust-other-log,
    trust-other-receipt.
    """
    if trust is None:
        raise Unchecked(NO_TRUST)
    if keys.log not in trust.logs:
        raise BadInput("trust-other-log", "The trust file names another log, or another key of this one.")
    if keys.receipt not in trust.receipts:
        raise BadInput("trust-other-receipt", "The trust file names no such key for receipts.")
    return "The keys are those of the trust file."


def require_witnesses(note: Note, trust: Trust, venue: Iterable[NoteKey]) -> str:
    """Check that as many witnesses of the trust file as it needs have cosigned.

    One that has two names, or the `venue`'s own key, counts once, or not at all.
    Raises BadInput: cosignature-missing, signature-wrong.
    """
    lines = {(signature.name, signature.key_id) for signature in note.signatures}
    seen = set()
    for key in trust.witnesses:
        if (key.name, key.key_id) in lines:
            signed_note.require_signed(note, key)
            seen.add(key.public)
    count = len(seen - {key.public for key in venue})
    if count < trust.need:
        raise BadInput("cosignature-missing",
                       f"The trust file asks for {trust.need} witnesses, and {count} of them have cosigned. "
                       "Ask the venue for evidence made while they answer.")
    return f"{count} of the trust file's witnesses have cosigned, and it asks for {trust.need}."


def _trusted_log(checkpoint: Checkpoint, note: Note, trust: Trust) -> NoteKey:
    lines = {(signature.name, signature.key_id) for signature in note.signatures}
    mine = [key for key in trust.logs if key.name == checkpoint.origin]
    if not mine:
        raise BadInput("trust-other-log", "The trust file names another log, or another key of this one.")
    return next((key for key in mine if (key.name, key.key_id) in lines), mine[0])
