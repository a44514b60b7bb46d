"""countenance pilot: visits of volunteers, written down in a sheet, and what a manager makes of them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, picture, print_out, read_pass

app = typer.Typer(help="Try it out with volunteers, and report how it went.", no_args_is_help=True)


@app.command("visit")
def visit(
    sheet: Annotated[Path, typer.Argument(help="The sheet of visits, a CSV file; made if it is not there.")],
    volunteer: Annotated[str, typer.Option(help="The volunteer's number in the pilot; no name.")],
    pass_file: Annotated[Path, typer.Option("--pass", help="Their pass.")],
    image: Annotated[Path, typer.Option(help="A picture of them, taken now.")],
    group: Annotated[str, typer.Option(help="The group that they name for themselves; none is fine.")] = "",
    seconds: Annotated[float | None, typer.Option(help="How long they waited; else what the comparison took.")] = None,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Let a volunteer in by pass and face, under their own consent, and write the visit down."""
    from countenance import durable
    from countenance.evaluation import pilot
    from countenance.flows import admit

    with opened(venue) as here:
        shown = read_pass(pass_file)
        begun = here.clock.monotonic()
        decision = admit.at_gate(here, lambda: admit.by_pass(here, shown, picture(image)))
        took = here.clock.monotonic() - begun if seconds is None else seconds
    outcome = decision.outcome.value
    line = io.StringIO()
    write = csv.writer(line, lineterminator="\n")
    if not sheet.exists():
        write.writerow(pilot.COLUMNS)
    write.writerow([volunteer, group, outcome, "" if outcome == "admit" else decision.reason, f"{took:.2f}"])
    durable.append(sheet, line.getvalue().encode())
    print_out(as_json, {"outcome": outcome, "seconds": round(took, 2)}, f"{outcome}; the visit is in {sheet}.")


@app.command("report")
def report(
    sheet: Annotated[Path, typer.Argument(help="The sheet of visits.", exists=True, dir_okay=False)],
    out: Annotated[Path | None, typer.Option(help="Write the page for a manager: a new HTML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Report misses, referrals and waiting, with intervals, by the groups that volunteers named."""
    from countenance.cli.common import reserved
    from countenance.evaluation import pilot

    value = pilot.report(pilot.read(sheet))
    with reserved(out) as write:
        if out is not None:
            write(pilot.page(value))
    print_out(as_json, value, *pilot.table(value))
