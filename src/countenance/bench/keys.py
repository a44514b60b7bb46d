"""bench keys: how long keys take, beside what the same machine needs for the bare work in the same run.

Rewrapping: a rotation of many keys against AES-GCM on as many, and one fdatasync for each transaction. Opening:
templates of a gallery, as a start of the program opens them. Withdrawing: the whole story, against one fdatasync.
Nobody's face is in it: the templates are random bytes.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from countenance.bench import machine, place
from countenance.clock import SystemClock
from countenance.flows import withdraw
from countenance.flows.venue import Venue
from countenance.quantities import KeyId, PersonId
from countenance.storage import engine as engines
from countenance.storage import migrate
from countenance.vault.keys import roots, rotation
from countenance.vault.keys.sealing import Wrapping
from countenance.vault.keys.store import FACE, RECORD, KeyStore, new_ref
from countenance.vault.keys.third import ThirdPlace

Progress = Callable[[int, int], None]
_SOME = 10_000
_SYNCS = 30


def run(keys: int, templates: int, withdrawals: int, progress: Progress) -> dict[str, Any]:
    """Return the figures that `--json` prints. `progress(done, all)` counts keys made and rewrapped."""
    with machine.one_thread(), tempfile.TemporaryDirectory(prefix="countenance-bench-") as scratch:
        folder = Path(scratch)
        sync_ms = machine.fdatasync_ms(folder, _SYNCS)
        with _store(folder) as store:
            opening = _opening(store, templates)
            rewrapping = _rewrapping(store, keys, sync_ms, progress)
        return {"fdatasync_ms": round(sync_ms, 3), **rewrapping, **opening,
                **_withdrawing(withdrawals), "machine": machine.described()}


@contextmanager
def _store(folder: Path) -> Iterator[KeyStore]:
    roots.make_file(folder / "root.key")
    here = ThirdPlace.of(folder, roots.open_root("file:root.key", folder))
    here.begin(SystemClock().now())
    engine = engines.open_engine(folder / "keys.db", create=True)
    migrate.upgrade(engine, "keys")
    store = KeyStore(engine, here, SystemClock())
    try:
        yield store
    finally:
        store.close()


def _opening(store: KeyStore, number: int) -> dict[str, Any]:
    clock, sealed = SystemClock(), []
    for start in range(0, number, _SOME):
        refs = [new_ref(FACE, PersonId(f"{n:032x}"), "entry.search") for n in range(start, min(number, start + _SOME))]
        with store.at_hand():
            store.make(refs)
            sealed += [(ref, "template", store.seal(ref, "template", os.urandom(128))) for ref in refs]
    start_at = clock.monotonic()
    opened = sum(1 for plain in store.open_many(sealed) if plain is not None)
    seconds = clock.monotonic() - start_at
    return {"templates": opened, "open_s": round(seconds, 3), "opened_per_s": round(opened / seconds)}


def _rewrapping(store: KeyStore, number: int, sync_ms: float, progress: Progress) -> dict[str, Any]:
    clock = SystemClock()
    for start in range(0, max(0, number - store.count()), _SOME):
        store.make([new_ref(RECORD, PersonId(f"{start + n:032x}"), "") for n in range(_SOME)])
        progress(start, 2 * number)
    living, total = store.ids(), store.count()
    bare = _bare_aes_s(min(total, 100_000)) * total / min(total, 100_000)
    start_at = clock.monotonic()
    store.rotate(lambda: living, lambda done, all_: progress(all_ + done, 2 * all_))
    seconds = clock.monotonic() - start_at
    parts = bare + total / rotation.BATCH * sync_ms / 1000
    return {"keys": total, "rewrap_s": round(seconds, 3), "rewrapped_per_s": round(total / seconds),
            "aes_s": round(bare, 3), "rewrap_over_parts": round(seconds / parts, 2)}


def _bare_aes_s(number: int) -> float:
    """Return how long unwrapping and wrapping `number` keys takes with nothing around it."""
    clock, old, new = SystemClock(), Wrapping(1, os.urandom(32)), Wrapping(2, os.urandom(32))
    key_id, binding = "0" * 32, bytes(32)
    wrapped = old.wrap(key_id, binding, bytes(32))
    start = clock.monotonic()
    for _ in range(number):
        new.wrap(key_id, binding, old.unwrap(key_id, binding, wrapped))
    return clock.monotonic() - start


def _withdrawing(number: int) -> dict[str, Any]:
    """Time whole withdrawals, and until nothing matches any more; each right after a few bare syncs of the disk."""
    clock = SystemClock()
    stopped: list[float] = []
    whole: list[float] = []
    over: list[tuple[float, float]] = []
    with place.gate(max(number, 1), lambda _done, _all: None) as gate:
        held = gate.venue.galleries.exact(place.PURPOSE)
        for person, _template in held.owners[:number]:
            sync = machine.fdatasync_ms(gate.venue.folder, 5)
            start = clock.monotonic()
            with _noted(gate.venue, stopped, start):
                withdraw.withdraw(gate.venue, person, place.PURPOSE)
            whole.append((clock.monotonic() - start) * 1000)
            over.append((stopped[-1] / sync, whole[-1] / sync))
    return {"stopped_ms": round(statistics.median(stopped), 2), "withdraw_ms": round(statistics.median(whole), 2),
            "stopped_over_fdatasync": round(statistics.median(first for first, _ in over), 1),
            "withdraw_over_fdatasync": round(statistics.median(second for _, second in over), 1)}


@contextmanager
def _noted(venue: Venue, stopped: list[float], start: float) -> Iterator[None]:
    """Note when the first key is destroyed: right before it, everything that could match has stopped."""
    destroy, clock = venue.keys.destroy_of, SystemClock()

    def noting(whose: Sequence[tuple[PersonId, str, Sequence[KeyId]]]) -> None:
        stopped.append((clock.monotonic() - start) * 1000)
        destroy(whose)

    venue.keys.destroy_of = noting  # type: ignore[method-assign]  # for the time of one withdrawal
    try:
        yield
    finally:
        venue.keys.destroy_of = destroy  # type: ignore[method-assign]  # as it was
