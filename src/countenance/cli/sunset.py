"""countenance method: give up a way of coming in, and delete what was kept for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, YesOption, opened, print_out, progress, write_new

app = typer.Typer(help="Give up a way of coming in, such as fingerprints or faces.", no_args_is_help=True)
ReceiptsOption = Annotated[Path, typer.Option("--receipts", help="A new folder for the receipts.")]


@app.command("end")
def end(
    method: Annotated[str, typer.Argument(help="face, fingerprint, ...")],
    replacement: Annotated[str, typer.Option("--replacement", help="The gate without faces that takes its place.")],
    refund: Annotated[str, typer.Option("--refund", help="How people who do not want that get their money back.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Say in the log that a method ends, what takes its place, and how people get their money back."""
    from countenance.flows import sunset

    with opened(venue) as here:
        sunset.announce(here, method, replacement, refund)
    print_out(as_json, {"method": method, "replacement": replacement}, f"Told: {method} ends. Next: "
              "`countenance method delete` destroys what was kept for it.")


@app.command("delete")
def delete(
    method: Annotated[str, typer.Argument(help="face: this venue's; any other: --records.")],
    receipts: ReceiptsOption,
    records: Annotated[Path | None, typer.Option("--records", help="A folder with one file for each booking number of "
                                                 "the other system. They are overwritten and deleted.")] = None,
    yes: YesOption = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Destroy every record of a method, each with a receipt. Asked again, it goes on where it stopped."""
    from countenance.errors import BadInput
    from countenance.flows import sunset

    if (method == sunset.FACE) == (records is not None):
        raise BadInput("method-name", "Faces are this venue's own; of any other method give --records.")
    if not yes and not typer.confirm(f"Destroy every record of {method}? This cannot be undone.", err=True):
        raise BadInput("not-confirmed", "Nothing was destroyed.")
    receipts.mkdir(mode=0o700, exist_ok=True)

    def give(name: str, text: str) -> None:
        same = len(list(receipts.glob(f"{name}.receipt"))) + len(list(receipts.glob(f"{name}.[0-9]*.receipt")))
        write_new(receipts / (f"{name}.{same + 1}.receipt" if same else f"{name}.receipt"), text)

    with opened(venue) as here:
        steps = sunset.faces(here, give) if records is None else sunset.records(here, method, records, give)
        done = 0
        with progress(method, as_json) as update:
            for done, total in steps:
                update(done, total)
    print_out(as_json, {"method": method, "destroyed": done, "receipts": str(receipts)},
              f"{done} records of {method} are destroyed; their receipts are in {receipts}.")
