"""record: what happens around faces and belongs in the log (docs/flows.md, record).

Who looked at a person's record, to whom something about them was disclosed, what they complained about: sealed, in
their own chain, so that they and nobody else read it. Orders of an authority, and gates opened and closed, are about
nobody and in the clear.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from countenance.clock import end_of_day, utc_text
from countenance.errors import BadInput
from countenance.flows import people
from countenance.formats import canonical
from countenance.quantities import Instant, PersonId, random_id
from countenance.storage import schema
from countenance.storage.outbox import Entry
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

LONGEST = 2_000
"""Characters of a complaint, or of why something was done."""

IN_THE_CLEAR = 300
"""Characters of what goes into everybody's copy of the log."""

DESK, ASKED = "desk", "the person asked"
GATE_MARK = "gate"


def access(unit: Unit, person: PersonId, by: str, why: str) -> Entry:
    """Write down that somebody looked at a person's record. Raises BadInput(record-text)."""
    return unit.tell_of(person, "operator-access", {"by": clean(by), "why": clean(why)})


def disclosure(venue: Venue, person: PersonId, to: str, what: str, why: str, seal: str = "") -> Entry | None:
    """Write down that something about a person was given to somebody else, for them to see.

    `seal`: a signed order that they may not see it until its last day; then the entry waits outside their chain, what
    it will say is fixed in the log by its SHA-256, and the sweep moves it in. Returns None for such a one.
    Raises BadInput(statement-*), Refused(person-unknown).
    """
    body = {"to": clean(to), "what": clean(what), "why": clean(why)}
    entry = None
    with venue.store.write() as unit:
        people.row(unit, person)
        if seal:
            _withhold(venue, unit, person, body, seal)
        else:
            entry = unit.tell_of(person, "disclosure", body)
    venue.log.sign_if_possible()  # from here on it cannot be undone by putting the store back
    return entry


def _withhold(venue: Venue, unit: Unit, person: PersonId, body: dict[str, str], seal: str) -> None:
    from countenance.flows import duties  # which asks gates, and they write here

    one = duties.accept(venue, unit, seal, ("seal",)).statement
    if one.subject != f"person:{person}":
        raise BadInput("order-subject", "This order is about somebody else.")
    name, until = random_id(), end_of_day(one.last)
    plain = canonical.encode({**body, "disclosed": utc_text(unit.now), "withheld": name})
    unit.run(insert(schema.withheld).values(
        withheld_id=name, person_id=person, until_at=until,
        sealed=unit.outbox.seal_for(person, f"withheld/{name}", plain)))
    unit.tell("withheld", {"sha256": hashlib.sha256(plain).hexdigest(), "until": one.last.isoformat()})


def release(unit: Unit) -> int:
    """Move disclosures whose seal has ended into their people's chains; return how many."""
    table = schema.withheld
    rows = unit.run(select(table).where(table.c.until_at <= unit.now)).all()
    for row in rows:
        person = PersonId(row.person_id)
        plain = canonical.decode(unit.outbox.open_for(person, f"withheld/{row.withheld_id}", row.sealed), "withheld")
        unit.tell_of(person, "disclosure-unsealed", plain)
        unit.run(table.delete().where(table.c.withheld_id == row.withheld_id))
    return len(rows)


def complaint(venue: Venue, person: PersonId, text: str) -> Entry:
    """Write down what a person complains about. Raises BadInput(record-text), Refused(person-unknown)."""
    body = {"text": clean(text)}
    with venue.store.write() as unit:
        people.row(unit, person)
        entry = unit.tell_of(person, "complaint", body)
    venue.log.sign_if_possible()
    return entry


def order(venue: Venue, authority: str, reference: str, what: str) -> None:
    """Write down, in the clear, that an authority ordered something; it may name no person. Raises BadInput."""
    body = {"authority": clean(authority, IN_THE_CLEAR), "reference": clean(reference, IN_THE_CLEAR),
            "what": clean(what, IN_THE_CLEAR)}
    with venue.store.write() as unit:
        unit.tell("order", body)
    venue.log.sign_if_possible()


def gate(unit: Unit, threshold: str) -> None:
    """Tell, in the clear, whether gates compare faces by these settings, where that has changed."""
    opened = threshold != "none"
    before = unit.mark(GATE_MARK)
    if before is None or bool(before) != opened:
        unit.tell("gate-opened" if opened else "gate-closed", {"threshold": threshold})
        unit.set_mark(GATE_MARK, Instant(int(opened)))


def by_hand(unit: Unit, gate: str, outcome: str, reason: str) -> None:
    """Tell, in the clear, that staff decided in the place of a gate. All three are fixed words."""
    unit.tell("by-hand", {"gate": gate, "outcome": outcome, "reason": reason})


def clean(text: str, longest: int = LONGEST) -> str:
    """Return a text as it goes into the log. Raises BadInput(record-text)."""
    text = text.strip()
    if not text or len(text) > longest or not all(c.isprintable() or c == "\n" for c in text):
        raise BadInput("record-text", f"Say it in 1 to {longest} plain characters.")
    return text
