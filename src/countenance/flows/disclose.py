"""disclose: a person agrees that somebody else is told of their visits, and stops it (docs/flows.md, disclose).

A consent of its own, to a notice that names the one who is told; no face, no pass and no key comes with it, and the
gate makes no permit by it. (1) it is the person's act, to the notice in force, which names the recipient; (2) a random
name is made, by which this recipient alone knows them, sealed under their record key; (3) the receipt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from countenance.consent import consents, notices
from countenance.consent.consents import Consent, Yes
from countenance.consent.states import State
from countenance.errors import BadInput, Refused
from countenance.flows import events_out, people, receipts, withdraw
from countenance.flows.withdraw import Withdrawn
from countenance.formats.notices import Notice
from countenance.quantities import PersonId, PurposeId
from countenance.storage.unit import Unit

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


def offer(venue: Venue, name: str, title: str, zone: str, texts: dict[str, str], valid_days: int = 365) -> Notice:
    """Add the purpose `events.NAME` with its notice, so that people can agree to it, and return the notice.

    `title`: what the recipient is called in every text. Raises BadInput(recipient-name, notice-text),
    StoreFault(recipient-notice), Refused(purpose-known).
    """
    purpose = PurposeId(f"events.{name}")
    if not events_out.is_name(name):
        raise BadInput("recipient-name", "A recipient's name is 1 to 32 small letters, digits and dashes.")
    with venue.store.write() as unit:
        notice = notices.add_without_a_face(unit, venue.venue_id, purpose, zone, texts, valid_days)
        events_out.require_names(notice, title)
    return notice


def agree(venue: Venue, person: PersonId, purpose: PurposeId, yes: Yes) -> str:
    """Record that a person wants a recipient to be told of their visits, and return the receipt.

    One who agreed to an older notice agrees anew, and is called by another name from then on. Raises Refused:
    purpose-other, person-unknown, consent-standing, and as `consents.give`.
    """
    with venue.store.write() as unit:
        _require_to_disclose(unit, purpose)
        people.row(unit, person)
        consent = _given(unit, person, purpose, yes)                        # (1) (2)
        people.keep(unit, person)
        unit.move_forward()
        events = receipts.events_of(unit, person, _SINCE[consent[1]], purpose)
        notice, now = notices.by_hash(unit, yes.notice_hash), unit.now
    facts = {**receipts.agreed(venue, consent[0], notice), "custody": notice.custody}
    facts["consent_record"] = _record(facts["consent_record"], events_out.recipient_of(purpose))
    return receipts.write(venue, consent[1], person, now, events, facts)    # (3)


def stop(venue: Venue, person: PersonId, purpose: PurposeId) -> Withdrawn:
    """Withdraw it: nothing more is told, what was not sent yet is deleted in that transaction, and so is the name.

    Takes the steps of every withdrawal, so that one that crashed is finished. Raises Refused(purpose-unknown,
    consent-missing, purpose-other), StoreFault.
    """
    if not events_out.recipient_of(purpose):
        raise Refused("purpose-other", "This purpose is not to tell somebody else.")
    return withdraw.withdraw(venue, person, purpose)


_SINCE = {"enrolment": "consent-given", "renewal": "consent-superseded"}


def _given(unit: Unit, person: PersonId, purpose: PurposeId, yes: Yes) -> tuple[Consent, str]:
    """Return the consent, and the kind of its receipt."""
    old = [c for c in consents.all_of(unit, person) if c.purpose == purpose and c.state is State.GIVEN]
    if not old or (old[-1].notice_hash == yes.notice_hash and unit.now < old[-1].expires_at):
        return consents.give(unit, person, purpose, yes)[0], "enrolment"  # which refuses where one stands
    events_out.forget(unit, person, purpose)
    return consents.renew(unit, person, purpose, yes)[0], "renewal"


def _require_to_disclose(unit: Unit, purpose: PurposeId) -> None:
    if notices.purpose(unit, purpose).comparison != notices.DISCLOSE:
        raise Refused("purpose-other", "This purpose is not to tell somebody else.")


def _record(record: dict[str, Any], recipient: str) -> dict[str, Any]:
    """Return a consent's record, which is written for faces, as one about visits."""
    processing = {**record["processing"], "purpose_type": "telling a recipient of visits",
                  "collection_method": "at the gate, when admitted", "processing_method": "told under a random name",
                  "storage_locations": ["with the recipient"], "recipient_third_parties": [recipient]}
    return {**record, "processing": processing,
            "data": [{"pii_type": "visits", "sensitive_pii_category": False, "pii_optional": True}]}
