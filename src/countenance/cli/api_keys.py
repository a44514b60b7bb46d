"""countenance apikey: keys for gates, desks' programs and witnesses."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out
from countenance.errors import BadInput

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command("make")
def make(
    role: Annotated[str, typer.Argument(help="gate, gate_staff, desk, operator, auditor or witness.")],
    label: Annotated[str, typer.Option(help="What it is for.")],
    gate: Annotated[str, typer.Option(help="The gate it belongs to.")] = "",
    purpose: Annotated[list[str] | None, typer.Option(
        help="A purpose it may be used for; once for each. Its gate's where none is named.")] = None,
    pressed: Annotated[bool, typer.Option("--pressed", help="Each call stands for a press at the gate.")] = False,
    days: Annotated[int, typer.Option(help="How long it lasts; 0 for as long as this venue allows.")] = 0,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, once: it is kept nowhere."""
    from countenance.access import keys
    from countenance.access.roles import Role
    from countenance.clock import utc_text
    from countenance.flows import gates
    from countenance.quantities import PurposeId

    if role not in {one.value for one in Role}:
        raise BadInput("key-role", "No API key has this role; whoever has it signs in.")
    with opened(venue) as here:
        most = here.settings.key_days
        if days > most:
            raise BadInput("key-days", f"A key lasts at most {most} days here (server.key_days).")
        with here.store.write() as unit:
            named = [PurposeId(one) for one in purpose or ()]
            if gate and not named:  # without its purpose it would compare nothing there
                named = [one for one in [gates.one(unit, gate).purpose] if one]
            made = keys.make(unit, Role(role), gate=gate, purposes=named, pressed=pressed,
                             label=label, by="machine", days=days or most)
        here.log.sign_if_possible()
    until = utc_text(made.expires_at)
    print_out(as_json, {"key_id": made.key_id, "key": made.text, "expires_at": until}, made.text,
              f"Shown this once; good until {until}.")


@app.command("list")
def list_(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show which keys there are; never the keys themselves."""
    from countenance.access import keys
    from countenance.clock import utc_text

    with opened(venue) as here, here.store.read() as unit:
        found, now = keys.all_of(unit), unit.now
    rows = [{"key_id": key.key_id, "role": key.role.value, "gate": key.gate, "purposes": list(key.purposes),
             "pressed": key.pressed, "label": key.label, "made_by": key.made_by,
             "expires_at": utc_text(key.expires_at), "good": key.revoked_at is None and now < key.expires_at}
            for key in found]
    print_out(as_json, {"keys": rows}, *(
        f"{row['key_id']}  {row['role']:10}  {'good' if row['good'] else 'ended'}  "
        f"until {row['expires_at']}  {row['label']}" for row in rows))


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="Its number, from `apikey list`.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make a key worth nothing, from now on."""
    from countenance.access import keys

    with opened(venue) as here:
        with here.store.write() as unit:
            keys.revoke(unit, key_id)
        here.log.sign_if_possible()
    print_out(as_json, {"key_id": key_id}, "Revoked.")
