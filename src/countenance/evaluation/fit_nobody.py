"""Fits the distribution of nobody's embeddings, and measures the raw distances it is to follow.

    python -m countenance.evaluation.fit_nobody FOLDER --out FILE [--groups FILE]

FOLDER/IDENTITY/*.jpg; one photograph of each person is fitted. `--groups` lists identities of one group.
The file that it writes ships with the program: a mean, a covariance, and measured figures; no template.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.clock import SystemClock, utc_text
from countenance.evaluation.dataset import Evaluation, Photograph, listed
from countenance.vision.pack_runtime import FacePack
from countenance.vision.synthetic import Nobody

SPREAD = 0.10
RATES = (1e-5, 1e-4, 1e-3, 1e-2, 0.5)
SHOWN = (0.35, 0.40, 0.45, 0.48, 0.50, 0.55, 0.60)
_TRIALS = 4_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the fit; see the module."""
    parser = argparse.ArgumentParser(description="Fit the distribution of nobody's embeddings.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--groups", type=Path)
    given = parser.parse_args(arguments)
    evaluation = Evaluation(listed(given.folder), FacePack.open())
    kept, vectors = evaluation.measured(_progress)
    group = set(given.groups.read_text().split("\n")) if given.groups else set()
    given.out.write_text(json.dumps(_fitted(evaluation, kept, vectors, group), indent=1) + "\n")


def _progress(done: int, total: int) -> None:
    if done % 500 == 0 or done == total:
        sys.stderr.write(f"{done} of {total}\n")


def _fitted(evaluation: Evaluation, kept: list[Photograph], vectors: NDArray[np.float32],
            group: set[str]) -> dict[str, Any]:
    identities = np.array([one.identity for one in kept])
    _, first = np.unique(identities, return_index=True)
    people = vectors[first].astype(np.float64)
    factor = np.linalg.cholesky(np.cov(people.T)).astype("<f2")
    lower = factor[np.tril_indices(len(factor))]
    mean = people.mean(axis=0).astype("<f4")
    nobody = Nobody(evaluation.pack.identity, mean, factor.astype(np.float32), SPREAD)
    return {
        "pack": evaluation.pack.identity,
        "data": f"{evaluation.photographs[0].path.parent.parent.parent.name}: {len(first)} people, "
                f"{len(kept)} of {len(evaluation.photographs)} photographs with a usable face",
        "date": utc_text(SystemClock().now())[:10],
        "script": "python -m countenance.evaluation.fit_nobody",
        "impostor_quantiles": _quantiles(evaluation, vectors[first], nobody),
        "raw_distance": _rates(evaluation.distances(vectors), identities, group),
        "spread": SPREAD,
        "mean": base64.b64encode(mean.tobytes()).decode(),
        "factor": base64.b64encode(lower.tobytes()).decode(),
    }


def _quantiles(evaluation: Evaluation, people: NDArray[np.float32], nobody: Nobody) -> dict[str, Any]:
    """Set real strangers beside made-up ones: distances below which the given shares of pairs lie."""
    made = nobody.draw(np.random.default_rng(1), _TRIALS)
    both = evaluation.distances(np.concatenate([people, made]))
    number = len(people)
    real = both[:number, :number][np.triu_indices(number, 1)]
    synthetic = both[:number, number:].ravel()
    return {f"{rate:g}": {"people": round(float(np.quantile(real, rate)), 3),
                          "nobody": round(float(np.quantile(synthetic, rate)), 3)} for rate in RATES}


def _rates(between: NDArray[np.float32], identities: NDArray[np.str_], group: set[str]) -> list[dict[str, Any]]:
    """Return FMR and FNMR of the raw distance at some thresholds; `group_fmr` within the named group."""
    pairs = np.triu_indices(len(identities), 1)
    same = (identities[:, None] == identities[None, :])[pairs]
    found = between[pairs]
    member = np.isin(identities, sorted(group))
    within = (member[:, None] & member[None, :])[pairs] & ~same
    rows = []
    for threshold in SHOWN:
        rows.append({
            "distance": threshold, "fmr": float((found[~same] <= threshold).mean()),
            "fnmr": float((found[same] > threshold).mean()),
            "group_fmr": float((found[within] <= threshold).mean()) if within.any() else None,
            "nonmated": int((~same).sum()), "mated": int(same.sum()), "group_nonmated": int(within.sum()),
        })
    return rows


if __name__ == "__main__":
    main()
