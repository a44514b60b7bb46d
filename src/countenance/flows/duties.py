"""duties: what people have to do before a face is compared, and what shows that they did (docs/flows.md, duties).

(1) An assessment is signed and is of exactly these settings; (2) a sign stands in the zone; (3) a lawyer has signed
where the regime asks for one in such a place; (4) a pass has lately opened a gate without faces in that zone. Where
any of it is missing or over, no face is compared there; passes go on. A venue with the demo's threshold is for trying
out, and asks for none of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select

from countenance import settings
from countenance.clock import end_of_day, utc_day, utc_text
from countenance.consent import notices
from countenance.errors import BadInput, Refused, StoreFault
from countenance.flows import gates, passes
from countenance.flows.found import CALIBRATED, SIGNING
from countenance.formats import canonical, signed_note, statements
from countenance.formats.signed_note import NoteKey
from countenance.formats.statements import Statement
from countenance.quantities import DAY, HOUR, Instant, PurposeId
from countenance.settings import Settings
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys import signing

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

PROVEN_HOURS = 24
"""For how long a pass that opened a gate without faces shows that there is such a way in. Shorter is stricter."""

PROVE_EVERY_S = 600
"""Seconds between two such proofs of one zone: what opens doors all day writes it down only now and then."""

_STANDING = select(schema.statement).where(
    schema.statement.c.kind == bindparam("kind"), schema.statement.c.subject == bindparam("subject"),
    schema.statement.c.from_at <= bindparam("now"), schema.statement.c.until_at > bindparam("now")).limit(1)


@dataclass(frozen=True)
class Taken:
    """A statement that was taken in."""

    statement: Statement
    statement_id: str
    signer: str


def configuration(unit: Unit, here: Settings) -> str:
    """Return SHA-256, in hex, of all that an assessment is about: settings, zones, purposes with notices, gates."""
    zones = [[row.zone_id, row.kind] for row in unit.run(select(schema.zone).order_by(schema.zone.c.zone_id))]
    purposes = [[name, notices.hash_in_force(unit, PurposeId(name))] for name in
                unit.run(select(schema.purpose.c.purpose_id).order_by(schema.purpose.c.purpose_id)).scalars().all()]
    every = [[one.gate_id, one.zone, one.mode.value, one.purpose, one.liveness] for one in gates.all_of(unit)]
    told = [here.regime, here.scenario, here.threshold, str(here.fmr), str(here.fpir), here.smallest_face_px,
            here.most_cut_off_percent, here.sweep_late_after_hours, here.pack, here.replaces, zones, purposes, every]
    return hashlib.sha256(canonical.encode(told)).hexdigest()


def signers(here: Settings) -> list[NoteKey]:
    """Return who may sign. Raises StoreFault(settings-value)."""
    try:
        return [signed_note.read_key(one) for one in here.signers]
    except BadInput:
        raise StoreFault("settings-value", "In venue.toml, rules.signers has a line that is no key.") from None


def take(venue: Venue, note: str, kinds: tuple[str, ...] = ("assessment", "sign", "counsel", "filing")) -> Taken:
    """Take a signed statement in, and tell the log. Raises BadInput(statement-*), Refused(statement-known, zone-*)."""
    with venue.store.write() as unit:
        taken = accept(venue, unit, note, kinds)
        _require_subject(venue, unit, taken.statement)
    venue.log.sign_if_possible()
    return taken


def accept(venue: Venue, unit: Unit, note: str, kinds: tuple[str, ...]) -> Taken:
    """Check a signed statement and write it down. Raises as `take`; of one that is over: statement-dates."""
    found, key = statements.signed_by(note, signers(venue.settings))
    if found.kind not in kinds:
        raise BadInput("statement-kind", f"Here a statement is one of: {', '.join(kinds)}.")
    if found.venue != venue.venue_id:
        raise BadInput("statement-venue", "This statement is about another venue.")
    until, known = end_of_day(found.last), statements.digest(note)
    if until <= unit.now:
        raise BadInput("statement-dates", "This statement is over already.")
    table = schema.statement
    if unit.run(select(table.c.kind).where(table.c.statement_id == known)).first() is not None:
        raise Refused("statement-known", "This statement was taken in already.")
    about = "person" if found.subject.startswith("person:") else found.subject
    unit.run(insert(table).values(
        statement_id=known, kind=found.kind, subject=about, document=found.document, signer=key.name,
        from_at=end_of_day(found.first - timedelta(1)), until_at=until, taken_at=unit.now,
        delete_at=until + _kept_days(venue.settings) * DAY))
    unit.tell("statement", {"kind": found.kind, "subject": about, "document": found.document, "signer": key.name,
                            "until": found.last.isoformat()})
    return Taken(found, known, key.name)


def _kept_days(here: Settings) -> int:
    return 366 * int(settings.parameters(here.regime).get("evidence_years", 3))


def _require_subject(venue: Venue, unit: Unit, one: Statement) -> None:
    """Refuse a statement about what is not here: an assessment of other settings, a sign in an unknown zone."""
    if one.kind == "assessment" and one.subject != configuration(unit, venue.settings):
        raise BadInput("statement-subject", "This assessment is of other settings than the ones in force; "
                                            "`countenance statement draft assessment` says which those are.")
    if one.kind == "sign":
        gates.require_zone(unit, one.subject.removeprefix("zone:"))
    if one.kind == "counsel" and one.subject != venue.settings.scenario:
        raise BadInput("statement-subject", "A lawyer signs for the scenario that this venue is.")


def standing(unit: Unit, kind: str, subject: str) -> Any | None:
    """Return a statement that counts now, as its row, or None."""
    return unit.run(_STANDING, {"kind": kind, "subject": subject, "now": unit.now}).first()


def require_met(unit: Unit, here: Settings, zone: str) -> None:
    """Refuse to compare faces in a zone where a duty is not done. Does nothing in a venue that is for trying out.

    Raises Refused: assessment-missing, counsel-missing, sign-missing, lane-unproven.
    """
    if here.threshold != CALIBRATED:
        return
    if standing(unit, "assessment", configuration(unit, here)) is None:      # (1)
        raise Refused("assessment-missing", "No assessment is signed for these settings, or it is over.")
    if standing(unit, "sign", f"zone:{zone}") is None:                       # (2)
        raise Refused("sign-missing", "Nobody has shown lately that a sign stands here.")
    if needs_counsel(here) and standing(unit, "counsel", here.scenario) is None:  # (3)
        raise Refused("counsel-missing", "In such a place a lawyer must have signed on what basis faces are asked for.")
    require_lane(unit, zone)                                                 # (4)


def needs_counsel(here: Settings) -> bool:
    """Say whether a lawyer must have signed for such a place under this regime."""
    return here.scenario in settings.parameters(here.regime).get("counsel_for", [])


def require_lane(unit: Unit, zone: str) -> Instant:
    """Return when a pass last opened a gate without faces in a zone. Raises Refused(lane-unproven)."""
    at = proven_at(unit, zone)
    if at is None or not 0 <= unit.now - at <= PROVEN_HOURS * HOUR:
        raise Refused("lane-unproven", "No pass has opened a gate without faces here for a day, so faces wait; "
                                       "`countenance gate prove GATE --pass FILE` shows that there is another way in.")
    return at


def proven_at(unit: Unit, zone: str) -> Instant | None:
    """Return when a pass last opened a gate without faces in a zone, if ever."""
    at = unit.run(select(schema.lane_proof.c.at).where(schema.lane_proof.c.zone_id == zone)).scalar_one_or_none()
    return None if at is None else Instant(at)


def prove_lane(venue: Venue, gate: str, pass_text: str) -> str:
    """Show a pass at a gate without faces, and write down that it is good there; return that zone.

    Raises Refused(gate-other, ticket-*), BadInput(pass-*).
    """
    with venue.store.read() as unit:
        here = gates.one(unit, gate)
    if here.mode is not gates.Mode.PASS:
        raise Refused("gate-other", "Show this at a gate without faces.")
    now = venue.clock.now()
    passes.plain_lane(pass_text, signing.verifiers(venue.folder / SIGNING, "pass"), venue.venue_id,
                      venue.entitlement, now)
    proven(venue, here.zone, gate)
    return here.zone


def proven_now_and_then(venue: Venue, zone: str, gate: str) -> None:
    """As `proven`, tried once in PROVE_EVERY_S by this process: a store that is stuck holds up one pass, not each."""
    at, now = venue.lanes_tried.get(zone), venue.clock.monotonic()
    if at is None or not 0 <= now - at < PROVE_EVERY_S:
        venue.lanes_tried[zone] = now
        proven(venue, zone, gate)


def proven(venue: Venue, zone: str, gate: str) -> None:
    """Write down that a pass just opened a gate without faces, unless that was done a moment ago."""
    with venue.store.read() as unit:
        at = proven_at(unit, zone)
    if at is not None and 0 <= venue.clock.now() - at < PROVE_EVERY_S:
        return
    with venue.store.write() as unit:
        table = schema.lane_proof
        unit.run(table.delete().where(table.c.zone_id == zone))
        unit.run(insert(table).values(zone_id=zone, gate_id=gate, at=unit.now))


def status(venue: Venue) -> list[dict[str, str]]:
    """Return every duty of this venue and how it stands, for people: zone by zone, and the whole."""
    here = venue.settings
    with venue.store.read() as unit:
        config = configuration(unit, here)
        rows = [_row("assessment", config, standing(unit, "assessment", config))]
        if needs_counsel(here):
            rows.append(_row("counsel", here.scenario, standing(unit, "counsel", here.scenario)))
        for zone in gates.zones_with_faces(unit):
            rows.append(_row("sign", f"zone:{zone}", standing(unit, "sign", f"zone:{zone}")))
            at = proven_at(unit, zone)
            rows.append({"duty": "lane", "subject": f"zone:{zone}", "state": "never" if at is None else utc_text(at)})
    return rows


def _row(duty: str, subject: str, found: Any | None) -> dict[str, str]:
    state = "missing" if found is None else f"until {utc_day(Instant(found.until_at - 1)).isoformat()}"
    return {"duty": duty, "subject": subject, "state": state}
