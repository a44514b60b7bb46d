"""The server and the lane without faces, as benchmarks start them: the program's own commands, as processes."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

from countenance.clock import SystemClock
from countenance.errors import ModelFault

READY_WITHIN_S = 300.0
_LOOK_S = 0.005
_ENDED_WITHIN_S = 30.0
COMMAND = (sys.executable, "-c", "from countenance.cli.main import run; run()")


class Process:
    """One process, and what it says: on stderr, else on stdout. `with Process(...) as one:` kills it in the end."""

    def __init__(self, *arguments: str, on_stderr: bool) -> None:
        self.clock = SystemClock()
        self.began = self.clock.monotonic()
        said, silent = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(  # noqa: S603  # this program
            [*COMMAND, *arguments], stdin=silent, text=True,
            stdout=silent if on_stderr else said, stderr=said if on_stderr else silent)
        said_on = self._process.stderr if on_stderr else self._process.stdout
        assert said_on is not None  # noqa: S101  # a pipe
        self._said = said_on

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def told(self, what: str) -> str:
        """Return what the process says behind these words. Raises ModelFault(bench-server) where it never does."""
        for line in self._said:
            _, found, rest = line.partition(what)
            if found:
                return rest.strip()
        raise ModelFault("bench-server", "A process of this benchmark ended before it listened.")

    def end(self) -> tuple[int, float]:
        """Tell it to end; return its exit status, and how many seconds it took."""
        began = self.clock.monotonic()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(_ENDED_WITHIN_S)
        return status, self.clock.monotonic() - began

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._said.close()


class Server(Process):
    """`countenance serve` of one folder, ready. What it logs, a line a request, is read by nobody."""

    def __init__(self, folder: Path) -> None:
        super().__init__("serve", "--port", "0", "--venue", str(folder), on_stderr=True)
        try:
            self.port = int(self.told("Serving at ").rpartition(":")[2])
            self.listens_s = self.clock.monotonic() - self.began
            self.ready_s = self._until_ready()
        except BaseException:
            self.kill()
            raise

    def rss_mb(self) -> float:
        """Return the memory that the process holds now, in MB (10**6 bytes)."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
        return 0.0

    def cpu_s(self) -> float:
        """Return the seconds of processors that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _until_ready(self) -> float:
        wait = threading.Event()
        while (passed := self.clock.monotonic() - self.began) < READY_WITHIN_S:
            if _status(self.port, "/v1/ready") == http.client.OK:
                return passed
            wait.wait(_LOOK_S)
        raise ModelFault("bench-server", "The server was not ready in time.")


class Lane(Process):
    """`countenance lane run` of one folder: passes alone, without the server."""

    def __init__(self, folder: Path) -> None:
        super().__init__("lane", "run", "--port", "0", "--venue", str(folder), on_stderr=False)
        try:
            self.port = int(self.told("The lane without faces is at ").rstrip(".").rpartition(":")[2])
        except BaseException:
            self.kill()
            raise


def _status(port: int, path: str) -> int:
    """Return the status of an answer, 0 where none came."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        asked.request("GET", path)
        return asked.getresponse().status
    except OSError:
        return 0
    finally:
        asked.close()
