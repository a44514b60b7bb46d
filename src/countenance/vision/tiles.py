"""The detector's pyramid: one image at many sizes, each 5/6 of the one before, on one canvas.

The network is run once over the canvas. Where each size lies decides what its neighbours are, and
so the scores near its edges: this is dlib's layout exactly (dlib `image_pyramid.h`,
compute_tiled_image_pyramid_details and pyramid_down<6>).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RATE = 5 / 6
_SHIFT = 0.3          # of dlib pyramid_down<6>, in pixels per level
_BETWEEN = 10         # pixels between two sizes
_AROUND = 11          # pixels around all
_LEAST_HEIGHT = 5


@dataclass(frozen=True)
class Tile:
    """Where one size lies on the canvas, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def touches(self, other: Tile) -> bool:
        """Tell whether the two share a pixel."""
        across = self.left < other.left + other.width and other.left < self.left + self.width
        return across and self.top < other.top + other.height and other.top < self.top + self.height


@dataclass(frozen=True)
class Layout:
    """A canvas of `width` x `height` and its tiles, largest first."""

    width: int
    height: int
    tiles: tuple[Tile, ...]

    def to_image(self, x: float, y: float, half: tuple[float, float]) -> tuple[float, float, float, float]:
        """Map a box around (x, y) on the canvas to (left, top, right, bottom) in the image, pixel indices.

        `half`: from its middle to its right and to its bottom. The tile is the one nearest to (x, y), the
        first of two as near.
        """
        level = _nearest(self.tiles, x, y)
        tile = self.tiles[level]
        left, right = x - half[0] - tile.left, x + half[0] - tile.left
        top, bottom = y - half[1] - tile.top, y + half[1] - tile.top
        for _ in range(level):
            left, top, right, bottom = (value / RATE + _SHIFT for value in (left, top, right, bottom))
        return left, top, right, bottom


@lru_cache(maxsize=1 << 16)
def _nearest(tiles: tuple[Tile, ...], x: float, y: float) -> int:
    return min(range(len(tiles)), key=lambda i: _distance(tiles[i], x, y))


def _distance(tile: Tile, x: float, y: float) -> float:
    dx = max(tile.left - x, 0.0, x - (tile.left + tile.width - 1))
    dy = max(tile.top - y, 0.0, y - (tile.top + tile.height - 1))
    return dx * dx + dy * dy


def _sizes(width: int, height: int) -> list[tuple[int, int]]:
    sizes = [(width, height)]
    while True:
        width, height = math.floor(RATE * width), math.floor(RATE * height)
        if width * height == 0 or height < _LEAST_HEIGHT:
            return sizes
        sizes.append((width, height))


def _first_column(sizes: list[tuple[int, int]]) -> int:
    """Return its height: it ends where a second column, going up again beside it, can begin."""
    whole_width, whole_height = sizes[0]
    total = sum(height + _BETWEEN for _, height in sizes) - 2 * _BETWEEN
    used, before = 0, 0
    for width, height in sizes:
        fits = width <= whole_width - before - _BETWEEN
        if fits and (used - whole_height) * 2 >= total - whole_height:
            break
        used += height + _BETWEEN
        before = width
    return used - _BETWEEN


@lru_cache(maxsize=16)
def layout(width: int, height: int) -> Layout:
    """Return the canvas for an image of this size."""
    sizes = _sizes(width, height)
    column = _first_column(sizes)
    tiles: list[Tile] = []
    y = _AROUND
    while y < column + _AROUND and len(tiles) < len(sizes):
        w, h = sizes[len(tiles)]
        tiles.append(Tile(_AROUND, y, w, h))
        y += h + _BETWEEN
    y -= _BETWEEN
    for w, h in sizes[len(tiles) :]:
        tile = Tile(_AROUND + width - w, y - h, w, h)
        if tiles[0].touches(tile):
            break
        tiles.append(tile)
        y -= h + _BETWEEN
    return Layout(width + 2 * _AROUND, column + 2 * _AROUND, tuple(tiles))


def paint(
    image: NDArray[np.uint8], where: Layout, mean_rgb: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Return the canvas: float32 (3, height, width) RGB 0 to 255, the mean colour where no tile is.

    Each size is made from the one before by bilinear interpolation with corners on corners (dlib
    resize_image), in float32: rounding to bytes at each step would add up.
    """
    canvas = np.empty((3, where.height, where.width), np.float32)
    for plane, mean, colour in zip(canvas, mean_rgb, image.transpose(2, 0, 1), strict=True):
        plane.fill(mean)
        _paint_plane(plane, colour, where)
    return canvas


def _paint_plane(plane: NDArray[np.float32], colour: NDArray[np.uint8], where: Layout) -> None:
    import cv2

    views = [plane[t.top : t.top + t.height, t.left : t.left + t.width] for t in where.tiles]
    views[0][:] = colour
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for larger, smaller in pairwise(views):
        rows, columns = smaller.shape
        step = np.array([[_step(larger.shape[1], columns), 0, 0], [0, _step(larger.shape[0], rows), 0]])
        size, border = (columns, rows), cv2.BORDER_REPLICATE
        cv2.warpAffine(larger, step, size, dst=smaller, flags=flags, borderMode=border)


def _step(before: int, after: int) -> float:
    return (before - 1) / max(after - 1, 1)
