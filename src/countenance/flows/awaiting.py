"""awaiting: people who are on record before they have said anything, for somebody to ask them.

They come from an older system's list, or from a client that adds faces: a booking number and a language, sealed under a
record key of their own. No picture is taken over: a face comes by a new capture only, with the person's own yes
(`enrol`, which finds them by their booking number). Who has not said it after 30 days is erased by the sweep.

(1) Whom the venue knows already is looked up; (2) an intent names the record keys of a batch, then they are made; (3)
in one transaction: nobody came between, then rows, an event in each chain, invitations, and the intent's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from countenance.access import me_codes
from countenance.consent.states import State
from countenance.errors import BadInput, Refused
from countenance.flows import intents, people, withdraw
from countenance.flows.intents import Intent
from countenance.flows.people import Profile
from countenance.formats import canonical
from countenance.quantities import DAY, PersonId, PurposeId, random_id
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.keys.store import RECORD, KeyRef, new_ref

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

KEPT_DAYS = 30
"""How long somebody who has not said yes is on record. Fewer is stricter."""

LONGEST_REFERENCE, LONGEST_LANGUAGE = 64, 16
"""Characters."""

BATCH = 200
"""People who are put on record in one transaction, for which every gate waits: about 0.1 s."""

_TRIES = 3  # where desks enrol somebody at the same moment

remove = withdraw.erase
"""Take somebody off the record, whether they have said yes meanwhile or not: whole, with receipts."""


@dataclass(frozen=True)
class Newcomer:
    """Somebody to put on record. `household` is the venue's own name for a family, or empty."""

    reference: str
    language: str
    household: str = ""


@dataclass(frozen=True)
class Added:
    """Who somebody is here. `known`: they were on record before; `invitation`: a code to send them, or empty."""

    person: PersonId
    reference: str
    known: bool
    invitation: str = ""


@dataclass(frozen=True)
class OnRecord:
    """One person: `purposes` are those for which a face of theirs is enrolled and live, by template."""

    person: PersonId
    reference: str
    purposes: dict[PurposeId, str]


def require_reference(text: str) -> str:
    """Return a booking number without blanks around it. Raises BadInput(reference-missing, reference-text).

    Letters that cannot be seen, or that turn the direction of writing, would make two people look like one.
    """
    reference = text[:LONGEST_REFERENCE * 4].strip()
    if not reference:
        raise BadInput("reference-missing", "A booking number, or a name, is needed.")
    if len(reference) > LONGEST_REFERENCE or len(text) > LONGEST_REFERENCE * 4 or not reference.isprintable():
        raise BadInput("reference-text",
                       f"A booking number has at most {LONGEST_REFERENCE} characters that can be printed.")
    return reference


def require_language(text: str) -> str:
    """Return a language's tag, such as en or zh-Hans. Raises BadInput(reference-language)."""
    parts = text.split("-")
    if not text.isascii() or len(text) > LONGEST_LANGUAGE or not all(part.isalnum() for part in parts) \
            or not (parts[0].isalpha() and 2 <= len(parts[0]) <= 3):
        raise BadInput("reference-language", "A language is a tag such as en or zh.")
    return text


def add(venue: Venue, reference: str, language: str, household: str = "", source: str = "client") -> PersonId:
    """Put one person on record, awaiting consent; who is there already stays as they are. Durable on return.

    `source` says in their own record where they came from. Raises BadInput(reference-*), Refused, StoreFault.
    """
    one = Newcomer(require_reference(reference), require_language(language), household)
    return add_all(venue, [one], source)[0].person


def add_all(venue: Venue, newcomers: Sequence[Newcomer], source: str, *, invite: bool = False,
            progress: Callable[[int, int], None] = lambda _done, _all: None) -> list[Added]:
    """Put many on record, a batch at a time; their texts are those that `require_reference` returns, each once.

    `invite`: with a code for each who has no standing consent, new or known. What a failure leaves is whole batches:
    asking again goes on after them. Raises Refused(enrolment-crossed), StoreFault.
    """
    venue.store.require_forward()
    roll = Roll(venue)                                                      # (1)
    added: list[Added] = []
    for start in range(0, len(newcomers), BATCH):
        some = newcomers[start:start + BATCH]
        added += _tried(venue, roll, some, source, invite)
        progress(start + len(some), len(newcomers))
    return added


class Roll:
    """Who is on record, by booking number: every profile is opened once, as there is no index over what is sealed."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._by_reference: dict[str, PersonId] = {}
        self._seen: set[str] = set()
        self._upto = -1
        with venue.store.read() as unit:
            self.catch_up(unit)

    def person(self, reference: str) -> PersonId | None:
        """Return who has a booking number, or None."""
        return self._by_reference.get(reference)

    def catch_up(self, unit: Unit) -> int:
        """Open the profiles of whoever came since, and return how many. Who comes leaves an event in the log."""
        upto = int(unit.run(select(func.max(schema.event.c.event_id))).scalar_one() or 0)
        if upto == self._upto:
            return 0
        table = schema.person
        names = set(unit.run(select(table.c.person_id).where(table.c.synthetic.is_(False))).scalars()) - self._seen
        rows = [row for row in unit.run(select(table)).all() if row.person_id in names] if names else []
        sealed = [(people.record_ref(row), "profile", row.sealed_profile) for row in rows]
        for row, plain in zip(rows, self._venue.keys.open_many(sealed), strict=True):
            if plain is not None:
                self._by_reference.setdefault(people.parse_profile(plain).reference, PersonId(row.person_id))
        self._seen |= names
        self._upto = upto
        return len(rows)

    def note(self, added: Sequence[Added], upto: int) -> None:
        """Take note of people whose rows are committed; `upto`: the row of their last event."""
        self._upto = upto
        self._by_reference |= {one.reference: one.person for one in added}
        self._seen |= {one.person for one in added}


def _tried(venue: Venue, roll: Roll, some: Sequence[Newcomer], source: str, invite: bool) -> list[Added]:
    for _ in range(_TRIES):
        try:
            return _batch(venue, roll, some, source, invite)
        except _Crossed:
            continue
    raise Refused("enrolment-crossed", "Others are being enrolled just now; try again.")


class _Crossed(Refused):
    """Somebody of this batch was put on record by others meanwhile."""


def _batch(venue: Venue, roll: Roll, some: Sequence[Newcomer], source: str, invite: bool) -> list[Added]:
    new = [one for one in some if roll.person(one.reference) is None]
    records = {one.reference: new_ref(RECORD, PersonId(random_id()), "") for one in new}
    with _undone_on_failure(venue, list(records.values())) as intent, venue.keys.at_hand():
        if new:
            venue.keys.make(list(records.values()))                         # (2)
        with venue.store.write() as unit:                                   # (3)
            if roll.catch_up(unit) and any(roll.person(reference) for reference in records):
                raise _Crossed("enrolment-crossed", "Somebody enrolled on this ticket meanwhile.")
            if intent is not None:
                intents.require_standing(unit, intent)
                intents.end(unit, intent)
            rows = [_one(venue, unit, records[one.reference], one, source) for one in new]
            _kept_for_now(unit, list(records.values()))
            added = [_added(unit, roll, records.get(one.reference), one.reference, invite) for one in some]
    if new:
        roll.note([one for one in added if not one.known], rows[-1])
    return added


def _one(venue: Venue, unit: Unit, record: KeyRef, one: Newcomer, source: str) -> int:
    person = people.add(unit, venue.keys, record, Profile(one.reference, one.language), household=one.household)
    return unit.tell_of(person, "person-awaiting", {"from": source}).row


def _kept_for_now(unit: Unit, records: Sequence[KeyRef]) -> None:
    table = schema.person
    unit.run(update(table).where(table.c.person_id.in_([ref.person for ref in records]))
             .values(delete_at=unit.now + KEPT_DAYS * DAY))


def _added(unit: Unit, roll: Roll, record: KeyRef | None, reference: str, invite: bool) -> Added:
    person = record.person if record is not None else roll.person(reference)
    assert person is not None  # noqa: S101  # whoever is not new was found in the roll
    asked = invite and not _has_agreed(unit, person)
    return Added(person, reference, record is None, me_codes.invite(unit, person) if asked else "")


def _has_agreed(unit: Unit, person: PersonId) -> bool:
    table = schema.consent
    return unit.run(select(table.c.consent_id).where(
        table.c.person_id == person, table.c.state == State.GIVEN.value).limit(1)).first() is not None


@contextmanager
def _undone_on_failure(venue: Venue, records: Sequence[KeyRef]) -> Iterator[Intent | None]:
    if not records:
        yield None
        return
    with venue.store.write() as unit:  # as an enrolment: what undoes one undoes this
        intent = intents.begin(unit, "enrol", PersonId(""), PurposeId(""), [ref.key_id for ref in records])
    try:
        yield intent
    except intents.Abandoned:
        raise  # undone by the sweep
    except BaseException:
        intents.undo(venue, intent)
        raise


def rename(venue: Venue, person: PersonId, reference: str) -> None:
    """Correct the booking number of somebody who has no pass yet.

    A pass holds the number it was issued to, and goes on holding it: who has one keeps theirs. Raises
    BadInput(reference-*), Refused(person-unknown, person-has-pass, reference-taken), StoreFault.
    """
    reference = require_reference(reference)
    with venue.store.write() as unit:
        row = people.row(unit, person)
        issued = schema.issued_pass
        if unit.run(select(issued.c.pass_id).where(issued.c.person_id == person).limit(1)).first() is not None:
            raise Refused("person-has-pass", "This person has a pass with their number on it; it stays theirs.")
        if people.find(unit, venue.keys, reference, besides={person}) is not None:
            raise Refused("reference-taken", "Somebody else has this booking number.")
        record = people.record_ref(row)
        before = people.parse_profile(venue.keys.open(record, "profile", row.sealed_profile))
        sealed = venue.keys.seal(record, "profile", canonical.encode([reference, before.language]))
        unit.run(update(schema.person).where(schema.person.c.person_id == person).values(sealed_profile=sealed))
        unit.tell_of(person, "profile-corrected", {})
    venue.store.empty_wal()


def everybody(venue: Venue) -> list[OnRecord]:
    """Return everybody on record but the made-up ones, by booking number; 0.4 s for 10,000 people.

    Whose record key is lost is left out.
    """
    table, template = schema.person, schema.template
    with venue.store.read() as unit:
        rows = unit.run(select(table).where(table.c.synthetic.is_(False))).all()
        faces = unit.run(select(template.c.person_id, template.c.purpose_id, template.c.template_id).where(
            template.c.state == "live")).all()
    enrolled: dict[str, dict[PurposeId, str]] = {}
    for face in faces:
        enrolled.setdefault(face.person_id, {})[PurposeId(face.purpose_id)] = face.template_id
    sealed = [(people.record_ref(row), "profile", row.sealed_profile) for row in rows]
    opened = zip(rows, venue.keys.open_many(sealed), strict=True)
    return sorted((OnRecord(PersonId(row.person_id), people.parse_profile(plain).reference,
                            enrolled.get(row.person_id, {}))
                   for row, plain in opened if plain is not None), key=lambda one: (one.reference, one.person))
