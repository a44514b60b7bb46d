"""countenance backup, countenance restore: one store each, and nobody who withdrew comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, YesOption, confirmed, opened, print_out, progress
from countenance.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    which: Annotated[str, typer.Argument(metavar="data|keys", help="Which store.")],
    to: Annotated[Path, typer.Option("--to", help="Where to write the copy; a new file.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Copy one store while the venue is open. Keep the two copies apart; the epoch key is in neither."""
    from countenance.flows import backup as story

    with opened(venue) as here, progress("Copying", as_json) as update:
        story.backup(here, which, to, update)
    print_out(as_json, {"backup": which, "file": str(to)}, f"The {which} are in {to}.")


def restore(
    data: Annotated[Path | None, typer.Option("--data", help="A backup of the data.")] = None,
    keys: Annotated[Path | None, typer.Option("--keys", help="A backup of the keys.")] = None,
    in_place: Annotated[bool, typer.Option(
        "--in-place", help="The files were put back by hand, or a restore was interrupted: settle that.")] = False,
    log: Annotated[Path | None, typer.Option(
        "--log", help="A copy of the published log that was held outside; without it the venue's own.")] = None,
    yes: YesOption = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Put a store back from its backup. Everybody is asked again before their face is compared.

    Keys that were destroyed since stay destroyed, and a new epoch begins. Needs the venue closed everywhere else.
    """
    from countenance import settings
    from countenance.clock import SystemClock
    from countenance.flows import restore as story
    from countenance.integrations.entitlement import CsvEntitlement

    if (data is None and keys is None) != in_place:
        raise BadInput("restore-what", "Give --data or --keys, or --in-place alone.")
    copies = story.Copies(data, keys)
    clock = SystemClock()
    loss = story.examine(venue, copies, clock)
    confirmed(f"{loss.people} people and {loss.events} events that are here are not in these copies and would be lost. "
              f"{loss.records} people whose record no key opens would be erased, and {loss.faces} faces that no key "
              "opens given up. Everybody is asked again. Go on?", "Nothing was changed.", yes)
    tickets = CsvEntitlement(venue / settings.load(venue).entitlement_csv)
    with progress("Rewrapping keys", as_json) as update:
        done = story.restore(venue, tickets, clock, copies, update, log=log)
    went_on = ("Another log has begun: the old one could not be continued." if done.log.anew else
               f"The log goes on; {done.log.entries} of its entries were put back.")
    print_out(as_json, {"asked_again": done.asked_again, "unopened": done.unopened, "erased": done.erased,
                        "epoch": done.epoch, "lost_people": loss.people, "lost_events": loss.events,
                        "lost_records": loss.records, "lost_faces": loss.faces,
                        "log": {"entries": done.log.entries, "anew": done.log.anew}},
              f"Restored. {done.asked_again} consents wait for their person to renew them; "
              f"{done.unopened} faces have no key any more and may enrol again; "
              f"{done.erased} people without a record were erased. Epoch {done.epoch} has begun.",
              went_on)
