"""A venue's log made long quickly, and looked at whole: rows of chaff, as those of people who were erased are."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import insert

from countenance.flows import log
from countenance.flows.venue import Venue
from countenance.formats import log_entries
from countenance.storage import schema, sequence
from countenance.transparency.publish import FOLDER
from countenance.verifier import files
from support.venue import rows_of


def fill(venue: Venue, size: int, step: int = 10_000) -> None:
    """Add made-up entries, `step` in a transaction, until the log has `size` of them."""
    while True:
        with venue.store.write() as unit:
            at = sequence.head(unit.connection)
            some = min(step, size - at.size)
            if some <= 0:
                return
            unit.run(insert(schema.event), [
                {"event_id": at.next_id + n, "tag": os.urandom(16), "sealed": bytes(8),
                 "entry": log_entries.sealed(hashlib.sha256(str(at.size + n).encode()).digest())} for n in range(some)])
            sequence.advance(unit.connection, at, some)


def entries_of(folder: Path) -> list[bytes]:
    """Return every entry, in order, read past the program."""
    return [row[1] for row in sorted(rows_of(folder / "countenance.db", "event"))]


def size_of(folder: Path) -> int:
    """Return how long the log says it is."""
    return int(rows_of(folder / "countenance.db", "log")[-1][3])


def alter(folder: Path, statement: str, *values: object) -> None:
    """Change the data store past the program."""
    with closing(sqlite3.connect(folder / "countenance.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount >= 1


def require_whole(venue: Venue) -> log.Verified:
    """Have the log derived again, and what is published of it checked as a stranger with the venue's keys would."""
    found = log.verify(venue)
    assert found.size == size_of(venue.folder)
    if (venue.folder / FOLDER / "checkpoint").exists():
        files.verify(venue.folder / FOLDER, log.trust(venue)).require_ok()
    return found
