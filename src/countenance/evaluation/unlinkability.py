"""How far what is stored of one person in two places, or at two times, can be told to be one person's. Measured.

(1) made-up people are enrolled in two venues, some stories happen, and all that is stored or carried of them is
collected (`made_up`); (2) an attacker without keys compares ciphertexts and looks for equal values, one with all keys
compares the opened templates (`linkage`); (3) each way gets its D_sys, beside what chance alone gives (`dsys`).

That ciphertexts under random keys do not link is so by construction: (2) looks for what was done wrong, or overlooked.
That opened templates link is so too, as telling people apart is what they are for: nothing makes them harmless.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.clock import SystemClock
from countenance.consent.gate import DatasetGate
from countenance.errors import BadInput
from countenance.evaluation import dsys, linkage, made_up
from countenance.evaluation.dataset import Evaluation, Photograph, listed
from countenance.evaluation.dsys import Measured
from countenance.evaluation.linkage import Scored
from countenance.evaluation.made_up import Trace, Traces
from countenance.evaluation.plots import Panel
from countenance.features import quantise
from countenance.formats.passes import Custody
from countenance.matching import trials
from countenance.permits import PermitBook
from countenance.vision import packs
from countenance.vision.pack_runtime import FacePack

SECRET, DISCLOSED = "secret", "disclosed"
"""What the attacker knows of the keys: nothing, or all."""

SUFFERED = 0.01
"""How often chance may make one of all rows look linkable. Larger is stricter."""

_SCORING = 4  # steps of progress for each person: about what comparing takes beside enrolling
_SEED = 20210409

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Row:
    """One way to link: what is known of the keys, what is compared and between what, how, and how far it gets.

    `what`: "at the venue" and "in the pass" (ciphertexts), "identifiers at the venue" and so on, "templates".
    """

    keys: str
    between: str
    custody: str
    what: str
    way: str
    scored: Scored
    measured: Measured


@dataclass(frozen=True)
class Report:
    """All rows, and how many people they are about; `photographed` is 0 without photographs."""

    people: int
    photographed: int
    rows: tuple[Row, ...]

    def links(self, row: Row) -> bool:
        """Say whether a row is more than chance, though so many rows were looked at (Bonferroni)."""
        return row.measured.p * len(self.rows) <= SUFFERED

    def ciphertexts_link(self) -> bool:
        """Say whether ciphertexts alone tell who is who, which they must not."""
        return any(self.links(row) for row in self.rows if row.way in linkage.CIPHERTEXT_WAYS)

    def value(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"omega": dsys.OMEGA, "people": self.people, "photographed": self.photographed,
                "ciphertexts_link": self.ciphertexts_link(), "rows": [self._told(row) for row in self.rows]}

    def _told(self, row: Row) -> dict[str, Any]:
        found = row.measured
        return {
            "keys": row.keys, "between": row.between, "custody": row.custody, "what": row.what, "way": row.way,
            "d_sys": round(found.d_sys, 4), "chance": round(found.chance, 4), "chance_95": round(found.chance_95, 4),
            "p": round(found.p, 5), "links": self.links(row), "by": list(row.scored.by),
            "mated": found.mated, "nonmated": found.nonmated,
        }


def run(people: int, photos: Path | None, progress: Progress) -> Report:
    """Measure with `people` made-up people; with `photos`, opened templates of photographed people too.

    `photos`/IDENTITY/*: two photographs of everybody who has two are measured, under a dataset permit.
    Raises BadInput(scores-few, dataset-empty, dataset-few), and as the stories do.
    """
    if people < dsys.FEWEST:
        raise BadInput("scores-few", f"Fewer than {dsys.FEWEST} people say nothing about linking; take more.")
    chosen = [] if photos is None else two_each(listed(photos))
    all_steps = people * (made_up.STEPS + _SCORING) + len(chosen)
    done = 0

    def did(steps: int) -> None:
        nonlocal done
        done += steps
        progress(done, all_steps)

    random = np.random.default_rng(_SEED)
    rows = list(_scored(made_up.visits(people, _SEED, did), random, did, people * _SCORING))
    photographed = 0
    if chosen:
        scored = photographs(chosen, did)
        photographed = len(scored.mated)
        rows.append(Row(DISCLOSED, "venues", "", "photographs", "distance", scored,
                        dsys.measure(scored.mated, scored.nonmated, random)))
    return Report(people, photographed, tuple(rows))


def _scored(found: dict[str, tuple[Traces, Traces]], random: np.random.Generator, did: Callable[[int], None],
            steps: int) -> Iterator[Row]:
    pairs = [(between, custody, before[custody], after[custody])
             for between, (before, after) in found.items() for custody in Custody if custody in before]
    for number, (between, custody, before, after) in enumerate(pairs):
        for keys, what, way, scored in _ways(before, after, random):
            measured = dsys.measure(scored.mated, scored.nonmated, random)
            yield Row(keys, between, custody.value, what, way, scored, measured)
        did(steps * (number + 1) // len(pairs) - steps * number // len(pairs))


def _ways(before: list[Trace], after: list[Trace],
          random: np.random.Generator) -> Iterator[tuple[str, str, str, Scored]]:
    for where in before[0].sealed:
        ours, theirs = [one.sealed[where] for one in before], [one.sealed[where] for one in after]
        for way, scored in linkage.ciphertexts(ours, theirs, random).items():
            yield SECRET, where, way, scored
    for where, first, second in (
            ("at the venue", [one.stored for one in before], [one.stored for one in after]),
            ("in the pass", [one.shown for one in before], [one.shown for one in after])):
        yield SECRET, f"identifiers {where}", "equal values", linkage.identifiers(first, second, random)
        yield SECRET, f"traits {where}", "equal values", linkage.traits(first, second, random)
    yield DISCLOSED, "templates", "distance", linkage.templates(_vectors(before), _vectors(after), _of_nobody)


def _vectors(traces: list[Trace]) -> NDArray[np.float32]:
    return np.stack([one.codes for one in traces]).astype(np.float32) * np.float32(packs.load().manifest.step)


def _of_nobody(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compare opened templates of made-up people with each other, under a permit that opens no venue."""
    book = PermitBook(SystemClock())
    granted = DatasetGate(book).permit(hashlib.sha256(vectors.tobytes()).hexdigest())
    return trials.distances(book, granted.permit, granted.scope, vectors)


def two_each(photographs: list[Photograph]) -> list[Photograph]:
    """Return the first two photographs of everybody who has two. Raises BadInput(dataset-few)."""
    of: dict[str, list[Photograph]] = {}
    for one in photographs:
        of.setdefault(one.identity, []).append(one)
    chosen = [one for some in of.values() if len(some) > 1 for one in some[:2]]
    if len(chosen) < 2 * dsys.FEWEST:
        raise BadInput("dataset-few", f"Fewer than {dsys.FEWEST} people have two photographs in this folder.")
    return chosen


def photographs(chosen: list[Photograph], did: Callable[[int], None]) -> Scored:
    """Score the templates of photographed people: of each the first photograph against the second, and others'.

    Templates as they are kept, in whole steps. Raises BadInput(dataset-few), ModelFault.
    """
    pack = FacePack.open()
    evaluation = Evaluation(chosen, pack)
    kept, vectors = evaluation.measured(lambda _done, _all: did(1))
    rows: dict[str, list[int]] = {}
    for row, one in enumerate(kept):
        rows.setdefault(one.identity, []).append(row)
    both = np.array([some for some in rows.values() if len(some) == 2], np.intp)
    if len(both) < dsys.FEWEST:
        raise BadInput("dataset-few", f"Fewer than {dsys.FEWEST} people have two usable photographs in this folder.")
    templates = quantise(vectors, pack.step).astype(np.float32) * np.float32(pack.step)
    return linkage.templates(templates[both[:, 0]], templates[both[:, 1]], evaluation.distances)


def panels(report: Report) -> list[Panel]:
    """Return what to draw: keys secret and disclosed, in two venues and renewed, and photographs if there are any."""
    drawn = {
        (SECRET, "venues", "bits"): "Keys secret, two venues", (SECRET, "renewal", "bits"): "Keys secret, renewed",
        (DISCLOSED, "venues", "distance"): "Keys disclosed, two venues",
        (DISCLOSED, "renewal", "distance"): "Keys disclosed, renewed"}
    of = {(row.keys, row.between, row.way): row for row in report.rows if row.custody == Custody.VENUE_KEYED.value}
    scores = {"bits": "equal bits of two ciphertexts", "distance": "distance of two opened templates"}
    found = [Panel(title, scores[key[2]], of[key].scored, of[key].measured) for key, title in drawn.items()]
    return found + [Panel(f"Keys disclosed, photographs of {report.photographed:,} people", scores["distance"],
                          row.scored, row.measured) for row in report.rows if row.what == "photographs"]
