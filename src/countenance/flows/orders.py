"""orders: what an authority says about a person, a place or all of it, and what a death ends (docs/flows.md, orders).

(1) The order is signed by somebody who may, and names whom or what it reaches; (2) in one transaction it is written
down, in the log too, and from there nothing that it reaches is compared; (3) signed, so that nobody can undo it unseen.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from countenance.clock import end_of_day
from countenance.consent import consents, rulings
from countenance.consent.rulings import Ruling
from countenance.errors import BadInput, Refused
from countenance.flows import duties, gates, people, record, withdraw
from countenance.quantities import PersonId
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

_PERSON = re.compile(r"person:([0-9a-f]{32})")


def take(venue: Venue, note: str) -> Ruling:
    """Take a signed order in: to stop, to preserve a record, or to lift what an earlier one said. In force at once.

    Raises BadInput(statement-*, order-subject), Refused(person-unknown, zone-unknown, ruling-unknown).
    """
    with venue.store.write() as unit:
        taken = duties.accept(venue, unit, note, ("order", "preserve", "lift"))   # (1)
        one = taken.statement
        if one.kind == "lift":
            ruling = rulings.lift(unit, one.subject.removeprefix("ruling:"))      # (2)
        else:
            scope, target = _reached(unit, one.subject)
            effect = rulings.STOP if one.kind == "order" else rulings.PRESERVE
            if effect == rulings.PRESERVE and scope != rulings.PERSON:
                raise BadInput("order-subject", "Records are preserved of one person: person:NUMBER.")
            until = end_of_day(one.last) if effect == rulings.PRESERVE else None
            ruling = rulings.begin(unit, effect, scope, target, rulings.ORDER, until)
        _tell(unit, ruling, one.kind)
    venue.log.sign_if_possible()                                                  # (3)
    return ruling


def _reached(unit: Unit, subject: str) -> tuple[str, str]:
    if subject == rulings.CONTROLLER:
        return rulings.CONTROLLER, ""
    if found := _PERSON.fullmatch(subject):
        people.row(unit, PersonId(found[1]))
        return rulings.PERSON, found[1]
    if subject.startswith("zone:"):
        return rulings.ZONE, gates.require_zone(unit, subject.removeprefix("zone:"))
    raise BadInput("order-subject", "An order reaches controller, zone:NAME or person:NUMBER.")


def _tell(unit: Unit, ruling: Ruling, what: str) -> None:
    """Tell the log: of a person sealed in their own chain, of anything else in the clear."""
    body = {"what": what, "effect": ruling.effect, "scope": ruling.scope, "ground": ruling.ground}
    if ruling.scope == rulings.PERSON:
        whose = PersonId(ruling.target)
        unit.tell_of_even_if_lost(whose, "ruling-of-person", body)
    else:
        unit.tell("ruling", {**body, "target": ruling.target})


def restrict(unit: Unit, person: PersonId) -> Ruling:
    """Stop comparing somebody because they asked for it; their consent stays, and so does their pass."""
    ruling = rulings.begin(unit, rulings.STOP, rulings.PERSON, person, rulings.RESTRICTION)
    _tell(unit, ruling, "restriction")
    return ruling


def resume(venue: Venue, person: PersonId) -> None:
    """End a restriction, because the person asked for that too. Raises Refused(ruling-unknown)."""
    with venue.store.write() as unit:
        mine = [one for one in rulings.all_of(unit, person) if one.ground == rulings.RESTRICTION and one.lifted is None]
        if not mine:
            raise Refused("ruling-unknown", "This person has not asked for anything to be stopped.")
        for one in mine:
            _tell(unit, rulings.lift(unit, one.ruling_id), "lift")
    venue.log.sign_if_possible()


def died(venue: Venue, person: PersonId, told_by: str) -> int:
    """Take note of a death: nothing is compared from here on, then every face's key is destroyed; return how many.

    The record stays for relatives to ask about, by what the person wished (`wish`), and is erased by the sweep.
    Raises Refused(person-unknown), BadInput(record-text).
    """
    with venue.store.write() as unit:
        people.row(unit, person)
        rulings.begin(unit, rulings.STOP, rulings.PERSON, person, rulings.DEATH)
        unit.tell_of(person, "death", {"by": record.clean(told_by)})
        standing = consents.purposes_given(unit, person)
    for purpose in standing:
        with suppress(Refused):  # ended meanwhile
            withdraw.end(venue, person, purpose)
    venue.log.sign_if_possible()
    return len(standing)


NOBODY, RELATIVES = "nobody", "relatives"


def wish(venue: Venue, person: PersonId, who: str) -> None:
    """Write down who may ask about a person after their death. Raises BadInput(wish-unknown), Refused."""
    if who not in {NOBODY, RELATIVES}:
        raise BadInput("wish-unknown", f"After a death may ask: {NOBODY} or {RELATIVES}.")
    with venue.store.write() as unit:
        people.row(unit, person)
        unit.tell_of(person, "wish", {"who": who})
    venue.log.sign_if_possible()
