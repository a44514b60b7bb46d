"""countenance gate run: a gate without a browser, for a turnstile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from countenance.cli.common import JsonOption
from countenance.errors import BadInput, Refused
from countenance.process import memory_report, no_core_dumps

if TYPE_CHECKING:
    from countenance.clock import Clock
    from countenance.gate.camera import Camera
    from countenance.gate.run import Gate
    from countenance.gate.settings import GateSettings
    from countenance.gate.triggers import Inbox, Source
    from countenance.gate.words import Voice

app = typer.Typer(help="Gates: where people come in.", no_args_is_help=True)

ENDS_WITHIN_S = 0.8
"""Seconds that whoever stands in front may still be answered in, once the gate is told to stop."""

_BROKER = {"mqtt-away": "The broker does not answer; trying again.", "mqtt-back": "The broker is there again."}


@app.callback()
def _group() -> None:
    """Keep `run` a command of its own while it is the only one."""


@app.command("run")
def run(
    config: Annotated[Path, typer.Option("--config", help="The gate's settings: gate.toml.", dir_okay=False)],
    as_json: JsonOption = False,
) -> None:
    """Be one gate: wait for a pass or a button, take one picture, ask the server, say its answer. Stops on SIGTERM."""
    from countenance.clock import SystemClock
    from countenance.gate import settings
    from countenance.gate.triggers import Inbox
    from countenance.gate.words import Voice

    no_core_dumps()
    here, clock = settings.load(config), SystemClock()
    voice = Voice(sys.stdout, sys.stderr, as_json=as_json)
    with _alone(config):
        inbox = Inbox(clock, lambda event, code: voice.event(event, code=code))
        camera, gate = _gate(here, inbox, voice, clock)
        sources = _sources(here, inbox, voice)
        for source in sources:
            source.start()
        _hello(here, voice)
        worker = Thread(target=gate.run, name="gate", daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                worker.join(60)
        except KeyboardInterrupt:  # SIGTERM, too: cli.main sees to that
            _end(worker, inbox, sources, camera, voice)


def _gate(here: GateSettings, inbox: Inbox, voice: Voice, clock: Clock) -> tuple[Camera | None, Gate]:
    from countenance.gate.client import Lane, Server
    from countenance.gate.run import Gate

    camera = None
    if here.camera is not None and here.zone is not None:
        from countenance.gate.camera import Camera

        camera = Camera(here.camera, here.zone, clock)
    server = Server(here.server, here.gate_id, here.key)
    lane = Lane(here.lane) if here.lane else None
    return camera, Gate(inbox, camera, server, lane, voice, clock, has_door=here.door == "server")


def _sources(here: GateSettings, inbox: Inbox, voice: Voice) -> list[Source]:
    from countenance.gate import triggers

    sources: list[Source] = []
    if here.scanner:
        sources.append(triggers.Scanner(sys.stdin.fileno(), inbox, lambda: voice.staff(
            "scanner-away", "The scanner's input has ended; nothing more is read from it.")))
    if here.http_port:
        sources.append(triggers.HttpButton(here.http_port, inbox))
    if here.mqtt is not None:
        sources.append(triggers.MqttButton(here.mqtt, inbox, lambda state: voice.staff(state, _BROKER[state])))
    return sources


def _hello(here: GateSettings, voice: Voice) -> None:
    """Say what keeps this process's memory out of files, and what this gate is."""
    report = memory_report()
    voice.event("started", gate=here.gate_id, memory=report)
    voice.staff("started", f"The gate {here.gate_id} waits for a pass or a press. {'; '.join(report)}.")
    if here.camera is not None and here.camera.kind == "file":
        voice.staff("camera-recorded", "This gate looks at a recording: whoever stands in front is not seen.")


@contextmanager
def _alone(config: Path) -> Iterator[None]:
    """One process per gate: hold the settings file, on which nothing is written. Raises Refused(gate-running)."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    try:
        handle = os.open(config, os.O_RDONLY)
    except OSError:
        raise BadInput("gate-file-unreadable", "The gate's settings (gate.toml) cannot be read.") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("gate-running", "Another process runs this gate already.") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def _end(worker: Thread, inbox: Inbox, sources: list[Source], camera: Camera | None, voice: Voice) -> None:
    """Stop taking triggers; let the one at work be answered, within limits; go."""
    inbox.close()
    for source in sources:
        source.close()
    worker.join(ENDS_WITHIN_S)
    if worker.is_alive() or (camera is not None and camera.stuck):
        _go()
    voice.event("stopped")


def _go() -> NoReturn:
    """End at once: a camera that hangs in its driver, or a reader that hangs, keeps Python from ending."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(0)
