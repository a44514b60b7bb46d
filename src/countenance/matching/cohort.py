"""The cohort of nobody: synthetic templates that say how crowded the neighbourhood of a capture is.

It is drawn, by a fixed seed, from a mixture of normal distributions that was fitted on one photograph each of many
people (`countenance calibrate cohort`). The mixture's figures ship with the program or lie beside a venue's data; no
component stands for fewer than `FEWEST` people, so no person's template is in them.

What is no face lies far from every face, and would be "closer than nobody" to everybody: a key to all doors. So a
neighbourhood counts as at most as empty, and as at most as even, as those of the people that were fitted (`Limits`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault, Refused
from countenance.features import Codes
from countenance.matching.score import PLAIN, Numbers

FORMAT = 1
FEWEST = 8
"""People that one component of a mixture must stand for at least."""

LARGEST_BYTES = 300_000
_AT_ONCE = 256
"""Captures compared with the cohort in one step: 10 MB for each 10,000 drawn."""

_OUTERMOST = 0.99
"""The share of the fitted people whose neighbourhoods are within the limits, for each of the two."""


@dataclass(frozen=True)
class Mixture:
    """Normal distributions with diagonal covariance: shares (k,), means and spreads (k, dimension); float64."""

    shares: NDArray[np.float64]
    means: NDArray[np.float64]
    spreads: NDArray[np.float64]

    def draw(self, seed: int, number: int) -> NDArray[np.float64]:
        """Return `number` vectors, (number, dimension); the same for the same seed, on any machine.

        Only the bit generator's stream is used, which NumPy promises to keep; normals are by Box and Muller (1958).
        """
        bits = np.random.PCG64(seed)
        dimension = self.means.shape[1]
        chosen = np.searchsorted(np.cumsum(self.shares)[:-1], _uniform(bits, number), side="right")
        pairs = (number * dimension + 1) // 2
        radius = np.sqrt(-2.0 * np.log1p(-_uniform(bits, pairs)))
        angle = 2.0 * np.pi * _uniform(bits, pairs)
        normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:number * dimension]
        drawn: NDArray[np.float64] = self.means[chosen] + self.spreads[chosen] * normal.reshape(number, dimension)
        return drawn


def _uniform(bits: np.random.PCG64, number: int) -> NDArray[np.float64]:
    raw: NDArray[np.float64] = (bits.random_raw(number) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return raw


@dataclass(frozen=True)
class Limits:
    """The highest mean and the least spread of logarithms that a capture is granted. Lower mean, higher spread:
    stricter."""

    mean: float
    spread: float


NO_LIMITS = Limits(np.inf, 1e-3)
"""Before they are measured; what is exactly as far from everybody must not divide by nothing."""


class Cohort:
    """Templates of nobody for one pack; safe for use by several threads. `identity` names pack and parameters."""

    def __init__(self, pack: str, drawn: NDArray[np.int8], nearest: int, provenance: dict[str, Any],
                 limits: Limits = NO_LIMITS) -> None:
        """`drawn`: codes (n, dimension); of each capture's distances the `nearest` count."""
        self.pack = pack
        self.provenance = provenance
        digest = hashlib.sha256(f"{pack}|{nearest}|{drawn.shape}|{limits}".encode() + drawn.tobytes()).hexdigest()
        self.digest = digest
        self.identity = f"{pack}|{digest[:12]}"
        self._nearest = nearest
        self._limits = limits
        self._drawn = np.ascontiguousarray(drawn.T, dtype=np.float32)  # whole numbers, so products are exact
        self._squares = (self._drawn**2).sum(axis=0)

    def numbers(self, codes: NDArray[np.int8]) -> Numbers:
        """Return slope and offset (see `score`) of captures: (2,) for codes (dimension,), (2, n) for (n, dimension).

        Whole numbers up to the logarithm, so one capture gives the same alone and among others.
        Raises Refused(pack-other).
        """
        if codes.shape[-1] != len(self._drawn):
            raise Refused("pack-other", "These were measured by different models.")
        table = codes.reshape(-1, codes.shape[-1])
        found = np.empty((2, len(table)), np.float32)
        for start in range(0, len(table), _AT_ONCE):
            found[:, start:start + _AT_ONCE] = self._of_some(table[start:start + _AT_ONCE])
        return found[:, 0] if codes.ndim == 1 else found

    def _of_some(self, table: NDArray[np.int8]) -> NDArray[np.float64]:
        rows = table.astype(np.float32)
        apart = rows @ self._drawn
        apart *= -2
        apart += self._squares
        apart += (rows**2).sum(axis=1)[:, None]
        apart.partition(self._nearest - 1, axis=1)
        near = np.sort(apart[:, :self._nearest], axis=1).astype(np.float64)  # in order: sums are the same each time
        logarithms = 0.5 * np.log(near + 0.5)
        rows.fill(0)
        apart.fill(0)
        spread = np.maximum(logarithms.std(axis=1), self._limits.spread)
        return np.stack([1.0 / spread, np.minimum(logarithms.mean(axis=1), self._limits.mean) / spread])


class Unnormalised:
    """Stands where a cohort would and normalises nothing: for `evaluate --raw`, and for tests of exactness."""

    def __init__(self, pack: str) -> None:
        self.pack = pack
        self.identity = f"{pack}|raw"

    def numbers(self, codes: Codes) -> Numbers:
        """Return `score.PLAIN` for each capture; shapes as `Cohort.numbers`."""
        plain = np.array(PLAIN, np.float32)
        return plain if codes.ndim == 1 else np.repeat(plain[:, None], len(codes), axis=1)


AnyCohort = Cohort | Unnormalised


def load(pack_identity: str, file: Path | None = None) -> Cohort:
    """Return the cohort of a pack, drawn anew: the one that ships with the program, or the one in `file`.

    Raises ModelFault: cohort-missing, cohort-malformed, cohort-other (made for another pack), cohort-changed.
    """
    if file is None:
        return _shipped(pack_identity)
    return _read(file, pack_identity)


@lru_cache(maxsize=4)
def _shipped(pack_identity: str) -> Cohort:
    """Draw what ships once a process: it is the same for every venue, and never changes."""
    place = files("countenance.matching") / "parameters" / f"cohort-{_name(pack_identity)}.json"
    return _read(Path(str(place)), pack_identity)


def _read(path: Path, pack_identity: str) -> Cohort:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise _malformed()
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelFault("cohort-missing", "There is no cohort for this model; `countenance calibrate cohort` "
                         "makes one from labelled photographs.") from None
    except (OSError, UnicodeDecodeError):
        raise _malformed() from None
    return parse(text, pack_identity)


def parse(text: str, pack_identity: str) -> Cohort:
    """Read parameters and draw their cohort. Raises ModelFault: see `load`."""
    try:
        value = json.loads(text)
        mixture = _mixture(value)
        wanted = str(value["sha256"])
        number, seed, nearest = int(value["number"]), int(value["seed"]), int(value["nearest"])
        step, pack = float(value["step"]), str(value["pack"])
        provenance = {key: value[key] for key in ("data", "people", "date", "script")}
        limits = Limits(float(value["most_mean"]), float(value["least_spread"]))
        sound = (np.isfinite(limits.mean) and limits.spread > 0 and value["format"] == FORMAT
                 and 1 < nearest <= number <= 100_000 and step > 0)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise _malformed() from None
    if not sound:
        raise _malformed()
    if pack != pack_identity:
        raise ModelFault("cohort-other", "This cohort was made for another model.")
    cohort = Cohort(pack, as_codes(mixture.draw(seed, number), step), nearest, provenance, limits)
    if cohort.digest != wanted:
        raise ModelFault("cohort-changed", "The cohort drawn here is not the one that the parameters were tried with.")
    return cohort


def limited(pack: str, drawn: NDArray[np.int8], nearest: int, people: NDArray[np.int8],
            provenance: dict[str, Any]) -> tuple[Cohort, Limits]:
    """Return a cohort with the limits that the neighbourhoods of `people`, codes (n, dimension), give."""
    slopes, offsets = Cohort(pack, drawn, nearest, provenance).numbers(people).astype(np.float64)
    limits = Limits(round(float(np.quantile(offsets / slopes, _OUTERMOST)), 4),
                    round(float(np.quantile(1 / slopes, 1 - _OUTERMOST)), 5))
    return Cohort(pack, drawn, nearest, provenance, limits), limits


def text_of(mixture: Mixture, people: NDArray[np.int8], pack: str, step: float, how: tuple[int, int, int],
            provenance: dict[str, Any]) -> str:
    """Return parameters as `parse` reads them; `how`: seed, number drawn, nearest that count.

    `people`: codes (n, dimension) of those who were fitted, for the limits alone.

    Figures are rounded to float16 and base64. Raises ModelFault(cohort-malformed) if that is too large to ship.
    """
    seed, number, nearest = how
    packed = {name: base64.b64encode(getattr(mixture, name).astype("<f2").tobytes()).decode()
              for name in ("shares", "means", "spreads")}
    value = {"format": FORMAT, "pack": pack, **provenance, "step": step, "seed": seed, "number": number,
             "nearest": nearest, "components": len(mixture.shares), **packed}
    drawn = as_codes(_mixture(value).draw(seed, number), step)
    cohort, limits = limited(pack, drawn, nearest, people, provenance)
    value |= {"most_mean": limits.mean, "least_spread": limits.spread, "sha256": cohort.digest}
    text = json.dumps(value, indent=1) + "\n"
    if len(text) > LARGEST_BYTES:
        raise ModelFault("cohort-malformed", "These parameters are too large; take fewer components.")
    return text


def as_codes(drawn: NDArray[np.float64], step: float) -> NDArray[np.int8]:
    """Return vectors as codes, as `features.quantise` does with a capture."""
    codes: NDArray[np.int8] = np.clip(np.rint(drawn / step), -127, 127).astype(np.int8)
    return codes


def _mixture(value: dict[str, Any]) -> Mixture:
    components = int(value["components"])
    shares, means, spreads = (np.frombuffer(base64.b64decode(value[name], validate=True), "<f2").astype(np.float64)
                              for name in ("shares", "means", "spreads"))
    means, spreads = means.reshape(components, -1), spreads.reshape(components, -1)
    finite = all(np.isfinite(one).all() for one in (shares, means, spreads))
    if not (finite and len(shares) == components and means.shape == spreads.shape and (shares > 0).all()
            and (spreads > 0).all() and means.size):
        raise ValueError
    return Mixture(shares / shares.sum(), means, spreads)


def _name(pack_identity: str) -> str:
    name = pack_identity.partition("@")[0]
    return "".join(letter for letter in name if letter.isalnum() or letter in "-_")


def _malformed() -> ModelFault:
    return ModelFault("cohort-malformed", "The parameters of the cohort are not as they must be.")
