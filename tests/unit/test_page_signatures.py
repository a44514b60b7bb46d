"""The page's own Ed25519 and hashes, against RFC 8032's examples, OpenSSL and Python's hashlib; and formats/ed25519.py.

Both take what OpenSSL takes, with one difference on the stricter side: a key or an R of small order is refused (OpenSSL
takes such keys, under which one signature fits many texts).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.formats import ed25519
from countenance.verifier import page_builder
from support import browser
from support.browser import Tab

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ORDER_8 = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
RFC_8032 = [  # section 7.1: key, message, signature
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655"
     "141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00"
     "d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc02"
     "7beceea1ec40a"),
]
Case = tuple[bytes, bytes, bytes]
"""Key, message, signature."""
FALLBACK = pytest.mark.parametrize("fallback", [False, True], ids=["webcrypto", "fallback"])


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "bare.html").write_text(
        f'<!doctype html><meta charset="utf-8"><script>{page_builder.script()}</script>', encoding="utf-8")
    with browser.opened(folder / "profile") as opened:
        opened.go(folder / "bare.html")
        yield opened


def of_page(tab: Tab, cases: list[Case], fallback: bool) -> list[bool]:
    found: list[bool] = tab.call(
        """async (cases, fallback) => {
            const { isSigned, fromHex } = window.countenance.inner;
            const found = [];
            for (const [key, message, signature] of cases.map((one) => one.map(fromHex))) {
                found.push(await isSigned(key, signature, message, fallback));
            }
            return found;
        }""", [[part.hex() for part in case] for case in cases], fallback)
    return found


def openssl(case: Case) -> bool:
    key, message, signature = case
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def ours(case: Case) -> bool:
    key, message, signature = case
    try:
        ed25519.verify(Ed25519PublicKey.from_public_bytes(key), signature, message)
    except InvalidSignature:
        return False
    return True


def signed(dice: random.Random, length: int) -> Case:
    private = Ed25519PrivateKey.from_private_bytes(dice.randbytes(32))
    message = dice.randbytes(length)
    return private.public_key().public_bytes_raw(), message, private.sign(message)


def flipped(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1:]


@FALLBACK
def test_the_examples_of_the_standard_are_right(tab: Tab, fallback: bool) -> None:
    cases = [(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(one)) for key, message, one in RFC_8032]
    assert all(map(openssl, cases))
    assert of_page(tab, cases, fallback) == [True] * len(cases)


@FALLBACK
def test_it_says_what_openssl_says_of_right_and_altered_signatures(tab: Tab, fallback: bool) -> None:
    dice = random.Random(8032)  # noqa: S311  # the same cases in every run
    right = [signed(dice, length) for length in (0, 1, 63, 64, 111, 112, 127, 128, 500, 5_000) for _ in range(4)]
    assert all(map(ours, right))
    wrong = [case for key, message, one in right for case in (
        (flipped(key, dice), message, one), (key, message + b"\0", one),
        (key, message, flipped(one[:32], dice) + one[32:]), (key, message, one[:32] + flipped(one[32:], dice)),
        (key, message, one[:63]), (key, message, one + b"\0"),
        (key, message, bytes(64)), (right[0][0], message, one))]
    assert [openssl(case) for case in right] == of_page(tab, right, fallback) == [True] * len(right)
    assert [openssl(case) for case in wrong] == of_page(tab, wrong, fallback)
    assert [ours(case) for case in wrong] == [openssl(case) for case in wrong]
    assert sum(map(openssl, wrong)) == 1  # the first one, under its own key


@FALLBACK
def test_another_spelling_of_the_same_number_is_refused(tab: Tab, fallback: bool) -> None:
    dice = random.Random(1)  # noqa: S311  # the same cases in every run
    cases = []
    for _ in range(10):
        key, message, one = signed(dice, 40)
        for more in (1, 2, 8, 15):
            s = int.from_bytes(one[32:], "little") + more * L
            if s < 2**256:
                cases.append((key, message, one[:32] + s.to_bytes(32, "little")))
    assert len(cases) > 20
    assert [openssl(case) for case in cases] == of_page(tab, cases, fallback) == [False] * len(cases)


Point = tuple[int, int]


def added(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def times(factor: int, point: Point) -> Point:
    found = (0, 1)
    for bit in bin(factor)[2:]:
        found = added(found, found)
        if bit == "1":
            found = added(found, point)
    return found


def encoded(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decoded(data: bytes) -> Point:
    whole = int.from_bytes(data, "little")
    y, sign = whole % 2**255, whole >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return (P - x if x & 1 != sign else x), y


BASE = decoded(bytes.fromhex("58" + "66" * 31))


def hashed(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


@FALLBACK
def test_the_equation_without_the_cofactor_decides(tab: Tab, fallback: bool) -> None:
    torsion = decoded(ORDER_8)
    assert encoded(times(8, torsion)) == encoded((0, 1)) != encoded(times(4, torsion))
    a, r = 123_456_789, 987_654_321
    key = encoded(added(times(a, BASE), torsion))
    cases = []
    for number in range(40):
        message, start = b"%d" % number, encoded(times(r, BASE))
        s = (r + hashed(start, key, message) * a) % L
        cases.append((key, message, start + s.to_bytes(32, "little")))
    answers = [openssl(case) for case in cases]
    assert of_page(tab, cases, fallback) == answers
    assert 0 < sum(answers) < 20  # one in eight: where the hash is a multiple of 8


@FALLBACK
def test_points_of_small_order_and_other_spellings_are_refused(tab: Tab, fallback: bool) -> None:
    torsion = decoded(ORDER_8)
    small = [encoded(times(number, torsion)) for number in range(8)]
    assert len(set(small)) == 8
    unusual = [(P + 1).to_bytes(32, "little"), P.to_bytes(32, "little"), (2**255 - 1).to_bytes(32, "little"),
               (1 | 1 << 255).to_bytes(32, "little"), (P + 1 | 1 << 255).to_bytes(32, "little")]
    one = encoded(BASE) + (1).to_bytes(32, "little")  # right for every text under the key that is nothing
    cases = [(key, b"any text", one) for key in small + unusual]
    assert of_page(tab, cases, fallback) == [False] * len(cases)
    assert openssl(cases[0])  # where OpenSSL is looser
    key, start = encoded(times(5, BASE)), small[0]
    s = 5 * hashed(start, key, b"any text") % L  # right, and R is nothing
    odd = (key, b"any text", start + s.to_bytes(32, "little"))
    assert openssl(odd)
    assert of_page(tab, [odd], fallback) == [False]
    assert not any(map(ours, [*cases, odd]))


def test_a_browser_without_ed25519_or_webcrypto_gets_the_same_answers(tab: Tab) -> None:
    dice = random.Random(5)  # noqa: S311  # the same cases in every run
    right, wrong = signed(dice, 100), signed(dice, 100)
    cases: list[Any] = [right, (right[0], wrong[1], right[2])]
    tab.run("""window.kept = SubtleCrypto.prototype.importKey;
        SubtleCrypto.prototype.importKey = () => Promise.reject(new DOMException("", "NotSupportedError")); 0""")
    assert of_page(tab, cases, fallback=False) == [True, False]
    tab.run("SubtleCrypto.prototype.importKey = window.kept; 0")
    tab.run("Object.defineProperty(window, 'crypto', { value: {}, configurable: true }); 0")
    assert of_page(tab, cases, fallback=False) == [True, False]
    tab.run("delete window.crypto")
    assert of_page(tab, cases, fallback=False) == [True, False]


def test_the_hashes_are_those_of_everybody(tab: Tab) -> None:
    dice = random.Random(2)  # noqa: S311  # the same cases in every run
    texts = [dice.randbytes(length) for length in [*range(260), 1_000, 65_535]]
    found = tab.call("""(texts) => texts.map((text) => {
        const { sha256, sha512, hexOf, fromHex } = window.countenance.inner;
        return [hexOf(sha256(fromHex(text))), hexOf(sha512(fromHex(text)))];
    })""", [text.hex() for text in texts])
    assert found == [[hashlib.sha256(text).hexdigest(), hashlib.sha512(text).hexdigest()] for text in texts]
