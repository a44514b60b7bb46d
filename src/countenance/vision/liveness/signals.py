"""Signals of a capture session: how the head turned, whether it is flat, how it answers the screen's colours.

Each is a pure function of numbers. Lengths are in distances between the eyes, so that they hold at any distance.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from countenance.vision.liveness.prompts import Colour

Floats = NDArray[np.float64]
_DEGREE = 4          # of the polynomial that stands for a bent sheet
_AXES = 12           # ways a sheet may be bent along, over half a turn
_QUANTILE = 90
_CHANNELS = [Colour.RED, Colour.GREEN, Colour.BLUE]


def beyond_a_sheet(before: Floats, after: Floats, between_eyes: float) -> tuple[float, float]:
    """Return how far tracked points move unlike those of a flat or bent sheet: HIGHER is more like a head.

    `before`, `after`: (n, 2) pixels in two frames, n at least 24. First the plane: a homography by least squares (a
    photograph that is moved, turned and tilted; Hartley and Zisserman, Multiple View Geometry, 4.1). What it leaves of
    a sheet bent about one axis is a polynomial along one line, and across it no more than straight; that is taken out
    as well, along the line where most goes. Returned: the 90th percentile of what then is left, in distances between
    the eyes, and which share of it (0 to 1, by energy) goes across: near 1 where a head turned, near 0 where it nods.
    """
    source, target = (np.asarray(points, np.float64) / between_eyes for points in (before, after))
    middle = source.mean(axis=0)
    source, target = source - middle, target - middle
    left = target - _applied(homography(source, target), source)
    best, across = math.inf, 0.5
    for angle in np.arange(_AXES) * math.pi / _AXES:
        along = source @ np.array([math.cos(angle), math.sin(angle)])
        aside = source @ np.array([-math.sin(angle), math.cos(angle)])
        powers = np.vander(along / max(float(np.abs(along).max()), 1e-9), _DEGREE + 1)
        basis = np.concatenate([powers, powers * aside[:, None]], axis=1)
        fitted = basis @ np.linalg.lstsq(basis, left, rcond=None)[0]
        rest = left - fitted
        apart = float(np.percentile(np.hypot(*rest.T), _QUANTILE))
        if apart < best:
            energy = (rest**2).sum(axis=0)
            best, across = apart, float(energy[0] / max(float(energy.sum()), 1e-18))
    return best, across


def homography(source: Floats, target: Floats) -> Floats:
    """Return the (3, 3) homography that brings `source` nearest to `target`, in the algebraic sense. Both (n, 2)."""
    x, y = source.T
    one, none = np.ones_like(x), np.zeros_like(x)
    u, v = target.T
    rows = np.concatenate([np.stack([x, y, one, none, none, none, -u * x, -u * y, -u], axis=1),
                           np.stack([none, none, none, x, y, one, -v * x, -v * y, -v], axis=1)])
    made: Floats = np.linalg.svd(rows, full_matrices=False)[2][-1].reshape(3, 3)
    return made


def _applied(made: Floats, points: Floats) -> Floats:
    mapped = np.column_stack([points, np.ones(len(points))]) @ made.T
    depth = mapped[:, 2:]
    return np.asarray(mapped[:, :2] / np.where(np.abs(depth) < 1e-12, 1e-12, depth), np.float64)


def colours_seen(light: Floats) -> tuple[list[Colour], float]:
    """Return which colour fell on the face at each step, and how strongly: the smallest lead of a channel.

    `light`: mean light of the face, linear, (steps, 3) RGB. Each channel is set against its own mean over the steps, as
    a logarithm: skin and room fall out, and what the screen adds stays. Strength is how far the strongest channel
    leads the next, at the step where it leads least; 0 where nothing answers.
    """
    logs = np.log(np.maximum(np.asarray(light, np.float64), 1e-6))
    off = logs - logs.mean(axis=0)
    order = np.sort(off, axis=1)
    return [_CHANNELS[int(k)] for k in off.argmax(axis=1)], float((order[:, -1] - order[:, -2]).min())
