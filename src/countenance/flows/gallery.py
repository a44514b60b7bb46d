"""Galleries in memory: for each 1:N purpose exactly the people whose consent lives and whose ticket is good.

Somebody whose ticket has lapsed is not in it, so their face is not even compared. Before each search the
gate makes sure that the copy is exact; a stale one is thrown away and read anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from countenance.clock import utc_day
from countenance.consent import consents
from countenance.consent.gate import Granted, Members, Press, Stale
from countenance.errors import Refused, StoreFault
from countenance.features import Codes
from countenance.flows import people
from countenance.formats.passes import Custody
from countenance.matching.embedded.gallery import SealedGallery
from countenance.quantities import KeyId, PersonId, PurposeId, TemplateId
from countenance.storage import schema
from countenance.storage.unit import Unit
from countenance.vault.templates import Place, Stored

if TYPE_CHECKING:
    from countenance.flows.venue import Venue


@dataclass(frozen=True)
class Held:
    """A gallery in memory. `owners[row]` is whose template a row of the index is."""

    index: SealedGallery
    members: Members
    owners: tuple[tuple[PersonId, TemplateId], ...]
    tickets: tuple[str, str]  # the list's version and the day it was asked for


class Galleries:
    """The galleries of one open venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._held: dict[PurposeId, Held] = {}
        self._reading: defaultdict[PurposeId, Lock] = defaultdict(Lock)

    def exact(self, purpose: PurposeId) -> Held:
        """Return the gallery as it must be now, reading it anew if it has changed: once, however many ask.

        Raises Refused (purpose-other, sweep-late, gallery-full, ...), StoreFault.
        """
        with self._reading[purpose]:
            return self._exact(purpose)

    def _exact(self, purpose: PurposeId) -> Held:
        held = self._held.get(purpose)
        if held is not None:
            try:
                with self._venue.store.read() as unit:
                    self._venue.gate.is_exact(unit, held.members)
                    self._same_tickets(unit, held)
            except Refused:
                self._held.pop(purpose, None)
            else:
                return held
        self._held[purpose] = self._load(purpose)
        return self._held[purpose]

    def memory(self) -> list[str]:
        """Return, for each gallery that is held, whether what it is opened into is locked into memory."""
        return [f"gallery {purpose}: {held.index.memory}" for purpose, held in self._held.items()]

    def sizes(self) -> dict[str, int]:
        """Return how many templates each gallery in memory holds, by purpose; none is read for it."""
        return {purpose: len(held.owners) for purpose, held in dict(self._held).items()}

    def search_permit(self, purpose: PurposeId, pressed: Press) -> tuple[Held, Granted]:
        """Return the gallery with a permit to search it once, as `ConsentGate.search` gives it.

        The gate looks whether the copy in memory is exact, so it is tried first and read anew only if it is not.
        """
        held = self._held.get(purpose)
        if held is not None and held.tickets == self._tickets_by_the_clock():
            with suppress(Stale):
                return held, self._venue.gate.search(purpose, pressed, held.members)
        held = self.exact(purpose)
        return held, self._venue.gate.search(purpose, pressed, held.members)

    @contextmanager
    def thrown_away_if_altered(self, purpose: PurposeId) -> Iterator[None]:
        """Throw the gallery away where a search inside the block finds it altered; the next one reads it anew."""
        try:
            yield
        except StoreFault as fault:
            if fault.code == "gallery-altered":
                self._held.pop(purpose, None)
            raise

    def _tickets_by_the_clock(self) -> tuple[str, str]:
        # A clock behind the time already seen is refused by the gate, so the day needs no look into the store.
        return self._venue.entitlement.version(), utc_day(self._venue.clock.now()).isoformat()

    def _same_tickets(self, unit: Unit, held: Held) -> None:
        if held.tickets != self._tickets(unit):
            raise Refused("gallery-stale", "Tickets have changed; the gallery must be read again.")

    def _tickets(self, unit: Unit) -> tuple[str, str]:
        return self._venue.entitlement.version(), utc_day(unit.now).isoformat()

    def _load(self, purpose: PurposeId) -> Held:
        venue = self._venue
        with venue.store.read() as unit:
            tickets = self._tickets(unit)
        granted, members = venue.gate.load(purpose)
        rows = self._entitled(self.rows(purpose, members))
        stored = [stored_template(row) for row in rows]
        opened = venue.vault.open_gallery(granted.permit, purpose, members.generation, members.templates, stored)
        owners: list[tuple[PersonId, TemplateId]] = []

        def living() -> Iterator[Codes]:
            for one, codes in zip(stored, opened, strict=True):
                if codes is not None:  # a face whose key is gone is compared by nobody
                    owners.append((one.place.person, one.place.template_id))
                    yield codes

        index = SealedGallery(
            living(), venue.pack.dim, venue.cohort, purpose, members.generation)
        return Held(index, members, tuple(owners), tickets)

    def rows(self, purpose: PurposeId, members: Members) -> list[Any]:
        """Return the rows of the members' templates, still sealed, with what says who agreed to what."""
        table, consent = schema.template, schema.consent
        joined = (table.join(schema.person, table.c.person_id == schema.person.c.person_id)
                  .join(consent, table.c.consent_id == consent.c.consent_id))
        with self._venue.store.read() as unit:
            found = unit.run(
                select(table, schema.person.c.record_key, schema.person.c.sealed_profile,
                       consent.c.notice_hash, consent.c.given_at, consent.c.expires_at,
                       consent.c.sealed.label("sealed_consent"))
                .select_from(joined)
                .where(table.c.purpose_id == purpose, table.c.pack == self._venue.pack.identity)
            ).all()
        return [row for row in found if row.template_id in members.templates]

    def _entitled(self, rows: list[Any]) -> list[Any]:
        with self._venue.store.read() as unit:
            today = utc_day(unit.now)
        sealed = [(people.record_ref(row), "profile", row.sealed_profile) for row in rows]
        agreed = [(people.record_ref(row), consents.label(row.consent_id), row.sealed_consent) for row in rows]
        opened = zip(rows, self._venue.keys.open_many(sealed), self._venue.keys.open_many(agreed), strict=True)
        asked = []
        for row, plain, told in opened:
            agreed_to = consents.agreed(row.purpose_id, row.notice_hash, row.given_at, row.expires_at)
            if plain is not None and told is not None and bytes(told) == agreed_to:
                asked.append((row, people.parse_profile(plain).reference))
            # otherwise their record key is lost, or somebody edited what they agreed to: compared by nobody
        self._venue.entitlement.prefetch([reference for _, reference in asked], today)
        good = []
        for row, reference in asked:
            try:
                self._venue.entitlement.require_good(reference, today)
            except Refused:
                continue  # no ticket today: this face is not compared today
            except StoreFault as fault:
                if not fault.code.startswith("ticket"):
                    raise
                continue  # nobody could say, of this ticket alone: compared once somebody can
            good.append(row)
        return good


def stored_template(row: Any) -> Stored:
    """Return a row of the template table as the vault takes it."""
    place = Place(TemplateId(row.template_id), PersonId(row.person_id), PurposeId(row.purpose_id), row.pack)
    return Stored(place, Custody(row.custody), None if row.face_key is None else KeyId(row.face_key), row.sealed)
