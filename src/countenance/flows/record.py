"""record: what happens around faces and belongs in the log (docs/flows.md, record).

Who looked at a person's record, to whom something about them was disclosed, what they complained about: sealed, in
their own chain, so that they and nobody else read it. Orders of an authority, and gates opened and closed, are about
nobody and in the clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from countenance.errors import BadInput
from countenance.flows import people
from countenance.quantities import Instant, PersonId
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
    return unit.tell_of(person, "operator-access", {"by": _text(by), "why": _text(why)})


def disclosure(venue: Venue, person: PersonId, to: str, what: str, why: str) -> Entry:
    """Write down that something about a person was given to somebody else. Raises BadInput, Refused(person-unknown)."""
    body = {"to": _text(to), "what": _text(what), "why": _text(why)}
    with venue.store.write() as unit:
        people.row(unit, person)
        entry = unit.tell_of(person, "disclosure", body)
    venue.log.sign_if_possible()  # from here on it cannot be undone by putting the store back
    return entry


def complaint(venue: Venue, person: PersonId, text: str) -> Entry:
    """Write down what a person complains about. Raises BadInput(record-text), Refused(person-unknown)."""
    body = {"text": _text(text)}
    with venue.store.write() as unit:
        people.row(unit, person)
        entry = unit.tell_of(person, "complaint", body)
    venue.log.sign_if_possible()
    return entry


def order(venue: Venue, authority: str, reference: str, what: str) -> None:
    """Write down, in the clear, that an authority ordered something; it may name no person. Raises BadInput."""
    body = {"authority": _text(authority, IN_THE_CLEAR), "reference": _text(reference, IN_THE_CLEAR),
            "what": _text(what, IN_THE_CLEAR)}
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


def _text(text: str, longest: int = LONGEST) -> str:
    text = text.strip()
    if not text or len(text) > longest or not all(c.isprintable() or c == "\n" for c in text):
        raise BadInput("record-text", f"Say it in 1 to {longest} plain characters.")
    return text
