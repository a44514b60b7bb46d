"""The comparison score, in one place. Here: the raw Euclidean distance of two embeddings.

Raw dlib distances treat groups of people very differently (README, DESIGN 6); this module is what the
normalised score replaces. Until then a threshold is `demo-only` and opens no venue that was not told so.
Everything here is a DISTANCE: lower is closer, and a lower threshold is stricter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from countenance.errors import Refused
from countenance.features import Codes
from countenance.quantities import Distance


@dataclass(frozen=True)
class Threshold:
    """At or below `distance` two captures count as one person. `source` says where the number is from."""

    distance: Distance
    source: str
    pack: str


def distance(probe: Codes, reference: Codes, step: float) -> Distance:
    """Return the Euclidean distance of two embeddings in codes of shape (n,); symmetric, 0 for equal ones.

    The sum of squares is a whole number; only its root, times `step`, is not. Raises Refused(pack-other).
    """
    if probe.shape != reference.shape:
        raise Refused("pack-other", "These two were measured by different models.")
    apart = probe.astype(np.int32) - reference.astype(np.int32)
    return Distance(math.sqrt(int(apart @ apart)) * step)
