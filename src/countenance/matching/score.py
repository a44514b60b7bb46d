"""The comparison score, in one place: a logarithmic distance, normalised on both sides (AS-norm, DESIGN 6).

Raw distances of embeddings treat groups of people very differently: where faces lie crowded, strangers are near. So
each capture is compared with a cohort of nobody (`cohort.py`) as well, which tells how crowded its own neighbourhood
is, and the score says how many spreads closer two captures are than either is to its closest nobody, on average:

    score = (z_probe + z_reference) / 2,   z = (ln distance - mean) / spread = slope * ln distance - offset

It is a dissimilarity (ISO/IEC 2382-37): LOWER is closer, most scores of one person with themselves are below -5, and
a lower threshold is stricter. The method: Matejka et al., "Analysis of score normalization in multilingual speaker
recognition", Interspeech 2017 (adaptive s-norm), there of a similarity, here of a distance's logarithm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.errors import Refused
from countenance.features import Codes
from countenance.quantities import Score

Numbers = NDArray[np.float32]
"""What a cohort says of captures: shape (2,) of one or (2, n) of many; slope (above 0), then offset."""

PLAIN = (1.0, 0.0)
"""Numbers that normalise nothing: then the score is the distance's logarithm, and ranks as the distance does."""

_HALF_A_STEP = 0.5
"""Added to a squared distance in steps, so that equal codes have a logarithm too."""

_ROUNDING = 1.0 + 1e-4
"""Numbers are float32: a reach is taken a little too far rather than a little too near."""


def squared(probe: Codes, reference: Codes) -> int:
    """Return the squared Euclidean distance of two templates in steps of the pack: a whole number, never rounded.

    Both of shape (dimension,), int8. Raises Refused(pack-other) where they are not of one length.
    """
    if probe.shape != reference.shape:
        raise Refused("pack-other", "These two were measured by different models.")
    apart = probe.astype(np.int32) - reference.astype(np.int32)
    return int(apart @ apart)


def of(apart: Any, probe: Numbers, reference: Numbers) -> Any:
    """Return the score, float64, of one squared distance, or of n with `reference` of shape (2, n). Lower is closer.

    Symmetric in probe and reference. The same arithmetic serves 1:1 and 1:N, so both give the very same number.
    """
    slopes = reference[0].astype(np.float64) + np.float64(probe[0])
    offsets = reference[1].astype(np.float64) + np.float64(probe[1])
    return (0.5 * np.log(np.asarray(apart, np.float64) + _HALF_A_STEP) * slopes - offsets) / 2


def reach(within: Score, probe: Numbers, references: Numbers) -> float:
    """Return a squared distance beyond which none of `references`, (2, n), has a score of `within` or lower."""
    if within == np.inf:
        return float("inf")
    logarithms = (references[1] + np.float32(2 * within + probe[1])) / (references[0] + probe[0])
    furthest = float(logarithms.max())
    if not np.isfinite(furthest):  # far more than any distance
        return float("inf")
    return float(np.exp(2 * furthest + abs(furthest) * (_ROUNDING - 1) + (_ROUNDING - 1)))


def as_score(value: Any) -> Score:
    """Return a number as a score. Raises Refused(score-not-finite): what is not a number is near to nobody."""
    number = float(value)
    if np.isnan(number):
        raise Refused("score-not-finite", "This capture could not be measured.")
    return Score(number)
