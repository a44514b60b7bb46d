"""prove: evidence for one person, or for a venue as a whole, to be checked by anybody offline (docs/flows.md, prove).

(1) that evidence was made is written into the log first; (2) a checkpoint is signed; (3) every event of the person, or
none, and every entry about nobody, each with its proof; (4) the notices that those name, whole; (5) that the log only
grew since it was last published; (6) what nobody can prove, marked as the venue's word; (7) signed, with a page that
checks all of it. No template, no picture, nobody else's data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from countenance import settings
from countenance.clock import utc_day, utc_text
from countenance.errors import BadInput, StoreFault
from countenance.flows import people, receipts, record
from countenance.flows.found import PLAIN_COUNTS
from countenance.formats import checkpoints, evidence, log_entries
from countenance.formats.evidence import ClearEntry, Content, Earlier, KeptNotice
from countenance.formats.signed_note import Note
from countenance.lane import counts
from countenance.quantities import Instant, PersonId
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.transparency import publish
from countenance.transparency.log import proven
from countenance.transparency.tree import Tree

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

Progress = Callable[[int, int], None]
_OF_THE_VENUE_ALONE = {"backup", "evidence"}
"""Entries about nobody that are in no person's evidence: there may be any number of them."""

PERSON, VENUE = "person", "venue"


def person(venue: Venue, whose: PersonId, by: str = record.DESK, why: str = record.ASKED,
           progress: Progress = lambda _done, _all: None) -> bytes:
    """Return the ZIP about one person. Raises Refused(person-unknown), BadInput(record-text), StoreFault(log-*, …)."""
    with venue.store.write() as unit:                                       # (1)
        people.row(unit, whose)
        record.access(unit, whose, by, f"evidence: {why}")
    return _written(venue, whose, progress)


def whole(venue: Venue, progress: Progress = lambda _done, _all: None) -> bytes:
    """Return the ZIP about the venue. Raises StoreFault(log-*, …)."""
    with venue.store.write() as unit:                                       # (1)
        unit.tell("evidence", {"kind": VENUE})
    return _written(venue, PersonId(""), progress)


def _written(venue: Venue, whose: PersonId, progress: Progress) -> bytes:
    from countenance.verifier import evidence as checker
    from countenance.verifier import page_builder

    signed, note = venue.log.sign()                                         # (2)
    earlier = _published(venue)
    with venue.store.read() as unit:
        tree = Tree(unit.connection)
        chain = unit.outbox.chain(whose)[::-1] if whose else []             # (3)
        rows = _clear_rows(unit, tree, signed.size, whole=not whose)
        events = []
        for done, entry in enumerate(chain):
            if entry.row - tree.head.first < signed.size:  # one that came since the checkpoint is for the next time
                events.append(proven(tree, entry, signed.size))
            progress(done + 1, len(chain) + len(rows))
        clear = []
        for done, (index, raw) in enumerate(rows):
            clear.append(ClearEntry(raw, index, tree.inclusion(index, signed.size)))
            progress(len(chain) + done + 1, len(chain) + len(rows))
        content = Content(
            PERSON if whose else VENUE, venue.venue_id, venue.settings.name, whose, utc_text(unit.now), signed.origin,
            evidence.read_keys(receipts.keys(venue)), note.encode(),
            tuple(Earlier(old.encode(), tree.consistency(checkpoints.parse(old).size, signed.size))   # (5)
                  for old in earlier),
            tuple(events), tuple(clear), _notices(unit, events, clear),     # (4)
            _asserted(venue, unit, months=bool(whose)))                     # (6)
    signer = venue.signer("receipt")
    try:
        data = evidence.write(content, page_builder.render, signer.key, signer.kid)     # (7)
        checker.verify(data, None).require_ok()  # nobody is handed what does not even agree with itself
    except BadInput:
        raise StoreFault("evidence-too-large", "There is too much for one file of evidence.") from None
    return data


def _published(venue: Venue) -> list[Note]:
    """Return the published checkpoint, if the key in force signed it: whoever reads the evidence has no other."""
    try:
        note = venue.log.published()
    except StoreFault:  # of a log before this one
        return []
    return [note] if note is not None and publish.signed_by(note, [venue.log.key()]) else []


def _clear_rows(unit: Unit, tree: Tree, size: int, *, whole: bool) -> list[tuple[int, bytes]]:
    table, first = schema.event, tree.head.first
    rows = unit.run(select(table.c.event_id, table.c.entry).where(
        table.c.tag.is_(None), table.c.event_id >= first, table.c.event_id < first + size).order_by(table.c.event_id))
    return [(row.event_id - first, row.entry) for row in rows
            if whole or _type(row.entry) not in _OF_THE_VENUE_ALONE]


def _type(entry: bytes) -> str:
    found = log_entries.parse(entry)
    return found.type if isinstance(found, log_entries.Clear) else ""


def _notices(unit: Unit, events: list[Any], clear: list[ClearEntry]) -> tuple[KeptNotice, ...]:
    """Return every notice that the events and entries name."""
    named = set()
    for event in events:
        named.add(log_entries.read_record(event.record).body.get("notice"))
    for entry in clear:
        found = log_entries.parse(entry.entry)
        if isinstance(found, log_entries.Clear) and found.type == "notice":
            named.add(found.body["hash"])
    table = schema.notice
    rows = unit.run(select(table.c.notice_hash, table.c.canonical).order_by(table.c.notice_hash)).all()
    return tuple(KeptNotice(row.notice_hash, row.canonical) for row in rows if row.notice_hash in named)


def _asserted(venue: Venue, unit: Unit, *, months: bool) -> dict[str, Any]:
    """Return the venue's own word: how both lanes fared, the rules it goes by, how it is set up.

    By the day, or for a person by `months`: on a quiet day a count would be somebody else's visit.
    """
    settled = venue.settings
    rules = settings.preset("regimes", settled.regime)
    return {
        "lanes": _lanes([*_face_lane(unit), *counts.by_day(venue.folder / PLAIN_COUNTS)], months),
        "rules": [{name: str(rule[name]) for name in ("cite", "says", "control", "sure")} for rule in rules["rule"]],
        "settings": {
            "regime": settled.regime, "scenario": settled.scenario, "threshold": settled.threshold,
            "threshold_rests_on": venue.threshold_rests_on(),
            "model": settled.pack, "epoch_days": settled.epoch_days,
            "rotate_within_hours": settled.rotate_within_hours, "lease_minutes": settled.lease_minutes},
        "purposes": [{"purpose": row.purpose_id, "zone": row.zone_id, "comparison": row.comparison,
                      "custody": row.custody, "valid_days": row.valid_days}
                     for row in unit.run(select(schema.purpose).order_by(schema.purpose.c.purpose_id)).all()],
        "zones": [{"zone": row.zone_id, "kind": row.kind, "name": row.name}
                  for row in unit.run(select(schema.zone).order_by(schema.zone.c.zone_id)).all()],
    }


def _face_lane(unit: Unit) -> list[dict[str, Any]]:
    table = schema.hourly_count
    rows = unit.run(select(table.c.hour, table.c.lane, table.c.outcome, func.sum(table.c.number).label("number"))
                    .group_by(table.c.hour, table.c.lane, table.c.outcome)).all()
    return [{"day": utc_day(Instant(row.hour)).isoformat(), "lane": row.lane, "outcome": row.outcome,
             "number": int(row.number)} for row in rows]


def _lanes(found: list[dict[str, Any]], months: bool) -> list[dict[str, Any]]:
    sums: dict[tuple[str, str, str], int] = {}
    for one in found:
        key = (one["day"][:7] if months else one["day"], one["lane"], one["outcome"])
        sums[key] = sums.get(key, 0) + one["number"]
    return [{"month" if months else "day": when, "lane": lane, "outcome": outcome, "number": number}
            for (when, lane, outcome), number in sorted(sums.items())]
