"""What an attacker can do who wants to know which of two collections are of the same people: linkage functions.

Each gives a score to a pair, from one person in one collection and one in the other. Mated pairs are of the same
person. Without keys there are ciphertexts and identifiers to compare; with keys, the templates themselves.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OTHERS = 20
"""How many other people each person is paired with; everybody, where distances are compared."""

CIPHERTEXT_WAYS = ("bits", "bytes", "correlation", "length")

_SAMPLE = 200
_OFTEN = 0.05

Values = Mapping[str, bytes]
Bytes = NDArray[np.uint8]
Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Scored:
    """The scores of one linkage function: shape (mated pairs,) and (non-mated pairs,). `by`: what it went by."""

    mated: Scores
    nonmated: Scores
    by: tuple[str, ...] = ()


Score = Callable[[NDArray[np.intp], NDArray[np.intp]], Scores]
"""Scores pairs, given as rows of the first and rows of the second collection."""


def _paired(number: int, random: np.random.Generator, score: Score) -> Scored:
    """Score everybody with themselves, and with `OTHERS` others each."""
    rows = np.arange(number)
    shifts = random.permutation(np.arange(1, number))[:OTHERS]
    return Scored(score(rows, rows), np.concatenate([score(rows, (rows + shift) % number) for shift in shifts]))


def ciphertexts(first: Sequence[bytes], second: Sequence[bytes], random: np.random.Generator) -> dict[str, Scored]:
    """Compare ciphertexts, person by person in the same order, in four ways.

    "bits" and "bytes": how many are equal at the same place; "correlation" of the bytes' values; "length": by how
    many bytes they differ. Longer ones are cut to the shortest for the first three.
    """
    shortest = min(map(len, [*first, *second]))
    a, b = _matrix(first, shortest), _matrix(second, shortest)
    x, y = _standard(a), _standard(b)
    lengths = [np.array([len(one) for one in some]) for some in (first, second)]
    ways: tuple[Score, ...] = (
        lambda i, j: 8.0 * shortest - np.bitwise_count(a[i] ^ b[j]).sum(axis=1, dtype=np.int64),
        lambda i, j: (a[i] == b[j]).sum(axis=1).astype(np.float64),
        lambda i, j: np.einsum("ij,ij->i", x[i], y[j]),
        lambda i, j: np.abs(lengths[0][i] - lengths[1][j]).astype(np.float64),
    )
    return {name: _paired(len(first), random, way) for name, way in zip(CIPHERTEXT_WAYS, ways, strict=True)}


def _matrix(values: Sequence[bytes], width: int) -> Bytes:
    return np.frombuffer(b"".join(value[:width] for value in values), np.uint8).reshape(len(values), width)


def _standard(values: Bytes) -> Scores:
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.sqrt((centred**2).sum(axis=1, keepdims=True)), 1e-9))


def identifiers(first: Sequence[Values], second: Sequence[Values], random: np.random.Generator) -> Scored:
    """Count the values that two people's rows share, as they stand or hashed, in whatever columns.

    A column counts where most people have a value of their own in it.
    """
    kinds = _columns(first, second)
    own = [[_spellings(row, kinds.own) for row in rows] for rows in (first, second)]
    return _counted(own[0], own[1], random)


def traits(first: Sequence[Values], second: Sequence[Values], random: np.random.Generator) -> Scored:
    """Count the columns in which two people's rows say the same, of those in which people differ, but not each."""
    kinds = _columns(first, second)
    said = [[{name: frozenset({row[name]}) for name in kinds.shared if name in row} for row in rows]
            for rows in (first, second)]
    return _counted(said[0], said[1], random)


@dataclass(frozen=True)
class _Kinds:
    own: frozenset[str]
    shared: frozenset[str]


def _columns(first: Sequence[Values], second: Sequence[Values]) -> _Kinds:
    """Tell columns apart by how many values they have; what is the same for everybody tells nothing."""
    most: Counter[str] = Counter()
    for rows in (first, second):
        for name in {name for row in rows for name in row}:
            most[name] = max(most[name], len({row.get(name, b"") for row in rows}))
    own = frozenset(name for name, number in most.items() if number > len(first) // 2)
    return _Kinds(own, frozenset(name for name, number in most.items() if number > 1) - own)


def _spellings(row: Values, names: frozenset[str]) -> dict[str, frozenset[bytes]]:
    return {name: frozenset({row[name], (full := hashlib.sha256(row[name]).digest()), full[:16]})
            for name in names if name in row}


_Said = Mapping[str, frozenset[bytes]]


def _counted(first: Sequence[_Said], second: Sequence[_Said], random: np.random.Generator) -> Scored:
    ours, theirs = ([_joined(row) for row in rows] for rows in (first, second))

    def score(i: NDArray[np.intp], j: NDArray[np.intp]) -> Scores:
        return np.array([len(ours[a] & theirs[b]) for a, b in zip(i, j, strict=True)], np.float64)

    scored = _paired(len(first), random, score)
    return Scored(scored.mated, scored.nonmated, _by(first, second))


def _joined(row: _Said) -> frozenset[bytes]:
    return frozenset().union(*row.values())


def _by(first: Sequence[_Said], second: Sequence[_Said]) -> tuple[str, ...]:
    """Name the columns that agree more often for one person than for two."""
    number = min(len(first), _SAMPLE)
    same, other = Counter[str](), Counter[str]()
    for row in range(number):
        same.update(_agreeing(first[row], second[row]))
        other.update(_agreeing(first[row], second[(row + len(first) // 2) % len(first)]))
    return tuple(sorted(name for name in same if same[name] - other[name] > _OFTEN * number))


def _agreeing(one: _Said, other: _Said) -> set[str]:
    found = {name for name, spelled in one.items() if spelled & other.get(name, frozenset())}
    return found | {f"{a} = {b}" for a, spelled in one.items() if a not in found
                    for b, also in other.items() if b not in found and spelled & also}


Distances = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Compares everything with everything under a dataset permit: (n, d) to (n, n)."""

_BLOCK = 500


def templates(first: NDArray[np.float32], second: NDArray[np.float32], distances: Distances) -> Scored:
    """Compare opened templates, float32 (people, dimension): the distance of everybody to everybody.

    In blocks of people, so that thousands fit into memory; lower is closer.
    """
    mated, nonmated = [], []
    for start in range(0, len(first), _BLOCK):
        ours, theirs = first[start : start + _BLOCK], second[start : start + _BLOCK]
        between = distances(np.concatenate([ours, theirs]))[: len(ours), len(ours) :]
        same = np.eye(len(ours), dtype=bool)
        mated.append(between[same])
        nonmated.append(between[~same])
    return Scored(np.concatenate(mated).astype(np.float64), np.concatenate(nonmated).astype(np.float64))
