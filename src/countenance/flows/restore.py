"""restore: a store is put back from its copy, and nobody who withdrew comes back with it (docs/flows.md, restore).

(1) the copies are whole, of this venue, and not older than the epoch in force; (2) the third place says that a
restore is under way: from here no face is compared until (7); (3) the copies take their places, each by one rename;
(4) every key that was destroyed since is destroyed again; (5) the log is brought up to what was signed, or another one
begins; (6) everybody is asked again: no consent given up to now counts until it is renewed; unless the data store
stayed in place, and both the log and the third place say that nothing is missing in it; (7) the third place is in
order; (8) a new epoch, so that no copy opens any more.
Interrupted anywhere it is simply done again, with the same copies or, once they are in place, without.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from countenance import durable, settings
from countenance.clock import Clock, SystemClock
from countenance.consent.states import State
from countenance.errors import Refused, StoreFault
from countenance.flows import copies as files
from countenance.flows import replay, rotate, withdraw
from countenance.flows.found import DATA, KEYS, LOCK
from countenance.flows.ports import Entitlement
from countenance.flows.recover import RESTORED, finish, recover
from countenance.flows.replay import Replayed
from countenance.flows.venue import OLDER_MARK, Venue
from countenance.quantities import MINUTE, Instant, PersonId, PurposeId
from countenance.storage import engine as engines
from countenance.storage import key_schema, schema
from countenance.storage.folder import moved_in
from countenance.storage.unit import Unit
from countenance.vault.keys import roots, trial
from countenance.vault.keys.gone import Gone
from countenance.vault.keys.roots import Root
from countenance.vault.keys.store import FACE, PASS
from countenance.vault.keys.third import ThirdPlace

BEFORE = "(restored)"
"""Stands for every gate that was handed a list before a restore, of which the store may not know."""


@dataclass(frozen=True)
class Copies:
    """The files to put back; None: that store stays as it lies."""

    data: Path | None = None
    keys: Path | None = None


@dataclass(frozen=True)
class Loss:
    """What a restore would lose: people who are on record here and not in the copy, and events.

    And, of what the data store would then hold, what has no key although nobody is known to have destroyed it: people,
    who would be erased (`records`), and faces that would be given up (`faces`).
    """

    people: int
    events: int
    records: int = 0
    faces: int = 0


@dataclass(frozen=True)
class Restored:
    """What came of it. `asked_again`: standing consents that wait for their person; `unopened`: faces without a key;

    `erased`: people whose record has no key, because they were erased since, or came later than the copy of the keys;
    `log`: whether it goes on.
    """

    asked_again: int
    unopened: int
    erased: int
    epoch: int
    log: Replayed


def examine(folder: Path, copies: Copies, clock: Clock | None = None, root: Root | None = None) -> Loss:
    """Look at copies, and at what stays beside them, before anything is changed; say what would be lost.

    Raises BadInput (backup-*), Refused (restore-older, restore-epoch), StoreFault (store-*, epoch-*, key-altered).
    """
    with _alone(folder), _laid_beside(folder, copies) as beside:
        return _examined(folder, beside, _third(folder, root), (clock or SystemClock()).now())


def restore(folder: Path, entitlement: Entitlement, clock: Clock, copies: Copies,
            progress: Callable[[int, int], None] = lambda _done, _all: None, root: Root | None = None,
            log: Path | None = None) -> Restored:
    """Put stores back from copies, or (without any) settle stores that were put back by hand.

    Needs the folder alone. Raises as `examine`, and StoreFault(store-busy). `progress` is of the rotation; `root`
    takes the place of the one that the settings name, `log` (a copy of the published log) that of the venue's own.
    """
    with _alone(folder):
        with _laid_beside(folder, copies) as beside:
            place = _third(folder, root)
            _examined(folder, beside, place, clock.now())                   # (1)
            older = beside.data is not None or _under_way(place)
            place.gone.restoring()                                          # (2)
            _put(folder, beside)                                            # (3)
        venue = Venue(folder, clock, entitlement, root)
        try:
            return _settled(venue, progress, log, older)
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
        yield Copies(files.beside(copies.data, folder / DATA), files.beside(copies.keys, folder / KEYS))
    finally:
        for name in (DATA, KEYS):
            for path in folder.glob(f"{name}{RESTORED}*"):
                path.unlink()


def _examined(folder: Path, beside: Copies, place: ThirdPlace, now: Instant) -> Loss:
    here = settings.load(folder)
    with ExitStack() as opened:
        data = opened.enter_context(files.database(
            beside.data or folder / DATA, files.DATA, copied=beside.data is not None))
        files.require_venue(data, here.venue)
        if beside.data is not None or beside.keys is None:  # what is put back, or was by hand
            files.require_marks(data, now, here)
        keys = opened.enter_context(files.database(
            beside.keys or folder / KEYS, files.KEYS, copied=beside.keys is not None))
        _of_this_epoch(keys, place)
        if beside.keys is not None:
            _not_over_a_good_one(folder, keys, place)
        people, events = (0, 0) if beside.data is None else _fewer(folder / DATA, data)
        with engines.reading(data) as connection:
            present = _accounted(keys, place)
            return Loss(people, events, len(_without_record(connection, present)),
                        len(_faces_without_key(connection, present)))


def _accounted(keys: Engine, place: ThirdPlace) -> set[str]:
    """Return the ids of keys that open, and of those that were destroyed on purpose."""
    present = trial.openable(keys, place.epochs.read())
    try:
        gone = place.gone.read()
    except StoreFault:
        gone = Gone(lost=True)
    kept = {key for key, kind in present.items() if not gone.lost or kind not in {FACE, PASS}}
    return kept | set(gone.keys)


def _of_this_epoch(keys: Engine, place: ThirdPlace) -> None:
    known = {epoch.number for epoch in place.epochs.read()}
    with engines.reading(keys) as connection:
        epochs = set(connection.execute(select(key_schema.wrapped_key.c.epoch).distinct()).scalars())
    if epochs and not epochs & known:
        raise Refused("restore-epoch", f"These keys are of epoch {max(epochs)}, whose own key no longer exists: "
                                       "none of them opens. Everybody in it would have to enrol again.")


def _not_over_a_good_one(folder: Path, keys: Engine, place: ThirdPlace) -> None:
    """Refuse a copy of the key store while the key store itself is in order: it knows more than any copy.

    One that was interrupted after it had destroyed keys again may be done again: nothing that is here is lost by that.
    """
    then = _ids(keys)
    try:
        with files.database(folder / KEYS, files.KEYS, copied=False) as standing:
            now = _ids(standing)
    except StoreFault:
        return
    if now - then or (then - now and not _under_way(place)):
        raise Refused("restore-older", f"The key store here is in order. This copy lacks {len(now - then)} of its "
                                       f"keys, which would be lost; {len(then - now)} destroyed ones would come back.")


def _under_way(place: ThirdPlace) -> bool:
    try:
        return place.gone.read().restoring
    except StoreFault:
        return False


def _ids(keys: Engine) -> set[str]:
    with engines.reading(keys) as connection:
        return set(connection.execute(select(key_schema.wrapped_key.c.key_id)).scalars())


def _fewer(here: Path, data: Engine) -> tuple[int, int]:
    then = _people(data)
    try:
        with files.database(here, files.DATA, copied=False) as standing:
            now = _people(standing)
    except StoreFault:  # of what stands here: then there is nothing to lose
        return 0, 0
    return len(now[0] - then[0]), max(0, now[1] - then[1])


def _people(data: Engine) -> tuple[set[str], int]:
    with engines.reading(data) as connection:
        people = set(connection.execute(select(schema.person.c.person_id)).scalars())
        return people, int(connection.execute(select(func.count()).select_from(schema.event)).scalar_one())


def _third(folder: Path, root: Root | None) -> ThirdPlace:
    here = settings.load(folder)
    return ThirdPlace.of(folder, root or roots.open_root(here.root, folder), here.offsite)


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


def _settled(venue: Venue, progress: Callable[[int, int], None], log: Path | None,
             older: bool) -> Restored:
    for engine in (venue.keys.engine, venue.store.engine):
        engines.require_whole(engine)  # put back by hand, perhaps, or beside another one's log
    gone = venue.keys.place.gone.read()
    venue.keys.drop_dead()
    venue.keys.check()
    # Where the list of what is gone is lost itself, no key of a face is believed: everybody enrols again.
    venue.keys.destroy([*gone.keys, *(venue.keys.ids(FACE, PASS) if gone.lost else ())])   # (4)
    again = replay.replay(venue, log)                                       # (5)
    with venue.store.write() as unit:                                       # (6)
        ask = older or not again.whole or _is_older(unit, gone)
        _begin_again(unit, gone, venue.keys.epoch[0], ask)
        _outdate_lists(unit, venue.settings.lease_minutes)
        _sign_everybody_out(unit)
    finish(venue)
    with venue.store.read() as unit:
        present = venue.keys.ids()
        nameless, unopened = _without_record(unit.connection, present), _faces_without_key(unit.connection, present)
    for person in nameless:
        withdraw.forget(venue, person)
    unopened = [(person, face) for person, face in unopened if person not in nameless]
    for person, face in unopened:
        withdraw.end(venue, person, face, State.LOST)
    with venue.store.read() as unit:
        standing = select(func.count()).where(schema.consent.c.state == State.GIVEN.value)
        asked = int(unit.run(standing).scalar_one()) if ask else 0
        count, needed = unit.mark("forward"), rotate.needed(unit)
    unknown = sorted(venue.keys.ids() - needed)  # of people who came after the copy; no rotation would go on with them
    if unknown:
        venue.keys.destroy(unknown)
    venue.keys.place.gone.restart(count)                                    # (7)
    recover(venue, leave_unknown=True)
    number = rotate.rotate(venue, progress, leave_unknown=True)             # (8)
    return Restored(asked, len(unopened), len(nameless), number, again)


def _is_older(unit: Unit, gone: Gone) -> bool:
    """Say whether the third place knows of more than this data store, or knows nothing."""
    return gone.lost or (unit.mark("forward") or 0) < gone.count or unit.mark(OLDER_MARK) is not None


def _begin_again(unit: Unit, gone: Gone, epoch: int, ask: bool) -> None:
    if ask:
        unit.set_mark("asked_from", unit.now)
    unit.set_mark("forward", Instant(max(gone.count, unit.mark("forward") or 0)))
    unit.move_forward()
    unit.set_mark("rotate_by", unit.now)
    unit.set_mark("erased", Instant(epoch))
    unit.run(delete(schema.mark).where(schema.mark.c.name == OLDER_MARK))  # from here on this is the newest
    swept = unit.mark("swept")
    if swept is None or swept > unit.now:  # an old one stays, and keeps the gate closed until somebody sweeps
        unit.set_mark("swept", unit.now)
    for purpose in unit.run(select(schema.purpose.c.purpose_id)).scalars().all():
        unit.move_gallery(PurposeId(purpose))
    unit.tell("restored", {"asked_again": ask})


def _sign_everybody_out(unit: Unit) -> None:
    """End every session, code and API key, and switch operators off: a copy would bring back what was revoked since."""
    for table in (schema.session, schema.one_time, schema.me_code, schema.api_key, schema.delivery):
        unit.run(delete(table))
    unit.run(update(schema.operator).values(state="off"))


def _outdate_lists(unit: Unit, lease_minutes: int) -> None:
    """Let no list from before a restore count as one of this store, and every gate as one that may still have one."""
    unit.set_mark("list", Instant(max((unit.mark("list") or 0) + 1, unit.now)))
    until, lease = unit.now + lease_minutes * MINUTE, schema.lease
    new = insert(lease).values(gate=BEFORE, number=-1, until=until)
    unit.run(new.on_conflict_do_update(
        index_elements=["gate"], set_={"number": -1, "until": func.max(lease.c.until, until)}))


def _without_record(data: Connection, present: Container[str]) -> set[PersonId]:
    rows = data.execute(select(schema.person.c.person_id, schema.person.c.record_key)).all()
    return {PersonId(row.person_id) for row in rows if row.record_key not in present}


def _faces_without_key(data: Connection, present: Container[str]) -> list[tuple[PersonId, PurposeId]]:
    """Return whose face, for what, can be opened by nobody any more: they enrol again if they like."""
    template, issued, consent = schema.template, schema.issued_pass, schema.consent
    standing = {(row.person_id, row.purpose_id) for row in data.execute(
        select(consent.c.person_id, consent.c.purpose_id).where(consent.c.state == State.GIVEN.value))}
    in_pass = {(row.person_id, row.purpose_id) for row in data.execute(
        select(issued.c.person_id, issued.c.purpose_id, issued.c.pass_key)) if row.pass_key in present}
    rows = data.execute(select(template.c.person_id, template.c.purpose_id, template.c.face_key)).all()
    dead = [(row.person_id, row.purpose_id) for row in rows
            if row.face_key not in present and (row.person_id, row.purpose_id) not in in_pass]
    return [(PersonId(person), PurposeId(face)) for person, face in dead if (person, face) in standing]
