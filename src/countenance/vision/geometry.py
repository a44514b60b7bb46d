"""Plane geometry that several stages share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def similarity(source: NDArray[Any], target: NDArray[Any]) -> tuple[Matrix, Matrix]:
    """Return (m, t) of the rotation, scaling and shift with m @ source + t nearest to target.

    Least squares over points (n, 2), never a mirror image: Umeyama (PAMI 1991), which in the plane is
    one division of complex numbers. Points that are all one point give m = 0.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    middle_a, middle_b = a.mean(axis=0), b.mean(axis=0)
    u, v = a - middle_a, b - middle_b
    spread = float((u * u).sum())
    real = float((u * v).sum()) / spread if spread else 0.0
    imaginary = float((u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum()) / spread if spread else 0.0
    m = np.array([[real, -imaginary], [imaginary, real]])
    return m, middle_b - m @ middle_a
