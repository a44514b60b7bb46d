"""Our COSE against the library `cwt`: the same bytes, and refusals where the library reads what it should not."""

from __future__ import annotations

from collections.abc import Callable

import cbor2
import pytest
from cbor2 import CBORTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cwt import COSE, COSEKey

from countenance.errors import BadInput
from countenance.formats import cose
from support.make_pass_vectors import KEY, KID, signed

PUBLIC = KEY.public_key()
AES = bytes(range(32))
NONCE = b"twelve bytes"
PAYLOAD = cbor2.dumps({1: "venue", 4: 1_813_536_000})
SIGNER = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: PUBLIC.public_bytes_raw(), -4: KEY.private_bytes_raw()})
VERIFIER = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: PUBLIC.public_bytes_raw()})
SEALER = COSEKey.new({1: 4, 3: 3, 2: KID, -1: AES})


def oracle() -> COSE:
    return COSE.new(deterministic_header=True)


def test_signing_gives_the_same_bytes() -> None:
    theirs = oracle().encode_and_sign(PAYLOAD, SIGNER, protected={1: -8}, unprotected={4: KID})
    assert cose.sign1(PAYLOAD, KEY, KID) == theirs


def test_each_verifies_the_other() -> None:
    ours = cose.sign1(PAYLOAD, KEY, KID)
    assert oracle().decode(ours, VERIFIER) == PAYLOAD
    theirs = oracle().encode_and_sign(PAYLOAD, SIGNER, protected={1: -8}, unprotected={4: KID})
    assert cose.verify1(theirs, PUBLIC, "thing") == PAYLOAD
    assert cose.peek_kid(theirs, "thing") == KID


def test_external_data_means_the_same() -> None:
    ours = cose.sign1(PAYLOAD, KEY, KID, b"bound")
    assert oracle().decode(ours, VERIFIER, external_aad=b"bound") == PAYLOAD
    theirs = oracle().encode_and_sign(
        PAYLOAD, SIGNER, protected={1: -8}, unprotected={4: KID}, external_aad=b"bound")
    assert cose.verify1(theirs, PUBLIC, "thing", b"bound") == PAYLOAD


def test_sealing_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cose.os, "urandom", lambda _length: NONCE)
    theirs = oracle().encode_and_encrypt(
        b"secret", SEALER, protected={1: 3}, unprotected={4: KID, 5: NONCE}, external_aad=b"place")
    assert cose.encrypt0(b"secret", AES, KID, b"place") == theirs


def test_each_opens_what_the_other_sealed() -> None:
    ours = cose.encrypt0(b"secret", AES, KID, b"place")
    assert oracle().decode(ours, SEALER, external_aad=b"place") == b"secret"
    theirs = oracle().encode_and_encrypt(
        b"secret", SEALER, protected={1: 3}, unprotected={4: KID, 5: NONCE}, external_aad=b"place")
    assert cose.decrypt0(theirs, AES, "thing", b"place") == b"secret"


def test_a_nonce_is_never_used_twice() -> None:
    made = [cbor2.loads(cose.encrypt0(b"secret", AES, KID, b"")).value[1][5] for _ in range(50)]
    assert len(set(made)) == 50
    assert {len(nonce) for nonce in made} == {12}


TOO_KIND: dict[str, Callable[[], bytes]] = {
    "a byte behind the message": lambda: signed(PAYLOAD) + b"\0",
    "alg outside the protected header": lambda: signed(PAYLOAD, protected=b"", unprotected={1: -8, 4: KID}),
    "protected header of another alg": lambda: signed(PAYLOAD, protected=cbor2.dumps({1: -7})),
    "alg twice, the last one right": lambda: signed(PAYLOAD, protected=b"\xa2\x01\x26\x01\x27"),
    "protected header in a longer spelling": lambda: signed(PAYLOAD, protected=b"\xa1\x18\x01\x27"),
    "protected header of indefinite length": lambda: signed(PAYLOAD, protected=b"\xbf\x01\x27\xff"),
}


@pytest.mark.parametrize("name", TOO_KIND)
def test_what_the_library_reads_and_must_not(name: str) -> None:
    message = TOO_KIND[name]()
    assert oracle().decode(message, VERIFIER) == PAYLOAD, "the oracle has become stricter: say so in parts.md"
    with pytest.raises(BadInput) as caught:
        cose.verify1(message, PUBLIC, "thing")
    assert caught.value.code == "thing-malformed"


def sealed(**wrong: object) -> bytes:
    protected = wrong.get("protected", b"\xa1\x01\x03")
    header = wrong.get("header", {4: KID, 5: NONCE})
    bound = cbor2.dumps(["Encrypt0", protected, b"place"])
    box = AESGCM(AES).encrypt(NONCE, b"secret", bound)
    return cbor2.dumps(CBORTag(int(str(wrong.get("tag", 16))), [protected, header, box]), canonical=True)


def test_the_handmade_message_is_right_when_nothing_is_wrong() -> None:
    assert cose.decrypt0(sealed(), AES, "thing", b"place") == b"secret"


@pytest.mark.parametrize("message", [
    sealed() + b"\0", sealed(protected=b"", header={1: 3, 4: KID, 5: NONCE}), sealed(protected=b"\xa1\x01\x01"),
    sealed(header={4: KID}), sealed(header={4: KID, 5: NONCE[:11]}), sealed(header={4: KID, 5: "twelve bytes"}),
    sealed(header={5: NONCE}), sealed(tag=18), sealed(tag=96), sealed()[:-1], b"", b"\x80",
], ids=["trailing", "alg outside", "A128GCM", "no nonce", "short nonce", "text nonce", "no kid", "Sign1",
        "Encrypt", "cut short", "nothing", "list"])
def test_sealed_messages_of_another_shape_are_refused(message: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(message, AES, "thing", b"place")
    assert caught.value.code == "thing-malformed"


@pytest.mark.parametrize(("key", "aad"), [(bytes(32), b"place"), (AES, b"elsewhere")], ids=["other key", "moved"])
def test_a_sealed_message_opens_with_its_key_in_its_place_only(key: bytes, aad: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(sealed(), key, "thing", aad)
    assert caught.value.code == "thing-altered"
