"""A fresh venue lets nobody in; a thief of the data folder finds nothing to sign in with; no secret is of another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from countenance.access import keys, me_codes, operators, passkeys, sessions
from countenance.access.roles import KEY_ROLES, Role
from countenance.errors import CountenanceError
from countenance.flows.venue import Venue
from countenance.storage.unit import Unit
from support.venue import count, enrolled, state_of

WORDS = "four quiet herons wade"
GUESSES = ("", "admin", "owner", "operator", "root", "countenance", "password", "changeme", "Test Zoo", "desk")


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def found_in(folder: Path, secret: bytes) -> list[str]:
    """Return the files that hold a secret, as it is, in hex, or in either case."""
    needles = {secret, secret.hex().encode(), secret.lower(), secret.upper(), secret.replace(b"-", b"")}
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
                  and any(needle in data for data in [path.read_bytes()] for needle in needles))


def test_a_fresh_venue_lets_nobody_in(venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("operator", "api_key", "session", "one_time", "passkey", "me_code"):
        assert count(folder, table) == 0
    before = state_of(folder)
    with venue.store.read() as unit:
        for name in GUESSES[:4]:
            assert refused(lambda name=name: operators.check_password(unit, name, WORDS)) == "sign-in-failed"
        for guess in GUESSES:
            assert refused(lambda guess=guess: keys.who(unit, guess)) == "key-unknown"
            assert refused(lambda guess=guess: sessions.who(unit, guess)) == "session-unknown"
            assert refused(lambda guess=guess: me_codes.whose(unit, guess)) == "me-code-unknown"
            assert refused(lambda guess=guess: me_codes.invited(unit, guess)) == "invitation-unknown"
            assert refused(lambda guess=guess: operators.take_code(unit, guess, "Eve", WORDS)) == "code-unknown"
        assert refused(lambda: passkeys.sign_in(unit, b"", "{}", "a.test", "https://a.test")) == "passkey-failed"
        monkeypatch.setattr(operators, "_matches", lambda _hash, _password: True)  # whoever knew what the dummy is of
        assert refused(lambda: operators.check_password(unit, "admin", WORDS)) == "sign-in-failed"
    assert state_of(folder) == before


def test_no_secret_lies_anywhere_in_the_data_folder(venue: Venue, folder: Path) -> None:
    person = enrolled(venue).person
    with venue.store.write() as unit:
        spent = operators.first_code(unit)
        owner = operators.take_code(unit, spent, "Ada", WORDS)
        code, invited = operators.first_code(unit), operators.invite(unit, "Ben", Role.DESK, owner)
        session = sessions.begin(unit, operator=owner)
        key = keys.make(unit, Role.WITNESS, label="plantedlabel", by=owner, days=9)
        me, invitation = me_codes.give(unit, person), me_codes.invite(unit, person)
    assert "countenance.db-wal" in found_in(folder, b"plantedlabel")  # the search finds what is there
    (folder / "planted").write_text(key.text.rsplit("_", 1)[1])
    for secret in (key.text, key.text.rsplit("_", 1)[1], WORDS, session.token, session.csrf, spent, code, invited, me,
                   invitation):
        assert found_in(folder, secret.encode()) == (["planted"] if secret in key.text.rsplit("_", 1) else [])
    (folder / "planted").unlink()
    venue.store.empty_wal()
    assert found_in(folder, b"plantedlabel") == ["countenance.db"]
    assert found_in(folder, key.text.rsplit("_", 1)[1].encode()) == []


def test_a_secret_of_one_kind_is_none_of_another(venue: Venue, folder: Path) -> None:
    person = enrolled(venue).person
    with venue.store.write() as unit:
        owner = operators.take_code(unit, operators.first_code(unit), "Ada", WORDS)
        mine, theirs = sessions.begin(unit, operator=owner), sessions.begin(unit, person=person)
        secrets = {
            "key": keys.make(unit, Role.OPERATOR, label="k", by=owner, days=9).text, "session": mine.token,
            "csrf-missing": mine.csrf, "person": theirs.token, "code": operators.first_code(unit),
            "me": me_codes.give(unit, person), "invitation": me_codes.invite(unit, person),
        }
    ways: dict[str, Callable[[Unit, str], object]] = {
        "key": keys.who, "session": sessions.who, "person": sessions.who, "me": me_codes.whose,
        "invitation": me_codes.invited, "code": lambda unit, code: operators.take_code(unit, code, "Eve", WORDS),
        "csrf-missing": lambda unit, csrf: sessions.require_csrf(unit, mine.token, csrf),
    }
    before, tried = state_of(folder), 0
    for (kind, secret), (way, enter) in itertools.product(secrets.items(), ways.items()):
        if kind != way and {kind, way} != {"session", "person"}:
            with venue.store.read() as unit:
                refused(lambda enter=enter, secret=secret: enter(unit, secret))
            tried += 1
    assert tried == 40 and state_of(folder) == before
    with venue.store.read() as unit:
        assert sessions.who(unit, theirs.token).role is Role.PERSON
        assert not sessions.who(unit, theirs.token).operator_id
        assert refused(lambda: sessions.require_csrf(unit, theirs.token, mine.csrf)) == "csrf-missing"


def test_no_role_comes_of_a_key_or_a_session_but_the_one_it_was_given(venue: Venue) -> None:
    with venue.store.write() as unit:
        owner = operators.take_code(unit, operators.first_code(unit), "Ada", WORDS)
        for role in sorted(KEY_ROLES - {Role.GATE, Role.GATE_STAFF}, key=str):
            made = keys.make(unit, role, label="k", by=owner, days=9)
            assert keys.who(unit, made.text).role is role
        for role in (Role.OWNER, Role.PERSON):
            assert refused(lambda role=role: keys.make(unit, role, label="k", by=owner, days=9)) == "key-role"
