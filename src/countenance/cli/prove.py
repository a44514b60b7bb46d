"""countenance prove: evidence that anybody can check offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import (
    HERE,
    JsonOption,
    RefOption,
    VenueOption,
    opened,
    person_of,
    print_out,
    progress,
    write_bytes,
)
from countenance.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prove")(prove)


def prove(
    out: Annotated[Path, typer.Option("--out", help="Where to write the evidence, a ZIP; a new file.")],
    person: Annotated[str, typer.Option(help="The person's number here.")] = "",
    reference: RefOption = "",
    whole: Annotated[bool, typer.Option("--venue-wide", help="About the venue as a whole, and nobody in it.")] = False,
    by: Annotated[str, typer.Option(help="Who asks for it; the person sees it in their record.")] = "desk",
    why: Annotated[str, typer.Option(help="Why; the person sees it in their record.")] = "the person asked",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write evidence for one person, or for the venue: everything that happened, with its proofs.

    The ZIP has a page, evidence.html, that opens without a network and checks everything in it.
    """
    from countenance.flows import prove as story

    if whole == bool(person or reference):
        raise BadInput("prove-whom", "Whose evidence? Give --ref, --person, or --venue-wide.")
    if out.exists():
        raise BadInput("file-exists", f"{out.name} exists already; it was left as it is.")
    with opened(venue) as here, progress("Collecting proofs", as_json) as update:
        if whole:
            data = story.whole(here, update)
        else:
            data = story.person(here, person_of(here, person, reference), by, why, update)
        write_bytes(out, data)
    print_out(as_json, {"file": str(out), "bytes": len(data)},
              f"The evidence is in {out}. Check it with: countenance verify {out} --trust FILE")
