"""Receipts: what people read is what was signed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from countenance.errors import BadInput
from countenance.formats import canonical, cose, receipts
from support.make_pass_vectors import KEY, KID, OTHER_KEY

FACTS: dict[str, Any] = {"kind": "erasure", "final": True, "uses": 1, "person": "ada", "languages": ["en", "zh"],
                         "event": {"leaf": "00ff"}, "note": "年卡", "nothing": None}
PUBLIC = KEY.public_key()


def altered(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    body = json.loads(text)
    change(body)
    return json.dumps(body)


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        receipts.read(text, PUBLIC)
    return caught.value.code


def test_what_was_written_is_read_also_when_laid_out_anew() -> None:
    text = receipts.write(FACTS, KEY, KID)
    assert receipts.read(text, PUBLIC) == FACTS
    assert receipts.read(json.dumps(json.loads(text)), PUBLIC) == FACTS
    assert json.loads(text)["format"] == "countenance/receipt/1"
    assert "年卡" in text  # for people


@pytest.mark.parametrize("change", [
    lambda body: body.update(final=False), lambda body: body.update(person="ben"),
    lambda body: body.update(final=1), lambda body: body.update(uses=True), lambda body: body.update(uses=1.0),
    lambda body: body.pop("note"), lambda body: body.update(more="x"),
    lambda body: body["event"].update(leaf="00fe"),
    lambda body: body["languages"].reverse(), lambda body: body.update(nothing=""),
    lambda body: body.update(format="countenance/receipt/2"),
], ids=["final", "person", "one for true", "true for one", "1.0", "less", "more", "inside",
        "order", "empty", "format"])
def test_an_altered_readable_part_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    assert refused(altered(receipts.write(FACTS, KEY, KID), change)) == "receipt-altered"


@pytest.mark.parametrize(("where", "more"), [
    ('{\n "event"', '{"person": "ben", "event"'), ('"leaf": "00ff"', '"leaf": "ff00", "leaf": "00ff"')])
def test_a_name_that_stands_twice_is_refused(where: str, more: str) -> None:
    text = receipts.write(FACTS, KEY, KID)
    assert where in text
    doubled = text.replace(where, more)
    assert json.loads(doubled) == json.loads(text)  # a program that takes the last one sees nothing
    assert refused(doubled) == "receipt-malformed"


def test_an_altered_signature_is_refused() -> None:
    text = receipts.write(FACTS, KEY, KID)
    message = bytearray(base64.b64decode(json.loads(text)["signed"]))
    message[-1] ^= 1
    spoiled = base64.b64encode(message).decode()
    assert refused(altered(text, lambda b: b.update(signed=spoiled))) == "receipt-altered"
    assert refused(receipts.write(FACTS, OTHER_KEY, KID)) == "receipt-altered"
    other = json.loads(receipts.write({**FACTS, "person": "ben"}, KEY, KID))["signed"]
    assert refused(altered(text, lambda b: b.update(signed=other))) == "receipt-altered"


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '"x"', "{}", '{"signed": 1}', '{"signed": "!!"}', '{"signed": ""}',
    '{"signed": "AAAA"}',
    '{"signed": "AAAA", "x": "\\ud800"}', "[" * 100_000, '{"signed": "AAAA", "x": NaN}',
])
def test_what_is_no_receipt_is_refused(text: str) -> None:
    assert refused(text) == "receipt-malformed"


def test_something_else_that_was_signed_is_no_receipt() -> None:
    for value in ({"kind": "erasure"}, ["countenance/receipt/1"], {"format": "countenance/other/1"}):
        message = cose.sign1(canonical.encode(value), KEY, KID)
        body = {**(value if isinstance(value, dict) else {}), "signed": base64.b64encode(message).decode()}
        assert refused(json.dumps(body)) == "receipt-malformed"
