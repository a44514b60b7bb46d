"""countenance operators: the first owner's code, and who may sign in. It needs the machine, and no password."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, YesOption, confirmed, opened, print_out

app = typer.Typer(help="Let the first owner in, and see or switch off who signs in.", no_args_is_help=True)


@app.command("code")
def code(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Print a one-time code that makes an owner: the first, or another for who lost their password."""
    from countenance.access import operators

    with opened(venue) as here, here.store.write() as unit:
        made = operators.first_code(unit)
    print_out(as_json, {"code": made, "hours": operators.CODE_LASTS // 3600}, made,
              "Good for 24 hours and one use, at the console's page for a first sign-in. Older ones count no more.")


@app.command("list")
def list_(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show who may sign in."""
    from countenance.access import operators

    with opened(venue) as here, here.store.read() as unit:
        found = operators.all_of(unit)
    rows = [{"operator": one.operator_id, "name": one.name, "role": one.role.value, "active": one.active,
             "ready": one.ready} for one in found]
    print_out(as_json, {"operators": rows}, *(
        f"{one.operator_id}  {one.role.value:10}  {_state(one.active, one.ready):7}  {one.name}" for one in found))


@app.command("off")
def off(
    operator: Annotated[str, typer.Argument(help="Their number here, from `operators list`.")],
    keep_keys: Annotated[bool, typer.Option("--keep-keys", help="Leave the API keys good that they made.")] = False,
    yes: YesOption = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Switch an operator off: their sessions end, and the API keys that they made are revoked."""
    from countenance.access import operators

    confirmed("They sign in no more, and gates whose keys they made compare no faces. Go on?",
              "They were left as they are.", yes)
    with opened(venue) as here:
        with here.store.write() as unit:
            revoked = operators.switch_off(unit, operator, keep_keys=keep_keys)
        here.log.sign_if_possible()
    print_out(as_json, {"operator": operator, "keys_revoked": revoked}, f"Switched off; {revoked} API keys revoked.")


def _state(active: bool, ready: bool) -> str:
    return ("active" if ready else "invited") if active else "off"
