"""A receipt's code, looked up in a copy of the log."""

from __future__ import annotations

from pathlib import Path

from countenance.errors import BadInput
from countenance.formats import checkpoints, log_entries, signed_note
from countenance.formats.receipt_codes import Code
from countenance.formats.tiles import WIDTH
from countenance.formats.trust import Trust
from countenance.verifier import files, logs
from countenance.verifier.logs import Progress
from countenance.verifier.report import FAILED, OK, UNCHECKED, Report, Step


def find(code: Code, folder: Path, trust: Trust | None, progress: Progress = lambda _done, _all: None) -> Report:
    """Check the log in `folder`, and that entry `code.index` is the leaf of the code.

    Steps 1 to 7 are those of a log; 8 is the code's. Raises BadInput: file-unreadable, file-too-large where there is
    no log.
    """
    text = files.checkpoint_of(folder)
    report = logs.verify(folder, text, trust, progress)
    return Report("receipt code", (*report.steps, _step(code, folder, text, report)), report.trusted)


def _step(code: Code, folder: Path, text: str, report: Report) -> Step:
    number, name = len(report.steps) + 1, "the receipt's leaf"
    if report.failed is not None:
        return Step(number, name, UNCHECKED, "", "Not looked at, because a step before it failed.")
    try:
        _require(code, folder, text)
    except BadInput as error:
        return Step(number, name, FAILED, error.code, error.sentence)
    return Step(number, name, OK, "", f"Entry {code.index} of the log is the leaf of this receipt.")


def _require(code: Code, folder: Path, text: str) -> None:
    head = checkpoints.parse(signed_note.parse(text))
    if head.origin != code.origin:
        raise BadInput("receipt-other-log", "This receipt is of another log.")
    if code.index >= head.size:
        raise BadInput("receipt-unpublished", "This copy of the log is older than the receipt; get a newer one.")
    number, place = divmod(code.index, WIDTH)
    width = min(WIDTH, head.size - number * WIDTH)
    if logs.entries_of(folder, number, width)[place] != log_entries.sealed(code.leaf):
        raise BadInput("receipt-not-in-log", "The log has another entry in the place that this receipt says.")
