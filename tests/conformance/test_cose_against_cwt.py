"""Our COSE against the library `cwt`: the same bytes, and refusals where the library reads what it should not."""

from __future__ import annotations

from collections.abc import Callable

import cbor2
import pytest
from cwt import COSE, COSEKey

from countenance.errors import BadInput
from countenance.formats import canonical, cose
from support.make_pass_vectors import KEY, KID, NONCE, PASS_KEY, sealed, signed
from support.spelled import Raw, mapping, open_ended, pairs, spell, tagged

PUBLIC = KEY.public_key()
AES = PASS_KEY
PAYLOAD = cbor2.dumps({1: "venue", 4: 1_813_536_000})
SIGNER = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: PUBLIC.public_bytes_raw(), -4: KEY.private_bytes_raw()})
VERIFIER = COSEKey.new({1: 1, 3: -8, -1: 6, 2: KID, -2: PUBLIC.public_bytes_raw()})
SEALER = COSEKey.new({1: 4, 3: 3, -1: AES})


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
        b"secret", SEALER, protected={1: 3}, unprotected={5: NONCE}, external_aad=b"place")
    assert cose.encrypt0(b"secret", AES, b"place") == theirs == sealed(b"secret", b"place")


def test_each_opens_what_the_other_sealed() -> None:
    ours = cose.encrypt0(b"secret", AES, b"place")
    assert oracle().decode(ours, SEALER, external_aad=b"place") == b"secret"
    theirs = oracle().encode_and_encrypt(
        b"secret", SEALER, protected={1: 3}, unprotected={5: NONCE}, external_aad=b"place")
    assert cose.decrypt0(theirs, AES, "thing", b"place") == b"secret"


def test_a_nonce_is_never_used_twice() -> None:
    made = [cbor2.loads(cose.encrypt0(b"secret", AES, b"")).value[1] for _ in range(50)]
    assert {tuple(header) for header in made} == {(5,)}
    assert len({header[5] for header in made}) == 50
    assert {len(header[5]) for header in made} == {12}


def test_the_handmade_messages_are_right_when_nothing_is_wrong() -> None:
    assert signed(PAYLOAD) == cose.sign1(PAYLOAD, KEY, KID)
    assert cose.decrypt0(sealed(b"secret", b"place"), AES, "thing", b"place") == b"secret"


def _four(message: bytes) -> list[object]:
    """Return the parts of a message as they are, to be put together in another way."""
    return [Raw(spell(part)) for part in cbor2.loads(message).value]


SIGNED_TOO_KINDLY: dict[str, Callable[[], bytes]] = {
    "a byte behind the message": lambda: signed(PAYLOAD) + b"\0",
    "alg outside the protected header": lambda: signed(PAYLOAD, protected=b"", unprotected={1: -8, 4: KID}),
    "alg in both headers": lambda: signed(PAYLOAD, unprotected={1: -8, 4: KID}),
    "protected header of another alg": lambda: signed(PAYLOAD, protected=spell({1: -7})),
    "alg twice, the last one right": lambda: signed(PAYLOAD, protected=b"\xa2\x01\x26\x01\x27"),
    "alg twice, both right": lambda: signed(PAYLOAD, protected=b"\xa2\x01\x27\x01\x27"),
    "alg under true": lambda: signed(PAYLOAD, protected=b"\xa1\xf5\x27"),
    "protected header in a longer spelling": lambda: signed(PAYLOAD, protected=b"\xa1\x18\x01\x27"),
    "protected header under a longer head": lambda: signed(PAYLOAD, protected=b"\xb8\x01\x01\x27"),
    "protected header of indefinite length": lambda: signed(PAYLOAD, protected=b"\xbf\x01\x27\xff"),
    "a byte behind the protected header": lambda: signed(PAYLOAD, protected=b"\xa1\x01\x27\0"),
    "kid twice": lambda: signed(PAYLOAD, unprotected=Raw(mapping(pairs({4: KID}) * 2))),
    "headers unsorted": lambda: signed(PAYLOAD, unprotected=Raw(mapping([*pairs({4: KID}), *pairs({1: -8})]))),
    "unprotected header of indefinite length": lambda: signed(PAYLOAD, unprotected=Raw(open_ended({4: KID}))),
    "parts of indefinite length": lambda: tagged(18, Raw(open_ended(_four(signed(PAYLOAD))))),
    "the tag in a longer spelling": lambda: b"\xd8\x12" + signed(PAYLOAD)[1:],
}


@pytest.mark.parametrize("name", SIGNED_TOO_KINDLY)
def test_what_the_library_verifies_and_must_not(name: str) -> None:
    message = SIGNED_TOO_KINDLY[name]()
    assert oracle().decode(message, VERIFIER) == PAYLOAD, "the oracle has become stricter: say so in parts.md"
    with pytest.raises(BadInput) as caught:
        cose.verify1(message, PUBLIC, "thing")
    assert caught.value.code == "thing-malformed"


def box(**wrong: object) -> bytes:
    return sealed(b"secret", b"place", **wrong)  # type: ignore[arg-type]  # the wrong ones are of any type


SEALED_TOO_KINDLY: dict[str, Callable[[], bytes]] = {
    "a byte behind the message": lambda: box() + b"\0",
    "alg outside the protected header": lambda: box(protected=b"", unprotected={1: 3, 5: NONCE}),
    "alg in both headers": lambda: box(unprotected={1: 3, 5: NONCE}),
    "protected header of another alg": lambda: box(protected=spell({1: 1})),
    "alg twice, the last one right": lambda: box(protected=b"\xa2\x01\x01\x01\x03"),
    "alg twice, both right": lambda: box(protected=b"\xa2\x01\x03\x01\x03"),
    "alg under true": lambda: box(protected=b"\xa1\xf5\x03"),
    "protected header in a longer spelling": lambda: box(protected=b"\xa1\x18\x01\x03"),
    "protected header under a longer head": lambda: box(protected=b"\xb8\x01\x01\x03"),
    "protected header of indefinite length": lambda: box(protected=b"\xbf\x01\x03\xff"),
    "a byte behind the protected header": lambda: box(protected=b"\xa1\x01\x03\0"),
    "the nonce twice": lambda: box(unprotected=Raw(mapping(pairs({5: NONCE}) * 2))),
    "headers unsorted": lambda: box(unprotected=Raw(mapping([*pairs({5: NONCE}), *pairs({1: 3})]))),
    "unprotected header of indefinite length": lambda: box(unprotected=Raw(open_ended({5: NONCE}))),
    "parts of indefinite length": lambda: tagged(16, Raw(open_ended(_four(box())))),
    "the tag in a longer spelling": lambda: b"\xd8\x10" + box()[1:],
}


@pytest.mark.parametrize("name", SEALED_TOO_KINDLY)
def test_what_the_library_opens_and_must_not(name: str) -> None:
    message = SEALED_TOO_KINDLY[name]()
    assert oracle().decode(message, SEALER, external_aad=b"place") == b"secret", \
        "the oracle has become stricter: say so in parts.md"
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(message, AES, "thing", b"place")
    assert caught.value.code == "thing-malformed"


@pytest.mark.parametrize("message", [
    box(unprotected={}), box(unprotected={4: KID}), box(unprotected={4: KID, 5: NONCE}),
    box(unprotected={5: NONCE[:11]}),
    box(unprotected={5: NONCE + b"\0"}), box(unprotected={5: "twelve bytes"}), box(unprotected={5: None}),
    box(unprotected={6: NONCE}), box(unprotected=[NONCE]), box(tag=18), box(tag=96), box(tag=None), box()[:-1], b"",
    b"\x80", tagged(16, [b"\xa1\x01\x03", {5: NONCE}]), tagged(16, [b"\xa1\x01\x03", {5: NONCE}, b"", b""]),
    tagged(16, [b"\xa1\x01\x03", {5: NONCE}, "text"]), tagged(16, [{1: 3}, {5: NONCE}, b"\0" * 22]),
], ids=["no nonce", "kid alone", "a kid too", "short nonce", "long nonce", "text nonce", "null nonce",
        "partial nonce", "list", "Sign1", "Encrypt", "untagged", "cut short", "nothing", "empty list",
        "two parts", "four parts", "text ciphertext", "bare header"])
def test_sealed_messages_of_another_shape_are_refused(message: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(message, AES, "thing", b"place")
    assert caught.value.code == "thing-malformed"


@pytest.mark.parametrize(("key", "aad"), [(bytes(32), b"place"), (AES, b"elsewhere")], ids=["other key", "moved"])
def test_a_sealed_message_opens_with_its_key_in_its_place_only(key: bytes, aad: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(box(), key, "thing", aad)
    assert caught.value.code == "thing-altered"


@pytest.mark.parametrize("short", [b"", b"\0", b"\0" * 15])
def test_a_ciphertext_too_short_for_its_tag_is_refused(short: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        cose.decrypt0(tagged(16, [b"\xa1\x01\x03", {5: NONCE}, short]), AES, "thing", b"place")
    assert caught.value.code == "thing-altered"


def test_a_message_may_be_as_large_as_its_reader_allows() -> None:
    large = cose.sign1(bytes(canonical.LARGEST), KEY, KID)
    with pytest.raises(BadInput) as caught:
        cose.verify1(large, PUBLIC, "thing")
    assert caught.value.code == "thing-malformed"
    assert cose.verify1(large, PUBLIC, "thing", largest=len(large)) == bytes(canonical.LARGEST)
    with pytest.raises(BadInput):
        cose.verify1(large, PUBLIC, "thing", largest=len(large) - 1)
