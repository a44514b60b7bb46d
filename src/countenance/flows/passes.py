"""Passes: issued, and read at a gate. The lane without faces needs the public key alone (`plain_lane`)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from countenance import settings
from countenance.clock import end_of_day, utc_day
from countenance.consent.consents import Consent
from countenance.consent.notices import Purpose
from countenance.errors import Refused
from countenance.flows.found import SIGNING
from countenance.flows.people import Profile
from countenance.flows.ports import Entitlement, Ticket
from countenance.formats import passes as form
from countenance.formats.passes import Custody, Pass
from countenance.formats.revocations import RevocationList
from countenance.lane import check
from countenance.quantities import HOUR, Instant, KeyId, PassId, PersonId, VenueId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys import signing
from countenance.vault.keys.in_pass import Shown
from countenance.vault.keys.signing import Verifiers
from countenance.vault.keys.store import PASS, KeyRef

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


ASK_ANY_TIME = Instant(0)


def draft(venue: Venue, unit: Unit, profile: Profile, consent: Consent, purpose: Purpose, pack: str) -> Pass:
    """Return the pass of somebody who said yes, without its secret yet."""
    ticket = venue.entitlement.require_good(profile.reference, utc_day(unit.now))
    return Pass(
        PassId(random_id()), venue.venue_id, profile.reference, Custody(purpose.custody), unit.now,
        end_of_day(ticket.valid_until), consent.purpose, secrets.token_bytes(form.FACE_ID_BYTES), form.pack_hash(pack))


def issue(venue: Venue, unit: Unit, content: Pass, person: PersonId, pass_key: KeyRef | None) -> str:
    """Sign a drafted pass and write it down; pending until it was read back. Returns its text."""
    signer = venue.signer("pass")
    text = form.write(content, signer.key, signer.kid)
    unit.run(insert(schema.issued_pass).values(
        pass_id=content.pass_id, person_id=person, purpose_id=content.purpose,
        face_id_hash=form.face_hash(content.face_id), pass_key=None if pass_key is None else pass_key.key_id,
        state="pending", delete_at=content.expires_at))
    return text


def issue_plain(venue: Venue, ticket: Ticket, now: Instant) -> str:
    """Make a plain pass for somebody who said no; nothing about them is written down here."""
    rules = settings.parameters(venue.settings.regime)
    return sign_plain(venue, ticket, now, Instant(now + rules["ask_again_after_hours"] * HOUR))


def sign_plain(venue: Venue, ticket: Ticket, now: Instant, ask_not_before: Instant) -> str:
    """Make a plain pass; ASK_ANY_TIME where its holder did not say no."""
    signer = venue.signer("pass")
    content = Pass(
        PassId(random_id()), venue.venue_id, ticket.reference, Custody.PLAIN, now,
        end_of_day(ticket.valid_until), ask_not_before=ask_not_before)
    return form.write(content, signer.key, signer.kid)


def read_here(venue: Venue, text: str, now: Instant) -> Pass:
    """Read a pass at one of this venue's gates.

    Raises BadInput (pass-malformed, pass-altered), Refused (pass-other-venue, pass-expired).
    """
    content = read_even_expired(venue, text)
    check.require_in_time(content, now, latest=now)
    return content


def read_even_expired(venue: Venue, text: str) -> Pass:
    """Read a pass of this venue for somebody who withdraws with it; its date does not matter for that."""
    return check.require_ours(text, signing.verifiers(venue.folder / SIGNING, "pass"), venue.venue_id)


def whose(unit: Unit, content: Pass) -> PersonId:
    """Return whose face a pass is for, by the record of its issue. Raises Refused(pass-plain, pass-unknown)."""
    return PersonId(_record(unit, content).person_id)


def shown(venue: Venue, unit: Unit, text: str, content: Pass) -> Shown:
    """Return what the vault needs of a pass in front, which was issued here with exactly these bytes and read back.

    A stolen signing key mints passes that verify, and opens no face with them: their digest is not the one that the
    key store has. Raises Refused(pass-plain, pass-unknown, pass-void), StoreFault(key-destroyed).
    """
    row = _record(unit, content)
    if row.state == "void":
        raise Refused("pass-void", "This pass was replaced; the new one is good.")
    if row.state != "live" or row.pass_key is None:
        raise Refused("pass-unknown", "This pass opens no face here.")
    key = KeyRef(KeyId(row.pass_key), PASS, PersonId(row.person_id), row.purpose_id)
    found = Shown(key, form.issued_digest(text), content)
    venue.vault.require_issued(found)
    return found


def _record(unit: Unit, content: Pass) -> Any:
    if content.custody is Custody.PLAIN:
        raise Refused("pass-plain", "This pass is a plain one: no face belongs to it.")
    table = schema.issued_pass
    row = unit.run(select(table).where(
        table.c.pass_id == content.pass_id, table.c.purpose_id == content.purpose)).one_or_none()
    if row is None:
        raise Refused("pass-unknown", "This pass opens no face here.")
    return row


def plain_lane(text: str, keys: Verifiers, venue: VenueId, entitlement: Entitlement, now: Instant,
               revoked: RevocationList | None = None) -> Ticket:
    """Check a pass for the lane without faces: see `lane.check.require_good`, which its own process asks too."""
    return check.require_good(text, keys, venue, entitlement, now, revoked)
