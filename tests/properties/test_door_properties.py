"""Whatever comes in, a door's formats answer with what it says or with one of their own refusals."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.errors import BadInput, Refused, StoreFault
from countenance.formats import canonical, cose, door_tokens
from countenance.formats.door_tokens import DoorToken, Spent
from countenance.integrations import outside
from countenance.quantities import Instant, VenueId
from support.make_door_vectors import AT, CLAIMS
from support.make_pass_vectors import KEY, KID

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=32)
tokens = st.builds(
    lambda venue, gate, at, lives, token_id, people: DoorToken(
        VenueId(venue), gate, Instant(at), Instant(at + lives), token_id, people),
    names, names, st.integers(1, 1 << 35), st.integers(1, 10), st.binary(min_size=16, max_size=16), st.integers(1, 99))


@given(tokens)
def test_what_is_written_is_read_the_same(token: DoorToken) -> None:
    text = door_tokens.write(token, KEY, KID)
    assert len(text) <= door_tokens.LONGEST
    assert door_tokens.peek(text) == token
    assert door_tokens.read(text, KEY.public_key(), token.issued_at, token.gate, token.venue) == token
    with pytest.raises(Refused, match="expired"):
        door_tokens.read(text, KEY.public_key(), token.expires_at, token.gate, token.venue)
    with pytest.raises(Refused, match="another gate"):
        door_tokens.read(text, KEY.public_key(), token.issued_at, token.gate + "x", token.venue)


@given(st.one_of(st.text(), st.binary().map(
    lambda data: "CND1:" + base64.urlsafe_b64encode(data).decode().rstrip("="))))
def test_no_text_is_a_token_by_accident(text: str) -> None:
    for act in (lambda: door_tokens.read(text, KEY.public_key(), Instant(AT), "g", VenueId("v")),
                lambda: door_tokens.peek(text)):
        with pytest.raises(BadInput):
            act()


anything = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.binary(max_size=40), st.text(max_size=8)),
                        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.integers(), inner)))


@given(st.sampled_from(sorted(CLAIMS)), anything)
def test_a_signed_claim_of_any_kind_is_read_or_refused(claim: int, value: Any) -> None:
    text = "CND1:" + base64.urlsafe_b64encode(
        cose.sign1(canonical.encode(CLAIMS | {claim: value}), KEY, KID)).decode().rstrip("=")
    try:
        token = door_tokens.read(text, KEY.public_key(), Instant(AT), str(CLAIMS[2]), VenueId(str(CLAIMS[1])))
    except (BadInput, Refused):
        return
    assert door_tokens.write(token, KEY, KID) == text


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40)), max_size=60), st.integers(1, 5))
def test_no_order_of_moments_spends_a_token_twice(shown: list[tuple[int, int]], most: int) -> None:
    spent, taken = Spent(most), []
    for number, after in shown:
        token = replace(DoorToken(VenueId("v"), "g", Instant(AT), Instant(AT + 10), bytes(16)),
                        token_id=bytes([number]) * 16, issued_at=Instant(AT + 3 * number),
                        expires_at=Instant(AT + 3 * number + 10))
        try:
            spent.take(token, Instant(AT + after))
        except Refused:
            continue
        taken.append(number)
        assert len(spent._until) <= most
    assert len(taken) == len(set(taken))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
                 st.tuples(st.sampled_from(["name", "kind", "url", "topic", "coil", "fail", "host", "secret"]),
                           st.text(max_size=20)).map(lambda pair: f"[[door]]\n{pair[0]} = '{pair[1]}'\n".encode())))
def test_no_file_is_read_that_says_nothing_sensible(data: bytes) -> None:
    try:
        found = outside.parse(data)
    except StoreFault as fault:
        assert fault.code in {"outside-malformed", "outside-keys", "outside-value"}
        return
    assert found == outside.Outside()
