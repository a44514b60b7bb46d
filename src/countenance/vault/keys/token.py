"""A root key that never leaves its token: PKCS#11, named by an RFC 7512 URI (docs/operating/keys.md).

A token lies about absence: one that was pulled out answers like one whose key was destroyed, and a blob that was
altered like either. So nothing is believed at first. A failure starts the library afresh, finds the token, logs in and
looks the key up again; only what that says is told. A blob is called wrong only by a key that has just worked.

A library is started once in a process, and checks a PIN only while nobody is logged in. Hence one lock and one
table of sessions for each library, however many roots use it. A start ends every earlier session, so starts are
counted. Nothing else in the process may use the same library. A child of a fork starts its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from countenance.errors import BadInput, StoreFault
from countenance.vault.keys.roots import KEY_BYTES, NONCE_BYTES, private_bytes

TAG_BYTES = 16
_LABEL_BYTES = 32  # the size of the field in a token

# RFC 7512 2.3: what may stand in a value of the path, and of the query; everything else is percent-encoded
_IN_PATH = re.compile(r"(?:[\w.~:\[\]@!$'()*+,=&-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_IN_QUERY = re.compile(r"(?:[\w.~:\[\]@!$'()*+,=/?|-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_PIN_SOURCE = re.compile(r"file:/(?!/).+|env:[A-Za-z_][A-Za-z0-9_]*")

_PIN_REFUSED = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked, pkcs11.PinExpired,
                pkcs11.PinTooWeak, pkcs11.UserPinNotInitialized)
_CANNOT = (pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid, pkcs11.FunctionNotSupported)

# What a root must be: nothing that can be read, and nothing that ever could.
_STRONG: dict[Attribute, Any] = {
    Attribute.KEY_TYPE: KeyType.AES, Attribute.VALUE_LEN: KEY_BYTES, Attribute.TOKEN: True, Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True, Attribute.ALWAYS_SENSITIVE: True, Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True, Attribute.ENCRYPT: True, Attribute.DECRYPT: True,
}


@dataclass(frozen=True)
class Place:
    """Where a root key is: labels of token and key, the library's file, and where its PIN is (never the PIN)."""

    token: str
    key: str
    library: str
    pin: str


def parse(spec: str) -> Place:
    """Read a root's URI. Raises BadInput(root-spec)."""
    if re.search(r"[:;?&]pin-value=", spec, re.IGNORECASE):
        raise BadInput("root-spec", "Settings are no place for a PIN: give pin-source, never pin-value.")
    path, _, query = spec.removeprefix("pkcs11:").partition("?")
    what = _attributes(path.split(";"), ("token", "object"), _IN_PATH)
    how = _attributes(query.split("&"), ("module-path", "pin-source"), _IN_QUERY)
    place = Place(what["token"], what["object"], how["module-path"], how["pin-source"])
    if len(place.token.encode()) > _LABEL_BYTES or not place.library.startswith("/"):
        raise _malformed()
    if not _PIN_SOURCE.fullmatch(place.pin):
        raise _malformed()
    return place


def _attributes(texts: list[str], names: tuple[str, str], allowed: re.Pattern[str]) -> dict[str, str]:
    given = [_attribute(text, allowed) for text in texts]
    if sorted(name for name, _ in given) != sorted(names):
        raise _malformed()
    return dict(given)


def _attribute(text: str, allowed: re.Pattern[str]) -> tuple[str, str]:
    name, _, coded = text.partition("=")
    if not allowed.fullmatch(coded):
        raise _malformed()
    value = unquote_to_bytes(coded).decode("utf-8", "replace")
    if "\ufffd" in value or not value.isprintable() or value != value.strip():
        raise _malformed()
    return name, value


def _malformed() -> BadInput:
    return BadInput("root-spec", "A key in a token is given as pkcs11:token=LABEL;object=LABEL?module-path=/FILE&"
                                 "pin-source=file:/FILE (or env:NAME), each once, percent-encoded, and nothing more.")


class TokenRoot:
    """See roots.Root. Several threads may use it; after the token came back it works again.

    Opening logs in anew, so that a wrong PIN is found. Raises StoreFault, as every later use may: root-missing (no
    library, no such key), token-missing, token-pin, token-ambiguous, root-open (the PIN's file), root-weak.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._key: Any = None
        self._found_in: tuple[_Library, int] | None = None
        self._use(_works, afresh=True)

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return nonce ‖ AES-256-GCM of `key`, the same bytes as a root in a file would write."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._use(lambda inside: _encrypt(inside, nonce, key, aad))

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytearray:
        """Return the key. Raises StoreFault(root-wrong), and as opening."""
        if len(wrapped) < NONCE_BYTES + TAG_BYTES:
            raise _wrong()
        return bytearray(self._use(lambda inside: _opened(inside, wrapped, aad)))

    def _use(self, act: Callable[[Any], bytes], *, afresh: bool = False) -> bytes:
        library = _library(self._place.library)
        with library.lock:
            if not afresh:
                with suppress(pkcs11.PKCS11Error):  # not believed yet
                    return act(self._found(library))
            try:
                library.start()
                return act(self._found(library))
            except pkcs11.PKCS11Error as error:
                raise _told(error) from None

    def _found(self, library: _Library) -> Any:
        if self._found_in != (library, library.starts):
            session = library.session(self._place)
            starts = library.starts  # a session in a new process begins with a start
            self._key = _only_key(library, session, self._place)
            self._found_in = (library, starts)
        return self._key


def make(place: Place) -> None:
    """Generate the key inside the token, unless one with this label is there; nobody can read it from then on.

    Raises StoreFault: root-missing (no library), token-missing, token-pin, token-ambiguous, token-refused, root-open.
    """
    library = _library(place.library)
    with library.lock:
        try:
            library.start()
            session = library.session(place, rw=True)
            if not _keys(session, place):
                _generate(library, session, place)
        except pkcs11.PKCS11Error as error:
            raise _told(error) from None


def _generate(library: _Library, session: pkcs11.Session, place: Place) -> None:
    try:
        session.generate_key(
            KeyType.AES, KEY_BYTES * 8, label=place.key, store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False,
                      Attribute.MODIFIABLE: False})
    except pkcs11.PKCS11Error:
        library.start()
        library.token(place.token)  # gone: that is what will be told
        raise StoreFault("token-refused", "The token does not make a key that cannot be taken out of it.") from None


class _Library:
    """One PKCS#11 library, as this process uses it. Everything happens under `lock`.

    `starts` counts; handles of an earlier start may by now be those of something else.
    """

    def __init__(self, path: str) -> None:
        self.lock = threading.Lock()
        self.starts = 0
        self._path = path
        self._loaded: Any = None
        self._sessions: dict[str, pkcs11.Session] = {}
        self._refused: set[bytes] = set()
        self._salt = os.urandom(16)

    def start(self) -> None:
        """Start the library again: tokens are looked for anew, nobody is logged in.

        Raises StoreFault(root-missing) where it cannot be loaded, PKCS11Error where it does not start.
        """
        self._sessions.clear()
        self.starts += 1
        try:
            self._loaded = pkcs11.lib(self._path)
        except pkcs11.PKCS11Error as error:
            if type(error) is pkcs11.PKCS11Error:  # the others come from a library that was loaded
                raise StoreFault("root-missing", "The token's library cannot be loaded.") from None
            raise
        with suppress(pkcs11.PKCS11Error):  # a fork, or a device that is gone, has ended it already
            self._loaded.finalize()
        self._loaded.initialize()

    def token(self, label: str) -> pkcs11.Token:
        """Return the token with this label. Raises NoSuchToken, MultipleTokensReturned."""
        found: list[pkcs11.Token] = []
        for slot in self._loaded.get_slots(token_present=True):
            with suppress(pkcs11.PKCS11Error):  # trouble in another slot is not ours; in ours, it is not there
                token = slot.get_token()
                found += [token] if token.label == label else []
        if not found:
            raise pkcs11.NoSuchToken
        if len(found) > 1:
            raise pkcs11.MultipleTokensReturned
        return found[0]

    def session(self, place: Place, *, rw: bool = False) -> pkcs11.Session:
        """Return the session on a token, logged in. Raises PKCS11Error, StoreFault."""
        if not self.starts:
            self.start()
        if place.token not in self._sessions:
            self._sessions[place.token] = self._logged_in(place, rw=rw)
        return self._sessions[place.token]

    def _logged_in(self, place: Place, *, rw: bool) -> pkcs11.Session:
        token, pin = self.token(place.token), _pin(place.pin)
        mark = hashlib.sha256(self._salt + f"{place.token}\0{pin}".encode()).digest()
        if mark in self._refused:  # tokens lock themselves after a few wrong ones
            raise _pin_refused()
        try:
            return token.open(rw=rw, user_pin=pin)
        except _PIN_REFUSED:
            self._refused.add(mark)
            raise


_libraries: dict[str, _Library] = {}
os.register_at_fork(after_in_child=_libraries.clear)  # also lets go of locks that nobody would open again


def _library(path: str) -> _Library:
    path = str(Path(path).resolve())  # by two names it would be started twice, which it refuses
    return _libraries.setdefault(path, _Library(path))


def _pin(source: str) -> str:
    how, _, where = source.partition(":")
    if how == "file":
        raw = private_bytes(Path(where), "file with the token's PIN", "token-pin")
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    else:
        raw = os.environb.get(where.encode(), b"")
    pin = raw.decode("utf-8", "replace")  # "strict" would put the PIN into an exception
    if not pin or "\ufffd" in pin:
        raise StoreFault("token-pin", "There is no PIN for the token where its settings say.")
    return pin


def _keys(session: pkcs11.Session, place: Place) -> list[pkcs11.Object]:
    return list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: place.key}))


def _only_key(library: _Library, session: pkcs11.Session, place: Place) -> Any:
    found = _keys(session, place)
    if not found:
        library.token(place.token)  # a token that has just gone also finds nothing
        raise pkcs11.NoSuchKey
    if len(found) > 1:
        raise pkcs11.MultipleObjectsReturned
    _strong(found[0])
    return found[0]


def _strong(key: pkcs11.Object) -> None:
    try:
        strong = all(key[attribute] == value for attribute, value in _STRONG.items())
    except (pkcs11.AttributeTypeInvalid, pkcs11.AttributeSensitive):
        strong = False
    if not strong:
        raise StoreFault("root-weak", "The root key in the token must be AES-256, made there, and never extractable.")


def _encrypt(key: Any, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
    given = pkcs11.GCMParams(nonce, aad=aad, tag_bits=TAG_BYTES * 8)
    return bytes(key.encrypt(plain, mechanism=Mechanism.AES_GCM, mechanism_param=given))


def _decrypt(key: Any, wrapped: bytes, aad: bytes) -> bytes:
    given = pkcs11.GCMParams(wrapped[:NONCE_BYTES], aad=aad, tag_bits=TAG_BYTES * 8)
    return bytes(key.decrypt(wrapped[NONCE_BYTES:], mechanism=Mechanism.AES_GCM, mechanism_param=given))


def _opened(key: Any, wrapped: bytes, aad: bytes) -> bytes:
    try:
        return _decrypt(key, wrapped, aad)
    except pkcs11.PKCS11Error:
        _works(key)
    raise _wrong()


def _works(key: Any) -> bytes:
    """Seal and open something, so that what does not open can be called wrong. Raises PKCS11Error."""
    nonce = os.urandom(NONCE_BYTES)
    return _decrypt(key, nonce + _encrypt(key, nonce, bytes(KEY_BYTES), b"works"), b"works")


def _wrong() -> StoreFault:
    return StoreFault("root-wrong", "This root key is not the one of this data folder.")


def _pin_refused() -> StoreFault:
    return StoreFault("token-pin", "The token refuses this PIN; it is not offered again before another start.")


def _told(error: pkcs11.PKCS11Error) -> StoreFault:
    """Say what an error means that came after a new start."""
    if isinstance(error, _PIN_REFUSED):
        return _pin_refused()
    if isinstance(error, pkcs11.NoSuchKey):
        return StoreFault("root-missing", "The token is there, but it has no key with this label.")
    if isinstance(error, pkcs11.MultipleTokensReturned | pkcs11.MultipleObjectsReturned):
        return StoreFault("token-ambiguous", "Two tokens, or two keys in the token, have the same label.")
    if isinstance(error, _CANNOT):
        return StoreFault("root-weak", "The token cannot seal with AES-256-GCM under this key.")
    return StoreFault("token-missing", "The token with the root key is not there, or does not answer.")
