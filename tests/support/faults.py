"""Faults that lie: every durable effect of a story can fail before or after it took effect, or end the process.

An effect is a commit of either store, the emptying of a write-ahead log, or a file that `durable` appends to, writes,
creates or replaces. What `durable` does inside one of these is part of it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from countenance import durable
from countenance.errors import StoreFault
from countenance.storage import engine as engines

BEFORE, AFTER = "before", "after"
FILES = {"append": "append", "write": "write", "create": "create", "replace_secret": "replace"}
"""Function of `durable` to what its effect is called."""


class Crash(BaseException):
    """The process is gone. Nothing after it may have any effect."""


class Faults:
    """Counts effects; at the one numbered `at` (from 1) something goes wrong, `when` it took effect or not.

    With `dies` the process is dead from then on: every later effect raises too, so that no clean-up helps.
    Otherwise that one effect raises what it would without room on the disk (StoreFault from a store, OSError from a
    file), and the next ones go on.
    """

    def __init__(self, at: int, when: str, *, dies: bool) -> None:
        self.at, self.when, self.dies = at, when, dies
        self.seen: list[str] = []
        self.struck = False
        self._inside = False

    def _strike(self, here: bool, fault: Exception) -> None:
        if self.struck and self.dies:
            raise Crash
        if here:
            self.struck = True
            raise Crash if self.dies else fault

    def effect(self, name: str, fault: Exception, act: Callable[[], Any]) -> Any:
        """Do one thing that may go wrong."""
        if self._inside:
            return act()
        self.seen.append(name)
        mine = len(self.seen) == self.at
        self._strike(mine and self.when == BEFORE, fault)
        self._inside = True
        try:
            done = act()
        finally:
            self._inside = False
        self._strike(mine and self.when == AFTER, fault)
        return done

    @contextmanager
    def armed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Let it go wrong inside this block."""
        writing, empty_wal = engines.writing, engines.empty_wal

        @contextmanager
        def commit(engine: Engine) -> Iterator[Connection]:
            self.seen.append(f"commit {_name(engine)}")
            mine = len(self.seen) == self.at
            self._strike(here=False, fault=_full())
            with writing(engine) as connection:
                yield connection
                self._strike(mine and self.when == BEFORE, _full())
            self._strike(mine and self.when == AFTER, _full())

        with monkeypatch.context() as patch:
            patch.setattr(engines, "writing", commit)
            patch.setattr(engines, "empty_wal", lambda engine: self.effect(
                f"empty {_name(engine)}", _full(), lambda: empty_wal(engine)))
            for function, called in FILES.items():
                patch.setattr(durable, function, self._file(called, getattr(durable, function)))
            yield

    def _file(self, called: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(path: Path, *arguments: Any) -> Any:
            return self.effect(f"{called} {path.name}", _no_space(), lambda: act(path, *arguments))

        return faulty


def _name(engine: Engine) -> str:
    return Path(str(engine.url.database)).name


def _full() -> StoreFault:
    return StoreFault("store-full", "There is no room left for the data folder.")


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")
