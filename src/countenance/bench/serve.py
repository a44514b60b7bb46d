"""bench serve: the server over HTTP, asked from a second process on this machine.

Faces: eight clients, each with one connection, send a 640x480 JPEG and wait for their decision, durable on disk, among
`people` made-up ones. Passes alone, at the server and at the lane's own process: four clients, each as often as one
gate may be asked; once by themselves, and once while the eight send faces. Every answer but `admit` is an error.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.bench import machine, serve_load, serve_place
from countenance.bench.serve_load import Load
from countenance.bench.serve_place import CLIENTS, GATES_EACH, Served
from countenance.bench.serve_process import Lane, Server
from countenance.errors import ModelFault
from countenance.flows.gates import Mode

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Progress = Callable[[int, int], None]
PASS_CLIENTS, PASSES_A_SECOND = 4, 10
EARLY, WARM = 2_000, 80
"""Decisions after which memory is first looked at (or a tenth of all), and decisions before anything is timed."""

_WITHOUT_END = 0


def run(decisions: int, people: int, templates: int, progress: Progress) -> dict[str, Any]:
    """Return the figures that `--json` prints.

    `decisions`: about faces; `templates`: in a second venue, whose restart is timed (0: none). `progress(done, all)`
    counts people, then decisions. Raises ModelFault(bench-server, bench-load), and as the stories that it tells.
    """
    with serve_place.served(people, progress) as served:
        with Server(served.folder) as server, Lane(served.folder) as lane:
            result = _asked(served, server, lane, decisions, progress)
            status, seconds = server.end()
        again = _started(served.folder)
    result |= {"people": people + 1, "exit_status": status, "exit_s": round(seconds, 2), "restart": again}
    if templates:
        result["restart_filled"] = _filled(templates, progress)
    return result | {"machine": machine.described(CLIENTS)}


def _asked(served: Served, server: Server, lane: Lane, decisions: int, progress: Progress) -> dict[str, Any]:
    faces = _Loads(served, server.port, lane.port)
    _count(faces.faces(WARM))
    memory = _Memory(server, min(EARLY, decisions // 10), progress, decisions)
    before = server.cpu_s()
    found = _count(faces.faces(decisions), memory.look)
    late, cpu = server.rss_mb(), server.cpu_s() - before
    passes = max(PASS_CLIENTS, decisions // 20)
    result = {
        "decisions": decisions, "clients": CLIENTS, "gates": CLIENTS * GATES_EACH,
        "decisions_per_s": round(len(found.took_ms) / found.seconds, 1), "p50_ms": found.ms(50), "p99_ms": found.ms(99),
        "errors": found.errors, "server_cpu_ms": round(cpu * 1000 / decisions, 1),
        "rss_early_mb": memory.early_mb, "rss_mb": late, "rss_growth_mb": round(late - memory.early_mb, 1)}
    alone = {"plain": _count(faces.passes(passes)), "lane": _count(faces.lane(passes))}
    with _beside(faces.faces(_WITHOUT_END)):
        beside = {f"{name}_beside_faces": _count(load) for name, load in
                  (("plain", faces.passes(passes)), ("lane", faces.lane(passes)))}
    for name, one in (alone | beside).items():
        result |= {f"{name}_p50_ms": one.ms(50), f"{name}_p99_ms": one.ms(99), f"{name}_errors": one.errors}
    return result


@dataclass(frozen=True)
class _Loads:
    served: Served
    port: int
    lane_port: int

    def faces(self, number: int) -> Load:
        """A picture and a press, eight clients."""
        return Load(self.port, self._gates(Mode.FACE, CLIENTS), number,
                    {"content-type": "image/jpeg", "countenance-press": "1"}, self.served.jpeg)

    def passes(self, number: int) -> Load:
        """A pass alone, at the server."""
        return Load(self.port, self._gates(Mode.PASS, PASS_CLIENTS), number,
                    {"countenance-pass": self.served.pass_text}, every_s=1 / PASSES_A_SECOND)

    def lane(self, number: int) -> Load:
        """A pass alone, at the lane's own process."""
        return Load(self.lane_port, [[("/decide", "")]] * PASS_CLIENTS, number, {}, self.served.pass_text.encode(),
                    every_s=1 / PASSES_A_SECOND)

    def _gates(self, mode: Mode, clients: int) -> list[list[tuple[str, str]]]:
        gates = self.served.gates[mode]
        return [gates[at * GATES_EACH:(at + 1) * GATES_EACH] for at in range(clients)]


@dataclass(frozen=True)
class _Found:
    seconds: float
    took_ms: list[float]
    errors: int

    def ms(self, percent: int) -> float:
        """Return the time that so many of 100 answers were below."""
        return round(self.took_ms[min(len(self.took_ms) - 1, len(self.took_ms) * percent // 100)], 1)


class _Memory:
    """Looks at the server's memory once so many decisions are made, and tells of progress."""

    def __init__(self, server: Server, at: int, progress: Progress, decisions: int) -> None:
        self._server, self._at, self._progress, self._all = server, at, progress, decisions
        self.early_mb = server.rss_mb()

    def look(self, done: int) -> None:
        """Hear how many are done."""
        if done <= self._at:
            self.early_mb = self._server.rss_mb()
        self._progress(min(done, self._all), self._all)


def _count(load: Load, look: Callable[[int], None] = lambda _done: None) -> _Found:
    """Ask in another process, and return what came of it. Raises ModelFault(bench-load) where nothing was answered."""
    with _asking(load) as pipe:
        while True:
            told = _heard(pipe)
            if isinstance(told, dict):
                return _found(told)
            look(told)


@contextmanager
def _beside(load: Load) -> Iterator[None]:
    """Let a load without an end run beside the block."""
    with _asking(load) as pipe:
        while not isinstance(_heard(pipe), int):
            pass  # it runs once it tells of its first answers
        yield
        pipe.send_bytes(b"stop")
        while not isinstance(told := _heard(pipe), dict):
            pass
        _found(told)


@contextmanager
def _asking(load: Load) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve_load.main, args=(load, there))
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join(serve_load.TIMEOUT_S)
        process.kill()
        process.join()


def _heard(pipe: Connection) -> Any:
    try:
        return json.loads(pipe.recv_bytes())
    except EOFError:
        raise ModelFault("bench-load", "The process that asks ended without an answer.") from None


def _found(told: dict[str, Any]) -> _Found:
    if not told["took_ms"]:
        raise ModelFault("bench-load", f"Nothing was admitted: {', '.join(sorted(told['errors'])) or 'no answer'}.")
    return _Found(told["seconds"], sorted(told["took_ms"]), sum(told["errors"].values()))


def _started(folder: Path) -> dict[str, float]:
    """Time a start: until it listens (passes are good from then on), and until /v1/ready says that faces are."""
    with Server(folder) as server:
        return {"listens_s": round(server.listens_s, 2), "ready_s": round(server.ready_s, 2)}


def _filled(templates: int, progress: Progress) -> dict[str, Any]:
    with serve_place.filled(templates, progress) as folder:
        _started(folder)  # the first reads files from the disk that the next ones have in memory
        searched = _started(folder)
        serve_place.without_search(folder)
        return {"templates": templates, Mode.FACE.value: searched, Mode.PASS_AND_FACE.value: _started(folder)}
