"""recognise: who is in front, for a client that asks for a name instead of opening a gate (docs/compreface.md).

(1) The press; (2) the permit to search once; (3) the capture with one face; (4) the comparison; (5) the answer, in a
transaction that reads the consent again and logs it in that person's own record. A ticket is asked for through the
gallery: it holds only people whose ticket is good today. Whom a stranger resembles is told to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from countenance.consent.gate import Press
from countenance.errors import Refused
from countenance.flows import admit, enrol, people
from countenance.flows.capture import Timings, measure, one_face
from countenance.flows.ports import Camera
from countenance.matching.matcher import Match
from countenance.quantities import PersonId, PurposeId
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.vision.detect import Detection


@dataclass(frozen=True)
class Recognised:
    """Where the one face is, and who it is: a person with their booking number, or empty texts for nobody known."""

    found: Detection | None
    person: PersonId
    reference: str


def recognise(venue: Venue, purpose: PurposeId, pressed: Press, camera: Camera, by: str,
              only: PersonId | None = None) -> Recognised:
    """Look once for the person who pressed. `by`: the key that asks, for the person's own record.

    `only`: say nothing of anybody else; who is another is told as nobody. Raises as `admit.by_face`.
    """
    timings = Timings(venue.clock)
    venue.threshold("search")  # a gate without one takes no press
    held, granted = venue.galleries.search_permit(purpose, pressed)         # (1) (2)
    threshold = venue.threshold("search", len(held.owners), purpose)
    chip = one_face(venue, camera, timings)                                 # (3)
    with measure(venue, granted, chip, timings) as probe:                   # (4)
        with venue.store.read() as unit:  # the capture took time: whoever withdrew meanwhile is not compared
            venue.gate.is_exact(unit, held.members)
        with venue.galleries.thrown_away_if_altered(purpose):
            found = venue.matcher.search(granted.permit, probe, held.index, threshold)
    person = held.owners[found.row][0] if isinstance(found, Match) else PersonId("")
    if person and only in {None, person}:
        try:
            return Recognised(chip.found, person, _committed(venue, person, purpose, by))   # (5)
        except Refused:  # withdrawn meanwhile: why would tell whom the face resembled
            pass
    venue.store.together(lambda unit: admit.count(unit, admit.Outcome.REFER, 1))
    return Recognised(chip.found, PersonId(""), "")


def _committed(venue: Venue, person: PersonId, purpose: PurposeId, by: str) -> str:
    def commit(unit: Unit) -> str:
        unit.require_forward()
        row = people.row(unit, person)
        record = people.record_ref(row)
        with venue.keys.kept_open(record):
            venue.gate.require_live(unit, person, purpose)
            enrol.live_template(unit, person, purpose)
            reference = people.parse_profile(venue.keys.open(record, "profile", row.sealed_profile)).reference
            unit.outbox.go_on_with(person, record.key_id)
            unit.tell_of(person, "decision", {"purpose": purpose, "outcome": "recognised", "people": 1, "gate": by})
            admit.count(unit, admit.Outcome.ADMIT, 1)
        return reference

    return venue.store.together(commit)
