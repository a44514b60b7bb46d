"""A root key inside a token (SoftHSM): the same bytes as a file's, never readable, and no false word about absence."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pkcs11
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

from countenance import settings
from countenance.clock import SetClock
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.flows import admit, rotate
from countenance.vault import residue
from countenance.vault.keys import roots, token
from countenance.vault.keys.token import Place, TokenRoot
from countenance.vault.residue import Needle
from support.venue import START, comes_back, enrolled, make_venue, open_venue, state_of

LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so",
             "/usr/lib/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so",
             "/opt/homebrew/lib/softhsm/libsofthsm2.so")
PIN, SO_PIN = "4711-zebra-at-the-gate", "4711-keeper-of-zebras"
KEY, AAD = bytes(range(32)), b"an epoch"
SEALING = MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT


@dataclass(frozen=True)
class Softhsm:
    """SoftHSM with tokens in a folder of the test run; one configuration for the process, as the library wants it."""

    library: str
    tokens: Path
    pins: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def new(self, label: str) -> Path:
        """Make a token; return the folder it lies in."""
        before = set(self.tokens.iterdir())
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN],
                       check=True, capture_output=True)
        (made,) = set(self.tokens.iterdir()) - before
        return made


@dataclass(frozen=True)
class Vault:
    """One token, its folder, and the place of a root key in it."""

    folder: Path
    place: Place
    spec: str

    def make(self) -> TokenRoot:
        token.make(self.place)
        return TokenRoot(self.place)

    def take_out(self) -> None:
        self.folder.rename(self._outside)

    def put_back(self) -> None:
        self._outside.rename(self.folder)

    @property
    def _outside(self) -> Path:
        return self.folder.parent.with_name(self.folder.name)

    @contextmanager
    def out(self) -> Iterator[None]:
        self.take_out()
        try:
            yield
        finally:
            self.put_back()


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Softhsm]:
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM 2 is not installed (Debian: apt install softhsm2)")
    top = tmp_path_factory.mktemp("softhsm")
    made = Softhsm(library, top / "tokens", top / "pins")
    made.tokens.mkdir()
    made.pins.mkdir()
    (top / "conf").write_text(f"directories.tokendir = {made.tokens}\nobjectstore.backend = file\n"
                              "log.level = ERROR\nslots.removable = true\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(top / "conf"))
        yield made
    for path in top.rglob("*"):
        assert stat.S_ISDIR(path.stat().st_mode) or KEY not in path.read_bytes()


@pytest.fixture
def another(softhsm: Softhsm) -> Callable[[], Vault]:
    """Makes tokens, each with a label of its own."""
    def new() -> Vault:
        label = f"vault {next(softhsm.numbers)}"
        pin = softhsm.pins / label
        pin.write_text(PIN + "\n")
        pin.chmod(0o600)
        spec = (f"pkcs11:token={quote(label)};object=root?module-path={softhsm.library}"
                f"&pin-source=file:{quote(str(pin))}")
        place = token.parse(spec)
        assert place == Place(label, "root", softhsm.library, f"file:{pin}")
        return Vault(softhsm.new(label), place, spec)

    return new


@pytest.fixture
def vault(another: Callable[[], Vault]) -> Vault:
    return another()


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    tell_nothing(caught.value)
    return caught.value.code


def tell_nothing(error: BaseException) -> None:
    """Neither the sentence nor a traceback nor what lies behind it holds a PIN or a key."""
    told, behind = "".join(traceback.format_exception(error)), error.__context__
    while behind is not None:
        told += f"{behind!r} {behind.args} {vars(behind)}"
        behind = behind.__context__
    assert PIN not in told and "wrong-zebra" not in told and KEY.hex() not in told and repr(KEY) not in told


def inside(vault: Vault) -> pkcs11.Session:
    """Log in, to do in the token what no code of ours does. Ends all other sessions."""
    library = token._library(vault.place.library)
    library.start()
    return library.session(vault.place, rw=True)


def elsewhere(script: str, *words: str) -> str:
    """Run a piece of Python in a process of its own."""
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def generate(session: pkcs11.Session, bits: int = 256, capabilities: MechanismFlag = SEALING,
             **more: bool) -> None:
    strong = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
    session.generate_key(KeyType.AES, bits, label="root", store=True, capabilities=capabilities,
                         template=strong | {Attribute[name]: value for name, value in more.items()})


def put_in(session: pkcs11.Session, value: bytes, kind: KeyType = KeyType.AES) -> None:
    session.create_object({
        Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: kind, Attribute.VALUE: value,
        Attribute.LABEL: "root", Attribute.TOKEN: True, Attribute.PRIVATE: True, Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False, Attribute.ENCRYPT: True, Attribute.DECRYPT: True})


# -- how a root in a token is named

GOOD = "pkcs11:token=zoo;object=root?module-path=/usr/lib/hsm.so&pin-source=file:/etc/zoo.pin"
ZOO = Place("zoo", "root", "/usr/lib/hsm.so", "file:/etc/zoo.pin")


@pytest.mark.parametrize(("old", "new", "place"), [
    ("", "", ZOO),
    ("token=zoo;object=root", "object=root;token=zoo", ZOO),
    ("module-path=/usr/lib/hsm.so&pin-source=file:/etc/zoo.pin",
     "pin-source=file:/etc/zoo.pin&module-path=/usr/lib/hsm.so", ZOO),
    ("token=zoo", "token=my%20zoo", replace(ZOO, token="my zoo")),  # noqa: S106  # a label
    ("token=zoo", "token=%7a%6F%6f", ZOO),
    ("token=zoo", "token=%E5%8A%A8%E7%89%A9%E5%9B%AD", replace(ZOO, token="动物园")),  # noqa: S106  # a label
    ("token=zoo", "token=a%3Bb%3Fc%2Fd%25e", replace(ZOO, token="a;b?c/d%e")),  # noqa: S106  # a label
    ("token=zoo", "token=" + "z" * 32, replace(ZOO, token="z" * 32)),
    ("object=root", "object=root-1.2_3~4", replace(ZOO, key="root-1.2_3~4")),
    ("object=root", "object=a=b&c:[d]@!$'()*+,", replace(ZOO, key="a=b&c:[d]@!$'()*+,")),
    ("object=root", "object=pin-value", replace(ZOO, key="pin-value")),
    ("/usr/lib/hsm.so", "%2Fusr%2Flib%2Fhsm.so", ZOO),
    ("/usr/lib/hsm.so", "/opt/a?b|c/hsm.so", replace(ZOO, library="/opt/a?b|c/hsm.so")),
    ("file:/etc/zoo.pin", "file:/srv/my%20pins/1", replace(ZOO, pin="file:/srv/my pins/1")),
    ("file:/etc/zoo.pin", "file%3A/etc/zoo.pin", ZOO),
    ("file:/etc/zoo.pin", "env:ZOO_PIN", replace(ZOO, pin="env:ZOO_PIN")),
])
def test_a_place_in_a_token_is_read(old: str, new: str, place: Place) -> None:
    assert old in GOOD
    assert token.parse(GOOD.replace(old, new)) == place


LIBRARY_FILE, PIN_FILE = "/usr/lib/hsm.so", "file:/etc/zoo.pin"
BAD = [
    # something is missing, empty, there twice, not known, or on the wrong side
    ("token=zoo;", ""), (";object=root", ""), (f"module-path={LIBRARY_FILE}&", ""), (f"&pin-source={PIN_FILE}", ""),
    ("token=zoo", "token="), ("object=root", "object"), ("token=zoo", "token=zoo;token=zoo"),
    ("token=zoo", "token=zoo;token=bar"), ("object=root", "object=root;object=root"),
    ("&pin-source", f"&module-path={LIBRARY_FILE}&pin-source"), ("&pin-source", "&pin-source=env:A&pin-source"),
    ("token=zoo", "token=zoo;serial=1"), ("token=zoo", "token=zoo;type=secret-key"), ("token=zoo", "token=zoo;x-new=1"),
    ("token=zoo", "Token=zoo"), ("?", "?module-name=hsm&"), ("token=zoo", "token=zoo;"), ("?", ";?"), ("?", "?&"),
    (f"?module-path={LIBRARY_FILE}&", ";module-path=%2Fusr%2Flib%2Fhsm.so?"), ("?", "&"), ("pkcs11:", "pkcs11::"),
    (f"module-path={LIBRARY_FILE}&", "token=zoo&"), ("pkcs11:", "pkcs11://"),
    # what must be percent-encoded, and what cannot be a label
    ("token=zoo", "token=my zoo"), ("token=zoo", "token=zo/o"), ("token=zoo", "token=动物园"),
    ("token=zoo", "token=%zz"), ("token=zoo", "token=zoo%2"), ("token=zoo", "token=%FF"),
    ("token=zoo", "token=zoo%00"), ("token=zoo", "token=%0Ab"),
    ("token=zoo", "token=zoo%20"), ("token=zoo", "token=%20"), ("token=zoo", "token=" + "z" * 33),
    ("token=zoo", "token=" + "%E5%9B%AD" * 11),
    # a library that would be searched for, and a PIN from elsewhere
    (LIBRARY_FILE, "hsm.so"), (LIBRARY_FILE, "../hsm.so"), (LIBRARY_FILE, "/usr/lib/h#sm.so"),
    (PIN_FILE, "/etc/zoo.pin"), (PIN_FILE, "file:zoo.pin"), (PIN_FILE, "file://host/zoo.pin"), (PIN_FILE, "file:"),
    (PIN_FILE, "env:"), (PIN_FILE, "env:1ZOO"), (PIN_FILE, "env:ZOO%20PIN"), (PIN_FILE, "%7Ccat%20/pin"),
    (PIN_FILE, "|cat"),
]


@pytest.mark.parametrize(("old", "new"), BAD)
def test_a_place_that_is_not_well_named_is_refused(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    spec = GOOD.replace(old, new, 1)
    for act in (token.parse, lambda spec: roots.open_root(spec, tmp_path), lambda spec: roots.make(spec, tmp_path)):
        with pytest.raises(BadInput) as caught:
            act(spec)
        assert caught.value.code == "root-spec"
        assert "each once" in caught.value.sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", [
    GOOD + f"&pin-value={PIN}", GOOD.replace("pin-source=file:/etc/zoo.pin", f"pin-value={PIN}"),
    GOOD.replace("?", f";pin-value={PIN}?"), GOOD.replace("&pin", f"&PIN-Value={PIN}&pin"), f"pkcs11:pin-value={PIN}",
    f"pkcs11:?pin-value={PIN}"])
def test_a_pin_in_the_settings_is_refused_and_not_repeated(tmp_path: Path, spec: str) -> None:
    for act in (roots.open_root, roots.make):
        with pytest.raises(BadInput) as caught:
            act(spec, tmp_path)
        assert caught.value.code == "root-spec"
        assert caught.value.sentence == "Settings are no place for a PIN: give pin-source, never pin-value."
        tell_nothing(caught.value)


@given(st.text(min_size=1, max_size=32), st.text(min_size=1, max_size=60))
def test_any_label_may_be_given_percent_encoded(label: str, key: str) -> None:
    usable = all(text.isprintable() and text == text.strip() and "\ufffd" not in text for text in (label, key))
    spec = f"pkcs11:token={quote(label, safe='')};object={quote(key, safe='')}?{GOOD.partition('?')[2]}"
    if usable and len(label.encode()) <= 32:
        assert token.parse(spec) == replace(ZOO, token=label, key=key)
    else:
        with pytest.raises(BadInput):
            token.parse(spec)


def test_the_library_for_tokens_is_loaded_only_where_one_is_named(tmp_path: Path) -> None:
    script = """if True:
        import sys
        from pathlib import Path
        import countenance.cli.main
        from countenance.vault.keys import roots
        folder, spec = Path(sys.argv[1]), sys.argv[2]
        roots.make("file:root.key", folder)
        roots.open_root("file:root.key", folder)
        print("pkcs11" in sys.modules)
        try:
            roots.open_root(spec, folder)
        except Exception as error:
            print(error.code)
        print("pkcs11" in sys.modules)
    """
    assert elsewhere(script, str(tmp_path), GOOD).split() == ["False", "root-missing", "True"]


def test_make_makes_what_the_spec_names(tmp_path: Path) -> None:
    roots.make("env:ZOO_ROOT", tmp_path)
    assert list(tmp_path.iterdir()) == []
    roots.make("file:root.key", tmp_path)
    written = (tmp_path / "root.key").read_bytes()
    roots.make("file:root.key", tmp_path)
    assert (tmp_path / "root.key").read_bytes() == written
    for spec in ("", "file", "file:", "env:", "http://x", "pkcs11", "pkcs11:"):
        assert code_of(lambda spec=spec: roots.make(spec, tmp_path)) == "root-spec"


# -- sealing


def test_it_writes_what_a_root_in_a_file_writes(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = bytes(range(100, 132))
    put_in(inside(vault), known)
    monkeypatch.setattr(token, "_strong", lambda _: None)  # a key that is known was not made in the token
    (tmp_path / "root.key").write_bytes(known)
    (tmp_path / "root.key").chmod(0o600)
    in_token, in_file = roots.open_root(vault.spec, tmp_path), roots.open_root("file:root.key", tmp_path)
    wrapped = in_token.wrap(KEY, AAD)
    assert len(wrapped) == 12 + 32 + 16
    assert wrapped[12:] == AESGCM(known).encrypt(wrapped[:12], KEY, AAD)
    assert in_file.unwrap(wrapped, AAD) == KEY
    assert in_token.unwrap(in_file.wrap(KEY, AAD), AAD) == KEY
    assert in_token.unwrap(in_file.wrap(KEY, b""), b"") == KEY
    nonce = b"nonce bytes!"
    monkeypatch.setattr(os, "urandom", lambda _: nonce)
    assert in_token.wrap(KEY, AAD) == in_file.wrap(KEY, AAD)


def test_a_key_comes_back_in_a_form_that_can_be_wiped_and_under_a_fresh_nonce(vault: Vault) -> None:
    root = vault.make()
    wrapped = [root.wrap(KEY, AAD) for _ in range(50)]
    assert len({w[:12] for w in wrapped}) == 50
    for one in wrapped:
        key = root.unwrap(one, AAD)
        assert type(key) is bytearray and key == KEY
    assert TokenRoot(vault.place).unwrap(wrapped[0], AAD) == KEY


def test_making_again_keeps_the_key(vault: Vault, tmp_path: Path) -> None:
    wrapped = vault.make().wrap(KEY, AAD)
    roots.make(vault.spec, tmp_path)
    assert roots.open_root(vault.spec, tmp_path).unwrap(wrapped, AAD) == KEY


@pytest.mark.parametrize("at", [0, 11, 12, 43, 44, 59])
def test_an_altered_blob_is_called_wrong_by_a_token_that_works(vault: Vault, at: int) -> None:
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    flipped = bytearray(wrapped)
    flipped[at] ^= 1
    assert code_of(lambda: root.unwrap(bytes(flipped), AAD)) == "root-wrong"
    assert code_of(lambda: root.unwrap(wrapped[:at], AAD)) == "root-wrong"
    assert code_of(lambda: root.unwrap(wrapped + bytes(at + 1), AAD)) == "root-wrong"
    assert code_of(lambda: root.unwrap(wrapped, AAD[:-1])) == "root-wrong"
    assert code_of(lambda: root.unwrap(wrapped, b"")) == "root-wrong"
    assert root.unwrap(wrapped, AAD) == KEY


def test_another_key_opens_nothing(another: Callable[[], Vault]) -> None:
    one, two = another(), another()
    beside = TokenRoot  # the same token, another label
    wrapped = one.make().wrap(KEY, AAD)
    assert code_of(lambda: two.make().unwrap(wrapped, AAD)) == "root-wrong"
    other = replace(one.place, key="root 2")
    token.make(other)
    assert code_of(lambda: beside(other).unwrap(wrapped, AAD)) == "root-wrong"
    assert beside(one.place).unwrap(wrapped, AAD) == KEY


def test_roots_in_several_tokens_do_not_take_each_others_keys(another: Callable[[], Vault]) -> None:
    """Each opening starts the library anew, and old handles then number the things of others."""
    vaults = [another() for _ in range(3)]
    open_roots = [vault.make() for vault in vaults]
    wrapped = [root.wrap(KEY, AAD) for root in open_roots]
    for root, one in zip(open_roots, wrapped, strict=True):
        assert root.unwrap(one, AAD) == KEY
    for vault, one in zip(vaults, reversed(wrapped), strict=True):
        code = "" if one is wrapped[1] else "root-wrong"
        if code:
            assert code_of(lambda v=vault, w=one: TokenRoot(v.place).unwrap(w, AAD)) == code
        for root, own in zip(open_roots, wrapped, strict=True):
            assert root.unwrap(own, AAD) == KEY


def test_threads_share_a_root_while_others_are_opened(another: Callable[[], Vault]) -> None:
    vault, other = another(), another()
    root, failed = vault.make(), []
    other.make()

    def work(number: int) -> None:
        try:
            for count in range(150):
                aad = f"{number} {count}".encode()
                assert root.unwrap(root.wrap(KEY, aad), aad) == KEY
        except BaseException as error:  # noqa: BLE001  # told below, in the thread that may fail
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    opened = 0
    while any(thread.is_alive() for thread in threads):
        TokenRoot(other.place)
        opened += 1
    for thread in threads:
        thread.join()
    assert failed == []
    assert opened > 3


# -- what a root must be


def test_the_key_cannot_be_taken_out(vault: Vault) -> None:
    vault.make()
    session = inside(vault)
    session.generate_key(KeyType.AES, 256, label="readable", template={
        Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True})
    assert len(session.get_key(label="readable")[Attribute.VALUE]) == 32  # what can be read is read
    key: Any = session.get_key(label="root")
    with pytest.raises(pkcs11.AttributeSensitive):
        key[Attribute.VALUE]
    wrapper: Any = session.generate_key(KeyType.AES, 256, label="wrapper")
    with pytest.raises(pkcs11.KeyUnextractable):
        wrapper.wrap_key(key)
    for name, value in (("EXTRACTABLE", True), ("SENSITIVE", False)):
        with pytest.raises(pkcs11.PKCS11Error):
            key[Attribute[name]] = value
        with pytest.raises(pkcs11.PKCS11Error):
            key.copy({Attribute[name]: value})
    assert {name: key[Attribute[name]] for name in STRONG} == STRONG
    assert not any(key[Attribute[name]] for name in ("WRAP", "UNWRAP", "DERIVE", "MODIFIABLE"))


@pytest.mark.parametrize("weak", [
    lambda session: generate(session, EXTRACTABLE=True),
    lambda session: generate(session, SENSITIVE=False),
    lambda session: generate(session, SENSITIVE=False, EXTRACTABLE=True),
    lambda session: generate(session, PRIVATE=False),
    lambda session: generate(session, bits=128),
    lambda session: generate(session, bits=192),
    lambda session: generate(session, capabilities=MechanismFlag.ENCRYPT),
    lambda session: generate(session, capabilities=MechanismFlag.DECRYPT),
    lambda session: put_in(session, bytes(32)),
    lambda session: put_in(session, bytes(32), KeyType.GENERIC_SECRET),
], ids=["extractable", "not sensitive", "readable", "public", "128", "192", "seals only", "opens only", "brought in",
        "no AES"])
def test_a_key_that_others_could_have_is_refused(vault: Vault, weak: Callable[[pkcs11.Session], None]) -> None:
    weak(inside(vault))
    token.make(vault.place)  # leaves alone what is there
    assert code_of(lambda: TokenRoot(vault.place)) == "root-weak"
    for key in list(inside(vault).get_objects({Attribute.LABEL: "root"})):
        key.destroy()
    generate(inside(vault))
    assert TokenRoot(vault.place).wrap(KEY, AAD)


STRONG = {"KEY_TYPE": KeyType.AES, "VALUE_LEN": 32, "TOKEN": True, "PRIVATE": True, "SENSITIVE": True,
          "ALWAYS_SENSITIVE": True, "EXTRACTABLE": False, "NEVER_EXTRACTABLE": True, "ENCRYPT": True, "DECRYPT": True}


@pytest.mark.parametrize("name", STRONG)
def test_each_thing_that_makes_a_root_strong_is_asked_for(name: str) -> None:
    class Key(dict[Attribute, object]):
        def __missing__(self, _: Attribute) -> object:
            raise pkcs11.AttributeTypeInvalid

    strong = Key({Attribute[each]: value for each, value in STRONG.items()})
    token._strong(strong)  # type: ignore[arg-type]  # stands in for an object of the token
    wrong = KeyType.DES3 if name == "KEY_TYPE" else 24 if name == "VALUE_LEN" else not STRONG[name]
    without = Key({each: value for each, value in strong.items() if each != Attribute[name]})
    for weak in (Key(strong | {Attribute[name]: wrong}), without):
        assert code_of(lambda weak=weak: token._strong(weak)) == "root-weak"


def test_a_key_that_is_exchanged_for_a_weak_one_while_open_is_refused(vault: Vault) -> None:
    root = vault.make()
    session = inside(vault)
    session.get_key(label="root").destroy()
    generate(session, EXTRACTABLE=True)
    assert code_of(lambda: root.wrap(KEY, AAD)) == "root-weak"


def test_two_of_one_name_are_not_chosen_between(vault: Vault, softhsm: Softhsm) -> None:
    root = vault.make()
    generate(inside(vault))
    assert code_of(lambda: TokenRoot(vault.place)) == "token-ambiguous"
    assert code_of(lambda: root.wrap(KEY, AAD)) == "token-ambiguous"
    next(iter(inside(vault).get_objects({Attribute.LABEL: "root"}))).destroy()
    assert TokenRoot(vault.place)
    twin = softhsm.new(vault.place.token)
    assert code_of(lambda: TokenRoot(vault.place)) == "token-ambiguous"
    assert code_of(lambda: token.make(vault.place)) == "token-ambiguous"
    shutil.rmtree(twin)
    assert TokenRoot(vault.place)


# -- what is absent, and what only seems so


def test_a_library_that_is_none_is_told(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    for path in (str(tmp_path / "none.so"), str(tmp_path / "text.so"), str(tmp_path)):
        for act in (token.make, TokenRoot):
            assert code_of(lambda act=act, path=path: act(replace(vault.place, library=path))) == "root-missing"
    assert vault.make()


def test_one_library_by_two_names_is_one(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "again.so").symlink_to(vault.place.library)
    one, two = vault.make(), TokenRoot(replace(vault.place, library=str(tmp_path / "again.so")))
    assert two.unwrap(one.wrap(KEY, AAD), AAD) == KEY


def test_a_token_and_a_key_that_never_were_are_told_apart(vault: Vault) -> None:
    elsewhere_token = replace(vault.place, token="nowhere")  # noqa: S106  # a label
    assert code_of(lambda: TokenRoot(elsewhere_token)) == "token-missing"
    assert code_of(lambda: token.make(elsewhere_token)) == "token-missing"
    assert code_of(lambda: TokenRoot(vault.place)) == "root-missing"
    vault.make()
    assert code_of(lambda: TokenRoot(replace(vault.place, key="roo"))) == "root-missing"


def test_a_token_that_goes_is_missed_and_when_it_comes_back_the_root_works_again(vault: Vault) -> None:
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    for _ in range(2):
        with vault.out():
            for _ in range(2):
                assert code_of(lambda: root.wrap(KEY, AAD)) == "token-missing"
                assert code_of(lambda: root.unwrap(wrapped, AAD)) == "token-missing"
                assert code_of(lambda: root.unwrap(wrapped[:-1] + b"?", AAD)) == "token-missing"  # not: wrong
                assert code_of(lambda: root.unwrap(wrapped[:27], AAD)) == "root-wrong"  # whatever the key is
            assert code_of(lambda: TokenRoot(vault.place)) == "token-missing"
            assert code_of(lambda: token.make(vault.place)) == "token-missing"
        assert root.unwrap(wrapped, AAD) == KEY
        assert root.unwrap(root.wrap(KEY, AAD), AAD) == KEY


def test_a_token_that_goes_and_comes_back_between_two_uses_is_not_missed(vault: Vault) -> None:
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    with vault.out():
        pass
    assert root.unwrap(wrapped, AAD) == KEY
    with vault.out():
        token._library(vault.place.library).start()  # another root was opened meanwhile, and saw no token
    assert root.unwrap(wrapped, AAD) == KEY


@pytest.mark.parametrize("moment", ["_keys", "_strong", "_encrypt", "_decrypt", "_works", "_pin"])
@pytest.mark.parametrize("use", ["open", "wrap", "unwrap"])
def test_a_token_that_goes_in_the_middle_is_missed_and_never_called_empty(
        vault: Vault, monkeypatch: pytest.MonkeyPatch, moment: str, use: str) -> None:
    root, happened = vault.make(), []
    wrapped = root.wrap(KEY, AAD)
    step = getattr(token, moment)

    def goes(*given: Any) -> Any:
        if not happened:
            happened.append(moment)
            vault.take_out()
        return step(*given)

    acts: dict[str, Callable[[], object]] = {
        "open": lambda: TokenRoot(vault.place), "wrap": lambda: root.wrap(KEY, AAD),
        "unwrap": lambda: root.unwrap(wrapped, AAD)}
    token._library(vault.place.library).start()  # so that each use looks the key up
    with monkeypatch.context() as patch:
        patch.setattr(token, moment, goes)
        try:
            acts[use]()
        except StoreFault as error:
            assert error.code == "token-missing"
            assert happened
        else:  # this use has no such moment
            assert not happened and (use, moment) in {("wrap", "_decrypt"), ("wrap", "_works"), ("unwrap", "_encrypt"),
                                                      ("unwrap", "_works")}
    if happened:
        vault.put_back()
    assert root.unwrap(wrapped, AAD) == KEY


def test_a_key_that_was_destroyed_is_told_only_by_its_token(vault: Vault) -> None:
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    elsewhere("""if True:
        import sys, pkcs11
        library, label, pin = sys.argv[1:]
        pkcs11.lib(library).get_token(token_label=label).open(rw=True, user_pin=pin).get_key(label="root").destroy()
    """, vault.place.library, vault.place.token, PIN)
    with vault.out():
        assert code_of(lambda: root.unwrap(wrapped, AAD)) == "token-missing"
    assert code_of(lambda: root.unwrap(wrapped, AAD)) == "root-missing"
    assert code_of(lambda: root.wrap(KEY, AAD)) == "root-missing"
    token.make(vault.place)  # another key under the same label
    assert code_of(lambda: root.unwrap(wrapped, AAD)) == "root-wrong"
    assert root.unwrap(root.wrap(KEY, AAD), AAD) == KEY


def test_a_destroyed_key_of_a_softhsm_works_again_when_its_file_is_put_back(vault: Vault, tmp_path: Path) -> None:
    """What docs/operating/keys.md says such a destruction is worth."""
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    shutil.copytree(vault.folder, tmp_path / "copy")
    inside(vault).get_key(label="root").destroy()
    assert code_of(lambda: root.unwrap(wrapped, AAD)) == "root-missing"
    shutil.copytree(tmp_path / "copy", vault.folder, dirs_exist_ok=True)
    assert root.unwrap(wrapped, AAD) == KEY


def test_all_tokens_gone_is_a_missing_token(vault: Vault, softhsm: Softhsm) -> None:
    """Without its folder SoftHSM does not even start."""
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    softhsm.tokens.rename(softhsm.tokens.with_name("away"))
    try:
        assert code_of(lambda: root.unwrap(wrapped, AAD)) == "token-missing"
        assert code_of(lambda: TokenRoot(vault.place)) == "token-missing"
    finally:
        softhsm.tokens.with_name("away").rename(softhsm.tokens)
    assert root.unwrap(wrapped, AAD) == KEY


def test_a_damaged_token_beside_ours_is_not_our_trouble(vault: Vault, another: Callable[[], Vault]) -> None:
    root, beside = vault.make(), another()
    wrapped = root.wrap(KEY, AAD)
    for path in beside.folder.iterdir():
        path.write_bytes(b"\0" * 40)
    try:
        assert TokenRoot(vault.place).unwrap(wrapped, AAD) == KEY
        assert root.unwrap(wrapped, AAD) == KEY
    finally:
        shutil.rmtree(beside.folder)


def test_a_slot_that_does_not_answer_beside_ours_is_not_our_trouble(
        vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    real = token._library(vault.place.library)._loaded

    class Broken:
        def get_token(self) -> pkcs11.Token:
            raise pkcs11.DeviceError

    class Beside:
        finalize, initialize = real.finalize, real.initialize

        def get_slots(self, *, token_present: bool) -> list[Any]:
            return [Broken(), *real.get_slots(token_present=token_present), Broken()]

    monkeypatch.setattr(pkcs11, "lib", lambda _: Beside())
    assert TokenRoot(vault.place).unwrap(wrapped, AAD) == KEY
    with vault.out():
        assert code_of(lambda: root.unwrap(wrapped, AAD)) == "token-missing"


def test_a_token_that_makes_no_such_key_is_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn:
        def get_objects(self, _: object) -> Iterator[object]:
            return iter(())

        def generate_key(self, *_: object, **__: object) -> None:
            raise pkcs11.TemplateInconsistent

    with monkeypatch.context() as patch:
        patch.setattr(token._Library, "session", lambda *_, **__: Stubborn())
        assert code_of(lambda: token.make(vault.place)) == "token-refused"
        with vault.out():
            assert code_of(lambda: token.make(vault.place)) == "token-missing"
    assert vault.make()


def test_a_token_without_gcm_is_refused(vault: Vault, softhsm: Softhsm, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "conf"
    conf.write_text(f"directories.tokendir = {softhsm.tokens}\nslots.mechanisms = -CKM_AES_CTR,CKM_AES_GCM\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    script = """if True:
        import sys
        from pathlib import Path
        from countenance.vault.keys import roots
        roots.make(sys.argv[1], Path())
        try:
            roots.open_root(sys.argv[1], Path())
        except Exception as error:
            print(error.code)
    """
    assert elsewhere(script, vault.spec) == "root-weak"


# -- the PIN


def test_a_wrong_pin_is_found_though_others_are_logged_in(vault: Vault, monkeypatch: pytest.MonkeyPatch,
                                                         caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    monkeypatch.setenv("ZOO_PIN", "wrong-zebra")
    other = replace(vault.place, pin="env:ZOO_PIN")
    for act in (TokenRoot, token.make):
        assert code_of(lambda act=act: act(other)) == "token-pin"
    assert root.unwrap(wrapped, AAD) == KEY
    monkeypatch.setenv("ZOO_PIN", PIN)
    assert TokenRoot(other).unwrap(wrapped, AAD) == KEY
    for text in (caplog.text, repr(root), str(root), repr(other), repr(vars(root))):
        assert PIN not in text and "wrong-zebra" not in text


def test_a_refused_pin_is_not_offered_again(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens lock themselves after a few wrong ones, and a gate tries again all day."""
    offered: list[str] = []
    real = token._Library.token

    class Counting:
        def __init__(self, held: pkcs11.Token) -> None:
            self.held = held

        def open(self, *, rw: bool, user_pin: str) -> pkcs11.Session:
            offered.append(user_pin)
            return self.held.open(rw=rw, user_pin=user_pin)

    root = vault.make()
    wrapped = root.wrap(KEY, AAD)
    monkeypatch.setattr(token._Library, "token", lambda library, label: Counting(real(library, label)))
    pin = Path(vault.place.pin.removeprefix("file:"))
    pin.write_text("wrong-zebra")
    token._library(vault.place.library).start()
    for _ in range(4):
        assert code_of(lambda: root.unwrap(wrapped, AAD)) == "token-pin"
        assert code_of(lambda: TokenRoot(vault.place)) == "token-pin"
    assert offered == ["wrong-zebra"]
    pin.write_text(PIN)
    assert root.unwrap(wrapped, AAD) == KEY
    assert offered == ["wrong-zebra", PIN]


@pytest.mark.parametrize(("data", "told"), [
    (PIN.encode(), ""), (PIN.encode() + b"\n", ""), (PIN.encode() + b"\r\n", ""), (PIN.encode() + b"\n\n", "refuses"),
    (b" " + PIN.encode(), "refuses"), (PIN.encode()[:-1], "refuses"), (b"x" * 300, "refuses"), (b"1", "refuses"),
    (b"", "no PIN"), (b"\n", "no PIN"), (b"\r\n", "no PIN"), (b"\xff" + PIN.encode(), "no PIN")])
def test_a_pin_is_the_whole_file_but_its_line_end(vault: Vault, data: bytes, told: str) -> None:
    vault.make()
    Path(vault.place.pin.removeprefix("file:")).write_bytes(data)
    if told:
        with pytest.raises(StoreFault) as caught:
            TokenRoot(vault.place)
        assert caught.value.code == "token-pin"
        assert told in caught.value.sentence  # "no PIN" was not offered to the token
        tell_nothing(caught.value)
    else:
        assert TokenRoot(vault.place)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_pin_that_others_may_read_is_refused(vault: Vault, mode: int) -> None:
    vault.make()
    pin = Path(vault.place.pin.removeprefix("file:"))
    pin.chmod(mode)
    assert code_of(lambda: TokenRoot(vault.place)) == "root-open"
    pin.chmod(0o400)
    assert TokenRoot(vault.place)


def test_a_pin_that_is_not_there_is_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.make()
    monkeypatch.delenv("ZOO_PIN", raising=False)
    assert code_of(lambda: TokenRoot(replace(vault.place, pin="env:ZOO_PIN"))) == "token-pin"
    monkeypatch.setenv("ZOO_PIN", "")
    assert code_of(lambda: TokenRoot(replace(vault.place, pin="env:ZOO_PIN"))) == "token-pin"
    Path(vault.place.pin.removeprefix("file:")).unlink()
    assert code_of(lambda: TokenRoot(vault.place)) == "token-pin"


# -- other processes


def test_a_child_of_a_fork_starts_its_own_library_and_leaves_ours_alone(vault: Vault) -> None:
    vault.make()
    script = """if True:
        import os, sys
        from pathlib import Path
        from countenance.vault.keys import roots, token
        root = roots.open_root(sys.argv[1], Path())
        wrapped = root.wrap(bytes(32), b"x")
        for busy in (False, True):
            lock = token._library(token.parse(sys.argv[1]).library).lock
            if busy:
                lock.acquire()  # as by another thread, which a child does not have
            child = os.fork()
            if not child:
                good = root.unwrap(wrapped, b"x") == bytes(32) and root.unwrap(root.wrap(b"k", b"y"), b"y") == b"k"
                os._exit(7 if good else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            if busy:
                lock.release()
            print(root.unwrap(wrapped, b"x") == bytes(32))
    """
    assert elsewhere(script, vault.spec).split() == ["7", "True"] * 2


# -- a venue on such a root


def test_a_venue_stands_on_a_root_in_a_token(vault: Vault, tmp_path: Path) -> None:
    clock, folder = SetClock(START), tmp_path / "zoo"
    make_venue(folder, clock, root=vault.spec)
    assert settings.load(folder).root == vault.spec
    assert not (folder / "root.key").exists()
    with open_venue(folder, clock) as venue:
        who = enrolled(venue)
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
        before = (folder / "epoch.key").read_bytes()
        assert rotate.rotate(venue) == 2
        assert (folder / "epoch.key").read_bytes() != before
    with open_venue(folder, clock) as venue:
        assert venue.keys.epoch[0] == 2
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    place = Needle("place of the pin", quote(vault.place.pin, safe=":/").encode())
    assert {finding.file.name for finding in residue.search(folder, [place])} == {"venue.toml"}  # the search can find
    assert residue.search(folder, [Needle("pin", PIN.encode())]) == []


def test_a_venue_waits_for_its_token(vault: Vault, tmp_path: Path) -> None:
    clock, folder = SetClock(START), tmp_path / "zoo"
    make_venue(folder, clock, root=vault.spec)
    with open_venue(folder, clock) as venue:
        who = enrolled(venue)
        before = state_of(folder)
        for grows in ("countenance.db/gallery", "gone.list"):  # by an enrolment that is taken back
            before.pop(grows, None)
        with vault.out():
            assert code_of(lambda: enrolled(venue, "ben", 2)) == "token-missing"
            assert code_of(lambda: rotate.rotate(venue)) == "token-missing"
            after = state_of(folder)
            assert {name: after[name] for name in before} == before
            assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT  # the epoch key is in memory
        assert enrolled(venue, "ben", 2).pass_text
        assert rotate.rotate(venue) == 2
    with vault.out(), pytest.raises(StoreFault) as caught, open_venue(folder, clock):
        pass
    assert caught.value.code == "token-missing"
    with open_venue(folder, clock) as venue:
        assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


@pytest.mark.parametrize(("spoil", "code"), [
    (lambda vault: Path(vault.place.pin.removeprefix("file:")).write_text("wrong-zebra"), "token-pin"),
    (lambda vault: generate(inside(vault), EXTRACTABLE=True), "root-weak"),
    (lambda vault: shutil.rmtree(vault.folder), "token-missing")], ids=["pin", "weak", "token"])
def test_no_venue_is_founded_on_a_root_that_does_not_open(
        vault: Vault, tmp_path: Path, spoil: Callable[[Vault], object], code: str) -> None:
    spoil(vault)
    assert code_of(lambda: make_venue(tmp_path / "zoo", root=vault.spec)) == code
    assert list(tmp_path.iterdir()) == []
