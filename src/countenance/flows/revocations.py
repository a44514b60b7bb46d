"""revocations: what a gate that works from a copy must know, signed and dated (docs/flows.md, revocations).

A list says which faces are compared no more (hashes of the random `face_id` in a pass) and which booking numbers
had their passes replaced. It is good for a short while, its lease: a gate whose copy is older closes its lane for
faces, and only that. The venue remembers until when it handed lists to whom, so that a withdrawal can say by when
the last gate has stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert

from countenance import durable
from countenance.errors import BadInput, Refused, StoreFault
from countenance.flows.found import LIST, SIGNING
from countenance.formats import revocations as form
from countenance.formats.passes import Pass
from countenance.formats.revocations import RevocationList
from countenance.quantities import DAY, MINUTE, Instant, PersonId, PurposeId, VenueId
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys import signing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from countenance.flows.venue import Venue

FACE, VOID = "face", "void"

VOID_KEPT_DAYS = 3_653
"""How long a replaced pass stays on the list at least: ten years. More is stricter.

Plain passes are written down nowhere, so nobody knows when the last of a booking number's expires: its ticket may
have been shortened before the replacement and be prolonged after it. Whatever day a pass was good until, it is void.
"""


def revoke(unit: Unit, person: PersonId, purpose: PurposeId) -> None:
    """Put the faces of one person's passes for a purpose on the list."""
    issued = schema.issued_pass
    for row in unit.run(select(issued.c.face_id_hash, issued.c.delete_at).where(
            issued.c.person_id == person, issued.c.purpose_id == purpose, issued.c.face_id_hash.is_not(None))).all():
        _add(unit, FACE, row.face_id_hash, Instant(0), Instant(row.delete_at))
    _next_number(unit)


def void(unit: Unit, venue: VenueId, reference: str, until: Instant) -> Instant:
    """Put every pass of a booking number that was issued up to now on the list, for both lanes.

    `until`: when its ticket ends; the entry is kept for VOID_KEPT_DAYS, or until then where that is later.
    Returns up to which moment passes are void: now, or later by a second for each replacement since; a pass that
    is to be good is dated after it.
    """
    digest = form.reference_hash(venue, reference)
    earlier = _void_up_to(unit, digest)
    before = unit.now if earlier is None else Instant(max(unit.now, earlier + 1))
    _add(unit, VOID, digest, before, Instant(max(until, unit.now + VOID_KEPT_DAYS * DAY)))
    _next_number(unit)
    unit.move_forward()  # an older store would not know it
    return before


def require_not_void(unit: Unit, content: Pass) -> None:
    """Raise Refused(pass-void) where a pass was replaced."""
    before = _void_up_to(unit, form.reference_hash(content.venue, content.reference))
    if before is not None and content.issued_at <= before:
        raise Refused("pass-void", "This pass was replaced; the new one is good.")


def _void_up_to(unit: Unit, digest: bytes) -> Instant | None:
    return cast("Instant | None", unit.run(select(schema.revocation.c.before).where(
        schema.revocation.c.kind == VOID, schema.revocation.c.hash == digest)).scalar_one_or_none())


@dataclass(frozen=True)
class Published:
    """A list as it was handed to a gate."""

    text: str
    number: int
    good_until: Instant


def publish(venue: Venue, gate: str) -> Published:
    """Hand the list in force to a gate. From its last one until `good_until` a withdrawal waits for this gate.

    Raises BadInput(gate-name), StoreFault.
    """
    _named(gate)
    with venue.store.write() as unit:
        content = _in_force(venue, unit)
        until = content.good_until
        new = insert(schema.lease).values(gate=gate, number=-1, until=until)
        unit.run(new.on_conflict_do_update(
            index_elements=["gate"], set_={"until": func.max(schema.lease.c.until, until)}))
    return Published(_signed(venue, content), content.number, until)


def post(venue: Venue) -> None:
    """Write the list in force into the data folder, for lanes on this machine. Raises StoreFault(store-io)."""
    with venue.store.write() as unit:  # read and written in one turn: an older list never lands on a newer one
        text = _signed(venue, _in_force(venue, unit))
        try:
            durable.write(venue.folder / LIST, text.encode())
        except OSError:
            raise StoreFault("store-io", "The list of replaced passes could not be written.") from None


def posted(venue: Venue) -> RevocationList:
    """Read the list that `post` wrote. Raises StoreFault(list-unreadable), and as `read`."""
    try:
        text = durable.read(venue.folder / LIST, form.LARGEST).decode("ascii")
    except (OSError, UnicodeDecodeError):
        raise StoreFault("list-unreadable", "The posted revocation list cannot be read.") from None
    return read(venue, text)


def _in_force(venue: Venue, unit: Unit) -> RevocationList:
    rows = unit.run(select(schema.revocation)).all()
    return RevocationList(
        venue.venue_id, int(unit.mark("list") or 0), unit.now,
        Instant(unit.now + venue.settings.lease_minutes * MINUTE),
        frozenset(row.hash for row in rows if row.kind == FACE),
        {row.hash: Instant(row.before) for row in rows if row.kind == VOID})


def _signed(venue: Venue, content: RevocationList) -> str:
    signer = venue.signer("list")
    return form.write(content, signer.key, signer.kid)


def acknowledge(venue: Venue, gate: str, text: str) -> int:
    """A gate says that it goes by this list now; return its number. Raises Refused(gate-unknown), BadInput."""
    with venue.store.write() as unit:
        content = read(venue, text)
        standing = unit.run(select(schema.lease.c.number).where(schema.lease.c.gate == gate)).scalar_one_or_none()
        if standing is None:
            raise Refused("gate-unknown", "No list was ever handed to a gate of this name.")
        if content.number > standing:
            unit.run(schema.lease.update().where(schema.lease.c.gate == gate).values(number=content.number))
    return content.number


def forget(venue: Venue, gate: str) -> None:
    """A gate is taken out of use: nothing waits for it once its lease is over."""
    with venue.store.write() as unit:
        lease = schema.lease
        standing = unit.run(select(lease.c.until).where(lease.c.gate == gate)).scalar_one_or_none()
        if standing is None:
            raise Refused("gate-unknown", "No list was ever handed to a gate of this name.")
        if standing > unit.now:
            raise Refused("gate-leased", "This gate may still go by its list; wait until its lease is over.")
        unit.run(delete(lease).where(lease.c.gate == gate))


def final_by(unit: Unit) -> Instant | None:
    """Return by when the last gate that goes by an older list has stopped, or None where none does."""
    lease = schema.lease
    latest = unit.run(select(func.max(lease.c.until)).where(
        lease.c.until > unit.now, lease.c.number < int(unit.mark("list") or 0))).scalar_one_or_none()
    return None if latest is None else Instant(latest)


def read(venue: Venue, text: str) -> RevocationList:
    """Read a list of this venue. Raises BadInput(list-malformed, list-altered), Refused(list-other-venue)."""
    key = signing.verifier(venue.folder / SIGNING, "list")
    return read_with(text, key, venue.venue_id)


def read_with(text: str, key: Ed25519PublicKey, venue_id: str) -> RevocationList:
    """Read a list at a gate that has the public key alone. Raises as `read`."""
    content = form.read(text, key)
    if content.venue != venue_id:
        raise Refused("list-other-venue", "This list is of another venue.")
    return content


def require_fresh(content: RevocationList, now: Instant) -> None:
    """Raise Refused(list-stale): by an old list no face is compared. The lane without faces goes on by it."""
    if not content.issued_at <= now + MINUTE or now >= content.good_until:
        raise Refused("list-stale", "This gate's copy of the revocation list is too old; it compares no face.")


def require_unrevoked(content: RevocationList, shown: Pass, now: Instant) -> None:
    """Look a pass up at a gate for faces. Raises Refused(list-stale, face-revoked, pass-void)."""
    require_fresh(content, now)
    content.require_not_void(shown)
    content.require_face(shown)


def require_face_of(unit: Unit, content: RevocationList, person: PersonId, purpose: PurposeId) -> None:
    """Look the person up whose face was found at a gate that goes by a list. Raises Refused(face-revoked).

    A withdrawal puts the faces of all their passes for the purpose on it, so one that is not there says that the face
    may be compared. Whoever has no pass that is still good could not be named, and is compared no more either.
    """
    issued = schema.issued_pass
    known = unit.run(select(issued.c.face_id_hash).where(
        issued.c.person_id == person, issued.c.purpose_id == purpose, issued.c.face_id_hash.is_not(None),
        issued.c.delete_at > unit.now)).scalars().all()
    if content.faces.issuperset(known):
        raise Refused("face-revoked", "By this gate's list this face is compared no more.")


def _add(unit: Unit, kind: str, digest: bytes, before: Instant, delete_at: Instant) -> None:
    new = insert(schema.revocation).values(kind=kind, hash=digest, before=before, delete_at=delete_at)
    unit.run(new.on_conflict_do_update(index_elements=["kind", "hash"], set_={
        "before": before, "delete_at": func.max(schema.revocation.c.delete_at, delete_at)}))


def _next_number(unit: Unit) -> None:
    unit.set_mark("list", Instant(int(unit.mark("list") or 0) + 1))


def _named(gate: str) -> None:
    if not gate or len(gate) > 64 or not gate.isprintable():
        raise BadInput("gate-name", "A gate's name is one line of at most 64 characters.")
