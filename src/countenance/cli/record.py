"""countenance record: complaints, disclosures and orders, into the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, RefOption, VenueOption, opened, person_of, print_out, read_text

app = typer.Typer(help="Write down what the log should hold: complaints, disclosures, orders.", no_args_is_help=True)
PersonOption = Annotated[str, typer.Option("--person", help="The person's number here.")]


@app.command("complaint")
def complaint(
    text: Annotated[str, typer.Option("--text", help="What they complain about, in their words.")],
    person: PersonOption = "",
    reference: RefOption = "",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write down a person's complaint, sealed in their own record."""
    from countenance.flows import record

    with opened(venue) as here:
        whose = person_of(here, person, reference)
        record.complaint(here, whose, text)
    print_out(as_json, {"recorded": "complaint", "person": whose}, "The complaint is written down in their record.")


@app.command("disclosure")
def disclosure(
    to: Annotated[str, typer.Option("--to", help="To whom.")],
    what: Annotated[str, typer.Option("--what", help="What was disclosed.")],
    why: Annotated[str, typer.Option("--why", help="On what ground.")],
    seal: Annotated[Path | None, typer.Option("--seal", help="A signed order that they may not see it until its last "
                                              "day.")] = None,
    person: PersonOption = "",
    reference: RefOption = "",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write down that something about a person was given to somebody else."""
    from countenance.flows import record

    with opened(venue) as here:
        whose = person_of(here, person, reference)
        record.disclosure(here, whose, to, what, why, read_text(seal) if seal else "")
    print_out(as_json, {"recorded": "disclosure", "person": whose}, "The disclosure is written down in their record."
              if seal is None else "The disclosure is fixed in the log; they see it when the seal ends.")


@app.command("order")
def order(
    authority: Annotated[str, typer.Option("--authority", help="Who ordered it.")],
    number: Annotated[str, typer.Option("--number", help="The order's own number. Names no person.")],
    what: Annotated[str, typer.Option("--what", help="What was ordered. Names no person: it stands in the clear.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write down, in the clear, that an authority ordered something."""
    from countenance.flows import record

    with opened(venue) as here:
        record.order(here, authority, number, what)
    print_out(as_json, {"recorded": "order"}, "The order is written down in the log, where everybody can read it.")
