"""Entries of the log and a person's records: one encoding each, and nothing else is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from countenance.errors import BadInput
from countenance.formats import canonical, log_entries
from countenance.formats.log_entries import Clear, Record
from countenance.quantities import END_OF_TIME, Instant
from support.spelled import Raw, mapping, open_ended, pairs, spell

AT = Instant(1_782_000_000)
LEAF = bytes(range(32))
PLAIN: dict[str, Any] = {"type": "order", "at": AT, "body": {}}
RECORD = Record("decision", AT, 2, LEAF, {"purpose": "entry", "outcome": "admit", "people": 1, "gate": "north"})


def code_of(act: Callable[..., object], *given: object) -> str:
    with pytest.raises(BadInput) as caught:
        act(*given)
    return caught.value.code


def encoded(**changed: Any) -> bytes:
    """Return a clear entry with members changed; None leaves one out."""
    value = PLAIN | changed
    return b"\x01" + canonical.encode({name: inner for name, inner in value.items() if inner is not None})


def record(**changed: Any) -> bytes:
    value = {"type": "decision", "at": AT, "number": 1, "before": b"", "body": {}} | changed
    return canonical.encode({name: inner for name, inner in value.items() if inner is not None})


# -- what is read


@pytest.mark.parametrize("body", [
    {}, {"number": 3}, {"text": "日志", "hash": LEAF, "yes": True, "no": None, "list": [1, [], {"a": -1}]},
    {"low": -(2**63), "high": 2**63 - 1},
])
def test_a_clear_entry_is_read_as_it_was_written(body: dict[str, Any]) -> None:
    entry = log_entries.clear("order", AT, body)
    assert entry == b"\x01" + spell({"at": AT, "type": "order", "body": body})
    assert log_entries.parse(entry) == Clear("order", AT, body)


def test_a_sealed_entry_is_its_leaf_behind_a_zero() -> None:
    assert log_entries.sealed(LEAF) == b"\x00" + LEAF
    assert log_entries.parse(b"\x00" + LEAF) == LEAF


def test_a_leaf_is_the_hash_over_nonce_and_record() -> None:
    data = RECORD.encode()
    assert log_entries.leaf_of(LEAF, data) == hashlib.sha256(LEAF + data).digest()
    assert len({log_entries.leaf_of(nonce, data) for nonce in (LEAF, LEAF[::-1], bytes(32))}) == 3
    assert log_entries.leaf_of(LEAF, data) != log_entries.leaf_of(LEAF, data[:-1])


@pytest.mark.parametrize("wanted", [
    RECORD, Record("consent-given", AT, 1, b"", {}), Record("person-erased", AT, 0, b"", {}),
    Record("decision", Instant(0), 2**63 - 1, LEAF, {}), Record("decision", Instant(END_OF_TIME - 1), 2, LEAF, {}),
])
def test_a_record_is_read_as_it_was_written(wanted: Record) -> None:
    assert log_entries.read_record(wanted.encode()) == wanted
    assert wanted.encode() == spell({"at": wanted.at, "type": wanted.type, "number": wanted.number,
                                     "before": wanted.before, "body": wanted.body})


# -- its size


def filled(size: int) -> dict[str, Any]:
    """Return a body with which a clear entry has `size` bytes; beyond 64 KiB of text its length takes four bytes."""
    text = size - len(log_entries.clear("order", AT, {"text": "x" * 60_000})) + 60_000
    return {"text": "x" * text}


def test_the_longest_entry_and_one_byte_more() -> None:
    entry = log_entries.clear("order", AT, filled(65_535))
    assert len(entry) == 65_535 == log_entries.LARGEST
    assert log_entries.parse(entry) == Clear("order", AT, filled(65_535))
    assert code_of(log_entries.clear, "order", AT, filled(65_536)) == "entry-too-large"
    longer = b"\x01" + canonical.encode({"type": "order", "at": AT, "body": filled(65_536)})
    assert len(longer) == 65_536
    assert code_of(log_entries.parse, longer) == "entry-malformed"


# -- what is no entry


@pytest.mark.parametrize("entry", [
    pytest.param(b"", id="nothing"),
    pytest.param(b"\x00", id="no leaf"),
    pytest.param(b"\x00" + LEAF[:-1], id="31 bytes"),
    pytest.param(b"\x00" + LEAF + b"\x00", id="33 bytes"),
    pytest.param(LEAF, id="a leaf without the zero"),
    pytest.param(b"\x02" + LEAF, id="another kind"),
    pytest.param(b"\x02" + encoded()[1:], id="a clear one of another kind"),
    pytest.param(b"\x00" + encoded()[1:], id="a clear one that says it is sealed"),
    pytest.param(b"\x01" + LEAF, id="a sealed one that says it is clear"),
    pytest.param(b"\x01", id="no value"),
    pytest.param(encoded()[:-1], id="cut short"),
    pytest.param(encoded() + b"\x00", id="a byte behind"),
    pytest.param(encoded(type=None), id="no type"),
    pytest.param(encoded(at=None), id="no time"),
    pytest.param(encoded(body=None), id="no body"),
    pytest.param(encoded(more=1), id="a member more"),
    pytest.param(encoded(person="x"), id="a person"),
    pytest.param(encoded(type=1), id="type is a number"),
    pytest.param(encoded(type=b"order"), id="type is bytes"),
    pytest.param(encoded(at=True), id="time is true"),
    pytest.param(encoded(at="1782000000"), id="time is text"),
    pytest.param(encoded(at=-1), id="before 1970"),
    pytest.param(encoded(at=END_OF_TIME), id="the year 10000"),
    pytest.param(encoded(at=2**64), id="a time beyond 64 bits"),
    pytest.param(encoded(body=[]), id="body is a list"),
    pytest.param(encoded(body=b""), id="body is bytes"),
    pytest.param(encoded(body={1: 2}), id="a number for a name"),
    pytest.param(encoded(body={b"a": 2}), id="bytes for a name"),
    pytest.param(encoded(body={"a": [{1: 2}]}), id="a number for a name, deep inside"),
    pytest.param(encoded(body={"a": 2**63}), id="2^63"),
    pytest.param(encoded(body={"a": -(2**63) - 1}), id="-2^63 - 1"),
    pytest.param(encoded(body={"a": 2**70}), id="a bignum"),
    pytest.param(b"\x01" + spell(PLAIN | {"body": {"a": Raw(b"\xf9\x3c\x00")}}), id="a float"),
    pytest.param(b"\x01" + spell(PLAIN | {"body": {"a": Raw(b"\xf7")}}), id="undefined"),
    pytest.param(b"\x01" + spell(PLAIN | {"at": Raw(b"\x1b" + AT.to_bytes(8, "big"))}), id="a long integer"),
    pytest.param(b"\x01" + open_ended(PLAIN), id="open-ended"),
    pytest.param(b"\x01" + mapping(pairs(PLAIN)[::-1]), id="unsorted"),
    pytest.param(b"\x01" + mapping([*pairs(PLAIN)[:1], *pairs(PLAIN)]), id="a name twice"),
])
def test_what_is_no_entry_is_refused(entry: bytes) -> None:
    assert log_entries.parse(encoded()) == Clear("order", AT, {})
    assert code_of(log_entries.parse, entry) == "entry-malformed"


@pytest.mark.parametrize("data", [
    pytest.param(b"", id="nothing"),
    pytest.param(record()[:-1], id="cut short"),
    pytest.param(record() + b"\x00", id="a byte behind"),
    pytest.param(b"\x01" + record(), id="the byte of a clear entry before it"),
    pytest.param(encoded()[1:], id="a clear entry's map"),
    *(pytest.param(record(**{name: None}), id=f"no {name}") for name in ("type", "at", "number", "before", "body")),
    pytest.param(record(row_before=0), id="the row that an older format had"),
    pytest.param(record(number=-1), id="below zero"),
    pytest.param(record(number=True), id="true for a number"),
    pytest.param(record(number="1"), id="text for a number"),
    pytest.param(record(number=2**63), id="2^63"),
    pytest.param(record(number=2**90), id="a bignum"),
    pytest.param(record(before=LEAF[:-1]), id="31 bytes before"),
    pytest.param(record(before=LEAF + b"\x00"), id="33 bytes before"),
    pytest.param(record(before=LEAF.hex()), id="the leaf before in hex"),
    pytest.param(record(at=END_OF_TIME), id="the year 10000"),
    pytest.param(record(at=-1), id="before 1970"),
    pytest.param(record(body={1: 2}), id="a number for a name"),
    pytest.param(record(body=[["a", 1]]), id="body is a list"),
])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    assert log_entries.read_record(record()) == Record("decision", AT, 1, b"", {})
    assert code_of(log_entries.read_record, data) == "entry-malformed"


def test_a_value_behind_a_tag_is_no_part_of_a_body() -> None:
    """A tag would be a second way to write the same fact, and some tags make readers fetch or build something."""
    plain = spell(PLAIN | {"body": {"a": "x"}})
    assert log_entries.parse(b"\x01" + plain) == Clear("order", AT, {"a": "x"})
    for tag in (b"\xc9", b"\xd8\x20", b"\xd8\x23", b"\xd9\x01\x00"):
        tagged = plain.replace(b"\x61x", tag + b"\x61x")
        assert len(tagged) == len(plain) + len(tag)
        assert code_of(log_entries.parse, b"\x01" + tagged) == "entry-malformed"


def test_each_flipped_bit_of_a_record_changes_its_leaf() -> None:
    data = RECORD.encode()
    leaves = {log_entries.leaf_of(LEAF, data)}
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        leaves.add(log_entries.leaf_of(LEAF, bytes(changed)))
    assert len(leaves) == len(data) * 8 + 1
