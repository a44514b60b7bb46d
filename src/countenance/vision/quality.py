"""Decides whether what was detected is one usable face; nothing else is looked at further.

Faces outside the zone or too small are dropped here, before any feature is computed: people who
walk by in the background leave nothing (DESIGN 1.8).
"""

from __future__ import annotations

from dataclasses import dataclass

from countenance.errors import BadInput
from countenance.vision.detect import SMALLEST_FACE_PX, Box, Detection
from countenance.vision.image import Frame

_ROUNDING = 0.01  # the working image's sides are whole pixels, so a width is known to about that


@dataclass(frozen=True)
class Zone:
    """The part of the frame where a person stands, as fractions of its width and height."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            raise BadInput("zone-unusable", "A zone needs left < right and top < bottom, each from 0 to 1.")

    def holds(self, box: Box, frame_size: tuple[int, int]) -> bool:
        """Tell whether the middle of `box` is in the zone; beyond the frame counts as on its edge."""
        x = min(max((box.left + box.right + 1) / 2 / frame_size[0], 0.0), 1.0)
        y = min(max((box.top + box.bottom + 1) / 2 / frame_size[1], 0.0), 1.0)
        return self.left <= x <= self.right and self.top <= y <= self.bottom


@dataclass(frozen=True)
class Policy:
    """What counts as the face in front of the gate.

    `smallest_face_px`: width in source pixels; higher is stricter. `most_cut_off`: the share of the
    box's area that may lie outside the frame; lower is stricter.
    """

    smallest_face_px: float = SMALLEST_FACE_PX
    most_cut_off: float = 0.1
    zone: Zone = Zone()


def the_one_face(detections: list[Detection], frame: Frame, policy: Policy) -> Detection:
    """Return the only usable face among those detected in `frame`; its pixels are not looked at.

    In this order: faces outside the zone are dropped (none left: no-face); small ones are dropped (none
    left: face-too-small); more than one left: several-faces; part of it outside the frame:
    face-cut-off. Raises BadInput with that code.
    """
    inside = [found for found in detections if policy.zone.holds(found.box, frame.size)]
    if not inside:
        raise BadInput("no-face", "No face was found; please come closer and look at the camera.")
    least = policy.smallest_face_px * (1 - _ROUNDING)
    near = [found for found in inside if found.box.width >= least]
    if not near:
        raise BadInput("face-too-small", "The face is too far away; please come closer.")
    if len(near) > 1:
        raise BadInput("several-faces", "More than one face was found; one person at a time, please.")
    if cut_off(near[0].box, frame.size) > policy.most_cut_off:
        raise BadInput("face-cut-off", "Part of the face is outside the picture; please stand in the middle.")
    return near[0]


def cut_off(box: Box, frame_size: tuple[int, int]) -> float:
    """Return the share of the box's area, 0 to 1, that lies outside the frame."""
    across = min(box.right, frame_size[0] - 1) - max(box.left, 0) + 1
    down = min(box.bottom, frame_size[1] - 1) - max(box.top, 0) + 1
    return 1 - max(across, 0) * max(down, 0) / (box.width * box.height)
