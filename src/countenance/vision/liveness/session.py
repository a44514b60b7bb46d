"""From the frames of one capture session to its signals: detect once, then follow the face from frame to frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.vision import face_quality
from countenance.vision.detect import Box, Detection
from countenance.vision.face_quality import Marks
from countenance.vision.image import Frame
from countenance.vision.landmarks import Points
from countenance.vision.liveness import signals
from countenance.vision.liveness.prompts import Prompt
from countenance.vision.liveness.verdict import NotAssessed, Signals, Thresholds, Verdict, asked, judged

LEAST_FRAMES, MOST_FRAMES = 6, 40
SMALLEST_FACE_PX = 100
LEAST_POINTS = 24
_TRACKED_IED = 64.0    # pixels between the eyes in what is tracked
_POINTS = 160
_BACK_AND_FORTH = 0.7  # pixels that a point may miss itself by, followed there and back
_WINDOW = 13, 13


class Sees(Protocol):
    """A pack's detector and points; nothing that tells people apart."""

    def detect(self, frame: Frame, smallest_face_px: float, /) -> list[Detection]:
        """See `FacePack.detect`."""

    def landmarks(self, frame: Frame, detection: Detection, /) -> Points:
        """See `FacePack.landmarks`."""


class Model(Protocol):
    """A network that tells live faces from others: `model.Minifasnet`."""

    def live(self, frame: Frame, box: Box, /) -> float:
        """Return the probability, 0 to 1, that the face in `box` is a live one."""


@dataclass(frozen=True)
class Taken:
    """One frame, and when it was taken: seconds from the beginning of the session."""

    moment: float
    frame: Frame


def judge(taken: Sequence[Taken], prompt: Prompt, pack: Sees, alignment: str, limits: Thresholds | None = None,
          model: Model | None = None) -> Verdict:
    """Return the verdict on one session's frames.

    `alignment`: the pack's (see `face_quality.marks`). Raises BadInput: frames-many, frames-order (times that do not
    rise, or are no numbers). Whatever else is wrong with them is `NotAssessed`.
    """
    moments = [one.moment for one in taken]
    if len(taken) > MOST_FRAMES:
        raise BadInput("frames-many", f"A capture session has at most {MOST_FRAMES} frames.")
    if not all(map(math.isfinite, moments)) or any(b <= a for a, b in pairwise(moments)):
        raise BadInput("frames-order", "The frames' times must rise from one to the next.")
    inside = [one for one in taken if 0 <= one.moment <= prompt.ends_at]
    if len(inside) < LEAST_FRAMES or len({one.frame.size for one in inside}) != 1:
        return NotAssessed("frames-few")
    limits = limits or Thresholds()
    try:
        return judged(prompt, _signals(inside, prompt, pack, alignment, limits, model), limits)
    except _Lost as lost:
        return NotAssessed(str(lost))


class _Lost(Exception):
    """The face could not be followed."""


@dataclass
class _Seen:
    moment: float
    pixels: NDArray[np.uint8]
    box: Box
    marks: Marks
    pose: tuple[float, float, float]


def _signals(taken: Sequence[Taken], prompt: Prompt, pack: Sees, alignment: str, limits: Thresholds,
             model: Model | None) -> Signals:
    seen = _followed(taken, pack, alignment)
    still = [one for one in seen if one.moment < prompt.turns_at + 0.3]
    if not still:
        raise _Lost("frames-few")
    yaw, pitch = (float(np.median([one.pose[k] for one in still])) for k in (0, 1))
    ways = [asked(prompt.direction, one.pose[0] - yaw, one.pose[1] - pitch) for one in seen]
    late = [at for at, one in enumerate(seen) if one.moment >= prompt.turns_at]
    if not late:
        raise _Lost("frames-few")
    begun = len(still) - 1  # times rise, so those come first
    furthest = max(late, key=lambda at: ways[at][0])
    turned = ways[furthest][0]
    colours, lead = _colours(seen, prompt)
    depth = across = None
    if turned >= limits.turned and furthest > begun:
        depth, across = _beyond_a_sheet(seen[begun:furthest + 1])
    return Signals(turned, max(ways[at][1] for at in late), max(abs(ways[at][0]) for at in range(begun + 1)), depth,
                   across, colours, lead, model.live(Frame(seen[begun].pixels), seen[begun].box) if model else None)


def _followed(taken: Sequence[Taken], pack: Sees, alignment: str) -> list[_Seen]:
    """Find the one face in the first frame, then look for its points where they were a frame before."""
    found = pack.detect(taken[0].frame, SMALLEST_FACE_PX)
    if len(found) != 1:
        raise _Lost("no-face" if not found else "several-faces")
    face, seen = found[0], []
    for one in taken:
        points = pack.landmarks(one.frame, face)
        at = face_quality.marks(points, alignment)
        seen.append(_Seen(one.moment, one.frame.pixels, face.box, at, face_quality.pose(at)))
        face = Detection(_moved(found[0].box, seen), face.score)
    return seen


def _moved(box: Box, seen: list[_Seen]) -> Box:
    """Return the box for the next frame: as far from the points as it was in the first."""
    x, y = (now - then for now, then in zip(seen[-1].marks.middle, seen[0].marks.middle, strict=True))
    return Box(box.left + x, box.top + y, box.right + x, box.bottom + y)


def _upright(one: _Seen, scale: float) -> NDArray[np.uint8]:
    """Return the grey frame at the size that is tracked."""
    import cv2

    grey = cv2.cvtColor(one.pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _beyond_a_sheet(seen: Sequence[_Seen]) -> tuple[float | None, float | None]:
    """Follow corners of the face from the first of `seen` to the last; see `signals.beyond_a_sheet`."""
    import cv2

    between = seen[0].marks.between
    scale = min(1.0, _TRACKED_IED / between)
    grey = _upright(seen[0], scale)
    points = cv2.goodFeaturesToTrack(grey, _POINTS, 0.004, 3, mask=_mask(grey.shape, seen[0].marks, scale))
    if points is None:
        return None, None
    start: Any = points.reshape(-1, 2)
    here = start.copy()
    for later in seen[1:]:
        following = _upright(later, scale)
        here, kept = _step(grey, following, here)
        start, here, grey = start[kept], here[kept], following
        if len(here) < LEAST_POINTS:
            return None, None
    return signals.beyond_a_sheet(start, here, between * scale)


def _step(grey: Any, following: Any, points: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Follow points to the next frame and back (Lucas and Kanade, IJCAI 1981, in pyramids); keep what returns."""
    import cv2

    follow: Any = cv2.calcOpticalFlowPyrLK  # its stub wants a guess of the result, which is optional
    there, found, _ = follow(grey, following, points.reshape(-1, 1, 2), None, winSize=_WINDOW, maxLevel=2)
    back, returned, _ = follow(following, grey, there, None, winSize=_WINDOW, maxLevel=2)
    missed = np.hypot(*(back.reshape(-1, 2) - points).T)
    return there.reshape(-1, 2), (found[:, 0] == 1) & (returned[:, 0] == 1) & (missed < _BACK_AND_FORTH)


def _mask(shape: tuple[int, ...], at: Marks, scale: float) -> NDArray[np.uint8]:
    """Return the part of the face where nothing but the face is seen: brow to mouth, between the temples."""
    import cv2

    made = np.zeros(shape[:2], np.uint8)
    between = at.between * scale
    x, y = (place * scale for place in at.middle)
    angle = math.degrees(math.atan2(at.right[1] - at.left[1], at.right[0] - at.left[0]))
    middle = (int(x), int(y + 0.45 * between))
    cv2.ellipse(made, middle, (int(0.8 * between), int(0.95 * between)), angle, 0, 360, 255, -1)
    return made


def _colours(seen: Sequence[_Seen], prompt: Prompt) -> tuple[list[Any] | None, float | None]:
    """Return the colours that fell on the face, one for each that was shown, or None where a step has no frame."""
    if not prompt.colours:
        return None, None
    steps: list[list[NDArray[np.float64]]] = [[] for _ in prompt.colours]
    for one in seen:
        at = prompt.colour_at(one.moment)
        if at is not None:
            steps[at].append(_light(one))
    if not all(steps):
        return None, None
    return signals.colours_seen(np.array([np.mean(step, axis=0) for step in steps]))


def _light(one: _Seen) -> NDArray[np.float64]:
    """Return the mean light of the face, linear, (3,) RGB."""
    between, (x, y) = one.marks.between, one.marks.middle
    left, right = (int(max(0, x + side * 0.7 * between)) for side in (-1, 1))
    part = one.pixels[int(max(0, y)):int(max(1, y + between)), left:right]
    if part.size == 0:
        raise _Lost("face-lost")
    level: NDArray[np.float64] = (np.arange(256) / 255) ** 2.2
    mean: NDArray[np.float64] = level[part].reshape(-1, 3).mean(axis=0)
    return mean
