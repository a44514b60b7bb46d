"""Evidence: one ZIP, one JSON, one page that holds exactly what was signed."""

from __future__ import annotations

import html.parser
import json
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput
from countenance.formats import evidence
from countenance.formats.evidence import Content, NoteKey
from support.make_proof_vectors import (
    ELSE_KEY,
    EVIDENCE,
    FACTS,
    KEYS,
    KID,
    RECEIPT_KEY,
    WITNESSES,
    content,
    page,
)

PUBLIC = RECEIPT_KEY.public_key()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-evidence.LARGEST_INTEGER, evidence.LARGEST_INTEGER)
    | st.text(st.characters(codec="utf-8") | st.sampled_from('<>"\\u003c/!-\u2028'), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=10)


class Elements(html.parser.HTMLParser):
    """What a browser finds in the two elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = str(dict(attrs).get("id", "")) if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.found[self._open] = self.found.get(self._open, "") + data


def refused(data: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        evidence.read(data, PUBLIC)
    return caught.value.code


def test_what_was_written_is_read() -> None:
    written = evidence.write(content(), page, RECEIPT_KEY, KID)
    assert written == EVIDENCE
    assert evidence.read(written, PUBLIC) == content()


def test_anybody_elses_signature_is_refused() -> None:
    assert refused(evidence.write(content(), page, ELSE_KEY, KID)) == "evidence-altered"


@pytest.mark.parametrize("change", [
    {"kind": "people"}, {"person": ""}, {"at": "now"}, {"origin": "elsewhere"}, {"asserted": {"rate": 0.1}},
    {"asserted": {"n": 1 << 53}}, {"asserted": {"n": float("nan")}}, {"asserted": {"letter": "\ud800"}},
    {"asserted": {"bytes": b""}}, {"clear": content().clear[::-1]}, {"venue": "park"},
    {"keys": replace(KEYS, witnesses=(WITNESSES[0], WITNESSES[0]))},
    {"keys": replace(KEYS, log=NoteKey(KEYS.log.name, 4, KEYS.log.public))},
], ids=str)
def test_what_could_not_be_read_is_not_written(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        evidence.write(replace(content(), **change), page, RECEIPT_KEY, KID)
    assert caught.value.code == "evidence-malformed"


def test_a_page_that_holds_something_else_is_not_written() -> None:
    with pytest.raises(BadInput) as caught:
        evidence.write(content(), lambda facts, signature: page(facts, signature * 2), RECEIPT_KEY, KID)
    assert caught.value.code == "evidence-altered"


@given(JSON)
def test_whatever_is_asserted_comes_back_and_out_of_the_page(asserted: Any) -> None:
    with_it = replace(content(), asserted={"it": asserted})
    data = evidence.write(with_it, page, RECEIPT_KEY, KID)
    assert evidence.read(data, PUBLIC) == with_it
    files = evidence.open_zip(data)
    assert files.encode() == data
    found = Elements(files.page).found
    assert evidence.recovered_json(found["evidence"]) == files.facts
    assert found["signature"] == files.signature
    assert json.loads(found["evidence"]) == json.loads(files.facts)


@given(st.text(st.sampled_from('<\\u003c"n/script>x'), max_size=30))
def test_what_looks_like_an_escape_is_told_from_one(text: str) -> None:
    spelled = evidence.spelled({"it": text})
    assert "<" not in evidence.embedded_json(spelled)
    assert evidence.recovered_json(evidence.embedded_json(spelled)) == spelled


@given(st.binary(max_size=300) | st.builds(lambda a, b, c: EVIDENCE[:a] + b + EVIDENCE[c:], st.integers(0, 400),
                                           st.binary(max_size=8), st.integers(0, 400)))
def test_any_bytes_are_a_zip_in_its_one_spelling_or_refused(data: bytes) -> None:
    try:
        files = evidence.open_zip(data)
    except BadInput as error:
        assert error.code == "evidence-malformed"
    else:
        assert files.encode() == data


@given(st.sampled_from(FACTS.splitlines()), st.text(max_size=6), st.integers(0, 60))
def test_any_text_is_read_exactly_or_refused(line: str, more: str, at: int) -> None:
    text = FACTS.replace(line, line[:at] + more + line[at + len(more):], 1)
    try:
        found = evidence.parse(text)
    except BadInput as error:
        assert error.code == "evidence-malformed"
    else:
        assert evidence.spelled(found.value()) == text


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", "{}", "[" * 100_000, '{"a":' * 100_000, "1" * 10_000,
                                  '{"format": "countenance/evidence/1"}\n'])
def test_what_is_no_evidence_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        evidence.parse(text)
    assert caught.value.code == "evidence-malformed"


def test_a_file_that_says_it_is_huge_takes_no_memory() -> None:
    lying = bytearray(EVIDENCE)
    lying[18:26] = b"\xff" * 8  # the first file is 4 GiB long, it says
    tracemalloc.start()
    try:
        assert refused(bytes(lying)) == "evidence-malformed"
        assert refused(b"PK" + bytes(evidence.LARGEST)) == "evidence-malformed"
        assert tracemalloc.get_traced_memory()[1] < 2 * evidence.LARGEST + (8 << 20)
    finally:
        tracemalloc.stop()


def test_the_content_has_no_field_that_the_file_has_not() -> None:
    assert set(json.loads(FACTS)) == {"format", *Content.__dataclass_fields__}
