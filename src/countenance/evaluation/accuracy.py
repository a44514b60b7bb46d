"""evaluate: error rates on labelled photographs, from the folder to the report (ISO/IEC 19795-1)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from countenance.clock import SystemClock, utc_text
from countenance.errors import BadInput, ModelFault
from countenance.evaluation import plots, trial_data
from countenance.evaluation import report as reports
from countenance.evaluation.trial_data import Scored
from countenance.matching import calibration, cohort
from countenance.matching.calibration import Calibration
from countenance.matching.cohort import AnyCohort, Unnormalised
from countenance.vision.pack_runtime import FacePack


@dataclass(frozen=True)
class Found:
    """Scores, with what they were made by. `shipped` is None without normalisation, or where none ships."""

    scored: Scored
    cohort: AnyCohort
    shipped: Calibration | None
    groups: dict[str, set[str]]


def run(folder: Path | None, listed: tuple[Path | None, Path | None], groups: Path | None, pack: FacePack, raw: bool,
        progress: Callable[[int, int], None], *, quality: bool = False) -> Found:
    """Score what was asked for: a folder, or a file of pairs with its root.

    Raises BadInput: dataset-*, pairs-*, groups-*; ModelFault (cohort-missing: calibrate, or take --raw).
    """
    members = _groups(groups)
    pairs, root = listed
    data = trial_data.pairs(pairs, root) if pairs and root else trial_data.folder(folder or Path())
    held: AnyCohort = Unnormalised(pack.identity) if raw else cohort.load(pack.identity, pack.own("cohort.json"))
    scored = trial_data.score(data, pack, held, progress, quality=quality)
    return Found(scored, held, None if raw else _shipped(pack, held.identity), members)


def reported(found: Found, fmr: float, gallery: int) -> dict[str, Any]:
    """Return the figures with what they were measured on and by. Raises BadInput(rate-*)."""
    about = {"cohort": found.cohort.identity, "date": utc_text(SystemClock().now())[:10], "fmr": fmr}
    return about | reports.report(found.scored, found.shipped, fmr, found.groups, gallery)


def write(folder: Path, found: Found, value: dict[str, Any]) -> None:
    """Write scores.npz, report.json, det.svg, roc.svg and report.html to a new folder. Raises BadInput(out-exists)."""
    plots.require()
    try:
        folder.mkdir(parents=True)
    except OSError:
        raise BadInput("out-exists", "The folder for the report is there already, or cannot be made.") from None
    trials = found.scored.trials
    np.savez_compressed(folder / "scores.npz", scores=trials.scores, first=trials.first, second=trials.second)
    (folder / "report.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    drawn = plots.det({"measured here": value["curve"]}) if value["curve"] else ""
    (folder / "det.svg").write_text(drawn, encoding="utf-8")
    roc = plots.roc(value["curve"]) if value["curve"] else ""
    (folder / "roc.svg").write_text(roc, encoding="utf-8")
    lines, rows = table(value)[:4], _rows(value)
    (folder / "report.html").write_text(reports.page("Error rates", [one for one in lines if one], rows, drawn + roc),
                                        encoding="utf-8")


def table(value: dict[str, Any]) -> list[str]:
    """Return the figures for people."""
    at, found = value["at_threshold"], value["identification"]
    said = [
        f"{value['photographs']:,} photographs of {value['people']:,} people; {value['fta']:,} without a usable face "
        f"(FTA {_share(value['fta'] / value['photographs'], value['fta_interval'])})",
        f"{value['mated']:,} mated and {value['nonmated']:,} non-mated pairs; "
        f"files that were there twice: {len(value['twice']):,}",
        f"threshold: {value['calibration']}" if value.get("calibration") else "threshold: none is applied",
        f"a gallery of {found['gallery']:,}: FPIR {found['fpir']:.2%} (at most {found['fpir_at_most']:.2%}), "
        f"FNIR {_percent(found['fnir'])}" if found else "",
        "",
    ]
    head, *rows = _rows(value)
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    drawn = [" ".join(cell.ljust(width) if at == 0 else cell.rjust(width)
                      for at, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in (head, *rows)]
    drawn += ["", *_discarded(value["discard"])] if value.get("discard") else []
    eer = "EER: not measurable" if value["eer"] is None else f"EER {value['eer']:.2%}"
    return [*said, *drawn, "", eer, *(["No threshold ships for this model."] if at is None else [])]


def _discarded(found: dict[str, list[tuple[float, float]]]) -> list[str]:
    shares = [f"{share:.0%}" for share, _ in next(iter(found.values()))]
    return [f"{'FNMR as the worst go, by':<30}" + "".join(f"{share:>8}" for share in shares),
            *(f"{name:<30}" + "".join(f"{100 * fnmr:>7.2f}%" for _, fnmr in row) for name, row in found.items())]


def _rows(value: dict[str, Any]) -> list[list[str]]:
    rows = [["at", "threshold", "FMR", "FNMR"]]
    if value["at_threshold"]:
        rows.append(_row("the shipped threshold", value["at_threshold"]))
    for rate, one in value["at_fmr"].items():
        rows.append(_row(f"FMR {rate}", one) if one else [f"FMR {rate}", "too few pairs", "", ""])
    for name, one in value["groups"].items():
        rows.append(_row(f"{name} ({one['people']:,} people)", one))
    return rows


def _row(name: str, one: dict[str, Any]) -> list[str]:
    shown = [_share(one[rate], one.get(f"{rate}_interval")) for rate in ("fmr", "fnmr")]
    return [name, f"{one['threshold']:.3f}" if "threshold" in one else "", *shown]


def _share(rate: float | None, interval: list[float] | None) -> str:
    if rate is None:
        return "no pairs"
    return _percent(rate) + (f" [{_percent(interval[0])}, {_percent(interval[1])}]" if interval else "")


def _percent(rate: float | None) -> str:
    return "no pairs" if rate is None else f"{100 * rate:.3g}%"


def _shipped(pack: FacePack, held: str) -> Calibration | None:
    try:
        return calibration.load(pack.identity, held, pack.own("calibration.json"))
    except ModelFault as fault:
        if fault.code != "calibration-missing":
            raise
        return None


def _groups(file: Path | None) -> dict[str, set[str]]:
    """Read identities by group. Raises BadInput(groups-unreadable)."""
    found: dict[str, set[str]] = {}
    if file is None:
        return found
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            for row in csv.DictReader(text):
                found.setdefault(row["group"].strip(), set()).add(row["identity"].strip())
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError):
        raise BadInput("groups-unreadable", "A list of groups needs the columns identity and group.") from None
    return found
