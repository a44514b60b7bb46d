"""countenance revocations: lists for gates that work from a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, read_text, write_new

app = typer.Typer(help="Hand revocation lists to gates that work from a copy.", no_args_is_help=True)
GateOption = Annotated[str, typer.Option("--gate", help="The gate's name.")]


@app.command("publish")
def publish(
    gate: GateOption,
    out: Annotated[Path, typer.Option("--out", help="Where to write the list; a new file.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Hand the list in force to a gate; it compares faces by it until the lease ends."""
    from countenance.clock import utc_text
    from countenance.flows import revocations

    with opened(venue) as here:
        done = revocations.publish(here, gate)
        write_new(out, done.text)
    until = utc_text(done.good_until)
    print_out(as_json, {"number": done.number, "good_until": until, "file": str(out)},
              f"List {done.number} is in {out}; {gate} may go by it until {until}.")


@app.command("acknowledge")
def acknowledge(
    gate: GateOption,
    file: Annotated[Path, typer.Argument(help="The list that the gate has.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Say that a gate goes by this list now; a withdrawal then does not wait for its lease."""
    from countenance.flows import revocations

    with opened(venue) as here:
        number = revocations.acknowledge(here, gate, read_text(file))
    print_out(as_json, {"gate": gate, "number": number}, f"{gate} goes by list {number}.")


@app.command("forget")
def forget(gate: GateOption, venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Take a gate out of use, once its lease is over."""
    from countenance.flows import revocations

    with opened(venue) as here:
        revocations.forget(here, gate)
    print_out(as_json, {"gate": gate}, f"Nothing waits for {gate} any more.")


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="The list.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Verify a list and show what it says."""
    from countenance.clock import utc_text
    from countenance.flows import revocations

    with opened(venue) as here:
        content = revocations.read(here, read_text(file))
    value = {"number": content.number, "issued_at": utc_text(content.issued_at),
             "good_until": utc_text(content.good_until), "faces": len(content.faces), "replaced": len(content.void)}
    print_out(as_json, value, *(f"{name:>12}  {text}" for name, text in value.items()))
