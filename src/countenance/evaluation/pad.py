"""APCER and BPCER on SYNTHETIC sessions (ISO/IEC 30107-3), per species; never the mean of species, always each.

APCER: attacks that were taken for live. BPCER: heads that were not, whether called not live or not assessed, which is
more than the standard counts. Thresholds were chosen on one portrait and one range of settings, and are measured on
another portrait and another range; how real attacks fare is not known from any of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.evaluation import made_heads, rates
from countenance.evaluation.made_heads import Setting
from countenance.vision.image import Frame
from countenance.vision.liveness import session
from countenance.vision.liveness.prompts import COLOURS_SHOWN, Colour, Direction, Prompt
from countenance.vision.liveness.session import Sees, Taken
from countenance.vision.liveness.verdict import Live, NotLive, Thresholds, Verdict

BONA_FIDE = "synthetic head"
SPECIES = ("synthetic photograph, moved", "synthetic photograph, tilted", "synthetic photograph, bent",
           "synthetic screen, replaying another session")
TUNED_ON, TESTED_ON = "hopper", "collins"
_SEEDS = {TUNED_ON: 10_000, TESTED_ON: 150_000}
_MOMENTS = (0.15, 0.45, 0.75, 1.05, 1.3, *(1.5 + 0.22 * step for step in range(11)))


@dataclass(frozen=True)
class Made:
    """One session: what was asked, and the frames that were handed in."""

    prompt: Prompt
    taken: list[Taken]


def run(count: int, pack: Sees, alignment: str, progress: Callable[[int, int], None], *, portrait: str = TESTED_ON,
        limits: Thresholds | None = None) -> dict[str, Any]:
    """Judge `count` sessions of heads and of each species; return rates with 95 % intervals, in plain types."""
    limits = limits or Thresholds()
    kinds = (BONA_FIDE, *SPECIES)
    found: dict[str, list[Verdict]] = {kind: [] for kind in kinds}
    done = 0
    with ThreadPoolExecutor(2) as pool:
        for kind in kinds:
            def one(number: int, kind: str = kind) -> Verdict:
                made = session_of(kind, portrait, number)
                return session.judge(made.taken, made.prompt, pack, alignment, limits)

            for verdict in pool.map(one, range(count)):
                found[kind].append(verdict)
                done += 1
                progress(done, count * len(kinds))
    return {"synthetic": True, "portrait": portrait, "sessions": count, "thresholds": asdict(limits),
            "species": {kind: _apcer(found[kind]) for kind in SPECIES}, **_bpcer(found[BONA_FIDE])}


def table(value: dict[str, Any]) -> list[str]:
    """Return the figures for people."""
    lines = ["SYNTHETIC media: rendered heads, photographs and screens. No real attack was tried.", "",
             f"{'species':<46}{'attacks':>8}{'APCER':>8}  95 % interval"]
    for name, one in value["species"].items():
        low, high = one["interval"]
        lines.append(f"{name:<46}{one['attacks']:>8}{one['apcer']:>8.2%}  {low:.2%} to {high:.2%}")
    low, high = value["bpcer_interval"]
    return [*lines, "", f"BPCER {value['bpcer']:.2%} of {value['bona_fide']} heads ({low:.2%} to {high:.2%}).",
            "Why not: " + (", ".join(f"{name} {number}" for name, number in value["reasons"].items()) or "none") + "."]


def session_of(kind: str, portrait: str, number: int) -> Made:
    """Make one session of a kind; the same for the same number."""
    seed = _SEEDS[portrait] + number
    random = np.random.default_rng([seed, *kind.encode()])
    made = made_heads.setting(portrait, seed)
    prompt = _prompt(random)
    if kind == BONA_FIDE:
        frames = _head(made, prompt, random)
    elif kind == SPECIES[3]:
        frames = _replayed(made, prompt, random)
    else:
        frames = _photograph(kind, made, prompt, random)
    return Made(prompt, [Taken(moment, Frame(pixels)) for moment, pixels in zip(_MOMENTS, frames, strict=True)])


def _prompt(random: np.random.Generator) -> Prompt:
    colours: list[Colour] = []
    while len(colours) < COLOURS_SHOWN:
        colours.append([one for one in Colour if not colours or one is not colours[-1]][
            int(random.integers(2 if colours else 3))])
    return Prompt(list(Direction)[int(random.integers(3))], tuple(colours))


def _light(prompt: Prompt) -> Iterator[Colour | None]:
    for moment in _MOMENTS:
        at = prompt.colour_at(moment)
        yield None if at is None else prompt.colours[at]


def _head(made: Setting, prompt: Prompt, random: np.random.Generator) -> list[NDArray[np.uint8]]:
    surface, skin = made_heads.head(made.relief), made_heads.texture(made.portrait)
    turns = made_heads.angles(prompt, _MOMENTS, made.turn, random)
    return [made_heads.rendered(made, skin, surface, yaw, pitch, light, random)
            for (yaw, pitch), light in zip(turns, _light(prompt), strict=True)]


def _photograph(kind: str, made: Setting, prompt: Prompt, random: np.random.Generator) -> list[NDArray[np.uint8]]:
    """A print that is pushed the way that was asked, or tilted that way, or bent and then tilted, up to 45 degrees."""
    skin = made_heads.texture(made.portrait)
    bent = kind == SPECIES[2]
    surface = made_heads.bent(random.uniform(1.2, 3.5), bool(random.integers(2))) if bent else made_heads.plane()
    turns = made_heads.angles(prompt, _MOMENTS, random.uniform(19, 45), random)
    frames = []
    for (yaw, pitch), light in zip(turns, _light(prompt), strict=True):
        if kind == SPECIES[0]:
            moved = yaw / 60, -pitch / 60, float(random.normal(0, 1.5)) + yaw / 4, 1 + pitch / 200
            frames.append(made_heads.rendered(made, skin, surface, 0, 0, light, random, moved=moved))
        else:
            frames.append(made_heads.rendered(made, skin, surface, yaw, pitch, light, random))
    return frames


def _replayed(made: Setting, prompt: Prompt, random: np.random.Generator) -> list[NDArray[np.uint8]]:
    """A screen that plays an earlier session of the same person, of which the prompt was another one."""
    earlier = _prompt(random)
    while earlier == prompt:
        earlier = _prompt(random)
    frames = []
    for pixels, light in zip(_head(made, earlier, random), _light(prompt), strict=True):
        moved = float(random.normal(0, 0.01)), float(random.normal(0, 0.01)), float(random.normal(0, 0.3)), 1.0
        frames.append(made_heads.rendered(made, _as_skin(made, pixels), made_heads.plane(), 0, 0, light, random,
                                          moved=moved, shines=0.93))
    return frames


def _as_skin(made: Setting, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a frame as what a screen shows in the place of the portrait."""
    side = made_heads.SIDE
    scale = side / 4 / made.eyes_px
    middle = [side / 2 - scale * (side / 2 + move * made.eyes_px) for move in made.shift]
    matrix = np.array([[scale, 0, middle[0]], [0, scale, middle[1]]])
    shown = cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray((shown.astype(np.float32) / 255) ** 2.2, np.float32)


def _apcer(verdicts: list[Verdict]) -> dict[str, Any]:
    rate = rates.wilson(sum(isinstance(one, Live) for one in verdicts), len(verdicts))
    reasons = Counter(getattr(one, "reason", "live") for one in verdicts)
    return {"attacks": len(verdicts), "apcer": rate.value, "interval": [rate.low, rate.high],
            "not_assessed": sum(not isinstance(one, Live | NotLive) for one in verdicts), "reasons": dict(reasons)}


def _bpcer(verdicts: list[Verdict]) -> dict[str, Any]:
    rate = rates.wilson(sum(not isinstance(one, Live) for one in verdicts), len(verdicts))
    reasons = Counter(one.reason for one in verdicts if not isinstance(one, Live))
    return {"bona_fide": len(verdicts), "bpcer": rate.value, "bpcer_interval": [rate.low, rate.high],
            "reasons": dict(reasons)}
