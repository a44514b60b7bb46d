"""Prose that is executed: commands, settings, links and steps are checked against the code."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from source import ROOT, SOURCE, modules

from countenance import settings
from countenance.cli.main import app

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").glob("*.md")])

PASS_ALONE = {'countenance apikey make gate --gate north --label "tablet at the north gate" --days 90'}
"""Commands for gates that look at a pass alone (docs/operating/install.md)."""


def _commands() -> dict[str, object]:
    top = typer.main.get_command(app)
    found: dict[str, object] = {}
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        found[name] = command
        found |= {f"{name} {inner}": sub for inner, sub in getattr(command, "commands", {}).items()}
    return found


def _told() -> list[str]:
    lines = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines += [line.strip() for line in block.splitlines()]
    return [line for line in lines if re.match(r"(\.venv/bin/)?countenance ", line)]


def test_every_command_in_the_pages_exists_with_its_options() -> None:
    commands, told = _commands(), _told()
    assert len(told) >= 7
    for line in told:
        words = shlex.split(line)[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in commands else words[0]
        known = {option for p in commands[name].params for option in p.opts}  # type: ignore[attr-defined]
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_next_commands_of_the_demo_exist() -> None:
    from countenance.cli.demo import NEXT

    commands = _commands()
    told = [line.split()[1:] for line in NEXT if line.strip().startswith("countenance")]
    assert len(told) == 3
    for words in told:
        assert words[0] in commands


def test_every_command_takes_json_and_has_help() -> None:
    for name, command in _commands().items():
        assert getattr(command, "help", ""), name
        if not getattr(command, "commands", None):
            assert "--json" in {o for p in command.params for o in p.opts}, name  # type: ignore[attr-defined]


def _blocks(title: str) -> list[str]:
    """What a section of the README tells to type."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {title}\n(.*?)(?=^## )", readme, re.DOTALL | re.MULTILINE)
    assert section
    return re.findall(r"```sh\n(.*?)```", section.group(1), re.DOTALL)


def test_the_readme_runs_as_it_is_written(tmp_path: Path) -> None:
    install, *use = _blocks("Use it")
    assert install.rstrip().endswith("cd ../lakeside")  # this test's own folder stands for it
    _demo, serve = _blocks("Serve it")
    served = "countenance serve --venue zoo\n"  # it would not end
    assert serve.endswith(served)
    script = "".join([*use, *_blocks("What can be proved, to whom"), serve.removesuffix(served)])
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=False, env=here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Please come in.") == 2
    assert (tmp_path / "gone.receipt").is_file()
    assert (tmp_path / "gone.png").is_file()
    assert len(re.findall(r"^verified\.", done.stdout, re.MULTILINE)) == 3  # two receipts, and the evidence
    keys = json.loads(subprocess.run(["countenance", "apikey", "list", "--venue", "zoo", "--json"], cwd=tmp_path,
                                     capture_output=True, check=True, env=here).stdout)["keys"]
    assert [key["purposes"] for key in keys] == [["entry.verify"]]  # one that names none compares nothing


def test_every_key_of_a_gate_for_faces_in_the_pages_names_its_purpose() -> None:
    made = [line for line in _told() if " apikey make gate " in line]
    assert len(made) >= 4
    for line in made:
        assert "--purpose" in line or line in PASS_ALONE, line


def test_the_sample_of_a_gate_is_one(tmp_path: Path) -> None:
    from countenance.gate import settings as of_gate

    (tmp_path / "gate.key").write_text(f"cnt_{'0' * 32}_{'a' * 52}\n")
    (tmp_path / "gate.key").chmod(0o600)
    shutil.copy(ROOT / "examples" / "gate.toml", tmp_path)
    assert of_gate.load(tmp_path / "gate.toml").gate_id == "north"


def test_links_lead_somewhere() -> None:
    assert len(PAGES) > 15
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_tests_that_the_threats_name_exist() -> None:
    text = (ROOT / "THREATS.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?/?)(?:::(\w+))?`", text)
    assert len(named) >= 8
    for path, function in named:
        assert (ROOT / path).exists(), path
        if function:
            assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), function


def test_the_settings_page_lists_every_setting() -> None:
    text = (ROOT / "docs" / "operating" / "settings.md").read_text(encoding="utf-8")
    told = {(a.strip(" `"), b) for a, b in re.findall(r"^\|([^|]*)\| `(\w+)` \|", text, re.MULTILINE)}
    assert told == {(section, key) for section, keys in settings.SHAPE.items() for key in keys}


@pytest.mark.parametrize("story", ["enrol", "admit", "withdraw", "replace", "renew", "sweep", "rotate", "restore",
                                   "drill", "about", "prove", "log", "pad", "found", "at_a_gate", "recognise",
                                   "awaiting", "disclose", "upgrade", "models", "liveness", "own_calibration",
                                   "duties", "orders", "rights", "sunset"])
def test_a_story_wears_the_numbers_of_its_page(story: str) -> None:
    page = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {story.replace('_', ' ')}\b.*?\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert section
    steps = re.findall(r"\((\d+)\)", section.group(1))
    highest = max(map(int, steps))
    source = (SOURCE / "flows" / f"{story}.py").read_text(encoding="utf-8")
    assert {int(n) for n in re.findall(r"(?<!\w)\((\d+)\)", source)} == set(range(1, highest + 1))  # no calls


def test_error_codes_are_well_formed_and_sentences_are_sentences() -> None:
    codes = set()
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {
                "Refused", "BadInput", "StoreFault", "ModelFault"
            } and len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
                codes.add(node.args[0].value)
                if isinstance(node.args[1], ast.Constant):
                    assert node.args[1].value.endswith("."), node.args[1].value
    assert len(codes) > 60
    assert [code for code in codes if not re.fullmatch(r"[a-z0-9]+(-[a-z]+)+", code)] == []


def test_no_registry_host_and_no_path_of_a_machine_is_named() -> None:
    words = ("py" + "pi.org", "pythonhosted" + ".org", "/work" + "/", "npmjs" + ".")
    for path in [*PAGES, *SOURCE.rglob("*.py"), *SOURCE.rglob("*.toml"), ROOT / "Makefile", ROOT / "pyproject.toml"]:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], path
