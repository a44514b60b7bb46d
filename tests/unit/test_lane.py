"""The lane's door, its kept answers and its folder: whatever they do, answers come at once."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from countenance import settings
from countenance.cli import lane as cli
from countenance.clock import SetClock, parse_day, utc_day
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.flows import enrol, revocations
from countenance.flows.found import SIGNING
from countenance.formats.entitlements import Answer, Cache, Kept, State, write_cache
from countenance.lane import connections, pack
from countenance.lane.folder import CACHE, LaneFolder
from countenance.lane.running import DOOR_S, Door, Lane
from countenance.quantities import HOUR, VenueId
from support import wires
from support.gate_server import certificate
from support.venue import LONG, START, open_venue

pytestmark = pytest.mark.promise(7)
HOURS = 24


@pytest.fixture
def shown(folder: Path) -> str:
    """A pass of `ben`, who said no: good at this lane."""
    with open_venue(folder) as venue:
        revocations.post(venue)
        return str(enrol.say_no(venue, "ben", lambda text: text))


@pytest.fixture
def packed(folder: Path, shown: str, tmp_path: Path) -> Path:  # the list is posted with the pass
    pack.pack(folder, tmp_path / "lane")
    return tmp_path / "lane"


@pytest.fixture
def at_work(packed: Path) -> Iterator[Callable[..., Lane]]:
    """Start lanes that end with the test."""
    with ExitStack() as stack:
        def started(clock: SetClock, **door: object) -> Lane:
            made = Door(**door) if door else None  # type: ignore[arg-type]  # as a test gives it
            lane = Lane(LaneFolder(packed, clock), packed / "plain.counts", clock, made)
            lane.start()
            stack.callback(lane.close)
            return lane

        yield started


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.perf_counter() + seconds
    while not true():
        assert time.perf_counter() < end, "it did not come to be"
        time.sleep(0.01)


class Slow:
    """A door that opens when it is let, and tells for how many it did."""

    def __init__(self) -> None:
        self.let, self.began, self.opened, self.beats = threading.Event(), threading.Event(), list[int](), 0

    def open(self, people: int) -> None:
        self.began.set()
        assert self.let.wait(10)
        self.opened.append(people)

    def beat(self) -> None:
        self.beats += 1


def test_answers_wait_for_no_door_and_late_openings_are_dropped(at_work: Callable[..., Lane], shown: str) -> None:
    door, clock = Slow(), SetClock(START)
    lane = at_work(clock, open=door.open, beat=door.beat)
    assert lane.decide(shown).admitted
    assert door.began.wait(5)  # it is opening for the first, and does not end
    before = time.perf_counter()
    for _ in range(20):
        assert lane.decide(shown).admitted
    assert time.perf_counter() - before < 1.0
    assert lane.health()["faults"]["door"] == "door-busy"
    clock.move(DOOR_S + 0.5)
    door.let.set()
    until(lambda: lane.health()["faults"].get("door") == "door-late")
    until(lambda: lane._openings.empty())
    assert door.opened == [1]  # nobody walks up to a door that opens for somebody who has gone
    lane.decide(shown)
    until(lambda: door.opened == [1, 1])
    until(lambda: "door" not in lane.health()["faults"])


def test_only_who_is_admitted_opens_the_door(at_work: Callable[..., Lane], shown: str) -> None:
    door = Slow()
    door.let.set()
    lane = at_work(SetClock(START), open=door.open, beat=door.beat)
    for bad in ("", "nonsense", shown[:-2]):
        assert not lane.decide(bad).admitted
    lane.decide(shown)
    until(lambda: door.opened)
    assert door.opened == [1]


@pytest.mark.parametrize(("fault", "code"), [
    (StoreFault("door-unreachable", "The door is not there."), "door-unreachable"),
    (RuntimeError("told /secret"), "door-failed"),
    (OSError(113, "No route"), "door-failed"),
])
def test_a_door_that_fails_stops_no_answer(at_work: Callable[..., Lane], shown: str, fault: Exception,
                                           code: str) -> None:
    rung: list[int] = []

    def opening(people: int) -> None:
        rung.append(people)
        raise fault

    lane = at_work(SetClock(START), open=opening, beat=lambda: None)
    for number in range(1, 4):
        assert lane.decide(shown).admitted
        until(lambda wanted=number: len(rung) == wanted)  # type: ignore[misc]  # a default is no argument
        until(lambda: lane.health()["faults"].get("door") == code)
    assert "secret" not in json.dumps(lane.health())


def test_heartbeats_go_on_while_a_door_is_slow_and_tell_when_they_fail(at_work: Callable[..., Lane],
                                                                        shown: str) -> None:
    door, failing = Slow(), threading.Event()

    def beat() -> None:
        door.beat()
        if failing.is_set():
            raise StoreFault("door-stuck", "It may stand open.")

    lane = at_work(SetClock(START), open=door.open, beat=beat, beat_s=0.05)
    lane.decide(shown)
    assert door.began.wait(5)
    seen = door.beats
    until(lambda: door.beats > seen + 2)
    failing.set()
    until(lambda: lane.health()["faults"].get("heartbeat") == "door-stuck")
    failing.clear()
    until(lambda: "heartbeat" not in lane.health()["faults"])
    door.let.set()


def test_at_the_end_it_waits_for_a_door_that_is_opening_and_opens_no_more(packed: Path, shown: str) -> None:
    door = Slow()
    lane = Lane(LaneFolder(packed, SetClock(START)), packed / "plain.counts", SetClock(START),
                Door(door.open, door.beat))
    lane.start()
    lane.decide(shown)
    assert door.began.wait(5)
    lane.decide(shown)  # waits behind it
    threading.Timer(0.5, door.let.set).start()
    lane.close()
    assert door.opened == [1]  # a relay that is on goes off before the process ends
    time.sleep(0.2)
    assert door.opened == [1]


def test_a_door_that_hangs_holds_up_the_end_only_so_long(packed: Path, shown: str) -> None:
    door = Slow()
    lane = Lane(LaneFolder(packed, SetClock(START)), packed / "plain.counts", SetClock(START),
                Door(door.open, door.beat, longest_s=0.3))
    lane.start()
    lane.decide(shown)
    assert door.began.wait(5)
    before = time.perf_counter()
    lane.close()
    assert time.perf_counter() - before < 1.5
    door.let.set()


# -- which doors


def outside(folder: Path, *doors: str) -> None:
    path = folder / "outside.toml"
    path.write_text("\n".join(f"[[door]]\n{door}" for door in doors), "utf-8")
    path.chmod(0o600)


COMMAND = f'name = "north"\nkind = "command"\nargv = [{json.dumps(sys.executable)}, "-c", %s]\ntimeout_s = 5\n'
WEBHOOK = ('name = "web"\nkind = "webhook"\nurl = "https://door.example/"\n'
           'secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"\n')
NOTHING = 'name = "none"\nkind = "none"\n'


def test_a_command_gets_the_number_of_people_in_place_of_a_token(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = f"import sys; open({str(told)!r}, 'w').write(sys.stdin.read())"
    outside(tmp_path, COMMAND % json.dumps(program), WEBHOOK)
    door = cli._door(tmp_path, "north")
    door.open(4)
    assert told.read_text() == "4\n"
    assert (door.beat_s, door.longest_s) == (0, 5)


@pytest.mark.parametrize(("name", "said"), [
    ("web", "kind"), ("none", "kind"), ("nobody", "no door"), ("NORTH", "no door")])
def test_other_doors_are_refused(tmp_path: Path, name: str, said: str) -> None:
    outside(tmp_path, COMMAND % '""', WEBHOOK, NOTHING)
    with pytest.raises(BadInput, match=said) as caught:
        cli._door(tmp_path, name)
    assert caught.value.code == "lane-door"


def test_a_file_of_doors_that_others_can_read_is_refused(tmp_path: Path) -> None:
    outside(tmp_path, COMMAND % '""')
    assert cli._door(tmp_path, "north").beat_s == 0
    (tmp_path / "outside.toml").chmod(0o644)
    assert code_of(lambda: cli._door(tmp_path, "north")) == "outside-open"
    assert code_of(lambda: cli._door(tmp_path / "elsewhere", "north")) == "lane-door"


def test_a_relay_without_anybody_there_is_a_fault_and_no_wait(tmp_path: Path) -> None:
    outside(tmp_path, f'name = "relay"\nkind = "modbus"\nhost = "127.0.0.1"\nport = {wires.closed_port()}\ncoil = 1\n')
    door = cli._door(tmp_path, "relay")
    assert door.beat_s > 0  # a relay that was left on is switched off by it
    before = time.perf_counter()
    assert code_of(lambda: door.open(1)) == "door-unreachable"
    assert code_of(door.beat) == "door-unreachable"
    assert time.perf_counter() - before < 2 * door.longest_s + 1


# -- kept answers of a ticketing system


def use_ticketing(folder: Path) -> None:
    path = folder / settings.FILE
    before, mark, after = path.read_text("utf-8").partition("[entitlement]")
    assert mark
    told = {"url": "https://t.example/", "key": "ab" * 32}
    for name, value in told.items():
        after, number = re.subn(rf'^{name} = ""', f'{name} = "{value}"', after, count=1, flags=re.MULTILINE)
        assert number == 1
    path.write_text(f"{before}{mark}{after}")


def write_kept(folder: Path, *answers: Answer, venue: str = "", given_at: int = START) -> None:
    kept = {one.reference: Kept(one, utc_day(START), given_at) for one in answers}  # type: ignore[arg-type]  # an instant
    (folder / CACHE).write_bytes(write_cache(Cache(VenueId(venue or settings.load(folder).venue), HOURS, kept)))


GOOD = Answer("ben", State.GOOD, "rivers", 3, LONG)


@pytest.fixture
def asking(folder: Path, shown: str) -> Path:  # the pass is made while tickets are a file
    use_ticketing(folder)
    write_kept(folder, GOOD)
    return folder


def read_lane(folder: Path, clock: SetClock) -> Lane:
    lane = Lane(LaneFolder(folder, clock), folder / "plain.counts", clock)
    lane.folder.look()
    return lane


@pytest.mark.parametrize("own", [True, False], ids=["packed", "venue's"])
def test_kept_answers_admit_as_long_as_they_stand_and_no_longer(asking: Path, tmp_path: Path, shown: str,
                                                                *, own: bool) -> None:
    if own:
        pack.pack(asking, tmp_path / "lane")
        assert not (tmp_path / "lane" / "tickets.csv").exists()
    clock = SetClock(START)
    lane = read_lane(tmp_path / "lane" if own else asking, clock)
    assert (lane.decide(shown).people, lane.decide(shown, together=True).people) == (1, 3)
    clock.move(HOURS * HOUR - 1)
    assert lane.decide(shown).admitted
    clock.move(1)
    assert lane.decide(shown).reason == "ticketing-silent"


@pytest.mark.parametrize(("answer", "reason"), [
    (Answer("ben", State.UNKNOWN), "ticket-unknown"), (Answer("ben", State.ENDED), "ticket-expired"),
    (Answer("ben", State.EARLY), "ticket-early"), (Answer("zed", State.GOOD, "", 1, LONG), "ticketing-silent"),
    (Answer("ben", State.GOOD, "", 1, parse_day("2026-06-20")), "ticket-expired"),
])
def test_kept_answers_refer(asking: Path, shown: str, answer: Answer, reason: str) -> None:
    write_kept(asking, answer)
    found = read_lane(asking, SetClock(START)).decide(shown)
    assert (found.admitted, found.people, found.reason) == (False, 0, reason)


@pytest.mark.parametrize("bad", ["altered", "another venue's", "cut", "gone"])
def test_bad_kept_answers_leave_the_last_good_ones(asking: Path, tmp_path: Path, shown: str, bad: str) -> None:
    pack.pack(asking, tmp_path / "lane")
    file, clock = tmp_path / "lane" / CACHE, SetClock(START)
    lane = read_lane(tmp_path / "lane", clock)
    good = file.read_bytes()
    if bad == "another venue's":
        write_kept(asking, GOOD, venue="0123456789abcdef")
        file.write_bytes((asking / CACHE).read_bytes())
    elif bad == "gone":
        file.unlink()
    else:
        file.write_bytes(good[:-3] if bad == "cut" else good.replace(b"rivers", b"\xff\xffvers"))
    for _ in range(3):
        lane.folder.look()
    assert lane.health()["faults"]["tickets"]
    assert lane.decide(shown).admitted
    assert not read_lane(tmp_path / "lane", clock).decide(shown).admitted  # at a start there is nothing to go on by


def test_pack_takes_no_damaged_answers_and_keeps_those_packed(asking: Path, tmp_path: Path) -> None:
    pack.pack(asking, tmp_path / "lane")
    before = (tmp_path / "lane" / CACHE).read_bytes()
    (asking / CACHE).write_bytes(before[:-1])
    assert code_of(lambda: pack.pack(asking, tmp_path / "lane")) == "ticket-cache-malformed"
    assert (tmp_path / "lane" / CACHE).read_bytes() == before


def test_a_packed_lane_holds_no_secret(asking: Path, tmp_path: Path) -> None:
    pack.pack(asking, tmp_path / "lane")
    secrets = [path.read_bytes() for path in asking.rglob("*.key")]
    assert len(secrets) >= 3  # the search has something to look for
    packed = b"".join(path.read_bytes() for path in (tmp_path / "lane").rglob("*") if path.is_file())
    assert (asking / SIGNING / "pass.pub").read_bytes().strip() in packed
    assert not [one for one in secrets if one.strip() in packed]


# -- TLS


def test_a_certificate_that_cannot_serve_is_refused_before_anything(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "localhost")
    other, _ = certificate(tmp_path, "other")
    key = cert.with_suffix(".key")
    assert connections.tls(str(cert), str(key)).cert_store_stats()
    locked = tmp_path / "locked.key"
    locked.write_bytes(encrypted(key.read_bytes()))
    for pair in ((cert, other.with_suffix(".key")), (tmp_path / "none", key), (key, key), (cert, locked),
                 (cert, tmp_path)):
        assert code_of(lambda pair=pair: connections.tls(str(pair[0]), str(pair[1]))) == "listen-tls"  # type: ignore[misc]  # a default is no argument


def encrypted(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return form.load_pem_private_key(pem, None).private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"something"))
