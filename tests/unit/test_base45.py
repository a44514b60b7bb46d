"""Base45 against the examples of RFC 9285 sections 4.3 and 4.4."""

from __future__ import annotations

import pytest

from countenance.errors import BadInput
from countenance.formats import base45

RFC_9285 = [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]


@pytest.mark.parametrize(("data", "text"), [
    *RFC_9285, (b"", ""), (b"\xff\xff", "FGW"), (b"\xff", "U5"), (b"\0", "00")])
def test_both_ways_as_in_the_rfc(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@pytest.mark.parametrize("text", [
    "GGW",       # 65536, the RFC's own example of an overflow
    ":::",       # 91124
    "V5",        # 256 in two characters
    "::",        # 2024
    "0",         # a lone character
    "BB8B",      # a lone character after a good group
    "bb8",       # lower case
    "BB8\n",     # not in the alphabet
    "BBÄ",       # not ASCII
    "BB\x00",    # control
    "ＢＢ８",    # full-width  # noqa: RUF001
])
def test_what_is_not_base45_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        base45.decode(text)
    assert caught.value.code == "base45-malformed"
