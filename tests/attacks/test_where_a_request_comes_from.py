"""Claim: nobody chooses the address that limits count them by."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.requests import Request

from countenance.server.routing import address_of

PEER, THEIRS = "192.0.2.9", "203.0.113.5"


def asked(*lines: str, behind_proxy: bool, peer: str | None = PEER) -> str:
    """Return where a request with these x-forwarded-for headers is taken to come from."""
    app = SimpleNamespace(state=SimpleNamespace(serving=SimpleNamespace(behind_proxy=behind_proxy)))
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    return address_of(Request({"type": "http", "headers": headers, "client": (peer, 1) if peer else None, "app": app}))


@pytest.mark.parametrize("lines", [(), (THEIRS,), (THEIRS, THEIRS), ("x",)])
def test_without_a_proxy_the_header_says_nothing(lines: tuple[str, ...]) -> None:
    assert asked(*lines, behind_proxy=False) == PEER


@pytest.mark.parametrize("lines", [
    (THEIRS,), (f"198.51.100.1, {THEIRS}",), (f"198.51.100.1,198.51.100.2 , {THEIRS} ",), ("198.51.100.1", THEIRS),
    (f"198.51.100.1, {PEER}", THEIRS), ("x" * 9_000, THEIRS), (",".join(["198.51.100.1"] * 1_000), THEIRS)])
def test_behind_a_proxy_what_it_adds_itself_counts(lines: tuple[str, ...]) -> None:
    assert asked(*lines, behind_proxy=True) == THEIRS


@pytest.mark.parametrize("lines", [
    (), ("",), (",",), ("unknown",), ("198.51.100.1, unknown",), ("198.51.100.1", ""), ("203.0.113.5:443",),
    ("[2001:db8::1]",), ("203.0.113.500",), ("\xff",), ("0x7f.1",)])
def test_what_is_no_address_is_the_proxys(lines: tuple[str, ...]) -> None:
    assert asked(*lines, behind_proxy=True) == PEER


def test_one_address_has_one_name() -> None:
    assert asked("2001:DB8:0:0::1", behind_proxy=True) == asked("2001:db8::1", behind_proxy=True) == "2001:db8::1"
    assert asked(behind_proxy=True, peer=None) == "unknown"
