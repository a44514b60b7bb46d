"""restore: a store is put back from its copy, and nobody who withdrew comes back with it (docs/flows.md, restore).

(1) the copies are whole, of this venue, and not older than the epoch in force; (2) the third place says that a
restore is under way: from here no face is compared until (6); (3) the copies take their places, each by one rename;
(4) every key that was destroyed since is destroyed again; (5) everybody is asked again: no consent given up to now
counts until it is renewed; (6) the third place is in order; (7) a new epoch, so that no copy opens any more.
Interrupted anywhere it is simply done again, with the same copies or, once they are in place, without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select

from countenance import durable, settings
from countenance.clock import Clock
from countenance.consent.states import State
from countenance.errors import BadInput, Refused, StoreFault
from countenance.flows import rotate, withdraw
from countenance.flows.found import DATA, KEYS, LOCK
from countenance.flows.ports import Entitlement
from countenance.flows.recover import RESTORED, finish, recover
from countenance.flows.venue import Venue
from countenance.formats import canonical
from countenance.quantities import Instant, PersonId, PurposeId
from countenance.storage import engine as engines
from countenance.storage import key_schema, migrate, schema
from countenance.storage.folder import moved_in
from countenance.vault.keys import roots
from countenance.vault.keys.store import FACE, PASS
from countenance.vault.keys.third import ThirdPlace


@dataclass(frozen=True)
class Copies:
    """The files to put back; None: that store stays as it lies."""

    data: Path | None = None
    keys: Path | None = None


@dataclass(frozen=True)
class Loss:
    """What putting a copy back would lose: people who are on record here and not in the copy."""

    people: int
    events: int


@dataclass(frozen=True)
class Restored:
    """What came of it. `asked_again`: standing consents that wait for their person; `unopened`: faces without a key;

    `erased`: people whose record has no key, because they were erased since, or came later than the copy of the keys.
    """

    asked_again: int
    unopened: int
    erased: int
    epoch: int


def examine(folder: Path, copies: Copies) -> Loss:
    """Look at copies before anything is changed, and say what would be lost.

    Raises BadInput (backup-*), Refused (restore-older, restore-epoch), StoreFault (store-*, epoch-*).
    """
    with _alone(folder), _laid_beside(folder, copies) as beside:
        return _examined(folder, beside)


def restore(folder: Path, entitlement: Entitlement, clock: Clock, copies: Copies,
            progress: Callable[[int, int], None] = lambda _done, _all: None) -> Restored:
    """Put stores back from copies, or (without any) settle stores that were put back by hand.

    Needs the folder alone. Raises as `examine`, and StoreFault(store-busy). `progress` is of the rotation.
    """
    with _alone(folder):
        with _laid_beside(folder, copies) as beside:
            _examined(folder, beside)                                       # (1)
            _third(folder).gone.restoring()                                 # (2)
            _put(folder, beside)                                            # (3)
        venue = Venue(folder, clock, entitlement)
        try:
            return _settled(venue, progress)
        finally:
            venue.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    settings.load(folder)
    with moved_in(folder / LOCK) as tenancy:
        if not tenancy.alone:
            raise StoreFault("store-busy", "Another process has this venue open; a restore needs it alone.")
        yield


@contextmanager
def _laid_beside(folder: Path, copies: Copies) -> Iterator[Copies]:
    """Copy the files beside their places: what is looked at is what is put in place, and theirs stay untouched."""
    try:
        yield Copies(_beside(copies.data, folder / DATA), _beside(copies.keys, folder / KEYS))
    finally:
        for name in (DATA, KEYS):
            for path in folder.glob(f"{name}{RESTORED}*"):
                path.unlink()


def _beside(copy: Path | None, place: Path) -> Path | None:
    if copy is None:
        return None
    to = place.with_name(place.name + RESTORED)
    try:
        to.unlink(missing_ok=True)
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, durable.SECRET), "wb") as out, \
                copy.open("rb") as source:
            shutil.copyfileobj(source, out)
        durable.sync(to)
    except OSError:
        raise BadInput("backup-unreadable", f"{copy.name} cannot be read.") from None
    return to


def _examined(folder: Path, beside: Copies) -> Loss:
    loss = Loss(0, 0)
    if beside.data is not None:
        with _database(beside.data, schema.HEAD, "data") as data:
            _of_this_venue(data, folder)
            loss = _loss(folder / DATA, data)
    if beside.keys is not None:
        with _database(beside.keys, key_schema.HEAD, "key") as keys:
            _of_this_epoch(keys, folder)
            _not_over_a_good_one(folder, keys)
    return loss


@contextmanager
def _database(path: Path, head: str, which: str) -> Iterator[Engine]:
    try:
        engine = engines.open_engine(path)
        try:
            engines.require_whole(engine)
            migrate.require_current(engine, head, which)
            yield engine
        finally:
            engine.dispose()
    except StoreFault as fault:
        if fault.code in {"store-corrupt", "store-incomplete"}:
            raise BadInput("backup-damaged", f"This is not a whole backup of the {which} store.") from None
        raise


def _of_this_venue(data: Engine, folder: Path) -> None:
    with engines.reading(data) as connection:
        rows = connection.execute(select(schema.event.c.clear).where(
            schema.event.c.clear.is_not(None)).order_by(schema.event.c.event_id).limit(1)).scalars().all()
    founded = canonical.decode(rows[0], "event")["body"].get("venue") if rows else ""
    if founded != settings.load(folder).venue:
        raise BadInput("backup-other-venue", "This backup is of another venue.")


def _of_this_epoch(keys: Engine, folder: Path) -> None:
    known = {epoch.number for epoch in _third(folder).epochs.read()}
    with engines.reading(keys) as connection:
        epochs = set(connection.execute(select(key_schema.wrapped_key.c.epoch).distinct()).scalars())
    if epochs and not epochs & known:
        raise Refused("restore-epoch", f"This copy is of epoch {max(epochs)}, whose key no longer exists: "
                                       "nothing in it opens. Everybody in it would have to enrol again.")


def _not_over_a_good_one(folder: Path, keys: Engine) -> None:
    """Refuse a copy of the key store while the key store itself is in order: it knows more than any copy.

    One that was interrupted after it had destroyed keys again may be done again: nothing that is here is lost by that.
    """
    try:
        with _database(folder / KEYS, key_schema.HEAD, "key") as standing:
            now, then = _ids(standing), _ids(keys)
    except (BadInput, StoreFault):
        return
    if now - then or (then - now and not _under_way(folder)):
        raise Refused("restore-older", f"The key store here is in order. This copy lacks {len(now - then)} of its "
                                       f"keys, which would be lost; {len(then - now)} destroyed ones would come back.")


def _under_way(folder: Path) -> bool:
    try:
        return _third(folder).gone.read().restoring
    except StoreFault:
        return False


def _ids(keys: Engine) -> set[str]:
    with engines.reading(keys) as connection:
        return set(connection.execute(select(key_schema.wrapped_key.c.key_id)).scalars())


def _loss(here: Path, data: Engine) -> Loss:
    try:
        with _database(here, schema.HEAD, "data") as standing:
            now, then = _people(standing), _people(data)
    except (BadInput, StoreFault):
        return Loss(0, 0)
    return Loss(len(now[0] - then[0]), max(0, now[1] - then[1]))


def _people(data: Engine) -> tuple[set[str], int]:
    with engines.reading(data) as connection:
        people = set(connection.execute(select(schema.person.c.person_id)).scalars())
        return people, int(connection.execute(select(func.count()).select_from(schema.event)).scalar_one())


def _third(folder: Path) -> ThirdPlace:
    here = settings.load(folder)
    return ThirdPlace.of(folder, roots.open_root(here.root, folder), here.offsite)


def _put(folder: Path, beside: Copies) -> None:
    for new, name in ((beside.data, DATA), (beside.keys, KEYS)):
        if new is not None:
            for log in (f"{name}-wal", f"{name}-shm"):  # of the old file; it would be played into the new one
                (folder / log).unlink(missing_ok=True)
            for log in (f"{new.name}-wal", f"{new.name}-shm"):
                (folder / log).unlink(missing_ok=True)
            durable.sync(new)  # and its folder: the old logs are gone for good before their file is another one
            new.replace(folder / name)
            durable.sync(folder / name)


def _settled(venue: Venue, progress: Callable[[int, int], None]) -> Restored:
    for engine in (venue.keys.engine, venue.store.engine):
        engines.require_whole(engine)  # put back by hand, perhaps, or beside another one's log
    gone = venue.keys.place.gone.read()
    venue.keys.drop_dead()
    # Where the list of what is gone is lost itself, no key of a face is believed: everybody enrols again.
    venue.keys.destroy([*gone.keys, *(venue.keys.ids(FACE, PASS) if gone.lost else ())])   # (4)
    with venue.store.write() as unit:                                       # (5)
        unit.set_mark("asked_from", unit.now)
        unit.set_mark("forward", Instant(max(gone.count, unit.mark("forward") or 0)))
        unit.move_forward()
        unit.set_mark("rotate_by", unit.now)
        unit.set_mark("erased", Instant(venue.keys.epoch[0]))
        for purpose in unit.run(select(schema.purpose.c.purpose_id)).scalars().all():
            unit.move_gallery(PurposeId(purpose))
        unit.tell("restored", {"asked_from": unit.now})
    finish(venue)
    nameless, unopened = _without_record(venue), _faces_without_key(venue)
    for person in nameless:
        withdraw.erase(venue, person)
    unopened = [(person, face) for person, face in unopened if person not in nameless]
    for person, face in unopened:
        withdraw.withdraw(venue, person, face, State.REPLACED)
    with venue.store.read() as unit:
        asked = int(unit.run(select(func.count()).where(schema.consent.c.state == State.GIVEN.value)).scalar_one())
        count = unit.mark("forward")
    venue.keys.place.gone.restart(count)                                    # (6)
    recover(venue)
    return Restored(asked, len(unopened), len(nameless), rotate.rotate(venue, progress))         # (7)


def _without_record(venue: Venue) -> set[PersonId]:
    present = venue.keys.ids()
    with venue.store.read() as unit:
        rows = unit.run(select(schema.person.c.person_id, schema.person.c.record_key)).all()
    return {PersonId(row.person_id) for row in rows if row.record_key not in present}


def _faces_without_key(venue: Venue) -> list[tuple[PersonId, PurposeId]]:
    """Return whose face, for what, can be opened by nobody any more: they enrol again if they like."""
    present = venue.keys.ids()
    template, issued, consent = schema.template, schema.issued_pass, schema.consent
    with venue.store.read() as unit:
        standing = {(row.person_id, row.purpose_id) for row in unit.run(
            select(consent.c.person_id, consent.c.purpose_id).where(consent.c.state == State.GIVEN.value))}
        in_pass = {(row.person_id, row.purpose_id) for row in unit.run(
            select(issued.c.person_id, issued.c.purpose_id, issued.c.pass_key)) if row.pass_key in present}
        rows = unit.run(select(template.c.person_id, template.c.purpose_id, template.c.face_key)).all()
    dead = [(row.person_id, row.purpose_id) for row in rows
            if row.face_key not in present and (row.person_id, row.purpose_id) not in in_pass]
    return [(PersonId(person), PurposeId(face)) for person, face in dead if (person, face) in standing]
