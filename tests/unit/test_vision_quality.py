"""Which detections count as the one face in front of the gate."""

from __future__ import annotations

import numpy as np
import pytest

from countenance.errors import BadInput
from countenance.vision.detect import Box, Detection
from countenance.vision.image import Frame
from countenance.vision.quality import Policy, Zone, cut_off, the_one_face

FRAME = Frame(np.zeros((480, 640, 3), np.uint8))
MIDDLE = Zone(0.25, 0.0, 0.75, 1.0)


def face(left: float, top: float, side: float) -> Detection:
    return Detection(Box(left, top, left + side - 1, top + side - 1), 1.0)


def refused(found: list[Detection], policy: Policy = Policy()) -> str:  # noqa: B008  # frozen
    with pytest.raises(BadInput) as caught:
        the_one_face(found, FRAME, policy)
    return caught.value.code


def test_one_face_is_the_face() -> None:
    one = face(200, 100, 200)
    assert the_one_face([one], FRAME, Policy()) is one


def test_none_two_small_and_cut_off_faces_are_refused() -> None:
    assert refused([]) == "no-face"
    assert refused([face(0, 0, 200), face(300, 100, 200)]) == "several-faces"
    assert refused([face(200, 100, 150)]) == "face-too-small"
    assert refused([face(-60, 100, 200)]) == "face-cut-off"
    assert refused([face(200, 400, 200)]) == "face-cut-off"


def test_small_faces_behind_do_not_count() -> None:
    near = face(200, 100, 200)
    assert the_one_face([near, face(450, 20, 60)], FRAME, Policy()) is near


def test_the_detectors_own_smallest_face_is_large_enough() -> None:
    smallest = Detection(Box(100, 100, 258.4, 258.4), 1.0)  # 159.4 wide: a working image of whole pixels
    assert the_one_face([smallest], FRAME, Policy(160)) is smallest


def test_faces_outside_the_zone_do_not_count() -> None:
    policy = Policy(zone=MIDDLE)
    inside, beside = face(220, 100, 200), face(460, 100, 170)
    assert the_one_face([inside, beside], FRAME, policy) is inside
    assert refused([beside], policy) == "no-face"


def test_a_large_face_just_over_the_edge_is_still_one() -> None:
    over = face(-15, 100, 200)
    assert cut_off(over.box, (640, 480)) == pytest.approx(0.075)
    assert the_one_face([over], FRAME, Policy()) is over
    assert refused([over], Policy(most_cut_off=0.05)) == "face-cut-off"
    assert cut_off(face(700, 0, 50).box, (640, 480)) == 1


@pytest.mark.parametrize("sides", [(0.5, 0, 0.5, 1), (0, 0, 1.1, 1), (-0.1, 0, 1, 1), (0, 0.9, 1, 0.1)])
def test_a_zone_that_makes_no_sense(sides: tuple[float, float, float, float]) -> None:
    with pytest.raises(BadInput) as caught:
        Zone(*sides)
    assert caught.value.code == "zone-unusable"
