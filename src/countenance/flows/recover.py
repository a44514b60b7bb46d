"""recover: finish or undo what a crash interrupted, before anything else happens (docs/flows.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countenance.flows import intents, rotate, withdraw
from countenance.storage import engine as engines

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


def recover(venue: Venue) -> None:
    """Finish a rotation; roll withdrawals, then erasures forward; undo what did not go live. Raises StoreFault.

    Only for a process that has the folder alone: what another has under way is not a crash.
    """
    if venue.keys.rotation_unfinished:
        rotate.rotate(venue)
    elif _untold(venue):
        rotate.tell(venue)
    roll_forward(venue)
    with venue.store.read() as unit:
        begun = intents.pending(unit, "enrol", "pad")
    for intent in begun:
        intents.undo(venue, intent)
    venue.store.empty_wal()
    engines.empty_wal(venue.keys.engine)


def _untold(venue: Venue) -> bool:
    with venue.store.read() as unit:
        return unit.mark("epoch") != venue.keys.epoch[0]


def roll_forward(venue: Venue) -> None:
    """Finish every withdrawal and erasure that was begun; each step may be repeated, so it is safe at any time."""
    for stories in (("withdraw", "expire"), ("erase",)):  # an erasure ends after the withdrawals that it began
        with venue.store.read() as unit:
            begun = intents.pending(unit, *stories)
        for intent in begun:
            if intent.story == "erase":
                withdraw.go_on_erasing(venue, intent)
            else:
                withdraw.finish(venue, intent)
