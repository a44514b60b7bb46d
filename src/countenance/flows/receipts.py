"""Receipts that the stories hand out: signed, with the person's own events and the proof that the log holds them.

What a receipt says of a consent is aligned with ISO/IEC TS 27560's fields; that document's text was not at hand, so
nothing more is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from countenance.clock import utc_text
from countenance.consent.consents import Consent
from countenance.errors import BadInput, StoreFault
from countenance.formats import log_entries, signed_note
from countenance.formats import receipts as form
from countenance.formats.notices import Notice
from countenance.formats.receipts import Proven
from countenance.formats.signed_note import NoteKey
from countenance.quantities import DAY, Instant, PersonId, PurposeId
from countenance.storage.outbox import Entry
from countenance.storage.unit import Unit
from countenance.transparency.log import receipt_name

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

_MOST = 16
"""Events that are looked through for the one that a receipt begins with."""


def write(venue: Venue, kind: str, person: PersonId, at: Instant, events: Sequence[Entry],
          facts: dict[str, Any]) -> str:
    """Return a signed receipt over the person's own events, oldest first, each with its nonce and its proof.

    Raises StoreFault (signer-*, log-*); an erasure is given a receipt without proofs rather than none.
    """
    signer = venue.signer("receipt")
    try:
        proven, note = venue.log.prove(events)
        log: dict[str, Any] = {"checkpoint": note.encode()}
    except (StoreFault, BadInput, OSError) as fault:
        if kind != "erasure":
            raise
        proven = [Proven(event.leaf, event.nonce, event.record, -1, ()) for event in events]
        log = {"checkpoint": "", "log_fault": getattr(fault, "code", "store-io")}
    return form.write({
        "kind": kind, "venue": venue.venue_id, "venue_name": venue.settings.name, "person": person,
        "at": utc_text(at), "origin": _log_key(venue).name, "keys": keys(venue), **log,
        **facts}, proven, signer.key, signer.kid)


def keys(venue: Venue) -> dict[str, Any]:
    """Return the public keys that a receipt or evidence is checked with; to believe them is another matter."""
    receipt = signed_note.key_of(venue.signer("receipt").key, receipt_name(venue.venue_id))
    return {"log": _log_key(venue).text, "receipt": receipt.text,
            "witnesses": [key.text for _, key in venue.witnesses()]}


def _log_key(venue: Venue) -> NoteKey:
    try:
        return venue.log.key()
    except StoreFault as fault:
        if fault.code != "log-missing":
            raise
        return venue.log.first_key()  # whoever withdraws from a damaged store gets a receipt all the same


def events_of(unit: Unit, person: PersonId, since: str, purpose: PurposeId) -> list[Entry]:
    """Return a person's newest events, oldest first, from the last one of type `since` for this purpose on.

    Of which there may be none among the newest: then only the newest of all.
    """
    newest = []
    for entry in unit.outbox.newest(person, _MOST):
        newest.append(entry)
        record = log_entries.read_record(entry.record)
        if (record.type, record.body.get("purpose")) == (since, purpose):
            return newest[::-1]
    return newest[:1]


def agreed(venue: Venue, consent: Consent, notice: Notice) -> dict[str, Any]:
    """Return what a receipt says of a consent: the exact notice, whose act it was, and the record of it."""
    return {
        "purpose": consent.purpose, "notice": consent.notice_hash, "notice_canonical": notice.canonical().hex(),
        "notice_text": notice.texts[consent.language], "language": consent.language, "act": consent.act.value,
        "expires_at": utc_text(consent.expires_at), "consent_record": consent_record(venue, consent, notice)}


def consent_record(venue: Venue, consent: Consent, notice: Notice) -> dict[str, Any]:
    """Return a consent as a record whose fields are those of ISO/IEC TS 27560:2023 ("aligned with")."""
    settled = venue.settings
    return {
        "schema_version": "aligned with ISO/IEC TS 27560:2023", "record_id": consent.consent_id,
        "pii_principal_id": consent.person,
        "processing": {
            "privacy_notice": consent.notice_hash, "language": consent.language, "purpose": consent.purpose,
            "purpose_type": "entry by face", "lawful_basis": "separate consent",
            "pii_controllers": [venue.venue_id], "collection_method": "one capture, in person",
            "processing_method": "comparison with the person's own consent only",
            "storage_locations": [notice.custody], "retention_period": f"{notice.valid_days} days, or until withdrawn",
            "withdrawal_method": "at any desk or gate, in writing; no reason, no fee", "jurisdiction": settled.regime,
            "recipient_third_parties": [], "privacy_rights": ["copy", "correct", "erase", "withdraw", "complain"]},
        "data": [{"pii_type": "face template", "sensitive_pii_category": True, "pii_optional": True}],
        "parties": [{"party_id": venue.venue_id, "party_name": settled.name, "party_role": "PII controller",
                     "party_contact": settled.contact}],
        "event": {"event_time": utc_text(consent.given_at), "event_type": "explicit",
                  "event_state": consent.state.value,
                  "validity_duration": f"P{(consent.expires_at - consent.given_at) // DAY}D",
                  "entity_id": consent.person if consent.act.value == "passkey" else venue.venue_id},
        "alternative_offered": True, "custody_model": notice.custody}
