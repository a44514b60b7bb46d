"""A door that a program of the venue's own opens: a fixed command, no shell, the token on its standard input."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

from countenance.integrations.doors import faults
from countenance.integrations.doors.settings import CommandDoor
from countenance.integrations.waiting import Waiting

_FOR_KILLING_S = 0.2
"""What is left of the timeout when the command is killed."""


class Command:
    """Runs with an empty environment, in `/`, its output thrown away; exit status 0 is a yes."""

    def __init__(self, door: CommandDoor) -> None:
        self.door, self._waiting = door, Waiting()

    def open(self, token_text: str, people: int) -> None:  # noqa: ARG002  # the token says how many
        """Run the command. Raises StoreFault: door-unreachable (no such program), door-refused, door-timeout.

        At the timeout the command and all of its process group are killed.
        """
        try:
            status = self._waiting.at_most(self.door.timeout_s, lambda: self._run(f"{token_text}\n".encode()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise faults.timeout(self.door.name) from None
        except OSError:
            raise faults.unreachable(self.door.name) from None
        if status:
            raise faults.refused(self.door.name)

    def heartbeat(self) -> None:
        """A command holds nothing: it is fail-secure only."""

    def close(self) -> None:
        """Nothing is kept open."""

    def _run(self, given: bytes) -> int:
        with subprocess.Popen(  # noqa: S603  # a fixed command from a file that only its owner can write
                self.door.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={},
                cwd="/", start_new_session=True) as process:
            try:
                process.communicate(given, timeout=self.door.timeout_s - _FOR_KILLING_S)
            except BaseException:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
            return process.returncode
