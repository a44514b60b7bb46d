"""countenance serve: the API and the pages, for a venue or for a demo of one."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption
from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.clock import Clock
    from countenance.server.serving import Address

EVERYWHERE = "0.0.0.0"  # noqa: S104  # only where --lan asks for it
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; beyond this machine only with TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65_535)] = 8443,
    certificate: Annotated[Path | None, typer.Option("--cert", help="A TLS certificate, with its chain.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its private key.")] = None,
    lan: Annotated[bool, typer.Option("--lan", help="Serve this building: makes a certificate of its own.")] = False,
    behind_proxy: Annotated[bool, typer.Option(
        "--behind-proxy", help="A proxy in front ends TLS; server.origin in venue.toml says its address.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Set up a venue to try out, in --venue, and serve it.")] = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Serve the API and the pages of a venue. Ends with what was begun on SIGTERM."""
    from countenance import settings
    from countenance.clock import SystemClock

    try:
        from countenance.server import serving
        from countenance.server.logs import Log
    except ImportError:
        raise BadInput("extra-missing", "The server needs: pip install 'countenance[server]'.") from None
    from countenance.cli import serve_demo
    from countenance.transparency.witness_http import listen

    clock = SystemClock()
    folder = serve_demo.FOLDER if demo and venue == HERE else venue
    how = _How(certificate, key, lan=lan, behind_proxy=behind_proxy)
    how.require_sound(host, "" if demo else settings.load(folder).server_origin)
    with ExitStack() as stack:
        taken = stack.enter_context(listen(EVERYWHERE if lan and host in LOOPBACK else host, port))
        tried = serve_demo.prepared(folder, clock) if demo else None
        address = _address(stack, folder, taken.getsockname()[:2], how, clock)
        lines = Log(clock)
        here = stack.enter_context(serving.opened(folder, address.origin, lines, clock, behind_proxy=behind_proxy))
        if as_json:
            said = {"origin": address.origin, "venue": str(folder), **serve_demo.value(tried)}
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()
        _say(address, serve_demo.lines(tried, address.origin) if tried else [])
        try:
            serving.run(here, lines, address, [taken])
        except KeyboardInterrupt:
            sys.stderr.write("Ended; what was acknowledged is kept.\n")


@dataclass(frozen=True)
class _How:
    """What the command line says of TLS."""

    certificate: Path | None
    key: Path | None
    lan: bool
    behind_proxy: bool

    def require_sound(self, host: str, origin: str) -> None:
        """Raise BadInput(serve-tls, serve-origin) where no camera would work, before anything is opened or made."""
        local, given = host in LOOPBACK, self.certificate is not None
        if given != (self.key is not None) or (given and self.lan):
            raise BadInput("serve-tls", "Give --cert and --key together, or --lan instead.")
        if self.lan:
            return
        if not local and not given and not self.behind_proxy:
            raise BadInput("serve-tls", "Beyond this machine give --cert and --key, --lan, or --behind-proxy.")
        if (not local or self.behind_proxy) and not origin.startswith("https://"):
            raise BadInput("serve-origin", "Say in venue.toml, server.origin, how browsers see it: https://...")
        if self.certificate is not None and self.key is not None:
            _require_pair(self.certificate, self.key)


def _require_pair(certificate: Path, key: Path) -> None:
    import ssl

    def no_password() -> str:
        raise BadInput("serve-tls", "The TLS key has a password; give one without, readable by its owner only.")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_password)
    except (OSError, ssl.SSLError):
        raise BadInput("serve-tls", "The TLS certificate or its key cannot be read, or they are not a pair.") from None


def _address(stack: ExitStack, folder: Path, at: tuple[str, int], how: _How, clock: Clock) -> Address:
    """Return how this server is seen."""
    from countenance import settings
    from countenance.server.serving import Address

    host, port = at
    if how.lan:
        return _on_lan(stack, folder, port, clock)
    scheme = "http" if how.certificate is None else "https"
    origin = settings.load(folder).server_origin.rstrip("/") or f"{scheme}://localhost:{port}"
    names = {"localhost", "127.0.0.1", "[::1]"} if host in LOOPBACK else set()
    return Address(origin, frozenset({*names, _host(origin)}), how.certificate, how.key)


def _host(origin: str) -> str:
    from urllib.parse import urlsplit

    name = urlsplit(origin).hostname or ""
    return f"[{name}]" if ":" in name else name


def _on_lan(stack: ExitStack, folder: Path, port: int, clock: Clock) -> Address:
    from countenance.integrations import codes
    from countenance.server import lan
    from countenance.server.serving import Address

    found = lan.address_here()
    made = lan.certificate(folder, found, clock)
    giving = lan.hand_out(made, found, 0)
    stack.callback(giving.server_close)
    stack.callback(giving.shutdown)
    url = f"http://{found}:{giving.server_address[1]}/{lan.AUTHORITY}"
    sys.stderr.write(f"\nEach device installs this venue's own authority once, from {url}\n{codes.in_terminal(url)}\n"
                     f"Its SHA-256, to be compared on the device:\n  {made.fingerprint}\n")
    sys.stderr.writelines(f"  {device}: {steps}.\n" for device, steps in lan.STEPS)
    return Address(f"https://{found}:{port}", frozenset(made.names), made.certificate, made.key)


def _say(address: Address, more: list[str]) -> None:
    told = [f"Serving at {address.origin}", *more]
    ssh = os.environ.get("SSH_CONNECTION", "").split()
    name, _, port = address.origin.rpartition(":")
    if len(ssh) == 4 and name.endswith("//localhost"):  # client, its port, this machine, its port
        told.append(f"From your own machine: ssh -L {port}:localhost:{port} {ssh[2]}")
    sys.stderr.writelines(f"{line}\n" for line in told)
    sys.stderr.flush()
