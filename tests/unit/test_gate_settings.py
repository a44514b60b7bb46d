"""`gate.toml`: strict, and no secret lies open or stands in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from countenance.errors import BadInput, CountenanceError
from countenance.gate import settings

KEY = "cnt_0123abcd_" + "a" * 52
GOOD = """
format = 1
[gate]
id = "main"
door = "server"
[server]
url = "https://zoo.example:8443/"
key = "file:gate.key"
[camera]
source = "usb:0"
[zone]
left = 0.25
top = 0
right = 0.75
bottom = 1
[triggers]
scanner = true
http_port = 8090
[mqtt]
host = "127.0.0.1"
topic = "zoo/gate/main"
[lane]
url = "http://127.0.0.1:8070"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gate.key").write_text(KEY + "\n")
    (tmp_path / "gate.key").chmod(0o600)
    (tmp_path / "camera.secret").write_text("p@ss:w/rd\n")
    (tmp_path / "camera.secret").chmod(0o600)
    return tmp_path


def load(folder: Path, text: str) -> settings.GateSettings:
    (folder / "gate.toml").write_text(text)
    return settings.load(folder / "gate.toml")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(CountenanceError) as caught:
        load(folder, text)
    assert caught.value.sentence.endswith(".")
    assert KEY not in caught.value.sentence
    return caught.value.code


def test_a_whole_file_is_read(folder: Path) -> None:
    here = load(folder, GOOD)
    assert (here.gate_id, here.door, here.key, here.scanner, here.http_port) == ("main", "server", KEY, True, 8090)
    assert (here.server.tls, here.server.host, here.server.port, here.server.path) == (True, "zoo.example", 8443, "")
    assert here.zone == settings.Zone(0.25, 0.0, 0.75, 1.0)
    assert here.camera == settings.CameraAt("usb", "0", 3.0, 0, 0)
    assert here.lane is not None
    assert (here.lane.tls, here.lane.port) == (False, 8070)
    assert here.mqtt is not None
    assert here.mqtt.port == 1883


def test_a_gate_without_camera_lane_and_broker_only_reads_passes(folder: Path) -> None:
    text = re.sub(r"\[camera\].*?(?=\[triggers\])|\[mqtt\].*", "", GOOD, flags=re.DOTALL)
    here = load(folder, text)
    assert (here.camera, here.zone, here.mqtt, here.lane) == (None, None, None, None)


def test_a_key_may_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_KEY", KEY)
    assert load(folder, GOOD.replace("file:gate.key", "env:GATE_KEY")).key == KEY
    monkeypatch.setenv("GATE_KEY", "cnt_x\r\nhost: elsewhere")
    assert refusal(folder, GOOD.replace("file:gate.key", "env:GATE_KEY")) == "gate-key"


def test_a_cameras_password_comes_from_a_file_and_shows_in_no_text(folder: Path) -> None:
    text = GOOD.replace('"usb:0"', '"rtsp://cam.example:554/one"\nuser = "gate"\npassword_file = "camera.secret"')
    here = load(folder, text)
    assert here.camera is not None
    assert (here.camera.kind, here.camera.where, here.camera.password) == (
        "rtsp", "rtsp://cam.example:554/one", "p@ss:w/rd")
    assert "p@ss" not in repr(here)
    assert KEY not in repr(here)


@pytest.mark.parametrize(("old", "new", "code"), [
    ("format = 1", "format = 2", "gate-file-value"),
    ("format = 1", "", "gate-file-keys"),
    ("format = 1", "format = 1\ncolour = 3", "gate-file-keys"),
    ("format = 1", "format = true", "gate-file-value"),
    ("[gate]", "[gaet]", "gate-file-keys"),
    ('door = "server"', 'dor = "server"', "gate-file-keys"),
    ('door = "server"', 'door = "always"', "gate-file-value"),
    ('id = "main"', "", "gate-file-keys"),
    ('id = "main"', "id = 7", "gate-file-value"),
    ('id = "main"', 'id = "../people"', "gate-file-value"),
    ('id = "main"', 'id = "a\\nb"', "gate-file-value"),
    ("https://zoo.example:8443/", "http://zoo.example/", "gate-url"),
    ("https://zoo.example:8443/", "http://192.168.1.5/", "gate-url"),
    ("https://zoo.example:8443/", "https://user:secret@zoo.example/", "gate-url"),
    ("https://zoo.example:8443/", "https://zoo.example/?gate=1", "gate-url"),
    ("https://zoo.example:8443/", "https://zoo.example:99999/", "gate-url"),
    ("https://zoo.example:8443/", "ftp://127.0.0.1/", "gate-url"),
    ("https://zoo.example:8443/", "zoo.example", "gate-url"),
    ("https://zoo.example:8443/", "https://zoo example/", "gate-url"),
    ("http://127.0.0.1:8070", "http://10.0.0.9:8070", "gate-url"),
    ('key = "file:gate.key"', f'key = "{KEY}"', "gate-key"),
    ('key = "file:gate.key"', 'key = "file:nowhere"', "gate-secret-missing"),
    ('key = "file:gate.key"', 'key = "file:camera.secret"', "gate-key"),
    ('key = "file:gate.key"', 'key = "file:gate.key"\nca = "gate.key"', "gate-ca"),
    ('key = "file:gate.key"', 'key = "file:gate.key"\nca = "nowhere.pem"', "gate-ca"),
    ('"usb:0"', '"usb:front"', "gate-file-value"),
    ('"usb:0"', '"usb:-1"', "gate-file-value"),
    ('"usb:0"', '"file:"', "gate-file-value"),
    ('"usb:0"', '"http://cam.example/"', "gate-file-value"),
    ('"usb:0"', '"rtsp://gate:secret@cam.example/one"', "gate-url"),
    ('"usb:0"', '"rtsp:///one"', "gate-url"),
    ('"usb:0"', '"usb:0"\nseconds = 60', "gate-file-value"),
    ('"usb:0"', '"usb:0"\nseconds = nan', "gate-file-value"),
    ('"usb:0"', '"usb:0"\nuser = "gate"', "gate-file-keys"),
    ('"usb:0"', '"usb:0"\nwidth = -1', "gate-file-value"),
    ("left = 0.25", "left = 0.75", "gate-file-value"),
    ("left = 0.25", "left = -0.1", "gate-file-value"),
    ("left = 0.25", "left = nan", "gate-file-value"),
    ("bottom = 1", "bottom = 1.01", "gate-file-value"),
    ("bottom = 1", "", "gate-file-keys"),
    ("http_port = 8090", "http_port = 70000", "gate-file-value"),
    ("http_port = 8090", 'http_port = "8090"', "gate-file-value"),
    ('host = "127.0.0.1"', 'host = "broker.example"', "gate-url"),
    ('topic = "zoo/gate/main"', 'topic = "zoo/#"', "gate-file-value"),
    ("[lane]", "[lane]\n[lane]", "gate-file-malformed"),
])
def test_what_is_unknown_missing_or_wrong_is_an_error(folder: Path, old: str, new: str, code: str) -> None:
    assert old in GOOD
    assert refusal(folder, GOOD.replace(old, new, 1)) == code


def test_a_gate_that_nothing_starts_and_a_camera_without_a_zone_are_errors(folder: Path) -> None:
    silent = re.sub(r"\[mqtt\].*", "", GOOD, flags=re.DOTALL).replace("true", "false").replace("8090", "0")
    assert refusal(folder, silent) == "gate-file-value"
    assert refusal(folder, re.sub(r"\[zone\].*?(?=\[triggers\])", "", GOOD, flags=re.DOTALL)) == "gate-file-keys"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    (folder / "gate.key").chmod(mode)
    assert refusal(folder, GOOD) == "gate-secret-open"


def test_a_secret_that_is_a_pipe_or_empty_or_large_or_of_two_lines_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe", 0o600)
    for name, data in (("empty", b"\n"), ("large", b"a" * 5_000), ("lines", b"a\nb"), ("high", b"\xff\xfe")):
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    for name in ("pipe", "empty", "large", "lines", "high", "."):
        with pytest.raises(BadInput) as caught:
            settings.secret_file(folder / name)
        assert caught.value.code == "gate-secret-missing", name


def test_no_file_no_utf8_and_a_folder(folder: Path) -> None:
    (folder / "latin.toml").write_bytes(b'format = 1 # \xe9')
    for name, code in (("nowhere.toml", "gate-file-unreadable"), (".", "gate-file-unreadable"),
                       ("latin.toml", "gate-file-malformed")):
        with pytest.raises(BadInput) as caught:
            settings.load(folder / name)
        assert caught.value.code == code


@pytest.mark.promise(3)
def test_tls_writes_no_session_keys_and_checks_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = settings.tls_context(None)
    assert context.keylog_filename is None
    assert context.check_hostname
    assert not (tmp_path / "keys").exists()


def test_the_page_lists_every_setting() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "operating" / "gate.md").read_text(encoding="utf-8")
    told = {(a.strip(" `"), b) for a, b in re.findall(r"^\|([^|]*)\| `(\w+)` \|", page, re.MULTILINE)}
    assert told == {(section, key) for section, keys in settings.SHAPE.items() for key in keys}
