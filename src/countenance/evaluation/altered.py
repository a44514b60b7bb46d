"""What known alterations of a picture do to a pack: faces that are not found, and people who are missed.

One photograph of each person stays as it is, another is altered; the two are compared under the dataset permit, at the
threshold that ships. Turning is done with the rendered heads of `made_heads`, for a photograph cannot be turned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.evaluation import made_heads, rates
from countenance.evaluation.dataset import Evaluation, Photograph, listed
from countenance.matching.calibration import Calibration
from countenance.matching.cohort import AnyCohort
from countenance.vision import image
from countenance.vision.pack_runtime import FacePack

Picture = NDArray[np.uint8]
Alter = Callable[[Picture], Picture]
TURNS = (0, 10, 20, 30, 40)


def _blurred(sigma: float) -> Alter:
    return lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def _lit(share: float) -> Alter:
    """Return the picture with so much of the light: in linear light, then as a camera stores it, noise included."""
    def alter(picture: Picture) -> Picture:
        light = (picture / 255.0) ** 2.2 * share
        noise = np.random.default_rng(0).normal(0, 2.0, picture.shape)
        return np.asarray(np.clip(255 * light ** (1 / 2.2) + noise, 0, 255), np.uint8)

    return alter


def _small(share: float) -> Alter:
    def alter(picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        less = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(less, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    return alter


def _jpeg(quality: int) -> Alter:
    def alter(picture: Picture) -> Picture:
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return alter


def _covered(top: float, bottom: float) -> Alter:
    """Return the picture with a grey band across its middle half, from `top` to `bottom` of its height."""
    def alter(picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        made = picture.copy()
        made[int(top * height):int(bottom * height), width // 4:3 * width // 4] = 110
        return made

    return alter


ALTERATIONS: dict[str, Alter] = {
    "none": lambda picture: picture,
    "blur, 1 pixel": _blurred(1), "blur, 2 pixels": _blurred(2), "blur, 3 pixels": _blurred(3),
    "blur, 4 pixels": _blurred(4),
    "a quarter of the light": _lit(0.25), "a sixteenth": _lit(0.0625), "a hundredth": _lit(0.01),
    "half the size": _small(0.5), "a quarter of the size": _small(0.25), "an eighth": _small(0.125),
    "JPEG, quality 30": _jpeg(30), "JPEG, quality 10": _jpeg(10), "JPEG, quality 5": _jpeg(5),
    "covered: mouth and chin": _covered(0.58, 0.75), "covered: eyes": _covered(0.4, 0.5),
    "covered: forehead": _covered(0.25, 0.38),
}
"""Of pictures of 250 pixels with a face of some 110: pixels are theirs."""


def run(folder: Path, pack: FacePack, cohort: AnyCohort, calibration: Calibration, fmr: float, people: int,
        progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Return, for each alteration, faces not found (FTA) and FNMR of those found, each with a 95 % interval.

    Of the first `people` identities with two photographs. Raises BadInput(dataset-*, trials-missing, rate-*).
    """
    pairs = _pairs(folder, people)
    evaluation = Evaluation([one for pair in pairs for one in pair], pack)
    threshold = float(calibration.threshold(fmr))
    steps, done = len(pairs) * (len(ALTERATIONS) + 1), 0
    references: list[NDArray[np.float32] | None] = []
    for first, _ in pairs:
        references.append(_measured(evaluation, first, ALTERATIONS["none"]))
        done += 1
        progress(done, steps)
    rows = {}
    for name, alter in ALTERATIONS.items():
        probes = []
        for _, second in pairs:
            probes.append(_measured(evaluation, second, alter))
            done += 1
            progress(done, steps)
        rows[name] = _row(evaluation, references, probes, cohort, threshold)
    return {"pairs": len(pairs), "fmr": fmr, "threshold": threshold, "calibration": calibration.said(fmr),
            "alterations": rows, "turned": _turned(pack)}


def table(value: dict[str, Any]) -> list[str]:
    """Return the figures for people."""
    lines = [f"{value['pairs']} people, two photographs each; threshold: {value['calibration']}", "",
             f"{'alteration':<28}{'not found':>11}{'missed (FNMR)':>15}  95 % interval"]
    for name, one in value["alterations"].items():
        low, high = one["fnmr_interval"]
        lines.append(f"{name:<28}{one['fta']:>10.1%} {one['fnmr']:>14.1%}  {low:.1%} to {high:.1%}")
    turned = ", ".join(f"{degrees} degrees {found} of 2" for degrees, found in value["turned"].items())
    return [*lines, "", f"Rendered heads of the two portraits, turned, in which a face is found: {turned}."]


def _pairs(folder: Path, people: int) -> list[tuple[Photograph, Photograph]]:
    by_name: dict[str, list[Photograph]] = {}
    for one in listed(folder):
        by_name.setdefault(one.identity, []).append(one)
    found = [(several[0], several[1]) for several in by_name.values() if len(several) > 1][:people]
    if not found:
        raise BadInput("trials-missing", "There are no pairs of this kind to measure with.")
    return found


def _measured(evaluation: Evaluation, one: Photograph, alter: Alter) -> NDArray[np.float32] | None:
    frame = image.decode(one.path.read_bytes())
    changed = alter(np.ascontiguousarray(frame.pixels[:, :, ::-1]))
    frame.wipe()
    try:
        return evaluation.measure(bytes(cv2.imencode(".png", changed)[1]))
    except BadInput:
        return None


def _row(evaluation: Evaluation, references: list[NDArray[np.float32] | None],
         probes: list[NDArray[np.float32] | None], cohort: AnyCohort, threshold: float) -> dict[str, Any]:
    both = [(a, b) for a, b in zip(references, probes, strict=True) if a is not None and b is not None]
    lost = sum(a is not None and b is None for a, b in zip(references, probes, strict=True))
    usable = sum(a is not None for a in references)
    missed = 0
    if both:
        vectors = np.stack([*(a for a, _ in both), *(b for _, b in both)])
        numbers = np.array([*range(len(both)), *range(len(both))])
        trials = evaluation.trials(vectors, numbers, cohort)
        missed = int((trials.scores[trials.same] > threshold).sum())
    fnmr, fta = rates.wilson(missed, max(1, len(both))), rates.wilson(lost, max(1, usable))
    return {"fta": fta.value, "fta_interval": [fta.low, fta.high], "compared": len(both), "fnmr": fnmr.value,
            "fnmr_interval": [fnmr.low, fnmr.high]}


def _turned(pack: FacePack) -> dict[int, int]:
    """Return in how many of the two portraits' rendered heads a face is found, by how far they are turned."""
    found = {}
    for degrees in TURNS:
        seen = 0
        for name in ("collins", "hopper"):
            made = replace(made_heads.setting(name, 1), eyes_px=75.0, shift=(0.0, 0.0))
            pixels = made_heads.rendered(made, made_heads.texture(name), made_heads.head(1.0), degrees, 0, None,
                                         np.random.default_rng(0))
            seen += bool(pack.detect(image.Frame(pixels), 100))
        found[degrees] = seen
    return found
