"""recover: finish or undo what a crash interrupted, before anything else happens (docs/flows.md)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from countenance.errors import CountenanceError, StoreFault
from countenance.flows import intents, record, rotate, withdraw
from countenance.flows.found import CLOSED, DRILL
from countenance.storage import engine as engines
from countenance.vault.keys.third import discard

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


RESTORED = ".restored"
"""What a copy's name ends in while `restore` looks at it, beside the store whose place it is to take."""


_OFFSITE = {"offsite-missing", "offsite-newer", "offsite-same"}


def recover(venue: Venue, leave_unknown: bool = False) -> None:
    """Roll withdrawals, then erasures forward; undo what did not go live; finish a rotation. Raises StoreFault.

    Only for a process that has the folder alone: what another has under way is not a crash. Where a store was put
    back by hand nothing is touched. What cannot be finished keeps faces waiting (`Venue.require_stores` says why), and
    the folder open, so that others can withdraw. `leave_unknown`: see `rotate.rotate`.
    """
    discard(venue.folder / DRILL)
    shutil.rmtree(venue.folder / DRILL, ignore_errors=True)
    for copy in venue.folder.glob(f"*{RESTORED}*"):  # of a restore that died: it holds keys that are destroyed here
        copy.unlink()
    venue.look_for_older_stores()
    if not venue.in_order:
        return
    with _faces_wait(venue):
        finish(venue)
    with venue.store.read() as unit:
        ended = unit.mark("forward") or 0
    if ended > venue.keys.place.gone.read().count:  # a crash came between the commit and the note of it
        venue.keys.note(ended)
    if venue.in_order:
        with _faces_wait(venue):
            _finish_rotation(venue, leave_unknown)
        with _faces_wait(venue):
            _tell_gate(venue)
    venue.store.empty_wal()
    engines.empty_wal(venue.keys.engine)


@contextmanager
def _faces_wait(venue: Venue) -> Iterator[None]:
    try:
        yield
    except CountenanceError as error:
        venue.hold_faces(StoreFault(error.code, error.sentence))


def finish(venue: Venue) -> None:
    """Roll every withdrawal and erasure forward, and undo what did not go live: each, whatever becomes of the others.

    Raises the first fault at the end.
    """
    faults = _Faults()
    with faults.next():
        roll_forward(venue)
    with venue.store.read() as unit:
        begun = intents.pending(unit, "enrol", "pad")
    for intent in begun:
        with faults.next():
            intents.undo(venue, intent)
    faults.raise_first()


class _Faults:
    """What went wrong with each of several stories."""

    def __init__(self) -> None:
        self._found: list[CountenanceError] = []

    @contextmanager
    def next(self) -> Iterator[None]:
        """Go on after this block even where it fails."""
        try:
            yield
        except CountenanceError as error:
            self._found.append(error)

    def raise_first(self) -> None:
        """Raise the first error there was, if any."""
        if self._found:
            raise self._found[0]


def _finish_rotation(venue: Venue, leave_unknown: bool) -> None:
    if venue.keys.rotation_unfinished:
        try:
            rotate.rotate(venue, leave_unknown=leave_unknown)
        except StoreFault as fault:
            if fault.code not in _OFFSITE:  # it stays unfinished, and the gate closes when its date has passed
                raise
    elif _untold(venue):
        rotate.tell(venue)


def _tell_gate(venue: Venue) -> None:
    with venue.store.read() as unit:
        told = unit.mark(record.GATE_MARK)
    if told is None or bool(told) != (venue.settings.threshold != CLOSED):
        with venue.store.write() as unit:
            record.gate(unit, venue.settings.threshold)


def _untold(venue: Venue) -> bool:
    with venue.store.read() as unit:
        return unit.mark("epoch") != venue.keys.epoch[0]


def roll_forward(venue: Venue) -> None:
    """Finish every withdrawal and erasure that was begun; each step may be repeated, so it is safe at any time.

    One that fails keeps no other from its end; then the first fault is raised.
    """
    faults = _Faults()
    # An erasure ends after the withdrawals that it began.
    for stories in (("withdraw", "expire", "replace", "lose"), ("erase",)):
        with venue.store.read() as unit:
            begun = intents.pending(unit, *stories)
        for intent in begun:
            with faults.next():
                if intent.story == "erase":
                    withdraw.go_on_erasing(venue, intent)
                else:
                    withdraw.finish(venue, intent)
    faults.raise_first()
