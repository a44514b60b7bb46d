"""What the commands share: options, opening a venue, reading files, and printing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.flows.venue import Venue
    from countenance.formats.notices import Notice
    from countenance.quantities import PersonId

LARGEST_FILE = 64 << 20
"""Bytes of a picture file that are read at all."""

LONGEST_LINE = 8_192
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff")

VenueOption = Annotated[Path, typer.Option(
    "--venue", "-v", envvar="COUNTENANCE_VENUE", help="The venue's data folder.", file_okay=False)]
RefOption = Annotated[str, typer.Option("--ref", help="Their booking number, instead.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
LanguageOption = Annotated[str, typer.Option("--language", help="Language of the notice: en or zh.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; say yes.")]
HERE = Path()


@contextmanager
def opened(folder: Path) -> Iterator[Venue]:
    """Open the venue with the entitlement that its settings name, and with whom it tells of events."""
    from countenance.clock import SystemClock
    from countenance.errors import StoreFault
    from countenance.flows.opening import open_venue
    from countenance.integrations import entitlements_open, outside, outside_events

    entitlement = entitlements_open.open_entitlement(folder, SystemClock())
    try:
        with open_venue(folder, entitlement) as venue:
            with suppress(StoreFault):  # whoever withdraws does not wait for a file about others
                told = outside.load(folder)
                outside_events.attach(venue, told.recipients, told.mqtt)
            yield venue
    finally:
        getattr(entitlement, "close", lambda: None)()


def picture(path: Path) -> Callable[[], bytes]:
    """Return a camera that takes one picture: it reads this file, when it is called."""

    def take() -> bytes:
        return read(path)

    return take


def read(path: Path) -> bytes:
    """Read a file from outside. Raises BadInput(file-unreadable, file-too-large)."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadInput("file-too-large", f"{path.name} is larger than 64 MiB.")
        return path.read_bytes()
    except OSError:
        raise BadInput("file-unreadable", f"{path.name} cannot be read.") from None


def read_text(path: Path) -> str:
    """Read a text file from outside. Raises BadInput(file-unreadable, file-too-large)."""
    try:
        return read(path).decode()
    except UnicodeDecodeError:
        raise BadInput("file-unreadable", f"{path.name} is not a text file in UTF-8.") from None


def person_of(venue: Venue, person: str, reference: str) -> PersonId:
    """Return whom a desk means, by their number here or by their booking number.

    Raises BadInput(person-missing), Refused(person-unknown).
    """
    from countenance.flows import people
    from countenance.quantities import PersonId

    if person:
        return PersonId(person)
    if not reference:
        raise BadInput("person-missing", "Whose? Give --ref with the booking number, --person, or a pass.")
    return people.by_reference(venue, reference)


def read_pass(path: Path) -> str:
    """Read a pass: a text file, a picture of its code, or "-" for what a scanner types.

    Raises BadInput (file-unreadable, file-too-large, image-*, code-*, pass-missing).
    """
    if str(path) == "-":
        typed = sys.stdin.readline(LONGEST_LINE).strip("\r\n")
        if not typed:
            raise BadInput("pass-missing", "No pass was scanned.")
        return typed
    data = read(path)
    if data.startswith(_PICTURES):
        from countenance.integrations import codes

        return codes.read(data)
    return read_text(path).strip("\r\n")


def write_new(path: Path, text: str) -> None:
    """Write a file for its owner's eyes. Raises BadInput(file-exists)."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file for its owner's eyes. Raises BadInput(file-exists)."""
    from countenance import durable

    try:
        durable.create(path, data, durable.SECRET)
    except FileExistsError:
        raise BadInput("file-exists", f"{path.name} exists already; it was left as it is.") from None


def hand_over(path: Path) -> Callable[[str], str]:
    """Return the way to give a pass as a new file: write it, and return what is read back from there."""

    def write_and_read(text: str) -> str:
        write_new(path, text + "\n")
        return read_text(path)

    return write_and_read


def notice_in_force(venue: Venue, purpose: str) -> Notice:
    """Return the notice in force. Raises Refused (purpose-unknown, notice-missing)."""
    from countenance.consent import notices
    from countenance.quantities import PurposeId

    with venue.store.read() as unit:
        return notices.in_force(unit, notices.purpose(unit, PurposeId(purpose)).purpose_id)


@contextmanager
def reserved(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Take hold of a new file before an act that cannot be undone; give the function that fills it after.

    Raises BadInput(file-exists, file-unwritable) before anything has happened. If nothing was written, the file goes.
    """
    from countenance import durable

    written = False

    def fill(text: str) -> None:
        nonlocal written
        if path is not None:
            durable.write(path, text.encode(), durable.SECRET)
        written = True

    if path is not None:
        try:
            write_new(path, "")
        except OSError:
            raise BadInput("file-unwritable", f"{path.name} cannot be written there; nothing was done.") from None
    try:
        yield fill
    finally:
        if path is not None and not written:
            path.unlink(missing_ok=True)


def confirmed(question: str, otherwise: str, yes: bool) -> None:
    """Go on if the person at the keyboard agrees. Raises BadInput(answer-missing, not-confirmed)."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput("answer-missing", "Nobody is here to answer; say --yes if it is meant.")
    if not typer.confirm(question, err=True):
        raise BadInput("not-confirmed", otherwise)


def print_out(as_json: bool, value: dict[str, Any], *lines: str) -> None:
    """Print `value` as JSON, or the lines for people."""
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines)


@contextmanager
def progress(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr for work that may take longer than a second; give its `update(done, all)`."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done >= total:
                bar.stop()  # and out of the way of what is printed next

        yield update
