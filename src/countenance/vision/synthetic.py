"""Embeddings of nobody: drawn so that they lie among faces as people do, for padding a demo or measuring a property.

A normal distribution over the embedding space (mean and full covariance fitted on one photograph each of
many people), its size spread a little so that the closest strangers are about as close as real ones. No
person's template is in the parameters. Fitted by `python -m countenance.evaluation.fit_nobody`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault
from countenance.features import Probe, quantise
from countenance.permits import Door, Permit, PermitBook, Scope


@dataclass(frozen=True)
class Nobody:
    """The distribution. `factor` is lower triangular (d, d), `mean` (d,); `spread` is of the logarithm."""

    pack: str
    mean: NDArray[np.float32]
    factor: NDArray[np.float32]
    spread: float

    def draw(self, random: np.random.Generator, number: int) -> NDArray[np.float32]:
        """Return `number` vectors of nobody, float32 (number, d)."""
        sizes = np.exp(random.standard_normal((number, 1)) * self.spread - self.spread**2)
        drawn = self.mean + sizes * (random.standard_normal((number, len(self.mean))) @ self.factor.T)
        return np.asarray(drawn, dtype=np.float32)


def load(pack_identity: str) -> Nobody:
    """Return the parameters for a pack. Raises ModelFault(nobody-missing)."""
    name = pack_identity.partition("@")[0]
    path = files("countenance.vision") / "parameters" / f"nobody-{name}.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFault("nobody-missing", "There are no synthetic faces for this model.") from None
    if value["pack"] != pack_identity:
        raise ModelFault("nobody-missing", "The synthetic faces at hand are of another version of this model.")
    mean = np.frombuffer(base64.b64decode(value["mean"]), dtype="<f4").astype(np.float32)
    factor = np.zeros((len(mean), len(mean)), dtype=np.float32)
    factor[np.tril_indices(len(mean))] = np.frombuffer(base64.b64decode(value["factor"]), dtype="<f2")
    return Nobody(value["pack"], mean, factor, float(value["spread"]))


class SyntheticCamera:
    """Stands where a camera and a model would: gives probes of nobody, each against a permit."""

    def __init__(self, nobody: Nobody, step: float, seed: int) -> None:
        self._nobody = nobody
        self._step = step
        self._random = np.random.default_rng(seed)
        self._drawn: list[NDArray[np.float32]] = []

    def embed(self, book: PermitBook, permit: Permit, scope: Scope) -> Probe:
        """Spend `permit` at EMBED and return a probe of nobody. Raises Refused."""
        book.spend(permit, Door.EMBED, scope)
        if not self._drawn:
            self._drawn = list(self._nobody.draw(self._random, 1_000))
        return Probe(quantise(self._drawn.pop(), self._step), self._nobody.pack, permit, self._step)


NOISE, NOISE_SPREAD = 0.50, 0.10
"""The part of a capture that is not the person, and its spread (of the logarithm): two captures of one made-up person
lie as far apart as two photographs of one person (LIMITS.md, raw distance, FNMR)."""


class Crowd:
    """Made-up people who come again: a camera that can be told which of them stands there. It takes no vectors."""

    def __init__(self, nobody: Nobody, step: float, seed: int, people: int) -> None:
        self._nobody = nobody
        self._step = step
        self._random = np.random.default_rng(seed)
        self._people = self._random.standard_normal((people, len(nobody.mean)))
        self._sizes = np.exp(self._random.standard_normal(people) * nobody.spread - nobody.spread**2)

    def __len__(self) -> int:
        return len(self._people)

    def embed(self, number: int, book: PermitBook, permit: Permit, scope: Scope) -> Probe:
        """Spend `permit` at EMBED and return a new capture of person `number`. Raises Refused."""
        book.spend(permit, Door.EMBED, scope)
        noise = min(NOISE * float(np.exp(NOISE_SPREAD * self._random.standard_normal())), 1.0)
        person = self._people[number]
        drawn = np.sqrt(1 - noise**2) * person + noise * self._random.standard_normal(len(person))
        vector = self._nobody.mean + self._sizes[number] * (self._nobody.factor @ drawn)
        return Probe(quantise(vector.astype(np.float32), self._step), self._nobody.pack, permit, self._step)
