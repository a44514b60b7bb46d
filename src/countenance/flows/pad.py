"""pad: fill a 1:N gallery with made-up people, for the demo and the benchmarks (docs/flows.md, pad).

They go through consent, keys, permits and the log like anybody, a batch at a time, and are marked synthetic
in their record and in the act of their consent. (1) an intent names the batch's keys; (2) keys; (3) in one
transaction for each: person, consent, permit, probe of nobody, template; (4) live.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from countenance.consent import consents, notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.flows import intents, people
from countenance.flows.enrol import add_template
from countenance.flows.people import Profile
from countenance.formats.passes import Custody
from countenance.quantities import PersonId, PurposeId, TemplateId, random_id
from countenance.storage.unit import Unit
from countenance.vault.keys.store import FACE, RECORD, KeyRef, new_ref
from countenance.vault.templates import Place
from countenance.vision.synthetic import SyntheticCamera, load

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

BATCH = 1_000


def reference(number: int) -> str:
    """Return the booking number of one made-up person; the ticket list must have it."""
    return f"synthetic-{number:06d}"


def pad(venue: Venue, purpose: PurposeId, number: int, seed: int = 20210409,
        progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
    """Enrol `number` made-up people. Raises as `enrol`."""
    camera = SyntheticCamera(load(venue.pack.identity), venue.pack.step, seed)
    for start in range(0, number, BATCH):
        some = range(start, min(number, start + BATCH))
        _batch(venue, purpose, some, camera)
        progress(some.stop, number)


def _batch(venue: Venue, purpose_id: PurposeId, some: range, camera: SyntheticCamera) -> None:
    owners = [PersonId(random_id()) for _ in some]
    records = [new_ref(RECORD, person, "") for person in owners]
    faces = [new_ref(FACE, person, purpose_id) for person in owners]
    with venue.store.write() as unit:                                       # (1)
        notice = notices.in_force(unit, purpose_id)
        names = [ref.key_id for ref in records + faces]
        intent = intents.begin(unit, "pad", PersonId(""), purpose_id, names)
    try:
        with venue.keys.at_hand():
            venue.keys.make(records + faces)                                # (2)
            with venue.store.write() as unit:
                for row, record, face in zip(some, records, faces, strict=True):
                    yes = Yes(notice.hash, "en", Act.SYNTHETIC)
                    _one(venue, unit, reference(row), record, face, yes, camera)   # (3) (4)
                intents.end(unit, intent)
                unit.move_forward()
    except BaseException:
        intents.undo(venue, intent)
        raise


def _one(venue: Venue, unit: Unit, ref: str, record: KeyRef, face: KeyRef, yes: Yes,
         camera: SyntheticCamera) -> None:
    person = people.add(unit, venue.keys, record, Profile(ref, yes.language), synthetic=True)
    purpose = notices.purpose(unit, PurposeId(face.purpose))
    consent, _ = consents.give(unit, person, purpose.purpose_id, yes)
    granted = venue.gate.enrol(unit, person, purpose.purpose_id)
    place = Place(TemplateId(random_id()), person, purpose.purpose_id, venue.pack.identity)
    with camera.embed(venue.book, granted.permit, granted.scope) as probe:
        kept = venue.vault.seal(granted.permit, probe, place, Custody(purpose.custody), face)
    add_template(unit, place, consent, purpose, face, kept.sealed, state="live")
