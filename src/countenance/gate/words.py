"""What a gate says: the same two sentences to everybody, and one line per event for whoever keeps the gate.

Nothing here names a person, shows a pass or colours an answer (promise 6). Codes are about this gate's own parts.
"""

from __future__ import annotations

import json
from contextlib import suppress
from threading import Lock
from typing import Any, Literal, TextIO

ADMIT = {"en": "Please come in.", "zh": "请进。"}
REFER = {"en": "Staff will help.", "zh": "请工作人员协助。"}

Decision = Literal["admit", "refer"]


def sentence(decision: Decision, people: int = 1) -> dict[str, str]:
    """Return the words in each language; how many may come in stands behind them where it is not one."""
    if decision == "refer":
        return dict(REFER)
    return {language: text if people == 1 else f"{text} ({people})" for language, text in ADMIT.items()}


class Voice:
    """Writes to `out` (words, or with `as_json` one JSON value a line) and to `err` (for staff). Any thread may.

    Whoever listened may have gone: that stops no gate.
    """

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        self._out, self._err, self._as_json, self._lock = out, err, as_json, Lock()

    def answer(self, decision: Decision, people: int, **facts: Any) -> None:
        """Say an answer to the person in front."""
        words = sentence(decision, people)
        self._write(self._out, json.dumps({"event": "answer", "decision": decision, "people": people, **facts,
                                           "words": words}, ensure_ascii=False)
                    if self._as_json else " ".join(words.values()))

    def event(self, name: str, **facts: Any) -> None:
        """Tell whoever keeps the gate; without --json nothing is printed where people read."""
        if self._as_json:
            self._write(self._out, json.dumps({"event": name, **facts}, ensure_ascii=False))

    def staff(self, code: str, text: str) -> None:
        """Tell staff a sentence about this gate's own parts."""
        self._write(self._err, f"{text} [{code}]")

    def _write(self, stream: TextIO, line: str) -> None:
        with self._lock, suppress(OSError, ValueError):  # closed
            stream.write(f"{line}\n")
            stream.flush()
