"""admit: somebody is at the gate (docs/flows.md, admit).

(1) the pass, where there is one, and the ticket, before any camera; (2) the person's own act: a pass
shown, or a press; (3) the permit; (4) the capture; (5) one face in the zone, large enough; (6) quality and
liveness; (7) the comparison; (8) the decision, in a transaction that reads the consent again; (9) which logs it;
(10) the door.

The answer is `admit` or `refer`. Anything that goes wrong before (8) raises, changes nothing and opens
nothing; `at_gate` turns it into `refer` for the person in front.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert

from countenance.clock import utc_day
from countenance.consent.gate import Press
from countenance.errors import CountenanceError, Refused, StoreFault
from countenance.flows import enrol, events_out, gallery, passes, people, revocations
from countenance.flows.capture import Timings, measure, one_face
from countenance.flows.ports import Camera, Door, no_door
from countenance.formats.revocations import RevocationList
from countenance.matching.matcher import Match, Matched, NonMatch
from countenance.quantities import DAY, HOUR, PersonId, PurposeId
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

COUNTS_KEPT_DAYS = 90


class Outcome(Enum):
    """What the person in front is told. A non-match is `refer`, never a denial."""

    ADMIT = "admit"
    REFER = "refer"


@dataclass(frozen=True)
class Decision:
    """`reason` is for staff only. Holds no score. `people`: how many may come in, where one scan admits a family."""

    outcome: Outcome
    reason: str
    timings: Timings = field(compare=False)
    people: int = 1


@dataclass(frozen=True)
class AtGate:
    """What a gate brings: its door, whether the person comes with their household, its copy of the revocation list.

    `revoked` is for a gate that goes by a copy; one that reads the venue's own store needs none. A face that it names
    is let in by neither way.
    """

    door: Door = no_door
    together: bool = False
    name: str = ""
    revoked: RevocationList | None = None


HERE = AtGate()


def by_pass(venue: Venue, pass_text: str, camera: Camera, gate: AtGate = HERE,
            timings: Timings | None = None) -> Decision:
    """Compare the holder of a pass with the one face that the pass is for (1:1).

    Raises BadInput, Refused, StoreFault, ModelFault; then nothing was decided and nothing has changed.
    """
    timings = timings or Timings(venue.clock)
    with venue.store.read() as unit:                                        # (1) (2)
        content, today = passes.read_here(venue, pass_text, unit.now), utc_day(unit.now)
    venue.entitlement.require_good(content.reference, today)  # outside any unit: it may wait for somebody's answer
    with venue.store.read() as unit:
        if gate.revoked is not None:
            revocations.require_unrevoked(gate.revoked, content, venue.clock.now())
        revocations.require_not_void(unit, content)
        person, purpose = passes.whose(unit, content), content.purpose
    threshold = venue.threshold("verify")
    granted = venue.gate.verify(person, purpose)                            # (3)
    with venue.store.read() as unit:
        shown = passes.shown(venue, unit, pass_text, content)
        stored = gallery.stored_template(enrol.live_template(unit, person, purpose))
    chip = one_face(venue, camera, timings)                                 # (4) (5) (6)
    with measure(venue, granted, chip, timings) as probe, timings.of("search"):   # (7)
        with venue.store.read() as unit:  # the capture took time: whoever withdrew meanwhile is not compared
            venue.gate.require_live(unit, person, purpose)
        with venue.vault.open(granted.permit, stored, shown) as reference:
            found = venue.matcher.verify(granted.permit, probe, reference, threshold)
    return _decide(venue, found, person, purpose, gate, timings)            # (8) (9) (10)


def by_face(venue: Venue, purpose: PurposeId, pressed: Press, camera: Camera, gate: AtGate = HERE,
            timings: Timings | None = None) -> Decision:
    """Look once for the person who pressed among those who agreed to it (1:N).

    Tickets come in at (1) through the gallery: it holds only people whose ticket is good today.
    Raises as `by_pass`.
    """
    timings = timings or Timings(venue.clock)
    venue.threshold("search")  # a gate without one takes no press
    if gate.revoked is not None:
        revocations.require_fresh(gate.revoked, venue.clock.now())
    held, granted = venue.galleries.search_permit(purpose, pressed)         # (1) (2) (3)
    threshold = venue.threshold("search", len(held.owners), purpose)  # stricter, the more people there are
    chip = one_face(venue, camera, timings)                                 # (4) (5) (6)
    with measure(venue, granted, chip, timings) as probe, timings.of("search"):   # (7)
        with venue.store.read() as unit:  # as above
            venue.gate.is_exact(unit, held.members)
        with venue.galleries.thrown_away_if_altered(purpose):
            found = venue.matcher.search(granted.permit, probe, held.index, threshold)
    person = held.owners[found.row][0] if isinstance(found, Match) else PersonId("")
    try:
        if gate.revoked is not None and person:
            with venue.store.read() as unit:
                revocations.require_face_of(unit, gate.revoked, person, purpose)
        return _decide(venue, found, person, purpose, gate, timings)        # (8) (9) (10)
    except Refused:  # withdrawn meanwhile, or on the gate's list: the reason would tell staff whom the face resembled
        return _decide(venue, NonMatch(), PersonId(""), purpose, gate, timings)


def at_gate(venue: Venue, story: Callable[[], Decision]) -> Decision:
    """Run one of the stories for a person who is waiting: whatever goes wrong, they are referred.

    The reason is the error's code, for staff. Nothing opens, and the other lane is not touched.
    """
    try:
        return story()
    except CountenanceError as error:
        return Decision(Outcome.REFER, error.code, Timings(venue.clock), people=0)
    except Exception:  # noqa: BLE001  # whatever it is, somebody is waiting, and nothing opens
        return Decision(Outcome.REFER, "internal", Timings(venue.clock), people=0)


def _decide(venue: Venue, found: Matched, person: PersonId, purpose: PurposeId, gate: AtGate,
            timings: Timings) -> Decision:
    with timings.of("decision"):
        if not isinstance(found, Match):
            venue.store.together(lambda unit: _referred(unit, venue, gate))
            return Decision(Outcome.REFER, "no-match", timings, people=0)
        admitted = _commit(venue, person, purpose, gate)
        gate.door(admitted)
    return Decision(Outcome.ADMIT, "match", timings, admitted)


def _commit(venue: Venue, person: PersonId, purpose: PurposeId, gate: AtGate) -> int:
    """Make an admission durable, unless the person has withdrawn meanwhile: the order of commits decides.

    Returns how many people it admits. The ticket is asked for before the transaction: whoever is slow to answer holds
    up nobody at another gate, and no withdrawal.
    """
    reference, admitted = _entitled(venue, person, purpose, gate)

    def commit(unit: Unit) -> int:
        unit.require_forward()
        row = people.row(unit, person)
        record = people.record_ref(row)
        with venue.keys.kept_open(record):  # for consent, profile, the head of the chain, the event and the new head
            venue.gate.require_live(unit, person, purpose)
            enrol.live_template(unit, person, purpose)
            profile = people.parse_profile(venue.keys.open(record, "profile", row.sealed_profile))
            if profile.reference != reference:
                raise Refused("ticket-unknown", "This person's booking number was corrected just now.")
            unit.outbox.go_on_with(person, record.key_id)
            unit.tell_of(person, "decision", {"purpose": purpose, "outcome": Outcome.ADMIT.value, "people": admitted,
                                              "gate": gate.name})
            count(unit, Outcome.ADMIT, admitted)
            if venue.outside is not None:
                events_out.decided(unit, venue, gate.name, Outcome.ADMIT.value, admitted, person)
        return admitted

    return venue.store.together(commit)


def _entitled(venue: Venue, person: PersonId, purpose: PurposeId, gate: AtGate) -> tuple[str, int]:
    """Return a person's booking number, whose ticket is good, and how many it admits. Raises as `by_pass`."""
    try:
        with venue.store.read() as unit:
            venue.gate.require_live(unit, person, purpose)
            reference, today = people.profile(unit, venue.keys, person).reference, utc_day(unit.now)
    except StoreFault:
        with venue.store.read() as unit:  # erased in between: then that is why their record does not open
            venue.gate.require_live(unit, person, purpose)
        raise
    ticket = venue.entitlement.require_good(reference, today)
    return reference, venue.entitlement.party(ticket.reference, today) if gate.together else 1


def _referred(unit: Unit, venue: Venue, gate: AtGate) -> None:
    count(unit, Outcome.REFER, 1)
    if venue.outside is not None:
        events_out.decided(unit, venue, gate.name, Outcome.REFER.value, 1, None)


_SOME_MORE = insert(schema.hourly_count).on_conflict_do_update(
    index_elements=["hour", "lane", "outcome"], set_={"number": schema.hourly_count.c.number + bindparam("more")})


def count(unit: Unit, outcome: Outcome, number: int) -> None:
    """Count people by the hour in the lane for faces; nobody is in it."""
    hour = unit.now - unit.now % HOUR
    unit.run(_SOME_MORE, {"hour": hour, "lane": "face", "outcome": outcome.value, "number": number, "more": number,
                          "delete_at": hour + COUNTS_KEPT_DAYS * DAY})
