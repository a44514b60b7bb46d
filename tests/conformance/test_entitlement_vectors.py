"""The vectors of docs/formats/entitlement.md: made by a script with fixed keys, read by our code and by `cwt`."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import cbor2
import pytest
from cwt import COSE, COSEKey

from countenance.errors import BadInput
from countenance.formats import entitlements
from countenance.formats.entitlements import Answer, Question, State
from countenance.quantities import Instant, VenueId
from support.make_entitlement_vectors import ASKED, FOLDER, NOW, QUESTION, vectors
from support.make_pass_vectors import KEY, KID


def load(kind: str) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / kind).glob("*.json"))}


VALID, INVALID = load("valid"), load("invalid")
SENT = Question(VenueId(QUESTION["venue"]), date.fromisoformat(QUESTION["on"]), Instant(NOW), QUESTION["nonce"],
                tuple(QUESTION["references"]))


def read(vector: dict[str, Any]) -> Any:
    data = bytes.fromhex(vector["message"])
    if vector["kind"] == "question":
        return entitlements.read_question(data, KEY.public_key())
    if vector["kind"] == "cache":
        return entitlements.read_cache(data)
    return entitlements.read_answers(data, KEY.public_key(), bytes.fromhex(vector["asked"]), SENT,
                                     Instant(vector["now"]))


def written(kind: str, value: Any, expect: dict[str, Any]) -> bytes:
    if kind == "question":
        return entitlements.write_question(value, KEY, KID)
    if kind == "cache":
        return entitlements.write_cache(value)
    return entitlements.write_answers(value, ASKED, date.fromisoformat(expect["on"]), Instant(expect["at"]), KEY, KID)


def shown(answer: Answer) -> dict[str, Any]:
    if answer.state is not State.GOOD:
        return {"reference": answer.reference, "state": answer.state.value}
    return {"reference": answer.reference, "state": "good", "household": answer.household, "party": answer.party,
            "not_before": answer.not_before, "valid_until": str(answer.valid_until), "language": answer.language}


def test_there_are_enough_and_more_invalid_than_valid() -> None:
    assert len(VALID) >= 14
    assert len(INVALID) >= 100
    for kind in ("question", "answers", "cache"):
        assert sum(v["kind"] == kind for v in INVALID.values()) > 2 * sum(v["kind"] == kind for v in VALID.values())


def test_the_files_are_what_the_script_writes_byte_for_byte() -> None:
    assert {str(p.relative_to(FOLDER)): p.read_text("utf-8") for p in FOLDER.rglob("*.json")} == vectors()


@pytest.mark.parametrize("name", VALID)
def test_a_valid_one_is_read_and_written_again_the_same(name: str) -> None:
    vector = VALID[name]
    value, expect = read(vector), vector["expect"]
    if vector["kind"] == "question":
        assert (list(value.references), str(value.on), value.at, value.nonce.hex(), value.venue) == tuple(
            expect[k] for k in ("references", "on", "at", "nonce", "venue"))
    elif vector["kind"] == "answers":
        assert [shown(answer) for answer in value] == expect["tickets"]
    else:
        assert (value.venue, value.hours) == (expect["venue"], expect["hours"])
        assert [shown(one.answer) | {"on": str(one.on), "given_at": one.given_at}
                for one in value.kept.values()] == expect["kept"]
    assert written(vector["kind"], value, expect).hex() == vector["message"]


@pytest.mark.parametrize("name", [name for name in VALID if VALID[name]["kind"] != "cache"])
def test_another_library_reads_the_same(name: str) -> None:
    public = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: KEY.public_key().public_bytes_raw()})
    payload = COSE.new().decode(bytes.fromhex(VALID[name]["message"]), public)
    assert isinstance(payload, bytes)
    plain = {k: v.hex() if isinstance(v, bytes) else v for k, v in cbor2.loads(payload).items()}
    assert plain == VALID[name]["expect"]


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_one_is_refused_with_its_code(name: str) -> None:
    vector = INVALID[name]
    with pytest.raises(BadInput) as caught:
        read(vector)
    assert caught.value.code == vector["expect"]
    assert (vector["kind"], vector["message"]) not in {(v["kind"], v["message"]) for v in VALID.values()}
