"""Operators, their codes, passwords and sessions: one way in, and every other way refused alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from countenance.access import codes, keys, me_codes, operators, sessions
from countenance.access.roles import Role
from countenance.clock import SetClock
from countenance.errors import CountenanceError, Refused
from countenance.flows.venue import Venue
from countenance.quantities import DAY, HOUR, MINUTE, PersonId
from countenance.storage import schema
from support.venue import clear_events, count, enrolled, open_venue, rows_of, state_of

WORDS, OTHERS = "four quiet herons wade", "seven loud geese swim"


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def wrote(venue: Venue, act: Callable[..., Any], *args: Any, **named: Any) -> Any:
    with venue.store.write() as unit:
        return act(unit, *args, **named)


def read(venue: Venue, act: Callable[..., Any], *args: Any, **named: Any) -> Any:
    with venue.store.read() as unit:
        return act(unit, *args, **named)


@pytest.fixture
def owner(venue: Venue) -> str:
    return str(wrote(venue, operators.take_code, wrote(venue, operators.first_code), "Ada", WORDS))


def joined(venue: Venue, owner: str, name: str = "Ben", role: Role = Role.DESK, words: str = OTHERS) -> str:
    return str(wrote(venue, operators.take_code, wrote(venue, operators.invite, name, role, owner), "", words))


def test_an_owner_comes_in_by_a_code_and_brings_others(venue: Venue, owner: str, folder: Path) -> None:
    ben = joined(venue, owner)
    assert read(venue, operators.check_password, " ADA ", WORDS) == owner
    assert read(venue, operators.check_password, "ben", OTHERS) == ben
    assert [(one.name, one.role, one.active, one.ready) for one in read(venue, operators.all_of)] == [
        ("Ada", Role.OWNER, True, True), ("Ben", Role.DESK, True, True)]
    told = [event.body for event in clear_events(folder) if event.type == "operator-made"]
    assert told == [{"operator": owner, "role": "owner"}, {"operator": ben, "role": "desk"}]


@pytest.mark.parametrize(("name", "words", "code"), [
    ("Ben", "short", "password-short"), ("Ben", "password1234", "password-common"),
    ("Ben", "aaaaaaaaaaaaaa", "password-common"), ("Ben", "x" * 300, "password-long"),
    ("", WORDS, "operator-name"), ("x" * 65, WORDS, "operator-name"), ("a\0b", WORDS, "operator-name"),
    (" aDa ", WORDS, "operator-name-taken")])
def test_what_is_wrong_with_a_first_sign_in_leaves_the_code_good(
        venue: Venue, owner: str, folder: Path, name: str, words: str, code: str) -> None:
    fresh = wrote(venue, operators.first_code)
    before = state_of(folder)
    assert code_of(lambda: wrote(venue, operators.take_code, fresh, name, words)) == code
    assert state_of(folder) == before
    assert wrote(venue, operators.take_code, fresh.lower().replace("-", " "), "Cem", WORDS)
    assert code_of(lambda: wrote(venue, operators.take_code, fresh, "Dee", WORDS)) == "code-unknown"


def test_codes_end_are_replaced_and_are_for_one_thing(venue: Venue, owner: str, clock: SetClock) -> None:
    person = enrolled(venue).person
    older, newer = (wrote(venue, operators.first_code) for _ in range(2))
    invitation, me = wrote(venue, me_codes.invite, person), wrote(venue, me_codes.give, person)
    desk = wrote(venue, operators.invite, "Ben", Role.DESK, owner)
    for wrong in (older, invitation, me, "", "x" * 10_000, "\ud800"):
        assert code_of(lambda wrong=wrong: wrote(venue, operators.take_code, wrong, "Cem", WORDS)) == "code-unknown"
    for wrong in (newer, me, desk):
        assert code_of(lambda wrong=wrong: read(venue, me_codes.invited, wrong)) == "invitation-unknown"
        assert code_of(lambda wrong=wrong: wrote(venue, me_codes.spend_invitation, wrong)) == "invitation-unknown"
    for wrong in (newer, invitation, desk):
        assert code_of(lambda wrong=wrong: read(venue, me_codes.whose, wrong)) == "me-code-unknown"
    assert code_of(lambda: wrote(venue, operators.take_code, desk, "Eve", WORDS)) == "operator-name-other"
    clock.move(24 * HOUR)
    for late in (newer, desk):
        assert code_of(lambda late=late: wrote(venue, operators.take_code, late, "", WORDS)) == "code-unknown"
    wrote(venue, operators.first_code)  # a write, so that the time is kept
    clock.move(-24 * HOUR)
    assert code_of(lambda: wrote(venue, operators.take_code, newer, "Cem", WORDS)) == "code-unknown"


def test_a_code_is_spent_once_by_many_at_once(venue: Venue, folder: Path, clock: SetClock) -> None:
    fresh, done, refused = wrote(venue, operators.first_code), [], []
    hashed, start = operators.hash_password(WORDS), threading.Barrier(6)

    def one(number: int) -> None:
        start.wait()
        try:
            done.append(wrote(venue, operators.take_code, fresh, f"name {number}", hashed))
        except Refused as error:
            refused.append(error.code)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), refused) == (1, ["code-unknown"] * 5)
    assert count(folder, "operator") == 1 and count(folder, "one_time") == 0


def test_only_owners_invite_and_the_last_stays(venue: Venue, owner: str) -> None:
    ben = joined(venue, owner, role=Role.OPERATOR)
    for act in (lambda: wrote(venue, operators.invite, "Eve", Role.OWNER, ben),
                lambda: wrote(venue, operators.invite_again, owner, ben)):
        assert code_of(act) == "owner-only"
    assert code_of(lambda: wrote(venue, operators.invite, "Eve", Role.OWNER, "nobody")) == "operator-unknown"
    assert code_of(lambda: wrote(venue, operators.invite, "Eve", Role.GATE, owner)) == "operator-role"
    assert code_of(lambda: wrote(venue, operators.switch_off, owner)) == "owner-last"
    assert code_of(lambda: wrote(venue, operators.invite_again, owner, owner)) == "owner-last"
    wrote(venue, operators.invite, "Cem", Role.OWNER, owner)  # invited is not yet there
    assert code_of(lambda: wrote(venue, operators.switch_off, owner)) == "owner-last"
    joined(venue, owner, "Dee", Role.OWNER)
    wrote(venue, operators.switch_off, owner)
    assert code_of(lambda: read(venue, operators.check_password, "Ada", WORDS)) == "sign-in-failed"


def test_unknown_names_and_wrong_passwords_do_the_same_work(
        venue: Venue, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ben = joined(venue, owner)
    wrote(venue, operators.switch_off, ben)
    wrote(venue, operators.invite, "Cem", Role.DESK, owner)
    worked: list[tuple[str, ...]] = []
    real = operators._hasher()

    class Counting:
        def verify(self, kept: str, password: bytes) -> bool:
            worked.append(tuple(kept.split("$")[1:4]))
            return bool(real.verify(kept, password))

        check_needs_rehash = staticmethod(real.check_needs_rehash)

    monkeypatch.setattr(operators, "_hasher", Counting)
    sentences = set()
    for name, words in (("Ada", OTHERS), ("nobody", WORDS), ("Ben", OTHERS), ("Cem", ""), ("", ""), ("Ada", "x" * 999),
                        ("Ada", ""), ("x" * 10_000, "y"), ("\ud800", "\ud800"), ("Ada", operators._DUMMY)):
        with pytest.raises(Refused) as caught:
            read(venue, operators.check_password, name, words)
        sentences.add((caught.value.code, caught.value.sentence))
    assert len(sentences) == 1 and len(worked) == 10
    assert set(worked) == {("argon2id", "v=19", "m=65536,t=3,p=4")}
    assert read(venue, operators.check_password, "Ada", WORDS) == owner


def test_the_hash_that_stands_for_nobody_has_todays_parameters() -> None:
    assert not operators._hasher().check_needs_rehash(operators._DUMMY)
    assert not operators._hasher().check_needs_rehash(operators.hash_password(WORDS))


def test_a_hash_is_no_password(venue: Venue, owner: str, folder: Path) -> None:
    kept = rows_of(folder / "countenance.db", "operator")[0][3]
    assert kept.startswith("$argon2id$") and WORDS not in kept
    assert code_of(lambda: read(venue, operators.check_password, "Ada", kept)) == "sign-in-failed"
    text = operators._DUMMY
    wrote(venue, operators.take_code, wrote(venue, operators.first_code), "Eve", text)
    assert rows_of(folder / "countenance.db", "operator")[1][3] != text  # it was hashed like any other text


def test_an_older_hash_is_made_anew_at_sign_in(venue: Venue, owner: str, folder: Path) -> None:
    import argon2

    weak = argon2.PasswordHasher(1, 8_192, 1).hash(WORDS)
    wrote(venue, lambda unit: unit.run(update(schema.operator).values(password=weak)))
    proved = operators.prove(read(venue, operators.kept, "ada"), WORDS)
    assert wrote(venue, operators.confirm, proved) == owner
    now = rows_of(folder / "countenance.db", "operator")[0][3]
    assert "m=65536,t=3,p=4" in now
    assert operators.prove(read(venue, operators.kept, "ada"), WORDS).anew is None


def test_what_happens_while_a_password_is_hashed_counts(venue: Venue, owner: str) -> None:
    ben = joined(venue, owner)
    proved = operators.prove(read(venue, operators.kept, "Ben"), OTHERS)
    wrote(venue, operators.change_password, ben, OTHERS, "another five warm owls")
    assert code_of(lambda: wrote(venue, operators.confirm, proved)) == "sign-in-failed"
    proved = operators.prove(read(venue, operators.kept, "Ben"), "another five warm owls")
    wrote(venue, operators.switch_off, ben)
    assert code_of(lambda: wrote(venue, operators.confirm, proved)) == "sign-in-failed"
    assert code_of(lambda: wrote(venue, sessions.begin, operator=ben)) == "sign-in-failed"


def test_a_changed_password_ends_sessions_and_needs_the_old(venue: Venue, owner: str, folder: Path) -> None:
    joined(venue, owner)
    session = wrote(venue, sessions.begin, operator=owner)
    before = state_of(folder)
    theirs = operators.prove(read(venue, operators.kept, "Ben"), OTHERS)
    for old, new, code in ((OTHERS, "another five warm owls", "sign-in-failed"), (WORDS, "short", "password-short"),
                           (theirs, "another five warm owls", "sign-in-failed")):
        assert code_of(lambda old=old, new=new: wrote(
            venue, operators.change_password, owner, old, new)) == code
        assert state_of(folder) == before
    wrote(venue, operators.change_password, owner, WORDS, "another five warm owls")
    assert code_of(lambda: read(venue, sessions.who, session.token)) == "session-unknown"
    assert code_of(lambda: read(venue, operators.check_password, "Ada", WORDS)) == "sign-in-failed"
    assert read(venue, operators.check_password, "Ada", "another five warm owls") == owner


def test_switching_off_ends_all_that_somebody_had(venue: Venue, owner: str, folder: Path) -> None:
    ben, cem = joined(venue, owner, role=Role.OPERATOR), joined(venue, owner, "Cem", Role.OPERATOR)
    theirs = wrote(venue, sessions.begin, operator=ben)
    mine = wrote(venue, sessions.begin, operator=owner)
    make = {"label": "k", "days": 9}
    key, other = (wrote(venue, keys.make, Role.WITNESS, by=by, **make) for by in (ben, cem))
    assert wrote(venue, operators.switch_off, ben) == 1
    assert code_of(lambda: read(venue, sessions.who, theirs.token)) == "session-unknown"
    assert code_of(lambda: read(venue, keys.who, key.text)) == "key-revoked"
    assert read(venue, keys.who, other.text).key_id == other.key_id
    assert read(venue, sessions.who, mine.token).operator_id == owner
    assert wrote(venue, operators.switch_off, cem, keep_keys=True) == 0
    assert read(venue, keys.who, other.text).key_id == other.key_id
    before = state_of(folder)
    assert wrote(venue, operators.switch_off, ben) == 0 and state_of(folder) == before
    assert code_of(lambda: wrote(venue, operators.invite_again, ben, owner)) == "operator-off"
    assert code_of(lambda: wrote(venue, operators.invite, "BEN", Role.DESK, owner)) == "operator-name-taken"


def test_who_lost_a_password_is_invited_again(venue: Venue, owner: str) -> None:
    ben = joined(venue, owner)
    session = wrote(venue, sessions.begin, operator=ben)
    code = wrote(venue, operators.invite_again, ben, owner)
    assert code_of(lambda: read(venue, operators.check_password, "Ben", OTHERS)) == "sign-in-failed"
    assert code_of(lambda: read(venue, sessions.who, session.token)) == "session-unknown"
    assert wrote(venue, operators.take_code, code, "ben", WORDS) == ben
    assert read(venue, operators.check_password, "Ben", WORDS) == ben


# Sessions


@pytest.mark.parametrize("kind", ["operator", "person"])
def test_sessions_end_of_idleness_and_of_age_and_are_not_revived(
        venue: Venue, owner: str, clock: SetClock, kind: str) -> None:
    whose: dict[str, Any] = {"operator": owner} if kind == "operator" else {"person": enrolled(venue).person}
    idle, used = (wrote(venue, sessions.begin, **whose) for _ in range(2))
    clock.move(sessions.IDLE[kind] - 1)
    assert sessions.looked_up(venue.store, used.token).role is (Role.OWNER if kind == "operator" else Role.PERSON)
    assert read(venue, sessions.who, idle.token)
    clock.move(1)
    assert code_of(lambda: sessions.looked_up(venue.store, idle.token)) == "session-expired"
    clock.move(-HOUR)
    assert code_of(lambda: sessions.looked_up(venue.store, idle.token)) == "session-unknown"
    clock.move(HOUR)
    while used.expires_at - clock.now() > 10 * MINUTE:
        clock.move(10 * MINUTE)
        sessions.looked_up(venue.store, used.token)
    clock.move(used.expires_at - clock.now() - 1)
    sessions.looked_up(venue.store, used.token)
    clock.move(1)
    assert code_of(lambda: sessions.looked_up(venue.store, used.token)) == "session-expired"
    assert code_of(lambda: sessions.looked_up(venue.store, used.token)) == "session-unknown"


def test_looking_writes_once_a_minute(venue: Venue, owner: str, folder: Path, clock: SetClock) -> None:
    session = wrote(venue, sessions.begin, operator=owner)
    before = state_of(folder)
    for _ in range(5):
        clock.move(11)
        sessions.looked_up(venue.store, session.token)
        assert state_of(folder) == before
    clock.move(5)
    sessions.looked_up(venue.store, session.token)
    assert state_of(folder) != before


def test_a_session_is_new_each_time_and_its_csrf_its_own(venue: Venue, owner: str) -> None:
    first = wrote(venue, sessions.begin, operator=owner)
    second = wrote(venue, sessions.begin, operator=owner, instead_of=first.token)
    other = wrote(venue, sessions.begin, operator=owner)
    assert len({first.token, second.token, other.token, first.csrf, second.csrf, other.csrf}) == 6
    assert code_of(lambda: read(venue, sessions.who, first.token)) == "session-unknown"
    found = read(venue, sessions.who, second.token)
    assert found.session == second.token and second.token not in repr((found, second))
    read(venue, sessions.require_csrf, found.session, second.csrf)
    for wrong in ("", other.csrf, second.token, codes.hash_of(second.csrf), second.csrf[:-1], "\ud800", "é"):
        assert code_of(lambda wrong=wrong: read(venue, sessions.require_csrf, second.token, wrong)) == "csrf-missing"
    anew = wrote(venue, sessions.renew_csrf, second.token)
    read(venue, sessions.require_csrf, second.token, anew)
    assert code_of(lambda: read(venue, sessions.require_csrf, second.token, second.csrf)) == "csrf-missing"
    for wrong in ("", "planted", first.token, codes.hash_of(second.token), "\ud800"):
        assert code_of(lambda wrong=wrong: read(venue, sessions.who, wrong)) == "session-unknown"
    wrote(venue, sessions.end, second.token)
    wrote(venue, sessions.end, "nonsense")
    assert wrote(venue, sessions.end_all) == 0
    assert wrote(venue, sessions.end_all, operator=owner, but=other.token) == 0
    assert wrote(venue, sessions.end_all, operator=owner) == 1


@pytest.mark.parametrize("whose", [{}, {"operator": "nobody"}, {"person": PersonId("nobody")}])
def test_nobody_has_a_session(venue: Venue, owner: str, whose: dict[str, Any]) -> None:
    assert code_of(lambda: wrote(venue, sessions.begin, **whose)) == "sign-in-failed"
    both = {"operator": owner, "person": enrolled(venue).person}
    assert code_of(lambda: wrote(venue, sessions.begin, **both)) == "sign-in-failed"


def test_a_changed_role_counts_at_once(venue: Venue, owner: str) -> None:
    ben = joined(venue, owner, role=Role.OPERATOR)
    session = wrote(venue, sessions.begin, operator=ben)
    wrote(venue, lambda unit: unit.run(
        update(schema.operator).where(schema.operator.c.operator_id == ben).values(role="auditor")))
    assert read(venue, sessions.who, session.token).role is Role.AUDITOR


# Codes of people


def test_a_persons_code_leads_to_them_only_and_the_newest_counts(venue: Venue) -> None:
    ada, ben = enrolled(venue, "ada", 1).person, enrolled(venue, "ben", 2).person
    older, his = wrote(venue, me_codes.give, ada), wrote(venue, me_codes.give, ben)
    code = wrote(venue, me_codes.give, ada)
    assert len(code.replace("-", "")) == codes.CODE_LETTERS and code.count("-") == 4
    for typed in (code, code.lower(), code.replace("-", ""), f"  {code.replace('-', ' ')}\n",
                  code.replace("0", "o").replace("1", "l"), code.replace("0", "O").replace("1", "I")):
        assert read(venue, me_codes.whose, typed) == ada
    assert read(venue, me_codes.whose, his) == ben
    for wrong in (older, "", code[:-1], code + "0", "u" * 20):
        assert code_of(lambda wrong=wrong: read(venue, me_codes.whose, wrong)) == "me-code-unknown"
    wrote(venue, me_codes.take_back, ada)
    assert code_of(lambda: read(venue, me_codes.whose, code)) == "me-code-unknown"
    for act in (me_codes.give, me_codes.invite):
        assert code_of(lambda act=act: wrote(venue, act, PersonId("nobody"))) == "person-unknown"


def test_an_invitation_is_looked_at_often_and_spent_once(venue: Venue, clock: SetClock) -> None:
    ada = enrolled(venue).person
    older, code = wrote(venue, me_codes.invite, ada), wrote(venue, me_codes.invite, ada)
    assert code_of(lambda: read(venue, me_codes.invited, older)) == "invitation-unknown"
    assert read(venue, me_codes.invited, code) == read(venue, me_codes.invited, code.lower()) == ada
    assert wrote(venue, me_codes.spend_invitation, code) == ada
    assert code_of(lambda: wrote(venue, me_codes.spend_invitation, code)) == "invitation-unknown"
    late = wrote(venue, me_codes.invite, ada, 2)
    clock.move(2 * DAY)
    assert code_of(lambda: read(venue, me_codes.invited, late)) == "invitation-unknown"


def test_codes_are_spread_over_all_letters() -> None:
    letters = "".join(codes.typed_code().replace("-", "") for _ in range(2_000))
    assert len(letters) == 40_000 and set(letters) == set(codes._ALPHABET)
    assert max(letters.count(one) for one in codes._ALPHABET) < 1_450  # 1,250 on average; 5.7 standard deviations


def test_a_venue_that_is_opened_again_knows_its_operators(
        venue: Venue, owner: str, folder: Path, clock: SetClock) -> None:
    session = wrote(venue, sessions.begin, operator=owner)
    with open_venue(folder, clock) as again:
        assert read(again, sessions.who, session.token).operator_id == owner
        assert read(again, lambda unit: unit.run(select(schema.operator.c.name)).scalars().all()) == ["Ada"]
