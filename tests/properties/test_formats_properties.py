"""What holds for all bytes and all values of the formats."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput, Refused
from countenance.flows import passes as at_gate
from countenance.flows.ports import Ticket
from countenance.formats import base45, canonical, cose, passes, receipts
from support.make_pass_vectors import KEY, KID, PLAIN, SEALED, SEARCHED

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.binary(max_size=20) | st.text(max_size=20)
KEYS = st.integers(-70_000, 70_000) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8)
ISSUED = [passes.write(content, KEY, KID) for content in (PLAIN, SEALED, SEARCHED)]


@given(st.binary(max_size=80))
def test_base45_gives_back_what_was_written(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data


@given(st.text(alphabet="0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", max_size=12))
def test_base45_has_one_spelling(text: str) -> None:
    try:
        data = base45.decode(text)
    except BadInput:
        return
    assert base45.encode(data) == text


@given(VALUES)
def test_canonical_gives_back_what_was_written(value: Any) -> None:
    assert canonical.decode(canonical.encode(value), "thing") == value


@given(st.binary(max_size=60) | st.builds(lambda tag, rest: bytes([0xC0 | tag]) + rest, st.integers(0, 23),
                                          st.binary(max_size=12))
       | st.builds(lambda tag, rest: bytes([0xD8, tag]) + rest, st.integers(24, 255), st.binary(max_size=12)))
def test_any_bytes_are_read_exactly_or_refused(data: bytes) -> None:
    try:
        value = canonical.decode(data, "thing")
    except BadInput as refused:
        assert refused.code == "thing-malformed"
    else:
        assert canonical.encode(value) == data


REFUSALS = {"pass-malformed", "pass-altered", "pass-other-venue"}
"""The last where the bit is in the key id, which is outside the signature."""


class _EveryTicket:
    def require_good(self, reference: str, on: date) -> Ticket:
        return Ticket(reference, "", on, "en")

    def version(self) -> str:
        return ""


def refused(text: str) -> str:
    """Show a pass at the lane without faces: the same check as at a gate with faces."""
    try:
        at_gate.plain_lane(text, KEY.public_key(), PLAIN.venue, _EveryTicket(), PLAIN.issued_at)
    except (BadInput, Refused) as error:
        return error.code
    return "read"


@given(st.sampled_from(ISSUED), st.integers(0), st.integers(0, 7))
def test_a_pass_with_one_bit_flipped_is_refused(text: str, place: int, bit: int) -> None:
    assert refused(text) == "read"
    data = bytearray(base45.decode(text.removeprefix("CN1:")))
    data[place % len(data)] ^= 1 << bit
    assert refused("CN1:" + base45.encode(bytes(data))) in REFUSALS


@given(st.sampled_from(ISSUED), st.integers(0), st.characters(codec="latin-1"))
def test_a_pass_with_one_character_changed_is_refused(text: str, place: int, other: str) -> None:
    place %= len(text)
    if text[place] != other:
        assert refused(text[:place] + other + text[place + 1 :]) in REFUSALS


@given(st.sampled_from(ISSUED), st.integers(0), st.booleans())
def test_a_pass_cut_short_at_either_end_is_refused(text: str, length: int, front: bool) -> None:
    part = text[: length % len(text)]
    assert refused(part) in REFUSALS
    assert refused("CN1:" + text[4 + 1 + length % (len(text) - 4) :] if front else part) in REFUSALS


@given(st.sampled_from(ISSUED), st.text(max_size=5))
def test_a_pass_with_something_behind_it_is_refused(text: str, more: str) -> None:
    if more.strip("\r\n"):
        assert refused(text + more) in REFUSALS


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_a_signature_holds_for_its_own_external_data_only(payload: bytes, aad: bytes) -> None:
    message = cose.sign1(payload, KEY, KID, aad)
    assert cose.verify1(message, KEY.public_key(), "thing", aad) == payload
    try:
        cose.verify1(message, KEY.public_key(), "thing", aad + b"x")
    except BadInput as error:
        assert error.code == "thing-altered"
    else:
        raise AssertionError("read under other external data")


@given(st.dictionaries(st.text(max_size=8).filter(lambda k: k not in {"format", "signed"}), JSON, max_size=5))
def test_a_receipt_gives_back_its_facts(facts: dict[str, Any]) -> None:
    assert receipts.read(receipts.write(facts, KEY, KID), KEY.public_key()) == facts
