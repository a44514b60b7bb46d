"""Where the venue may send: no address inside it, unless the owner named the host (settings.private_recipients).

A recipient's name is looked up once for each delivery, every address that comes back is looked at, and the connection
goes to one that was looked at: a name that answers differently the next time leads nowhere else. What is allowed is
listed, as what is private is more than any list of it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from countenance.errors import Refused, StoreFault

Lookup = Callable[[str, int], list[str]]
"""Returns the addresses of a host, as text. It may hang, and may raise OSError."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NOT_PUBLIC = [ipaddress.ip_network(one) for one in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")]
"""Of IPv4, and within 2000::/3, which is all of IPv6 that is public: no mapped, translated or local address is."""

_PUBLIC6 = ipaddress.ip_network("2000::/3")
_NEVER = [ipaddress.ip_network(one) for one in (
    "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8")]
"""Nowhere to send, even where private hosts are allowed: a cloud's own data about the machine lies at one of these."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True)
class Place:
    """Where a recipient is. `path` holds the query too. `private`: the owner named this host."""

    host: str
    port: int
    tls: bool
    path: str
    private: bool


def place_of(url: str, private_hosts: Collection[str] | None = ()) -> Place:
    """Read the address of a recipient. Raises StoreFault(recipient-url); https only, unless the host is named.

    None in place of the hosts: only the form is looked at, and nothing may be sent to what comes back.
    """
    wrong = StoreFault("recipient-url", "A recipient's address is https://host/path, without a password or fragment.")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or "#" in url:
        raise wrong
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise wrong from None
    private = private_hosts is None or host in {one.lower() for one in private_hosts}
    if parts.scheme not in ({"https", "http"} if private else {"https"}) or "@" in parts.netloc or port == 0:
        raise wrong
    if not _is_host(host):
        raise wrong
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(host, port or (443 if tls else 80), tls, path, private)


def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def checked(place: Place, lookup: Lookup = look_up) -> str:
    """Return the one address to connect to. Raises Refused(address-private), OSError.

    Where one of several addresses is refused all are: who owns the name chooses which of them is used.
    """
    found = [_address(text) for text in lookup(place.host, place.port)]
    if not found:
        raise OSError("no address")
    for address in found:
        _require_allowed(address, place.private)
    return str(found[0])


def _require_allowed(address: _Address, private: bool) -> None:
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if any(address in net for net in _NEVER) or (inner is not None and any(inner in net for net in _NEVER)):
        raise Refused("address-private", "This recipient's address is one that nothing is sent to.")
    if not private and not _is_public(address):
        raise Refused("address-private", "This recipient's address is a private one, and its host is not allowed.")


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC6:
        return False
    return not any(address in net for net in _NOT_PUBLIC)


def _address(text: str) -> _Address:
    try:
        return ipaddress.ip_address(text.partition("%")[0])  # without the zone of a link-local one
    except ValueError:
        raise Refused("address-private", "This recipient's address cannot be read.") from None


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")
        # A name of digits alone is another way to write an address, which systems read differently.
        return len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not re.fullmatch(
            r"[0-9]+|0x[0-9a-f]*", labels[-1])
    return True
