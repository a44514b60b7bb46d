"""From a stated error rate to a threshold, by a calibration: what was measured, on what, how surely (ISO/IEC 19795-1).

Operators state a false match rate (FMR, 1:1) or a false positive identification rate (FPIR, 1:N), never a threshold.
Here LOWER thresholds are stricter, and a smaller rate gives a lower one. What the data cannot support is refused.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from countenance.errors import BadInput, ModelFault
from countenance.matching.score import as_score
from countenance.quantities import Score

FORMAT = 1
RULE_OF_THREE = 3.0
"""With no false match among n trials, the rate is below 3/n, 95 times of 100 (Hanley and Lippman-Hand, JAMA 1983)."""

_LARGEST_BYTES = 1_000_000


@dataclass(frozen=True)
class Point:
    """One threshold: the FMR it was taken at, and what was measured there with the ends of 95 % intervals."""

    fmr: float
    threshold: float
    fmr_low: float
    fmr_high: float
    fnmr: float
    fnmr_low: float
    fnmr_high: float


@dataclass(frozen=True)
class Calibration:
    """Points from the loosest to the strictest. `trials`: comparisons of different people, each pair counted once."""

    pack: str
    cohort: str
    dataset: str
    date: str
    script: str
    people: int
    trials: int
    points: list[Point]
    groups: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def supports(self) -> float:
        """Return the lowest FMR that so many trials can speak of (rule of three)."""
        return RULE_OF_THREE / self.trials

    def threshold(self, fmr: float) -> Score:
        """Return the threshold for a false match rate of at most `fmr`; between two points the stricter one's side.

        Raises BadInput: rate-unusable, rate-unsupported (says how many trials it takes).
        """
        _require_rate(fmr)
        if fmr < self.supports or fmr < self.points[-1].fmr:
            wanted = math.ceil(RULE_OF_THREE / fmr)
            raise BadInput("rate-unsupported", f"A rate of {fmr:g} takes {wanted:,} comparisons of different people; "
                           f"this calibration has {self.trials:,}.")
        rates = [-point.fmr for point in self.points]  # bisect wants them to rise
        at = bisect_left(rates, -fmr)
        below = self.points[at]
        if below.fmr == fmr or at == 0:
            return as_score(below.threshold)
        above = self.points[at - 1]
        share = math.log(fmr / below.fmr) / math.log(above.fmr / below.fmr)
        return as_score(below.threshold + share * (above.threshold - below.threshold))

    def for_search(self, fpir: float, gallery: int) -> Score:
        """Return the threshold at which a stranger is taken for anyone of `gallery` people at most `fpir` of times.

        Raises BadInput: rate-unusable, rate-unsupported.
        """
        return self.threshold(per_comparison(fpir, gallery))

    def largest_gallery(self, fpir: float) -> int:
        """Return for how many people at most this calibration supports `fpir`; 0 for none. Raises BadInput."""
        _require_rate(fpir)
        least = max(self.supports, self.points[-1].fmr)
        return int(math.log1p(-fpir) / math.log1p(-least) * (1 + 1e-9))

    def said(self, fmr: float) -> str:
        """Return where a threshold is from, in words: data set, rate, interval and date."""
        near = min(self.points, key=lambda point: abs(math.log(point.fmr / fmr)))
        return (f"FMR {fmr:g} on {self.dataset} ({self.people:,} people, {self.date}; at FMR {near.fmr:g} "
                f"95 % interval {near.fmr_low:.2g} to {near.fmr_high:.2g}, FNMR {near.fnmr:.2%})")

    def text(self) -> str:
        """Return it as `parse` reads it."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"


def per_comparison(fpir: float, gallery: int) -> float:
    """Return the FMR of one comparison with which 1 - (1 - FMR)^N is `fpir`. Raises BadInput(rate-unusable)."""
    _require_rate(fpir)
    return -math.expm1(math.log1p(-fpir) / max(1, gallery))


def identification_rate(fmr: float, gallery: int) -> float:
    """Return the FPIR, 1 - (1 - FMR)^N, of a gallery of N (the binomial model; dependence between people aside)."""
    return -math.expm1(gallery * math.log1p(-fmr))


def load(pack_identity: str, cohort: str, file: Path | None = None) -> Calibration:
    """Return a calibration: the one that ships with the program, or the one in `file`.

    Raises ModelFault: calibration-missing, calibration-malformed, calibration-other (of another pack or cohort).
    """
    found = read(pack_identity, file)
    if (found.pack, found.cohort) != (pack_identity, cohort):
        raise ModelFault("calibration-other", "This calibration was made with another model or another cohort.")
    return found


def read(pack_identity: str, file: Path | None = None) -> Calibration:
    """Return a calibration without asking whether it fits: to say what a threshold rests on. Raises as `load`."""
    name = "".join(c for c in pack_identity.partition("@")[0] if c.isalnum() or c in "-_")
    path = file or Path(str(files("countenance.matching") / "parameters" / f"calibration-{name}.json"))
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise _malformed()
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelFault("calibration-missing", "There is no calibration for this model, so no threshold.") from None
    except (OSError, UnicodeDecodeError):
        raise _malformed() from None
    return parse(text)


def parse(text: str) -> Calibration:
    """Read a calibration, strictly. Raises ModelFault(calibration-malformed)."""
    try:
        value: dict[str, Any] = json.loads(text)
        if value.pop("format") != FORMAT:
            raise _malformed()
        points = [Point(**{key: float(one[key]) for key in one}) for one in value.pop("points")]
        found = Calibration(**value, points=points)
        rates, thresholds = [p.fmr for p in points], [p.threshold for p in points]
        numbers = [number for point in points for number in asdict(point).values()]
        sound = (found.trials > 0 and len(points) > 1 and all(map(math.isfinite, numbers))
                 and all(0 < rate < 1 for rate in rates) and rates == sorted(set(rates), reverse=True)
                 and thresholds == sorted(thresholds, reverse=True))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _malformed() from None
    if not sound:
        raise _malformed()
    return found


def _require_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise BadInput("rate-unusable", "An error rate lies between 0 and 1, both excluded.")


def _malformed() -> ModelFault:
    return ModelFault("calibration-malformed", "The calibration is not as it must be.")
