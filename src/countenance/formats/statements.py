"""Statements that a person in charge signs: an assessment, a sign that stands, an order (docs/formats/statement.md).

A signed note (C2SP signed-note) whose text is seven lines. Who may sign is in the venue's settings; what was signed is
a document named by its SHA-256, which the venue keeps.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, timedelta

from countenance.errors import BadInput
from countenance.formats import signed_note
from countenance.formats.signed_note import NoteKey

FIRST = "countenance statement 1"
_KEYS = ("kind", "venue", "subject", "document", "from", "until")
_SUBJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
_HEX = re.compile(r"[0-9a-f]{64}")

LONGEST_DAYS = {"assessment": 366, "sign": 366, "counsel": 366, "filing": 3_660, "order": 36_600, "lift": 36_600,
                "preserve": 3_660, "seal": 3_660}
"""The kinds, and for how long each may count at most, in days. Fewer is stricter: it is looked at again sooner."""


@dataclass(frozen=True)
class Statement:
    """What was signed. `subject`: what it is about, in the words of its kind; both days count whole, in UTC."""

    kind: str
    venue: str
    subject: str
    document: str
    first: date
    last: date

    def text(self) -> str:
        """Return the text to sign. Raises BadInput(statement-malformed, statement-dates) as `parse`."""
        _require(self)
        values = (self.kind, self.venue, self.subject, self.document, self.first.isoformat(), self.last.isoformat())
        return "\n".join([FIRST, *(f"{key} {value}" for key, value in zip(_KEYS, values, strict=True)), ""])


def parse(text: str) -> Statement:
    """Read a statement's text, strictly. Raises BadInput(statement-malformed, statement-dates)."""
    lines = text.split("\n")
    if len(lines) != len(_KEYS) + 2 or lines[0] != FIRST or lines[-1]:
        raise _malformed("seven lines")
    values = []
    for key, line in zip(_KEYS, lines[1:-1], strict=True):
        name, space, value = line.partition(" ")
        if name != key or not space or not value:
            raise _malformed(key)
        values.append(value)
    kind, venue, subject, document, first, last = values
    found = Statement(kind, venue, subject, document, day(first), day(last))
    _require(found)
    return found


def day(text: str) -> date:
    """Read a day, as YYYY-MM-DD and no other way. Raises BadInput(statement-dates)."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadInput("statement-dates", f"{text[:20]!r} is no day of the calendar; write YYYY-MM-DD.")


def _require(one: Statement) -> None:
    if one.kind not in LONGEST_DAYS:
        raise BadInput("statement-kind", f"The kinds of statements are: {', '.join(sorted(LONGEST_DAYS))}.")
    if not _SUBJECT.fullmatch(one.subject):
        raise _malformed("subject")
    if not _HEX.fullmatch(one.document):
        raise _malformed("document")
    if not re.fullmatch(r"[0-9a-f]{16}", one.venue):
        raise _malformed("venue")
    if one.last < one.first:
        raise BadInput("statement-dates", "This statement ends before it begins.")
    if one.last - one.first > timedelta(LONGEST_DAYS[one.kind]):
        raise BadInput("statement-dates", f"A statement of this kind counts for {LONGEST_DAYS[one.kind]} days at most.")


def signed_by(note: str, keys: list[NoteKey]) -> tuple[Statement, NoteKey]:
    """Return what one of `keys` signed. Raises BadInput: statement-*, note-malformed, signature-wrong.

    A note without any signature, or with those of others only, is nobody's.
    """
    if "\n\n\u2014 " not in note:
        raise BadInput("statement-unsigned", "Nobody has signed this; `countenance statement sign` does.")
    parsed = signed_note.parse(note)
    named = {(one.name, one.key_id) for one in parsed.signatures}
    for key in keys:
        if (key.name, key.key_id) in named:
            signed_note.require_signed(parsed, key)
            return parse(parsed.text), key
    raise BadInput("statement-unsigned", "Nobody who may has signed this; rules.signers in venue.toml says who may.")


def digest(note: str) -> str:
    """Return a signed statement's name: SHA-256, in hex."""
    return hashlib.sha256(note.encode()).hexdigest()


def _malformed(where: str) -> BadInput:
    return BadInput("statement-malformed", f"This is not a statement in its form ({where}).")
