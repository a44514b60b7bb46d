"""enrol: from a notice to a pass in the hand (docs/flows.md, enrol).

(1) the ticket is good; (2) the notice in force was shown, and the person said yes by an act; (3) a capture
with exactly one face; (4) an intent names the keys, then they are made; (5) consent, template and pass in one
transaction, all pending; (6) the pass is handed over and read back; (7) only then live, with a receipt.
A failure before (4) leaves no trace; one after it is undone, keys first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from countenance.clock import end_of_day, utc_day
from countenance.consent import consents, notices
from countenance.consent.consents import Consent, Yes
from countenance.errors import BadInput, Refused
from countenance.flows import capture, intents, minors, passes, people, receipts, scenarios
from countenance.flows.capture import Chip, Timings
from countenance.flows.intents import Intent
from countenance.flows.people import Profile
from countenance.flows.ports import Camera, Ticket
from countenance.formats.passes import Custody, issued_digest
from countenance.quantities import PersonId, PurposeId, TemplateId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys.store import FACE, PASS, RECORD, KeyRef, new_ref
from countenance.vault.templates import Place

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

HandOver = Callable[[str], str]
"""Gives the pass to its holder and returns what was read back from it: paper, screen or file."""


@dataclass(frozen=True)
class Enrolled:
    """What the person walks away with."""

    person: PersonId
    purpose: PurposeId
    pass_text: str
    receipt: str


@dataclass(frozen=True)
class Waiting:
    """An enrolment whose pass is on its way into its holder's hand. One that is left alone is undone by the sweep."""

    intent: Intent
    pending: _Pending

    @property
    def pass_text(self) -> str:
        """What is to be handed over and read back."""
        return self.pending.text


@dataclass(frozen=True)
class _Names:
    """The keys of one enrolment, by name, before they exist."""

    record: KeyRef
    known: bool   # the person is on record already, with this record key
    face: KeyRef  # of the face, or of the pass that the face, or its key, is sealed in

    def new(self) -> list[KeyRef]:
        return [self.face] if self.known else [self.record, self.face]

    @property
    def in_pass(self) -> KeyRef | None:
        return self.face if self.face.kind == PASS else None


def enrol(venue: Venue, reference: str, purpose_id: PurposeId, yes: Yes, camera: Camera | Sequence[Camera],
          hand_over: HandOver, timings: Timings | None = None) -> Enrolled:
    """Enrol one person for one purpose. Raises Refused, BadInput, StoreFault; then nobody is enrolled."""
    return confirm(venue, begin(venue, reference, purpose_id, yes, camera, timings), hand_over)


def begin(venue: Venue, reference: str, purpose_id: PurposeId, yes: Yes, camera: Camera | Sequence[Camera],
          timings: Timings | None = None) -> Waiting:
    """Take every step up to the pass, which is to be handed over; nobody is enrolled before `confirm`.

    `camera`: one, or up to five that each take a picture of this person; the template is then of all of them.

    Raises as `enrol`.
    """
    timings = timings or Timings(venue.clock)
    venue.store.require_forward()
    ticket = _ticket(venue, reference)                                      # (1)
    purpose = _said_yes(venue, purpose_id, yes)                             # (2)
    yes = minors.answered(venue, purpose, ticket, yes)
    known, seen = _known(venue, ticket, purpose_id)
    cameras = [camera] if callable(camera) else camera
    chips = capture.to_enrol(venue, cameras, timings)                       # (3)
    person = known.person if known else PersonId(random_id())
    names = _names(person, purpose, known)
    with _undone_on_failure(venue, person, purpose_id, names) as begun, venue.keys.at_hand():
        venue.keys.make(names.new())                                        # (4)
        with venue.store.write() as unit:
            _nobody_came_between(venue, unit, ticket, known, seen)
            pending = _pending(venue, unit, names, purpose, ticket, yes, chips, timings)  # (5)
            intents.made(unit, begun.intent, pending.rows())
        begun.rows = pending.rows()
        if names.in_pass is not None:
            venue.keys.bind(names.in_pass, issued_digest(pending.text))
    return Waiting(begun.intent, pending)


def confirm(venue: Venue, waiting: Waiting, hand_over: HandOver) -> Enrolled:
    """Hand the pass over, read it back, and enrol. Raises as `enrol`; then everything is undone."""
    try:
        read_back(waiting.pass_text, hand_over)                             # (6)
        return _go_live(venue, waiting.intent, waiting.pending)             # (7)
    except intents.Abandoned:
        raise  # undone by the sweep; the person may have enrolled anew since
    except BaseException:
        give_up(venue, waiting)
        raise


def give_up(venue: Venue, waiting: Waiting) -> None:
    """Undo an enrolment whose pass nobody took."""
    intents.undo(venue, waiting.intent, waiting.pending.rows())


def _ticket(venue: Venue, reference: str) -> Ticket:
    with venue.store.read() as unit:
        today = utc_day(unit.now)
    return venue.entitlement.require_good(reference, today)


def _said_yes(venue: Venue, purpose_id: PurposeId, yes: Yes) -> notices.Purpose:
    with venue.store.read() as unit:
        purpose = notices.purpose(unit, purpose_id)
        consents.require_shown(notices.in_force(unit, purpose_id), yes)
    if purpose.comparison == notices.DISCLOSE:
        raise Refused("purpose-other", "This purpose is to tell others something; no face is taken for it.")
    return purpose


def _known(venue: Venue, ticket: Ticket, purpose: PurposeId) -> tuple[KeyRef | None, frozenset[str]]:
    """Return the record key of whoever has this ticket, and everybody who was looked at.

    Raises Refused(consent-standing): one face a purpose.
    """
    with venue.store.read() as unit:
        row, seen = people.find(unit, venue.keys, ticket.reference), people.everybody(unit)
        if row is None:
            return None, seen
        standing = consents.purposes_given(unit, PersonId(row.person_id))
    if purpose in standing:
        raise Refused("consent-standing", "Somebody is enrolled on this ticket already; withdraw that first.")
    return people.record_ref(row), seen


def _nobody_came_between(venue: Venue, unit: Unit, ticket: Ticket, known: KeyRef | None,
                         seen: frozenset[str]) -> None:
    """Look again, as the capture took time, and two desks may have one ticket. Raises Refused(enrolment-crossed)."""
    crossed = Refused("enrolment-crossed", "Somebody enrolled on this ticket meanwhile; begin again.")
    if people.find(unit, venue.keys, ticket.reference, besides=seen) is not None:
        raise crossed
    if known is not None and known.person not in people.everybody(unit):
        raise crossed


def _names(person: PersonId, purpose: notices.Purpose, known: KeyRef | None) -> _Names:
    kind = FACE if purpose.custody == Custody.VENUE_KEYED.value else PASS
    return _Names(known or new_ref(RECORD, person, ""), known is not None,
                  new_ref(kind, person, purpose.purpose_id))


@dataclass
class _Begun:
    intent: Intent
    rows: dict[str, str] | None = None


@contextmanager
def _undone_on_failure(venue: Venue, person: PersonId, purpose: PurposeId, names: _Names) -> Iterator[_Begun]:
    with venue.store.write() as unit:
        intent = intents.begin(unit, "enrol", person, purpose, [ref.key_id for ref in names.new()])
    begun = _Begun(intent)
    try:
        yield begun
    except intents.Abandoned:
        raise  # undone by the sweep; the person may have enrolled anew since
    except BaseException:
        intents.undo(venue, intent, begun.rows)
        raise


@dataclass(frozen=True)
class _Pending:
    person: PersonId
    consent: Consent
    template: TemplateId
    pass_id: str
    text: str

    def rows(self) -> dict[str, str]:
        return {"consent": self.consent.consent_id, "template": self.template, "pass": self.pass_id}


def _pending(venue: Venue, unit: Unit, names: _Names, purpose: notices.Purpose, ticket: Ticket, yes: Yes,
             chips: Sequence[Chip], timings: Timings) -> _Pending:
    profile = Profile(ticket.reference, ticket.language or yes.language)
    person = names.record.person
    if not names.known:
        people.add(unit, venue.keys, names.record, profile, household=ticket.household)
    latest = end_of_day(ticket.valid_until) if scenarios.ends_with_ticket(venue.settings) else None
    consent, _ = consents.give(unit, person, purpose.purpose_id, yes, latest=latest)
    granted = venue.gate.enrol(unit, person, purpose.purpose_id)
    place = Place(TemplateId(random_id()), person, purpose.purpose_id, venue.pack.identity)
    blank = passes.draft(venue, unit, profile, consent, purpose, place.pack)
    with capture.measure_enrolment(venue, granted, chips, timings) as probe:
        kept = venue.vault.seal(granted.permit, probe, place, blank.custody, names.face, blank.binding())
    add_template(unit, place, consent, purpose, names.face, kept.sealed, state="pending")
    text = passes.issue(venue, unit, replace(blank, secret=kept.secret), person, names.in_pass)
    return _Pending(person, consent, place.template_id, blank.pass_id, text)


def add_template(unit: Unit, place: Place, consent: Consent, purpose: notices.Purpose, key: KeyRef,
                 sealed: bytes, *, state: str) -> None:
    """Write down a template (`sealed` is empty where it is in the pass only) and tell its owner's chain."""
    unit.run(insert(schema.template).values(
        template_id=place.template_id, person_id=place.person, purpose_id=place.purpose,
        consent_id=consent.consent_id, custody=purpose.custody, pack=place.pack,
        face_key=key.key_id if key.kind == FACE else None, sealed=sealed, state=state,
        delete_at=consent.expires_at))
    unit.tell_of(place.person, "template-sealed", {"template": place.template_id, "purpose": place.purpose,
                                                   "custody": purpose.custody, "pack": place.pack})


def read_back(text: str, hand_over: HandOver) -> None:
    """Hand a pass over and read it back. Raises BadInput(pass-not-delivered, pass-not-read)."""
    try:
        read = hand_over(text)
    except OSError:
        raise BadInput("pass-not-delivered", "The pass could not be written there, so nobody was enrolled.") from None
    if read.strip() != text:
        raise BadInput("pass-not-read", "The pass could not be read back, so nobody was enrolled.")


def _go_live(venue: Venue, intent: Intent, pending: _Pending) -> Enrolled:
    with venue.store.write() as unit:
        intents.require_standing(unit, intent)
        venue.gate.require_live(unit, pending.person, pending.consent.purpose)  # it may be withdrawn already
        template, issued = schema.template, schema.issued_pass
        unit.run(update(template).where(template.c.template_id == pending.template).values(state="live"))
        unit.run(update(issued).where(issued.c.pass_id == pending.pass_id).values(state="live"))
        people.keep(unit, pending.person)
        unit.move_forward()
        unit.tell_of(pending.person, "pass-issued", {"pass": pending.pass_id, "purpose": pending.consent.purpose})
        events = receipts.events_of(unit, pending.person, "consent-given", pending.consent.purpose)
        unit.move_gallery(pending.consent.purpose)
        intents.end(unit, intent)
        notice = notices.by_hash(unit, pending.consent.notice_hash)
        now = unit.now
    facts = receipts.agreed(venue, pending.consent, notice)
    receipt = receipts.write(venue, "enrolment", pending.person, now, events, {**facts, "custody": notice.custody})
    return Enrolled(pending.person, pending.consent.purpose, pending.text, receipt)


def say_no(venue: Venue, reference: str, hand_over: HandOver) -> str:
    """Give a plain pass to somebody who said no; return its text.

    No record of the person is made. The pass carries the moment before which they may not be asked again.
    """
    now = venue.clock.now()  # not the store's: a mark far ahead must not close the lane without faces
    ticket = venue.entitlement.require_good(reference, utc_day(now))
    text = passes.issue_plain(venue, ticket, now)
    read_back(text, hand_over)
    return text


_LIVE = select(schema.template).where(
    schema.template.c.person_id == bindparam("whose"), schema.template.c.purpose_id == bindparam("what"),
    schema.template.c.state == "live")


def live_template(unit: Unit, person: PersonId, purpose: PurposeId) -> Any:
    """Return the row of a person's live template. Raises Refused(template-missing)."""
    row = unit.run(_LIVE, {"whose": person, "what": purpose}).one_or_none()
    if row is None:
        raise Refused("template-missing", "No face of this person is enrolled for this purpose.")
    return row


