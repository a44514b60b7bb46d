"""Tells the story: one row a step, 80 columns, as it happens; the same rows as JSON."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from countenance.clock import Clock
from countenance.errors import CountenanceError
from countenance.flows.capture import Timings

PARTS = ("decode", "detect", "align", "embed", "search", "decision")
WIDTH = 80
_NAME, _OUTCOME, _MS = 48, 19, 8


@dataclass(frozen=True)
class Step:
    """One row: what happened, what came out, what had to come out, and how long it took (ms)."""

    name: str
    outcome: str
    expected: str
    ms: float


@dataclass
class Teller:
    """Runs steps and keeps their rows. `plain` writes ASCII only; `silent` writes nothing."""

    clock: Clock
    silent: bool = False
    plain: bool = False
    steps: list[Step] = field(default_factory=list)
    timings: list[Timings] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self._write("")
        self._write(title)
        self._write(("-" if self.plain else "─") * WIDTH)

    def step(self, name: str, expected: str, run: Callable[[], str]) -> str:
        """Run one step and tell it. What refuses counts by its code: "refused: press-missing"."""
        start = self.clock.monotonic()
        try:
            outcome = run()
        except CountenanceError as error:
            outcome = f"refused: {error.code}"
        ms = (self.clock.monotonic() - start) * 1000
        self.steps.append(Step(name, outcome, expected, round(ms, 2)))
        good = "ok" if outcome == expected else "NO"
        if not self.plain:
            good = {"ok": "✓", "NO": "✗"}[good]
        shown = outcome.replace("refused: ", "no: ")
        self._write(f"{good:<3}{name:<{_NAME}}{shown:<{_OUTCOME}}{ms:>{_MS}.1f}ms")
        return outcome

    def say(self, text: str) -> None:
        """Write a line of plain words."""
        self._write(text)

    @property
    def ok(self) -> bool:
        """Say whether every step came out as it had to."""
        return bool(self.steps) and all(step.outcome == step.expected for step in self.steps)

    def medians(self) -> dict[str, float]:
        """Return the median time of each part of an admission, in ms."""
        return {part: round(statistics.median([t.ms[part] for t in self.timings if part in t.ms] or [0.0]), 2)
                for part in PARTS}

    def json(self) -> dict[str, Any]:
        """Return the whole story as plain values."""
        return {"ok": self.ok, "steps": [vars(step) for step in self.steps], "timings_ms": self.medians()}

    def _write(self, line: str) -> None:
        if self.silent:
            return
        if self.plain:
            line = line.encode("ascii", "replace").decode()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
