"""The pages of docs/formats say what the code does: modules, labels, claim numbers, uses and codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import countenance
from countenance.consent.states import State
from countenance.formats import passes
from countenance.formats.passes import Custody
from countenance.vault.keys import signing

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "docs" / "formats"
CODE = Path(countenance.__file__).parent
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES.glob("*.md")}
MODULES = {name: re.findall(r"`([a-z_/0-9]+\.py)`", text) for name, text in TEXTS.items()}


def test_there_are_pages() -> None:
    assert {"encoding.md", "pass.md", "notice.md", "receipt.md", "epoch.md", "event.md", "template.md",
            "signers.md", "gone.md", "revocation-list.md"} <= set(TEXTS)


def test_each_module_of_formats_has_its_page() -> None:
    named = {module for modules in MODULES.values() for module in modules}
    modules = {f"formats/{path.name}" for path in (CODE / "formats").glob("*.py") if path.name != "__init__.py"}
    assert len(modules) >= 6
    assert modules <= named


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_each_page_names_modules_that_exist(page: str) -> None:
    assert MODULES[page]
    for module in MODULES[page]:
        assert (CODE / module).is_file() or (REPOSITORY / module).is_file(), module


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_each_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[page]):
        assert (PAGES / target).is_file(), target


def test_the_claims_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (-?\d+) \| ([A-Z_]+) \|", TEXTS["pass.md"], re.M)
    assert len(rows) == 12
    assert {name: int(number) for number, name in rows} == {name: getattr(passes, name) for _, name in rows}
    constants = {name for name, value in vars(passes).items() if name.isupper() and isinstance(value, int)
                 and not name.startswith("_")} - {"LONGEST", "END_OF_TIME"}
    assert {name for _, name in rows} == {name for name in constants if not name.endswith("_BYTES")}
    for name in ("PASS_ID", "FACE_ID", "PACK"):
        row = next(line for line in TEXTS["pass.md"].splitlines() if f"| {name.replace('PASS_ID', 'CTI')} |" in line)
        assert f"{getattr(passes, f'{name}_BYTES')} bytes" in row
    for number, custody in enumerate(Custody):
        assert f"{number} `{custody.value}`" in TEXTS["pass.md"]
    assert f"{passes.LONGEST:,} characters" in TEXTS["pass.md"]
    assert f"`{passes.PREFIX}`" in TEXTS["pass.md"]
    assert all(f"`{custody.value}`" in TEXTS["pass.md"] for custody in Custody)


def test_each_label_of_the_code_is_on_a_page_and_the_other_way_round() -> None:
    pattern = re.compile(r"countenance/[a-z-]+/\d+")
    used = {label for path in CODE.rglob("*.py") for label in pattern.findall(path.read_text("utf-8"))}
    told = {label for text in TEXTS.values() for label in pattern.findall(text)}
    assert len(used) >= 8
    assert told == used


def test_each_code_that_a_page_names_is_raised_somewhere() -> None:
    source = "\n".join(path.read_text("utf-8") for path in CODE.rglob("*.py"))
    codes = {code for text in TEXTS.values()
             for code in re.findall(r"`([a-z]+-(?:malformed|altered|wrong|broken|unknown|expired|text|"
                                    r"other-venue|from-future))`", text)}
    assert len(codes) >= 12
    for code in codes:
        what, _, kind = code.partition("-")
        made = kind in {"malformed", "altered"} and (f'f"{{what}}-{kind}"' in source) and f'"{what}"' in source
        assert f'"{code}"' in source or made, code


def test_each_signing_key_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", TEXTS["signers.md"], re.M)
    assert {row[0] for row in rows} == set(signing.USES)
    assert all(cell.strip() for row in rows for cell in row)


def test_each_event_about_a_person_is_on_its_page() -> None:
    source = "\n".join(path.read_text("utf-8") for path in CODE.rglob("*.py"))
    types = set(re.findall(r'tell_of(?:_even_if_lost)?\(\s*[\w.]+,\s*"([a-z-]+)"', source))
    types |= {f"consent-{state.value}" for state in State}
    assert {"decision", "pass-issued", "template-sealed"} <= types
    listed = re.search(r"^\| `type` \|.*$", TEXTS["event.md"], re.M)
    assert listed is not None
    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)?)`", listed[0])) - {"type"} == types
