"""Recipients that hang, drip, reset, redirect or answer without end; addresses inside; crashes; a broker away."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import standardwebhooks
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from countenance.clock import SystemClock
from countenance.errors import CountenanceError, Refused, StoreFault
from countenance.flows import events_out
from countenance.flows.venue import Venue
from countenance.integrations import addresses, dispatcher, outside, webhooks
from countenance.integrations.feed import MOST_KEPT, Feed
from countenance.integrations.outside_events import MqttSender, TellingMqtt
from countenance.integrations.webhooks import Undelivered, Webhook, WebhookSender
from support.recipients import recipient, rows, serving, status, tells
from support.venue import open_venue

SECRET = bytes(range(32))
MESSAGE = events_out.written("test", SystemClock().now(), {"note": "hello"})
LOCAL = ("hook.test",)


def sender(port: int, host: str = "hook.test", answers: str = "127.0.0.1", **more: object) -> WebhookSender:
    hosts = more.pop("private", LOCAL)
    return WebhookSender(Webhook(f"http://{host}:{port}/in?x=1", SECRET), hosts,  # type: ignore[arg-type]  # a tuple
                         lookup=lambda _host, _port: [answers], **more)  # type: ignore[arg-type]  # as they are given


def undelivered(act: Callable[[], object]) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        act()
    return caught.value


def wait(until: Callable[[], object], seconds: float = 10.0) -> None:
    for _ in range(int(seconds * 50)):
        if until():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen")


def test_a_standard_library_verifies_what_is_sent_and_nothing_altered() -> None:
    with serving(status(204)) as there:
        way = sender(there.port)
        way.send(MESSAGE)
        way.close()
    [(headers, body)] = there.seen
    oracle = standardwebhooks.Webhook(SECRET)
    assert oracle.verify(body, headers)["type"] == "test"
    assert headers["webhook-id"] == MESSAGE.event_id
    assert headers["host"] == f"hook.test:{there.port}"
    for changed in ({"webhook-id": "msg_x"}, {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            oracle.verify(body, headers | changed)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        oracle.verify(body + b" ", headers)


def hang(_line: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def drip(line: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.05):
        line.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")


def reset(line: socket.socket, _over: threading.Event) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def long_header(line: socket.socket, over: threading.Event) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while not over.is_set():
        line.sendall(b"a" * 65_536)


def no_http(line: socket.socket, _over: threading.Event) -> None:
    line.sendall(b"220 mail\r\n")


@pytest.mark.parametrize(("answer", "code"), [
    (hang, "timeout"), (drip, "timeout"), (reset, "unreachable"), (long_header, "unreachable"),
    (no_http, "unreachable"), (status(500), "status-500"), (status(410), "status-410"), (status(199), "timeout")])
def test_every_way_of_not_taking_it_ends_in_time(
        answer: Callable[[socket.socket, threading.Event], None], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 1.0)
    clock = SystemClock()
    with serving(answer) as there:
        way, begun = sender(there.port), clock.monotonic()
        why = undelivered(lambda: way.send(MESSAGE))
        assert clock.monotonic() - begun < 3.0
        way.close()
    assert there.seen
    assert why.code in {code, "unreachable" if code == "timeout" and answer is not hang else code}
    assert why.for_good == (code == "status-410")


def test_an_answer_without_end_is_not_read() -> None:
    def endless(line: socket.socket, over: threading.Event) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.is_set():
            line.sendall(b"a" * 65_536)

    with serving(endless) as there:
        way = sender(there.port)
        way.send(MESSAGE)
        way.close()


def test_a_redirect_leads_nowhere() -> None:
    with serving(status(200)) as inside, serving(status(307, f"location: http://127.0.0.1:{inside.port}/")) as there:
        way = sender(there.port)
        assert undelivered(lambda: way.send(MESSAGE)).code == "status-307"
        way.close()
        assert (there.connected, inside.connected) == (1, 0)


PRIVATE = ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104  # refused
           "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1%eth0",
           "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "2002:7f00:1::",
           "2001::1", "2001:db8::1", "::127.0.0.1", "fec0::1", "not-an-address"]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_sent_to(address: str) -> None:
    place = addresses.place_of("https://hook.example/")
    for found in ([address], ["93.184.215.14", address], [address, "93.184.215.14"]):
        with pytest.raises(Refused, match="address"):
            addresses.checked(place, lambda _h, _p, found=found: found)  # type: ignore[misc]  # bound at once


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are(address: str) -> None:
    assert addresses.checked(addresses.place_of("https://hook.example/"), lambda _h, _p: [address]) == address


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "224.0.0.1", "fe80::1", "::"])
def test_some_are_never_even_where_a_host_is_allowed(address: str) -> None:
    with pytest.raises(Refused):
        addresses.checked(addresses.place_of("http://hook.test/", LOCAL), lambda _h, _p: [address])
    assert addresses.checked(addresses.place_of("http://hook.test/", LOCAL), lambda _h, _p: ["10.0.0.7"]) == "10.0.0.7"


def test_a_name_that_answers_differently_the_next_time_leads_nowhere_else() -> None:
    asked: list[str] = []

    def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with serving(status(200)) as there:
        way = WebhookSender(Webhook(f"http://hook.test:{there.port}/", SECRET), LOCAL, lookup=lookup)
        way.send(MESSAGE)
        assert (asked, there.connected) == (["hook.test"], 1)
        assert undelivered(lambda: way.send(MESSAGE)).code == "address-private"
        assert there.connected == 1
        way.close()


@pytest.mark.parametrize("url", [
    "http://hook.example/", "ftp://hook.example/", "https://u:p@hook.example/", "https://@hook.example/", "https:///x",
    "https://hook.example:0/", "https://hook.example:99999/", "https://127.1/", "https://2130706433/",
    "https://0x7f.1/",
    "https://hook.example/#x", "https://hook.example/ x", "https://hook.example\\@evil.example/", "https://a..b/",
    "https://hook.example/\r\nx: y", "https://b\u00fccher.example/", "//hook.example/", "", "http://hook.test.evil/"])
def test_odd_addresses_are_refused_as_they_are_written(url: str) -> None:
    with pytest.raises(StoreFault):
        addresses.place_of(url, LOCAL)


TOML = """
[[recipient]]
name = "parking"
title = "Parking Ltd"
url = "https://events.example/in"
secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
events = ["gate.decided", "gate.hour"]
purpose = "events.parking"

[mqtt]
host = "broker.example"
events = ["gate.hour"]
"""


def test_outside_toml_is_read_strictly() -> None:
    found = outside.parse(TOML.encode())
    assert [one.told.name for one in found.recipients] == ["parking"]
    assert isinstance(found.mqtt, TellingMqtt)
    assert "MDEy" not in repr(found)
    assert b"0123" not in repr(found).encode()
    for old, new in (
            ("name =", "nome ="), ('"gate.hour"]\npurpose', '"gate.minute"]\npurpose'), ("whsec_MDEy", "whsec_!!"),
            ("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "whsec_MDEy"), ('= "events.parking"', '= "entry.verify"'),
            ('purpose = "events.parking"', ""), ('"gate.decided", ', ""), ('"parking"\n', '"mqtt"\n'),
            ('title = "Parking Ltd"', ""), ("https://", "https://u@"), ('host = "broker', 'port = "x"\nhost = "b'),
            ('host = "broker.example"', 'host = "b"\ntls_ca = ""\nuser = "u"')):
        assert old in TOML
        with pytest.raises(StoreFault):
            outside.parse(TOML.replace(old, new, 1).encode())


def tell(venue: Venue, number: int = 1) -> None:
    with venue.store.write() as unit:
        for _ in range(number):
            events_out.clear(unit, venue, "sweep.ran", {"rotated": False})


def test_one_that_hangs_keeps_no_other_waiting(folder: Path) -> None:
    with open_venue(folder, SystemClock()) as venue, serving(hang) as bad, serving(status(200)) as good:  # type: ignore[arg-type]  # any clock
        tells(venue, recipient("bad", "sweep.ran"), recipient("good", "sweep.ran"))
        tell(venue, 10)
        sending = dispatcher.Dispatcher(venue, {"bad": sender(bad.port), "good": sender(good.port)})
        sending.start()
        wait(lambda: len(good.seen) == 10, 4.0)
        assert bad.connected == 1  # and one at a time
        sending.close()
        wait(lambda: not [row for row in rows(venue) if row["recipient"] == "good"])
        assert len([row for row in rows(venue) if row["recipient"] == "bad"]) == 10


def test_410_is_a_dead_letter_at_once_and_the_next_is_sent(folder: Path) -> None:
    with open_venue(folder, SystemClock()) as venue, serving(status(410)) as there:  # type: ignore[arg-type]  # any clock
        tells(venue, recipient("ops", "sweep.ran"))
        tell(venue, 2)
        sending = dispatcher.Dispatcher(venue, {"ops": sender(there.port)})
        sending.start()
        wait(lambda: len(rows(venue, "dead")) == 2)
        sending.close()
        assert {row["last_code"] for row in rows(venue, "dead")} == {"status-410"}


_DIES = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from countenance.clock import SystemClock
from countenance.flows import deliveries
from countenance.integrations import dispatcher
from countenance.integrations.webhooks import Webhook, WebhookSender
from support.venue import open_venue
deliveries.taken = lambda unit, message: os._exit(9)
with open_venue(Path({folder!r}), SystemClock()) as venue:
    hook = Webhook("http://localhost:{port}/", bytes(32))
    way = WebhookSender(hook, ("localhost",), lookup=lambda h, p: ["127.0.0.1"])
    sending = dispatcher.Dispatcher(venue, {{"ops": way}})
    sending.start()
    __import__("threading").Event().wait(20)
"""


def test_killed_between_sending_and_writing_it_down_it_is_sent_again_with_its_id(folder: Path) -> None:
    with open_venue(folder, SystemClock()) as venue:  # type: ignore[arg-type]  # any clock
        tells(venue, recipient("ops", "sweep.ran"))
        tell(venue)
    with serving(status(200)) as there:
        script = _DIES.format(tests=str(Path(__file__).parents[1]), folder=str(folder), port=there.port)
        died = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
        assert died.returncode == 9
        with open_venue(folder, SystemClock()) as venue:  # type: ignore[arg-type]  # any clock
            sending = dispatcher.Dispatcher(venue, {"ops": sender(there.port)})
            sending.start()
            wait(lambda: not rows(venue))
            sending.close()
    assert len(there.seen) == 2
    assert len({headers["webhook-id"] for headers, _ in there.seen}) == 1
    assert there.seen[0][1] == there.seen[1][1]


def test_what_was_stopped_meanwhile_is_not_sent(folder: Path) -> None:
    from countenance.flows import deliveries

    with open_venue(folder, SystemClock()) as venue:  # type: ignore[arg-type]  # any clock
        tells(venue, recipient("ops", "sweep.ran"))
        tell(venue)
        with venue.store.write() as unit:
            [number] = deliveries.due(unit, "ops")
        assert deliveries.still(venue, number)
        with venue.store.write() as unit:
            unit.run(deliveries._ROW.delete())
        assert deliveries.still(venue, number) is None


def test_a_broker_that_is_away_keeps_events_and_gets_them_when_it_is_back(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    told = recipient("mqtt", "sweep.ran")
    way = MqttSender(TellingMqtt("127.0.0.1", port, tls_ca="", told=told), "zoo1")
    with open_venue(folder, SystemClock()) as venue:  # type: ignore[arg-type]  # any clock
        tells(venue, told)
        tell(venue)
        sending = dispatcher.Dispatcher(venue, {"mqtt": way})
        sending.start()
        wait(lambda: rows(venue)[0]["last_code"].startswith("mqtt-"))
        broker = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            wait(lambda: _answers(port))
            heard: list[tuple[str, bytes, int]] = []
            listener = paho.Client(CallbackAPIVersion.VERSION2)
            listener.on_message = lambda _c, _d, message: heard.append((message.topic, message.payload, message.qos))
            listener.connect("127.0.0.1", port)
            listener.subscribe("#", qos=1)
            listener.loop_start()
            wait(lambda: not rows(venue), 20.0)
            wait(lambda: heard)
            listener.disconnect()
            listener.loop_stop()
            [(topic, body, qos)] = heard
            assert (topic, qos) == ("countenance/zoo1/sweep.ran", 1)
            assert set(json.loads(body)) == {"id", "type", "timestamp", "data"}
        finally:
            sending.close()
            broker.terminate()
            broker.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_a_slow_listener_loses_the_oldest_and_is_told_how_many() -> None:
    feed = Feed()
    with feed.subscribe(["north"], timeout=0.01) as slow, feed.subscribe(timeout=0.01) as everything:
        for number in range(MOST_KEPT + 5):
            feed.tell("gate.decided", "north", {"number": number})
        feed.tell("gate.decided", "south", {"number": -1})
        first = next(iter(slow))
        assert first is not None
        assert (first.body, first.missed) == ({"number": 5}, 5)
        feed.close()
        assert [one.body["number"] for one in slow if one][-1] == MOST_KEPT + 4
        assert [one.body["number"] for one in everything if one][-1] == -1
    with pytest.raises(CountenanceError), feed.subscribe():
        pass
