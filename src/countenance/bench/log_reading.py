"""The part of bench log that reads: it runs in a process of its own, and loads neither model nor gallery."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.clock import SystemClock
from countenance.errors import CountenanceError
from countenance.flows import log
from countenance.flows.venue import Venue
from countenance.integrations.entitlement import CsvEntitlement
from countenance.transparency.publish import FOLDER
from countenance.transparency.tree import Tree
from countenance.verifier import files, receipts

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PROOFS, CHECKS = 500, 100
_TOLD = 20
"""Of the entries that are checked, how many times it is told how far it has come."""


def main(folder: str, receipt: str, pipe: Connection) -> None:
    """Read the log of a venue, and send [done, all] now and then, and in the end the figures."""
    try:
        venue = Venue(Path(folder), SystemClock(), CsvEntitlement(Path(folder) / "tickets.csv"))
        try:
            found = _read(venue, receipt, _telling(pipe))
        finally:
            venue.close()
    except CountenanceError as error:
        found = {"fault": error.code}
    pipe.send_bytes(json.dumps(found).encode())
    pipe.close()


def _telling(pipe: Connection) -> Callable[[int, int], None]:
    told = [-1]

    def progress(done: int, all_: int) -> None:
        part = done * _TOLD // max(1, all_)
        if part != told[0]:
            told[0] = part
            pipe.send_bytes(json.dumps([done, all_]).encode())

    return progress


def _read(venue: Venue, receipt: str, progress: Callable[[int, int], None]) -> dict[str, Any]:
    with venue.store.read() as unit:
        size = Tree(unit.connection).size
    proofs = sorted(_proofs(venue, size))
    checks = [_ms(lambda: receipts.verify(receipt, None).require_ok()) for _ in range(CHECKS)]
    peaks = {"proofs": _peak_mb()}
    store_ms = _ms(lambda: log.verify(venue, lambda done, all_: progress(done, 2 * all_)))
    peaks["store"], trust = _peak_mb(), log.trust(venue)
    folder_ms = _ms(lambda: files.verify(
        venue.folder / FOLDER, trust, lambda done, all_: progress(all_ + done, 2 * all_)).require_ok())
    return {"leaves": size, "proof_ms": round(statistics.median(proofs), 3),
            "proof_p99_ms": round(proofs[len(proofs) * 99 // 100], 3),
            "verify_receipt_ms": round(statistics.median(checks), 3),
            "log_verify_s": round(folder_ms / 1000, 2), "log_verify_store_s": round(store_ms / 1000, 2),
            "peak_mb": _peak_mb(), "peak_mb_after": peaks}


def _proofs(venue: Venue, size: int) -> list[float]:
    chance = random.Random(size)  # noqa: S311  # to be drawn alike each time

    def prove(index: int) -> None:
        with venue.store.read() as unit:
            Tree(unit.connection).inclusion(index, size)

    return [_ms(partial(prove, chance.randrange(size))) for _ in range(PROOFS)]


def _ms(act: Callable[[], object]) -> float:
    clock = SystemClock()
    start = clock.monotonic()
    act()
    return (clock.monotonic() - start) * 1000


def _peak_mb() -> int:
    """Return the most memory that this process ever held, in MB (10**6 bytes).

    Not by getrusage: Linux starts that figure at what the process that started this one held.
    """
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6)
    return 0
