"""Door tokens: the vectors of docs/formats/door_token.md, read by our code and by `cwt`; and each is spent once."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cwt import COSE, COSEKey

from countenance.errors import BadInput, CountenanceError, Refused
from countenance.formats import door_tokens
from countenance.formats.door_tokens import DoorToken, Spent
from countenance.quantities import Instant, VenueId
from support.make_door_vectors import AT, CLAIMS, FOLDER, GATE, MALFORMED, VENUE, shown, vectors
from support.make_pass_vectors import KEY, KID

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "door_token.md"
TOKEN = DoorToken(VenueId(VENUE), GATE, Instant(AT), Instant(AT + 10), bytes(range(16)))


def load(kind: str) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / kind).glob("*.json"))}


VALID, INVALID = load("valid"), load("invalid")


def read(vector: dict[str, Any]) -> DoorToken:
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(vector["public"]))
    return door_tokens.read(vector["text"], public, Instant(vector["now"]), vector["gate"], VenueId(vector["venue"]))


def verified_by_cwt(text: str) -> bytes:
    public = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: KEY.public_key().public_bytes_raw()})
    body = text.removeprefix("CND1:")
    payload = COSE.new().decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), public)
    assert isinstance(payload, bytes)
    return payload


def code_of(act: Any) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def test_there_are_enough_and_more_invalid_than_valid() -> None:
    assert len(VALID) >= 9
    assert len(INVALID) >= 110
    assert {v["expect"] for v in INVALID.values()} >= {
        MALFORMED, "door-token-altered", "door-token-expired", "door-token-other-gate", "door-token-other-venue",
        "door-token-from-future"}


def test_the_files_are_what_the_script_writes_byte_for_byte() -> None:
    written = {str(p.relative_to(FOLDER)): p.read_text("utf-8") for p in FOLDER.rglob("*.json")}
    assert written == vectors()


@pytest.mark.parametrize("name", VALID)
def test_a_valid_token_is_read_by_both_and_written_again_the_same(name: str) -> None:
    vector = VALID[name]
    token = read(vector)
    seen = {1: token.venue, 2: token.gate, 4: token.expires_at, 6: token.issued_at, 7: token.token_id,
            -65538: token.people}
    assert shown(seen) == vector["expect"]
    assert shown(cbor2.loads(verified_by_cwt(vector["text"]))) == vector["expect"]
    assert door_tokens.write(token, KEY, KID) == vector["text"]
    assert door_tokens.peek(vector["text"]) == token


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_token_is_refused_with_its_code(name: str) -> None:
    vector = INVALID[name]
    assert code_of(lambda: read(vector)) == vector["expect"]
    if vector["expect"] == MALFORMED:
        assert vector["text"] not in {v["text"] for v in VALID.values()}
        assert [v["text"] for v in INVALID.values()].count(vector["text"]) == 1


@pytest.mark.parametrize("name", [name for name in INVALID if not name.startswith("frame-")])
def test_what_is_wrong_with_its_claims_is_rightly_signed(name: str) -> None:
    payload = verified_by_cwt(INVALID[name]["text"])
    assert name.startswith("place-") or payload not in [verified_by_cwt(v["text"]) for v in VALID.values()]


@pytest.mark.parametrize("wrong", [
    {"people": 0}, {"people": 100}, {"people": True}, {"gate": ""}, {"venue": VenueId("")}, {"gate": "g" * 129},
    {"token_id": bytes(15)}, {"expires_at": Instant(AT + 11)}, {"expires_at": Instant(AT)}, {"issued_at": Instant(0)}])
def test_what_nobody_would_read_is_not_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="not a door token"):
        door_tokens.write(replace(TOKEN, **wrong), KEY, KID)


def test_a_new_token_is_good_for_ten_seconds_and_says_nothing_of_anybody() -> None:
    made = [door_tokens.issue(VenueId(VENUE), GATE, Instant(AT), 3) for _ in range(50)]
    assert {token.expires_at - token.issued_at for token in made} == {10}
    assert len({token.token_id for token in made}) == 50
    assert {len(token.token_id) for token in made} == {16}
    assert set(DoorToken.__dataclass_fields__) == {"venue", "gate", "issued_at", "expires_at", "token_id", "people"}


def test_each_bit_counts() -> None:
    """Whatever bit of the message is another, nobody reads it."""
    text = door_tokens.write(TOKEN, KEY, KID)
    message = base64.urlsafe_b64decode(text[5:] + "=" * (-len(text[5:]) % 4))
    for at in range(len(message) * 8):
        other = bytearray(message)
        other[at // 8] ^= 1 << at % 8
        spelled = "CND1:" + base64.urlsafe_b64encode(other).decode().rstrip("=")
        with pytest.raises(BadInput):
            door_tokens.read(spelled, KEY.public_key(), Instant(AT), GATE, VenueId(VENUE))


# -- spent once


def test_a_token_is_spent_once() -> None:
    spent = Spent()
    spent.take(TOKEN, Instant(AT))
    assert code_of(lambda: spent.take(TOKEN, Instant(AT + 1))) == "door-token-spent"
    spent.take(replace(TOKEN, token_id=bytes(16)), Instant(AT + 1))


def test_of_many_at_once_one_gets_in() -> None:
    spent, together, let_in = Spent(), Barrier(16), []

    def come() -> None:
        together.wait()
        try:
            spent.take(TOKEN, Instant(AT))
        except Refused:
            return
        let_in.append(1)

    threads = [Thread(target=come) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 1


def test_a_full_memory_refuses_and_forgets_only_what_has_expired() -> None:
    spent = Spent(most=3)
    tokens = [replace(TOKEN, token_id=bytes([n]) * 16) for n in range(4)]
    for token in tokens[:3]:
        spent.take(token, Instant(AT))
    assert code_of(lambda: spent.take(tokens[3], Instant(AT + 9))) == "door-token-full"
    assert code_of(lambda: spent.take(tokens[0], Instant(AT + 9))) == "door-token-spent"
    later = replace(tokens[3], issued_at=Instant(AT + 10), expires_at=Instant(AT + 20))
    spent.take(later, Instant(AT + 10))
    assert len(spent._until) == 1


def test_a_clock_that_is_set_back_brings_no_token_back() -> None:
    spent = Spent(most=1)
    spent.take(TOKEN, Instant(AT))
    later = replace(TOKEN, token_id=bytes(16), issued_at=Instant(AT + 10), expires_at=Instant(AT + 20))
    spent.take(later, Instant(AT + 10))  # the first was forgotten
    assert code_of(lambda: spent.take(TOKEN, Instant(AT))) == "door-token-expired"


# -- the page


def test_the_page_says_what_the_code_does() -> None:
    text = PAGE.read_text("utf-8")
    rows = {name: int(number) for number, name in re.findall(r"^\| (-?\d+) \| ([A-Z]+) \|", text, re.M)}
    assert rows == {name: getattr(door_tokens, name) for name in ("ISS", "SUB", "EXP", "IAT", "CTI", "PEOPLE")}
    assert set(rows.values()) == set(CLAIMS)
    assert f"`{door_tokens.PREFIX}`" in text
    assert f"{door_tokens.LONGEST:,} characters" in text
    assert f"1 to {door_tokens.GOOD_FOR_S} seconds later" in text
    assert f"at most {door_tokens.AHEAD_S} seconds ahead" in text
    assert f"integer, 1 to {door_tokens.MOST_PEOPLE} |" in text
    assert f"text, 1 to {door_tokens.LONGEST_NAME} bytes" in text
    assert f"{len(door_tokens.write(TOKEN, KEY, KID))} characters" in text
    assert f"none for {door_tokens.GOOD_FOR_S + door_tokens.AHEAD_S} seconds" in text
    source = Path(door_tokens.__file__).read_text("utf-8")
    raised = set(re.findall(r'"(door-token-[a-z-]+)"', source)) | {"door-token-altered"}
    assert set(re.findall(r"`(door-token-[a-z-]+)`", text)) == raised
