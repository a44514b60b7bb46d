"""What an evaluation found: rates with intervals, per group, for a gallery; as plain types, and as a page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.evaluation import discard, rates
from countenance.evaluation.rates import Rate, Trials
from countenance.evaluation.trial_data import Scored
from countenance.matching.calibration import Calibration, identification_rate

SHOWN = (0.01, 0.001, 0.0001, 0.00001)
_CURVE = 200


def report(scored: Scored, calibration: Calibration | None, fmr: float, groups: dict[str, set[str]],
           gallery: int) -> dict[str, Any]:
    """Return the figures, as `evaluate --json` prints them.

    `fmr`: the rate whose shipped threshold is applied; `calibration` None applies none (--raw, or none at hand).
    Rates that the data cannot give are None. Raises BadInput(rate-*).
    """
    trials = scored.trials
    same = trials.same
    mated, nonmated = trials.some(same), trials.some(~same)
    shipped = None if calibration is None else float(calibration.threshold(fmr))
    value: dict[str, Any] = {
        "photographs": scored.photographs, "fta": scored.fta, "fta_interval": _plain(_wilson(scored)),
        "people": len(scored.identities), "pairs": len(trials.scores), "mated": len(mated.scores),
        "nonmated": len(nonmated.scores), "twice": [list(pair) for pair in scored.twice],
        "at_threshold": _at(shipped, mated, nonmated) if shipped is not None else None,
        "at_fmr": {f"{rate:g}": _at_rate(rate, mated, nonmated) for rate in sorted({*SHOWN, fmr}, reverse=True)},
        "eer": rates.eer(mated.scores, nonmated.scores) if len(mated.scores) and len(nonmated.scores) else None,
        "curve": curve(trials),
    }
    if calibration is not None:
        value["calibration"] = calibration.said(fmr)
    threshold = shipped if shipped is not None else (value["at_fmr"][f"{fmr:g}"] or {}).get("threshold")
    value["groups"] = {name: _group(scored, members, threshold) for name, members in groups.items()}
    if scored.quality and threshold is not None and len(mated.scores):
        value["discard"] = {name: discard.curve(mated.scores, scalars, threshold)
                            for name, scalars in scored.quality.items()}
    value["identification"] = _identification(value["at_threshold"], gallery)
    return value


def _at(threshold: float, mated: Trials, nonmated: Trials) -> dict[str, Any]:
    found: dict[str, Any] = {"threshold": threshold, "fmr": None, "fnmr": None}
    for name, trials, wrong in (("fmr", nonmated, nonmated.scores <= threshold),
                                ("fnmr", mated, mated.scores > threshold)):
        if len(trials.scores):
            rate = rates.by_identity(trials, wrong)
            found |= {name: rate.value, f"{name}_interval": _plain(rate)}
    return found


def _at_rate(rate: float, mated: Trials, nonmated: Trials) -> dict[str, Any] | None:
    try:
        threshold = rates.threshold_at(nonmated.scores, rate)
    except BadInput as refused:
        if refused.code == "rate-unusable":
            raise
        return None  # so few pairs cannot say
    return _at(threshold, mated, nonmated)


def _group(scored: Scored, members: set[str], threshold: float | None) -> dict[str, Any]:
    """Return the rates within one group at the overall threshold."""
    numbers = [at for at, name in enumerate(scored.identities) if name in members]
    trials = scored.trials
    inside = trials.some(np.isin(trials.first, numbers) & np.isin(trials.second, numbers))
    mated, nonmated = inside.some(inside.same), inside.some(~inside.same)
    value: dict[str, Any] = {"people": len(numbers), "mated": len(mated.scores), "nonmated": len(nonmated.scores),
                             "fmr": None, "fnmr": None}
    return value if threshold is None else value | _at(threshold, mated, nonmated)


def _identification(at: dict[str, Any] | None, gallery: int) -> dict[str, Any] | None:
    """Return the FPIR that a gallery makes of the FMR, by 1 - (1 - FMR)^N; a mate is missed as often as in 1:1."""
    if at is None or at["fmr"] is None:
        return None
    high = at["fmr_interval"][1]
    return {"gallery": gallery, "fpir": identification_rate(at["fmr"], gallery),
            "fpir_at_most": identification_rate(min(high, 1 - 1e-12), gallery), "fnir": at["fnmr"]}


def curve(trials: Trials) -> list[tuple[float, float]]:
    """Return (FMR, FNMR) at up to `_CURVE` thresholds: for a DET or ROC plot. Holds no single score."""
    mated, nonmated = trials.some(trials.same), trials.some(~trials.same)
    if not len(mated.scores) or not len(nonmated.scores):
        return []
    strangers, mates = np.sort(nonmated.scores), np.sort(mated.scores)
    ranks: NDArray[np.int64] = np.unique(np.geomspace(1, len(strangers), _CURVE).astype(np.int64)) - 1
    thresholds = strangers[ranks]
    misses = 1 - np.searchsorted(mates, thresholds, side="right") / len(mates)
    matches = np.searchsorted(strangers, thresholds, side="right") / len(strangers)
    return [(float(one), float(other)) for one, other in zip(matches, misses, strict=True)]


def _wilson(scored: Scored) -> Rate:
    return rates.wilson(scored.fta, scored.photographs)


def _plain(rate: Rate) -> list[float]:
    shown = asdict(rate)
    return [shown["low"], shown["high"]]


def page(title: str, lines: Sequence[str], rows: Sequence[Sequence[str]], plot: str) -> str:
    """Return one HTML page that needs nothing else: what was measured, a table, and a plot (SVG)."""
    head, *body = rows
    table = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    said = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    drawing = plot[plot.index("<svg"):] if "<svg" in plot else ""
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title>
<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;
padding:0 1rem}}table{{border-collapse:collapse;margin:1rem 0}}td,th{{padding:.3rem .8rem;text-align:right;
border-bottom:1px solid #8888}}td:first-child,th:first-child{{text-align:left}}figure{{background:#fff;margin:0;
max-width:34rem}}svg{{width:100%;height:auto}}</style>
<h1>{html.escape(title)}</h1>{said}<table><thead><tr>{top}</tr></thead><tbody>{table}</tbody></table>
<figure>{drawing}<figcaption style="color:#222">Above: false non-match rate against false match rate (DET); lower and
further left is better. Below: the share of true matches (ROC); higher is better.</figcaption></figure></html>
"""
