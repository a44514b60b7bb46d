"""What a pilot with volunteers found: who was missed, who was referred, how long it took, by groups they stated.

A sheet of visits, a line each, which the venue keeps beside its store: volunteers agree to the pilot as well as to
their face being compared, take a number, and say themselves which group they want to be counted in, or none.
Visits of one person resemble each other, so intervals are by bootstrap over volunteers, not over visits.
"""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from countenance.errors import BadInput

COLUMNS = ("volunteer", "group", "outcome", "reason", "seconds")
OUTCOMES = ("admit", "refer")
MISSED = "no-match"
FEWEST = 10
"""Volunteers of a group under which its figures are shown with a warning."""

_LARGEST = 16 << 20
_REPEATS, _SEED = 1_000, 1


@dataclass(frozen=True)
class Visit:
    """One visit. `reason`: the code of a referral, empty for an admission."""

    volunteer: str
    group: str
    outcome: str
    reason: str
    seconds: float


def read(file: Path) -> list[Visit]:
    """Return the visits of a sheet. Raises BadInput: pilot-malformed (names the line), pilot-empty."""
    try:
        if file.stat().st_size > _LARGEST:
            raise BadInput("pilot-malformed", "This sheet of visits is too large.")
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise BadInput("pilot-malformed", "This sheet of visits cannot be read.") from None
    found = [_visit(number, row) for number, row in enumerate(rows, 2)]
    if not found:
        raise BadInput("pilot-empty", "This sheet holds no visits.")
    return found


def _visit(number: int, row: dict[str, Any]) -> Visit:
    wrong = BadInput("pilot-malformed", f"Line {number} needs volunteer, outcome (admit or refer) and seconds.")
    try:
        seconds = float(row["seconds"])
        one = Visit(row["volunteer"].strip(), (row["group"] or "").strip(), row["outcome"].strip(),
                    (row["reason"] or "").strip(), seconds)
    except (KeyError, ValueError, TypeError, AttributeError):
        raise wrong from None
    if not one.volunteer or one.outcome not in OUTCOMES or not math.isfinite(seconds) or seconds < 0:
        raise wrong
    return one


def report(visits: Sequence[Visit]) -> dict[str, Any]:
    """Return the figures, for all and for each group, in plain types.

    FNMR is by visits in which a face was compared: `no-match` among those and the admissions (a false non-match at the
    gate's own threshold; ISO/IEC 19795-1). Referrals are for whatever reason. Waiting is in seconds.
    """
    groups = sorted({one.group for one in visits if one.group})
    reasons: dict[str, int] = {}
    for one in visits:
        if one.outcome == "refer":
            reasons[one.reason or "not said"] = reasons.get(one.reason or "not said", 0) + 1
    return {"all": _figures(visits), "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])),
            "groups": {name: _figures([one for one in visits if one.group == name]) for name in groups},
            "no_group": sum(not one.group for one in visits)}


def _figures(visits: Sequence[Visit]) -> dict[str, Any]:
    people = sorted({one.volunteer for one in visits})
    compared = [one for one in visits if one.outcome == "admit" or one.reason == MISSED]
    waited = [one.seconds for one in visits]
    return {"volunteers": len(people), "visits": len(visits), "compared": len(compared),
            "fnmr": _share(compared, lambda one: one.outcome == "refer"),
            "referred": _share(visits, lambda one: one.outcome == "refer"),
            "waiting": {"median": float(np.median(waited)), "most_of_95": float(np.percentile(waited, 95))},
            "few": len(people) < FEWEST}


def _share(visits: Sequence[Visit], counts: Any) -> dict[str, Any] | None:
    """Return a share with its 95 % interval by bootstrap over volunteers; none among n volunteers: rule of three."""
    if not visits:
        return None
    people = sorted({one.volunteer for one in visits})
    at = {name: place for place, name in enumerate(people)}
    hits, all_ = np.zeros(len(people)), np.zeros(len(people))
    for one in visits:
        all_[at[one.volunteer]] += 1
        hits[at[one.volunteer]] += bool(counts(one))
    value = float(hits.sum() / all_.sum())
    drawn = np.random.default_rng(_SEED).integers(len(people), size=(_REPEATS, len(people)))
    shares = hits[drawn].sum(axis=1) / all_[drawn].sum(axis=1)
    low, high = (float(end) for end in np.percentile(shares, [2.5, 97.5]))
    if not hits.any():
        low, high = 0.0, min(1.0, 3 / len(people))
    elif hits.sum() == all_.sum():
        low, high = max(0.0, 1 - 3 / len(people)), 1.0
    return {"value": value, "low": low, "high": high}


def table(value: dict[str, Any]) -> list[str]:
    """Return the figures for people at a keyboard."""
    return [" | ".join(row) for row in _rows(value)]


def page(value: dict[str, Any]) -> str:
    """Return the report as one HTML page that stands alone, for somebody who decides and does not count."""
    everybody = value["all"]
    head, *rows = _rows(value)
    cells = "".join("<tr><th scope=row>" + html.escape(row[0]) + "</th>"
                    + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:]) + "</tr>" for row in rows)
    reasons = "".join(f"<li>{html.escape(name)}: {number}</li>" for name, number in value["reasons"].items())
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Pilot report</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}}
table{{border-collapse:collapse;width:100%}}th,td{{padding:.4rem .6rem;border-bottom:1px solid #bbb;text-align:left}}
.bar{{height:1.1rem;background:#0b5cad}}.rest{{background:#e3e3e3;width:100%}}.note{{color:#444}}</style>
<h1>Pilot report</h1>
<p>{everybody["volunteers"]} volunteers came {everybody["visits"]} times. {_sentence(everybody)}</p>
<h2>By the groups that volunteers named for themselves</h2>
<table><thead><tr>{"".join(f"<th scope=col>{html.escape(name)}</th>" for name in head)}</tr></thead>
<tbody>{cells}</tbody></table>
<p class=note>In brackets: where the true rate lies 95 times of 100, were the pilot repeated with other volunteers like
these. Groups marked * have fewer than {FEWEST} volunteers: their figures say little. {value["no_group"]} visits were of
volunteers who named no group; they count under everybody.</p>
<h2>Referred to staff</h2>{_bars(value)}
<h2>Why</h2><ul>{reasons or "<li>Nobody was referred.</li>"}</ul>
<p class=note>A difference between two groups whose brackets overlap may be chance. A group with clearly more misses is
a reason not to go on as it is: see docs/accuracy.md.</p></html>
"""


def _sentence(found: dict[str, Any]) -> str:
    waiting = found["waiting"]
    return (f"Of each hundred visits {100 * found['referred']['value']:.1f} were referred to staff. Half of the visits "
            f"took at most {waiting['median']:.1f} seconds, and 95 of a hundred at most {waiting['most_of_95']:.1f}.")


def _bars(value: dict[str, Any]) -> str:
    lines = []
    for name, one in [("everybody", value["all"]), *value["groups"].items()]:
        share = 100 * one["referred"]["value"]
        lines.append(f'<p>{html.escape(name)}: {share:.1f}%</p><div class=rest role="img" '
                     f'aria-label="{share:.1f} of 100"><div class=bar style="width:{share:.1f}%"></div></div>')
    return "".join(lines)


def _rows(value: dict[str, Any]) -> list[list[str]]:
    rows = [["group", "volunteers", "visits", "missed (FNMR)", "referred", "half waited at most", "95 of 100 at most"]]
    for name, one in [("everybody", value["all"]), *value["groups"].items()]:
        waiting = one["waiting"]
        rows.append([name + (" *" if one["few"] else ""), str(one["volunteers"]), str(one["visits"]),
                     _percent(one["fnmr"]), _percent(one["referred"]), f"{waiting['median']:.1f} s",
                     f"{waiting['most_of_95']:.1f} s"])
    return rows


def _percent(share: dict[str, Any] | None) -> str:
    if share is None:
        return "no visits"
    return f"{share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%})"
