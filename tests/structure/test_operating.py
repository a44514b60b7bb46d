"""What an operator goes by is what the program does: metrics, steps on devices, units and container files."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator

import pytest
import typer.main
import yaml
from prometheus_client import REGISTRY
from source import ROOT

from countenance.cli.main import app
from countenance.flows import upgrade
from countenance.server import lan
from countenance.server.metrics import Metrics

DEPLOY, PAGES = ROOT / "deploy", ROOT / "docs" / "operating"
UNITS = ("countenance.service", "countenance-lane.service")
KEPT_IN = ("LimitCORE=0", "ProtectSystem=strict", "PrivateTmp=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=",
           "MemoryDenyWriteExecute=yes", "User=countenance", "UMask=0077")


def known_options(words: list[str]) -> set[str]:
    """Return the options of the command that words begin with; asserts that there is one."""
    command = typer.main.get_command(app)
    for word in words:
        if word.startswith("-") or not hasattr(command, "commands"):
            break
        command = command.commands[word]
    assert not hasattr(command, "commands"), words
    return {option for p in command.params for option in p.opts}


def started() -> Iterator[tuple[str, list[str]]]:
    for name in UNITS:
        line = re.search(r"^ExecStart=\S+/countenance (.*)$", (DEPLOY / name).read_text(), re.MULTILINE)
        assert line, name
        yield name, [word for word in shlex.split(line.group(1)) if not word.startswith("$")]
    docker = (DEPLOY / "Dockerfile").read_text()
    command = re.search(r"^CMD (\[.*\])$", docker, re.MULTILINE)
    assert command
    yield "Dockerfile", yaml.safe_load(command.group(1))
    for name, service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].items():
        if "command" in service:
            yield f"compose {name}", service["command"]
    page = (PAGES / "install.md").read_text()
    environment = re.search(r"COUNTENANCE_SERVE=([^\\']*)", page)
    assert environment
    yield "environment", ["serve", *shlex.split(environment.group(1))]
    for line in re.findall(r"run --rm server (.*)$", page, re.MULTILINE):
        yield "compose run", shlex.split(line)


def test_what_units_and_containers_start_exists_with_its_options() -> None:
    found = list(started())
    assert len(found) >= 6
    for name, words in found:
        assert {word for word in words if word.startswith("--")} <= known_options(words), name


def test_that_check_sees_a_wrong_option_and_a_wrong_command() -> None:
    assert "--listen" not in known_options(["serve"])
    with pytest.raises(KeyError):
        known_options(["server"])


@pytest.mark.parametrize("name", UNITS)
def test_units_keep_the_program_in(name: str) -> None:
    lines = (DEPLOY / name).read_text().splitlines()
    assert [wanted for wanted in KEPT_IN if wanted not in lines] == []


def test_containers_keep_the_program_in() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert set(services) == {"server", "lane"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["ulimits"]["core"] == 0
        assert service["mem_limit"] == service["memswap_limit"]  # no swap
        assert service["user"] == "10001:10001"
    assert "keys:/keys" not in services["lane"]["volumes"]
    assert re.search(r"^USER countenance$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)


def test_the_monitoring_page_names_every_metric_and_no_other() -> None:
    ours = {metric.name for metric in Metrics().registry.collect()}
    assert ours
    assert not any(metric.name.startswith("countenance") for metric in REGISTRY.collect())
    told = re.findall(r"^\| `(countenance_\w+)`", (PAGES / "monitoring.md").read_text(), re.MULTILINE)
    assert {name.removesuffix("_total") for name in told} == ours


def test_the_steps_on_devices_are_those_that_serve_prints() -> None:
    table = (PAGES / "tls.md").read_text().partition("| device | steps |\n|---|---|\n")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| ([^|]+) \| (.*) \|$", table, re.MULTILINE)) == lan.STEPS


def test_settings_that_an_upgrade_adds_are_what_a_new_venue_gets() -> None:
    from countenance.flows.found import _settings

    plan = tomllib.loads((ROOT / "src/countenance/controls/scenarios/annual-pass.toml").read_text())
    plan["replaces"] = ""  # as under a regime that asks for no check of a document
    texts = dict.fromkeys(("id", "name", "contact", "regime", "scenario"), "x")
    new = tomllib.loads(_settings(texts, plan, "file:root.key", "none"))
    for section, keys in upgrade.SETTINGS_SINCE.items():
        for key, text in keys.items():
            assert tomllib.loads(f"value = {text}")["value"] == new[section][key], f"{section}.{key}"
