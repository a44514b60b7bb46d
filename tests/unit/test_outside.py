"""`outside.toml`: strict, of its owner only; and the examples of the page are what is read."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from countenance.errors import Refused, StoreFault
from countenance.formats import door_tokens
from countenance.integrations import outside
from countenance.integrations.doors.opening import open_doors
from countenance.integrations.doors.settings import CommandDoor, ModbusDoor, WebhookDoor
from countenance.integrations.mqtt import Mqtt
from countenance.integrations.outside import Outside
from countenance.quantities import Instant, VenueId
from support.make_pass_vectors import KEY, KID

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating" / "doors.md"
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
WEBHOOK = f'[[door]]\nname = "north"\nkind = "webhook"\nurl = "https://door.example/open"\nsecret = "{SECRET}"\n'
MODBUS = '[[door]]\nname = "east"\nkind = "modbus"\nhost = "10.0.0.7"\ncoil = 3\n'
COMMAND = '[[door]]\nname = "west"\nkind = "command"\nargv = ["/usr/bin/open-door", "west"]\n'


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    (folder / "outside.toml").write_text(text, "utf-8")
    (folder / "outside.toml").chmod(mode)
    return folder


def code_of(text: str) -> tuple[str, str]:
    with pytest.raises(StoreFault) as caught:
        outside.parse(text.encode())
    assert "whsec_" not in caught.value.sentence
    assert caught.value.sentence.endswith(".")
    return caught.value.code, caught.value.sentence


def test_without_the_file_nothing_is_sent_outside(tmp_path: Path) -> None:
    assert outside.load(tmp_path) == Outside({}, (), None)
    assert open_doors(Outside()) == {}


def test_doors_are_read_with_what_they_have_by_themselves(tmp_path: Path) -> None:
    found = outside.load(written(tmp_path, WEBHOOK + MODBUS + COMMAND + '[[door]]\nname = "south"\nkind = "none"\n'))
    assert found.doors["north"] == WebhookDoor(name="north", url="https://door.example/open", secret=bytes(32))
    assert found.doors["east"] == ModbusDoor(name="east", host="10.0.0.7", coil=3, heartbeat_s=5)
    assert found.doors["west"] == CommandDoor(name="west", argv=("/usr/bin/open-door", "west"))
    assert {door.fail for door in found.doors.values()} == {"secure"}
    assert {door.timeout_s for door in found.doors.values()} == {2}
    assert list(open_doors(found)) == ["north", "east", "west", "south"]
    assert "\\x00" not in repr(found)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    outside.load(written(tmp_path, WEBHOOK))
    with pytest.raises(StoreFault) as caught:
        outside.load(written(tmp_path, WEBHOOK, mode))
    assert caught.value.code == "outside-open"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.toml").mkdir(mode=0o700)
    with pytest.raises(StoreFault) as caught:
        outside.load(tmp_path)
    assert caught.value.code == "outside-unreadable"


@pytest.mark.parametrize("text", ["[[door]", 'door = "x"\n', "[door]\nname = 'x'\n", "door = [1]\n", "\0", "a" * 5_000,
                                  "x = " + "[" * 5_000])
def test_what_is_no_toml_of_this_shape_is_refused(text: str) -> None:
    assert code_of(text)[0] == "outside-malformed"


@pytest.mark.parametrize(("text", "named"), [
    ("[[doors]]\n", "doors"), ("format = 1\n", "format"), (WEBHOOK + "colour = 1\n", "colour"),
    (WEBHOOK.replace("url =", "URL ="), "url"), (WEBHOOK.replace("secret =", "Secret ="), "secret"),
    (MODBUS.replace("coil =", "coils ="), "coil"), (MODBUS + "hold_coil = 4\n", "hold_coil"),
    (MODBUS + 'fail = "safe"\n', "hold_coil"), (COMMAND + "shell = true\n", "shell"),
    (COMMAND + "heartbeat_s = 5\n", "heartbeat_s"), (WEBHOOK + "heartbeat_s = 5\n", "heartbeat_s"),
    ('[[door]]\nkind = "none"\n', "name"), ('[[door]]\nname = "a"\n', "kind"),
    ('[[door]]\nname = "a"\nkind = "none"\nurl = "https://a.example"\n', "url"),
    ('[[door]]\nname = "a"\nkind = "mqtt"\ntopic = "doors/a"\n', "mqtt")])
def test_an_unknown_or_missing_key_is_refused_and_named(text: str, named: str) -> None:
    code, sentence = code_of(text)
    assert code == "outside-keys"
    assert re.search(rf"\b{named}\b", sentence)


def _with(text: str, key: str, value: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
    return "\n".join([*lines, f"{key} = {value}", ""])


@pytest.mark.parametrize(("text", "key", "value"), [
    (WEBHOOK, "name", '"North"'), (WEBHOOK, "name", '""'), (WEBHOOK, "name", '"a b"'), (WEBHOOK, "name", "1"),
    (WEBHOOK, "name", f'"{"n" * 65}"'), (WEBHOOK, "kind", '"osdp"'), (WEBHOOK, "fail", '"open"'),
    (WEBHOOK, "timeout_s", "0"), (WEBHOOK, "timeout_s", "11"), (WEBHOOK, "timeout_s", "2.0"),
    (WEBHOOK, "timeout_s", "true"), (WEBHOOK, "url", '"http://door.example/open"'), (WEBHOOK, "url", '"door.example"'),
    (WEBHOOK, "url", '"ftp://door.example/"'), (WEBHOOK, "url", '"https://"'), (WEBHOOK, "url", '"https://a:0x/"'),
    (WEBHOOK, "url", '"https://a:99999/"'), (WEBHOOK, "url", '"https://me:pw@door.example/"'),
    (WEBHOOK, "url", '"https://door.example/#x"'), (WEBHOOK, "url", '"https://[::1/"'),
    (WEBHOOK, "url", '"http://localhost.example/"'), (WEBHOOK, "secret", '"hunter2"'),
    (WEBHOOK, "secret", '"whsec_"'), (WEBHOOK, "secret", '"whsec_AAAA"'), (WEBHOOK, "secret", '"whsec_not base64"'),
    (WEBHOOK, "secret", f'"whsec_{base64.b64encode(bytes(65)).decode()}"'), (WEBHOOK, "allow_plain", "1"),
    (MODBUS, "port", "0"), (MODBUS, "port", "65536"), (MODBUS, "unit", "0"), (MODBUS, "unit", "248"),
    (MODBUS, "coil", "-1"), (MODBUS, "coil", "65536"), (MODBUS, "coil", "true"), (MODBUS, "pulse_ms", "49"),
    (MODBUS, "pulse_ms", "1501"), (MODBUS, "host", '"a/b"'), (MODBUS, "host", '""'), (MODBUS, "heartbeat_s", "0"),
    (MODBUS, "heartbeat_s", "61"), (MODBUS + 'fail = "safe"\n', "hold_coil", "3"),
    (COMMAND, "argv", "[]"), (COMMAND, "argv", '"/bin/sh -c x"'), (COMMAND, "argv", '["open-door"]'),
    (COMMAND, "argv", '["/bin/x", 1]'), (COMMAND, "argv", '["./x"]'), (COMMAND, "argv", '["/bin/x", "a\\u0000b"]'),
    *[('[[door]]\nname = "a"\nkind = "mqtt"\n', "topic", topic)
      for topic in ('""', '"a/#"', '"+/a"', '"$SYS/a"', '"a\\u0000"', f'"{"t" * 201}"')]])
def test_a_wrong_value_is_refused_and_its_key_named(text: str, key: str, value: str) -> None:
    code, sentence = code_of(_with(text, key, value))
    assert code == "outside-value"
    assert key in sentence


def test_two_doors_of_one_name_and_a_command_that_holds_nothing_are_refused() -> None:
    assert code_of(WEBHOOK + MODBUS.replace("east", "north"))[0] == "outside-value"
    assert code_of(COMMAND + 'fail = "safe"\n')[0] == "outside-value"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/open", "http://localhost/", "http://[::1]:8080/"])
def test_this_machine_needs_no_tls(url: str) -> None:
    assert outside.parse(_with(WEBHOOK, "url", f'"{url}"').encode()).doors["north"].kind == "webhook"
    plain = _with(_with(WEBHOOK, "url", '"http://10.0.0.7/open"'), "allow_plain", "true")
    assert outside.parse(plain.encode()).doors["north"].kind == "webhook"


def test_a_secret_is_not_in_what_is_printed() -> None:
    door = WebhookDoor(name="north", url="https://door.example/", secret=b"very secret indeed, 24 b")
    assert "secret" not in repr(door).replace("secure", "")
    assert "secret" not in str(Outside({"north": door}))


def test_the_examples_of_the_page_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    monkeypatch.setitem(outside.SECTIONS, "mqtt", ("mqtt", lambda value: Mqtt(**value)))
    kinds = []
    for example in examples:
        found = outside.parse(example.encode())
        assert found.doors
        kinds += [(door.kind, door.fail) for door in found.doors.values()]
    assert set(kinds) == {("webhook", "secure"), ("webhook", "safe"), ("mqtt", "secure"), ("mqtt", "safe"),
                          ("modbus", "secure"), ("modbus", "safe"), ("command", "secure"), ("none", "secure")}


def test_the_code_of_the_page_verifies_a_token() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    token = door_tokens.issue(VenueId("zoo"), "north", Instant(1_782_000_000), 4)
    text = door_tokens.write(token, KEY, KID)
    names = {"public": KEY.public_key().public_bytes_raw().hex(), "gate": "north", "venue": "zoo"}
    exec(code, names)  # noqa: S102  # the page's own words
    assert names["verify"](text, 1_782_000_001) == 4  # type: ignore[operator]  # the page makes it a function
    with pytest.raises(Refused, match="spent before"):
        names["verify"](text, 1_782_000_002)  # type: ignore[operator]  # as above
