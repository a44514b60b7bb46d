"""Made-up people in two throw-away venues, and all that is stored or carried of them, for `unlinkability`.

They go through consent, keys, permits, vault, passes, withdrawal and erasure by the functions that everybody goes
through, for each way of keeping a face; only their captures are drawn instead of photographed
(`vision.synthetic.Crowd`). Each venue has booking numbers of its own; a person reads one language everywhere.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Boolean, Integer, Table, select, update

from countenance.clock import SetClock, SystemClock
from countenance.consent import consents, notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.features import Codes
from countenance.flows import enrol, found, gallery, passes, people, withdraw
from countenance.flows.opening import open_venue
from countenance.flows.people import Profile
from countenance.flows.ports import Ticket
from countenance.flows.venue import Venue
from countenance.formats.passes import Custody, Pass, issued_digest
from countenance.formats.revocations import reference_hash
from countenance.quantities import HOUR, PersonId, PurposeId, TemplateId, random_id
from countenance.storage import engine as engines
from countenance.storage import key_schema, schema
from countenance.storage.unit import Unit
from countenance.vault.keys.store import FACE, PASS, RECORD, KeyRef, new_ref
from countenance.vault.templates import Place
from countenance.vision.synthetic import Crowd, load

PURPOSES = {Custody.CARRIED: PurposeId("entry.verify"), Custody.HOLDER_KEYED: PurposeId("entry.key"),
            Custody.VENUE_KEYED: PurposeId("entry.search")}
"""Of the scenario `annual-pass`."""

LANGUAGES = ("en", "zh")
STEPS = 32
"""How many steps `progress` counts for each person."""

_BATCH = 500
_MEMORY, _ROOM = Path("/dev/shm"), 1 << 30  # noqa: S108  # made-up people only, in a folder of its own, removed after
_REFERENCE_CHARACTERS = 10


@dataclass(frozen=True)
class Trace:
    """What there is of one person for one purpose at one moment; values by name.

    `sealed`: the face, or the key to it, as ciphertext. `stored`: every other value of the rows about them in both
    stores, by `TABLE.COLUMN`, without times and counts. `shown`: what a pass says in the clear, and what the list of
    replaced passes would say of it. `codes`: the template as whoever has every key opens it, int8 (dimension,).
    """

    sealed: dict[str, bytes]
    stored: dict[str, bytes]
    shown: dict[str, bytes]
    codes: Codes


Traces = dict[Custody, list[Trace]]
"""For each custody, one trace of each person, in the crowd's order."""


def visits(number: int, seed: int, did: Callable[[int], None]) -> dict[str, tuple[Traces, Traces]]:
    """Return the traces of `number` people before and after, or here and there.

    "venues": the same people in two venues. "renewal": before and after everybody withdrew and enrolled anew, as
    after a lost pass; their records stay. "erasure": before and after everybody was erased and enrolled anew.
    `did` is told the steps done, `STEPS` a person in all. Raises as the stories do.
    """
    with _two_venues(number, seed, did) as (here, there):
        here.enrol()
        first = here.traces()
        here.withdraw()
        here.enrol()
        renewed = here.traces()
        there.enrol()
        other = there.traces()
        there.erase()
        there.enrol()
        return {"venues": (first, other), "renewal": (first, renewed), "erasure": (other, there.traces())}


@contextmanager
def _two_venues(number: int, seed: int, did: Callable[[int], None]) -> Iterator[tuple[CrowdAt, CrowdAt]]:
    clock = SetClock(SystemClock().now())  # it stands while a step is taken, so that no permit lapses and no time links
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="countenance-", dir=_in_memory())))
        venues = []
        for name in ("Here", "There"):
            found.found(scratch / name, clock, name=name, contact="nobody", scenario="annual-pass", regime="cn")
            venues.append(opened.enter_context(open_venue(scratch / name, _Tickets(), clock)))
        pack = venues[0].pack
        crowd = Crowd(load(pack.identity), pack.step, seed, number)
        read = np.random.default_rng([seed, 1]).integers(len(LANGUAGES), size=number)
        here, there = (CrowdAt(venue, clock, crowd, [LANGUAGES[one] for one in read], did) for venue in venues)
        yield here, there


def _in_memory() -> Path | None:
    """Return a folder in memory where there is one with room: thousands of stories wait for no disk there."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None


class _Tickets:
    """Everybody's ticket is good: see `flows.ports.Entitlement`."""

    def require_good(self, reference: str, on: date) -> Ticket:
        return Ticket(reference, "", on + timedelta(days=300), "")

    def party(self, reference: str, on: date) -> int:
        del reference, on
        return 1

    def prefetch(self, references: Collection[str], on: date) -> None:
        """Everything is at hand."""

    def require_whole(self) -> None:
        """There is no list, so none is broken."""

    def version(self) -> str:
        return "made up"


@dataclass
class _Guest:
    """One person as one venue knows them."""

    record: KeyRef
    reference: str
    language: str
    known: bool = False


@dataclass(frozen=True)
class _Issued:
    key: KeyRef
    text: str


class CrowdAt:
    """The crowd at one venue, enrolled for every purpose or not at all."""

    def __init__(self, venue: Venue, clock: SetClock, crowd: Crowd, languages: list[str],
                 did: Callable[[int], None]) -> None:
        self._venue = venue
        self._clock = clock
        self._crowd = crowd
        self._did = did
        self._guests = [_Guest(_stranger(), random_id()[:_REFERENCE_CHARACTERS], language) for language in languages]
        self._issued: dict[Custody, list[_Issued]] = {}

    def enrol(self) -> None:
        """Enrol everybody for every purpose, each time with a new capture. Who is on record keeps their record."""
        self._clock.move(HOUR)
        for custody, purpose in PURPOSES.items():
            self._issued[custody] = []
            for start in range(0, len(self._guests), _BATCH):
                some = range(start, min(len(self._guests), start + _BATCH))
                self._issued[custody] += self._batch(some, custody, purpose)
                self._did(len(some))

    def withdraw(self) -> None:
        """Everybody withdraws every consent; their records stay."""
        self._clock.move(HOUR)
        for guest in self._guests:
            for purpose in PURPOSES.values():
                withdraw.withdraw(self._venue, guest.record.person, purpose)
            self._did(3)

    def erase(self) -> None:
        """Everybody is erased whole, and is a stranger with the same booking number from then on."""
        self._clock.move(HOUR)
        for number, guest in enumerate(self._guests):
            withdraw.erase(self._venue, guest.record.person)
            self._guests[number] = _Guest(_stranger(), guest.reference, guest.language)
            self._did(5)

    def traces(self) -> Traces:
        """Return what there is of everybody now."""
        found = {}
        for custody, purpose in PURPOSES.items():
            stored = self._stored(purpose)
            codes = self._searched(purpose) if custody is Custody.VENUE_KEYED else self._verified(custody, purpose)
            found[custody] = [self._trace(stored[guest.record.person], one, codes[guest.record.person])
                              for guest, one in zip(self._guests, self._issued[custody], strict=True)]
            self._did(len(found[custody]))
        return found

    def _batch(self, some: range, custody: Custody, purpose: PurposeId) -> list[_Issued]:
        venue, guests = self._venue, [self._guests[number] for number in some]
        kind = FACE if custody is Custody.VENUE_KEYED else PASS
        keys = [new_ref(kind, guest.record.person, purpose) for guest in guests]
        with venue.keys.at_hand():
            venue.keys.make(keys + [guest.record for guest in guests if not guest.known])
            with venue.store.write() as unit:
                made = [self._one(unit, number, key) for number, key in zip(some, keys, strict=True)]
                unit.run(update(schema.issued_pass).where(schema.issued_pass.c.state == "pending")
                         .values(state="live"))
        for one in made:
            if kind == PASS:
                venue.keys.bind(one.key, issued_digest(one.text))
        return made

    def _one(self, unit: Unit, number: int, key: KeyRef) -> _Issued:
        """Do for one person what `flows.enrol` does in its transaction."""
        venue, guest = self._venue, self._guests[number]
        profile = Profile(guest.reference, guest.language)
        if not guest.known:
            people.add(unit, venue.keys, guest.record, profile, synthetic=True)
            guest.known = True
        purpose = notices.purpose(unit, PurposeId(key.purpose))
        yes = Yes(notices.hash_in_force(unit, purpose.purpose_id), guest.language, Act.SYNTHETIC)
        consent, _ = consents.give(unit, key.person, purpose.purpose_id, yes)
        granted = venue.gate.enrol(unit, key.person, purpose.purpose_id)
        place = Place(TemplateId(random_id()), key.person, purpose.purpose_id, venue.pack.identity)
        blank = passes.draft(venue, unit, profile, consent, purpose, place.pack)
        with self._crowd.embed(number, venue.book, granted.permit, granted.scope) as probe:
            kept = venue.vault.seal(granted.permit, probe, place, blank.custody, key, blank.binding())
        enrol.add_template(unit, place, consent, purpose, key, kept.sealed, state="live")
        return _Issued(key, passes.issue(venue, unit, replace(blank, secret=kept.secret), key.person,
                                         key if key.kind == PASS else None))

    def _stored(self, purpose: PurposeId) -> dict[PersonId, dict[str, bytes]]:
        """Return all living values about everybody for one purpose, of both stores."""
        consent, template, issued = schema.consent, schema.template, schema.issued_pass
        wanted = {schema.person: (), consent: (consent.c.purpose_id == purpose, consent.c.state == "given"),
                  template: (template.c.purpose_id == purpose,),
                  issued: (issued.c.purpose_id == purpose, issued.c.state == "live")}
        found: dict[PersonId, dict[str, bytes]] = {}
        with self._venue.store.read() as unit:
            for table, where in wanted.items():
                for row in unit.run(select(table).where(*where)).all():
                    found.setdefault(PersonId(row.person_id), {}).update(_values(table, row))
        with engines.reading(self._venue.keys.engine) as connection:
            table = key_schema.wrapped_key
            keys = {row.key_id: _values(table, row) for row in connection.execute(select(table)).all()}
        for values in found.values():
            for name in ("person.record_key", "template.face_key", "issued_pass.pass_key"):
                for column, value in keys.get(values.get(name, b"").hex(), {}).items():
                    values[f"{column} of {name}"] = value
        return found

    def _searched(self, purpose: PurposeId) -> dict[PersonId, Codes]:
        """Open the gallery, as whoever has the keys can: with the permit that a gate loads it with."""
        granted, members = self._venue.gate.load(purpose)
        with self._venue.store.read() as unit:
            rows = unit.run(select(schema.template).where(schema.template.c.purpose_id == purpose)).all()
        stored = [gallery.stored_template(row) for row in rows]
        opened = self._venue.vault.open_gallery(
            granted.permit, purpose, members.generation, members.templates, stored)
        return {one.place.person: codes for one, codes in zip(stored, opened, strict=True) if codes is not None}

    def _verified(self, custody: Custody, purpose: PurposeId) -> dict[PersonId, Codes]:
        """Open everybody's template with their pass, each with the permit of a comparison at a gate."""
        venue, found = self._venue, {}
        for guest, issued in zip(self._guests, self._issued[custody], strict=True):
            person = guest.record.person
            granted = venue.gate.verify(person, purpose)
            with venue.store.read() as unit:
                shown = passes.shown(venue, unit, issued.text, passes.read_here(venue, issued.text, unit.now))
                stored = gallery.stored_template(enrol.live_template(unit, person, purpose))
            with venue.vault.open(granted.permit, stored, shown) as reference:
                found[person] = reference.codes.copy()
        return found

    def _trace(self, stored: dict[str, bytes], issued: _Issued, codes: Codes) -> Trace:
        content = passes.read_even_expired(self._venue, issued.text)
        sealed = {"at the venue": stored["template.sealed"], "in the pass": content.secret}
        stored = {name: value for name, value in stored.items() if name != "template.sealed"}
        return Trace({where: value for where, value in sealed.items() if value}, stored, _shown(content), codes)


def _stranger() -> KeyRef:
    return new_ref(RECORD, PersonId(random_id()), "")


def _values(table: Table, row: Any) -> dict[str, bytes]:
    """Return the values of a row by name. Numbers are times and counts here, and left out."""
    return {f"{table.name}.{column.name}": _bytes(row._mapping[column.name]) for column in table.columns  # noqa: SLF001  # SQLAlchemy's public name for it
            if not isinstance(column.type, Integer | Boolean) and row._mapping[column.name] is not None}  # noqa: SLF001  # as above


def _shown(content: Pass) -> dict[str, bytes]:
    said = {f"pass.{field.name}": getattr(content, field.name) for field in fields(content) if field.name != "secret"}
    texts = {name: _bytes(value) for name, value in said.items() if isinstance(value, str | bytes)}
    return texts | {"revocation.hash of pass.reference": reference_hash(content.venue, content.reference)}


def _bytes(value: str | bytes) -> bytes:
    """Return a value's bytes; random ids are written in hex."""
    if isinstance(value, bytes):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        return value.encode()
