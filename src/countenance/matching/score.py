"""The comparison score, in one place. Here: the raw Euclidean distance of two embeddings.

Raw dlib distances treat groups of people very differently (README, DESIGN 6); this module is what the
normalised score replaces. Until then a threshold is `demo-only` and opens no venue that was not told so.
Everything here is a DISTANCE: lower is closer, and a lower threshold is stricter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from countenance.errors import BadInput, Refused
from countenance.features import Vector
from countenance.quantities import Distance


@dataclass(frozen=True)
class Threshold:
    """At or below `distance` two captures count as one person. `source` says where the number is from."""

    distance: Distance
    source: str
    pack: str


def distance(probe: Vector, reference: Vector) -> Distance:
    """Return the Euclidean distance of two vectors of shape (n,); symmetric, 0 for equal ones.

    Raises BadInput(score-not-finite) where a number is not finite: it must not compare as a match.
    """
    if probe.shape != reference.shape:
        raise Refused("pack-other", "These two were measured by different models.")
    found = float(np.linalg.norm(probe.astype(np.float64) - reference.astype(np.float64)))
    return Distance(finite(found))


def finite(number: float) -> float:
    """Return `number`, or raise BadInput(score-not-finite): what is not a number must not match anybody."""
    if not math.isfinite(number):
        raise BadInput("score-not-finite", "This capture could not be measured.")
    return number
