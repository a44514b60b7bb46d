"""What threads write together is durable together, and what one of them does wrong is its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from countenance.errors import CountenanceError, Refused, StoreFault
from countenance.flows.venue import Venue
from countenance.formats import log_entries
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.storage.unit import Unit
from support.filled_log import entries_of, require_whole, size_of
from support.venue import enrolled

LONGEST_S = 30


class Group:
    """Threads whose jobs come while another transaction is being written, so that they share the next one."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.values: dict[int, Any] = {}
        self.errors: dict[int, BaseException] = {}

    def run(self, jobs: list[Callable[[Unit], Any]]) -> None:
        first, go_on = threading.Event(), threading.Event()

        def hold(_unit: Unit) -> None:
            first.set()
            assert go_on.wait(LONGEST_S)

        together = self.venue.store._together
        leader = threading.Thread(target=self.venue.store.together, args=(hold,))
        leader.start()
        assert first.wait(LONGEST_S)
        threads = []
        for number, job in enumerate(jobs):
            threads.append(threading.Thread(target=self._one, args=(number, job)))
            threads[-1].start()
            while len(together._waiting) < len(threads):  # in this order
                pass
        go_on.set()
        for thread in [leader, *threads]:
            thread.join(LONGEST_S)
            assert not thread.is_alive(), "somebody waits for ever"

    def _one(self, number: int, job: Callable[[Unit], Any]) -> None:
        try:
            self.values[number] = self.venue.store.together(job)
        except BaseException as error:  # noqa: BLE001  # looked at by the test
            self.errors[number] = error


def tells(name: str) -> Callable[[Unit], int]:
    return lambda unit: unit.tell("zone", {"zone": name})


def told(folder: Path) -> list[str]:
    found = (log_entries.parse(entry) for entry in entries_of(folder))
    return [one.body["zone"] for one in found if isinstance(one, log_entries.Clear) and one.type == "zone"]


def zone(unit: Unit, name: str) -> None:
    unit.run(insert(schema.zone).values(zone_id=name, kind="entrance", name=name))


def zones(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "countenance.db")) as connection:
        return {name for (name,) in connection.execute("SELECT zone_id FROM zone")}


def fails(unit: Unit) -> None:
    unit.tell("zone", {"zone": "failed"})
    zone(unit, "failed")
    unit.set_mark("failed", unit.now)
    raise Refused("stop", "Stop.")


def fails_after_a_flush(unit: Unit) -> None:
    unit.tell("zone", {"zone": "failed"})
    unit.outbox.flush()
    unit.tell("zone", {"zone": "failed too"})
    zone(unit, "failed")
    raise Refused("stop", "Stop.")


def fails_after_moving(unit: Unit) -> None:
    unit.move_forward()
    fails(unit)


def breaks_a_rule(unit: Unit) -> None:
    unit.tell("zone", {"zone": "failed"})
    zone(unit, "entrance")  # is there already


@pytest.mark.parametrize(("job", "code"), [
    (fails, "stop"), (fails_after_a_flush, "stop"), (fails_after_moving, "stop"), (breaks_a_rule, "store-fault")])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_job_that_fails_undoes_only_itself(
        venue: Venue, folder: Path, job: Callable[[Unit], None], code: str, place: int) -> None:
    group, before = Group(venue), size_of(folder)
    with venue.store.read() as unit:
        count = unit.mark("forward")
    jobs: list[Callable[[Unit], Any]] = [tells("one"), tells("two")]
    jobs.insert(place, job)
    group.run(jobs)
    assert {number: getattr(error, "code", error) for number, error in group.errors.items()} == {place: code}
    assert told(folder) == ["one", "two"]
    assert [group.values[number] for number in sorted(group.values)] == [before + 1, before + 2]
    assert "failed" not in zones(folder)
    with venue.store.read() as unit:
        assert (unit.mark("failed"), unit.mark("forward")) == (None, count)
    assert require_whole(venue).size == before + 2


@pytest.mark.parametrize("job", [fails, fails_after_a_flush, breaks_a_rule])
def test_a_job_that_fails_alone_leaves_nothing(venue: Venue, folder: Path, job: Callable[[Unit], None]) -> None:
    before = entries_of(folder)
    with pytest.raises(CountenanceError) as caught:
        venue.store.together(job)
    assert caught.value.code in {"stop", "store-fault"}
    assert entries_of(folder) == before
    assert "failed" not in zones(folder)
    venue.store.together(tells("after"))
    assert told(folder) == ["after"]


def test_a_person_of_whom_a_failed_job_told_goes_on_where_they_were(venue: Venue) -> None:
    ada, group = enrolled(venue).person, Group(venue)

    def decides(unit: Unit) -> None:
        unit.tell_of(ada, "decision", {})

    def reads_then_fails(unit: Unit) -> None:
        unit.tell_of(ada, "decision", {"failed": True})
        assert unit.outbox.newest(ada, 1)[0].record  # which writes what was told up to here
        raise Refused("stop", "Stop.")

    group.run([decides, reads_then_fails, decides, reads_then_fails, decides])
    assert set(group.errors) == {1, 3}
    with venue.store.read() as unit:
        records = [log_entries.read_record(entry.record) for entry in unit.outbox.chain(ada)]
    assert [record.number for record in records] == [6, 5, 4, 3, 2, 1]
    assert [record.body for record in records[:3]] == [{}, {}, {}]


def test_one_person_in_one_group_gets_consecutive_numbers(venue: Venue) -> None:
    ada, ben, group = enrolled(venue).person, enrolled(venue, "ben", 2).person, Group(venue)

    def decides(number: int) -> Callable[[Unit], None]:
        return lambda unit: unit.tell_of(ada if number % 2 else ben, "decision", {"which": number}) and None

    group.run([decides(number) for number in range(10)])
    assert group.errors == {}
    for person, odd in ((ada, 1), (ben, 0)):
        with venue.store.read() as unit:
            newest_first = [log_entries.read_record(entry.record) for entry in unit.outbox.chain(person)]
        assert [record.number for record in newest_first] == list(range(8, 0, -1))
        assert [record.body["which"] for record in newest_first[:5]][::-1] == list(range(odd, 10, 2))


def test_a_commit_that_fails_fails_for_all(venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, group = entries_of(folder), Group(venue)
    flush, lies = type(venue.store)._unit, []

    def cannot(*arguments: Any) -> Unit:
        unit = flush(*arguments)
        if unit.connection.get_execution_options().get("countenance_begin") == "IMMEDIATE":
            lies.append(unit)
            if len(lies) == 2:  # the first is the one that they wait for
                monkeypatch.setattr(unit.outbox, "flush", full)
        return unit

    def full() -> None:
        raise StoreFault("store-full", "There is no room left for the data folder.")

    monkeypatch.setattr(type(venue.store), "_unit", cannot)
    group.run([tells("one"), fails, tells("three")])
    assert {n: getattr(e, "code", e) for n, e in group.errors.items()} == {
        0: "store-full", 1: "stop", 2: "store-full"}
    assert entries_of(folder) == before
    venue.store.together(tells("after"))
    assert told(folder) == ["after"]


def test_a_database_that_undoes_the_whole_transaction_fails_for_all(venue: Venue, folder: Path) -> None:
    """As SQLite does without room: the savepoint is gone too, and nobody may be told that theirs is durable."""
    before, group = entries_of(folder), Group(venue)

    def undone(unit: Unit) -> None:
        unit.connection.exec_driver_sql("ROLLBACK")
        raise StoreFault("store-full", "There is no room left for the data folder.")

    group.run([tells("one"), undone, tells("three")])
    assert group.values == {}
    assert getattr(group.errors[1], "code", "") == "store-full"
    assert {type(error) for error in group.errors.values()} == {StoreFault}
    assert entries_of(folder) == before
    venue.store.together(tells("after"))
    require_whole(venue)


def test_sixty_four_threads(venue: Venue, folder: Path) -> None:
    ada, before = enrolled(venue).person, size_of(folder)
    rows: list[int] = []

    def write(number: int) -> None:
        for at in range(5):
            if number % 8 == 7:
                with pytest.raises(Refused):
                    venue.store.together(fails)
            else:
                rows.append(venue.store.together(tells(f"{number}-{at}") if number % 2 else (
                    lambda unit: unit.tell_of(ada, "decision", {}).row)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST_S)
    assert not any(thread.is_alive() for thread in threads)
    assert len(rows) == 56 * 5
    assert sorted(rows) == list(range(before + 1, before + 1 + 56 * 5))  # each its own, and none left out
    assert require_whole(venue).size == before + 56 * 5
    with venue.store.read() as unit:
        assert len(unit.outbox.chain(ada)) == 3 + 32 * 5


def interrupts(_unit: Unit) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_leader_that_is_interrupted_hands_on(venue: Venue, folder: Path, place: int) -> None:
    """Those of its group are told that nothing of theirs took effect; those behind them go on."""
    group, before = Group(venue), entries_of(folder)
    jobs = [tells("one"), tells("two")]
    jobs.insert(place, interrupts)  # type: ignore[arg-type]  # returns nothing
    group.run(jobs)
    assert {type(error) for error in group.errors.values()} <= {KeyboardInterrupt, StoreFault}
    assert len(group.errors) == 3
    assert entries_of(folder) == before
    group.run([tells("after")])
    assert told(folder) == ["after"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_is_interrupted_while_it_waits_lets_the_others_pass(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Whoever is first in the line when the leader is done leads next, unless they are gone."""
    from countenance.storage import together

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if threading.current_thread().name == f"w{place}":
                super().wait(timeout)  # called to lead, perhaps, at the very moment
                raise KeyboardInterrupt
            return super().wait(timeout)

    ticket = together._Ticket

    def made(job: Callable[[Unit], Any]) -> Any:
        return ticket(job, Interrupted())

    monkeypatch.setattr(together, "_Ticket", made)
    first, go_on, results = threading.Event(), threading.Event(), dict[str, object]()

    def hold(_unit: Unit) -> None:
        first.set()
        assert go_on.wait(LONGEST_S)

    def write() -> None:
        name = threading.current_thread().name
        try:
            results[name] = venue.store.together(tells(name))
        except BaseException as error:  # noqa: BLE001  # looked at below
            results[name] = type(error)

    threads = [threading.Thread(target=venue.store.together, args=(hold,), name="leader")]
    threads[0].start()
    assert first.wait(LONGEST_S)
    for number in range(3):
        threads.append(threading.Thread(target=write, name=f"w{number}"))
        threads[-1].start()
        while len(venue.store._together._waiting) <= number:
            pass
    go_on.set()
    for thread in threads:
        thread.join(LONGEST_S)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    assert results.pop(f"w{place}") is KeyboardInterrupt
    assert all(isinstance(one, int) for one in results.values())
    assert set(told(folder)) >= set(results)
    require_whole(venue)


def test_what_is_returned_is_durable(venue: Venue, folder: Path) -> None:
    seen: list[set[str]] = []
    group = Group(venue)

    def job(number: int) -> Callable[[Unit], None]:
        return lambda unit: zone(unit, f"z{number}")

    commit = engines.writing
    group.run([job(number) for number in range(8)])
    assert commit is engines.writing
    seen.append(zones(folder))
    assert {f"z{number}" for number in range(8)} <= seen[0]
    with venue.store.read() as unit:
        assert "z7" in unit.run(select(schema.zone.c.zone_id)).scalars().all()
