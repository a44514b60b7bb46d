"""Every code that is raised anywhere has a status that somebody decided on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from countenance import errors
from countenance.server import codes, problems

SOURCE = Path(errors.__file__).parent
CLASSES = {"Refused", "BadInput", "StoreFault", "ModelFault"}


def raised() -> dict[str, str]:
    """Return code -> class of every error that is made with a code that stands there."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in CLASSES:
                    found[str(node.args[0].value)] = name
    return found


def test_every_code_that_is_raised_has_its_status() -> None:
    found = raised()
    assert len(found) > 250 and found["store-busy"] == "StoreFault"  # the search finds
    missing = {code for code in found if code not in codes.STATUS and not code.startswith(codes.OUTSIDE)}
    assert missing == set(), "add them to their row in server/codes.py"


def test_the_table_is_well_formed_and_no_code_stands_in_two_rows() -> None:
    told = [code for row in codes._BY_STATUS.values() for code in row.split()]
    assert len(told) == len(set(told))
    assert [code for code in told if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []
    assert set(codes._BY_STATUS) <= set(codes.TITLES)
    assert set(codes.BY_CLASS) == CLASSES


def test_faults_of_the_venue_are_never_the_callers() -> None:
    for code, kind in raised().items():
        if kind in {"StoreFault", "ModelFault"} and code in codes.STATUS:
            assert codes.STATUS[code] in {503, 500, 404, 409, 422}, code
    for kind, status in codes.BY_CLASS.items():
        error = getattr(errors, kind)("code-of-tomorrow", "Nobody knows it yet.")
        assert problems.status_of(error) == status >= 400


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_an_error_of_the_application_says_its_sentence_and_no_more(kind: str) -> None:
    answer = problems.problem(getattr(errors, kind)("key-unknown", "This key is not known."), "id-1")
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert answer.media_type == "application/problem+json"
    assert b'"detail": "This key is not known."' in bytes(answer.body)


OUR_OWN = {("options.py", "name")}
"""Names of options, which stand in the source."""


def test_sentences_of_the_server_repeat_nothing_that_was_sent() -> None:
    """A sentence in server/ or access/ has no place for a value, but for numbers of our own."""
    paths = [*(SOURCE / "server").rglob("*.py"), *(SOURCE / "access").rglob("*.py")]
    odd = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (isinstance(node, ast.Call) and getattr(node.func, "id", "") in CLASSES and len(node.args) == 2
                    and isinstance(node.args[1], ast.JoinedStr)):
                used = {inner.id for inner in ast.walk(node.args[1]) if isinstance(inner, ast.Name)}
                odd += [(path.name, name) for name in used if not name.isupper()]
    assert set(odd) - OUR_OWN == set()
