"""recover: finish or undo what a crash interrupted, before anything else happens (docs/flows.md)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from countenance.errors import StoreFault
from countenance.flows import intents, rotate, withdraw
from countenance.flows.found import DRILL
from countenance.storage import engine as engines
from countenance.vault.keys.third import discard

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


RESTORED = ".restored"
"""What a copy's name ends in while `restore` looks at it, beside the store whose place it is to take."""


def recover(venue: Venue) -> None:
    """Roll withdrawals, then erasures forward; undo what did not go live; finish a rotation. Raises StoreFault.

    Only for a process that has the folder alone: what another has under way is not a crash. Where a store was put
    back by hand nothing is touched: the right one may follow.
    """
    discard(venue.folder / DRILL)
    shutil.rmtree(venue.folder / DRILL, ignore_errors=True)
    for copy in venue.folder.glob(f"*{RESTORED}*"):  # of a restore that died: it holds keys that are destroyed here
        copy.unlink()
    venue.look_for_older_stores()
    if not venue.in_order:
        return
    finish(venue)
    with venue.store.read() as unit:
        ended = unit.mark("forward") or 0
    if ended > venue.keys.place.gone.read().count:  # a crash came between the commit and the note of it
        venue.keys.note(ended)
    _finish_rotation(venue)
    venue.store.empty_wal()
    engines.empty_wal(venue.keys.engine)


def finish(venue: Venue) -> None:
    """Roll every withdrawal and erasure forward, and undo what did not go live. Raises StoreFault."""
    roll_forward(venue)
    with venue.store.read() as unit:
        begun = intents.pending(unit, "enrol", "pad")
    for intent in begun:
        intents.undo(venue, intent)


def _finish_rotation(venue: Venue) -> None:
    if venue.keys.rotation_unfinished:
        try:
            rotate.rotate(venue)
        except StoreFault as fault:
            if fault.code != "offsite-missing":  # it stays unfinished, and the gate closes when its date has passed
                raise
    elif _untold(venue):
        rotate.tell(venue)


def _untold(venue: Venue) -> bool:
    with venue.store.read() as unit:
        return unit.mark("epoch") != venue.keys.epoch[0]


def roll_forward(venue: Venue) -> None:
    """Finish every withdrawal and erasure that was begun; each step may be repeated, so it is safe at any time."""
    # An erasure ends after the withdrawals that it began.
    for stories in (("withdraw", "expire", "replace"), ("erase",)):
        with venue.store.read() as unit:
            begun = intents.pending(unit, *stories)
        for intent in begun:
            if intent.story == "erase":
                withdraw.go_on_erasing(venue, intent)
            else:
                withdraw.finish(venue, intent)
