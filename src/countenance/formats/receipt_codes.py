"""A receipt's QR code: where in which log its newest event is, and the nonce that opens it (docs/formats/receipt.md).

For paper that outlives the file: whoever has a copy of the published log can see that the leaf is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from countenance.errors import BadInput
from countenance.formats import base45, canonical, checkpoints, log_entries
from countenance.formats.receipts import Proven

PREFIX = "CRT1:"
LONGEST = 1_000
"""Characters that are read at all."""


@dataclass(frozen=True)
class Code:
    """Leaf `index` of the log `origin` is `leaf` (32 bytes), SHA-256 of `nonce` (32 bytes) ‖ a record."""

    origin: str
    index: int
    nonce: bytes
    leaf: bytes

    def encode(self) -> str:
        """Return the code's text, of letters that a QR code holds shortest."""
        return PREFIX + base45.encode(canonical.encode([self.origin, self.index, self.nonce, self.leaf]))


def parse(text: str) -> Code:
    """Read a code's text. Raises BadInput(receipt-code-malformed)."""
    malformed = BadInput("receipt-code-malformed", "This is not the code of a receipt.")
    if not text.startswith(PREFIX) or len(text) > LONGEST:
        raise malformed
    try:
        value = canonical.decode(base45.decode(text.removeprefix(PREFIX)), "receipt-code")
        origin, index, nonce, leaf = value
        found = Code(origin, index, nonce, leaf)
    except (BadInput, ValueError, TypeError):
        raise malformed from None
    if not isinstance(value, list) or [type(part) for part in value] != [str, int, bytes, bytes]:
        raise malformed
    if (not 1 <= len(origin) <= checkpoints.LONGEST_ORIGIN or index < 0 or len(leaf) != log_entries.LEAF_BYTES
            or len(nonce) != log_entries.NONCE_BYTES):
        raise malformed
    return found


def of(origin: str, events: Sequence[Proven]) -> Code:
    """Return the code for the newest event of a receipt. Raises BadInput(receipt-unlogged) where it has no place."""
    if not events or events[-1].index < 0:
        raise BadInput("receipt-unlogged", "This receipt says no place in the log.")
    return Code(origin, events[-1].index, events[-1].nonce, events[-1].leaf)
