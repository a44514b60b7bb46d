"""Whose act a consent was. A message that a venue sends is nobody's act (the founding case, DESIGN)."""

from __future__ import annotations

from enum import Enum

from countenance.errors import BadInput, Refused


class Act(Enum):
    """How the person said yes.

    PASSKEY: a signature over the notice's hash that the venue cannot make (comes with the server issue).
    ASSERTED: an operator says that the person did; the receipt says so too.
    GUARDIAN: an operator says that a parent or guardian did, for a child.
    SYNTHETIC: nobody's; for the demo's padding, on people that do not exist.
    """

    PASSKEY = "passkey"
    ASSERTED = "asserted"
    GUARDIAN = "guardian"
    SYNTHETIC = "synthetic"


class Age(Enum):
    """What somebody answered about their age: never a date of birth, and never looked up in a face."""

    UNASKED = "unasked"
    OF_AGE = "of-age"
    MINOR = "minor"


MESSAGES = frozenset({"sms", "email", "letter", "push", "poster", "announcement", "terms"})
"""Ways for a venue to tell people something. None of them is a way for people to agree."""


def act_from_channel(channel: str) -> Act:
    """Return whose act a consent through `channel` is: desk, kiosk, passkey.

    Raises Refused(consent-message) for a message, Refused(consent-channel) for anything unknown.
    """
    if channel in MESSAGES:
        raise Refused("consent-message", "A message cannot give or change anybody's consent.")
    if channel in {"desk", "kiosk"}:
        return Act.ASSERTED
    raise Refused("consent-channel", "Consent is given at a desk or a kiosk, by the person.")


def age_from(word: str) -> Age:
    """Return what somebody answered. Raises BadInput(age-unknown)."""
    try:
        return Age(word)
    except ValueError:
        raise BadInput("age-unknown", "The answer to how old they are is of-age or minor.") from None
