"""Base64 with one spelling: what any other decoder would let through is refused."""

from __future__ import annotations

import pytest

from countenance.formats import strict64

KNOWN = [(b"", ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg=="), (b"fooba", "Zm9vYmE="),
         (b"foobar", "Zm9vYmFy"), (b"\xfb\xff", "+/8=")]
"""The first seven are RFC 4648 section 10."""


@pytest.mark.parametrize(("data", "text"), KNOWN)
def test_the_one_spelling_is_written_and_read(data: bytes, text: str) -> None:
    assert strict64.encode(data) == text
    assert strict64.decode(text) == strict64.decode(text, len(data)) == data


@pytest.mark.parametrize("text", [
    pytest.param("Zh==", id="spare bits set, one byte"),
    pytest.param("Zm9=", id="spare bits set, two bytes"),
    pytest.param("Zg", id="no padding"),
    pytest.param("Zg=", id="half the padding"),
    pytest.param("Zg===", id="too much padding"),
    pytest.param("Zm9v====", id="padding where none is due"),
    pytest.param("Zg==Zg==", id="two values"),
    pytest.param("Zm9v\n", id="line break behind"),
    pytest.param("Zm\n9v", id="line break within"),
    pytest.param(" Zm9v", id="space"),
    pytest.param("Zm9v\t", id="tab"),
    pytest.param("Zm9v\x00", id="null"),
    pytest.param("-_8=", id="the URL's alphabet"),
    pytest.param("Z", id="one letter"),
    pytest.param("=", id="padding alone"),
    pytest.param("\uff3a\uff4d\uff19\uff56", id="wide letters"),
    pytest.param("Zm9\u0475", id="a letter that looks alike"),
    pytest.param("Zm9\ud800", id="half a pair"),
])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        strict64.decode(text)


@pytest.mark.parametrize("length", [0, 1, 2, 4, 32])
def test_another_length_than_asked_for_is_refused(length: int) -> None:
    assert strict64.decode("Zm9v", 3) == b"foo"
    with pytest.raises(ValueError, match=r"^$"):
        strict64.decode("Zm9v", length)
