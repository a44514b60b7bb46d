"""countenance sweep: retention that happens."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep")(sweep)


def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """End consents that have expired, erase what is past its date, and rotate keys that are due."""
    from countenance.flows import sweep as story

    with opened(venue) as here, progress("Sweeping", as_json) as update:
        done = story.sweep(here, dry_run=dry_run, progress=update)
    print_out(
        as_json, {"dry_run": dry_run, **asdict(done)},
        f"{'Would end' if dry_run else 'Ended'} {done.expired} consents; people erased: {done.people}; "
        f"rows removed: {done.rows}; keys rotated: {'yes' if done.rotated else 'no'}.",
        *([f"{done.requests} requests are late or due soon: countenance rights list."] if done.requests else []),
        *(["Older backups of the keys open nothing any more: run countenance backup keys."] if done.rotated else []))
