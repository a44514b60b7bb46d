"""Tells what a file is by what is in it, and has it checked."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from countenance.errors import BadInput
from countenance.formats import evidence as evidence_form
from countenance.formats import trust as trust_form
from countenance.formats.trust import Trust
from countenance.verifier import checkpoints, evidence, logs, receipts
from countenance.verifier.logs import Progress
from countenance.verifier.report import Report, visible

LARGEST = evidence_form.LARGEST
_FORMAT = re.compile(r'^ "format": "countenance/(evidence|receipt)/', re.MULTILINE)
_ANYWHERE = re.compile(r"countenance/(evidence|receipt)/")


def verify(path: Path, trust: Trust | None = None, progress: Progress = lambda _done, _all: None) -> Report:
    """Check a receipt or a list of them, evidence (the ZIP, or evidence.json alone), a checkpoint, or a log's folder.

    Raises BadInput: file-unreadable, file-too-large, file-unknown.
    """
    if path.is_dir():
        return logs.verify(path, checkpoint_of(path), trust, progress)
    beside = path.with_name(evidence_form.SIGNATURE)
    try:
        return verify_bytes(_read(path), trust, _text(beside) if beside.is_file() else None)
    except BadInput as error:
        if error.code != "file-unknown":
            raise
        raise BadInput(error.code, f"{visible(path.name)} is no receipt, evidence, checkpoint or log.") from None


def verify_bytes(data: bytes, trust: Trust | None = None, signature: str | None = None) -> Report:
    """Check what a file holds. `signature`: the text of evidence.sig, for an evidence.json that stands alone.

    Raises BadInput: file-unknown, file-too-large.
    """
    if len(data) > LARGEST:
        raise BadInput("file-too-large", "This is larger than 64 MiB.")
    if data.startswith(b"PK"):
        return evidence.verify(data, trust)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _unknown() from None
    if "\n\n\u2014 " in text:
        return checkpoints.verify(text, trust)
    if text.startswith("[") and _ANYWHERE.search(text):
        return receipts.verify_list(text, trust)
    told = _FORMAT.search(text) or _ANYWHERE.search(text)
    if told is None:
        raise _unknown()
    if told[1] == "receipt":
        return receipts.verify(text, trust)
    return evidence.verify_facts(text, signature, trust)


def read_trust(path: Path) -> Trust:
    """Read a trust file. Raises BadInput: file-unreadable, file-too-large, trust-malformed."""
    return trust_form.parse(_text(path))


def checkpoint_of(folder: Path) -> str:
    """Return the text of a log's checkpoint. Raises BadInput: file-unreadable, file-too-large."""
    path = folder / "checkpoint"
    if path.is_symlink():
        raise BadInput("file-unreadable", "checkpoint is a link, and no link belongs into a log's folder.")
    return _text(path)


def _unknown() -> BadInput:
    return BadInput("file-unknown", "This is no receipt, evidence, checkpoint or log.")


def _text(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError:
        raise BadInput("file-unreadable", f"{visible(path.name)} is not a text in UTF-8.") from None


def _read(path: Path) -> bytes:
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise BadInput("file-unreadable", f"{visible(path.name)} is not a file.")
        if about.st_size > LARGEST:
            raise BadInput("file-too-large", f"{visible(path.name)} is larger than 64 MiB.")
        return path.read_bytes()
    except (OSError, ValueError):
        raise BadInput("file-unreadable", f"{visible(path.name)} cannot be read.") from None
