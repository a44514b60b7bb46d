"""Faults that lie: every durable effect of a story can fail before or after it took effect, or end the process.

An effect is a commit of either store, the emptying of a write-ahead log, or a secret file that is replaced.
"""

from __future__ import annotations

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


class Crash(BaseException):
    """The process is gone. Nothing after it may have any effect."""


class Faults:
    """Counts effects; at the one numbered `at` (from 1) something goes wrong, `when` it took effect or not.

    With `dies` the process is dead from then on: every later effect raises too, so that no clean-up helps.
    Otherwise that one effect raises StoreFault(store-full) and the next ones go on.
    """

    def __init__(self, at: int, when: str, *, dies: bool) -> None:
        self.at, self.when, self.dies = at, when, dies
        self.seen: list[str] = []
        self.struck = False

    def _strike(self, here: bool) -> None:
        if self.struck and self.dies:
            raise Crash
        if here:
            self.struck = True
            if self.dies:
                raise Crash
            raise StoreFault("store-full", "There is no room left for the data folder.")

    def effect(self, name: str, act: Callable[[], Any]) -> Any:
        self.seen.append(name)
        mine = len(self.seen) == self.at
        self._strike(mine and self.when == BEFORE)
        done = act()
        self._strike(mine and self.when == AFTER)
        return done

    @contextmanager
    def armed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Let it go wrong inside this block."""
        writing, empty_wal, replace = engines.writing, engines.empty_wal, durable.replace_secret

        @contextmanager
        def commit(engine: Engine) -> Iterator[Connection]:
            self.seen.append(f"commit {Path(str(engine.url.database)).name}")
            mine = len(self.seen) == self.at
            self._strike(here=False)
            with writing(engine) as connection:
                yield connection
                self._strike(mine and self.when == BEFORE)
            self._strike(mine and self.when == AFTER)

        with monkeypatch.context() as patch:
            patch.setattr(engines, "writing", commit)
            patch.setattr(engines, "empty_wal", lambda engine: self.effect("empty", lambda: empty_wal(engine)))
            patch.setattr(durable, "replace_secret",
                          lambda path, data: self.effect("replace", lambda: replace(path, data)))
            yield
