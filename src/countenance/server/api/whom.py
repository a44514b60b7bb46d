"""Whom a request is about: somebody on record, as far as whoever asks has to do with them.

A number that nobody has is answered alike for everybody, before anything else is looked at.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import StringConstraints

from countenance.access.roles import Who
from countenance.consent import consents
from countenance.flows import people
from countenance.quantities import PersonId
from countenance.server.state import Serving

Why = Annotated[str, Query(description="Why; the person reads it in their record."),
                StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
"""Nobody reads a record without saying why."""


def on_record(here: Serving, person: str) -> PersonId:
    """Return a person's number. Raises Refused(person-unknown)."""
    with here.venue.store.read() as unit:
        people.row(unit, PersonId(person))
    return PersonId(person)


def wholly(here: Serving, caller: Who, person: str) -> PersonId:
    """As `on_record`, for what concerns everything about a person.

    Raises Refused(key-other-purpose) too, where a key is not for every purpose that they have a consent to on record.
    """
    with here.venue.store.read() as unit:
        people.row(unit, PersonId(person))
        purposes = {consent.purpose for consent in consents.all_of(unit, PersonId(person))}
    for purpose in sorted(purposes):
        caller.require_purpose(purpose)
    return PersonId(person)
