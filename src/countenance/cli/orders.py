"""countenance order: what an authority orders, and a death."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from countenance.cli.common import HERE, JsonOption, RefOption, VenueOption, opened, person_of, print_out, read_text
from countenance.cli.record import PersonOption

app = typer.Typer(help="Orders that stop comparing or keep a record, and a death.", no_args_is_help=True)


@app.command("take")
def take(
    note: Annotated[Path, typer.Argument(help="The signed order: `countenance statement draft order|preserve|lift`.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take a signed order in. What it stops is compared no more from this moment."""
    from countenance.flows import orders

    with opened(venue) as here:
        ruling = orders.take(here, read_text(note))
    print_out(as_json, _value(ruling), f"{ruling.effect}, {ruling.scope} {ruling.target}: "
              "it stands in the log, and counts from now on.",
              f"Its number is {ruling.ruling_id}.")


@app.command("list")
def list_(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show every ruling on record."""
    from countenance.clock import utc_text
    from countenance.consent import rulings

    with opened(venue) as here, here.store.read() as unit:
        found = rulings.all_of(unit)
    print_out(as_json, {"rulings": [_value(one) for one in found]},
              *(f"{one.ruling_id}  {one.effect:<8} {one.scope:<10} {one.ground:<12} since {utc_text(one.since)}"
                f"{', lifted' if one.lifted else ''}" for one in found), *([] if found else ["Nothing is ordered."]))


@app.command("died")
def died(
    told_by: Annotated[str, typer.Option("--by", help="Who told, and by what paper.")],
    person: PersonOption = "",
    reference: RefOption = "",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take note of a death: nothing is compared any more, and every key to the face is destroyed."""
    from countenance.flows import orders

    with opened(venue) as here:
        ended = orders.died(here, person_of(here, person, reference), told_by)
    print_out(as_json, {"ended": ended}, f"Nothing is compared any more; {ended} faces are erased.")


@app.command("wish")
def wish(
    who: Annotated[str, typer.Argument(help="nobody or relatives.")],
    person: PersonOption = "",
    reference: RefOption = "",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write down who may ask about a person after their death."""
    from countenance.flows import orders

    with opened(venue) as here:
        orders.wish(here, person_of(here, person, reference), who)
    print_out(as_json, {"who": who}, f"After their death may ask: {who}.")


def _value(ruling: Any) -> dict[str, Any]:
    from countenance.clock import utc_text

    return {"ruling": ruling.ruling_id, "effect": ruling.effect, "scope": ruling.scope, "target": ruling.target,
            "ground": ruling.ground, "since": utc_text(ruling.since),
            "lifted": utc_text(ruling.lifted) if ruling.lifted else ""}
