"""The vectors of docs/formats/pass.md: made by a script with fixed keys, read by our code and by `cwt`."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cwt import COSE, COSEKey

from countenance.errors import BadInput
from countenance.formats import base45, cose, passes
from support.make_pass_vectors import FOLDER, HOLDER_KEY, KEY, KID, PASS_KEY, vectors


def load(kind: str) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / kind).glob("*.json"))}


VALID, INVALID = load("valid"), load("invalid")


def key_of(vector: dict[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(vector["public"]))


def test_there_are_enough_and_more_invalid_than_valid() -> None:
    assert len(VALID) >= 6
    assert len(INVALID) >= 40
    assert len(INVALID) >= len(VALID)


def test_the_files_are_what_the_script_writes_byte_for_byte() -> None:
    written = {str(p.relative_to(FOLDER)): p.read_text("utf-8") for p in FOLDER.rglob("*.json")}
    assert written == vectors()


@pytest.mark.parametrize("name", VALID)
def test_a_valid_pass_is_read_and_written_again_the_same(name: str) -> None:
    vector = VALID[name]
    content = passes.read(vector["text"], key_of(vector))
    seen = {"1": content.venue, "2": content.person, "3": content.purpose, "4": content.expires_at,
            "6": content.issued_at, "7": content.pass_id, "-65543": content.reference,
            "-65542": content.ask_not_before, "-65541": content.custody.value, "-65540": content.face_id.hex(),
            "-65539": content.pack, "-65538": content.secret.hex(), "-65537": 1}
    assert seen == vector["expect"]
    assert passes.write(content, KEY, KID) == vector["text"]
    assert passes.peek_kid(vector["text"]) == KID
    assert passes.read(vector["text"] + "\r\n", key_of(vector)) == content


@pytest.mark.parametrize("name", VALID)
def test_another_library_reads_the_same_claims(name: str) -> None:
    vector = VALID[name]
    public = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: bytes.fromhex(vector["public"])})
    payload = COSE.new().decode(base45.decode(vector["text"].removeprefix("CN1:")), public)
    claims = {str(k): v.hex() if isinstance(v, bytes) else v for k, v in cbor2.loads(payload).items()}
    assert claims == vector["expect"]


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_pass_is_refused_with_its_code(name: str) -> None:
    vector = INVALID[name]
    with pytest.raises(BadInput) as caught:
        passes.read(vector["text"], key_of(vector))
    assert caught.value.code == vector["expect"]


@pytest.mark.parametrize("name", [name for name, v in INVALID.items() if v["expect"] == "pass-malformed"])
def test_an_invalid_pass_differs_from_a_valid_one_by_more_than_its_name(name: str) -> None:
    assert INVALID[name]["text"] not in {v["text"] for v in VALID.values()}


def test_the_secret_opens_under_this_pass_only() -> None:
    content = passes.read(VALID["holder-keyed"]["text"], KEY.public_key())
    assert cose.decrypt0(content.secret, PASS_KEY, "pass", content.binding()) == HOLDER_KEY
    other = passes.read(VALID["venue-keyed"]["text"], KEY.public_key())
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(content.secret, PASS_KEY, "pass", other.binding())
    assert caught.value.code == "pass-altered"
