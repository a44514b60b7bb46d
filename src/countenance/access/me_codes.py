"""The code by which a person opens their own page, and the invitation by which they are asked to agree.

Both are typed or scanned by the person, neither stands on what is shown at a gate, and both lead to that person only.
"""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from countenance.access import codes
from countenance.errors import Refused
from countenance.quantities import DAY, PersonId
from countenance.storage import schema
from countenance.storage.unit import Unit

INVITATION_DAYS = 14
"""How long an invitation is good. Fewer is stricter."""

_CODE = schema.me_code


def give(unit: Unit, person: PersonId) -> str:
    """Return a new code for a person's own page; the older counts no more. Raises Refused(person-unknown)."""
    _require_person(unit, person)
    code = codes.typed_code()
    take_back(unit, person)
    unit.run(insert(_CODE).values(person_id=person, code_hash=codes.hash_of(codes.plain(code)), made_at=unit.now))
    return code


def whose(unit: Unit, code: str) -> PersonId:
    """Return whose code this is; case, blanks and dashes do not matter. Raises Refused(me-code-unknown)."""
    found = unit.run(select(_CODE.c.person_id).where(
        _CODE.c.code_hash == codes.hash_of(codes.plain(code)))).scalar_one_or_none()
    if found is None:
        raise Refused("me-code-unknown", "This code is not known here.")
    return PersonId(found)


def take_back(unit: Unit, person: PersonId) -> None:
    """Make a person's code worth nothing; none is no error."""
    unit.run(delete(_CODE).where(_CODE.c.person_id == person))


def invite(unit: Unit, person: PersonId, days: int = INVITATION_DAYS) -> str:
    """Return a code by which a person may be asked to agree; older ones are void. Raises Refused(person-unknown)."""
    _require_person(unit, person)
    return codes.put(unit, codes.INVITE, days * DAY, person=person)


def invited(unit: Unit, code: str) -> PersonId:
    """Return whom an invitation is for. Raises Refused(invitation-unknown): spent, expired or never made."""
    try:
        return codes.look(unit, codes.INVITE, code).person
    except Refused:
        raise _no_invitation() from None


def spend_invitation(unit: Unit, code: str) -> PersonId:
    """As `invited`; the invitation counts no more once the unit commits."""
    try:
        return codes.spend(unit, codes.INVITE, code).person
    except Refused:
        raise _no_invitation() from None


def _require_person(unit: Unit, person: PersonId) -> None:
    table = schema.person
    if unit.run(select(table.c.person_id).where(table.c.person_id == person)).one_or_none() is None:
        raise Refused("person-unknown", "Nobody of this number is on record.")


def _no_invitation() -> Refused:
    return Refused("invitation-unknown", "This invitation is not known here; it may be spent, or too old.")
