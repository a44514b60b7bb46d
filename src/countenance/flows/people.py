"""People in the store: a random id, a profile sealed under the person's own record key."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from countenance.errors import BadInput, Refused
from countenance.formats import canonical
from countenance.quantities import DAY, KeyId, PersonId
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys.store import RECORD, KeyRef, KeyStore

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

KEPT_DAYS = 400
"""How long a person's record is kept after it was last needed; then the sweep erases it. Fewer is stricter."""

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Profile:
    """What the venue keeps about a person beside consents: their own booking number and language."""

    reference: str
    language: str


def add(unit: Unit, keys: KeyStore, record: KeyRef, profile: Profile, *, household: str = "",
        synthetic: bool = False) -> PersonId:
    """Write a new person whose record key was made under the name `record`."""
    sealed = keys.seal(record, "profile", canonical.encode([profile.reference, profile.language]))
    unit.run(insert(schema.person).values(
        person_id=record.person, record_key=record.key_id, sealed_profile=sealed,
        household=household or None, guardian=None, synthetic=synthetic, delete_at=unit.now + KEPT_DAYS * DAY))
    unit.outbox.begin_chain(record.person, record.key_id)
    return record.person


def keep(unit: Unit, person: PersonId) -> None:
    """Put off the day on which the sweep erases a person: they have just been here."""
    table = schema.person
    unit.run(update(table).where(table.c.person_id == person).values(delete_at=unit.now + KEPT_DAYS * DAY))


_ROW = select(schema.person).where(schema.person.c.person_id == bindparam("wanted"))


def row(unit: Unit, person: PersonId) -> Any:
    """Return a person's row. Raises Refused(person-unknown)."""
    found = unit.run(_ROW, {"wanted": person}).one_or_none()
    if found is None:
        raise Refused("person-unknown", "There is no record of this person.")
    return found


def everybody(unit: Unit) -> frozenset[str]:
    """Return the ids of all people but the made-up ones."""
    table = schema.person
    return frozenset(unit.run(select(table.c.person_id).where(table.c.synthetic.is_(False))).scalars())


def find(unit: Unit, keys: KeyStore, reference: str, besides: Container[str] = ()) -> Any | None:
    """Return the row of the person with a booking number, or None where nobody has it; leaves out `besides`.

    Opens every profile, as there is no index over what is sealed: 0.4 s for 10,000 people. Made-up
    people are left out. A second enrolment on one ticket must find the first: withdrawing is for all there is.
    """
    table = schema.person
    rows = [row for row in unit.run(select(table).where(table.c.synthetic.is_(False))).all()
            if row.person_id not in besides]
    sealed = [(record_ref(row), "profile", row.sealed_profile) for row in rows]
    for row, plain in zip(rows, keys.open_many(sealed), strict=True):
        if plain is not None and parse_profile(plain).reference == reference:
            return row
    return None


def by_reference(venue: Venue, reference: str) -> PersonId:
    """Return who has a booking number, for a desk. Raises Refused(person-unknown)."""
    with venue.store.read() as unit:
        found = find(unit, venue.keys, reference)
    if found is None:
        raise Refused("person-unknown", "Nobody with this booking number is on record.")
    return PersonId(found.person_id)


def record_ref(person_row: Any) -> KeyRef:
    """Return the name of a person's record key."""
    return KeyRef(KeyId(person_row.record_key), RECORD, PersonId(person_row.person_id), "")


def profile(unit: Unit, keys: KeyStore, person: PersonId) -> Profile:
    """Open a person's profile. Raises Refused(person-unknown), StoreFault(key-destroyed)."""
    found = row(unit, person)
    return parse_profile(keys.open(record_ref(found), "profile", found.sealed_profile))


def correct(unit: Unit, keys: KeyStore, person: PersonId, language: str) -> None:
    """Put another language into a person's profile. Raises BadInput(request-fields), Refused, StoreFault."""
    if language not in LANGUAGES:
        raise BadInput("request-fields", f"What is corrected here is the language: {', '.join(LANGUAGES)}.")
    found = row(unit, person)
    before = parse_profile(keys.open(record_ref(found), "profile", found.sealed_profile))
    sealed = keys.seal(record_ref(found), "profile", canonical.encode([before.reference, language]))
    unit.run(update(schema.person).where(schema.person.c.person_id == person).values(sealed_profile=sealed))


def parse_profile(plain: bytes | bytearray) -> Profile:
    """Read an opened profile."""
    reference, language = canonical.decode(bytes(plain), "profile")
    return Profile(reference, language)
