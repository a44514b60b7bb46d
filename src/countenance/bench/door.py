"""bench door: from the moment a pass is read at a gate until the door hears that it may open.

A whole gate, as it stands at a turnstile: `countenance serve`, `countenance gate run` with a recording in place of a
camera and a scanner on standard input, and a door's controller on this machine (a signed webhook). People come one
after another, each EVERY_S seconds after the one before or as soon as that one is through. Two lanes: a pass and a
face at one, a plain pass at the other; at each the same pass comes again and again. Not in it: the scanner's reading of
the code, and a real camera's opening and exposure; a recording is there at once.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import secrets
import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2

from countenance.bench import machine, serve_place
from countenance.bench.place import PORTRAIT
from countenance.bench.serve_place import AtDoor
from countenance.bench.serve_process import COMMAND, Server
from countenance.clock import SystemClock
from countenance.errors import ModelFault
from countenance.evaluation import portraits

Progress = Callable[[int, int], None]
EVERY_S = 3.0
"""20 people a minute."""

_ANSWER_WITHIN_S = 15.0
_FRAMES, _FRAMES_A_SECOND = 100, 25


def run(people: int, progress: Progress) -> dict[str, Any]:
    """Return the figures that `--json` prints: for each lane `median_s`, `p95_s`, `people_a_minute`, `errors`.

    `people`: at each lane. Raises ModelFault(bench-server, bench-door), and as the stories that it tells.
    """
    with _controller() as door, serve_place.with_a_door(door.toml()) as place:
        _recording(place.folder.parent / "gate.avi")
        with Server(place.folder) as server:
            lanes = {}
            for number, (name, at) in enumerate(place.lanes.items()):
                with _gate(place.folder.parent, server.port, at) as gate:
                    lanes[name] = _lane(gate, door, at, people, partial(_tell, progress, number * people, 2 * people))
    return {"people": people, "every_s": EVERY_S, **lanes, "machine": machine.described(1)}


def _tell(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


class _Door:
    """The controller: when it was told to open, on this process's clock."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opened: queue.SimpleQueue[float] = queue.SimpleQueue()

    def forget(self) -> int:
        """Forget signals that nobody waits for; return how many there were."""
        late = 0
        while not self.opened.empty():
            self.opened.get()
            late += 1
        return late

    def toml(self) -> str:
        """Return the section of outside.toml that names it."""
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        return (f'[[door]]\nname = "bench"\nkind = "webhook"\nurl = "http://127.0.0.1:{self.port}/open"\n'
                f'secret = "whsec_{secret}"\n')


@contextmanager
def _controller() -> Iterator[_Door]:
    clock = SystemClock()

    class Told(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # as http.server has it
            self.rfile.read(int(self.headers.get("content-length", "0")))
            door.opened.put(clock.monotonic())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        door = _Door(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield door
        finally:
            server.shutdown()
            thread.join()


def _recording(path: Path) -> None:
    """Film the portrait, as it is enrolled, for the gate's camera."""
    size = (portraits.WIDTH, portraits.HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), _FRAMES_A_SECOND, size)
    if not writer.isOpened():
        raise ModelFault("bench-door", "This OpenCV writes no recordings.")
    picture = portraits.at_gate(PORTRAIT)
    for _ in range(_FRAMES):
        writer.write(picture)
    writer.release()


@dataclass(frozen=True)
class _Gate:
    process: subprocess.Popen[str]
    answers: queue.SimpleQueue[dict[str, Any] | None]

    def scan(self, text: str) -> None:
        """Type a pass as a scanner does."""
        assert self.process.stdin is not None  # noqa: S101  # a pipe
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def said(self, event: str) -> dict[str, Any]:
        """Wait until it tells of an event. Raises ModelFault(bench-door)."""
        while True:
            try:
                told = self.answers.get(timeout=_ANSWER_WITHIN_S)
            except queue.Empty:
                told = None
            if told is None:
                raise ModelFault("bench-door", "The gate of this benchmark ended, or said nothing.")
            if told["event"] == event:
                return told


@contextmanager
def _gate(folder: Path, port: int, at: AtDoor) -> Iterator[_Gate]:
    (folder / "gate.key").write_text(at.key, encoding="utf-8")
    (folder / "gate.key").chmod(0o600)
    camera = "" if at.mode == "pass" else (
        '[camera]\nsource = "file:gate.avi"\n[zone]\nleft = 0.0\ntop = 0.0\nright = 1.0\nbottom = 1.0\n')
    (folder / "gate.toml").write_text(
        f'format = 1\n[gate]\nid = "{at.gate}"\ndoor = "server"\n[server]\nurl = "http://127.0.0.1:{port}"\n'
        f'key = "file:gate.key"\n{camera}[triggers]\nscanner = true\n', encoding="utf-8")
    with subprocess.Popen(  # noqa: S603  # this program
            [*COMMAND, "gate", "run", "--config", str(folder / "gate.toml"), "--json"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}) as process:
        gate = _Gate(process, queue.SimpleQueue())
        reader = threading.Thread(target=_read, args=(gate,))
        reader.start()
        try:
            gate.said("started")
            yield gate
        finally:
            process.kill()
            reader.join()


def _read(gate: _Gate) -> None:
    assert gate.process.stdout is not None  # noqa: S101  # a pipe
    for line in gate.process.stdout:
        gate.answers.put(json.loads(line))
    gate.answers.put(None)


def _lane(gate: _Gate, door: _Door, at: AtDoor, people: int, progress: Callable[[int], None]) -> dict[str, Any]:
    """Send people through one lane. The first is not counted: it loads what the others find loaded."""
    clock, pause = SystemClock(), threading.Event()
    took: list[float] = []
    errors, began = 0, clock.monotonic()
    for number in range(people + 1):
        errors += door.forget()  # a signal that came late, or twice
        start = clock.monotonic()
        if number == 1:
            began = start
        gate.scan(at.pass_text)
        admitted = gate.said("answer")["decision"] == "admit"
        opened = _heard(door)
        if number:
            errors += not (admitted and opened)
            took += [opened - start] if opened else []
            progress(number)
        pause.wait(max(0.0, start + EVERY_S - clock.monotonic()))
    if not took:
        raise ModelFault("bench-door", "The door of this benchmark was never told to open.")
    took.sort()
    return {"median_s": round(statistics.median(took), 3), "p95_s": round(took[(len(took) * 95 + 99) // 100 - 1], 3),
            "people_a_minute": round(60 * len(took) / (clock.monotonic() - began), 1), "errors": errors}


def _heard(door: _Door) -> float:
    """Return when the door was told to open, 0 where it was not."""
    try:
        return door.opened.get(timeout=1)
    except queue.Empty:
        return 0.0
