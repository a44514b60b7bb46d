"""A change and its events commit together; time never goes back."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, insert

from countenance.clock import SetClock
from countenance.errors import CountenanceError, Refused, StoreFault
from countenance.flows import about, admit, log, pad, record, sweep, withdraw
from countenance.flows.venue import Venue
from countenance.formats import canonical, checkpoints, log_entries, merkle
from countenance.quantities import DAY, HOUR, PersonId
from countenance.storage import engine as engines
from countenance.storage import schema
from support.venue import (
    KEYED,
    LONG,
    SEARCH,
    START,
    comes_back,
    count,
    enrolled,
    no_camera,
    open_venue,
    rows_of,
    state_of,
    write_tickets,
)


def zone(unit: object, name: str = "back") -> None:
    unit.run(insert(schema.zone).values(zone_id=name, kind="entrance", name="Back door"))  # type: ignore[attr-defined]


@pytest.mark.promise(5)
def test_a_rollback_leaves_neither_the_change_nor_its_event(venue: Venue, folder: Path) -> None:
    who = enrolled(venue).person
    before = state_of(folder)
    with pytest.raises(Refused), venue.store.write() as unit:
        zone(unit)
        unit.tell("zone", {"zone": "back"})
        unit.tell_of(who, "decision", {"outcome": "admit"})
        unit.set_mark("swept", unit.now)
        raise Refused("stop", "Stop.")
    assert state_of(folder) == before


@pytest.mark.promise(5)
def test_a_change_and_its_events_commit_together(venue: Venue, folder: Path) -> None:
    who = enrolled(venue).person
    events, zones = count(folder, "event"), count(folder, "zone")
    with venue.store.write() as unit:
        zone(unit)
        unit.tell("zone", {"zone": "back"})
        entry = unit.tell_of(who, "decision", {"outcome": "admit"})
        assert (count(folder, "event"), count(folder, "zone")) == (events, zones)  # seen from outside: nothing yet
    assert (count(folder, "event"), count(folder, "zone")) == (events + 2, zones + 1)
    clear, sealed = rows_of(folder / "countenance.db", "event")[-2:]
    assert clear[1][:1] == b"\x01"
    assert canonical.decode(clear[1][1:], "event") == {"type": "zone", "at": START, "body": {"zone": "back"}}
    assert clear[2:] == (None, None)
    assert entry.leaf == hashlib.sha256(entry.nonce + entry.record).digest()
    assert sealed[1] == b"\x00" + entry.leaf
    assert sealed[0] == entry.row == clear[0] + 1
    assert rows_of(folder / "countenance.db", "log") == [(1, "", 1, sealed[0])]  # and in the log, as its last


def test_a_write_that_breaks_a_rule_of_the_schema_leaves_nothing(venue: Venue, folder: Path) -> None:
    before = state_of(folder)
    with pytest.raises(StoreFault) as caught, venue.store.write() as unit:
        unit.tell("zone", {"zone": "x"})
        zone(unit, "entrance")  # exists already
    assert caught.value.code == "store-fault"
    assert "Back door" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert state_of(folder) == before


def chain(venue: Venue, person: PersonId) -> list[dict[str, object]]:
    with venue.store.read() as unit:
        return [canonical.decode(entry.record, "event") for entry in unit.outbox.chain(person)]


def test_a_persons_chain_is_numbered_and_linked(venue: Venue) -> None:
    who = enrolled(venue)
    enrolled(venue, "ben", 2)  # somebody else's events lie between
    comes_back(venue, who.pass_text)
    newest_first = chain(venue, who.person)
    assert [r["number"] for r in newest_first] == [4, 3, 2, 1]
    assert [r["type"] for r in newest_first] == ["decision", "pass-issued", "template-sealed", "consent-given"]
    assert newest_first[-1]["before"] == b""
    with venue.store.read() as unit:
        leaves = [entry.leaf for entry in unit.outbox.chain(who.person)]
    assert [r["before"] for r in newest_first[:-1]] == leaves[1:]


def alter(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "countenance.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount >= 1


def rows_of_chain(venue: Venue, person: PersonId) -> list[int]:
    """The rows of a person's events, oldest first."""
    with venue.store.read() as unit:
        entries = unit.outbox.chain(person)[::-1]
    leaves = {row[0]: row[1][1:] for row in rows_of(venue.folder / "countenance.db", "event")}
    assert [leaves[entry.row] for entry in entries] == [entry.leaf for entry in entries]
    return [entry.row for entry in entries]


def visited(venue: Venue, number: int) -> PersonId:
    """Somebody with three events and so many decisions."""
    who = enrolled(venue)
    for _ in range(number):
        comes_back(venue, who.pass_text)
    return who.person


@pytest.mark.promise(5)
@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "anew"])
@pytest.mark.parametrize(("length", "which"), [
    (length, which) for length in (4, 5, 8, 9) for which in range(length - 1)])
def test_a_missing_event_is_an_error_and_not_a_gap(
        venue: Venue, folder: Path, length: int, which: int, remembered: bool) -> None:
    """Wherever the search for the newest, by doubling and halving, comes by it; and where its place is remembered."""
    who = visited(venue, length - 3)
    assert len(chain(venue, who)) == length
    assert venue.store._hints[who] == length
    if not remembered:
        venue.store._hints.clear()
    alter(folder, "DELETE FROM event WHERE event_id = ?", rows_of_chain(venue, who)[which])
    with pytest.raises(StoreFault) as caught:
        chain(venue, who)
    assert caught.value.code == "chain-broken"
    with venue.store.write() as unit:
        unit.tell_of(who, "decision", {})  # nobody's withdrawal waits for it, and it hides nothing
    with pytest.raises(StoreFault) as caught:
        chain(venue, who)
    assert caught.value.code == "chain-broken"


@pytest.mark.promise(5)
def test_a_missing_newest_event_is_noticed_by_the_log(venue: Venue, folder: Path) -> None:
    """A chain does not know how long it is; what was signed does, and every entry has its number."""
    who = visited(venue, 1)
    venue.log.sign()
    assert log.verify(venue).size == count(folder, "event")
    alter(folder, "DELETE FROM event WHERE event_id = ?", rows_of_chain(venue, who)[-1])
    assert len(chain(venue, who)) == 3
    for act in (lambda: log.verify(venue), venue.log.sign, venue.log.require_continued):
        assert code_of(act) == "log-damaged"
    alter(folder, "UPDATE log SET size = size - 1")  # by somebody who knows where it is counted
    for act in (lambda: log.verify(venue), venue.log.sign, venue.log.require_continued):
        assert code_of(act) == "log-behind"
    with venue.store.write() as unit:
        unit.tell_of(who, "decision", {})  # another one in its place
    for act in (lambda: log.verify(venue), venue.log.sign, venue.log.require_continued):
        assert code_of(act) == "log-forked"


@pytest.mark.promise(5)
@pytest.mark.parametrize("part", ["sealed", "tag", "entry", "sealed = :sealed, entry"])
def test_one_persons_events_cannot_hide_others_of_theirs(venue: Venue, folder: Path, part: str) -> None:
    who = visited(venue, 2)
    rows = {row[0]: row for row in rows_of(folder / "countenance.db", "event")}
    second, fourth = (rows[rows_of_chain(venue, who)[place]] for place in (1, 3))
    for row, other in ((second, fourth), (fourth, second)):
        values = dict(zip(("row", "entry", "tag", "sealed"), (row[0], *other[1:]), strict=True))
        with closing(sqlite3.connect(folder / "countenance.db")) as connection, connection:
            connection.execute(
                f"UPDATE event SET {part} = :{part.split()[-1]} WHERE event_id = :row",  # noqa: S608  # of this test's
                values)
    with pytest.raises(StoreFault) as caught:
        chain(venue, who)
    assert caught.value.code == "chain-broken"


@pytest.mark.promise(5)
def test_two_rows_that_change_places_whole_are_noticed_by_the_log(venue: Venue, folder: Path) -> None:
    """The chain is found by tags, wherever its rows stand; their places are the log's."""
    who = visited(venue, 1)
    venue.log.sign()
    *_, third, fourth = rows_of_chain(venue, who)
    for old, new in ((third, 10_000), (fourth, third), (10_000, fourth)):
        alter(folder, "UPDATE event SET event_id = ? WHERE event_id = ?", new, old)
    assert [entry["number"] for entry in chain(venue, who)] == [4, 3, 2, 1]
    for act in (lambda: log.verify(venue), venue.log.sign):
        assert code_of(act) == "log-forked"


@pytest.mark.promise(5)
def test_an_older_event_in_a_newer_ones_place_is_noticed(venue: Venue, folder: Path) -> None:
    """A whole row copied behind the newest, under the tag that is asked for: the newest such row counts."""
    who = visited(venue, 1)
    second, fourth = (rows_of_chain(venue, who)[place] for place in (1, 3))
    alter(folder, "INSERT INTO event SELECT 10000, entry, (SELECT tag FROM event WHERE event_id = ?), sealed "
          "FROM event WHERE event_id = ?", fourth, second)
    with pytest.raises(StoreFault) as caught:
        chain(venue, who)
    assert caught.value.code == "chain-broken"


@pytest.mark.parametrize(("statement", "code"), [
    ("UPDATE event SET sealed = (SELECT sealed FROM event WHERE event_id = :b) WHERE event_id = :a",
     "sealed-altered"),
    ("UPDATE event SET entry = (SELECT entry FROM event WHERE event_id = :b) WHERE event_id = :a", "chain-broken"),
    ("UPDATE event SET tag = (SELECT tag FROM event WHERE event_id = :b) WHERE event_id = :a", "chain-broken"),
    ("UPDATE event SET tag = randomblob(16) WHERE event_id = :a", "chain-broken"),
    ("UPDATE event SET tag = NULL, sealed = NULL WHERE event_id = :a", "chain-broken"),
    ("UPDATE event SET sealed = x'00' WHERE event_id = :a", "sealed-altered"),
    ("UPDATE event SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE event_id = :a", "sealed-altered"),
    ("UPDATE event SET entry = CAST(x'01' || substr(entry, 2) AS BLOB) WHERE event_id = :a", "chain-broken"),
    ("UPDATE person SET record_key = (SELECT record_key FROM person WHERE person_id = :ben)"
     " WHERE person_id = :ada",
     "key-altered"),
], ids=["sealed", "entry", "tag", "no tag of anybody", "clear", "short", "shorter", "kind", "key"])
def test_swapped_sealed_rows_do_not_open(venue: Venue, folder: Path, statement: str, code: str) -> None:
    ada, ben = enrolled(venue).person, enrolled(venue, "ben", 2).person
    rows = {"a": rows_of_chain(venue, ada)[1], "b": rows_of_chain(venue, ben)[1], "ada": ada, "ben": ben}
    with closing(sqlite3.connect(folder / "countenance.db")) as connection, connection:
        assert connection.execute(statement, rows).rowcount == 1
    with pytest.raises(StoreFault) as caught:
        chain(venue, ada)
    assert caught.value.code == code
    if statement.startswith("UPDATE event SET tag = (SELECT"):  # ben's second event is not found behind ada's
        alter(folder, "DELETE FROM event WHERE event_id = ?", rows["a"])
    assert len(chain(venue, ben)) == 3


@pytest.mark.promise(5)
def test_a_whole_chain_that_is_hidden_is_noticed_by_the_log(venue: Venue, folder: Path) -> None:
    """Whoever may write the store can hide every event of a person from them, and from nobody who has a checkpoint."""
    ada = visited(venue, 1)
    with venue.store.read() as unit:
        receipt_says = unit.outbox.chain(ada)[0]
    venue.log.sign()
    for row in rows_of_chain(venue, ada):
        alter(folder, "UPDATE event SET tag = randomblob(16) WHERE event_id = ?", row)
    assert chain(venue, ada) == []
    proven, note = venue.log.prove([receipt_says])  # the entries stand, and each receipt leads to its own
    found = checkpoints.parse(note)
    merkle.require_inclusion(merkle.leaf_hash(log_entries.sealed(proven[0].leaf)), proven[0].index, found.size,
                             proven[0].proof, found.root)
    alter(folder, "UPDATE event SET entry = CAST(x'00' || randomblob(32) AS BLOB) WHERE event_id = ?", receipt_says.row)
    assert code_of(lambda: venue.log.prove([receipt_says])) == "log-forked"


@pytest.mark.promise(5)
def test_sealed_events_name_nobody(venue: Venue, folder: Path) -> None:
    write_tickets(folder, {"walrus": LONG})  # which no random id can spell
    who = enrolled(venue, "walrus")
    comes_back(venue, who.pass_text)
    rows = rows_of(folder / "countenance.db", "event")
    assert sum(row[3] is not None for row in rows) == sum(row[2] is not None for row in rows) == 4
    tied = [who.person.encode(), bytes.fromhex(who.person), b"walrus"]
    for row in rows:
        held = b"".join(part for part in row if isinstance(part, bytes))
        assert not any(name in held for name in tied)
        assert b"entry.verify" not in (row[3] or b"")
    assert any(b"entry.verify" in row[1] for row in rows)  # the notice's own event names it
    with closing(sqlite3.connect(folder / "countenance.db")) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(event)")}
    assert columns == {"event_id", "entry", "tag", "sealed"}
    person = rows_of(folder / "countenance.db", "person")
    assert who.person.encode() in b"".join(str(c).encode() for c in person[0])  # the search finds what is there


def test_two_seals_of_the_same_event_look_different(venue: Venue, folder: Path) -> None:
    who = enrolled(venue).person
    for _ in range(2):
        with venue.store.write() as unit:
            unit.tell_of(who, "decision", {})
    one, two = rows_of(folder / "countenance.db", "event")[-2:]
    assert all(here != there for here, there in zip(one, two, strict=True))


@pytest.mark.promise(5)
def test_a_persons_tags_are_theirs_and_each_events_own(venue: Venue) -> None:
    """Two people under the same number, one person under two numbers, and a key that is another: no tag twice."""
    ada, ben = enrolled(venue).person, enrolled(venue, "ben", 2).person
    with venue.store.read() as unit:
        keys = {who: unit.outbox._key_of(who) for who in (ada, ben)}
    tags = [venue.keys.tag_record(keys[who], who, number) for who in (ada, ben) for number in range(1, 5)]
    assert {len(tag) for tag in tags} == {16}
    assert len(set(tags)) == 8
    kept = {row[2] for row in rows_of(venue.folder / "countenance.db", "event")}
    assert kept - {None} == set(tags[:3] + tags[4:7])
    assert code_of(lambda: venue.keys.tag_record(keys[ben], ada, 1)) == "key-altered"


def sealed_rows(folder: Path) -> list[tuple[int, bytes, bytes, bytes]]:
    return [row for row in rows_of(folder / "countenance.db", "event") if row[3] is not None]


@pytest.mark.promise(5)
def test_all_sealed_rows_have_one_length(venue: Venue, folder: Path) -> None:
    """Whatever they tell of: an enrolment, a decision, a withdrawal, an erasure, a disclosure, nobody in particular."""
    who = enrolled(venue)
    comes_back(venue, who.pass_text)
    record.disclosure(venue, who.person, "an insurer", "the day of a visit", "the person asked for it")
    about.about(venue, who.person)
    withdraw.withdraw(venue, who.person, who.purpose)
    withdraw.erase(venue, who.person)
    enrolled(venue, "ben", 2, KEYED)
    with venue.store.write() as unit:
        unit.tell_for("person-erased", {"person": "0" * 32})
    assert len(sealed_rows(folder)) >= 12
    assert {tuple(len(part) for part in row[1:]) for row in sealed_rows(folder)} == {(33, 16, 540)}


@pytest.mark.promise(5)
@pytest.mark.parametrize("hint", [0, 1, 2, 3, 5, 6, 7, 8, 9, 100])
def test_a_wrong_memory_of_a_chains_length_changes_nothing(venue: Venue, hint: int) -> None:
    """Another process wrote meanwhile, or what was remembered was rolled back."""
    who = visited(venue, 4)
    venue.store._hints[who] = hint
    with venue.store.write() as unit:
        unit.tell_of(who, "decision", {})
    venue.store._hints[who] = hint
    assert [entry["number"] for entry in chain(venue, who)] == list(range(8, 0, -1))


@pytest.mark.parametrize(("length", "sealed"), [(300, 540), (2_000, 2_588)])
def test_a_longer_record_is_filled_up_too(venue: Venue, folder: Path, length: int, sealed: int) -> None:
    who = enrolled(venue).person
    for more in range(0, 40, 13):
        record.complaint(venue, who, "x" * (length - more))
    assert [len(row[3]) for row in sealed_rows(folder)[-4:]] == [sealed] * 4
    assert [len(str(entry["body"])) for entry in chain(venue, who)[:4]] == [
        len(str({"text": "x" * (length - more)})) for more in (39, 26, 13, 0)]


@pytest.mark.promise(2)
def test_rows_whose_key_is_gone_are_as_rows_of_nobody(venue: Venue, folder: Path) -> None:
    """Nothing in them tells which were somebody's: same lengths, no byte that is always the same, no row that opens."""
    ada = visited(venue, 29)
    with venue.store.read() as unit:
        key = unit.outbox._key_of(ada)
    withdraw.erase(venue, ada)
    with venue.store.write() as unit:
        for _ in range(32):
            unit.tell_for("person-erased", {"person": ada})
    rows = sealed_rows(folder)
    gone, nobodys = rows[:32], rows[-32:]
    for group in (gone, nobodys):
        assert {tuple(len(part) for part in row[1:]) for row in group} == {(33, 16, 540)}
        for column, first in ((1, 1), (2, 0), (3, 0)):  # the entry's first byte says that it is sealed
            places = zip(*(row[column][first:] for row in group), strict=True)
            assert all(len(set(place)) > 20 for place in places)
    assert code_of(lambda: venue.keys.open_record(key, ada, "event", gone[0][3])) == "key-destroyed"
    assert code_of(lambda: venue.keys.tag_record(key, ada, 1)) == "key-destroyed"
    assert code_of(lambda: chain(venue, ada)) == "person-unknown"


@pytest.mark.promise(5)
def test_another_that_continues_the_log_is_fenced_off(venue: Venue, folder: Path) -> None:
    """By compare-and-swap, should the lock of the database fail: then nothing of the transaction holds."""
    before = state_of(folder)

    def pushed_in() -> None:
        with venue.store.write() as unit:
            zone(unit)
            unit.tell("zone", {"zone": "back"})
            unit.run(schema.log.update().values(size=schema.log.c.size + 1))

    assert code_of(pushed_in) == "log-fenced"
    assert state_of(folder) == before


# -- time


def test_a_clock_set_back_brings_nothing_back_to_life(venue: Venue, clock: SetClock, folder: Path) -> None:
    who = enrolled(venue)
    clock.move(366 * DAY)
    sweep_code = code_of(lambda: comes_back(venue, who.pass_text))
    assert sweep_code == "sweep-late"
    with venue.store.write() as unit:
        unit.set_mark("swept", unit.now)
    assert code_of(lambda: comes_back(venue, who.pass_text)) == "consent-expired"
    clock.move(-365 * DAY)
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera)) == "clock-set-back"
    with venue.store.read() as unit:
        assert unit.now == START + 366 * DAY
    with venue.store.read() as unit, pytest.raises(Refused) as caught:
        venue.gate.require_live(unit, who.person, who.purpose)
    assert caught.value.code == "consent-expired"
    assert code_of(lambda: enrolled(venue, "ben", 2)) == "clock-set-back"
    assert code_of(lambda: sweep.sweep(venue)) == "clock-set-back"  # nothing is destroyed by a wrong clock
    assert count(folder, "template") == 1


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


@pytest.mark.parametrize(("back", "refused"), [(0, False), (5, False), (6, True), (HOUR, True)])
def test_a_time_server_may_step_back_a_little(venue: Venue, clock: SetClock, back: int, refused: bool) -> None:
    clock.move(DAY)
    with venue.store.write() as unit:
        assert unit.now == START + DAY
    clock.move(-back)
    if refused:
        assert code_of(venue.store.require_forward) == "clock-set-back"
    else:
        venue.store.require_forward()
    with venue.store.write() as unit:
        assert unit.now == START + DAY
    clock.move(back)
    venue.store.require_forward()


def test_the_high_water_mark_outlives_the_process(folder: Path, clock: SetClock) -> None:
    with open_venue(folder, clock) as venue:
        clock.move(10 * DAY)
        with venue.store.write():
            pass
    with open_venue(folder, SetClock(START)) as venue:
        assert code_of(venue.store.require_forward) == "clock-set-back"
        with venue.store.read() as unit:
            assert unit.now == START + 10 * DAY


# -- stores that cannot go on


def test_a_read_only_store_is_said_to_be_so_with_nothing_half_done(folder: Path) -> None:
    with open_venue(folder) as venue:
        who = enrolled(venue)
        before = state_of(folder)
        for engine in (venue.store.engine, venue.keys.engine):
            engine.dispose()
            event.listen(engine, "connect", lambda c, _r: c.execute("PRAGMA query_only=ON"))
        for act in (lambda: enrolled(venue, "ben", 2), lambda: comes_back(venue, who.pass_text),
                    lambda: pad.pad(venue, SEARCH, 2), lambda: sweep.sweep(venue)):
            assert code_of(act) == "store-read-only"
            assert state_of(folder) == before


@pytest.mark.parametrize("which", ["store", "keys"])
def test_a_full_store_is_said_to_be_so_with_nothing_half_done(folder: Path, which: str) -> None:
    with open_venue(folder) as venue:
        who = enrolled(venue)
        engine = venue.store.engine if which == "store" else venue.keys.engine
        engine.dispose()

        def no_room(connection: sqlite3.Connection, _record: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")

        event.listen(engine, "connect", no_room)
        people, keys = count(folder, "person"), count(folder, "wrapped_key")
        assert code_of(lambda: pad.pad(venue, SEARCH, 200)) == "store-full"
        assert (count(folder, "person"), count(folder, "wrapped_key")) == (people, keys)
        assert count(folder, "intent") == 0
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


def test_two_processes_take_turns(venue: Venue, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "countenance.db", timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        event.listen(venue.store.engine, "connect", lambda c, _r: c.execute("PRAGMA busy_timeout=1"))
        venue.store.engine.dispose()
        before = state_of(folder)
        assert code_of(lambda: enrolled(venue)) == "store-busy"
        other.execute("ROLLBACK")
        assert state_of(folder) == before
    enrolled(venue)


# -- what is deleted is gone

SECRET = b"a secret of this test, 32 bytes!"


def found_in(folder: Path) -> list[str]:
    return [p.name for p in sorted(folder.iterdir()) if p.is_file() and SECRET in p.read_bytes()]


@pytest.mark.promise(2)
def test_emptying_the_log_leaves_no_copy_of_what_was_deleted(venue: Venue, folder: Path) -> None:
    row = {"event_id": 10_000, "entry": b"x" * 5_000 + SECRET, "tag": None, "sealed": None}
    with venue.store.write() as unit:
        unit.run(insert(schema.event).values(**row))
    assert found_in(folder) == ["countenance.db-wal"]
    venue.store.empty_wal()
    assert found_in(folder) == ["countenance.db"]
    with venue.store.write() as unit:
        unit.run(schema.event.delete().where(schema.event.c.event_id == 10_000))
    assert "countenance.db" in found_in(folder)  # deleted, committed, and still there
    venue.store.empty_wal()
    assert found_in(folder) == []
    assert (folder / "countenance.db-wal").stat().st_size == 0


@pytest.mark.promise(2)
def test_a_reader_of_an_older_moment_holds_the_erasure_up(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event.listen(venue.store.engine, "connect", lambda c, _r: c.execute("PRAGMA busy_timeout=1"))
    venue.store.engine.dispose()
    with engines.reading(venue.store.engine) as reader:
        reader.execute(schema.event.select()).fetchone()
        with venue.store.write() as unit:
            unit.tell("zone", {})
        assert code_of(venue.store.empty_wal) == "store-busy"
    venue.store.empty_wal()


def test_every_connection_overwrites_what_it_deletes(venue: Venue) -> None:
    for engine in (venue.store.engine, venue.keys.engine):
        with engine.connect() as one, engine.connect() as two:
            for connection in (one, two):
                read = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in (
                    "secure_delete", "journal_mode", "synchronous", "temp_store", "foreign_keys", "mmap_size")}
                assert read == {"secure_delete": 1, "journal_mode": "wal", "synchronous": 2, "temp_store": 2,
                                "foreign_keys": 1, "mmap_size": 0}


def test_units_of_several_threads_wait_for_each_other(venue: Venue, folder: Path) -> None:
    who, failed = enrolled(venue).person, []

    def work() -> None:
        for _ in range(25):
            try:
                with venue.store.write() as unit:
                    unit.tell_of(who, "decision", {})
            except StoreFault as error:
                failed.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [record["number"] for record in chain(venue, who)] == list(range(103, 0, -1))
