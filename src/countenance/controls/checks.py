"""Each control, looked at in a live venue: it holds, it fails, or a person has to see to it. With what shows that.

A check reads the store in a few statements, so that a venue of 100,000 people is looked at in seconds; no face is
opened and nobody is named. What it raises is its failure (`run`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import func, select, text

from countenance.consent import notice_terms, notices
from countenance.consent.states import State
from countenance.controls.regime import Regime
from countenance.errors import CountenanceError
from countenance.flows.venue import Venue
from countenance.formats.passes import Custody
from countenance.quantities import DAY, HOUR, PurposeId
from countenance.storage import schema
from countenance.storage.unit import Unit


class Outcome(Enum):
    """What a look at a control ends with."""

    HOLDS = "holds"
    FAILS = "fails"
    PERSON = "needs a person"


@dataclass(frozen=True)
class Finding:
    """One control, looked at. `evidence`: what was seen, in a line, with figures and nobody's name."""

    outcome: Outcome
    evidence: str


@dataclass(frozen=True)
class Seen:
    """What a check looks at: an open venue, one consistent moment of its store, and the regime that asks."""

    venue: Venue
    unit: Unit
    regime: Regime


Check = Callable[[Seen], Finding]


def holds(evidence: str) -> Finding:
    """Return that it holds."""
    return Finding(Outcome.HOLDS, evidence)


def fails(evidence: str) -> Finding:
    """Return that it fails."""
    return Finding(Outcome.FAILS, evidence)


def by_hand(evidence: str) -> Finding:
    """Return that a person has to see to it."""
    return Finding(Outcome.PERSON, evidence)


def count(unit: Unit, statement: str, **values: object) -> int:
    """Return the one number that a statement asks for."""
    return int(unit.connection.execute(text(statement), values).scalar_one())


def purposes(seen: Seen) -> Finding:
    """K01: every template is of the purpose that its consent is of."""
    odd = count(seen.unit, "SELECT count(*) FROM template t LEFT JOIN consent c ON c.consent_id = t.consent_id "
                       "WHERE c.consent_id IS NULL OR c.purpose_id <> t.purpose_id OR c.person_id <> t.person_id")
    all_ = count(seen.unit, "SELECT count(*) FROM template")
    return fails(f"{odd} of {all_} templates are of another purpose or person than their consent") if odd else holds(
        f"{all_} templates, each of its consent's purpose and person")


def separate_consent(seen: Seen) -> Finding:
    """K02: every live consent is to a notice of its own purpose, and there is one for each live template."""
    odd = count(seen.unit, "SELECT count(*) FROM consent c LEFT JOIN notice n ON n.notice_hash = c.notice_hash "
                       "WHERE n.notice_hash IS NULL OR n.purpose_id <> c.purpose_id")
    without = count(seen.unit, "SELECT count(*) FROM template t LEFT JOIN consent c ON c.consent_id = t.consent_id "
                           "WHERE t.state = 'live' AND (c.consent_id IS NULL OR c.state <> :given)",
                     given=State.GIVEN.value)
    return fails(f"{odd} consents are to another purpose's notice; {without} live templates have no consent") if (
        odd or without) else holds("each consent is to one notice of one purpose; each live template has one")


def receipts(seen: Seen) -> Finding:
    """K03, K18: the log goes on from what was signed, and has its signing key."""
    seen.venue.log.require_continued()
    seen.venue.signer("receipt")
    return holds("the log goes on from its last signature; receipts can be signed")


def notice_complete(seen: Seen) -> Finding:
    """K04: every purpose has a notice in force, unaltered, with every element in each language."""
    lacking = []
    for name in seen.unit.run(select(schema.purpose.c.purpose_id)).scalars():
        try:
            found = notices.in_force(seen.unit, PurposeId(name))
        except CountenanceError as fault:
            return fails(f"{name}: {fault.sentence} [{fault.code}]")
        if notices.purpose(seen.unit, PurposeId(name)).comparison == notices.DISCLOSE:
            continue
        for language, words in found.texts.items():
            lacking += [f"{name} ({language}): {element}" for element in notice_terms.missing(language, words)]
    return fails("notices lack: " + "; ".join(lacking)) if lacking else holds("every notice has every element")


def withdrawn(seen: Seen) -> Finding:
    """K07: nobody who withdrew has a live template, and no rotation that was promised is late."""
    left = count(seen.unit, "SELECT count(*) FROM template t JOIN consent c ON c.consent_id = t.consent_id "
                        "WHERE t.state = 'live' AND c.state NOT IN ('given')")
    if left:
        return fails(f"{left} live templates of consents that are not given any more")
    seen.venue.gate.require_rotated(seen.unit)
    return holds("no template outlives its consent; no rotation is late")


def retention(seen: Seen) -> Finding:
    """K08: every row has the moment of its deletion, none is overdue by more than a sweep, and the sweep is on time."""
    late = seen.unit.now - seen.venue.settings.sweep_late_after_hours * HOUR
    overdue = 0
    for table in ("person", "consent", "template", "issued_pass", "hourly_count", "revocation"):
        overdue += count(seen.unit, f"SELECT count(*) FROM {table} WHERE delete_at < :late",  # noqa: S608  # our own names
                          late=late)
    seen.venue.gate.require_swept(seen.unit)
    if overdue:
        return fails(f"{overdue} rows are kept longer than they may be")
    return holds("every row says when it is deleted; none is overdue, and the sweep has run")


def custody(seen: Seen) -> Finding:
    """K10: where the regime refuses it, no face is kept under a key of the venue's own."""
    rows = seen.unit.run(select(schema.purpose.c.custody, func.count()).group_by(schema.purpose.c.custody)).all()
    kept = {str(name): int(number) for name, number in rows}
    if seen.regime.parameters.get("venue_keyed") == "refused" and kept.get(Custody.VENUE_KEYED.value):
        return fails("a purpose keeps faces under the venue's own key, which this regime refuses")
    return holds("purposes by custody: " + ", ".join(f"{name} {number}" for name, number in sorted(kept.items())))


def one_to_one(seen: Seen) -> Finding:
    """K12: 1:N is capped, opted into by itself, and absent where the regime refuses it."""
    searched = seen.unit.run(select(schema.purpose.c.purpose_id, schema.purpose.c.gallery_cap)
                        .where(schema.purpose.c.comparison == "search")).all()
    if searched and seen.regime.parameters.get("venue_keyed") == "refused":
        return fails("a gallery is searched, which this regime refuses")
    odd = [row.purpose_id for row in searched if not 1 <= row.gallery_cap <= 100_000]
    if odd:
        return fails(f"no cap, or one beyond 100,000: {', '.join(odd)}")
    return holds(f"{len(searched)} purposes for 1:N, each capped")


def zones(seen: Seen) -> Finding:
    """K14: no zone is of a kind in which nobody may put such a device."""
    banned = set(seen.regime.parameters.get("banned_zones", []))
    rows = seen.unit.run(select(schema.zone.c.zone_id, schema.zone.c.kind))
    odd = [row.zone_id for row in rows if row.kind in banned]
    return fails(f"zones where it is banned: {', '.join(odd)}") if odd else holds("no zone is of a banned kind")


def recipients(seen: Seen) -> Finding:
    """K21: nobody is told of a person but by a purpose and notice of its own."""
    odd = count(seen.unit, "SELECT count(*) FROM purpose WHERE comparison = 'disclose' AND purpose_id NOT LIKE "
                            "'events.%' AND purpose_id NOT LIKE 'calibrate.%'")
    told = seen.venue.outside.recipients if seen.venue.outside else ()
    known = set(seen.unit.run(select(schema.purpose.c.purpose_id)).scalars())
    without = [one.name for one in told if one.purpose and one.purpose not in known]
    if odd or without:
        return fails(f"{odd} purposes to tell nobody knows whom; recipients without one: "
                     f"{', '.join(without) or 'none'}")
    return holds(f"{sum(bool(one.purpose) for one in told)} recipients hear of visits, each by a purpose of its own")


def no_denial(seen: Seen) -> Finding:
    """K25: outcomes are admit and refer, and no other; nothing is kept of who was referred."""
    odd = count(seen.unit, "SELECT count(*) FROM hourly_count WHERE outcome NOT IN ('admit', 'refer')")
    return fails(f"{odd} counts of another outcome than admit and refer") if odd else holds(
        "admit and refer, and no other")


def terms(seen: Seen) -> Finding:
    """K27: no notice in force holds words that give unlimited rights over a face."""
    found = []
    for name in seen.unit.run(select(schema.purpose.c.purpose_id)).scalars():
        words = " ".join(notices.in_force(seen.unit, PurposeId(name)).texts.values())
        found += [f"{name}: {term}" for term in notice_terms.void(words)]
    return fails("void terms: " + "; ".join(found)) if found else holds("no void terms in any notice")


def threshold(seen: Seen) -> Finding:
    """K29: the gate's threshold follows from a calibration, or no face opens it."""
    try:
        told = seen.venue.threshold("verify").source
    except CountenanceError as fault:
        return holds(f"closed to faces: {fault.sentence}")
    if not told:
        return fails("the threshold follows from nothing that was measured")
    return by_hand("the threshold is the demo's; settle an error rate") if told == "demo-only" else holds(told)


def profile(seen: Seen) -> Finding:
    """K33: the venue's own regime is the one looked at, and it allows faces."""
    if seen.venue.settings.regime != seen.regime.name:
        return fails(f"the venue was founded under {seen.venue.settings.regime}, not {seen.regime.name}")
    return holds(f"founded under {seen.regime.name}")


def provable(seen: Seen) -> Finding:
    """K40: the log goes on from its last signature, holds every entry it counts, and was published within a day."""
    receipts(seen)
    missing = count(seen.unit, "SELECT l.size - (SELECT count(*) FROM event WHERE event_id >= l.first) FROM log l "
                                "ORDER BY l.generation DESC LIMIT 1")
    if missing:
        return fails(f"the log counts {missing} entries more than are there")
    published = seen.unit.mark("published")
    if published is not None and seen.unit.now - published > DAY:
        return by_hand("the log was not published for a day; `countenance log publish`")
    return holds("evidence can be made by `countenance prove`, and verified offline")
