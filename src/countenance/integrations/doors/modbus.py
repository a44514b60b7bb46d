"""A relay over Modbus TCP: on, held for a moment, off, and read back, because a relay that stays on is an open door.

Modbus knows no sign-in and no secret: whoever reaches the relay opens the door. It belongs on a wire of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock
from typing import Any

from pymodbus.client import ModbusTcpClient

from countenance.clock import Clock
from countenance.errors import StoreFault
from countenance.integrations.doors import faults
from countenance.integrations.doors.settings import ModbusDoor
from countenance.integrations.waiting import TooManyHang, Waiting

_TRIES, _BETWEEN_S = 8, 0.5
"""How often a relay is told to go off before the heartbeat goes on with it."""

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it logs every fault, with its bytes


class _No(StoreFault):
    """The relay itself says that it did not do it."""


class Modbus:
    """`heartbeat` also switches off a relay that was left on, be it by a program that died during a pulse."""

    def __init__(self, door: ModbusDoor, clock: Clock) -> None:
        self.door, self._clock = door, clock
        self._waiting, self._turn = Waiting(), Lock()
        # what is left beside the pulse, for: connecting and on, off, reading back
        self._answer_s = (door.timeout_s - door.pulse_ms / 1_000) / 4

    def open(self, token_text: str, people: int) -> None:  # noqa: ARG002  # a relay reads nothing
        """Pulse the relay, and return when it is off again.

        Raises StoreFault: door-unreachable, door-refused, door-timeout: it was never on, as far as it says;
        door-stuck: it may be on. Then it goes on being told to go off, also after this has returned.
        """
        touched = Event()
        until = self._clock.monotonic() + self.door.timeout_s
        if not self._turn.acquire(timeout=self.door.timeout_s):
            raise faults.timeout(self.door.name)

        def pulse() -> None:
            try:
                self._pulse(touched, until)
            finally:
                self._turn.release()

        self._bounded(pulse, until, touched)

    def heartbeat(self) -> None:
        """Switch the relay off where it was left on, and hold a fail-safe door's second relay. Raises as `open`."""
        until = self._clock.monotonic() + self.door.timeout_s
        if not self._turn.acquire(blocking=False):
            return  # a pulse is under way; the next heartbeat comes soon

        touched = Event()

        def beat() -> None:
            try:
                self._beat(touched)
            finally:
                self._turn.release()

        self._bounded(beat, until, touched)

    def close(self) -> None:
        """Nothing is kept open. A hold is not taken back: its absence is what counts."""

    def _bounded(self, act: Callable[[], None], until: float, touched: Event) -> None:
        try:
            self._waiting.at_most(until - self._clock.monotonic(), act)
        except TimeoutError:
            raise (faults.stuck if touched.is_set() else faults.timeout)(self.door.name) from None
        except TooManyHang:  # nothing was begun
            self._turn.release()
            raise faults.unreachable(self.door.name) from None

    def _pulse(self, touched: Event, until: float) -> None:
        client, fault = self._client(), None  # type: Any, StoreFault | None
        try:
            self._begin(client, touched, until)
            Event().wait(self.door.pulse_ms / 1_000)
        except StoreFault as told:
            fault = told
        except Exception:  # noqa: BLE001  # whatever the relay said: it may be on now
            fault = faults.timeout(self.door.name)
        try:
            if touched.is_set():
                self._off(client)
        finally:
            client.close()
        if fault is not None:
            raise fault

    def _begin(self, client: Any, touched: Event, until: float) -> None:
        if not client.connect():
            raise faults.unreachable(self.door.name)
        if self._clock.monotonic() > until - self.door.pulse_ms / 1_000:  # whoever asked is about to be told no
            raise faults.timeout(self.door.name)
        touched.set()
        try:
            self._write(client, self.door.coil, on=True)
        except _No:
            touched.clear()
            raise

    def _beat(self, touched: Event) -> None:
        client, door = self._client(), self.door
        try:
            if not client.connect():
                raise faults.unreachable(door.name)
            if door.fail == "safe":
                self._write(client, door.hold_coil, on=True)
            if self._is_on(client):
                touched.set()
                self._off(client)
        except StoreFault:
            raise
        except Exception:  # noqa: BLE001  # no answer, or nonsense
            raise faults.timeout(door.name) from None
        finally:
            client.close()

    def _off(self, client: Any) -> None:
        """Switch the relay off until it says that it is. Raises StoreFault(door-stuck)."""
        for _ in range(_TRIES):
            try:
                self._write(client, self.door.coil, on=False)
                if not self._is_on(client):
                    return
            except Exception:  # noqa: BLE001  # whatever it was, the relay may be on
                client.close()  # the next try connects again
            Event().wait(_BETWEEN_S)
        raise faults.stuck(self.door.name)

    def _write(self, client: Any, coil: int, *, on: bool) -> None:
        answer = client.write_coil(coil, on, device_id=self.door.unit)
        if answer.isError():
            raise _No("door-refused", faults.refused(self.door.name).sentence)
        if answer.address != coil or answer.bits[:1] != [on]:
            raise faults.refused(self.door.name)

    def _is_on(self, client: Any) -> bool:
        answer = client.read_coils(self.door.coil, count=1, device_id=self.door.unit)
        if answer.isError():
            raise faults.refused(self.door.name)
        return bool(answer.bits[0])

    def _client(self) -> Any:  # half of the library has no types
        return ModbusTcpClient(self.door.host, port=self.door.port, timeout=self._answer_s, retries=0)
