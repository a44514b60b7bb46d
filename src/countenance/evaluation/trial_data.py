"""From labelled photographs to scores: who is compared with whom, what could not be used, and what was found twice."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.evaluation import discard
from countenance.evaluation.dataset import Evaluation, Photograph, listed
from countenance.evaluation.rates import Trials
from countenance.matching.cohort import AnyCohort
from countenance.vision.face_quality import Assessment
from countenance.vision.pack_runtime import FacePack

_LARGEST_LIST = 64 << 20  # bytes of a file of pairs
_DECISIONS = {"yes": True, "no": False}

Progress = Callable[[int, int], None]


@dataclass
class Data:
    """What is to be measured. `pairs`: places in `photographs`, and whether they are one person; None for all pairs."""

    photographs: list[Photograph]
    twice: list[tuple[str, str]]
    pairs: list[tuple[int, int, bool]] | None = None


@dataclass
class Scored:
    """Scores with the names of the identities that they number. `fta`: photographs without a usable face."""

    trials: Trials
    identities: list[str]
    photographs: int
    fta: int
    twice: list[tuple[str, str]] = field(default_factory=list)
    quality: dict[str, NDArray[np.float64]] = field(default_factory=dict)


def folder(path: Path) -> Data:
    """Read DIR/IDENTITY/*. Files that lie there twice are told, and counted all the same. Raises BadInput."""
    photographs = listed(path)
    seen: dict[str, Path] = {}
    twice = []
    for one in photographs:
        digest = hashlib.sha256(one.path.read_bytes()).hexdigest()
        if digest in seen:
            twice.append((_short(seen[digest]), _short(one.path)))
        seen.setdefault(digest, one.path)
    return Data(photographs, twice)


def pairs(file: Path, root: Path) -> Data:
    """Read a CSV file of pairs: file_x, file_y (below `root`), Decision (Yes or No). The folder is the identity.

    Raises BadInput: pairs-malformed (names the line), pairs-outside, pairs-file-missing, dataset-empty.
    """
    at: dict[Path, int] = {}
    photographs: list[Photograph] = []
    found = []
    for number, row in enumerate(_rows(file), 2):
        decision = _DECISIONS.get((row.get("Decision") or "").strip().lower())
        names = row.get("file_x"), row.get("file_y")
        if decision is None or not all(names):
            raise BadInput("pairs-malformed", f"Line {number} of the pairs needs file_x, file_y and Yes or No.")
        places = []
        for name in names:
            path = _below(root, str(name))
            if path not in at:
                at[path] = len(photographs)
                photographs.append(Photograph(path.parent.name, path))
            places.append(at[path])
        found.append((places[0], places[1], decision))
    if not found:
        raise BadInput("dataset-empty", "This file holds no pairs.")
    return Data(photographs, [], found)


def score(data: Data, pack: FacePack, cohort: AnyCohort, progress: Progress, *, quality: bool = False) -> Scored:
    """Measure every photograph and score the pairs, under a dataset permit.

    `quality`: assess each photograph as well; of a folder only. Raises BadInput(dataset-faceless).
    """
    evaluation = Evaluation(data.photographs, pack)
    assessed: list[Assessment] | None = [] if quality and data.pairs is None else None
    kept, vectors = evaluation.measured(progress, assessed)
    fta = len(data.photographs) - len(kept)
    names = sorted({one.identity for one in kept})
    numbers = np.searchsorted(np.array(names), np.array([one.identity for one in kept]))
    trials = evaluation.trials(vectors, numbers if data.pairs is None else np.arange(len(kept)), cohort)
    if data.pairs is not None:
        trials = _chosen(trials, data, kept, numbers, len(names))
    return Scored(trials, names, len(data.photographs), fta, data.twice, _of_pairs(kept, assessed or []))


def _of_pairs(kept: list[Photograph], assessed: list[Assessment]) -> dict[str, NDArray[np.float64]]:
    """Return, by component, the worse of both scalars of each mated pair, in the order of the trials."""
    if not assessed:
        return {}
    first, second = np.array(discard.pairs_of([one.identity for one in kept]), np.intp).reshape(-1, 2).T
    found = {}
    for name in assessed[0].components:
        scalars = np.array([float(one.components[name].scalar) for one in assessed])
        found[name] = np.minimum(scalars[first], scalars[second])
    return found


def _chosen(trials: Trials, data: Data, kept: list[Photograph], numbers: NDArray[np.intp], people: int) -> Trials:
    """Return only the pairs that were listed; whether they are mated is the list's word."""
    place = {id(one): at for at, one in enumerate(kept)}
    at = [place.get(id(one), -1) for one in data.photographs]
    first, second, scores = [], [], []
    for one, other, mated in data.pairs or []:
        low, high = sorted((at[one], at[other]))
        if low < 0 or low == high:
            continue  # without a usable face, or a file with itself
        row = low * len(kept) - low * (low + 1) // 2 + high - low - 1  # of the upper triangle, row by row
        scores.append(trials.scores[row])
        first.append(numbers[low])
        second.append(numbers[low] if mated else numbers[high] if numbers[high] != numbers[low] else people)
    return Trials(np.array(scores, np.float32), np.array(first, np.int32), np.array(second, np.int32))


def _rows(file: Path) -> list[dict[str, str | None]]:
    try:
        if file.stat().st_size > _LARGEST_LIST:
            raise BadInput("pairs-malformed", "This file of pairs is too large.")
        with file.open(encoding="utf-8-sig", newline="") as text:
            return list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise BadInput("pairs-malformed", "This file of pairs cannot be read.") from None


def _below(root: Path, name: str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise BadInput("pairs-outside", "A pair names a file outside the folder that was given.")
    if not path.is_file():
        raise BadInput("pairs-file-missing", f"There is no file {_short(path)}.")
    return path


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
