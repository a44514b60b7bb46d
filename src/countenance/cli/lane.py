"""countenance lane: the lane without faces as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, print_out
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.lane.running import Door

app = typer.Typer(help="The lane without faces, as a small process of its own.", no_args_is_help=True)

LaneOption = Annotated[Path | None, typer.Option("--lane", help="The lane's own folder, instead.", file_okay=False)]
LAST_PORT = 65_535
DOORS = ("modbus", "command")
"""Kinds that open without a token."""


@app.command("run")
def run(
    lane: LaneOption = None,
    venue: VenueOption = HERE,
    host: Annotated[str, typer.Option(help="Where to listen; beyond this machine only with TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=LAST_PORT, help="0 takes a free one.")] = 8444,
    staff: Annotated[bool, typer.Option("--staff", help="Say why on the page; for a screen that staff see.")] = False,
    behind_proxy: Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front does TLS.")] = False,
    cert: Annotated[Path | None, typer.Option(help="TLS certificate.", dir_okay=False)] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.", dir_okay=False)] = None,
    counts: Annotated[Path | None, typer.Option(help="Where passes are counted by the day.", dir_okay=False)] = None,
    door: Annotated[str, typer.Option(help="A door of kind modbus or command, by its name in outside.toml.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Check passes with public keys and lists alone, whatever happens to the server."""
    from contextlib import suppress

    from countenance.clock import SystemClock
    from countenance.lane.folder import COUNTS, LaneFolder
    from countenance.lane.running import Lane
    try:
        from countenance.lane import connections, http
    except ImportError:
        raise BadInput("extra-missing", "The lane needs: pip install 'countenance[server]'.") from None

    local = http.is_local(host)
    if (cert is None) != (key is None):
        raise BadInput("listen-tls", "TLS needs both --cert and --key.")
    if not local and not behind_proxy and cert is None:
        raise BadInput("listen-open", "Beyond this machine the lane needs --cert and --key, or --behind-proxy.")
    clock, folder = SystemClock(), lane or venue
    secured = None if cert is None else connections.tls(str(cert), str(key))
    working = Lane(LaneFolder(folder, clock), counts or folder / COUNTS, clock, _door(folder, door) if door else None)
    with http.listen(host, port) as socket:
        working.start()
        url = f"{'http' if cert is None else 'https'}://{host}:{socket.getsockname()[1]}"
        print_out(as_json, {"url": url, **working.health()}, f"The lane without faces is at {url}.",
                  *(f"{piece}: {code}" for piece, code in working.health()["faults"].items()))
        sys.stdout.flush()
        server = connections.server_of(
            http.app_of(working, staff=staff, local_only=local and not behind_proxy), secured)
        try:
            with suppress(KeyboardInterrupt):  # how it is told to stop
                server.run(sockets=[socket])
        finally:
            working.close()


def _door(folder: Path, name: str) -> Door:
    """Return a door of `outside.toml`. Raises BadInput(lane-door), StoreFault(outside-*)."""
    from countenance.integrations import outside
    from countenance.integrations.doors import opening
    from countenance.lane.running import Door

    told = outside.load(folder).doors.get(name)
    if told is None:
        raise BadInput("lane-door", "There is no door of this name in outside.toml.")
    if told.kind not in DOORS:
        raise BadInput("lane-door", f"A lane has no key to sign for doors, so only doors of kind {' or '.join(DOORS)}.")
    found = opening.open_doors(outside.Outside({name: told}))[name]
    return Door(lambda people: found.open(str(people), people), found.heartbeat, told.heartbeat_s, told.timeout_s)


@app.command("pack")
def pack(
    out: Annotated[Path, typer.Option("--out", help="The lane's folder; what is there is renewed.", file_okay=False)],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Copy what the lane goes by out of a venue's folder: public keys and lists, no secret."""
    from countenance.lane.pack import pack as story

    story(venue, out)
    print_out(as_json, {"folder": str(out)}, f"{out} has what the lane goes by.")


@app.command("check")
def check(lane: LaneOption = None, venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Read what the lane would go by, and say what is wrong with it. Ends with 5 where it could not decide."""
    from countenance.clock import SystemClock
    from countenance.lane.folder import COUNTS, LaneFolder
    from countenance.lane.running import Lane

    clock, folder = SystemClock(), lane or venue
    looked = LaneFolder(folder, clock)
    looked.look()
    found = Lane(looked, folder / COUNTS, clock).health()
    print_out(as_json, found, "The lane decides." if found["deciding"] else "The lane refers everybody to staff.",
              *(f"{piece}: {code}" for piece, code in found["faults"].items()))
    if not found["deciding"]:
        sys.exit(5)
