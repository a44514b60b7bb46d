"""Rulings in force: what stops comparing a face, or keeps a record from being erased, whoever agreed to what.

A court's order, a person's wish that nothing is done for now (restriction), a death. `stop` reaches a person, a zone
or everything that the venue does; `preserve` keeps one person's record, and never a face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update

from countenance.clock import utc_text
from countenance.errors import Refused
from countenance.quantities import DAY, Instant, PersonId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit

STOP, PRESERVE = "stop", "preserve"
PERSON, ZONE, CONTROLLER = "person", "zone", "controller"
ORDER, RESTRICTION, DEATH = "order", "restriction", "death"

_KEPT_DAYS = 3_660
_TABLE = schema.ruling
_NOW = (_TABLE.c.lifted_at.is_(None), _TABLE.c.from_at <= bindparam("now"),
        or_(_TABLE.c.until_at.is_(None), _TABLE.c.until_at > bindparam("now")))
_STOPPED = select(_TABLE.c.scope, _TABLE.c.ground).where(_TABLE.c.effect == STOP, *_NOW, or_(
    (_TABLE.c.scope == PERSON) & (_TABLE.c.target == bindparam("person")),
    (_TABLE.c.scope == ZONE) & (_TABLE.c.target == bindparam("zone")),
    _TABLE.c.scope == CONTROLLER)).limit(1)
_SENTENCES = {ORDER: "An order stops this.", RESTRICTION: "This person asked that nothing is done for now.",
              DEATH: "Nobody is compared here any more by this record."}


@dataclass(frozen=True)
class Ruling:
    """One ruling. `until` None: until it is lifted."""

    ruling_id: str
    effect: str
    scope: str
    target: str
    ground: str
    since: Instant
    until: Instant | None
    lifted: Instant | None


def require_none(unit: Unit, zone: str, person: str = "") -> None:
    """Refuse where a ruling stops this. Raises Refused(order-stops, person-stopped)."""
    row = unit.run(_STOPPED, {"now": unit.now, "person": person, "zone": zone}).first()
    if row is not None:
        raise Refused("person-stopped" if row.scope == PERSON else "order-stops", _SENTENCES[row.ground])


def stopped_people(unit: Unit) -> frozenset[str]:
    """Return who is stopped, to be left out of galleries."""
    return frozenset(unit.run(select(_TABLE.c.target).where(
        _TABLE.c.effect == STOP, _TABLE.c.scope == PERSON, *_NOW), {"now": unit.now}).scalars())


def require_unpreserved(unit: Unit, person: PersonId) -> None:
    """Refuse to erase a record that an order keeps. Raises Refused(record-preserved)."""
    row = unit.run(select(_TABLE.c.until_at).where(
        _TABLE.c.effect == PRESERVE, _TABLE.c.target == person, *_NOW), {"now": unit.now}).first()
    if row is not None:
        raise Refused("record-preserved", f"An order keeps this record until {utc_text(Instant(row.until_at))}; "
                                          "its faces are gone, and whatever is left is erased then.")


def begin(unit: Unit, effect: str, scope: str, target: str, ground: str, until: Instant | None = None) -> Ruling:
    """Put a ruling in force, from this moment on; every gallery is read anew. The caller tells the log."""
    made = Ruling(random_id(), effect, scope, target, ground, unit.now, until, None)
    unit.run(insert(_TABLE).values(
        ruling_id=made.ruling_id, effect=effect, scope=scope, target=target, ground=ground, from_at=made.since,
        until_at=until, lifted_at=None, delete_at=max(unit.now, until or 0) + _KEPT_DAYS * DAY))
    _galleries_anew(unit)
    unit.move_forward()  # an older store would not know it
    return made


def lift(unit: Unit, ruling_id: str) -> Ruling:
    """End a ruling, from this moment on. Raises Refused(ruling-unknown)."""
    found = [one for one in all_of(unit) if one.ruling_id == ruling_id and one.lifted is None]
    if not found:
        raise Refused("ruling-unknown", "There is no such ruling in force.")
    if found[0].ground == DEATH:
        raise Refused("ruling-unknown", "A death is not lifted; where it was told in error, the person enrols anew.")
    unit.run(update(_TABLE).where(_TABLE.c.ruling_id == ruling_id).values(lifted_at=unit.now))
    _galleries_anew(unit)
    unit.move_forward()
    return found[0]


def all_of(unit: Unit, person: str = "") -> list[Ruling]:
    """Return every ruling on record, of one person or of all, oldest first."""
    wanted = select(_TABLE).order_by(_TABLE.c.from_at, _TABLE.c.ruling_id)
    if person:
        wanted = wanted.where(_TABLE.c.scope == PERSON, _TABLE.c.target == person)
    return [_ruling(row) for row in unit.run(wanted).all()]


def _galleries_anew(unit: Unit) -> None:
    for purpose in unit.run(select(schema.gallery.c.purpose_id)).scalars().all():
        unit.move_gallery(purpose)


def _ruling(row: Any) -> Ruling:
    return Ruling(row.ruling_id, row.effect, row.scope, row.target, row.ground, Instant(row.from_at),
                  None if row.until_at is None else Instant(row.until_at),
                  None if row.lifted_at is None else Instant(row.lifted_at))
