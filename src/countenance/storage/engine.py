"""Opens the SQLite files with the settings that make deletion real.

`secure_delete=ON` (FAST leaves copies), WAL, full sync; and `emptied` truncates the write-ahead log, in
which a deleted row otherwise lives on. Facts and trials: sqlite.org/pragma.html, docs/operating/erasure.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from countenance import durable
from countenance.errors import StoreFault
from countenance.storage.faults import told_plainly

BUSY_MILLISECONDS = 5_000
POOL_SECONDS = 5
"""How long a database that others use is waited for, and a connection where all are in use."""
_PRAGMAS = (
    "journal_mode=WAL", "secure_delete=ON", "synchronous=FULL", "temp_store=MEMORY",
    f"busy_timeout={BUSY_MILLISECONDS}", "foreign_keys=ON", "trusted_schema=OFF", "mmap_size=0",
)
_OUTSIDE = "outside"  # of any transaction: what SQLite does only there


def _settle(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN below is the only one
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA secure_delete").fetchone() != (1,):
        raise StoreFault("store-erasure", "This build of SQLite cannot overwrite what is deleted.")


def _begin(connection: Connection) -> None:
    how = connection.get_execution_options().get("countenance_begin", "DEFERRED")
    if how != _OUTSIDE:
        connection.exec_driver_sql(f"BEGIN {how}")


def open_engine(path: Path, *, create: bool = False) -> Engine:
    """Return an engine on one SQLite file. Raises StoreFault(store-missing, store-incomplete) unless `create`."""
    if not create and not path.is_file():
        raise StoreFault("store-missing", f"The file {path.name} of the data folder is missing.")
    if not create and path.stat().st_size == 0:  # SQLite would take it for a new one, and write to it
        raise StoreFault("store-incomplete", f"The file {path.name} of the data folder is empty.")
    url = URL.create("sqlite+pysqlite", database=str(path))
    engine = create_engine(url, poolclass=QueuePool, pool_size=4, max_overflow=8, pool_timeout=POOL_SECONDS)
    event.listen(engine, "connect", _settle)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection inside BEGIN IMMEDIATE; commits at the end, durable on return.

    Raises StoreFault; then nothing of it took effect, or (a crash between commit and answer) all of it.
    """
    with (
        told_plainly(),
        engine.connect().execution_options(countenance_begin="IMMEDIATE") as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection inside a read transaction: one consistent moment."""
    with told_plainly(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """Give a connection outside any transaction, for one statement that reads: each sees its own moment."""
    with told_plainly(), engine.connect().execution_options(countenance_begin=_OUTSIDE) as connection:
        yield connection


@contextmanager
def unguarded(engine: Engine) -> Iterator[Connection]:
    """Give a connection that asks for no foreign keys and no checks: for a scratch copy that is to be broken.

    Outside any transaction, for SQLite changes the first only there; each statement commits by itself.
    """
    with told_plainly(), engine.connect().execution_options(countenance_begin=_OUTSIDE) as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        yield connection


def empty_wal(engine: Engine) -> None:
    """Move everything out of the write-ahead log and cut it to nothing.

    Only after this a deleted row is in no file. Raises StoreFault(store-busy) while a reader holds an
    older moment: then nothing may be called erased yet.
    """
    for _attempt in range(2):  # each waits BUSY_MILLISECONDS for readers to end
        with told_plainly(), engine.connect().execution_options(countenance_begin=_OUTSIDE) as connection:
            busy, _log, _moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if not busy:
            return
    raise StoreFault("store-busy", "A reader holds an old copy; the erasure is not complete yet.")


def copy_to(engine: Engine, path: Path, progress: Callable[[int, int], None]) -> None:
    """Write a copy of the database as it stands at one moment; `path` must be new. Durable on return.

    SQLite's own online backup: others may go on writing, but `empty_wal` waits for it. `progress(done, all)` counts
    pages. Raises FileExistsError, StoreFault; then no file is left.
    """
    try:
        durable.create(path, b"", durable.SECRET)
        with told_plainly(), closing(engine.raw_connection()) as raw, closing(sqlite3.connect(path)) as copy:
            source = raw.driver_connection
            assert isinstance(source, sqlite3.Connection)  # noqa: S101  # this module opens nothing else
            source.execute("BEGIN")  # one moment: without it a busy store is begun anew at every commit, without end
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=4_096, progress=lambda _status, left, total: progress(total - left, total))
            copy.execute("PRAGMA journal_mode=DELETE")
        durable.sync(path)
    except FileExistsError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def require_whole(engine: Engine) -> None:
    """Raise StoreFault(store-corrupt) unless SQLite finds its file whole."""
    with told_plainly(), engine.connect() as connection:
        if connection.exec_driver_sql("PRAGMA quick_check").scalar_one() != "ok":
            raise StoreFault("store-corrupt", "A database of the data folder is damaged.")


def require_all(engine: Engine) -> None:
    """Raise StoreFault(store-corrupt) where bytes are missing at the end, or too many, of a file that has no log.

    SQLite itself reads the last page of a file that was cut short as if it ended in zeros.
    """
    with told_plainly(), engine.connect() as connection:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        size = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    if Path(str(engine.url.database)).stat().st_size != pages * size:
        raise StoreFault("store-corrupt", "A database of the data folder is damaged.")


def rewrite(engine: Engine) -> None:
    """Write the whole file anew, and empty the log.

    `secure_delete` overwrites what is deleted, but not the copies that stay where a page was split or merged: a few
    row ids of hundreds of people, in trials. VACUUM leaves none. Raises StoreFault(store-busy, store-full).
    """
    with told_plainly(), engine.connect().execution_options(countenance_begin=_OUTSIDE) as connection:
        connection.exec_driver_sql("VACUUM")
    empty_wal(engine)
