"""What was checked, step by step, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from countenance.errors import CountenanceError, Refused

OK, FAILED, UNCHECKED = "ok", "failed", "unchecked"
VERIFIED, SELF_CONSISTENT, REFUSED = "verified", "self-consistent", "refused"

Check = Callable[[], str]
"""One check: returns what was found, in a sentence. Raises a CountenanceError, or Unchecked."""

_MEANING = {
    VERIFIED: "Every check passed, by the keys of the trust file: that is worth as much as whoever gave it to you. "
              "From the venue itself it is no more than self-consistent.",
    SELF_CONSISTENT: "Nothing in it contradicts itself, and nobody but the venue vouches for it: that takes a trust "
                     "file, obtained elsewhere.",
    REFUSED: "It is not what it claims to be, or not of whom the trust file names.",
}


def visible(text: object) -> str:
    """Return text that steers no terminal and turns nothing round: it was written by others."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))


class Unchecked(Exception):  # it is no error
    """Raised by a check that could not be made, with the reason in a sentence."""


@dataclass(frozen=True)
class Step:
    """One check. `outcome` is ok, failed or unchecked; `code` stands where it failed."""

    number: int
    name: str
    outcome: str
    code: str
    sentence: str


@dataclass(frozen=True)
class Report:
    """All checks of one file, in order. After the one that failed none was made.

    `verified` only where every check passed and the keys are those of a trust file; `trusted` says that one was given.
    """

    what: str
    steps: tuple[Step, ...]
    trusted: bool

    @property
    def failed(self) -> Step | None:
        """Return the step that failed, if one did."""
        return next((step for step in self.steps if step.outcome == FAILED), None)

    @property
    def verdict(self) -> str:
        """Return verified, self-consistent or refused."""
        if self.failed is not None:
            return REFUSED
        whole = bool(self.steps) and all(step.outcome == OK for step in self.steps)
        return VERIFIED if self.trusted and whole else SELF_CONSISTENT

    def require_ok(self) -> None:
        """Raise Refused with the failing step's code, or Refused(not-verified) where a trust file did not suffice."""
        step = self.failed
        if step is not None:
            raise Refused(step.code, f"Step {step.number}, {step.name}: {visible(step.sentence)}")
        if self.trusted and self.verdict != VERIFIED:
            raise Refused("not-verified", "Some checks could not be made, so this is not verified.")

    def value(self) -> dict[str, Any]:
        """Return the report as plain values."""
        step = self.failed
        return {"what": self.what, "verdict": self.verdict, "meaning": _MEANING[self.verdict],
                "step": step.number if step else None, "code": step.code if step else None,
                "steps": [vars(one) for one in self.steps]}

    def lines(self) -> list[str]:
        """Return the report for people."""
        told = [f"{step.number:>3}  {step.outcome:<9}  {step.name}: {visible(step.sentence)}"
                + (f" [{step.code}]" if step.code else "") for step in self.steps]
        return [*told, f"{self.verdict}. {_MEANING[self.verdict]}"]


def follow(what: str, checks: Sequence[tuple[str, Check]], *, trusted: bool) -> Report:
    """Make the checks in order, up to the first that fails."""
    steps: list[Step] = []
    for number, (name, check) in enumerate(checks, 1):
        if any(step.outcome == FAILED for step in steps):
            steps.append(Step(number, name, UNCHECKED, "", "Not looked at, because a step before it failed."))
            continue
        try:
            steps.append(Step(number, name, OK, "", check()))
        except Unchecked as reason:
            steps.append(Step(number, name, UNCHECKED, "", str(reason)))
        except CountenanceError as error:
            steps.append(Step(number, name, FAILED, error.code, error.sentence))
    return Report(what, tuple(steps), trusted)
