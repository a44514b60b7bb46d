"""Receipts: what people read is what was signed, in one spelling."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput
from countenance.formats import canonical, cose, receipts, strict64
from countenance.formats.evidence import spelled
from countenance.formats.receipts import Proven
from support.make_pass_vectors import KEY, KID, OTHER_KEY

FACTS: dict[str, Any] = {"kind": "erasure", "final": True, "uses": 1, "person": "ada", "languages": ["en", "zh"],
                         "note": "年卡", "nothing": None, "inside": {"b": "1", "a": "2"}}
EVENTS = [Proven(bytes(32), bytes(range(32)), b"record", 7, (bytes(32), bytes([1]) * 32)),
          Proven(bytes([2]) * 32, bytes(32), b"", -1, ())]
TEXT = receipts.write(FACTS, EVENTS, KEY, KID)
PUBLIC = KEY.public_key()
Change = Callable[[dict[str, Any]], object]


def altered(change: Change, text: str = TEXT) -> str:
    body = json.loads(text)
    change(body)
    return spelled(body)


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        receipts.read(text, PUBLIC)
    return caught.value.code


def test_what_was_written_is_read_with_its_events() -> None:
    body = receipts.read(TEXT, PUBLIC)
    assert {**FACTS, "format": "countenance/receipt/2", "events": [event.value() for event in EVENTS]} == body
    assert receipts.proven(body) == EVENTS
    assert "年卡" in TEXT  # for people
    assert TEXT.endswith("\n}\n")


def test_it_is_written_the_same_again() -> None:
    assert receipts.write(dict(reversed(FACTS.items())), EVENTS, KEY, KID) == TEXT


@pytest.mark.parametrize("change", [
    lambda body: body.update(final=False), lambda body: body.update(person="ben"),
    lambda body: body.update(final=1), lambda body: body.update(uses=True),
    lambda body: body.pop("note"), lambda body: body.update(more="x"),
    lambda body: body["events"][0].update(leaf="01" * 32), lambda body: body["events"].reverse(),
    lambda body: body["languages"].reverse(), lambda body: body.update(nothing=""),
    lambda body: body["inside"].update(a="1"),
], ids=["final", "person", "one for true", "true for one", "less", "more", "event", "events", "order", "empty",
        "inside"])
def test_an_altered_readable_part_is_refused(change: Change) -> None:
    assert refused(altered(change)) == "receipt-altered"


def test_a_fraction_for_a_number_is_refused() -> None:
    assert refused(altered(lambda body: body.update(uses=1.0))) == "receipt-altered"


@pytest.mark.parametrize("spell", [
    lambda body: json.dumps(body, ensure_ascii=False), lambda body: json.dumps(body, indent=1, sort_keys=True) + "\n",
    lambda body: json.dumps(body, ensure_ascii=False, indent=2, sort_keys=True) + "\n",
    lambda body: json.dumps(dict(reversed(body.items())), ensure_ascii=False, indent=1) + "\n",
    lambda body: spelled(body).rstrip("\n"), lambda body: spelled(body) + "\n", lambda body: "\ufeff" + spelled(body),
    lambda body: spelled(body).replace("\n", "\r\n"), lambda body: spelled(body).replace('": ', '" : ', 1),
], ids=["compact", "escaped", "wide", "unsorted", "no end", "two ends", "mark in front", "crlf", "space"])
def test_the_same_facts_in_another_spelling_are_refused(spell: Callable[[dict[str, Any]], str]) -> None:
    text = spell(json.loads(TEXT))
    assert json.loads(text.lstrip("\ufeff")) == json.loads(TEXT)
    assert refused(text) == "receipt-malformed"


@pytest.mark.parametrize(("where", "more"), [
    ('{\n "events"', '{\n "person": "ben",\n "events"'), ('"leaf": "00', '"leaf": "ff00",\n   "leaf": "00')])
def test_a_name_that_stands_twice_is_refused(where: str, more: str) -> None:
    assert where in TEXT
    doubled = TEXT.replace(where, more, 1)
    assert json.loads(doubled) == json.loads(TEXT)  # a program that takes the last one sees nothing
    assert refused(doubled) == "receipt-malformed"


def test_an_altered_signature_is_refused() -> None:
    message = bytearray(base64.b64decode(json.loads(TEXT)["signed"]))
    message[-1] ^= 1
    spoiled = strict64.encode(bytes(message))
    assert refused(altered(lambda b: b.update(signed=spoiled))) == "receipt-altered"
    assert refused(receipts.write(FACTS, EVENTS, OTHER_KEY, KID)) == "receipt-altered"
    assert refused(receipts.write(FACTS, EVENTS, OTHER_KEY, cose.key_id(OTHER_KEY.public_key()))) == "receipt-altered"
    other = json.loads(receipts.write({**FACTS, "person": "ben"}, EVENTS, KEY, KID))["signed"]
    assert refused(altered(lambda b: b.update(signed=other))) == "receipt-altered"


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '"x"', "{}", '{"signed": 1}', '{"signed": "!!"}', '{"signed": ""}',
    '{"signed": "AAAA"}', '{"signed": "AAAA", "x": "\\ud800"}', "[" * 100_000, '{"signed": "AAAA", "x": NaN}',
    " " * (receipts.LARGEST + 1), altered(lambda body: body.update(format="countenance/receipt/1")),
    altered(lambda body: body.update(format="countenance/evidence/1")), altered(lambda body: body.pop("format")),
    altered(lambda body: body.pop("signed")), altered(lambda body: body.update(signed=["AAAA"])),
], ids=range(19))
def test_what_is_no_receipt_is_refused(text: str) -> None:
    assert refused(text) == "receipt-malformed"


def test_something_else_that_was_signed_is_no_receipt() -> None:
    for value in ({"kind": "erasure"}, ["countenance/receipt/2"], {"format": "countenance/other/1"}):
        message = cose.sign1(canonical.encode(value), KEY, KID)
        body = {**(value if isinstance(value, dict) else {}), "signed": strict64.encode(message)}
        assert refused(spelled(body)) == "receipt-malformed"


@pytest.mark.parametrize("change", [
    lambda event: event.update(leaf=event["leaf"].upper() + "AA"), lambda event: event.update(leaf=" 00"),
    lambda event: event.update(nonce=1), lambda event: event.update(record="0"), lambda event: event.pop("proof"),
    lambda event: event.update(index=True), lambda event: event.update(index="7"), lambda event: event.update(more=1),
    lambda event: event.update(proof=["AAAA"]), lambda event: event.update(proof="AAAA"),
    lambda event: event["proof"].append(event["proof"][0].rstrip("=")),
], ids=["capitals", "space", "number", "half a byte", "no proof", "true", "text", "more", "short", "no list",
        "unpadded"])
def test_an_event_in_another_form_is_refused(change: Change) -> None:
    body = receipts.read(TEXT, PUBLIC)
    change(body["events"][0])
    with pytest.raises(BadInput) as caught:
        receipts.proven(body)
    assert caught.value.code == "receipt-malformed"


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="utf-8"))
def test_a_receipt_with_one_letter_changed_is_refused(place: int, letter: str) -> None:
    changed = TEXT[:place] + letter + TEXT[place + 1:]
    if changed != TEXT:
        assert refused(changed) in {"receipt-malformed", "receipt-altered"}
