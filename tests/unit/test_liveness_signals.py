"""Signals and verdicts of a capture session: geometry with answers known by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from countenance.vision.liveness import prompts, signals
from countenance.vision.liveness.prompts import Colour, Direction, Prompt
from countenance.vision.liveness.verdict import Live, NotAssessed, NotLive, Signals, Thresholds, asked, judged

R, G, B = Colour.RED, Colour.GREEN, Colour.BLUE
Depth = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def tracked(depth: Depth, yaw: float, far: float = 9.0, noise: float = 0.0) -> float:
    """Points of a surface in distances between the eyes, seen before and after it turned, 60 pixels to one."""
    random = np.random.default_rng(3)
    x, y = random.uniform(-0.8, 0.8, 120), random.uniform(-0.4, 1.2, 120)
    z = depth(x, y)

    def seen(degrees: float) -> NDArray[np.float64]:
        turn = math.radians(degrees)
        across, near = x * math.cos(turn) + z * math.sin(turn), z * math.cos(turn) - x * math.sin(turn)
        shown = np.column_stack([across, y]) / (1 - near / far)[:, None]
        return 60 * shown + random.normal(0, noise, shown.shape)

    apart, across = signals.beyond_a_sheet(seen(0), seen(yaw), 60)
    assert across > 0.8 or apart < 0.02  # what is left of a turn about an upright axis lies across
    return apart


def flat(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros_like(x) + 0.1 * y


def cylinder(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(1.5**2 - x**2) - 1.5


def lying(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(1.8**2 - (y - 0.4) ** 2) - 1.8


def nose(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    head = np.sqrt(np.maximum(0.01, 1 - (x / 1.25) ** 2 - ((y - 0.35) / 1.85) ** 2))
    return head + 0.35 * np.exp(-((x / 0.16) ** 2) - ((y - 0.55) / 0.2) ** 2)


@pytest.mark.parametrize("degrees", [15, 25, -25, 40])
def test_a_plane_leaves_nothing_and_a_head_a_nose(degrees: float) -> None:
    assert tracked(flat, degrees) < 1e-6
    assert tracked(cylinder, degrees) < 0.005   # what perspective leaves of a strongly bent sheet
    assert tracked(lying, degrees) < 0.005
    assert tracked(nose, degrees) > 0.0235
    assert tracked(flat, degrees, noise=0.3) < 0.02
    assert tracked(nose, degrees, noise=0.3) > 0.0235


def test_a_homography_is_found_by_hand() -> None:
    source = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.2]])
    made = np.array([[2.0, 0.1, 3], [0.2, 1.5, -1], [0.1, 0.05, 1]])
    mapped = np.column_stack([source, np.ones(5)]) @ made.T
    found = signals.homography(source, mapped[:, :2] / mapped[:, 2:])
    assert np.abs(found / found[2, 2] - made).max() < 1e-9


def light(*shown: Colour, strength: float = 0.2) -> NDArray[np.float64]:
    skin = np.array([0.5, 0.35, 0.3])
    return np.stack([skin * (1 + strength * np.array([one is R, one is G, one is B])) for one in shown])


def test_colours_are_read_from_any_skin_and_their_lead_is_known() -> None:
    seen, lead = signals.colours_seen(light(R, G, B, G))
    assert seen == [R, G, B, G]
    # by hand: the leads of green and of red and blue differ; green's mean is over two steps
    gain = math.log(1.2)
    assert lead == pytest.approx(gain * 0.5 + gain * 0.25, abs=1e-9)
    seen, _ = signals.colours_seen(light(R, G, B, G) * 0.05)  # dark skin: the same logarithms
    assert seen == [R, G, B, G]
    assert signals.colours_seen(np.ones((4, 3)))[1] == 0.0


COLOURS = (R, G, B, G)
PROMPT = Prompt(Direction.LEFT, COLOURS)
GOOD = {"turned": 25.0, "aside": 3.0, "early": 2.0, "beyond_a_sheet": 0.04, "across": 0.9, "colours": COLOURS,
        "colour_lead": 0.1, "model": None}


def verdict(prompt: Prompt = PROMPT, **changed: object) -> object:
    return judged(prompt, Signals(**{**GOOD, **changed}), Thresholds())  # type: ignore[arg-type]  # by name


def test_only_everything_together_is_live() -> None:
    assert verdict() == Live()
    assert verdict(model=0.9) == Live()
    assert verdict(Prompt(Direction.LEFT), colours=None, colour_lead=None) == Live()


@pytest.mark.parametrize(("changed", "wanted"), [
    ({"colours": (R, G, B, R)}, NotLive("colours-other")), ({"colours": (R, G, B)}, NotLive("colours-other")),
    ({"colour_lead": 0.001}, NotLive("colours-faint")), ({"colours": None}, NotAssessed("no-light")),
    ({"early": 20.0}, NotLive("moved-early")), ({"turned": 2.0, "aside": 20.0}, NotLive("turned-otherwise")),
    ({"turned": 12.0, "aside": 20.0}, NotLive("turned-otherwise")), ({"turned": 2.0}, NotAssessed("no-turn")),
    ({"beyond_a_sheet": None}, NotAssessed("track-lost")), ({"beyond_a_sheet": 0.01}, NotLive("flat")),
    ({"across": 0.2}, NotLive("depth-otherwise")), ({"model": 0.1}, NotLive("model"))])
def test_one_thing_amiss_is_enough(changed: dict[str, object], wanted: object) -> None:
    assert verdict(**changed) == wanted


def test_asked_goes_by_the_picture() -> None:
    assert asked(Direction.LEFT, -20, 1) == (20, 1)
    assert asked(Direction.RIGHT, -20, 1) == (-20, 20)
    assert asked(Direction.UP, 5, 15) == (15, 5)


def test_prompts_are_all_drawn_and_colours_never_stay() -> None:
    drawn = {prompts.drawn(screen=True) for _ in range(3_000)}
    assert len(drawn) == 72  # 3 ways to turn, 3 x 2 x 2 x 2 orders
    assert all(one is not other for prompt in drawn for one, other in zip(prompt.colours, prompt.colours[1:],
                                                                         strict=False))
    assert {prompts.drawn(screen=False) for _ in range(100)} == {Prompt(direction) for direction in Direction}


def test_when_which_colour_shows() -> None:
    assert [PROMPT.colour_at(moment) for moment in (0.0, 0.29, 0.3, 1.19, 1.2, -0.1)] == [0, 0, 1, 3, None, None]
    assert (PROMPT.turns_at, PROMPT.ends_at) == (1.2, 4.2)
