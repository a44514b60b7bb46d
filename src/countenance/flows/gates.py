"""gates: where people come in, what each compares, and whether its lane for faces is open (docs/flows.md, gates).

A gate compares for one purpose and lies in that purpose's zone. Its mode says what a person brings: a pass alone, a
pass and their face, or their face and a press. Closing a gate closes its lane for faces only: a pass is good there as
before. Every change is told in the clear. Who admits or turns away by hand says why, in one of a few words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from countenance.consent import notices
from countenance.errors import BadInput, Refused
from countenance.flows import events_out, record
from countenance.quantities import PurposeId
from countenance.settings import MOST
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ROW = select(schema.gate).where(schema.gate.c.gate_id == bindparam("wanted"))


class Mode(Enum):
    """What a person brings to a gate."""

    PASS = "pass"  # noqa: S105  # a pass at a gate, not a password
    PASS_AND_FACE = "pass-and-face"  # noqa: S105  # as above
    FACE = "face"


COMPARES = {Mode.PASS: "", Mode.PASS_AND_FACE: "verify", Mode.FACE: "search"}
"""The kind of comparison that a gate's purpose must be for; nothing where no face is compared."""

BY_HAND = {
    "admit": ("pass-damaged", "pass-forgotten", "no-match", "child", "assistance", "guest", "system-away"),
    "turn-away": ("ticket-not-good", "pass-of-another", "left-by-themselves", "house-rules"),
}
"""Why staff decide by hand: fixed words, because what is said in the clear for ever names nobody."""


LIVENESS = ("none", "prompt")
"""What a gate asks of whoever stands before its camera."""


@dataclass(frozen=True)
class Gate:
    """One gate. `purpose` is empty where no face is compared; `door` is a name in outside.toml."""

    gate_id: str
    zone: str
    purpose: PurposeId
    mode: Mode
    liveness: str
    open: bool
    closed_by: str
    door: str
    lease_minutes: int

    def require_open(self) -> None:
        """Raise Refused(gate-closed) while its lane for faces is closed."""
        if not self.open:
            raise Refused("gate-closed", "This gate's lane for faces is closed; passes go on.")


def add(unit: Unit, name: str, mode: Mode, purpose: str = "", *, zone: str = "", door: str = "",
        lease_minutes: int = 60, liveness: str = "none") -> Gate:
    """Set up a gate, open. `liveness`: none where staff are in sight; prompt asks for a capture session.

    Raises BadInput(gate-name, gate-mode, gate-lease, gate-door, gate-liveness), Refused(gate-known, purpose-*, zone-*).
    """
    if not _NAME.fullmatch(name):
        raise BadInput("gate-name", "A gate's name is 1 to 32 of a-z, 0-9 and dashes.")
    if not 1 <= lease_minutes <= MOST["gate.lease_minutes"]:
        raise BadInput("gate-lease", "A gate's lease is 1 to 1440 minutes.")
    if door and not (door.isascii() and door.isprintable() and len(door) <= 64):
        raise BadInput("gate-door", "A door's name is at most 64 plain characters.")
    if liveness not in LIVENESS or (liveness != "none" and mode is Mode.PASS):
        raise BadInput("gate-liveness", "Liveness is none or prompt; a gate for passes alone looks at no face.")
    zone = _zone(unit, mode, purpose, zone)
    if unit.run(_ROW, {"wanted": name}).one_or_none() is not None:
        raise Refused("gate-known", "There is a gate of this name already.")
    unit.run(insert(schema.gate).values(
        gate_id=name, zone_id=zone, purpose_id=purpose or None, mode=mode.value, liveness=liveness, state="open",
        closed_by="", door=door, lease_minutes=lease_minutes))
    unit.tell("gate-added", {"gate": name, "mode": mode.value, "purpose": purpose})
    return one(unit, name)


def _zone(unit: Unit, mode: Mode, purpose: str, zone: str) -> str:
    wanted = COMPARES[mode]
    if not wanted:
        if purpose:
            raise BadInput("gate-mode", "A gate for passes alone has no purpose: no face is compared there.")
        known = zones(unit)
        return require_zone(unit, zone or (known[0] if len(known) == 1 else ""))
    found = notices.purpose(unit, PurposeId(purpose))
    if found.comparison != wanted:
        raise Refused("purpose-other", "This purpose is not for this kind of gate.")
    if zone and zone != found.zone:
        raise Refused("zone-other", "That purpose belongs to another zone.")
    return found.zone


def zones(unit: Unit) -> list[str]:
    """Return the names of the venue's zones, sorted."""
    return sorted(unit.run(select(schema.zone.c.zone_id)).scalars())


def require_zone(unit: Unit, name: str) -> str:
    """Return a zone's name, if there is such a zone. Raises Refused(zone-unknown)."""
    if name not in zones(unit):
        raise Refused("zone-unknown", "There is no zone of this name.")
    return name


def zones_with_faces(unit: Unit) -> list[str]:
    """Return the zones in which a gate compares faces, sorted."""
    return sorted({gate.zone for gate in all_of(unit) if gate.purpose})


def one(unit: Unit, name: str) -> Gate:
    """Return a gate. Raises Refused(gate-unknown)."""
    row = unit.run(_ROW, {"wanted": name}).one_or_none()
    if row is None:
        raise Refused("gate-unknown", "There is no gate of this name.")
    return _gate(row)


def all_of(unit: Unit) -> list[Gate]:
    """Return every gate, by name."""
    return [_gate(row) for row in unit.run(select(schema.gate).order_by(schema.gate.c.gate_id)).all()]


def set_state(unit: Unit, name: str, *, opened: bool, by: str) -> Gate:
    """Open or close a gate's lane for faces. `by`: the rule or the kind of person that did. Raises as `one`."""
    gate = one(unit, name)
    if gate.open != opened:
        unit.run(update(schema.gate).where(schema.gate.c.gate_id == name).values(
            state="open" if opened else "closed", closed_by="" if opened else by))
        unit.tell("gate-state", {"gate": name, "state": "open" if opened else "closed", "by": by})
    return one(unit, name)


def remove(unit: Unit, name: str) -> None:
    """Take a gate away, with the keys that are bound to it. Raises as `one`."""
    one(unit, name)
    unit.run(delete(schema.api_key).where(schema.api_key.c.gate_id == name))
    unit.run(delete(schema.gate).where(schema.gate.c.gate_id == name))
    unit.tell("gate-state", {"gate": name, "state": "removed", "by": ""})


def tell_others(unit: Unit, venue: Venue, name: str, *, opened: bool, by: str = "") -> None:
    """Tell those whom the venue tells that a gate's lane for faces is open or closed, in the transaction of it."""
    events_out.clear(unit, venue, "gate.opened" if opened else "gate.closed", {"gate": name, "by": by})


def by_hand(venue: Venue, name: str, outcome: str, reason: str) -> None:
    """Write down that staff admitted or turned somebody away. Raises BadInput(by-hand-outcome, by-hand-reason)."""
    if outcome not in BY_HAND:
        raise BadInput("by-hand-outcome", f"By hand one can: {', '.join(BY_HAND)}.")
    if reason not in BY_HAND[outcome]:
        raise BadInput("by-hand-reason", f"The reasons for this are: {', '.join(BY_HAND[outcome])}.")

    def write(unit: Unit) -> None:
        one(unit, name)
        record.by_hand(unit, name, outcome, reason)

    venue.store.together(write)


def _gate(row: Any) -> Gate:
    return Gate(row.gate_id, row.zone_id, PurposeId(row.purpose_id or ""), Mode(row.mode), row.liveness,
                row.state == "open", row.closed_by, row.door, row.lease_minutes)
