"""Other sides of a wire that behave badly, each on a real socket of this machine; and a real MQTT broker."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

LOOP = "127.0.0.1"
Act = Callable[[socket.socket, Event], None]


@contextlib.contextmanager
def listening(act: Act) -> Iterator[int]:
    """Give the port of a server that does `act` with each connection, in a thread of its own."""
    over, threads = Event(), []
    server = socket.create_server((LOOP, 0))

    def each(line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            act(line, over)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = server.accept()
                thread = Thread(target=each, args=(line,), daemon=True)
                threads.append(thread)
                thread.start()

    first = Thread(target=accept, daemon=True)
    first.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        for thread in [first, *threads]:
            thread.join(5)


def silent(_line: socket.socket, over: Event) -> None:
    """Take the connection and never say anything."""
    over.wait(30)


def resetting(line: socket.socket, _over: Event) -> None:
    """Take what comes and reset the connection."""
    line.recv(1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def dripping(data: bytes, every_s: float = 0.1) -> Act:
    """Say a byte now and then, over and over, and never come to an end."""
    def act(line: socket.socket, over: Event) -> None:
        while True:
            for at in range(len(data)):
                line.sendall(data[at : at + 1])
                if over.wait(every_s):
                    return
    return act


def saying(data: bytes) -> Act:
    """Say this at once, whatever is asked, and wait."""
    def act(line: socket.socket, over: Event) -> None:
        line.recv(65_536)
        line.sendall(data)
        over.wait(30)
    return act


def closed_port() -> int:
    """Return a port that nobody listens to."""
    with socket.create_server((LOOP, 0)) as server:
        return int(server.getsockname()[1])


def have_mosquitto() -> str:
    """Return the path of Mosquitto, or nothing."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") or ""


@contextlib.contextmanager
def mosquitto(folder: Path, lines: str = "allow_anonymous true\n", port: int = 0) -> Iterator[int]:
    """Run a Mosquitto on this machine only, with these lines of configuration; give its port."""
    port = port or closed_port()
    config = folder / "mosquitto.conf"
    config.write_text(f"user root\npersistence false\nlog_dest none\nlistener {port} {LOOP}\n{lines}", "utf-8")
    with subprocess.Popen([have_mosquitto(), "-c", str(config)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as broker:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection((LOOP, port), 1):
                    break
                time.sleep(0.02)
            yield port
        finally:
            broker.terminate()
            broker.wait(10)
