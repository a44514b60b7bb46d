"""countenance evaluate: how well something that is promised holds, measured."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import JsonOption, print_out, progress
from countenance.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.evaluation.unlinkability import Report, Row

_BETWEEN = {"venues": "two venues", "renewal": "renewed", "erasure": "erased, anew"}
_CIPHERTEXTS = (("carried", "in the pass"), ("holder_keyed", "at the venue"), ("holder_keyed", "in the pass"),
                ("venue_keyed", "at the venue"))
_VALUES = ("identifiers at the venue", "traits at the venue", "identifiers in the pass", "traits in the pass")
_NAMED, _WIDTH = 3, 80
APART = ("Without keys nothing was found that links ciphertexts: encryption under random keys gives that by "
         "construction.")
TOGETHER = ("Ciphertexts tell who is who WITHOUT keys, which must not be. Chance makes it look so once in a hundred "
            "runs; if it does again, a key or a nonce is not random, or something is stored in the clear.")
OPENED = "With the keys, templates of one person link. A template that was opened cannot be made harmless."

NosesOption = Annotated[Path | None, typer.Option(
    help="A CSV file of noses in FOLDER's pictures: image, nose_x, nose_y. Are faces found there?", exists=True,
    dir_okay=False)]
DetectorOption = Annotated[Path | None, typer.Option(
    help="A YuNet file (ONNX), for --noses, instead of the pack's detector.", exists=True, dir_okay=False)]
AlteredOption = Annotated[int, typer.Option(
    min=0, help="Blur, darken, shrink and cover one of two photographs of so many people: who is missed?")]
PadOption = Annotated[bool, typer.Option("--pad", help="SYNTHETIC capture sessions: are attacks taken for live?")]
SessionsOption = Annotated[int, typer.Option(min=1, max=3_000, help="Of each kind, for --pad.")]
GroupsOption = Annotated[Path | None, typer.Option(
    help="A CSV file: identity, group. Rates within each group are shown beside the overall ones.",
    exists=True, dir_okay=False)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    folder: Annotated[Path | None, typer.Argument(
        help="DIR/IDENTITY/*: labelled photographs.", exists=True, file_okay=False)] = None,
    pairs: Annotated[Path | None, typer.Option(
        help="A CSV file of pairs instead: file_x, file_y, Decision (Yes or No).", exists=True, dir_okay=False)] = None,
    root: Annotated[Path | None, typer.Option(
        help="Where the files of --pairs lie.", exists=True, file_okay=False)] = None,
    groups: GroupsOption = None,
    fmr: Annotated[float, typer.Option(help="The false match rate whose threshold is applied.")] = 0.001,
    gallery: Annotated[int, typer.Option(min=1, help="People in a gallery, for 1:N figures.")] = 1_000,
    raw: Annotated[bool, typer.Option("--raw", help="Without normalisation.")] = False,
    quality: Annotated[bool, typer.Option(
        "--quality", help="Also how FNMR falls as the worst photographs go (ISO/IEC 29794-1), by component.")] = False,
    pack: Annotated[str, typer.Option(help="The model pack.")] = "dlib-resnet",
    out: Annotated[Path | None, typer.Option(help="A new folder for scores, report and plot.")] = None,
    noses: NosesOption = None,
    detector: DetectorOption = None,
    smallest: Annotated[int, typer.Option(min=20, help="How wide a face is at least, in pixels, for --noses.")] = 40,
    pad: PadOption = False,
    sessions: SessionsOption = 300,
    altered: AlteredOption = 0,
    unlinkability: Annotated[bool, typer.Option(
        "--unlinkability", help="Can what is stored of one person be told to be one person's?")] = False,
    people: Annotated[int, typer.Option(min=50, max=5_000, help="Made-up people, for --unlinkability.")] = 1_000,
    photos: Annotated[Path | None, typer.Option(
        help="DIR/IDENTITY/*: photographs, whose opened templates are compared too.",
        exists=True, file_okay=False)] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the distributions into this new SVG file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure error rates on labelled photographs, or a property of what is kept of faces.

    Photographs are compared under a permit that opens no venue; some 0.03 s each. FMR: strangers taken for one
    person. FNMR: one person taken for two. Intervals are of 95 %, by identity.

    --altered: faces not found and people missed as one of two photographs gets worse in known ways.

    --pad: APCER of each species and BPCER, on rendered heads and attacks of the portraits in the public domain; some
    0.2 s a session.

    --noses: how many faces are found, in pictures with the positions of noses given.

    --unlinkability: D_sys of everything stored in two venues, and before and after a renewal, with keys secret and
    with keys disclosed, on made-up people. Some 0.2 s a person; ends with 1 where ciphertexts alone link.
    """
    if unlinkability:
        _unlinkability(people, photos, plot, as_json)
    elif pad:
        _pad(sessions, pack, as_json)
    elif folder is not None and altered:
        _altered(folder, altered, fmr, pack, as_json)
    elif folder is not None and noses is not None:
        _noses(folder, noses, detector, pack, smallest, as_json)
    elif folder is not None or (pairs is not None and root is not None):
        _photographs(_Asked(folder, pairs, root, groups, fmr, gallery, raw, quality, pack, out), as_json)
    else:
        raise BadInput("evaluate-what", "Say what to evaluate: a folder, --pairs with --root, --pad, --unlinkability.")


def _unlinkability(people: int, photos: Path | None, plot: Path | None, as_json: bool) -> None:
    from countenance.cli.common import reserved
    from countenance.evaluation import plots
    from countenance.evaluation import unlinkability as evaluation

    if plot is not None:
        plots.require()
    with reserved(plot) as write:
        with progress("Enrolling made-up people twice, then comparing", as_json) as update:
            report = evaluation.run(people, photos, update)
        if plot is not None:
            write(plots.drawn(evaluation.panels(report), across=2))
    print_out(as_json, report.value() | {"says": list(_says(report))}, *_table(report))
    if report.ciphertexts_link():
        raise typer.Exit(1)


def _pad(count: int, pack: str, as_json: bool) -> None:
    from countenance.evaluation import pad
    from countenance.vision.pack_runtime import FacePack

    opened = FacePack.open(pack)
    with progress("Making sessions, and judging them", as_json) as update:
        value = pad.run(count, opened, opened.alignment, update)
    print_out(as_json, value, *pad.table(value))


def _altered(folder: Path, people: int, fmr: float, pack: str, as_json: bool) -> None:
    from countenance.evaluation import altered
    from countenance.matching import calibration, cohort
    from countenance.vision.pack_runtime import FacePack

    opened = FacePack.open(pack)
    held = cohort.load(opened.identity, opened.own("cohort.json"))
    measured = calibration.load(opened.identity, held.identity, opened.own("calibration.json"))
    with progress("Altering photographs, and measuring them", as_json) as update:
        value = altered.run(folder, opened, held, measured, fmr, people, update)
    print_out(as_json, value, *altered.table(value))


def _noses(folder: Path, file: Path, detector: Path | None, pack: str, smallest: int, as_json: bool) -> None:
    from countenance.evaluation import finding
    from countenance.vision.pack_runtime import FacePack
    from countenance.vision.session import Session
    from countenance.vision.yunet import YunetDetector

    wanted = finding.listed(file)
    finds: finding.Finds
    name, finds = (pack, FacePack.open(pack)) if detector is None else (
        detector.name, YunetDetector(Session(detector.read_bytes())))
    with progress("Looking for faces", as_json) as update:
        found = finding.run(folder, wanted, finds, smallest, update)
    low, high = found["recall_interval"]
    print_out(as_json, {"detector": name, "smallest_face_px": smallest} | found,
              f"{name}: {found['found']} of {found['noses']} noses lie in a face that was found "
              f"(recall {found['recall']:.3f}, 95 % interval {low:.3f} to {high:.3f}).",
              f"Faces without a nose: {found['faces_without_a_nose']}.", *(f"  missed: {m}" for m in found["missed"]))


@dataclass(frozen=True)
class _Asked:
    folder: Path | None
    pairs: Path | None
    root: Path | None
    groups: Path | None
    fmr: float
    gallery: int
    raw: bool
    quality: bool
    pack: str
    out: Path | None


def _photographs(asked: _Asked, as_json: bool) -> None:
    from countenance.evaluation import accuracy
    from countenance.vision.pack_runtime import FacePack

    opened = FacePack.open(asked.pack)
    with progress("Measuring photographs", as_json) as update:
        found = accuracy.run(asked.folder, (asked.pairs, asked.root), asked.groups, opened, asked.raw,
                             update, quality=asked.quality)
        value = accuracy.reported(found, asked.fmr, asked.gallery)
        if asked.out is not None:
            accuracy.write(asked.out, found, value)
    print_out(as_json, value, *accuracy.table(value))


def _says(report: Report) -> tuple[str, str]:
    return (TOGETHER if report.ciphertexts_link() else APART), OPENED


def _table(report: Report) -> list[str]:
    """Return the figures for people, at most 80 columns wide."""
    return [
        *textwrap.wrap(
            f"{report.people:,} made-up people. D_sys 0: what is kept of one person cannot be told to be one "
            "person's; 1: it always can. In brackets: what chance alone stays below, 95 times of 100. Of several "
            "ways to compare the best is shown. *: more than chance.", _WIDTH), "",
        f"{'Keys secret':<32}" + "".join(f"{title:>16}" for title in _BETWEEN.values()),
        *(_line(report, f"{custody}, {what}", "secret", what, custody) for custody, what in _CIPHERTEXTS),
        *(_line(report, what, "secret", what) for what in _VALUES), "",
        "Keys disclosed",
        *(_line(report, custody, "disclosed", "templates", custody)
          for custody in ("carried", "holder_keyed", "venue_keyed")),
        *([_line(report, f"photographs, {report.photographed:,} people", "disclosed", "photographs")]
          if report.photographed else []), "",
        *_by(report), *(line for said in _says(report) for line in textwrap.wrap(said, _WIDTH))]


def _line(report: Report, title: str, keys: str, what: str, custody: str | None = None) -> str:
    cells = []
    for between in _BETWEEN:
        rows = [row for row in report.rows if (row.keys, row.what, row.between) == (keys, what, between)
                and custody in (None, row.custody)]
        cells.append(_cell(report, rows))
    return f"  {title:<30}" + "".join(f"{cell:>16}" for cell in cells).rstrip()


def _cell(report: Report, rows: Sequence[Row]) -> str:
    """Return the way that gets furthest."""
    if not rows:
        return ""
    best = min(rows, key=lambda row: (row.measured.p, -row.measured.d_sys))
    mark = "*" if report.links(best) else " "
    return f"{best.measured.d_sys:.3f} ({best.measured.chance_95:.3f}){mark}"


def _by(report: Report) -> list[str]:
    """Say what links although the keys are secret."""
    found: dict[tuple[str, str], set[str]] = {}
    for row in report.rows:
        if row.keys == "secret" and report.links(row):
            found.setdefault((row.between, row.what), set()).update(row.scored.by or (row.way,))
    lines = [line for (between, what), names in found.items() for line in textwrap.wrap(
        f"{_BETWEEN[between]}, {what}: {_some(sorted(names))}", _WIDTH, initial_indent="  ", subsequent_indent="    ")]
    return ["What links although the keys are secret:", *lines, ""] if lines else []


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
