"""SYNTHETIC capture sessions: rendered heads with depth, and photographs and screens held before a camera.

Everything here is made up by formula from two portraits in the public domain. No real attack was ever tried, and no
figure measured on these says how a real one fares (LIMITS.md). Lengths are in distances between the eyes, x to the
picture's right, y down, z towards the camera; the origin lies between the eyes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.evaluation import portraits
from countenance.vision.liveness.prompts import Colour, Direction, Prompt

SIDE = 320
_FOLLOWED = 6       # steps of the fixed point that finds what a camera's ray meets
_EYES = {"collins": ((265.0, 178.0), (377.0, 172.0)), "hopper": ((257.0, 200.0), (353.0, 193.0))}
"""Middles of the eyes in `portraits.at_gate`, pixels: the one on the picture's left first."""

_LIGHT = {Colour.RED: (1.0, 0.12, 0.1), Colour.GREEN: (0.12, 1.0, 0.12), Colour.BLUE: (0.1, 0.15, 1.0)}
Image = NDArray[np.float32]
Field = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """What one session was made with. Angles in degrees; `screen`: the screen's light beside the room's."""

    portrait: str
    eyes_px: float
    relief: float        # how deep the head is beside an ordinary one
    turn: float          # how far it turns, or is turned
    distance: float      # camera to head
    screen: float
    from_below: float    # where the screen's light comes from
    noise: float         # grey levels, of the camera
    shift: tuple[float, float]
    seed: int


def setting(portrait: str, seed: int) -> Setting:
    """Draw a setting."""
    random = np.random.default_rng(seed)
    return Setting(portrait, random.uniform(60, 85), random.uniform(0.85, 1.2), random.uniform(19, 28),
                   random.uniform(7, 12), random.uniform(0.18, 0.4), random.uniform(5, 30), random.uniform(1, 3),
                   (random.uniform(-0.2, 0.2), random.uniform(-0.15, 0.15)), seed)


@dataclass(frozen=True)
class Surface:
    """What stands before the camera: depth at each place of the picture on it, and how it answers light."""

    depth: Field
    normals: Field       # (H, W, 3)


_SPAN = 4.0              # of the texture, in distances between the eyes, each way
_PER = 80                # pixels of the texture in one of those


@cache
def texture(portrait: str) -> Image:
    """Return the portrait, upright, linear light 0 to 1, (320, 320, 3) RGB, eyes `_PER` pixels apart."""
    picture = cv2.cvtColor(portraits.at_gate(portrait), cv2.COLOR_BGR2RGB)
    (x0, y0), (x1, y1) = _EYES[portrait]
    scale = _PER / math.hypot(x1 - x0, y1 - y0)
    turn = cv2.getRotationMatrix2D(((x0 + x1) / 2, (y0 + y1) / 2), math.degrees(math.atan2(y1 - y0, x1 - x0)), scale)
    turn[:, 2] += np.array([_SPAN * _PER / 2, _SPAN * _PER / 2 - 0.4 * _PER]) - [(x0 + x1) / 2, (y0 + y1) / 2]
    side = int(_SPAN * _PER)
    cut = cv2.warpAffine(picture, turn, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray((cut.astype(np.float32) / 255) ** 2.2, np.float32)


def _places() -> tuple[Field, Field]:
    side = int(_SPAN * _PER)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return (x - side / 2) / _PER, (y - side / 2) / _PER + 0.4


def head(relief: float) -> Surface:
    """Return a head: half an ellipsoid, with nose, brow, sockets, lips and chin upon it."""
    x, y = _places()

    def bump(at_x: float, at_y: float, wide: float, high: float, depth: float) -> Field:
        return np.asarray(depth * np.exp(-((x - at_x) / wide) ** 2 - ((y - at_y) / high) ** 2), np.float32)

    depth = 1.15 * np.sqrt(np.maximum(0, 1 - (x / 1.25) ** 2 - ((y - 0.35) / 1.85) ** 2))
    depth += bump(0, 0.58, 0.16, 0.16, 0.30) + bump(0, 0.3, 0.13, 0.3, 0.16)
    depth += bump(-0.5, 0.0, 0.22, 0.14, -0.12) + bump(0.5, 0.0, 0.22, 0.14, -0.12) + bump(0, -0.3, 0.7, 0.14, 0.06)
    depth += bump(0, 1.05, 0.3, 0.14, 0.09) + bump(0, 1.5, 0.3, 0.2, 0.10)
    return _surface(np.asarray(depth * relief, np.float32))


def plane() -> Surface:
    """Return a photograph or a screen, flat."""
    return _surface(np.zeros_like(_places()[0]))


def bent(radius: float, upright: bool) -> Surface:
    """Return a photograph bent to a part of a cylinder, about an upright axis or a level one."""
    x, y = _places()
    along = x if upright else y - 0.4
    return _surface(np.sqrt(np.maximum(radius**2 - along**2, 0.01)) - radius)


def _surface(depth: Field) -> Surface:
    depth = np.asarray(cv2.GaussianBlur(depth, (0, 0), 2), np.float32)
    down, across = np.gradient(depth, 1 / _PER)
    normals = np.stack([-across, -down, np.ones_like(depth)], axis=2)
    return Surface(depth, np.asarray(normals / np.sqrt((normals**2).sum(axis=2, keepdims=True)), np.float32))


def rendered(made: Setting, skin: Image, surface: Surface, yaw: float, pitch: float, light: Colour | None,
             random: np.random.Generator, *, moved: tuple[float, float, float, float] = (0, 0, 0, 1),
             shines: float = 0.0) -> NDArray[np.uint8]:
    """Return one frame, uint8 (320, 320, 3) RGB: `skin` on `surface`, turned, in the room's light and the screen's.

    `moved`: x, y, degrees in the picture's plane, and size. `shines`: how much of `skin` is its own light (a screen).
    """
    turn = _turned(yaw, pitch)
    at = _met(made, surface, turn, moved)
    maps = tuple(np.asarray((at[..., k] * _PER + (0.5 * _SPAN - (0.4 if k else 0.0)) * _PER), np.float32)
                 for k in range(2))
    colours = cv2.remap(skin, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    normals = cv2.remap(surface.normals, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) @ turn.T
    below = math.radians(made.from_below)
    falls = np.maximum(normals @ np.array([0, math.sin(below), math.cos(below)], np.float32), 0)
    lit = np.ones((*falls.shape, 3), np.float32)
    if light is not None:
        lit = lit + made.screen * falls[..., None] * np.array(_LIGHT[light], np.float32)
    seen = colours * (lit * (1 - shines) + shines * 1.0)
    grey = 255 * np.clip(seen * 0.9, 0, 1) ** (1 / 2.2) + random.normal(0, made.noise, seen.shape)
    return np.asarray(np.clip(cv2.GaussianBlur(grey, (3, 3), 0.6), 0, 255), np.uint8)


def _turned(yaw: float, pitch: float) -> NDArray[np.float32]:
    """Return the rotation: yaw above 0 turns what faces us to the picture's right, pitch above 0 upwards."""
    y, p = math.radians(yaw), math.radians(pitch)
    about_up = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_ear = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    return np.asarray(about_up @ about_ear, np.float32)


def _met(made: Setting, surface: Surface, turn: NDArray[np.float32],
         moved: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Return, for each pixel of the frame, the place (x, y) of the surface that it shows: a fixed point in depth."""
    row, column = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    angle = math.radians(moved[2])
    x = (column - SIDE / 2) / made.eyes_px - made.shift[0] - moved[0]
    y = (row - SIDE / 2) / made.eyes_px - made.shift[1] - moved[1] + 0.4
    cosine, sine = math.cos(angle) / moved[3], math.sin(angle) / moved[3]
    x, y = x * cosine + y * sine, y * cosine - x * sine
    flat = np.linalg.inv(turn[:2, :2])
    found = np.stack([x, y], axis=2) @ flat.T
    for _ in range(_FOLLOWED):
        column_at = np.asarray((found[..., 0] + _SPAN / 2) * _PER, np.float32)
        row_at = np.asarray((found[..., 1] - 0.4 + _SPAN / 2) * _PER, np.float32)
        depth = cv2.remap(surface.depth, column_at, row_at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        near = turn[2, 0] * found[..., 0] + turn[2, 1] * found[..., 1] + turn[2, 2] * depth
        size = 1 - near / made.distance   # a nearer point is seen larger, so less of it fits
        found = np.stack([x * size - turn[0, 2] * depth, y * size - turn[1, 2] * depth], axis=2) @ flat.T
    return np.asarray(found, np.float32)


def angles(prompt: Prompt, moments: Sequence[float], turn: float,
           random: np.random.Generator) -> list[tuple[float, float]]:
    """Return (yaw, pitch) at each moment: ahead while colours show, then the way that was asked, with small tremor."""
    begins, lasts = prompt.turns_at + random.uniform(0.35, 0.6), random.uniform(0.6, 1.0)
    found = []
    for moment in moments:
        done = min(1.0, max(0.0, (moment - begins) / lasts))
        reach = turn * (3 * done**2 - 2 * done**3)
        yaw, pitch = {Direction.LEFT: (-reach, 0.0), Direction.RIGHT: (reach, 0.0),
                      Direction.UP: (0.0, reach)}[prompt.direction]
        found.append((yaw + random.normal(0, 0.6), pitch + random.normal(0, 0.6)))
    return found
