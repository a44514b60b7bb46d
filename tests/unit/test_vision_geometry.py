"""Boxes, the pyramid, suppression and chips, with answers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import BadInput
from countenance.vision import align, tiles
from countenance.vision.detect import Box, Detection, Detector, _suppress, overlaps
from countenance.vision.dlib_format import Network, Overlap
from countenance.vision.geometry import similarity
from countenance.vision.image import Frame


def test_widths_count_both_ends() -> None:
    box = Box(10, 20, 19, 24)
    assert (box.width, box.height) == (10, 5)
    assert Box(0.5, 1.49, 2.5, -0.5).rounded() == Box(1, 1, 3, 0)


def test_overlap_is_of_the_box_around_both_not_of_the_union() -> None:
    one, other = Box(0, 0, 9, 9), Box(5, 5, 14, 14)  # 25 in common, 225 around, union 175
    assert overlaps(one, other, Overlap(iou=25 / 225 - 1e-9, covered=1))
    assert not overlaps(one, other, Overlap(iou=25 / 225, covered=1))


def test_a_box_inside_another_is_covered() -> None:
    outer, inner = Box(0, 0, 99, 99), Box(40, 40, 49, 49)
    assert overlaps(outer, inner, Overlap(iou=0.5, covered=0.9))
    assert not overlaps(outer, inner, Overlap(iou=0.5, covered=1.0))
    assert not overlaps(outer, Box(100, 0, 109, 9), Overlap(iou=0, covered=0))


def test_suppression_keeps_the_best_of_each_heap() -> None:
    found = [
        Detection(Box(0, 0, 99, 99), 1.0), Detection(Box(2, 2, 101, 101), 0.9),
        Detection(Box(300, 0, 399, 99), 0.8), Detection(Box(4, 0, 103, 99), 0.7),
    ]
    assert [kept.score for kept in _suppress(found, Overlap(0.34, 1.0))] == [1.0, 0.8]


def test_the_canvas_of_a_small_picture_by_hand() -> None:
    where = tiles.layout(12, 10)
    # 12 x 10, 10 x 8, 8 x 6, 6 x 5 and then a height of 4, which is too low
    assert [(t.width, t.height) for t in where.tiles] == [(12, 10), (10, 8), (8, 6), (6, 5)]
    assert [(t.left, t.top) for t in where.tiles] == [(11, 11), (11, 31), (11, 49), (11, 65)]
    assert (where.width, where.height) == (12 + 22, 10 + 8 + 6 + 5 + 3 * 10 + 22)


@settings(max_examples=200, deadline=None)
@given(st.integers(16, 900), st.integers(16, 900))
def test_tiles_lie_apart_and_on_the_canvas(width: int, height: int) -> None:
    where = tiles.layout(width, height)
    for i, tile in enumerate(where.tiles):
        assert min(tile.left, tile.top) >= 11
        assert tile.left + tile.width <= where.width - 11
        assert tile.top + tile.height <= where.height - 11
        assert not any(tile.touches(other) for other in where.tiles[:i])


def test_a_window_is_mapped_to_the_picture() -> None:
    where = tiles.layout(320, 240)
    assert where.to_image(11 + 100, 11 + 80, (39.5, 39.5)) == (60.5, 40.5, 139.5, 119.5)
    second = where.tiles[1]
    left, top, right, bottom = where.to_image(second.left + 50, second.top + 60, (39.5, 39.5))
    assert left == pytest.approx(10.5 * 1.2 + 0.3)
    assert top == pytest.approx(20.5 * 1.2 + 0.3)
    assert right - left == bottom - top == pytest.approx(79 * 1.2)


def test_the_canvas_is_the_mean_colour_where_no_tile_is() -> None:
    picture = np.full((40, 60, 3), (200, 100, 50), np.uint8)
    where = tiles.layout(60, 40)
    canvas = tiles.paint(picture, where, (1.0, 2.0, 3.0))
    inside = np.zeros(canvas.shape[1:], bool)
    for tile in where.tiles:
        inside[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = True
    assert np.unique(canvas[:, inside], axis=1)[:, 0] == pytest.approx([200, 100, 50])
    assert (canvas[:, ~inside] == np.array([[1], [2], [3]])).all()


def test_a_ramp_stays_a_ramp_with_its_corners_in_the_corners() -> None:
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)
    where = tiles.layout(256, 60)
    canvas = tiles.paint(ramp, where, (0.0, 0.0, 0.0))
    for tile in where.tiles[1:3]:
        row = canvas[0, tile.top + 5, tile.left : tile.left + tile.width]
        assert row == pytest.approx(np.linspace(0, 255, tile.width), abs=0.05)


class OneHot:
    """Stands for the network: one hot cell in its heat map."""

    def __init__(self, row: int, column: int) -> None:
        self.at = row, column
        self.shape: tuple[int, ...] = ()

    def run(self, canvas: Any) -> Any:
        self.shape = canvas.shape
        heat = np.full((1, 1, 60, 40), -1, np.float32)
        heat[0, 0, self.at[0], self.at[1]] = 0.5
        return heat


def detector(session: Any) -> Detector:
    return Detector(session, Network((0.0, 0.0, 0.0), (), (80, 80), Overlap(0.34, 1.0)))


def test_a_hot_cell_becomes_a_box_in_the_source() -> None:
    # Cell (10, 12) looks at (8 * 12 + 14, 8 * 10 + 14) = (110, 94) of the canvas, (99, 83) of the picture.
    session = OneHot(10, 12)
    (found,) = detector(session).detect(Frame(np.zeros((480, 640, 3), np.uint8)), 160)
    assert session.shape == (3, tiles.layout(320, 240).height, 342)
    assert found.box == Box(2 * 59.5, 2 * 43.5, 2 * 139.5 - 1, 2 * 123.5 - 1)
    assert found.box.width == 160
    assert found.score == 0.5
    (same,) = detector(session).detect(Frame(np.zeros((240, 320, 3), np.uint8)), 80)
    assert same.box == Box(59.5, 43.5, 138.5, 122.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (16, 16), (4000, 6000), (33, 9000)])
def test_any_size_is_taken_and_memory_is_bounded(size: tuple[int, int]) -> None:
    session = OneHot(0, 0)
    detector(session).detect(Frame(np.zeros((*size, 3), np.uint8)), 20)
    assert min(session.shape[1:]) >= 38
    assert session.shape[1] * session.shape[2] < 20_000_000


def test_a_threshold_is_stricter_when_higher_and_sizes_are_bounded() -> None:
    frame = Frame(np.zeros((240, 320, 3), np.uint8))
    assert detector(OneHot(3, 3)).detect(frame, 80, least_score=0.5) == []
    for size in (19.9, 10_001, math.nan):
        with pytest.raises(BadInput):
            detector(OneHot(3, 3)).detect(frame, size)


def test_similarity_of_a_known_turn() -> None:
    points = np.array([[0, 0], [4, 0], [4, 2], [1, 7.0]])
    turned = 3 * points @ np.array([[0, 1], [-1, 0]]) + [10, 20]  # a quarter turn, x to y, three times the size
    m, t = similarity(points, turned)
    assert m == pytest.approx(np.array([[0, -3], [3, 0]]))
    assert t == pytest.approx([10, 20])


MEAN_FACE = (0.25 + align._MEAN_FACE) / 1.5 * 150


def test_points_where_the_mean_face_has_them_give_the_whole_square() -> None:
    found = align.cut(MEAN_FACE)
    assert (found.x, found.y, found.side) == pytest.approx((75, 75, 150))
    assert found.angle == pytest.approx(0)


@pytest.mark.parametrize("angle", [0.0, 0.3, -0.7, math.pi / 2])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_a_chip_of_a_known_turn_undoes_it(angle: float, scale: float) -> None:
    """The picture is a function of where a point is in the face; the chip shows that function again."""
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shift = np.array([300.0, 300.0]) - turn @ [75, 75]
    y, x = np.mgrid[:600, :600].astype(float)
    back = np.linalg.inv(turn)
    u = back[0, 0] * (x - shift[0]) + back[0, 1] * (y - shift[1])
    v = back[1, 0] * (x - shift[0]) + back[1, 1] * (y - shift[1])
    picture = np.stack([100 + u / 2, 100 + v / 2, np.full_like(u, 9)], axis=2).clip(0, 255).astype(np.uint8)
    chip = align.chip(Frame(picture), MEAN_FACE @ turn.T + shift)
    v, u = np.mgrid[:150, :150]
    # dlib's square is half a pixel off its own middle at each side, which is kept
    assert np.abs(chip[..., 0].astype(float) - (100 + u / 2)).max() <= 2
    assert np.abs(chip[..., 1].astype(float) - (100 + v / 2)).max() <= 2
    assert (chip[..., 2] >= 8).all()


def test_a_chip_beyond_the_frame_is_black() -> None:
    picture = Frame(np.full((200, 200, 3), 255, np.uint8))
    far = align.chip(picture, MEAN_FACE + 5000)
    assert far.shape == (150, 150, 3)
    assert not far.any()
    left = align.chip(picture, MEAN_FACE - [75, 0])
    assert not left[:, :74].any()
    assert (left[:, 77:] == 255).all()
    assert set(np.unique(left)) == {0, 255}  # the edge is not mixed with the black beyond it


def test_points_in_one_place_are_no_face() -> None:
    with pytest.raises(BadInput) as refused:
        align.chip(Frame(np.zeros((50, 50, 3), np.uint8)), np.full((5, 2), 20.0))
    assert refused.value.code == "face-unusable"


def test_halving_by_hand() -> None:
    picture = np.zeros((11, 11, 3), np.uint8)
    picture[4, 4] = 255  # the middle of the second output pixel's filter is at 2 * 1 + 2
    half = align.halve(picture)
    assert half.shape == (4, 4, 3)
    assert half[1, 1].tolist() == [255 * 36 // 256] * 3
    assert half[0, 1, 0] == 255 * 6 // 256
    assert half[0, 0, 0] == 0
    assert align.halve(np.zeros((8, 50, 3), np.uint8)).size == 0
