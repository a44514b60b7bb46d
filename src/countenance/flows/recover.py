"""recover: finish or undo what a crash interrupted, before anything else happens (docs/flows.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countenance.flows import intents, withdraw
from countenance.storage import engine as engines

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


def recover(venue: Venue) -> None:
    """Roll every intent forward (withdraw, erase) or back (enrol), and finish a rotation. Raises StoreFault."""
    venue.keys.finish_rotation()
    with venue.store.read() as unit:
        pending = intents.pending(unit)
    for intent in pending:
        if intent.story == "enrol":
            intents.undo_enrol(venue, intent)
        elif intent.story == "pad":
            intents.undo_pad(venue, intent)
        elif intent.story == "withdraw":
            withdraw.finish(venue, intent)
        else:
            withdraw.finish_erase(venue, intent.person, intent.keys[0])
    if pending:
        venue.store.empty_wal()
        engines.empty_wal(venue.keys.engine)
