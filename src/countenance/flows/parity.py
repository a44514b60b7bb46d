"""parity: whether people without a face wait longer than people with one (docs/flows.md, parity).

Staff time a wait now and then, in either lane; only how many waited how long is kept, by the day. Where the middle wait
without a face is longer than the bound, over the last week and from enough waits in both lanes, the zone's gates
compare no face until the other lane is as fast again: choosing it must cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from countenance.errors import BadInput
from countenance.flows import gates
from countenance.quantities import DAY
from countenance.storage import schema
from countenance.storage.unit import Unit

FACE, PASS = "face", "pass"
STEP_S, LONGEST_S = 5, 7_200
FEWEST = 20
"""Waits in each lane below which nothing is said about it."""

DAYS = 7
TIMES, MORE_S = 1.5, 30
"""The bound: the middle wait without a face is at most TIMES the other and at most MORE_S longer. Less is stricter."""

CLOSED_BY = "parity"


@dataclass(frozen=True)
class Waits:
    """Middle waits of one zone in seconds, rounded down to STEP_S, and how many each is of."""

    face_s: int
    pass_s: int
    face: int
    passes: int

    @property
    def enough(self) -> bool:
        """Say whether there are enough to go by."""
        return min(self.face, self.passes) >= FEWEST

    @property
    def breached(self) -> bool:
        """Say whether choosing not to show one's face costs time."""
        return self.enough and (self.pass_s > TIMES * max(self.face_s, STEP_S) or self.pass_s > self.face_s + MORE_S)

    @property
    def text(self) -> str:
        """Return it in a line."""
        if not self.enough:
            return f"{self.face} and {self.passes} waits timed this week; {FEWEST} in each lane are enough to go by"
        return f"middle wait {self.face_s} s with a face, {self.pass_s} s without, of {self.face} and {self.passes}"


def waited(unit: Unit, zone: str, lane: str, seconds: int) -> Waits:
    """Add one timed wait, and act on what that makes. Raises BadInput(wait-malformed), Refused(zone-unknown)."""
    if lane not in {FACE, PASS} or not 0 <= seconds <= LONGEST_S:
        raise BadInput("wait-malformed", f"A wait is of the lane face or pass, and 0 to {LONGEST_S} seconds.")
    gates.require_zone(unit, zone)
    table = schema.lane_wait
    row = {"day": unit.now // DAY, "zone_id": zone, "lane": lane, "seconds": seconds - seconds % STEP_S}
    same = [table.c[name] == value for name, value in row.items()]
    if not unit.run(update(table).where(*same).values(number=table.c.number + 1)).rowcount:
        unit.run(insert(table).values(**row, number=1, delete_at=unit.now + 400 * DAY))
    return act(unit, zone)


def waits(unit: Unit, zone: str) -> Waits:
    """Return the middle waits of a zone over the last DAYS days."""
    table = schema.lane_wait
    rows = unit.run(select(table.c.lane, table.c.seconds, table.c.number).where(
        table.c.zone_id == zone, table.c.day > unit.now // DAY - DAYS).order_by(table.c.seconds)).all()
    found = {lane: [(row.seconds, row.number) for row in rows if row.lane == lane] for lane in (FACE, PASS)}
    return Waits(_middle(found[FACE]), _middle(found[PASS]), *(sum(n for _, n in found[lane]) for lane in (FACE, PASS)))


def _middle(of: list[tuple[int, int]]) -> int:
    left = (sum(number for _, number in of) + 1) // 2
    for seconds, number in of:
        left -= number
        if left <= 0:
            return seconds
    return 0


def act(unit: Unit, zone: str) -> Waits:
    """Close the lane for faces of a zone's gates while it is breached, and open again what this rule closed."""
    found = waits(unit, zone)
    for gate in gates.all_of(unit):
        if gate.zone != zone or not gate.purpose:
            continue
        if found.breached and gate.open:
            gates.set_state(unit, gate.gate_id, opened=False, by=CLOSED_BY)
        elif found.enough and not found.breached and gate.closed_by == CLOSED_BY:
            gates.set_state(unit, gate.gate_id, opened=True, by=CLOSED_BY)
    return found
