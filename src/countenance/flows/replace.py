"""replace: a pass is lost, or somebody photographed it (docs/flows.md, replace).

(1) the ticket is good, and the clock not behind; (2) in one transaction every pass of this booking number made up to
now is void, in both lanes; (3) a face that was in such a pass, or whose key was, is ended by the steps of a withdrawal:
its key is destroyed; (4) the list for the lane without faces is written; (5) a plain pass is handed over and read back.
A face again only by a new enrolment. Asking again after a crash does what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from countenance.clock import end_of_day, utc_day
from countenance.consent import consents
from countenance.consent.states import State
from countenance.flows import enrol, passes, people, revocations, withdraw
from countenance.formats.passes import Custody
from countenance.quantities import Instant, PersonId, PurposeId
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


@dataclass(frozen=True)
class Replaced:
    """The new plain pass, and what was ended: a receipt for each face that was in a lost pass."""

    pass_text: str
    ended: list[withdraw.Withdrawn]


def replace(venue: Venue, reference: str, hand_over: Callable[[str], str]) -> Replaced:
    """Replace every pass of a booking number by one plain pass.

    Raises Refused (ticket-*), BadInput(pass-not-read, pass-not-delivered), StoreFault: clock-set-back, where a new
    pass would be one from the future, and nothing is void then. Otherwise the old passes are void even where the new
    one could not be handed over.
    """
    with venue.store.read() as unit:
        ticket = venue.entitlement.require_good(reference, utc_day(unit.now))   # (1)
    with venue.store.write() as unit:                                           # (2)
        unit.require_forward()
        before = revocations.void(unit, venue.venue_id, ticket.reference, end_of_day(ticket.valid_until))
        person = _whose(venue, unit, ticket.reference)
        if person:
            unit.tell_of_even_if_lost(person, "pass-replaced", {"before": before})
        lost = _faces_in_passes(unit, person)
    ended = [withdraw.withdraw(venue, person, purpose, State.REPLACED) for purpose in lost]   # (3)
    _void(venue, person)
    revocations.post(venue)                                                     # (4)
    text = passes.sign_plain(venue, ticket, Instant(before + 1), passes.ASK_ANY_TIME)  # (5)  later than what is void
    enrol.read_back(text, hand_over)
    return Replaced(text, ended)


def _whose(venue: Venue, unit: Unit, reference: str) -> PersonId:
    found = people.find(unit, venue.keys, reference)
    return PersonId("") if found is None else PersonId(found.person_id)


def _faces_in_passes(unit: Unit, person: PersonId) -> list[PurposeId]:
    template = schema.template
    kept = {row.purpose_id for row in unit.run(select(template.c.purpose_id).where(
        template.c.person_id == person, template.c.custody != Custody.VENUE_KEYED.value))}
    return [c.purpose for c in consents.all_of(unit, person) if c.state is State.GIVEN and c.purpose in kept]


def _void(venue: Venue, person: PersonId) -> None:
    issued = schema.issued_pass
    with venue.store.write() as unit:
        unit.run(update(issued).where(issued.c.person_id == person, issued.c.state.in_(("live", "plain")))
                 .values(state="void"))
