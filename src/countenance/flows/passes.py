"""Passes: issued, and read at a gate. The lane without faces needs the public key alone (`plain_lane`)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from countenance import settings
from countenance.clock import end_of_day, utc_day
from countenance.consent.consents import Consent
from countenance.consent.notices import Purpose
from countenance.errors import BadInput, Refused
from countenance.flows.found import SIGNING
from countenance.flows.people import Profile
from countenance.flows.ports import Entitlement, Ticket
from countenance.formats import passes as form
from countenance.formats.passes import Custody, Pass
from countenance.quantities import HOUR, Instant, KeyId, PassId, VenueId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys import signing
from countenance.vault.keys.holder import HolderKey
from countenance.vault.keys.store import PASS, KeyRef

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from countenance.flows.venue import Venue


@dataclass(frozen=True)
class Issued:
    """A pass that was made but not read back yet."""

    pass_id: PassId
    text: str


def issue_face(venue: Venue, unit: Unit, profile: Profile, consent: Consent, purpose: Purpose,
               secret_key: KeyRef | None, holder: HolderKey | None, pack: str) -> Issued:
    """Make the pass of somebody who said yes; pending until it was read back."""
    ticket = venue.entitlement.require_good(profile.reference, utc_day(unit.now))
    blank = Pass(
        PassId(random_id()), venue.venue_id, profile.reference, Custody(purpose.custody), unit.now,
        end_of_day(ticket.valid_until), consent.person, purpose.purpose_id, secrets.token_bytes(16), pack)
    content = blank
    if holder is not None and secret_key is not None:
        content = replace(blank, secret=holder.into_pass(venue.keys, secret_key, blank.binding()))
    signer = venue.signer("pass")
    text = form.write(content, signer.key, signer.kid)
    unit.run(insert(schema.issued_pass).values(
        pass_id=content.pass_id, person_id=consent.person, purpose_id=purpose.purpose_id,
        face_id_hash=hashlib.sha256(content.face_id).digest(),
        pass_key=None if secret_key is None else secret_key.key_id,
        sha256=hashlib.sha256(text.encode()).digest(), state="pending", delete_at=content.expires_at))
    return Issued(content.pass_id, text)


def issue_plain(venue: Venue, ticket: Ticket, now: Instant) -> str:
    """Make a plain pass; nothing about its holder is written down here."""
    rules = settings.preset("regimes", venue.settings.regime)["parameters"]
    signer = venue.signer("pass")
    content = Pass(
        PassId(random_id()), venue.venue_id, ticket.reference, Custody.PLAIN, now,
        end_of_day(ticket.valid_until),
        ask_not_before=Instant(now + rules["ask_again_after_hours"] * HOUR))
    return form.write(content, signer.key, signer.kid)


def read_here(venue: Venue, text: str, now: Instant) -> Pass:
    """Read a pass at one of this venue's gates.

    Raises BadInput (pass-malformed, pass-altered), Refused (pass-other-venue, pass-expired).
    """
    content = read_even_expired(venue, text)
    _in_time(content, now)
    return content


def read_even_expired(venue: Venue, text: str) -> Pass:
    """Read a pass of this venue for somebody who withdraws with it; its date does not matter for that."""
    return _ours(text, signing.verifier(venue.folder / SIGNING, "pass"), venue.venue_id)


def require_issued(unit: Unit, text: str, content: Pass) -> None:
    """Raise Refused(pass-unknown) unless exactly these bytes were issued here, and were read back.

    A stolen signing key mints passes that verify, and opens no face with them.
    """
    table = schema.issued_pass
    row = unit.run(select(table.c.sha256, table.c.state).where(table.c.pass_id == content.pass_id)).one_or_none()
    if row is None or row.sha256 != hashlib.sha256(text.strip().encode()).digest() or row.state != "live":
        raise Refused("pass-unknown", "This pass opens no face here.")


def holder_key(venue: Venue, unit: Unit, content: Pass) -> HolderKey:
    """Take the holder's key out of a pass. Raises StoreFault(key-destroyed), Refused(pass-unknown)."""
    table = schema.issued_pass
    key_id = unit.run(select(table.c.pass_key).where(table.c.pass_id == content.pass_id)).scalar_one_or_none()
    if key_id is None:
        raise Refused("pass-unknown", "This pass opens no face here.")
    ref = KeyRef(KeyId(key_id), PASS, content.person, content.purpose)
    return HolderKey.from_pass(venue.keys, ref, content.secret, content.binding())


def plain_lane(text: str, key: Ed25519PublicKey, venue: VenueId, entitlement: Entitlement, now: Instant) -> Ticket:
    """Check a pass for the lane without faces; return the ticket it stands for.

    Needs no database and no secret key, so that whatever happens to faces, this lane stays open
    (DESIGN 1.7). Every pass is good here, the one of somebody who withdrew too.
    Raises BadInput (pass-*), Refused (pass-other-venue, pass-expired, ticket-*), StoreFault.
    """
    content = _ours(text, key, venue)
    _in_time(content, now)
    return entitlement.require_good(content.reference, utc_day(now))


def _ours(text: str, key: Ed25519PublicKey, venue: VenueId) -> Pass:
    _of_this_venue(form.peek_kid(text), signing.key_id(key))
    content = form.read(text, key)
    _of_this_venue(content.venue, venue)
    return content


def _in_time(content: Pass, now: Instant) -> None:
    if content.issued_at > now + HOUR:
        raise BadInput("pass-from-future", "This pass was made later than now; the clock here may be wrong.")
    if now >= content.expires_at:
        raise Refused("pass-expired", "This pass has expired.")


def _of_this_venue(found: bytes | str, expected: bytes | str) -> None:
    if found != expected:
        raise Refused("pass-other-venue", "This pass is of another venue, or signed by a key not known here.")
