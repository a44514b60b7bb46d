"""Whose act a consent was. A message that a venue sends is nobody's act (the founding case, DESIGN)."""

from __future__ import annotations

from enum import Enum

from countenance.errors import Refused


class Act(Enum):
    """How the person said yes.

    PASSKEY: a signature over the notice's hash that the venue cannot make (comes with the server issue).
    ASSERTED: an operator says that the person did; the receipt says so too.
    SYNTHETIC: nobody's; for the demo's padding, on people that do not exist.
    """

    PASSKEY = "passkey"
    ASSERTED = "asserted"
    SYNTHETIC = "synthetic"


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
