"""withdraw: the face is gone, the pass goes on (docs/flows.md, withdraw; DESIGN 1.2).

(1) stop matching, and (2) log it, in one transaction with an intent; (3) destroy the key; (4) delete the
ciphertext and log the erasure; (5) the receipt. After (1) the face is compared by nobody, whatever
crashes; an interrupted withdrawal is rolled forward at the next opening. No reason, no fee, any channel.

Receipts come last, once every face of a story is gone: they wait for locks and for witnesses, and a face never does.
What nobody is there to be handed (by the sweep, by recovery) is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from countenance.clock import utc_text
from countenance.consent import consents, notices, rulings
from countenance.consent.states import State
from countenance.errors import Refused, StoreFault
from countenance.flows import events_out, intents, people, receipts, revocations
from countenance.flows.intents import Intent
from countenance.formats import log_entries
from countenance.quantities import DAY, HOUR, Instant, KeyId, PersonId, PurposeId
from countenance.storage import schema
from countenance.storage.outbox import Entry
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

STOPPED, DESTROYED = 1, 2
_YEAR = 366 * DAY
_STORY = {State.WITHDRAWN: "withdraw", State.EXPIRED: "expire", State.REPLACED: "replace",
          State.LOST: "lose"}
_ENDED = {story: state for state, story in _STORY.items()}


@dataclass(frozen=True)
class Ended:
    """A consent that has ended, with its face gone: what its receipt will say. `events`: oldest first."""

    person: PersonId
    purpose: PurposeId
    how: State
    at: Instant
    final_by: Instant | None
    copies_open_until: Instant
    events: list[Entry]


@dataclass(frozen=True)
class Withdrawn:
    """What the person is told. `final`: nothing compares this face any more, anywhere in this venue.

    `final_by` instead: a gate that goes by a copy of the revocation list may not know it until then.
    `copies_open_until` is the latest moment at which an older copy of the key store still opens; the next
    rotation ends it, and no later than 24 hours from now.
    """

    person: PersonId
    purpose: PurposeId
    final: str
    final_by: Instant | None
    copies_open_until: Instant
    receipt: str


def withdraw(venue: Venue, person: PersonId, purpose: PurposeId, how: State = State.WITHDRAWN) -> Withdrawn:
    """Withdraw one consent, for good, and write its receipt. Raises Refused, StoreFault as `end`."""
    return told(venue, [end(venue, person, purpose, how)])[0]


def end(venue: Venue, person: PersonId, purpose: PurposeId, how: State = State.WITHDRAWN) -> Ended:
    """Take every step of a withdrawal but the receipt. Raises Refused(purpose-unknown, consent-missing), StoreFault.

    `how` is EXPIRED when the sweep ends a consent whose time is over, REPLACED when the pass that the face was in is
    lost (`replace`); the steps are the same. One that failed half
    way (the store was busy, say) is finished by asking again.
    """
    with venue.store.write() as unit:                                       # (1) (2)
        notices.require_known(unit, purpose)
        begun = [i for i in intents.pending(unit, *_ENDED, person=person) if i.purpose == purpose]
        intent = begun[0] if begun else _stop(venue, unit, person, purpose, how)
    return finish(venue, intent)


def finish(venue: Venue, intent: Intent) -> Ended:
    """Take a withdrawal from its intent to where only the receipt is missing; also what recovery and the sweep call."""
    if intent.step <= STOPPED:
        venue.keys.destroy_of([(intent.person, intent.purpose, intent.keys)])   # (3)
        with venue.store.write() as unit:
            intents.at_step(unit, intent, DESTROYED)
    with venue.store.write() as unit:                                       # (4)
        events = _forget(unit, intent)
        due = _promise_rotation(venue, unit)  # again: a rotation may have come between, and left this key
        now, final_by = unit.now, revocations.final_by(unit)
    venue.store.empty_wal()
    return Ended(intent.person, intent.purpose, _ENDED[intent.story], now, final_by, due, events)


def end_every(venue: Venue, person: PersonId) -> list[Ended]:
    """Withdraw every consent of a person that stands, but for the receipts. Raises as `end`."""
    with venue.store.read() as unit:
        standing = consents.purposes_given(unit, person)
    return [end(venue, person, purpose) for purpose in standing]


def end_all(venue: Venue, whose: Sequence[tuple[PersonId, PurposeId]], how: State) -> int:
    """Take every step of many withdrawals at once, for the sweep, and return how many those were: nobody waits there.

    The steps and their order are those of `end`; what a crash leaves is finished in the same way. Who renewed, or
    withdrew, since they were listed is left alone. Raises StoreFault.
    """
    stopped: list[Intent] = []
    with venue.store.write() as unit:                                       # (1) (2)
        for person, purpose in whose:
            with suppress(Refused):
                stopped.append(_stop(venue, unit, person, purpose, how))
    venue.keys.destroy_of([(one.person, one.purpose, one.keys) for one in stopped])   # (3)
    with venue.store.write() as unit:                                       # (4)
        for intent in stopped:
            _erased(unit, intent)
        _promise_rotation(venue, unit)
    venue.store.empty_wal()
    return len(stopped)


def told(venue: Venue, ended: list[Ended]) -> list[Withdrawn]:
    """Write the receipts of consents of one person that have ended. Raises StoreFault (signer-*)."""
    if not ended:
        return []
    texts = receipts.write_all(venue, "erasure", ended[0].person, [_facts(one) for one in ended])   # (5)
    return [_withdrawn(one, text) for one, text in zip(ended, texts, strict=True)]


def _withdrawn(ended: Ended, receipt: str) -> Withdrawn:
    return Withdrawn(ended.person, ended.purpose, "final" if ended.final_by is None else "final_by", ended.final_by,
                     ended.copies_open_until, receipt)


def _facts(ended: Ended | Gone) -> receipts.Told:
    purpose, how = ("", "erased") if isinstance(ended, Gone) else (ended.purpose, ended.how.value)
    return receipts.Told(ended.at, ended.events, {
        "purpose": purpose, "ended": how, "final": ended.final_by is None,
        "final_by": utc_text(ended.final_by or ended.at), "copies_open_until": utc_text(ended.copies_open_until)})


def _stop(venue: Venue, unit: Unit, person: PersonId, purpose: PurposeId, how: State) -> Intent:
    if how is State.EXPIRED and unit.now < consents.standing(unit, person, purpose).expires_at:
        raise Refused("consent-standing", "This consent was renewed meanwhile.")
    template = schema.template
    face = unit.run(select(template.c.template_id).where(
        template.c.person_id == person, template.c.purpose_id == purpose)).first()
    events_out.forget(unit, person, purpose)
    if not consents.end_all(unit, person, purpose, how) and face is None:
        consents.standing(unit, person, purpose)  # says why there is none
    keys = _keys_of(unit, person, purpose)
    unit.run(update(template).where(template.c.person_id == person, template.c.purpose_id == purpose)
             .values(state="stopped"))
    revocations.revoke(unit, person, purpose)
    unit.tell_of_even_if_lost(person, "pass-revoked", {"purpose": purpose})
    issued = schema.issued_pass
    unit.run(update(issued).where(issued.c.person_id == person, issued.c.purpose_id == purpose)
             .values(state="plain"))
    unit.move_forward(keys)
    _promise_rotation(venue, unit)
    return intents.begin(unit, _STORY[how], person, purpose, keys)


def _promise_rotation(venue: Venue, unit: Unit) -> Instant:
    """Set the date of the rotation that ends older copies, unless an earlier one stands; return what this one needs."""
    number, made_at = venue.keys.epoch
    by_age = made_at + venue.settings.epoch_days * DAY
    due = Instant(max(unit.now, min(by_age, unit.now + venue.settings.rotate_within_hours * HOUR)))
    standing = unit.mark("rotate_by")
    unit.set_mark("rotate_by", due if standing is None else Instant(min(due, standing)))
    unit.set_mark("erased", Instant(number))
    return due


def _keys_of(unit: Unit, person: PersonId, purpose: PurposeId) -> list[KeyId]:
    template, issued = schema.template, schema.issued_pass
    found = unit.run(select(template.c.face_key).where(
        template.c.person_id == person, template.c.purpose_id == purpose)).scalars().all()
    found += unit.run(select(issued.c.pass_key).where(
        issued.c.person_id == person, issued.c.purpose_id == purpose)).scalars().all()
    return [KeyId(key) for key in found if key is not None]


def _forget(unit: Unit, intent: Intent) -> list[Entry]:
    entry = _erased(unit, intent)
    if log_entries.read_record(entry.record).number == 0:  # in nobody's chain, as the record key is lost
        return [entry]
    try:
        return receipts.events_of(unit, intent.person, f"consent-{_ENDED[intent.story].value}", intent.purpose)
    except StoreFault as fault:
        if fault.code not in {"chain-broken", "sealed-altered"}:
            raise
        return [entry]


def _erased(unit: Unit, intent: Intent) -> Entry:
    """Delete the ciphertext, log the erasure, and end the intent."""
    template, issued = schema.template, schema.issued_pass
    mine = (template.c.person_id == intent.person, template.c.purpose_id == intent.purpose)
    unit.run(delete(template).where(*mine))
    unit.run(update(issued).where(issued.c.person_id == intent.person, issued.c.purpose_id == intent.purpose)
             .values(pass_key=None))
    unit.move_gallery(intent.purpose)
    entry = unit.tell_of_even_if_lost(intent.person, "template-erased",
                                      {"person": intent.person, "purpose": intent.purpose})
    intents.end(unit, intent)
    return entry


@dataclass(frozen=True)
class Gone:
    """A person whose last row is gone: what the receipt for the whole will say, and one for each of `ended`."""

    person: PersonId
    ended: list[Ended]
    at: Instant
    final_by: Instant | None
    copies_open_until: Instant
    events: list[Entry]


@dataclass(frozen=True)
class Erased:
    """What a person who was erased takes home: a receipt for each consent ended now, and one for the whole."""

    withdrawn: list[Withdrawn]
    receipt: str


def erase(venue: Venue, person: PersonId) -> Erased:
    """Erase a person whole, and write the receipts. Raises Refused, StoreFault as `forget`."""
    gone = forget(venue, person)
    *texts, receipt = receipts.write_all(venue, "erasure", person, [*map(_facts, gone.ended), _facts(gone)])
    return Erased([_withdrawn(one, text) for one, text in zip(gone.ended, texts, strict=True)], receipt)


def forget(venue: Venue, person: PersonId) -> Gone:
    """Erase a person without a receipt: withdraw everything, destroy the record key, delete every row.

    What stays are leaves of the log that nobody can open or tie to anybody; the receipts that the person has
    are then the only proof. Raises Refused(person-unknown, record-preserved), StoreFault.
    """
    _faces_of_a_preserved_record(venue, person)
    with venue.store.write() as unit:
        record = people.record_ref(people.row(unit, person))
        mine = intents.pending(unit, "erase", person=person)
        intent = mine[0] if mine else intents.begin(unit, "erase", person, PurposeId(""), [record.key_id])
    return go_on_erasing(venue, intent)


def _faces_of_a_preserved_record(venue: Venue, person: PersonId) -> None:
    """Where an order keeps a record: end every consent, and refuse. An order keeps no face."""
    try:
        with venue.store.read() as unit:
            rulings.require_unpreserved(unit, person)
    except Refused:
        end_every(venue, person)
        raise


def go_on_erasing(venue: Venue, intent: Intent) -> Gone:
    """Take an erasure from its intent to where only receipts are missing; also what recovery and the sweep call."""
    person = intent.person
    with venue.store.read() as unit:
        standing = consents.purposes_given(unit, person)
        begun = [i.purpose for i in intents.pending(unit, *_ENDED, person=person)]
    ended = [end(venue, person, purpose) for purpose in dict.fromkeys([*begun, *standing])]
    venue.keys.destroy(intent.keys)
    with venue.store.write() as unit:
        due = _promise_rotation(venue, unit)
        whole = schema.person
        unit.run(update(whole).where(whole.c.guardian == person).values(guardian=None))
        _blur(unit, person)
        for table in (schema.issued_pass, schema.template, schema.consent, schema.one_time, schema.session,
                      schema.me_code, schema.person):
            unit.run(delete(table).where(table.c.person_id == person))
        unit.run(delete(schema.withheld).where(schema.withheld.c.person_id == person))
        unit.run(delete(schema.ruling).where(schema.ruling.c.target == person))
        unit.run(update(schema.request).where(schema.request.c.person_id == person).values(person_id=""))
        entry = unit.tell_for("person-erased", {"venue": venue.venue_id, "person": person})
        unit.move_forward()
        unit.set_mark("vacuum", unit.now)  # the sweep rewrites the file: pages keep shreds of rows that were moved
        intents.end(unit, intent)
        now, final_by = unit.now, revocations.final_by(unit)
    venue.store.empty_wal()
    return Gone(person, ended, now, final_by, due, [entry])


def _blur(unit: Unit, person: PersonId) -> None:
    """Keep the faces of somebody who is erased on the list up to a year longer.

    Until when they must stand there is the day on which a pass ends, and that may be one ticket's alone.
    """
    listed, issued = schema.revocation, schema.issued_pass
    theirs = select(issued.c.face_id_hash).where(issued.c.person_id == person)
    unit.run(update(listed).where(listed.c.kind == revocations.FACE, listed.c.hash.in_(theirs)).values(
        delete_at=listed.c.delete_at - listed.c.delete_at % _YEAR + _YEAR))
