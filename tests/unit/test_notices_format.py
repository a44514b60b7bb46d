"""Notices: exactly the text that was shown is what is hashed."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import cbor2
import pytest

from countenance.errors import BadInput
from countenance.formats import notices
from countenance.formats.notices import Notice, clean_text
from countenance.quantities import PurposeId, VenueId

VALUE: dict[str, Any] = {
    "format": "countenance/notice/1", "venue": "0123456789abcdef", "purpose": "entry.verify", "version": 1,
    "custody": "holder_keyed", "valid_days": 365, "texts": {"en": "May we?", "zh": "可以吗？"}}  # noqa: RUF001
NOTICE = Notice(VenueId(VALUE["venue"]), PurposeId("entry.verify"), 1, "holder_keyed", 365, VALUE["texts"])


def test_the_hash_is_of_bytes_that_another_encoder_writes_too() -> None:
    data = cbor2.dumps(VALUE, canonical=True)
    assert NOTICE.canonical() == data
    assert NOTICE.hash == hashlib.sha256(data).hexdigest()
    assert NOTICE.hash == "ea48005601fdf636a88f53ee4f255145080491e77069154b41f745a4cedee90b"


def test_the_hash_does_not_depend_on_the_order_of_languages() -> None:
    swapped = Notice(NOTICE.venue, NOTICE.purpose, 1, "holder_keyed", 365, dict(reversed(VALUE["texts"].items())))
    assert swapped.hash == NOTICE.hash
    assert notices.parse(NOTICE.canonical()) == NOTICE


@pytest.mark.parametrize("change", [
    {"venue": "x"}, {"purpose": "entry.search"}, {"version": 2}, {"custody": "venue_keyed"}, {"valid_days": 366},
    {"texts": {"en": "May we?"}},
    {"texts": {"en": "May we ?", "zh": "可以吗？"}}])  # noqa: RUF001
def test_the_hash_depends_on_everything(change: dict[str, Any]) -> None:
    other = notices.parse(cbor2.dumps({**VALUE, **change}, canonical=True))
    assert other.hash != NOTICE.hash


@pytest.mark.parametrize("hidden", [
    "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u00ad",
    "\u2060", "\u061c", "\x00", "\x07", "\x1b[8m", "\t",
    "\r", "\x7f", "\x85", "\ue000", "\U000e0041", "\ud800"])
def test_hidden_characters_are_refused(hidden: str) -> None:
    with pytest.raises(BadInput) as caught:
        clean_text(f"We keep no{hidden}thing.")
    assert caught.value.code == "notice-text"


@pytest.mark.parametrize("text", ["", " \n ", "x" * 20_001])
def test_empty_and_overlong_texts_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        clean_text(text)


def test_line_ends_and_accents_have_one_spelling() -> None:
    assert clean_text("  a\r\nb\n") == "a\nb"
    assert clean_text(unicodedata.normalize("NFD", "Zoë")) == "Zoë"
    assert len(clean_text("x" * 20_000)) == 20_000


@pytest.mark.parametrize("value", [
    [], {}, {**VALUE, "format": "countenance/notice/2"}, {**VALUE, "more": 1},
    {k: v for k, v in VALUE.items() if k != "custody"}, {**VALUE, "version": "1"}, {**VALUE, "texts": []},
    {**VALUE, "texts": {"en": 1}}, {**VALUE, "texts": {1: "x"}}, {**VALUE, "venue": b"x"},
    {**VALUE, "valid_days": None}])
def test_other_shapes_are_refused(value: Any) -> None:
    with pytest.raises(BadInput) as caught:
        notices.parse(cbor2.dumps(value, canonical=True))
    assert caught.value.code == "notice-malformed"
