"""TLS inside one building: an authority of the venue's own, for the names and addresses of this machine alone.

Browsers give no camera without TLS, and no public authority vouches for an address like 192.168.1.7. So `serve --lan`
makes an authority that may speak for nothing but this machine (name constraints, RFC 5280 4.2.1.10): whoever installs
it on a phone does not let it vouch for anybody else, and a stolen key of it opens no other site.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Thread, Timer
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from countenance import durable
from countenance.clock import Clock
from countenance.errors import StoreFault

FOLDER = "tls"
AUTHORITY, CERTIFICATE, KEY = "authority.crt", "server.crt", "server.key"
AUTHORITY_DAYS, SERVER_DAYS, RENEW_DAYS = 825, 397, 30
"""Days; 397 is the most that browsers take. With less than RENEW_DAYS left both are made anew: the authority's key is
thrown away as soon as it has signed."""

HANDED_AT_ONCE, HANDED_WITHIN_S = 8, 5.0
"""Connections that fetch the authority's certificate at one time, and seconds for each. Fewer and shorter: stricter."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Made:
    """The files of a certificate, and the SHA-256 of its authority, for comparing on the screen of a device."""

    folder: Path
    fingerprint: str
    names: tuple[str, ...]

    @property
    def authority(self) -> Path:
        """Return the authority's certificate, which devices install."""
        return self.folder / AUTHORITY

    @property
    def certificate(self) -> Path:
        """Return the server's certificate."""
        return self.folder / CERTIFICATE

    @property
    def key(self) -> Path:
        """Return the server's private key."""
        return self.folder / KEY


def address_here() -> str:
    """Return the address of this machine in its network. Nothing is sent. Raises StoreFault(lan-none)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation range (RFC 5737): only a route is looked up
            found = str(probe.getsockname()[0])
        except OSError:
            raise StoreFault("lan-none", "This machine has no address in a network.") from None
    return found


def certificate(folder: Path, address: str, clock: Clock) -> Made:
    """Return the certificate for this machine, made anew where it is missing, for another address, or nearly over.

    Raises StoreFault(lan-unwritable).
    """
    names = tuple(dict.fromkeys(["localhost", f"{_plain_name()}.local", address, "127.0.0.1"]))
    place = folder / FOLDER
    try:
        if not _is_good(place, names, clock):
            _make(place, names, clock)
        authority = x509.load_pem_x509_certificate((place / AUTHORITY).read_bytes())
    except (OSError, ValueError):
        raise StoreFault("lan-unwritable", "The folder for certificates cannot be read or written.") from None
    digest = authority.fingerprint(hashes.SHA256()).hex(":").upper()
    return Made(place, digest, names)


def _is_good(place: Path, names: tuple[str, ...], clock: Clock) -> bool:
    try:
        found = x509.load_pem_x509_certificate((place / CERTIFICATE).read_bytes())
        spoken = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found.verify_directly_issued_by(x509.load_pem_x509_certificate((place / AUTHORITY).read_bytes()))
        key = serialization.load_pem_private_key((place / KEY).read_bytes(), None)
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False  # missing, or of another try: a crash may have come between the three files
    now = _now(clock)
    in_time = found.not_valid_before_utc <= now < found.not_valid_after_utc - timedelta(days=RENEW_DAYS)
    said = {*spoken.get_values_for_type(x509.DNSName), *map(str, spoken.get_values_for_type(x509.IPAddress))}
    return key.public_key() == found.public_key() and said == set(names) and in_time


def _plain_name() -> str:
    """Return this machine's own name, as devices beside it say it; "venue" where it is no plain word."""
    name = socket.gethostname().lower().partition(".")[0]
    return name if re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) else "venue"


def _now(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def _make(place: Path, names: tuple[str, ...], clock: Clock) -> None:
    place.mkdir(mode=0o700, exist_ok=True)
    above, ours = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    spoken = [_general(name) for name in names]
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Countenance on {socket.gethostname()[:40]}")])
    authority = (_begun(issuer, issuer, above.public_key(), clock, AUTHORITY_DAYS)
                 .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                 .add_extension(_usage(signs_others=True), critical=True)
                 .add_extension(x509.NameConstraints([_permitted(one) for one in spoken], None), critical=True)
                 .sign(above, hashes.SHA256()))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Countenance")])
    leaf = (_begun(subject, issuer, ours.public_key(), clock, SERVER_DAYS)
            .add_extension(x509.SubjectAlternativeName(spoken), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_others=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(above, hashes.SHA256()))
    pem = serialization.Encoding.PEM
    private = ours.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    durable.write(place / KEY, private, durable.SECRET)
    durable.write(place / AUTHORITY, authority.public_bytes(pem))
    durable.write(place / CERTIFICATE, leaf.public_bytes(pem) + authority.public_bytes(pem))


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, clock: Clock,
           days: int) -> x509.CertificateBuilder:
    now = _now(clock)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=days)))


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others, key_cert_sign=signs_others, crl_sign=signs_others, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False)


def _general(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _permitted(name: x509.DNSName | x509.IPAddress) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_network(str(name.value))) if isinstance(name, x509.IPAddress) else name


class _Few(ThreadingHTTPServer):
    """A few connections at once, each with an end; whoever comes beyond is sent away at once."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places = BoundedSemaphore(HANDED_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = Timer(HANDED_WITHIN_S, _cut, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whose connection broke is nobody's business."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def hand_out(made: Made, host: str, port: int) -> ThreadingHTTPServer:
    """Serve the authority's certificate, and nothing else, over plain HTTP: a device cannot fetch it otherwise.

    It is no secret; that it is the right one is seen by its fingerprint. `shutdown()` ends it.
    """
    body = made.authority.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            """Answer with the certificate, whatever the path."""
            self.send_response(200)
            self.send_header("content-type", "application/x-x509-ca-cert")
            self.send_header("content-disposition", f'attachment; filename="{AUTHORITY}"')
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name for it
            """Log nothing."""

    server = _Few((host, port), Handler)
    Thread(target=server.serve_forever, name="authority", daemon=True).start()
    return server


STEPS = (
    ("iPhone, iPad", "open the address, allow the profile; Settings > General > VPN & Device Management > install; "
                     "then General > About > Certificate Trust Settings > switch it on"),
    ("Android", "open the address; Settings > Security > Encryption & credentials > Install a certificate > "
                "CA certificate > choose the file"),
    ("Windows", "open the address; double-click the file > Install Certificate > Local Machine > "
                "Trusted Root Certification Authorities"),
    ("macOS", "open the address; double-click the file; in Keychain Access set it to Always Trust"),
    ("Linux", "Chromium: Settings > Privacy > Security > Manage certificates > Authorities > Import; "
              "Firefox: Settings > Certificates > Authorities > Import"),
)
"""What to do with the authority's certificate on each kind of device."""
