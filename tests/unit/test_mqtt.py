"""Publishing over MQTT: what the broker has is acknowledged, what is late is never sent, nothing waits longer."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Event

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from countenance.errors import StoreFault
from countenance.integrations.mqtt import LARGEST, Mqtt, MqttClient
from countenance.integrations.waiting import LEFT_BEHIND, TooManyHang, Waiting
from support import wires

CONNACK = bytes.fromhex("20 03 00 00 00")
needs_mosquitto = pytest.mark.skipif(not wires.have_mosquitto(), reason="mosquitto is not installed")


def settings(port: int, **other: str) -> Mqtt:
    return Mqtt(wires.LOOP, port, **{"tls_ca": "", **other})  # type: ignore[arg-type]  # texts only


@contextmanager
def client_of(wanted: Mqtt) -> Iterator[MqttClient]:
    client = MqttClient(wanted)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def heard(port: int, topic: str) -> Iterator[Queue[paho.MQTTMessage]]:
    """Give what somebody else hears at the broker."""
    queue: Queue[paho.MQTTMessage] = Queue()
    ready = Event()
    listener = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    listener.on_message = lambda _client, _data, message: queue.put(message)
    listener.on_subscribe = lambda *_told: ready.set()
    listener.on_connect = lambda client, *_told: client.subscribe(topic, qos=1)
    listener.connect(wires.LOOP, port)
    listener.loop_start()
    assert ready.wait(5)
    try:
        yield queue
    finally:
        listener.disconnect()
        listener.loop_stop()


def refused(act: object, within_s: float) -> str:
    began = time.perf_counter()
    with pytest.raises(StoreFault) as caught:
        act()  # type: ignore[operator]  # a function without arguments
    assert time.perf_counter() - began < within_s
    return caught.value.code


@needs_mosquitto
def test_what_is_published_is_heard_once_and_not_retained(tmp_path: Path) -> None:
    with wires.mosquitto(tmp_path) as port, client_of(settings(port)) as client:
        with heard(port, "doors/#") as queue:
            for number in range(20):
                client.publish("doors/one", b"%d" % number, 2.0, expiry_s=9, heard=True)
            got = [queue.get(timeout=2) for _ in range(20)]
            assert [message.payload for message in got] == [b"%d" % number for number in range(20)]
            assert {(message.qos, message.retain, message.topic) for message in got} == {(1, False, "doors/one")}
            assert got[0].properties.MessageExpiryInterval <= 9  # type: ignore[union-attr]  # it has some
        with heard(port, "doors/#") as queue, pytest.raises(Empty):
            queue.get(timeout=0.2)


@needs_mosquitto
def test_a_topic_that_nobody_listens_to_is_told(tmp_path: Path) -> None:
    with wires.mosquitto(tmp_path) as port, client_of(settings(port)) as client:
        assert refused(lambda: client.publish("doors/two", b"x", 2.0, heard=True), 2) == "mqtt-unheard"
        client.publish("doors/two", b"x", 2.0)


@needs_mosquitto
def test_the_user_s_password_is_read_from_a_file_of_its_owner_only(tmp_path: Path) -> None:
    users, secret = tmp_path / "users", tmp_path / "secret"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), "zoo", "right"], check=True, capture_output=True)
    users.chmod(0o600)
    rules = tmp_path / "rules"
    rules.write_text("user zoo\ntopic write doors/#\n")
    rules.chmod(0o600)
    lines = f"allow_anonymous false\npassword_file {users}\nacl_file {rules}\n"
    with wires.mosquitto(tmp_path, lines) as port:
        for text, code in {"right\n": "", "wrong\n": "mqtt-refused"}.items():
            secret.write_text(text)
            secret.chmod(0o600)
            with client_of(settings(port, user="zoo", password_file=str(secret))) as client:
                if code:
                    assert refused(lambda c=client: c.publish("doors/one", b"x", 2.0), 2) == code
                else:
                    client.publish("doors/one", b"x", 2.0)
                    assert refused(lambda c=client: c.publish("other/one", b"x", 2.0), 2) == "mqtt-refused"
        with client_of(settings(port)) as client:
            assert refused(lambda: client.publish("doors/one", b"x", 2.0), 2) == "mqtt-refused"
        secret.chmod(0o640)
        with client_of(settings(port, user="zoo", password_file=str(secret))) as client:
            assert refused(lambda: client.publish("doors/one", b"x", 2.0), 2) == "mqtt-password"
        with client_of(settings(port, user="zoo", password_file=str(tmp_path / "none"))) as client:
            assert refused(lambda: client.publish("doors/one", b"x", 2.0), 2) == "mqtt-password"


def certificates(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for this machine, and its key."""
    certificate, key = folder / "broker.pem", folder / "broker.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", str(key), "-out",
                    str(certificate), "-days", "2", "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    return certificate, key


@needs_mosquitto
def test_tls_is_verified(tmp_path: Path) -> None:
    certificate, key = certificates(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = certificates(tmp_path / "other")
    with wires.mosquitto(tmp_path, f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n") as port:
        with client_of(settings(port, tls_ca=str(certificate))) as client, socket.socket():
            client.publish("doors/one", b"x", 2.0)
        for wrong in (str(other), "system"):
            with client_of(settings(port, tls_ca=wrong)) as client:
                assert refused(lambda c=client: c.publish("doors/one", b"x", 2.0), 2) == "mqtt-unreachable"
        with client_of(settings(port, tls_ca=str(tmp_path / "none"))) as client:
            assert refused(lambda: client.publish("doors/one", b"x", 2.0), 2) == "mqtt-tls"
        with client_of(settings(port)) as client:  # no TLS where there must be
            assert refused(lambda: client.publish("doors/one", b"x", 1.0), 2) in {"mqtt-unreachable", "mqtt-timeout"}


@needs_mosquitto
def test_a_broker_that_went_and_came_back_is_connected_again(tmp_path: Path) -> None:
    with wires.mosquitto(tmp_path) as port:
        client = MqttClient(settings(port))
        client.publish("doors/one", b"before", 2.0)
    assert refused(lambda: client.publish("doors/one", b"lost", 1.0), 1.5) == "mqtt-unreachable"
    with wires.mosquitto(tmp_path, port=port), heard(port, "doors/#") as queue:
        client.publish("doors/one", b"after", 2.0)
        assert queue.get(timeout=2).payload == b"after"
        with pytest.raises(Empty):
            queue.get(timeout=0.3)
    client.close()


BAD_BROKERS = {
    "silent": (wires.silent, {"mqtt-timeout"}),
    "resets": (wires.resetting, {"mqtt-unreachable"}),
    "greets and is silent": (wires.saying(CONNACK), {"mqtt-timeout"}),
    "greets over and over": (wires.dripping(CONNACK, 0.02), {"mqtt-timeout"}),
    "speaks HTTP": (wires.saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), {"mqtt-unreachable", "mqtt-timeout"}),
    "acknowledges another message": (wires.saying(CONNACK + bytes.fromhex("40 02 7f 7f")), {"mqtt-timeout"}),
    "malformed greeting": (wires.saying(bytes.fromhex("20 05 00 00 7f ff ff")), {"mqtt-unreachable", "mqtt-timeout"}),
    "a length that never comes": (wires.saying(bytes.fromhex("20 ff ff ff 7f")), {"mqtt-timeout"}),
    "refuses": (wires.saying(bytes.fromhex("20 03 00 87 00")), {"mqtt-refused"}),
}


@pytest.mark.parametrize("name", BAD_BROKERS)
@pytest.mark.parametrize("tls_ca", ["", "system"])
def test_no_broker_keeps_anybody_waiting(name: str, tls_ca: str) -> None:
    act, codes = BAD_BROKERS[name]
    with wires.listening(act) as port, client_of(settings(port, tls_ca=tls_ca)) as client:
        code = refused(lambda: client.publish("doors/one", b"x", 0.5), 0.9)
        assert code in codes or (tls_ca and code in {"mqtt-unreachable", "mqtt-timeout"})


def test_nobody_there() -> None:
    with client_of(settings(wires.closed_port())) as client:
        assert refused(lambda: client.publish("doors/one", b"x", 1.0), 1) == "mqtt-unreachable"
    with client_of(Mqtt("no such host", 1, tls_ca="")) as client:
        assert refused(lambda: client.publish("doors/one", b"x", 5.0), 6) == "mqtt-unreachable"


def test_what_was_not_acknowledged_in_time_is_never_sent_again() -> None:
    """The broker takes the message and says nothing; its next connection sees the next message only."""
    seen: list[bytes] = []

    def act(line: socket.socket, over: Event) -> None:
        line.recv(4_096)
        line.sendall(CONNACK)
        got = b""
        with line:
            while part := line.recv(4_096):
                got += part
        seen.append(got)

    with wires.listening(act) as port:
        client = MqttClient(settings(port))
        for payload in (b"first-message", b"second-message"):
            assert refused(lambda p=payload: client.publish("doors/one", p, 0.3), 0.6) == "mqtt-timeout"
        client.close()
    assert [b"first-message" in got for got in seen] == [True, False]
    assert [b"second-message" in got for got in seen] == [False, True]


def test_what_was_lost_with_its_connection_is_never_sent_again() -> None:
    """The broker takes the message and hangs up: nobody comes back by themselves to send it again."""
    seen: list[bytes] = []

    def act(line: socket.socket, over: Event) -> None:
        line.recv(4_096)
        line.sendall(CONNACK)
        seen.append(line.recv(4_096))

    with wires.listening(act) as port:
        client = MqttClient(settings(port))
        assert refused(lambda: client.publish("doors/one", b"first-message", 1.0), 1.5) == "mqtt-unreachable"
        time.sleep(2.5)  # paho would come back after one second
        client.close()
    assert [b"first-message" in got for got in seen] == [True]


def test_a_message_has_a_largest_size() -> None:
    client = MqttClient(settings(1))
    assert refused(lambda: client.publish("doors/one", bytes(LARGEST + 1), 1.0), 0.5) == "mqtt-large"


def test_hanging_on_purpose_does_not_fill_the_process() -> None:
    waiting, over = Waiting(), Event()
    for _ in range(LEFT_BEHIND):
        with pytest.raises(TimeoutError):
            waiting.at_most(0.01, lambda: over.wait(30))
    began = time.perf_counter()
    with pytest.raises(TooManyHang):
        waiting.at_most(5.0, lambda: over.wait(30))
    assert time.perf_counter() - began < 0.5
    over.set()
    time.sleep(0.1)
    assert waiting.at_most(1.0, lambda: 7) == 7
