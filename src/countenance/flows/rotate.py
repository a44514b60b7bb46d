"""rotate: a new epoch, so that no older copy of the keys opens anything (docs/flows.md, rotate)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from countenance.errors import StoreFault
from countenance.flows import intents
from countenance.flows.found import DRILL
from countenance.quantities import DAY, Instant
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys.third import discard

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


def rotate(venue: Venue, progress: Callable[[int, int], None] = lambda _done, _all: None,
           leave_unknown: bool = False) -> int:
    """Begin a new epoch and return its number. Safe to interrupt anywhere; the next opening finishes it.

    (1), (2), (3) and (4) are the key store's own (vault/keys/rotation.py); (5) the date that was promised to people
    who withdrew is met, and the log says which epoch began. A key that the data store does not know is left behind
    where `leave_unknown` (a restore, which has asked). Raises StoreFault: offsite-* (not finished then),
    keys-unknown (an older data store was put back: neither finished, and no face is compared until `restore`),
    store-restored, epoch-older, ...
    """
    venue.require_stores()
    try:
        number = venue.keys.rotate(lambda: _living(venue), progress, leave_unknown)   # (1) to (4)
    except StoreFault as fault:
        if fault.code == "keys-unknown":
            venue.hold_faces(fault)
        raise
    discard(venue.folder / DRILL)  # a rehearsal that died has left a copy of the old epoch
    tell(venue)                                                             # (5)
    return number


def tell(venue: Venue) -> None:
    """Step (5), for the epoch in force; does nothing where it was told already. Recovery calls it too.

    Nor while a rotation is under way, another's perhaps: until the old epoch is destroyed no promise is met.
    """
    if venue.keys.rotation_unfinished:
        return
    number, _made_at = venue.keys.epoch
    with venue.store.write() as unit:
        if unit.mark("epoch") == number:
            return
        if (unit.mark("erased") or 0) < number:  # whoever withdrew under this very epoch waits for the next
            unit.run(delete(schema.mark).where(schema.mark.c.name.in_(("rotate_by", "erased"))))
        unit.set_mark("epoch", Instant(number))
        unit.tell("epoch", {"number": number})


def is_due(venue: Venue) -> bool:
    """Say whether a rotation is due: by the age of the epoch, or promised to somebody who withdrew."""
    _number, made_at = venue.keys.epoch
    with venue.store.read() as unit:
        promised = unit.mark("rotate_by")
        return promised is not None or unit.now >= made_at + venue.settings.epoch_days * DAY


def _living(venue: Venue) -> frozenset[str]:
    """Return the ids of the keys that the data store needs, or that a story under way has named."""
    with venue.store.read() as unit:
        return frozenset(needed(unit)) | {key for intent in intents.all_pending(unit) for key in intent.keys}


def needed(unit: Unit) -> set[str]:
    """Return the ids of the keys of every person, face and pass in the data store."""
    columns = (schema.person.c.record_key, schema.template.c.face_key, schema.issued_pass.c.pass_key)
    return {key for column in columns for key in unit.run(select(column).where(column.is_not(None))).scalars()}
