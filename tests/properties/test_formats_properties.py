"""What holds for all bytes and all values of the formats."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput, Refused
from countenance.flows import passes as at_gate
from countenance.flows.ports import Ticket
from countenance.formats import base45, canonical, claim169, cose, passes, receipts, revocations
from countenance.quantities import Instant
from countenance.vault.keys.signing import Verifiers
from support.make_pass_vectors import CARRIED, KEY, KID, PASS_KEY, PLAIN, SEALED, SEARCHED
from support.spelled import spell

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.binary(max_size=20) | st.text(max_size=20)
KEYS = st.integers(-70_000, 70_000) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8)
ISSUED = [passes.write(content, KEY, KID) for content in (PLAIN, CARRIED, SEALED, SEARCHED)]


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


@given(VALUES)
def test_canonical_is_what_is_spelled_by_hand(value: Any) -> None:
    if not _has_bignum(value):
        assert canonical.encode(value) == spell(value)


def _has_bignum(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_bignum, value.values()))
    return any(map(_has_bignum, value)) if isinstance(value, list) else (
        isinstance(value, int) and not -(1 << 64) <= value < 1 << 64)


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


VERIFIERS = Verifiers(KEY.public_key(), frozenset())


class _EveryTicket:
    def require_good(self, reference: str, on: date) -> Ticket:
        return Ticket(reference, "", on, "en")

    def party(self, reference: str, on: date) -> int:
        return 1

    def require_whole(self) -> None:
        return None

    def version(self) -> str:
        return ""


def refused(text: str) -> str:
    """Show a pass at the lane without faces: the same check as at a gate with faces."""
    try:
        at_gate.plain_lane(text, VERIFIERS, PLAIN.venue, _EveryTicket(), PLAIN.issued_at)
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


@given(st.binary(max_size=60), st.binary(max_size=20), st.integers(0), st.integers(0, 7))
def test_a_sealed_message_with_one_bit_flipped_does_not_open(plain: bytes, aad: bytes, place: int, bit: int) -> None:
    message = bytearray(cose.encrypt0(plain, PASS_KEY, aad))
    assert cose.decrypt0(bytes(message), PASS_KEY, "thing", aad) == plain
    message[place % len(message)] ^= 1 << bit
    try:
        cose.decrypt0(bytes(message), PASS_KEY, "thing", aad)
    except BadInput as error:
        assert error.code in {"thing-altered", "thing-malformed"}
    else:
        raise AssertionError("opened, though a bit was flipped")


@given(st.binary(max_size=600))
def test_a_template_comes_out_of_its_claim_as_it_went_in(template: bytes) -> None:
    assert claim169.read(claim169.write(template)) == template


@given(st.binary(max_size=60))
def test_any_bytes_are_a_template_claim_or_are_refused(data: bytes) -> None:
    try:
        template = claim169.read(data)
    except BadInput as refused_with:
        assert refused_with.code == "pass-malformed"
    else:
        assert claim169.write(template) == data


HASHES = st.binary(min_size=16, max_size=16)
MOMENTS = st.integers(1, 253_402_300_798)


@given(st.frozensets(HASHES, max_size=6), st.dictionaries(HASHES, MOMENTS, max_size=4), st.integers(0, 2**63 - 1),
       MOMENTS)
def test_a_revocation_list_gives_back_what_was_written(
        faces: frozenset[bytes], void: dict[bytes, int], number: int, issued_at: int) -> None:
    content = revocations.RevocationList(
        PLAIN.venue, number, Instant(issued_at), Instant(issued_at + 1), faces,
        {digest: Instant(at) for digest, at in void.items()})
    text = revocations.write(content, KEY, KID)
    assert revocations.read(text, KEY.public_key()) == content


LISTED = revocations.write(revocations.RevocationList(
    PLAIN.venue, 3, Instant(10), Instant(20), frozenset({bytes(16)}), {b"v" * 16: Instant(5)}), KEY, KID)


@given(st.integers(0), st.characters(codec="latin-1"))
def test_a_list_with_one_character_changed_is_refused(place: int, other: str) -> None:
    text = LISTED.strip()
    place %= len(text)
    changed = text[:place] + other + text[place + 1 :]
    if changed.strip() == text:
        return
    try:
        read = revocations.read(changed, KEY.public_key())
    except BadInput as error:
        assert error.code in {"list-malformed", "list-altered"}
    else:  # in the key id, which is outside the signature
        assert revocations.write(read, KEY, KID) == LISTED


HASHES = st.binary(min_size=32, max_size=32)
EVENTS = st.builds(receipts.Proven, HASHES, HASHES, st.binary(max_size=60), st.integers(-1, 2**40),
                   st.lists(HASHES, max_size=3).map(tuple))


@given(st.dictionaries(st.text(max_size=8).filter(lambda k: k not in {"format", "signed", "events"}), JSON, max_size=5),
       st.lists(EVENTS, max_size=3))
def test_a_receipt_gives_back_its_facts(facts: dict[str, Any], events: list[receipts.Proven]) -> None:
    read = receipts.read(receipts.write(facts, events, KEY, KID), KEY.public_key())
    assert receipts.proven(read) == events
    assert {name: value for name, value in read.items() if name not in {"format", "events"}} == facts
    assert read["format"] == receipts.FORMAT
