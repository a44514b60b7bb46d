"""What a person is asked to do before a camera: look at some colours, then turn one way. Drawn at random each time."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum

COLOUR_SECONDS = 0.3
COLOURS_SHOWN = 4
TURN_SECONDS = 3.0
"""How long a turn may take from when it was asked for."""


class Direction(Enum):
    """Which way to look, as the person sees it on a mirrored screen: left is the picture's left."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"


class Colour(Enum):
    """What the whole screen shows."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"


@dataclass(frozen=True)
class Prompt:
    """Colours first, one after another, `COLOUR_SECONDS` each; then the turn. No colours: there is no screen."""

    direction: Direction
    colours: tuple[Colour, ...] = ()

    @property
    def turns_at(self) -> float:
        """Seconds from the beginning until the turn is asked for."""
        return COLOUR_SECONDS * len(self.colours)

    @property
    def ends_at(self) -> float:
        """Seconds from the beginning after which no frame counts."""
        return self.turns_at + TURN_SECONDS

    def colour_at(self, moment: float) -> int | None:
        """Return which of the colours shows at `moment` seconds, counted from 0; None after the last."""
        at = int(moment // COLOUR_SECONDS)
        return at if 0 <= at < len(self.colours) else None


def drawn(*, screen: bool) -> Prompt:
    """Draw a prompt that nobody can foresee: 3 ways to turn, and 24 orders of colours where there is a screen."""
    direction = secrets.choice(list(Direction))
    if not screen:
        return Prompt(direction)
    colours: list[Colour] = []
    while len(colours) < COLOURS_SHOWN:
        colours.append(secrets.choice([one for one in Colour if not colours or one is not colours[-1]]))
    return Prompt(direction, tuple(colours))
