"""Names for numbers and identifiers that must not be mixed up."""

from __future__ import annotations

import secrets
from typing import NewType

Instant = NewType("Instant", int)
"""Seconds since 1970-01-01T00:00:00Z."""

Score = NewType("Score", float)
"""Comparison score, a dissimilarity (matching/score.py). Lower is closer: a LOWER threshold is stricter."""

PersonId = NewType("PersonId", str)
"""Random, 128 bits in hex. Says nothing about the person and is not the venue's own number."""

PurposeId = NewType("PurposeId", str)
VenueId = NewType("VenueId", str)
TemplateId = NewType("TemplateId", str)
KeyId = NewType("KeyId", str)
PassId = NewType("PassId", str)

END_OF_TIME = Instant(253_402_300_800)
"""The first second of the year 10000, which no calendar here can write: what is signed ends before it."""

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Seconds."""


def random_id() -> str:
    """Return 128 random bits in hex."""
    return secrets.token_hex(16)
