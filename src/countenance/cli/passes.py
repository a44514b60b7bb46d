"""countenance pass: plain passes, and what a pass says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, hand_over, opened, print_out, read_text

app = typer.Typer(help="Issue plain passes, and read any pass.", no_args_is_help=True)


@app.command("issue")
def issue(
    reference: Annotated[str, typer.Option("--ref", help="The person's booking number in the ticket list.")],
    out: Annotated[Path, typer.Option("--pass-out", help="Where to write the pass; a new file.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Issue a plain pass: no face, same gate, same price."""
    from countenance.flows.enrol import say_no

    with opened(venue) as here:
        say_no(here, reference, hand_over(out))
    print_out(as_json, {"outcome": "plain", "pass": str(out)}, f"A plain pass is in {out}.")


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="The pass.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Verify a pass and show what it says."""
    from countenance.clock import utc_text
    from countenance.flows import passes

    text = read_text(file)
    with opened(venue) as here, here.store.read() as unit:
        content = passes.read_here(here, text, unit.now)
    value = {
        "pass": content.pass_id, "venue": content.venue, "reference": content.reference,
        "custody": content.custody.value, "purpose": content.purpose, "person": content.person,
        "expires_at": utc_text(content.expires_at),
        "ask_not_before": utc_text(content.ask_not_before) if content.ask_not_before else "",
    }
    print_out(as_json, value, *(f"{name:>15}  {text}" for name, text in value.items() if text))
