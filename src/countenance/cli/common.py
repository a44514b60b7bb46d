"""What the commands share: options, opening a venue, reading files, and printing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

LARGEST_FILE = 64 << 20
"""Bytes of a picture file that are read at all."""

VenueOption = Annotated[Path, typer.Option(
    "--venue", "-v", envvar="COUNTENANCE_VENUE", help="The venue's data folder.", file_okay=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
LanguageOption = Annotated[str, typer.Option("--language", help="Language of the notice: en or zh.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; say yes.")]
HERE = Path()


@contextmanager
def opened(folder: Path) -> Iterator[Venue]:
    """Open the venue with the ticket list its settings name."""
    from countenance import settings
    from countenance.flows.opening import open_venue
    from countenance.integrations.entitlement import CsvEntitlement

    tickets = folder / settings.load(folder).entitlement_csv
    with open_venue(folder, CsvEntitlement(tickets)) as venue:
        yield venue


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


def write_new(path: Path, text: str) -> None:
    """Write a file for its owner's eyes. Raises BadInput(file-exists)."""
    from countenance import durable

    try:
        durable.create(path, text.encode(), durable.SECRET)
    except FileExistsError:
        raise BadInput("file-exists", f"{path.name} exists already; it was left as it is.") from None


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
        yield lambda done, total: bar.update(task, completed=done, total=total)
