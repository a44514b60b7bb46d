"""A notice: the exact text a person saw, in every language, under one hash (docs/formats/notice.md)."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

from countenance.errors import BadInput
from countenance.formats import canonical
from countenance.quantities import PurposeId, VenueId

_FORMAT = "countenance/notice/1"
_LONGEST = 20_000
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that show nothing."""


@dataclass(frozen=True)
class Notice:
    """One version of the text for one purpose. `texts` maps a BCP 47 language to its text."""

    venue: VenueId
    purpose: PurposeId
    version: int
    custody: str
    valid_days: int
    texts: dict[str, str]

    def canonical(self) -> bytes:
        """Return the bytes that are hashed and kept."""
        return canonical.encode({
            "format": _FORMAT, "venue": self.venue, "purpose": self.purpose, "version": self.version,
            "custody": self.custody, "valid_days": self.valid_days, "texts": self.texts,
        })

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes, in hex. A consent names this, not a version."""
        return hashlib.sha256(self.canonical()).hexdigest()


def clean_text(text: str) -> str:
    """Return a text fit to be shown and hashed: NFC, LF line ends, no control characters.

    Raises BadInput(notice-text) for an empty or overlong one, or one with hidden characters that
    could show something else than what is hashed.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    hidden = any((unicodedata.category(c) in _HIDDEN and c != "\n") or c in _BLANK for c in text)
    if not text or len(text) > _LONGEST or hidden:
        raise BadInput("notice-text", "A notice's text is empty, too long, or has hidden characters.")
    return text


def parse(data: bytes) -> Notice:
    """Read canonical bytes. Raises BadInput(notice-malformed)."""
    value = canonical.decode(data, "notice")
    malformed = BadInput("notice-malformed", "These bytes are not a notice.")
    kinds = {"format": str, "venue": str, "purpose": str, "version": int, "custody": str,
             "valid_days": int, "texts": dict}
    if not isinstance(value, dict) or set(value) != set(kinds) or value["format"] != _FORMAT:
        raise malformed
    if any(not isinstance(value[name], kind) for name, kind in kinds.items()):
        raise malformed
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in value["texts"].items()):
        raise malformed
    return Notice(VenueId(value["venue"]), PurposeId(value["purpose"]), value["version"],
                  value["custody"], value["valid_days"], dict(value["texts"]))
