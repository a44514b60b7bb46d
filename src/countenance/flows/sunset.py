"""sunset: a way of coming in is given up, and what was kept for it is deleted (docs/flows.md, sunset).

(1) What takes its place works without a face, and a refund is named for whoever does not want that; (2) it is told in
the log; (3) every record of the old way is destroyed, one by one, each with a receipt. Interrupted, it goes on where
it stopped. "face" means the faces of this venue. Any other method, such as fingerprints, is another system's: its
records lie in a folder, one file for each booking number, and are overwritten and deleted there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from countenance import durable
from countenance.clock import utc_text
from countenance.consent.states import State
from countenance.errors import BadInput, Refused
from countenance.flows import gates, receipts, record, withdraw
from countenance.quantities import PersonId, PurposeId, random_id
from countenance.storage import schema

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

FACE = "face"
_METHOD = re.compile(r"[a-z][a-z-]{1,30}")

Give = Callable[[str, str], None]
"""Takes a name and a receipt: whoever gave up a method hands them to people, or keeps them until they ask."""


def announce(venue: Venue, method: str, replacement: str, refund: str) -> None:
    """Tell the log that a method ends, what takes its place, and how people who do not want that get their money back.

    Raises BadInput(method-name, record-text), Refused(gate-unknown, gate-other).
    """
    if not _METHOD.fullmatch(method):
        raise BadInput("method-name", "A method is one word, such as fingerprint or face.")
    with venue.store.write() as unit:
        if gates.one(unit, replacement).mode is not gates.Mode.PASS:
            raise Refused("gate-other", "What takes its place must work without a face: a gate of mode pass.")  # (1)
        unit.tell("method-ends", {"method": method, "replacement": replacement,                                # (2)
                                  "refund": record.clean(refund, record.IN_THE_CLEAR)})
    venue.log.sign_if_possible()


def faces(venue: Venue, give: Give) -> Iterator[tuple[int, int]]:
    """End every consent to a face, each with its receipt; yield how many are done, of how many. Raises StoreFault."""
    consent = schema.consent
    with venue.store.write() as unit:
        for gate in gates.all_of(unit):
            if gate.purpose:
                gates.set_state(unit, gate.gate_id, opened=False, by="sunset")
        rows = unit.run(select(consent.c.person_id, consent.c.purpose_id).where(
            consent.c.state == State.GIVEN.value)).all()
    for done, (person, purpose) in enumerate(rows, 1):
        with suppress(Refused):  # withdrawn meanwhile
            ended = withdraw.withdraw(venue, PersonId(person), PurposeId(purpose))                             # (3)
            give(f"{person}-{purpose}", ended.receipt)
        yield done, len(rows)


def records(venue: Venue, method: str, folder: Path, give: Give) -> Iterator[tuple[int, int]]:
    """Destroy another system's records of a method, each with its receipt; yield how many are done, of how many.

    The receipt says SHA-256 of what was there, and when it went; in the log stands a commitment to that, which names
    nobody. The venue's word covers what copies another system keeps: the receipt is what it can be held to. A crash
    between a file's end and its receipt leaves that one receipt out.
    Raises BadInput(folder-unreadable, method-name, file-unreadable), StoreFault.
    """
    if not _METHOD.fullmatch(method) or method == FACE:
        raise BadInput("method-name", "A method of another system is one word, such as fingerprint.")
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file() and not one.is_symlink())
    except OSError:
        raise BadInput("folder-unreadable", f"{folder.name} cannot be read.") from None
    for done, path in enumerate(files, 1):
        give(path.stem, _destroyed(venue, method, path))                                                       # (3)
        yield done, len(files)


def _destroyed(venue: Venue, method: str, path: Path) -> str:
    try:
        was = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise BadInput("file-unreadable", f"{path.name} cannot be read.") from None
    durable.destroy(path)
    person = PersonId(random_id())
    with venue.store.write() as unit:
        entry = unit.tell_for("person-erased", {"venue": venue.venue_id, "person": person, "method": method,
                                                "reference": path.stem, "sha256": was})
        now = unit.now
    return receipts.write(venue, "erasure", person, now, [entry], {
        "purpose": "", "ended": "erased", "final": True, "final_by": utc_text(now), "copies_open_until": utc_text(now),
        "method": method, "reference": path.stem, "sha256": was})
