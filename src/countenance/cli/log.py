"""countenance log: the transparency log, for the venue and for those who watch it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli import log_outside
from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, progress, write_new

app = typer.Typer(help="Publish the log, check it, witness it, watch it.", no_args_is_help=True)
log_outside.register(app)


@app.command("publish")
def publish(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Publish what is new into the folder `log`, if the interval in venue.toml is over."""
    from countenance.clock import utc_text
    from countenance.flows import log
    from countenance.transparency.publish import FOLDER

    with opened(venue) as here, progress("Publishing", as_json) as update:
        done = log.publish(here, update)
        folder = str(here.folder / FOLDER)
    next_at = utc_text(done.next_at)
    said = "Published" if done.anew else "Nothing was due; published are"
    print_out(as_json, {"size": done.size, "published": done.anew, "next_at": next_at, "folder": folder},
              f"{said}: {done.size} entries in {folder}. The next time is {next_at}.")


@app.command("verify")
def verify(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Derive the whole log again from the venue's store, and compare it with what was signed and published."""
    from countenance.flows import log

    with opened(venue) as here, progress("Checking", as_json) as update:
        found = log.verify(here, update)
    print_out(as_json, {"size": found.size, "signed": found.signed, "published": found.published},
              f"The log is in order: {found.size} entries, {found.signed} signed, {found.published} published.")


@app.command("rebuild")
def rebuild(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Make the log's tiles again from its entries, where `log verify` found one that is damaged."""
    from countenance.flows import log

    with opened(venue) as here, progress("Rebuilding", as_json) as update:
        size = log.rebuild(here, update)
    print_out(as_json, {"size": size}, f"The tiles of {size} entries were made again.")


@app.command("trust")
def trust(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this new file.")] = None,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Print the venue's keys as a trust file, for somebody else to hand on."""
    from countenance.flows import log

    with opened(venue) as here:
        text = log.trust(here).encode()
    if out is not None:
        write_new(out, text)
    value = {"trust": text} if out is None else {"file": str(out)}
    print_out(as_json, value, text.rstrip("\n") if out is None else
              f"The keys are in {out}. Whoever has them from the venue alone has the venue's word alone.")
