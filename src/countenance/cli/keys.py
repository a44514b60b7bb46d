"""countenance keys: the epochs, their off-site copy, and signing keys."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, YesOption, confirmed, opened, print_out, progress
from countenance.errors import BadInput

app = typer.Typer(help="Rotate keys, see the epoch in force, and look after what lies off-site.", no_args_is_help=True)


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


@app.command("copy")
def copy(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Write the off-site copy of the epoch key (settings: keys.offsite)."""
    with opened(venue) as here:
        here.keys.copy_offsite()
        place = here.settings.offsite
    print_out(as_json, {"copied": place}, f"The copy in {place} is that of the epoch in force.")


@app.command("fetch")
def fetch(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Take a lost epoch key back from its off-site copy."""
    from countenance import settings
    from countenance.flows.found import KEYS
    from countenance.vault.keys import roots
    from countenance.vault.keys.rows import newest_epoch_in
    from countenance.vault.keys.third import ThirdPlace

    here = settings.load(venue)
    place = ThirdPlace.of(venue, roots.open_root(here.root, venue), here.offsite)
    place.epochs.fetch(newest_epoch_in(venue / KEYS))
    print_out(as_json, {"fetched": here.offsite}, "The epoch key is back.")


@app.command("renew-signer")
def renew_signer(
    use: Annotated[str, typer.Argument(help="Which key: pass, receipt, list or log.")],
    yes: YesOption = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Retire a signing key that leaked. What it signed counts no more: every pass is then made anew."""
    from countenance.flows import log, revocations
    from countenance.flows.found import SIGNING
    from countenance.vault.keys import signing

    if use not in signing.USES:
        raise BadInput("signer-unknown", f"The signing keys are: {', '.join(signing.USES)}.")
    confirmed("Everything that this key signed counts no more. Go on?", "The key was left as it is.", yes)
    with opened(venue) as here:
        kid = signing.renew(here.folder / SIGNING, use)
        if use == "list":
            revocations.post(here)  # the lane without faces reads it with the new key from now on
        if use == "log":
            log.publish(here, now=True)  # what is published under the old key would be refused with the new one
    print_out(as_json, {"use": use, "kid": kid.hex()}, f"A new key signs each {use} now: {kid.hex()}.")
