"""A relay over Modbus TCP, against pymodbus's own simulator behind a wire, and against relays that lie."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from countenance.clock import SystemClock
from countenance.errors import StoreFault
from countenance.integrations.doors.modbus import Modbus
from countenance.integrations.doors.settings import ModbusDoor
from support import wires

COIL, HOLD = 3, 5
MARGIN_S = 0.6


@contextlib.contextmanager
def simulator() -> Iterator[int]:
    """Give the port of pymodbus's own simulated device."""
    started, over, ports = Event(), [], []

    async def serve() -> None:
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        registers = [SimData(0, count=20, values=0, datatype=DataType.REGISTERS)]
        device = SimDevice(id=1, simdata=(bits, bits, registers, registers))
        server = ModbusTcpServer(device, address=(wires.LOOP, 0))
        await server.serve_forever(background=True)
        ports.append(server.transport.sockets[0].getsockname()[1])
        over.append((asyncio.get_running_loop(), stop := asyncio.Event()))
        started.set()
        await stop.wait()
        await server.shutdown()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(5)
    try:
        yield ports[0]
    finally:
        loop, stop = over[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()


class Relay:
    """A relay whose protocol is spelled out here (Modbus Application Protocol 1.1b3); it can be made to lie."""

    def __init__(self) -> None:
        self.coils: dict[int, bool] = {}
        self.seen: list[tuple[str, int, bool, float]] = []
        self.stuck = 0          # how many more times "off" is answered and not done
        self.silent_to: set[str] = set()
        self.exception = False
        self.wrong_echo = False

    def act(self, line: socket.socket, over: Event) -> None:
        data = b""
        while not over.is_set():
            part = line.recv(256)
            if not part:
                return
            data += part
            while len(data) >= 12:
                request, data = data[:12], data[12:]
                answer = self.answer(*struct.unpack(">HHHBBHH", request))
                if answer:
                    line.sendall(answer)

    def answer(self, number: int, _protocol: int, _length: int, unit: int, function: int, at: int, value: int) -> bytes:
        what = "read" if function == 1 else "on" if value else "off"
        self.seen.append((what, at, self.coils.get(at, False), time.perf_counter()))
        if what in self.silent_to:
            return b""
        if self.exception:
            return struct.pack(">HHHBBB", number, 0, 3, unit, function | 0x80, 4)
        if what == "read":
            return struct.pack(">HHHBBBB", number, 0, 4, unit, 1, 1, self.coils.get(at, False))
        if what == "off" and self.stuck:
            self.stuck -= 1
        else:
            self.coils[at] = what == "on"
        echo = at + 1 if self.wrong_echo and what == "on" else at
        return struct.pack(">HHHBBHH", number, 0, 6, unit, 5, echo, value)

    def of(self, what: str, at: int = COIL) -> list[float]:
        return [moment for kind, coil, _, moment in self.seen if (kind, coil) == (what, at)]


def door_at(port: int, **other: Any) -> Modbus:
    return Modbus(ModbusDoor(name="east", host=wires.LOOP, port=port, coil=COIL, **{"pulse_ms": 100, "timeout_s": 1,
                                                                                      "heartbeat_s": 5} | other),
                  SystemClock())


@contextlib.contextmanager
def relay(**other: Any) -> Iterator[tuple[Relay, Modbus]]:
    made = Relay()
    with wires.listening(made.act) as port:
        yield made, door_at(port, **other)


def code_of(act: Callable[[], None], within_s: float = 1 + MARGIN_S) -> str:
    began = time.perf_counter()
    with pytest.raises(StoreFault) as caught:
        act()
    assert time.perf_counter() - began < within_s
    return caught.value.code


def until(happened: Callable[[], bool], seconds: float = 8.0) -> None:
    end = time.perf_counter() + seconds
    while not happened():
        assert time.perf_counter() < end
        time.sleep(0.02)


def test_the_library_s_own_device_is_pulsed_and_off_again() -> None:
    from pymodbus.client import ModbusTcpClient

    with simulator() as port, ModbusTcpClient(wires.LOOP, port=port, timeout=1) as looking:
        door = door_at(port, pulse_ms=400)
        thread = Thread(target=door.open, args=("", 1))
        thread.start()
        seen = set()
        while thread.is_alive():
            seen.add(looking.read_coils(COIL, count=1).bits[0])
            time.sleep(0.02)
        thread.join()
        assert True in seen
        assert looking.read_coils(0, count=8).bits == [False] * 8
        missing = Modbus(ModbusDoor(name="east", host=wires.LOOP, port=port, coil=300), SystemClock())
        assert code_of(lambda: missing.open("", 1)) == "door-refused"


def test_the_pulse_is_as_long_as_it_should_be_and_read_back() -> None:
    with relay(pulse_ms=300) as (there, door):
        door.open("", 1)
        assert 0.28 < there.of("off")[0] - there.of("on")[0] < 0.5
        assert [what for what, *_ in there.seen] == ["on", "off", "read"]
        assert there.coils == {COIL: False}


def test_a_relay_that_stays_on_is_told_again() -> None:
    with relay(timeout_s=2) as (there, door):
        there.stuck = 1
        door.open("", 1)
        assert (len(there.of("off")), there.coils) == (2, {COIL: False})


def test_a_relay_that_does_not_go_off_is_told_about_and_goes_on_being_told() -> None:
    with relay() as (there, door):
        there.stuck = 4
        assert code_of(lambda: door.open("", 1)) == "door-stuck"
        assert there.coils == {COIL: True}
        until(lambda: there.coils == {COIL: False})
        assert len(there.of("off")) == 5


def test_a_relay_that_was_left_on_is_switched_off_by_the_heartbeat() -> None:
    """As after a program that died during a pulse."""
    with relay() as (there, door):
        there.coils[COIL] = True
        door.heartbeat()
        assert there.coils == {COIL: False}
        assert there.of("on") == []


def test_a_relay_that_says_nothing_after_it_was_switched_on_is_switched_off() -> None:
    with relay(timeout_s=2) as (there, door):
        there.silent_to = {"on"}
        assert code_of(lambda: door.open("", 1), 2 + MARGIN_S) in {"door-timeout", "door-stuck"}
        until(lambda: there.coils.get(COIL) is False or bool(there.of("off")))


def test_a_relay_that_goes_silent_during_the_pulse_is_stuck() -> None:
    with relay() as (there, door):
        there.silent_to = {"off"}
        assert code_of(lambda: door.open("", 1)) == "door-stuck"
        there.silent_to = set()
        until(lambda: there.coils == {COIL: False})


def test_a_relay_that_says_no_is_refused_and_one_that_echoes_another_coil_is_switched_off() -> None:
    with relay() as (there, door):
        there.exception = True
        assert code_of(lambda: door.open("", 1)) == "door-refused"
        there.exception, there.wrong_echo = False, True
        assert code_of(lambda: door.open("", 1)) == "door-refused"
        assert there.coils == {COIL: False}


@pytest.mark.parametrize(("act", "codes"), [
    (wires.silent, {"door-stuck"}), (wires.resetting, {"door-stuck"}),
    (wires.dripping(b"\0\1\0\0\0\6\1\5"), {"door-stuck"}),
    (wires.saying(b"HTTP/1.1 400 No\r\n\r\n" * 20), {"door-stuck"})])
def test_no_relay_keeps_anybody_at_the_door(act: wires.Act, codes: set[str]) -> None:
    """The signal was sent: whether the relay is on nobody knows, and that is what is said."""
    with wires.listening(act) as port:
        assert code_of(lambda: door_at(port).open("", 1)) in codes


def test_nobody_there() -> None:
    door = door_at(wires.closed_port())
    assert code_of(lambda: door.open("", 1)) == "door-unreachable"
    assert code_of(door.heartbeat) == "door-unreachable"
    with wires.listening(wires.silent) as port:
        assert code_of(door_at(port).heartbeat) == "door-timeout"


def test_of_two_at_once_each_has_its_own_pulse() -> None:
    with relay(timeout_s=2) as (there, door):
        threads = [Thread(target=door.open, args=("", 1)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [what for what, *_ in there.seen] == ["on", "off", "read"] * 3


def test_a_heartbeat_during_a_pulse_does_not_cut_it_short() -> None:
    with relay(pulse_ms=400) as (there, door):
        thread = Thread(target=door.open, args=("", 1))
        thread.start()
        until(lambda: bool(there.of("on")))
        door.heartbeat()
        thread.join()
        assert [what for what, *_ in there.seen] == ["on", "off", "read"]


def test_only_a_fail_safe_door_is_held_and_closing_takes_no_hold_back() -> None:
    with relay() as (there, door):
        door.heartbeat()
        assert there.of("on", HOLD) == there.of("on") == []
    with relay(fail="safe", hold_coil=HOLD) as (there, door):
        door.heartbeat()
        assert there.coils == {HOLD: True}
        assert there.of("on") == []
        door.open("", 1)
        door.close()
        assert there.coils == {HOLD: True, COIL: False}
