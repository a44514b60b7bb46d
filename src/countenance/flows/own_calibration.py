"""own calibration: a gallery's people, who agreed to that too, make its threshold stricter (docs/flows.md).

Off unless a venue offers it. (1) a purpose and a notice of its own, to which people say yes or no by itself; (2) the
permit, for exactly the people whose consents to both live; (3) their templates are opened and compared with each
other, and nothing but counts comes out; (4) a threshold goes down, by a bound, or stays; (5) the move is logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from countenance.consent import consents, notices
from countenance.consent.consents import Yes
from countenance.errors import BadInput, Refused
from countenance.flows import gallery, people, receipts
from countenance.flows.venue import set_stricter_by, stricter_by, thousandths
from countenance.formats.notices import Notice
from countenance.matching import calibration, own_calibration
from countenance.matching.own_calibration import Moved
from countenance.quantities import PersonId, PurposeId

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

PREFIX = "calibrate."


@dataclass(frozen=True)
class Done:
    """What came of one calibration. `stricter_by`: of the score, what now holds, and before."""

    moved: Moved
    stricter_by: float
    before: float


def of(purpose: PurposeId) -> PurposeId:
    """Return the purpose that people agree to for the calibration of a gallery."""
    return PurposeId(f"{PREFIX}{purpose}")


def offer(venue: Venue, purpose: PurposeId, texts: dict[str, str], valid_days: int = 365) -> Notice:
    """Add the purpose with its notice, so that people can agree to it; nobody has yet, so nothing is compared.

    Raises Refused(purpose-unknown, purpose-other, purpose-known), BadInput(notice-*).
    """
    with venue.store.write() as unit:                                       # (1)
        found = notices.purpose(unit, purpose)
        if found.comparison != "search":
            raise Refused("purpose-other", "Only a gallery that is searched calibrates itself.")
        return notices.add_without_a_face(unit, venue.venue_id, of(purpose), found.zone, texts, valid_days)


def agree(venue: Venue, person: PersonId, purpose: PurposeId, yes: Yes) -> str:
    """Record that a person lets their template be compared with others' for that; return the receipt.

    It is withdrawn like any consent (`withdraw`). Raises Refused: person-unknown, consent-standing, notice-*.
    """
    with venue.store.write() as unit:
        people.row(unit, person)
        consent, _ = consents.give(unit, person, of(purpose), yes)
        people.keep(unit, person)
        unit.move_forward()
        events = receipts.events_of(unit, person, "consent-given", of(purpose))
        notice, now = notices.by_hash(unit, yes.notice_hash), unit.now
    facts = {**receipts.agreed(venue, consent, notice), "custody": notice.custody}
    return receipts.write(venue, "enrolment", person, now, events, facts)


def run(venue: Venue, purpose: PurposeId) -> Done:
    """Calibrate once. Raises Refused (purpose-*, consent-missing, gate-uncalibrated, ...), BadInput, StoreFault."""
    granted, members = venue.gate.calibrate(purpose, of(purpose))           # (2)
    stored = [gallery.stored_template(row) for row in venue.galleries.rows(purpose, members)]
    opened = venue.vault.open_gallery(granted.permit, purpose, members.generation, members.templates, stored,
                                      calibrates=True)
    codes = [one for one in opened if one is not None]                      # (3)
    try:
        if len(codes) < own_calibration.LEAST_PEOPLE:
            raise BadInput("cohort-too-few", f"A gallery's own calibration takes {own_calibration.LEAST_PEOPLE} people "
                           "who agreed to it.")
        found = own_calibration.tail(venue.book, granted.permit, granted.scope, np.stack(codes), venue.cohort)
    finally:
        for one in codes:
            one.fill(0)
    measured = venue.calibration()
    fmr = calibration.per_comparison(venue.settings.fpir, len(members.templates))
    made = own_calibration.moved(measured, fmr, found)
    with venue.store.write() as unit:
        before = stricter_by(unit, purpose)
        after = max(before, round(made.stricter_by, 3))                     # (4)
        set_stricter_by(unit, purpose, after)
        unit.tell("threshold-moved", {                                      # (5)
            "purpose": purpose, "people": len(codes), "pairs": found.pairs, "duplicates": made.duplicates,
            "stricter_by_thousandths": thousandths(after), "before_thousandths": thousandths(before)})
    return Done(made, after, before)
