"""bench log: how fast the log takes entries, beside one fdatasync of the same disk, and how fast it is read.

Writing is the product's own path: `Store.together` with a sealed `decision` of a person, their row and record key read
as at a gate, durable when it returns. Reading is done on a log of `leaves` entries by a process of its own, so that
its memory is nobody else's; there the entries are random bytes as long as real ones.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from countenance.bench import log_reading, machine, place
from countenance.consent import notices
from countenance.errors import ModelFault
from countenance.flows import log, people, renew
from countenance.flows.venue import Venue
from countenance.formats import log_entries
from countenance.quantities import PersonId
from countenance.storage import schema, sequence
from countenance.storage.outbox import CHAFF_BYTES, TAG_BYTES
from countenance.storage.unit import Unit
from countenance.transparency.tree import Tree

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Progress = Callable[[int, int], None]
PEOPLE = 31
WRITERS = 64
_SYNCS = 30
_SOME = 10_000
_WARM = 2


def run(leaves: int, appends: int, progress: Progress) -> dict[str, Any]:
    """Return the figures that `--json` prints.

    `leaves`: how long the log is that is read (it is never shorter than what was written). `appends`: how many entries
    each of the 64 writers adds. `progress(done, all)` counts entries. Raises as the stories that it tells.
    """
    steps = _Steps(progress, WRITERS * appends + 4 * leaves)
    with machine.one_thread(), place.gate(PEOPLE, lambda _done, _all: None) as gate:
        venue = gate.venue
        written = {"fdatasync_ms": round(machine.fdatasync_ms(venue.folder, _SYNCS), 3),
                   **_one_writer(venue, max(1, appends)), **_writers(venue, appends, steps)}
        _grow(venue, leaves, steps)
        receipt = _receipt(venue)
        start = venue.clock.monotonic()
        log.publish(venue, steps.part(leaves))
        published = round(venue.clock.monotonic() - start, 2)
        read = _in_another_process(venue.folder, receipt, steps, leaves)
    steps.end()
    return {**written, "publish_s": published, **read, "machine": machine.described(WRITERS)}


class _Steps:
    """Adds up the parts of the work for one bar."""

    def __init__(self, progress: Progress, all_: int) -> None:
        self._progress, self._all, self._done = progress, all_, 0

    def add(self, number: int) -> None:
        self._done += number
        self._progress(min(self._done, self._all), self._all)

    def end(self) -> None:
        self.add(self._all)

    def part(self, number: int) -> Progress:
        """Return what a part calls with its own count; it is worth `number` of the whole."""
        begun = self._done

        def progress(done: int, all_: int) -> None:
            self._done = begun + number * done // max(1, all_)
            self.add(0)

        return progress


def _append(venue: Venue, person: PersonId) -> None:
    """Make one decision durable, as flows/admit.py does it, without what is read of consent and ticket."""
    def commit(unit: Unit) -> None:
        unit.require_forward()
        record = people.record_ref(people.row(unit, person))
        with venue.keys.kept_open(record):
            unit.outbox.go_on_with(person, record.key_id)
            unit.tell_of(person, "decision", {"purpose": place.PURPOSE, "outcome": "admit", "people": 1, "gate": ""})

    venue.store.together(commit)


def _everybody(venue: Venue) -> list[PersonId]:
    with venue.store.read() as unit:
        return [PersonId(one) for one in unit.run(select(schema.person.c.person_id)).scalars()]


def _one_writer(venue: Venue, number: int) -> dict[str, Any]:
    """Time single appends, each right after a few bare syncs of the disk."""
    owners, times, over = _everybody(venue), list[float](), list[float]()
    for at in range(-_WARM * len(owners), number):
        sync = machine.fdatasync_ms(venue.folder, 3)
        start = venue.clock.monotonic()
        _append(venue, owners[at % len(owners)])
        took = (venue.clock.monotonic() - start) * 1000
        if at >= 0:  # before, the length of each chain was looked for
            times.append(took)
            over.append(took / sync)
    return {"one_writer_ms": round(statistics.median(times), 3),
            "one_writer_fdatasyncs": round(statistics.median(over), 2)}


def _writers(venue: Venue, appends: int, steps: _Steps) -> dict[str, Any]:
    """Time 64 threads that append as fast as they can."""
    owners, times, faults = _everybody(venue), list[float](), list[Exception]()
    ready = threading.Barrier(WRITERS + 1)

    def write(number: int) -> None:
        ready.wait()
        try:
            for at in range(appends):
                start = venue.clock.monotonic()
                _append(venue, owners[(number + at) % len(owners)])
                times.append((venue.clock.monotonic() - start) * 1000)
        except Exception as fault:  # noqa: BLE001  # raised again below, by the thread that is asked
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = venue.clock.monotonic()
    for thread in threads:
        thread.join()
        steps.add(appends)
    seconds = venue.clock.monotonic() - start
    if faults:
        raise faults[0]
    ranked = sorted(times)
    return {"writers": WRITERS, "appends": len(ranked), "appends_per_s": round(len(ranked) / seconds),
            "p50_ms": round(statistics.median(ranked), 2), "p99_ms": round(ranked[len(ranked) * 99 // 100], 2)}


def _grow(venue: Venue, leaves: int, steps: _Steps) -> None:
    """Fill the log up with rows of random bytes, as those of people who were erased are."""
    with venue.store.read() as unit:
        missing = leaves - Tree(unit.connection).size
    for start in range(0, max(0, missing), _SOME):
        some = min(_SOME, missing - start)
        with venue.store.write() as unit:
            at = sequence.head(unit.connection)
            unit.run(insert(schema.event), [
                {"event_id": at.next_id + number, "entry": log_entries.sealed(os.urandom(32)),
                 "tag": os.urandom(TAG_BYTES), "sealed": os.urandom(CHAFF_BYTES)} for number in range(some)])
            sequence.advance(unit.connection, at, some)
        steps.add(some)


def _receipt(venue: Venue) -> str:
    """Return a receipt whose proofs are of the whole log."""
    with venue.store.read() as unit:
        notice = notices.in_force(unit, place.PURPOSE).hash
    person = people.by_reference(venue, place.PERSON)
    return renew.renew(venue, person, place.PURPOSE, notice, "en", "desk")


def _in_another_process(folder: Path, receipt: str, steps: _Steps, leaves: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=log_reading.main, args=(str(folder), receipt, there))
    process.start()
    there.close()
    try:
        return _answered(here, steps.part(2 * leaves))
    finally:
        here.close()
        process.join()


def _answered(pipe: Connection, progress: Progress) -> dict[str, Any]:
    while True:
        try:
            told = json.loads(pipe.recv_bytes())
        except EOFError:
            raise ModelFault("bench-log-reader", "The process that reads the log ended without an answer.") from None
        if isinstance(told, dict):
            if "fault" in told:
                raise ModelFault("bench-log-reader", f"The process that reads the log was refused: {told['fault']}.")
            return told
        progress(*told)

