"""Every event has its place in the log: no gap, none twice, whoever else appends; tiles can be made again."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from countenance.errors import StoreFault
from countenance.flows import log
from countenance.flows.venue import Venue
from countenance.formats import log_entries
from countenance.quantities import Instant
from countenance.storage import schema, sequence
from support.filled_log import alter, entries_of, fill, require_whole, size_of
from support.venue import rows_of, state_of

APPENDER = """
import sys
from pathlib import Path
from countenance.clock import SystemClock
from countenance.flows.venue import Venue
from countenance.integrations.entitlement import CsvEntitlement

folder, name = Path(sys.argv[1]), sys.argv[2]
venue = Venue(folder, SystemClock(), CsvEntitlement(folder / "tickets.csv"))
for number in range(60):
    venue.store.together(lambda unit: unit.tell("zone", {"zone": f"{name}-{number}"}))
    if number % 20 == 19:
        print(venue.log.sign()[0].text.replace("\\n", " "))
venue.close()
"""


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(StoreFault) as caught:
        act()
    return caught.value.code


def test_two_processes_append_at_the_same_time(venue: Venue, folder: Path) -> None:
    fill(venue, 200)  # a tile is filled on the way
    processes = [subprocess.Popen([sys.executable, "-c", APPENDER, str(folder), name], stdout=subprocess.PIPE,
                                  text=True) for name in "abc"]
    for process in processes:
        assert process.wait(60) == 0
    signed = [line for process in processes if process.stdout for line in process.stdout.read().splitlines()]
    for process in processes:
        assert process.stdout
        process.stdout.close()
    events = rows_of(folder / "countenance.db", "event")
    assert [row[0] for row in events] == list(range(1, 200 + 3 * 60 + 1))
    told = [log_entries.parse(entry) for entry in entries_of(folder)[200:]]
    names = [one.body["zone"] for one in told if isinstance(one, log_entries.Clear)]
    assert sorted(names) == sorted(f"{name}-{number}" for name in "abc" for number in range(60))
    for name in "abc":  # each in the order in which it was written
        assert [one for one in names if one.startswith(name)] == [f"{name}-{number}" for number in range(60)]
    assert require_whole(venue).size == 380
    sizes = [line.split()[1] for line in signed]
    assert len(signed) == 9
    assert len(set(signed)) == len(set(sizes))  # one root for each size


def add(venue: Venue) -> None:
    with venue.store.write() as unit:
        unit.tell("zone", {"zone": "mine"})


def test_a_log_that_was_continued_under_ones_feet_is_not_continued_twice(venue: Venue, folder: Path) -> None:
    before = state_of(folder)

    def moved() -> None:
        with venue.store.write() as unit:
            unit.tell("zone", {"zone": "mine"})
            unit.run(update(schema.log).values(size=schema.log.c.size + 1))

    assert code_of(moved) == "log-fenced"
    assert state_of(folder) == before
    add(venue)
    require_whole(venue)


def test_of_two_who_saw_the_same_head_one_fails(venue: Venue, folder: Path) -> None:
    with venue.store.read() as unit:
        seen = sequence.head(unit.connection)
    add(venue)
    before = entries_of(folder)

    def late() -> None:
        with venue.store.write() as unit:
            unit.run(insert(schema.event).values(event_id=seen.next_id + 1, entry=b"\x00" * 33))
            sequence.advance(unit.connection, seen, 1)

    assert code_of(late) == "log-fenced"
    assert entries_of(folder) == before


def test_a_row_that_stands_in_the_way_is_not_overwritten(venue: Venue, folder: Path) -> None:
    alter(folder, "INSERT INTO event (event_id, entry) SELECT max(event_id) + 1, x'00' FROM event")
    before = entries_of(folder)
    assert code_of(lambda: add(venue)) == "store-fault"
    assert entries_of(folder) == before


def test_a_log_without_a_head_is_told(venue: Venue, folder: Path) -> None:
    alter(folder, "DELETE FROM log")
    for act in (lambda: add(venue), venue.log.sign, lambda: log.verify(venue)):
        assert code_of(act) == "log-missing"


@pytest.mark.parametrize("missing", [20, 255, 256])
def test_a_missing_event_leaves_writing_possible_and_is_found(venue: Venue, folder: Path, missing: int) -> None:
    fill(venue, 250)
    venue.log.sign()
    fill(venue, max(missing, 250))
    alter(folder, "DELETE FROM event WHERE event_id = ?", missing)
    for _ in range(10):
        add(venue)  # nobody's withdrawal waits for a damaged log
    assert size_of(folder) == max(missing, 250) + 10
    assert 0 not in {row[2] for row in rows_of(folder / "countenance.db", "log_tile") if missing < 256}
    assert code_of(lambda: log.verify(venue)) == "log-damaged"
    if missing < 256:
        assert code_of(venue.log.sign) == "log-damaged"
        assert code_of(lambda: log.rebuild(venue)) == "log-damaged"


def test_a_missing_event_below_a_full_tile_is_found_by_verifying(venue: Venue, folder: Path) -> None:
    """The tile still says which one it was; signing goes on with it, and nothing is signed that is not so."""
    fill(venue, 300)
    log.publish(venue)
    root = venue.log.sign()[0].root
    alter(folder, "DELETE FROM event WHERE event_id = 20")
    assert venue.log.sign()[0].root == root
    assert code_of(lambda: log.verify(venue)) == "log-damaged"
    before = rows_of(folder / "countenance.db", "log_tile")
    assert code_of(lambda: log.rebuild(venue)) == "log-damaged"
    assert rows_of(folder / "countenance.db", "log_tile") == before


def test_rebuilding_makes_the_same_tiles(venue: Venue, folder: Path) -> None:
    fill(venue, 66_000, step=9_999)
    tiles = sorted(rows_of(folder / "countenance.db", "log_tile"))
    assert [row[1:3] for row in tiles] == [*((0, n) for n in range(257)), (1, 0), (1, 1), (2, 0)]
    told: list[tuple[int, int]] = []
    for statement in ("DELETE FROM log_tile", "UPDATE log_tile SET hashes = zeroblob(32 * 256)",
                      "DELETE FROM log_tile WHERE level = 1"):
        alter(folder, statement)
        assert log.rebuild(venue, lambda done, all_: told.append((done, all_))) == 66_000
        assert sorted(rows_of(folder / "countenance.db", "log_tile")) == tiles
    assert told[-1] == (65_792, 66_000)
    require_whole(venue)
    for level, number, byte in ((0, 0, 1), (0, 256, 8_000), (1, 0, 40), (1, 0, 8_190), (1, 1, 3), (2, 0, 32)):
        flip(folder, level, number, byte)
        assert code_of(lambda: log.verify(venue)) == "log-tile", (level, number)
        flip(folder, level, number, byte)
    for level, number in ((0, 100), (1, 0), (1, 1), (2, 0)):
        alter(folder, "DELETE FROM log_tile WHERE level = ? AND number = ?", level, number)
        assert code_of(lambda: log.verify(venue)) in {"log-tile", "log-damaged"}, (level, number)
        log.rebuild(venue)
    require_whole(venue)


def flip(folder: Path, level: int, number: int, at: int) -> None:
    (data,) = (row[3] for row in rows_of(folder / "countenance.db", "log_tile") if row[1:3] == (level, number))
    flipped = data[:at - 1] + bytes([data[at - 1] ^ 1]) + data[at:]
    alter(folder, "UPDATE log_tile SET hashes = ? WHERE level = ? AND number = ?", flipped, level, number)


def test_rebuilding_does_not_hide_an_event_that_was_altered(venue: Venue, folder: Path) -> None:
    """The old tile tells which it was; it stays."""
    fill(venue, 300)
    venue.log.sign()
    alter(folder, "UPDATE event SET entry = CAST(x'00' || zeroblob(32) AS BLOB) WHERE event_id = 20")
    assert code_of(lambda: log.verify(venue)) == "log-tile"
    tiles = rows_of(folder / "countenance.db", "log_tile")
    assert code_of(lambda: log.rebuild(venue)) == "log-forked"
    assert rows_of(folder / "countenance.db", "log_tile") == tiles


def test_a_second_log_has_its_own_places(venue: Venue, folder: Path) -> None:
    fill(venue, 300)
    other = venue.log.key().name
    with venue.store.write() as unit:
        head = sequence.begin(unit.connection)
        assert (head.generation, head.first, head.size) == (2, 301, 0)
        unit.tell("zone", {"zone": "mine"})
    fill(venue, 257)
    found = require_whole(venue)
    assert found.size == 257
    checkpoint, _note = venue.log.sign()
    assert checkpoint.origin == venue.log.key().name != other
    generations = {row[0] for row in rows_of(folder / "countenance.db", "log_tile")}
    assert generations == {1, 2}


def test_a_clock_that_jumped_back_leaves_a_log_in_order(venue: Venue, folder: Path) -> None:
    from countenance.clock import SetClock

    clock = venue.clock
    assert isinstance(clock, SetClock)
    add(venue)
    clock.move(-100_000)
    add(venue)
    told = [log_entries.parse(entry) for entry in entries_of(folder)]
    times = [Instant(one.at) for one in told if isinstance(one, log_entries.Clear)]
    assert times == sorted(times)
    require_whole(venue)


def test_the_schema_takes_no_entry_twice(folder: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        alter(folder, "INSERT INTO event (event_id, entry) SELECT event_id, entry FROM event")
