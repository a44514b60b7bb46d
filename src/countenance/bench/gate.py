"""bench gate: from the bytes of a JPEG to a committed decision, and how much longer others take.

Ours is the whole story of `flows.admit.by_face`: permit, decoding, detection, alignment, embedding, an exact
search of the gallery, and the decision on disk. Theirs is decoding, detection, embedding and distances to as
many vectors, without consent, log or disk. Both alternate in one process on one thread (ours, theirs, ours,
theirs, ...), and a ratio is the median over the pairs, so that a busy neighbour slows both sides of it.
Ours then starts with caches that theirs has filled, as a gate does after a pause; alone it is some 2 ms faster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from countenance.bench import machine, peer, place
from countenance.bench.peer import Way
from countenance.bench.place import Gate, Progress
from countenance.vision import synthetic

DETECTOR_WINDOW_PX = 80  # of the working image: what the smallest accepted face is scaled to
SEED = 20210409
REST = "rest"


@dataclass
class _Runs:
    """Milliseconds, one for each run; `pairs` holds (theirs, ours right before it) by way."""

    ours: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)

    def add_ours(self, total: float, parts: dict[str, float]) -> None:
        self.ours.append(total)
        for name, ms in {**parts, REST: total - sum(parts.values())}.items():
            self.parts.setdefault(name, []).append(ms)


def run(rounds: int, people: int, against: str | None, progress: Progress) -> dict[str, Any]:
    """Time the gate, and the library `against` beside it; return the figures that `--json` prints.

    `rounds`: how often each is run (the slow CNN: 3 at most, spread over the rounds). `progress(done, all)`
    counts people, then rounds. Raises BadInput(bench-peer-unknown, bench-peer-missing), ModelFault
    (bench-referred, bench-peer-missed), and as the stories that it tells.
    """
    if against is not None:
        peer.require(against)  # before a gallery is made for nothing
    with machine.one_thread(), place.gate(people, progress) as gate:
        ways = [] if against is None else _peer(gate, people).ways(rounds)
        runs = _alternate(gate, ways, rounds, progress)
    return _summary(runs, ways, rounds, people, against)


def _peer(gate: Gate, people: int) -> peer.Peer:
    nobody = synthetic.load(gate.venue.pack.identity)
    known = nobody.draw(np.random.default_rng(SEED), people)
    return peer.load(known, min(1.0, DETECTOR_WINDOW_PX / gate.venue.settings.smallest_face_px))


def _alternate(gate: Gate, ways: list[Way], rounds: int, progress: Progress) -> _Runs:
    """Run ours before each of theirs; without others, ours once a round."""
    runs = _Runs()
    _warm(gate, ways)
    for number in range(rounds):
        due = [way for way in ways if _due(number, way.most_rounds, rounds)]
        for way in due:
            total, parts = gate.decide()
            runs.add_ours(total, parts)
            runs.pairs.setdefault((way.group, way.model), []).append((_timed(gate, way), total))
        if not due:
            runs.add_ours(*gate.decide())
        progress(number + 1, rounds)
    return runs


def _warm(gate: Gate, ways: list[Way]) -> None:
    """Load what is loaded at first use: our gallery and networks, their models. The slow ones are not repeated."""
    gate.decide()
    gate.decide()
    for way in ways:
        if way.group == "same_resolution":
            way.decide(gate.jpeg)


def _due(number: int, most: int, rounds: int) -> bool:
    """Tell whether a way that runs `most` times in all runs in this round: spread evenly."""
    return (number + 1) * most // rounds > number * most // rounds


def _timed(gate: Gate, way: Way) -> float:
    clock = gate.venue.clock
    start = clock.monotonic()
    way.decide(gate.jpeg)
    return (clock.monotonic() - start) * 1000


def _summary(runs: _Runs, ways: list[Way], rounds: int, people: int, against: str | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "median_ms": _ms(np.median(runs.ours)),
        "p95_ms": _ms(np.percentile(runs.ours, 95)),
        "rounds": rounds,
        "runs": len(runs.ours),
        "people": people + 1,
        "parts_ms": {name: _ms(np.median(ms)) for name, ms in runs.parts.items()},
        "machine": machine.described(),
    }
    if against is not None:
        result["peer"] = against
        for way in ways:
            result.setdefault(way.group, {})[way.model] = _versus(runs.pairs[way.group, way.model])
    return result


def _versus(pairs: list[tuple[float, float]]) -> dict[str, float | int]:
    return {
        "median_ms": _ms(np.median([theirs for theirs, _ in pairs])),
        "ratio": round(float(np.median([theirs / ours for theirs, ours in pairs])), 2),
        "runs": len(pairs),
    }


def _ms(value: Any) -> float:
    return round(float(value), 3)
