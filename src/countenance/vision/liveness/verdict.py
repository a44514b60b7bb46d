"""From the signals of one capture session to one of three verdicts. There is no score to tune an attack with.

`Live` is a value that only `judged` makes; whoever needs one takes it and cannot make it of True.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from countenance.vision.liveness.prompts import Colour, Direction, Prompt


@dataclass(frozen=True)
class Live:
    """Every signal that could be taken speaks for a person who was there and did what was asked."""


@dataclass(frozen=True)
class NotLive:
    """A signal speaks against it. `reason`: for staff, not for whoever stands there."""

    reason: str


@dataclass(frozen=True)
class NotAssessed:
    """It could not be told: too few frames, a face that was lost, nobody who moved. Not a verdict on anybody."""

    reason: str


_OTHERWISE = 1.4
"""How much further a head may seem to go another way than the one asked: five points waver."""

Verdict = Live | NotLive | NotAssessed


@dataclass(frozen=True)
class Thresholds:
    """HIGHER is stricter, in each. Chosen on made media of other settings than those tested (docs/liveness.md).

    `turned`: degrees from where the head began. `beyond_a_sheet`: distances between the eyes, and more by
    `for_each_degree` of the turn, for depth shows the more. `along`: which share goes the way that the head turned.
    `colour_lead`: logarithm of light. `model`: the probability of a live face by a network.
    """

    turned: float = 9.5
    beyond_a_sheet: float = 0.018
    for_each_degree: float = 0.0005
    along: float = 0.68
    colour_lead: float = 0.015
    model: float = 0.5


@dataclass(frozen=True)
class Signals:
    """What was measured of one session. `turned`: degrees the way that was asked; `aside`: the most any other way.

    None where there was none to measure: no screen, no network, no movement to see depth by.
    """

    turned: float
    aside: float
    early: float                      # degrees that it had turned before it was asked to
    beyond_a_sheet: float | None
    across: float | None              # the share, 0 to 1, of that which goes across the picture rather than up and down
    colours: Sequence[Colour] | None
    colour_lead: float | None
    model: float | None


def judged(prompt: Prompt, found: Signals, limits: Thresholds) -> Verdict:
    """Return the verdict. Whatever cannot be told is not assessed; whatever contradicts is not live."""
    if prompt.colours:
        if found.colours is None or found.colour_lead is None:
            return NotAssessed("no-light")
        if tuple(found.colours) != prompt.colours:
            return NotLive("colours-other")
        if found.colour_lead < limits.colour_lead:
            return NotLive("colours-faint")
    if found.early > limits.turned:
        return NotLive("moved-early")
    if found.aside > max(limits.turned, _OTHERWISE * found.turned):
        return NotLive("turned-otherwise")
    if found.turned < limits.turned:
        return NotAssessed("no-turn")
    if found.beyond_a_sheet is None or found.across is None:
        return NotAssessed("track-lost")
    if found.beyond_a_sheet < limits.beyond_a_sheet + limits.for_each_degree * found.turned:
        return NotLive("flat")
    along = 1 - found.across if prompt.direction is Direction.UP else found.across
    if along < limits.along:
        return NotLive("depth-otherwise")
    if found.model is not None and found.model < limits.model:
        return NotLive("model")
    return Live()


def asked(direction: Direction, yaw: float, pitch: float) -> tuple[float, float]:
    """Return how far (yaw, pitch), in degrees from the beginning, go the way that was asked, and the most otherwise."""
    ways = {Direction.LEFT: -yaw, Direction.RIGHT: yaw, Direction.UP: pitch}
    return ways[direction], max(degrees for way, degrees in ways.items() if way is not direction)
