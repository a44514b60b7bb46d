"""countenance gate add, list, open, close, remove: which gates a venue has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, read_pass

if TYPE_CHECKING:
    from countenance.flows.gates import Gate

GateName = Annotated[str, typer.Argument(metavar="GATE", help="The gate's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group `gate`."""
    app.command("add")(add)
    app.command("list")(list_)
    app.command("open")(open_)
    app.command("close")(close)
    app.command("remove")(remove)
    app.command("prove")(prove)
    app.command("waited")(waited)


def add(
    gate: GateName,
    mode: Annotated[str, typer.Option(help="pass, pass-and-face or face.")],
    purpose: Annotated[str, typer.Option(help="What it compares for; none where only passes are looked at.")] = "",
    door: Annotated[str, typer.Option(help="Its door's name in outside.toml.")] = "",
    liveness: Annotated[str, typer.Option(
        help="none where staff are in sight; prompt asks for a turn of the head, by the API.")] = "none",
    lease_minutes: Annotated[int, typer.Option(help="How long it may go by a copy of the revocation list.")] = 60,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Set up a gate, open."""
    from countenance.errors import BadInput
    from countenance.flows import gates

    try:
        what = gates.Mode(mode)
    except ValueError:
        raise BadInput("gate-mode", f"The modes are: {', '.join(known.value for known in gates.Mode)}.") from None
    with opened(venue) as here, here.store.write() as unit:
        made = gates.add(unit, gate, what, purpose, door=door, lease_minutes=lease_minutes,
                         liveness=liveness)
        gates.tell_others(unit, here, gate, opened=True)
    print_out(as_json, _value(made), f"The gate {gate} is set up.")


def list_(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show every gate."""
    from countenance.flows import gates

    with opened(venue) as here, here.store.read() as unit:
        found = gates.all_of(unit)
    print_out(as_json, {"gates": [_value(gate) for gate in found]},
              *(f"{gate.gate_id:<16} {gate.mode.value:<14} {gate.purpose or '-':<16} "
                f"{'open' if gate.open else 'closed'}" for gate in found))


def open_(gate: GateName, venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Open a gate's lane for faces."""
    _set(gate, venue, as_json, opens=True)


def close(gate: GateName, venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Close a gate's lane for faces; passes go on."""
    _set(gate, venue, as_json, opens=False)


def remove(gate: GateName, venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Take a gate away, with its keys."""
    from countenance.flows import gates

    with opened(venue) as here, here.store.write() as unit:
        before = gates.one(unit, gate)
        gates.remove(unit, gate)
        if before.open:
            gates.tell_others(unit, here, gate, opened=False, by="removed")
    print_out(as_json, {"gate": gate}, f"The gate {gate} is gone, and so are its keys.")


def _set(gate: str, venue: Any, as_json: bool, *, opens: bool) -> None:
    from countenance.flows import gates

    with opened(venue) as here, here.store.write() as unit:
        before = gates.one(unit, gate)
        done = gates.set_state(unit, gate, opened=opens, by="command")
        if before.open != opens:
            gates.tell_others(unit, here, gate, opened=opens, by="command")
    print_out(as_json, _value(done), f"The gate {gate} is {'open' if opens else 'closed'} to faces.")


def _value(gate: Gate) -> dict[str, Any]:
    return {"gate": gate.gate_id, "mode": gate.mode.value, "purpose": gate.purpose, "zone": gate.zone,
            "state": "open" if gate.open else "closed", "door": gate.door, "lease_minutes": gate.lease_minutes}


def prove(
    gate: GateName,
    pass_file: Annotated[Path, typer.Option("--pass", help="A pass: a file, a picture, or - to scan.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show a pass at a gate without faces: that it is good there proves, for a day, that there is another way in."""
    from countenance.flows import duties

    with opened(venue) as here:
        zone = duties.prove_lane(here, gate, read_pass(pass_file))
    print_out(as_json, {"gate": gate, "zone": zone}, f"The lane without faces works in {zone}.")


def waited(
    zone: Annotated[str, typer.Argument(metavar="ZONE", help="Where.")],
    lane: Annotated[str, typer.Option(help="face or pass.")],
    seconds: Annotated[int, typer.Option(help="How long somebody waited, by a watch.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write down how long somebody waited. Where people without a face wait longer, the lane for faces closes."""
    from countenance.flows import parity

    with opened(venue) as here, here.store.write() as unit:
        found = parity.waited(unit, zone, lane, seconds)
    print_out(as_json, {"zone": zone, "breached": found.breached, "said": found.text}, f"{zone}: {found.text}.",
              *(["Faces wait there until the other lane is as fast again."] if found.breached else []))
