"""about: everything the venue holds about one person, for that person (docs/flows.md, about)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from countenance.clock import utc_text
from countenance.consent import consents, notices
from countenance.flows import people, record
from countenance.formats import canonical
from countenance.formats.passes import Custody
from countenance.quantities import PersonId
from countenance.storage import schema

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


_WHERE = {  # the measurement, and the key to it
    Custody.CARRIED: ("in your pass only", "with the venue"),
    Custody.HOLDER_KEYED: ("with the venue, locked", "in your pass only"),
    Custody.VENUE_KEYED: ("with the venue, locked", "with the venue"),
}


def about(venue: Venue, person: PersonId, by: str = record.DESK, why: str = record.ASKED) -> dict[str, Any]:
    """Return what is held, as plain values: profile, consents with their exact texts, faces, every event.

    (1) that somebody looks is written down first, who and why; (2) the record is opened with the person's own key;
    (3) the chain of their events is walked to its beginning, and a missing one is an error, not a gap. No template,
    key or score is in it. Raises Refused(person-unknown), BadInput(record-text), StoreFault(chain-broken).
    """
    with venue.store.write() as unit:
        people.row(unit, person)
        record.access(unit, person, by, why)                                # (1)
    venue.log.sign_if_possible()  # from here on it cannot be undone by putting the store back
    with venue.store.read() as unit:
        profile = people.profile(unit, venue.keys, person)                  # (2)
        chain = [canonical.decode(entry.record, "event") for entry in unit.outbox.chain(person)]  # (3)
        faces = unit.run(select(schema.template).where(schema.template.c.person_id == person)).all()
        return {
            "person": person, "reference": profile.reference, "language": profile.language,
            "consents": [{
                "purpose": c.purpose, "state": c.state.value, "act": c.act.value, "language": c.language,
                "given_at": utc_text(c.given_at), "expires_at": utc_text(c.expires_at),
                "notice": c.notice_hash, "text": notices.by_hash(unit, c.notice_hash).texts[c.language],
            } for c in consents.all_of(unit, person)],
            "faces": [{
                "purpose": f.purpose_id, "custody": f.custody, "state": f.state,
                "measurement": _WHERE[Custody(f.custody)][0], "key": _WHERE[Custody(f.custody)][1],
                "delete_at": utc_text(f.delete_at),
            } for f in faces],
            "events": [{
                "number": r["number"], "at": utc_text(r["at"]), "type": r["type"], **r["body"],
            } for r in reversed(chain)],
        }
