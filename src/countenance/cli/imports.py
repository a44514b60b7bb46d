"""countenance import: bring people in from elsewhere, by name only, as awaiting consent."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, progress, reserved
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.integrations.importers.rows import Imported, Row

app = typer.Typer(help="Bring people in as awaiting consent, without their pictures.", no_args_is_help=True)

KEY = "COUNTENANCE_COMPREFACE_KEY"
_SHOWN = 20
_FORMULA = ("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are wide ones

DryOption = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")]
SpokenOption = Annotated[str, typer.Option("--language", help="Of people for whom nothing says it.")]
InvitationsOption = Annotated[Path | None, typer.Option(
    "--invitations", help="Where to write a code to send to each: a new CSV file.")]


@app.command("csv")
def from_csv(
    file: Annotated[Path, typer.Argument(help="A CSV file with the column person_ref; household and language too.")],
    invitations: InvitationsOption = None,
    dry_run: DryOption = False,
    language: SpokenOption = "en",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Bring in the people of a list."""
    from countenance.integrations.importers import table

    _run(venue, table.rows(file), "csv", language, invitations, dry_run, as_json)


@app.command("folder")
def from_folder(
    folder: Annotated[Path, typer.Argument(help="A folder with one folder for each person, named after them.")],
    invitations: InvitationsOption = None,
    dry_run: DryOption = False,
    language: SpokenOption = "en",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Bring in the people whom folders of pictures are named after; no picture is opened."""
    from countenance.integrations.importers import folder as folders

    _run(venue, folders.rows(folder), "folder", language, invitations, dry_run, as_json)


@app.command("compreface")
def from_compreface(
    source: Annotated[str, typer.Argument(help="The address of a running CompreFace, or a saved list of faces.")],
    key: Annotated[str, typer.Option("--key", envvar=KEY, help="Its key; better in the environment.")] = "",
    invitations: InvitationsOption = None,
    dry_run: DryOption = False,
    language: SpokenOption = "en",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Bring in the subjects of CompreFace: their names, no embedding and no picture."""
    from countenance.integrations.importers import compreface

    names = compreface.Names()
    there = "://" in source
    rows = compreface.from_server(source, key, names) if there else compreface.from_file(Path(source), names)
    _run(venue, rows, "compreface", language, invitations, dry_run, as_json, names)


def _run(venue: Path, rows: Iterator[Row], source: str, language: str, invitations: Path | None, dry_run: bool,
         as_json: bool, names: object = None) -> None:
    from countenance.integrations.importers.rows import bring_in

    if dry_run and invitations is not None:
        raise BadInput("answer-both", "A dry run writes no invitations.")
    with opened(venue) as here, reserved(invitations) as write, progress("Bringing people in", as_json) as update:
        done = bring_in(here, rows, source, language=language, dry_run=dry_run, invite=invitations is not None,
                        progress=update)
        done.ignored = getattr(names, "ignored", ())
        if invitations is not None:
            write(invitations_csv(done.invitations))
    _print(done, dry_run, as_json)


def _print(done: Imported, dry_run: bool, as_json: bool) -> None:
    counts = Counter(one.outcome for one in done.rows)
    left = [one for one in done.rows if one.outcome != "row-taken"]
    print_out(
        as_json, {"outcome": "would-import" if dry_run else "imported", "added": done.added, "rows": len(done.rows),
                  "reasons": dict(sorted(counts.items())), "without_ticket": done.without_ticket,
                  "invitations": len(done.invitations), "not_read": list(done.ignored),
                  "left_out": [{"place": one.place, "reason": one.outcome} for one in left]},
        f"{'Would bring in' if dry_run else 'Brought in'} {done.added} of {len(done.rows)} rows, awaiting consent.",
        *[f"  {one.place}: {one.outcome}" for one in left[:_SHOWN]],
        *([f"  and {len(left) - _SHOWN} more; --json lists all."] if len(left) > _SHOWN else []),
        *([f"{done.without_ticket} of them have no good ticket today; without one they cannot enrol."]
          if done.without_ticket else []),
        *([f"There, and not read: {', '.join(done.ignored)}."] if done.ignored else []),
        "No picture was opened. Each is asked, and measured only after a yes; who has not said it in 30 days is erased."
    )


def invitations_csv(invitations: list[tuple[str, str]]) -> str:
    """Return what is sent to whom, as CSV. What a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    rows = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    rows.writerow(("person_ref", "code"))
    rows.writerows((_no_formula(reference), code) for reference, code in invitations)
    return text.getvalue()


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
