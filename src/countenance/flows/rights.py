"""rights: what a person may ask of the venue, with a clock, an outcome and reasons (docs/flows.md, rights).

(1) A request is written down, in the person's own chain, with the day by which it must be answered; (2) what it asks
for is done, or refused with a reason, never silently; (3) the answer is written down beside it. Requests that are
late, or soon will be, are listed first, and every sweep reminds of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from countenance import settings
from countenance.clock import utc_text
from countenance.consent import rulings
from countenance.errors import BadInput, Refused
from countenance.flows import orders, people, record, withdraw, working_days
from countenance.formats import log_entries
from countenance.quantities import DAY, Instant, PersonId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

KINDS = ("access", "copy", "correct", "delete", "explain", "restrict", "complain")
OUTCOMES = ("granted", "partly", "refused")
OPEN = "open"
REMIND_DAYS = 5
"""Days ahead of its end from which a request is `due soon`. More is stricter."""

_KEPT_DAYS = 1_098


@dataclass(frozen=True)
class Request:
    """One request. `person` is empty once they were erased."""

    request_id: str
    person: str
    kind: str
    by_kin: bool
    outcome: str
    opened: Instant
    due: Instant
    decided: Instant | None

    def standing(self, now: Instant) -> str:
        """Say how it stands: late, due soon, open, or answered, in time or late."""
        if self.outcome == OPEN:
            return "late" if now > self.due else "due soon" if now > self.due - REMIND_DAYS * DAY else OPEN
        return "answered late" if (self.decided or 0) > self.due else "answered"


def ask(venue: Venue, person: PersonId, kind: str, text: str, *, by_kin: bool = False) -> Request:
    """Take a request. A wish that nothing is done (`restrict`) counts from here on, whatever is answered later.

    `by_kin`: a relative asks, of somebody who died. Raises BadInput(request-kind, record-text), Refused(person-unknown,
    kin-living, kin-unwished).
    """
    if kind not in KINDS:
        raise BadInput("request-kind", f"One may ask for: {', '.join(KINDS)}.")
    words = record.clean(text)
    with venue.store.write() as unit:
        people.row(unit, person)
        if by_kin:
            _require_kin_may(unit, person)
        one = Request(random_id(), person, kind, by_kin, OPEN, unit.now, _due(venue, unit.now), None)
        unit.run(insert(schema.request).values(
            request_id=one.request_id, person_id=person, kind=kind, by_kin=by_kin, outcome=OPEN, opened_at=one.opened,
            due_at=one.due, decided_at=None, delete_at=one.due + _KEPT_DAYS * DAY))
        unit.tell_of(person, "request", {"request": one.request_id, "what": kind, "text": words,
                                         "due": utc_text(one.due), "by": "relative" if by_kin else "person"})
        if kind == "restrict":
            orders.restrict(unit, person)
    venue.log.sign_if_possible()
    return one


def _due(venue: Venue, now: Instant) -> Instant:
    rules = settings.parameters(venue.settings.regime)
    return working_days.due(now, int(rules["rights_days"]), str(rules["rights_days_are"]), venue.settings.regime)


def _require_kin_may(unit: Unit, person: PersonId) -> None:
    if not any(one.ground == rulings.DEATH for one in rulings.all_of(unit, person)):
        raise Refused("kin-living", "Relatives ask about somebody who died; `countenance order died` takes note of it.")
    records = [log_entries.read_record(entry.record) for entry in unit.outbox.chain(person)]
    wishes = [one.body["who"] for one in records if one.type == "wish"]  # newest first
    if wishes and wishes[0] == orders.NOBODY:
        raise Refused("kin-unwished", "This person wished that nobody asks about them after their death.")


def answer(venue: Venue, request_id: str, outcome: str, reason: str, *, language: str = "") -> list[str]:
    """Answer a request, doing what it asks for where it is granted; return receipts, of an erasure.

    To delete, granted, erases the person; partly, every face, where an order keeps the record or the person wants that.
    `language`: what a correction is to. What is handed over for access or a copy is made by `about` and `prove`.
    Raises BadInput(request-outcome, record-text, request-fields), Refused(request-unknown, request-answered,
    record-preserved).
    """
    if outcome not in OUTCOMES:
        raise BadInput("request-outcome", f"An answer is one of: {', '.join(OUTCOMES)}.")
    words = record.clean(reason)
    with venue.store.write() as unit:
        one = _open(unit, request_id)
        if one.kind == "delete" and outcome == "granted":
            rulings.require_unpreserved(unit, PersonId(one.person))
        if one.kind == "correct" and outcome == "granted":
            people.correct(unit, venue.keys, PersonId(one.person), language)
        whose = PersonId(one.person)
        unit.tell_of_even_if_lost(whose, "answer", {"request": one.request_id, "outcome": outcome, "reason": words})
        unit.run(update(schema.request).where(schema.request.c.request_id == request_id).values(
            outcome=outcome, decided_at=unit.now))
    venue.log.sign_if_possible()
    if one.kind == "delete" and outcome == "granted":
        erased = withdraw.erase(venue, PersonId(one.person))
        return [*(each.receipt for each in erased.withdrawn), erased.receipt]
    if one.kind == "delete" and outcome == "partly":
        return _without_faces(venue, PersonId(one.person))
    return []


def _without_faces(venue: Venue, person: PersonId) -> list[str]:
    return [one.receipt for one in withdraw.told(venue, withdraw.end_every(venue, person))]


def _open(unit: Unit, request_id: str) -> Request:
    row = unit.run(select(schema.request).where(schema.request.c.request_id == request_id)).one_or_none()
    if row is None:
        raise Refused("request-unknown", "There is no such request.")
    if row.outcome != OPEN:
        raise Refused("request-answered", "This request was answered already.")
    return _request(row)


def all_of(unit: Unit, person: str = "") -> list[Request]:
    """Return requests, of one person or of all: open ones first, by the day on which each must be answered."""
    table = schema.request
    rows = unit.run(select(table).where(table.c.person_id == person) if person else select(table)).all()
    return sorted((_request(row) for row in rows), key=lambda one: (one.outcome != OPEN, one.due, one.request_id))


def counts(unit: Unit) -> dict[str, int]:
    """Return how many requests stand how, for evidence and reminders: nobody's name."""
    found: dict[str, int] = {}
    for one in all_of(unit):
        name = one.standing(unit.now)
        found[name] = found.get(name, 0) + 1
    return found


def explain(venue: Venue) -> str:
    """Return in plain words how it is decided here who is let in: what one who asks for an explanation is given."""
    here = venue.settings
    return ("Your face is measured at the gate when you show your pass or press, and the measurement is compared with "
            "the one you agreed to. If the two are nearer to each other than a threshold, the gate opens; otherwise "
            "staff help you, and nothing is kept of it. Nothing else is read from your face: no age, sex, mood or "
            f"origin. The threshold here: {venue.threshold_rests_on() or here.threshold}. You may always enter "
            "without your face, and a person looks at it whenever the machine does not let you in.")


def _request(row: Any) -> Request:
    return Request(row.request_id, row.person_id, row.kind, bool(row.by_kin), row.outcome, Instant(row.opened_at),
                   Instant(row.due_at), None if row.decided_at is None else Instant(row.decided_at))
