"""Claim: nobody keeps others out by beginning TLS connections and not finishing them.

At a server that runs: tests/journeys/test_serve.py.
"""

from __future__ import annotations

import ssl

import pytest

from countenance.server import handshakes
from countenance.server.handshakes import Handshakes


class Peer:
    """Stands for a connection of somebody."""

    def __init__(self, address: object) -> None:
        self.address = address
        self.aborted = False

    def get_extra_info(self, name: str) -> object:
        assert name == "peername"
        return self.address

    def abort(self) -> None:
        self.aborted = True


def begun(places: Handshakes, addresses: list[object]) -> list[Peer]:
    peers = [Peer(address) for address in addresses]
    for peer in peers:
        places.begin(peer)  # type: ignore[arg-type]  # what it asks of a transport, Peer has
    return peers


def test_whoever_opens_many_pushes_out_only_their_own() -> None:
    places = Handshakes(ssl.create_default_context(), most=10)
    visitor, *flood = begun(places, [("192.0.2.1", 1), *[("198.51.100.9", port) for port in range(50)]])
    assert not visitor.aborted
    assert [peer.aborted for peer in flood] == [True] * 41 + [False] * 9


def test_the_second_half_of_an_address_makes_nobody_another() -> None:
    places = Handshakes(ssl.create_default_context(), most=10)
    visitor, *flood = begun(places, [("2001:db8:1::7", 1, 0, 0),
                                     *[(f"2001:db8:2::{number:x}", 1, 0, 0) for number in range(50)]])
    assert not visitor.aborted
    assert sum(peer.aborted for peer in flood) == 41


@pytest.mark.parametrize(("address", "whose"), [
    (("192.0.2.1", 5), "192.0.2.1"), (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
    (("2001:db8::1", 5, 0, 0), "2001:db8::/64"), (("fe80::1%eth0", 5, 0, 2), "fe80::/64"), ("", ""), (None, "")])
def test_whose_a_connection_is(address: object, whose: str) -> None:
    assert handshakes.whose(Peer(address)) == whose  # type: ignore[arg-type]  # as above


def test_a_place_that_was_let_go_is_free() -> None:
    places = Handshakes(ssl.create_default_context(), most=2)
    first, second = begun(places, [("192.0.2.1", 1), ("192.0.2.2", 1)])
    places.over(first)  # type: ignore[arg-type]  # as above
    begun(places, [("192.0.2.3", 1)])
    assert not first.aborted and not second.aborted
