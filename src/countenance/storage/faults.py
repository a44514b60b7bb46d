"""Turns what a database says when it cannot go on into one sentence with a stable code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from countenance.errors import StoreFault

_BY_CODE = {
    sqlite3.SQLITE_READONLY: ("store-read-only", "The data folder cannot be written to."),
    sqlite3.SQLITE_FULL: ("store-full", "There is no room left for the data folder."),
    sqlite3.SQLITE_BUSY: ("store-busy", "Another process holds the data folder; try again."),
    sqlite3.SQLITE_LOCKED: ("store-busy", "Another process holds the data folder; try again."),
    sqlite3.SQLITE_CORRUPT: ("store-corrupt", "A database of the data folder is damaged."),
    sqlite3.SQLITE_NOTADB: ("store-corrupt", "A database of the data folder is damaged."),
    sqlite3.SQLITE_CANTOPEN: ("store-missing", "A database of the data folder cannot be opened."),
    sqlite3.SQLITE_IOERR: ("store-io", "The data folder could not be read or written."),
}


@contextmanager
def told_plainly() -> Iterator[None]:
    """Raise StoreFault in place of a driver's error; the statement and its values are dropped."""
    try:
        yield
    except NoConnection:
        raise StoreFault("store-busy", "Too much is asked of the data folder at once; try again.") from None
    except (DBAPIError, sqlite3.Error) as error:
        raw = error.orig if isinstance(error, DBAPIError) else error
        number = getattr(raw, "sqlite_errorcode", None)
        code, sentence = _BY_CODE.get(
            (number or 0) & 0xFF, ("store-fault", "The data folder did not take a change.")
        )
        raise StoreFault(code, sentence) from None
