"""countenance keys: the epochs."""

from __future__ import annotations

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, progress

app = typer.Typer(help="Rotate keys, and see the epoch in force.", no_args_is_help=True)


@app.command("rotate")
def rotate(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Begin a new epoch: living keys are rewrapped, the old epoch key is destroyed."""
    from countenance.flows import rotate as story

    with opened(venue) as here, progress("Rewrapping keys", as_json) as update:
        number = story.rotate(here, update)
        count = here.keys.count()
    print_out(as_json, {"epoch": number, "keys": count},
              f"Epoch {number} has begun; {count} living keys. No older copy of the key store opens any more.")


@app.command("status")
def status(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show the epoch in force, and by when the next must begin."""
    from countenance.clock import utc_text
    from countenance.quantities import DAY, Instant

    with opened(venue) as here:
        number, made_at = here.keys.epoch
        count = here.keys.count()
        with here.store.read() as unit:
            promised = unit.mark("rotate_by")
        by_age = Instant(made_at + here.settings.epoch_days * DAY)
    due = utc_text(min(by_age, promised) if promised else by_age)
    print_out(as_json, {"epoch": number, "made_at": utc_text(made_at), "keys": count, "rotate_by": due},
              f"Epoch {number}, since {utc_text(made_at)}; {count} living keys; the next begins by {due}.")
