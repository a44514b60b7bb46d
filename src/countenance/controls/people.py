"""What people do: their duties, requests, orders, both lanes alike. Looked at in a live venue, as `checks`."""

from __future__ import annotations

from sqlalchemy import select

from countenance.clock import utc_text
from countenance.consent import rulings
from countenance.consent.consents import MINORS_DAYS
from countenance.controls.checks import Finding, Seen, by_hand, count, fails, holds
from countenance.errors import CountenanceError
from countenance.flows import duties, gates, parity, rights, scenarios, sweep, working_days
from countenance.quantities import DAY, HOUR
from countenance.storage import schema

FILING_DAYS = 30
"""Working days for filing, from the day on which so many persons are stored (FRT Measures art 15)."""


def minors(seen: Seen) -> Finding:
    """K05: what a guardian agreed to is one to one, and short; once calibrated nobody enrols whose age is unasked."""
    odd = count(seen.unit, "SELECT count(*) FROM consent c JOIN purpose p ON p.purpose_id = c.purpose_id WHERE "
                "c.act = 'guardian' AND (p.comparison = 'search' OR c.expires_at - c.given_at > :longest)",
                longest=MINORS_DAYS * DAY)
    all_ = count(seen.unit, "SELECT count(*) FROM consent WHERE act = 'guardian'")
    years = seen.regime.parameters["minors_under_years"]
    return fails(f"{odd} of {all_} consents of guardians are for a gallery, or too long") if odd else holds(
        f"below {years} years a guardian agrees: {all_} consents, one to one, {MINORS_DAYS} days at most")


def other_lane(seen: Seen) -> Finding:
    """K06: each zone with faces has a gate that takes a pass alone, and one has lately opened it."""
    with_faces = gates.zones_with_faces(seen.unit)
    plain = {gate.zone for gate in gates.all_of(seen.unit) if not gate.purpose}
    if missing := sorted(set(with_faces) - plain):
        return fails(f"zones with faces and no gate for passes alone: {', '.join(missing)}")
    shown = {zone: duties.proven_at(seen.unit, zone) for zone in with_faces}
    late = [zone for zone, at in shown.items() if at is None or seen.unit.now - at > duties.PROVEN_HOURS * HOUR]
    if late:
        return by_hand(f"no pass has opened a gate without faces within a day in: {', '.join(late)}; faces wait there")
    return holds("a pass alone opened a gate in each zone with faces: " + ", ".join(
        f"{zone} {utc_text(at)}" for zone, at in shown.items() if at is not None) if shown else "no faces anywhere")


def signs(seen: Seen) -> Finding:
    """K15: in each zone with faces somebody has signed that the sign stands, and that is not over."""
    return _signed(seen, "sign", [f"zone:{zone}" for zone in gates.zones_with_faces(seen.unit)])


def assessed(seen: Seen) -> Finding:
    """K16: an assessment of exactly these settings is signed; under some regimes a check of a document, and counsel."""
    here = seen.venue.settings
    if gates.zones_with_faces(seen.unit) and seen.regime.parameters.get("needs_document_check") and not here.replaces:
        return fails("faces are compared where no check of a document is named that they stand in for")
    wanted = _signed(seen, "assessment", [duties.configuration(seen.unit, here)])
    if wanted.outcome.value == "holds" and duties.needs_counsel(here):
        return _signed(seen, "counsel", [here.scenario])
    return wanted


def _signed(seen: Seen, kind: str, subjects: list[str]) -> Finding:
    table = schema.statement
    missing = [one for one in subjects if duties.standing(seen.unit, kind, one) is None]
    if not missing:
        return holds(f"{len(subjects)} of kind {kind}, each signed and not over")
    before = seen.unit.run(select(table.c.signer).where(table.c.kind == kind)).first()
    what = f"{kind} for {', '.join(one[:24] for one in missing)}"
    if before is not None:
        return fails(f"over, or of other settings than these: {what}")
    return by_hand(f"nobody has signed yet: {what}")


def stored_persons(seen: Seen) -> Finding:
    """K17: how many persons are stored; from a number on the regime asks for filing, within 30 working days."""
    number = sweep.stored_persons(seen.unit)
    limit = int(seen.regime.parameters.get("stored_persons_filing", 0))
    reached = seen.unit.mark(sweep.MANY_STORED)
    if limit and duties.standing(seen.unit, "filing", "stored-persons") is not None:
        return holds(f"{number} persons are stored, and that was filed")
    if limit and reached is not None:
        due = working_days.due(reached, FILING_DAYS, "working", seen.regime.name)
        told = f"{limit:,} persons were stored since {utc_text(reached)}; filing is due by {utc_text(due)}"
        return fails(told) if seen.unit.now > due else by_hand(told)
    if limit and number >= 0.8 * limit:
        return by_hand(f"{number} persons are stored; filing is asked for from {limit:,} on")
    return holds(f"{number} persons are stored")


def requests(seen: Seen) -> Finding:
    """K23: no request is past the day by which it must be answered."""
    found = rights.counts(seen.unit)
    told = ", ".join(f"{number} {name}" for name, number in sorted(found.items())) or "nobody asked for anything"
    return fails(told) if found.get("late") else holds(told)


def the_dead(seen: Seen) -> Finding:
    """K26: of nobody who died is a face left."""
    left = count(seen.unit, "SELECT count(*) FROM template t JOIN ruling r ON r.target = t.person_id "
                 "WHERE r.ground = 'death' AND t.state = 'live'")
    dead = sum(one.ground == rulings.DEATH for one in rulings.all_of(seen.unit))
    return fails(f"{left} faces of people who died") if left else holds(f"{dead} deaths noted; no face of theirs left")


def retired(seen: Seen) -> Finding:
    """K32: where faces were given up here, no gate compares them and none is left."""
    closed = [gate for gate in gates.all_of(seen.unit) if gate.closed_by == "sunset"]
    left = count(seen.unit, "SELECT count(*) FROM template") if closed else 0
    return fails(f"faces were given up here, and {left} are left") if left else holds(
        "faces were given up here, and none is left" if closed else "no way of coming in was given up for faces")


def orders(seen: Seen) -> Finding:
    """K34: an order that was taken in stops from that moment on, and each stops what it reaches."""
    late = count(seen.unit, "SELECT count(*) FROM ruling WHERE effect = 'stop' AND lifted_at IS NULL "
                 "AND from_at > :now", now=seen.unit.now)
    if late:
        return fails(f"{late} orders were taken in and stop nothing yet")
    stopping = [one for one in rulings.all_of(seen.unit) if one.effect == rulings.STOP and one.lifted is None]
    idle = 0
    for one in stopping:
        try:
            rulings.require_none(seen.unit, one.target if one.scope == rulings.ZONE else "",
                                 one.target if one.scope == rulings.PERSON else "")
            idle += 1
        except CountenanceError:
            continue
    return fails(f"{idle} rulings stop nothing") if idle else holds(f"{len(stopping)} rulings in force, each stops")


def lanes_alike(seen: Seen) -> Finding:
    """K41: whoever does not use a face waits no longer; where they do, the lane for faces is closed."""
    found = {zone: parity.waits(seen.unit, zone) for zone in gates.zones_with_faces(seen.unit)}
    told = "; ".join(f"{zone}: {one.text}" for zone, one in found.items()) or "no faces anywhere"
    odd = [zone for zone, one in found.items() if one.breached
           and any(gate.open and gate.purpose and gate.zone == zone for gate in gates.all_of(seen.unit))]
    if odd:
        return fails(f"faces are compared where others wait longer. {told}")
    return holds(told) if all(one.enough for one in found.values()) else by_hand(told)


def event_scoped(seen: Seen) -> Finding:
    """K42: no consent lasts longer than its purpose says; in a place for a stay none was extended past that."""
    odd = count(seen.unit, "SELECT count(*) FROM consent c JOIN purpose p ON p.purpose_id = c.purpose_id "
                "WHERE c.expires_at - c.given_at > p.valid_days * 86400")
    life = "the ticket, at the latest" if scenarios.ends_with_ticket(seen.venue.settings) else "its days"
    return fails(f"{odd} consents last longer than their purpose") if odd else holds(f"each consent ends with {life}")
