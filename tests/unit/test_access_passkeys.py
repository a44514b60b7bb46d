"""Passkeys: what a true authenticator answers is taken, and whatever differs in one thing is refused alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from countenance.access import operators, passkeys
from countenance.clock import SetClock
from countenance.errors import BadInput, Refused
from countenance.flows.venue import Venue
from support.authenticator import PRESENT, VERIFIED, Authenticator, text
from support.venue import START, rows_of

RP, ORIGIN, WORDS = "zoo.example", "https://zoo.example", "four quiet herons wade"


@pytest.fixture
def ada(venue: Venue) -> str:
    with venue.store.write() as unit:
        return operators.take_code(unit, operators.first_code(unit), "Ada", WORDS)


def add(venue: Venue, whose: str, device: Authenticator) -> None:
    with venue.store.write() as unit:
        told, challenge = passkeys.registration_options(unit, whose, "Ada", RP, "Zoo")
        assert json.loads(told)["authenticatorSelection"]["userVerification"] == "required"
        passkeys.register(unit, whose, challenge, json.dumps(device.made(challenge)), RP, ORIGIN, "telephone")


def comes_in(venue: Venue, challenge: bytes, answer: Any) -> str:
    with venue.store.write() as unit:
        return passkeys.sign_in(unit, challenge, answer if isinstance(answer, str) else json.dumps(answer), RP, ORIGIN)


def refused(act: Callable[[], object], code: str = "passkey-failed") -> None:
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.code == code


@pytest.mark.parametrize("ed", [False, True])
@pytest.mark.parametrize("counts", [False, True])
def test_a_true_authenticator_signs_in_again_and_again(venue: Venue, ada: str, ed: bool, counts: bool) -> None:
    device = Authenticator(RP, ORIGIN, ed)
    add(venue, ada, device)
    for _ in range(3):
        device.counter += counts
        _, challenge = passkeys.sign_in_options(RP)
        assert comes_in(venue, challenge, device.signed(challenge, handle=ada)) == ada
    with venue.store.read() as unit:
        assert [key.label for key in passkeys.all_of(unit, ada)] == ["telephone"]


WRONG: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://zoo.example.evil.test"}, "plain http": {"origin": "http://zoo.example"},
    "another port": {"origin": "https://zoo.example:8443"}, "another rp": {"rp": "evil.test"},
    "not verified": {"flags": PRESENT}, "not present": {"flags": VERIFIED}, "another ceremony": {"kind": None},
}


@pytest.mark.parametrize("ed", [False, True])
@pytest.mark.parametrize("what", WRONG)
def test_one_thing_wrong_refuses_an_answer(venue: Venue, ada: str, what: str, ed: bool) -> None:
    device = Authenticator(RP, ORIGIN, ed)
    add(venue, ada, device)
    before = rows_of(venue.folder / "countenance.db", "passkey")
    how = dict(WRONG[what])
    device.origin, device.rp = how.pop("origin", ORIGIN), how.pop("rp", RP)
    _, challenge = passkeys.sign_in_options(RP)
    kind = {"kind": "webauthn.create"} if "kind" in how else {}
    refused(lambda: comes_in(venue, challenge, device.signed(challenge, **{**how, **kind})))
    new = Authenticator(device.rp, device.origin, ed)
    kind = {"kind": "webauthn.get"} if "kind" in how else {}
    with venue.store.write() as unit:
        refused(lambda: passkeys.register(
            unit, ada, challenge, json.dumps(new.made(challenge, **{**how, **kind})), RP, ORIGIN, "x"))
    assert rows_of(venue.folder / "countenance.db", "passkey") == before


@pytest.mark.parametrize("ed", [False, True])
def test_altered_signatures_other_challenges_and_other_keys_are_refused(venue: Venue, ada: str, ed: bool) -> None:
    device, stranger = Authenticator(RP, ORIGIN, ed), Authenticator(RP, ORIGIN, ed)
    add(venue, ada, device)
    _, challenge = passkeys.sign_in_options(RP)
    good = device.signed(challenge)
    refused(lambda: comes_in(venue, passkeys.sign_in_options(RP)[1], good))
    refused(lambda: comes_in(venue, challenge, stranger.signed(challenge)))
    stranger.name = device.name  # and under the name of the one that is known
    refused(lambda: comes_in(venue, challenge, stranger.signed(challenge)))
    refused(lambda: comes_in(venue, challenge, device.signed(challenge, handle="0" * 32)))
    refused(lambda: comes_in(venue, challenge, {**good, "rawId": text(b"another")}))
    for part in ("signature", "authenticatorData", "clientDataJSON"):
        told = good["response"][part]
        altered = told[:40] + ("A" if told[40] != "A" else "B") + told[41:]
        refused(lambda part=part, altered=altered: comes_in(
            venue, challenge, {**good, "response": {**good["response"], part: altered}}))
    assert comes_in(venue, challenge, good) == ada


@pytest.mark.parametrize("answer", ["", "null", "[]", "{}", "7", '{"id": 7}', "[" * 60_000, '{"response": null}',
                                    "\ud800", "x" * 70_000, '{"id":"a","rawId":"a","type":"public-key","response":{}}'])
def test_what_is_no_answer_is_refused_alike(venue: Venue, ada: str, answer: str) -> None:
    device = Authenticator(RP, ORIGIN)
    add(venue, ada, device)
    refused(lambda: comes_in(venue, b"c" * 32, answer))
    named = {"id": text(device.name), "rawId": text(device.name), "type": "public-key", "response": answer[:9]}
    refused(lambda: comes_in(venue, b"c" * 32, named))
    with venue.store.write() as unit:
        refused(lambda: passkeys.register(unit, ada, b"c" * 32, answer, RP, ORIGIN, "x"))


def test_a_counter_that_does_not_rise_is_refused(venue: Venue, ada: str) -> None:
    device = Authenticator(RP, ORIGIN, counter=7)
    add(venue, ada, device)
    for counter, good in ((7, False), (6, False), (0, False), (8, True), (8, False), (30, True), (29, False)):
        device.counter = counter
        _, challenge = passkeys.sign_in_options(RP)
        if good:
            assert comes_in(venue, challenge, device.signed(challenge)) == ada
        else:
            refused(lambda challenge=challenge: comes_in(venue, challenge, device.signed(challenge)))


def test_a_key_is_made_once_and_ends_with_its_operator(venue: Venue, ada: str) -> None:
    device = Authenticator(RP, ORIGIN)
    add(venue, ada, device)
    refused(lambda: add(venue, ada, device))
    with venue.store.write() as unit:
        code = operators.first_code(unit)
        operators.take_code(unit, code, "Ben", WORDS)
        operators.switch_off(unit, ada)
    _, challenge = passkeys.sign_in_options(RP)
    refused(lambda: comes_in(venue, challenge, device.signed(challenge)))
    refused(lambda: add(venue, ada, Authenticator(RP, ORIGIN)))


def test_keys_are_few_named_and_taken_away(venue: Venue, ada: str) -> None:
    devices = [Authenticator(RP, ORIGIN) for _ in range(passkeys.MOST_EACH)]
    for device in devices:
        add(venue, ada, device)
    refused(lambda: add(venue, ada, Authenticator(RP, ORIGIN)), "passkey-many")
    with venue.store.write() as unit:
        refused(lambda: passkeys.take_away(unit, "0" * 32, text(devices[0].name)), "passkey-unknown")
        passkeys.take_away(unit, ada, text(devices[0].name))
        with pytest.raises(BadInput):
            passkeys.register(unit, ada, b"", "{}", RP, ORIGIN, " ")
    _, challenge = passkeys.sign_in_options(RP)
    refused(lambda: comes_in(venue, challenge, devices[0].signed(challenge)))
    assert comes_in(venue, challenge, devices[1].signed(challenge)) == ada


def test_options_tell_nobody_who_there_is() -> None:
    told = [json.loads(passkeys.sign_in_options(RP)[0]) for _ in range(2)]
    assert told[0].pop("challenge") != told[1].pop("challenge")
    assert told[0] == told[1] and not told[0].get("allowCredentials")


def test_a_challenge_counts_once_and_for_five_minutes() -> None:
    clock = SetClock(START)
    waiting = passkeys.Challenges(clock)
    first, late = waiting.put("ada", b"1"), waiting.put("", b"2")
    assert (waiting.take(first).for_whom, first != late) == ("ada", True)
    refused(lambda: waiting.take(first))
    refused(lambda: waiting.take("nonsense"))
    clock.move(passkeys.LASTS)
    refused(lambda: waiting.take(late))
    names = [waiting.put("", b"x") for _ in range(passkeys.MOST_WAITING + 5)]
    assert len(waiting._waiting) == passkeys.MOST_WAITING
    assert waiting.take(names[-1]).challenge == b"x"
    refused(lambda: waiting.take(names[0]))
