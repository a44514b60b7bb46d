"""How the lane without faces fares, counted by the day in a file of its own: that lane opens no store.

One line a count: DAY OUTCOME NUMBER. It counts passes, not people, and keeps the lane open whatever happens to it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

from countenance import durable
from countenance.errors import StoreFault
from countenance.storage.folder import waited_for

LANE = "plain"
OUTCOMES = ("admit", "refer")
KEPT = 800
"""Lines that are kept: a bit more than a year. Fewer is stricter."""

_LINE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) (admit|refer) ([0-9]{1,12})")


def add(file: Path, day: date, outcome: str, number: int = 1) -> None:
    """Count `number` passes more. What cannot be counted is not: nobody waits for it."""
    with suppress(OSError, StoreFault):
        add_all(file, {(day.isoformat(), outcome): number})


def add_all(file: Path, more: dict[tuple[str, str], int], patience_s: float = 1.0) -> None:
    """Add (day, outcome) to number, all at once. Raises OSError, StoreFault; then nothing was counted."""
    with waited_for(file.with_name(f"{file.name}.lock"), patience_s):
        known = _read(file)
        for key, number in more.items():
            known[key] = known.get(key, 0) + number
        lines = [f"{when} {what} {count}\n" for (when, what), count in sorted(known.items())[-KEPT:]]
        durable.write(file, "".join(lines).encode())


def by_day(file: Path) -> list[dict[str, Any]]:
    """Return the counts, as evidence has them."""
    return [{"day": day, "lane": LANE, "outcome": outcome, "number": number}
            for (day, outcome), number in sorted(_read(file).items())]


def _read(file: Path) -> dict[tuple[str, str], int]:
    try:
        found = (_LINE.fullmatch(line) for line in file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return {}
    return {(line[1], line[2]): int(line[3]) for line in found if line}


class Tally:
    """Counts in memory, written down now and then: nobody at a gate waits for a disk. Safe for threads.

    What was counted since the last `write` is lost with the process; these are numbers of passes, and of nobody.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, Lock()
        self._counted: dict[tuple[str, str], int] = {}

    def add(self, day: date, outcome: str, number: int = 1) -> None:
        """Count `number` passes more."""
        with self._lock:
            self._put((day.isoformat(), outcome), number)

    def write(self) -> None:
        """Write down what was counted; what cannot be written stays counted here."""
        with self._lock:
            counted, self._counted = self._counted, {}
        try:
            if counted:
                add_all(self._file, counted)
        except (OSError, StoreFault):
            with self._lock:
                for key, number in counted.items():
                    self._put(key, number)

    def _put(self, key: tuple[str, str], number: int) -> None:
        self._counted[key] = self._counted.get(key, 0) + number
