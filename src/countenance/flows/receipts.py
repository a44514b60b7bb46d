"""Receipts that the stories hand out: signed, with the person's own events and the proof that the log holds them.

What a receipt says of a consent is aligned with ISO/IEC TS 27560's fields; that document's text was not at hand, so
nothing more is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from countenance.clock import utc_text
from countenance.consent.consents import Consent
from countenance.errors import CountenanceError, StoreFault
from countenance.formats import log_entries, signed_note
from countenance.formats import receipts as form
from countenance.formats.notices import Notice
from countenance.formats.receipts import Proven
from countenance.formats.signed_note import NoteKey
from countenance.quantities import DAY, Instant, PersonId, PurposeId
from countenance.storage.outbox import Entry
from countenance.storage.unit import Unit
from countenance.transparency.log import origin, receipt_name

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

_MOST = 16
"""Events that are looked through for the one that a receipt begins with."""


@dataclass(frozen=True)
class Told:
    """What one receipt is about: the person's own events, oldest first, and what it says besides."""

    at: Instant
    events: Sequence[Entry]
    facts: dict[str, Any]


def write(venue: Venue, kind: str, person: PersonId, at: Instant, events: Sequence[Entry],
          facts: dict[str, Any]) -> str:
    """Return a signed receipt over the person's own events, oldest first, each with its nonce and its proof.

    Raises StoreFault (signer-*, log-*); an erasure is given a receipt without proofs rather than none, whatever it is
    that went wrong: what it tells of has happened.
    """
    return write_all(venue, kind, person, [Told(at, events, facts)])[0]


def write_all(venue: Venue, kind: str, person: PersonId, told: Sequence[Told]) -> list[str]:
    """Return several receipts of one person, as `write`. For all of them the log and its witnesses are asked once."""
    signer = venue.signer("receipt")
    events = [event for one in told for event in one.events]
    try:
        proven, note = venue.log.prove(events)
        log: dict[str, Any] = {"checkpoint": note.encode()}
    except Exception as fault:
        if kind != "erasure":
            raise
        proven = [Proven(event.leaf, event.nonce, event.record, -1, ()) for event in events]
        log = {"checkpoint": "", "log_fault": _code(fault)}
    known = _keys_at_least(venue) if kind == "erasure" else keys(venue)
    said = {"kind": kind, "venue": venue.venue_id, "venue_name": venue.settings.name, "person": person,
            "origin": signed_note.read_key(known["log"]).name, "keys": known, **log}
    left = iter(proven)
    return [form.write({**said, "at": utc_text(one.at), **one.facts}, list(islice(left, len(one.events))),
                       signer.key, signer.kid) for one in told]


def _code(fault: Exception) -> str:
    if isinstance(fault, CountenanceError):
        return fault.code
    return "store-io" if isinstance(fault, OSError) else "internal"


def keys(venue: Venue) -> dict[str, Any]:
    """Return the public keys that a receipt or evidence is checked with; to believe them is another matter."""
    receipt = signed_note.key_of(venue.signer("receipt").key, receipt_name(venue.venue_id))
    return {"log": _log_key(venue).text, "receipt": receipt.text,
            "witnesses": [key.text for _, key in venue.witnesses()]}


def _keys_at_least(venue: Venue) -> dict[str, Any]:
    try:
        return keys(venue)
    except StoreFault:  # a witness's line in the settings is no key, say
        log, receipt = (signed_note.key_of(venue.signer(use).key, name(venue.venue_id))
                        for use, name in (("log", origin), ("receipt", receipt_name)))
        return {"log": log.text, "receipt": receipt.text, "witnesses": []}


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
