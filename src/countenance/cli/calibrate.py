"""countenance calibrate: what thresholds rest on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countenance.cli import own_calibration
from countenance.cli.common import JsonOption, print_out, progress, reserved

if TYPE_CHECKING:
    from countenance.matching.calibration import Calibration

app = typer.Typer(help="Fit what scores and thresholds rest on.", no_args_is_help=True)
own_calibration.register(app)


@app.command("cohort")
def cohort(
    folder: Annotated[Path, typer.Argument(help="DIR/IDENTITY/*: labelled photographs.", exists=True,
                                           file_okay=False)],
    out: Annotated[Path, typer.Option(help="Where the cohort's parameters go: a new file.")],
    calibration: Annotated[Path, typer.Option(help="Where the calibration goes: a new file.")],
    named: Annotated[str, typer.Option(help="What the data set is called, for everybody who reads a threshold.")],
    group: Annotated[list[str] | None, typer.Option(
        help="NAME=FILE: identities of one group, a line each; shown beside the rates.")] = None,
    pack: Annotated[str, typer.Option(help="The model pack.")] = "dlib-resnet",
    plot: Annotated[Path | None, typer.Option(help="Draw DET curves into this new SVG file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the cohort of nobody, and calibrate with it on people that it has not seen.

    Photographs are compared under a permit that opens no venue. Some 0.05 s a photograph. Both files are used once they
    lie as cohort.json and calibration.json in the pack's folder of the models folder (docs/models.md).
    """
    from countenance.evaluation import fit_cohort, plots
    from countenance.evaluation.calibrating import calibrate

    fit_cohort.require()
    if plot is not None:
        plots.require()
    groups = dict(_group(one) for one in group or [])
    with reserved(out) as write, reserved(calibration) as write_calibration, reserved(plot) as draw:
        with progress("Measuring photographs, then fitting", as_json) as update:
            made = calibrate(folder, named, groups, update, pack=pack)
        found = made.calibration
        write(made.text)
        write_calibration(found.text())
        if plot is not None:
            draw(plots.det(made.curves))
    print_out(as_json, _value(found), *_table(found))


@app.command("show")
def show(
    fpir: Annotated[float, typer.Option(help="The rate that the largest gallery is told for.")] = 0.01,
    pack: Annotated[str, typer.Option(help="The model pack.")] = "dlib-resnet",
    as_json: JsonOption = False,
) -> None:
    """Show a model's calibration: thresholds, what they rest on, and how large a gallery may be.

    It is the one that ships with the model, or the one that was measured here.
    """
    from countenance.matching import calibration as calibrations
    from countenance.matching import cohort as cohorts
    from countenance.vision import packs

    opened = packs.load(pack)
    cohort = cohorts.load(opened.identity, opened.own("cohort.json"))
    found = calibrations.load(opened.identity, cohort.identity, opened.own("calibration.json"))
    largest = found.largest_gallery(fpir)
    print_out(as_json, _value(found) | {"fpir": fpir, "largest_gallery": largest}, *_table(found), "",
              f"1:N at FPIR {fpir:g}: at most {largest:,} people.", f"Measured on {found.dataset}, {found.date}.")


def _group(given: str) -> tuple[str, set[str]]:
    from countenance.errors import BadInput

    name, _, file = given.partition("=")
    try:
        return name, set(Path(file).read_text(encoding="utf-8").split("\n")) - {""}
    except (OSError, UnicodeDecodeError):
        raise BadInput("groups-unreadable", "A list of a group's identities cannot be read.") from None


def _value(found: Calibration) -> dict[str, Any]:
    return {"pack": found.pack, "cohort": found.cohort, "people": found.people, "trials": found.trials,
            "supports": found.supports, "points": [vars(point) for point in found.points], "groups": found.groups}


def _table(found: Calibration) -> list[str]:
    return [f"{found.people:,} people, {found.trials:,} pairs of people; supports FMR {found.supports:.1e}", "",
            f"{'FMR':>8} {'threshold':>10} {'95 % interval of FMR':>24} {'FNMR':>8} {'95 % interval':>18}",
            *(f"{p.fmr:>8g} {p.threshold:>10.3f} {p.fmr_low:>12.2e} {p.fmr_high:>11.2e} {p.fnmr:>8.2%} "
              f"{p.fnmr_low:>8.2%} {p.fnmr_high:>9.2%}" for p in found.points)]
