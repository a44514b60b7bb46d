"""The life of a consent: every arrow that is not drawn is refused, and only a live one opens the gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from countenance.clock import SetClock
from countenance.consent import acts, consents, gate, notices
from countenance.consent.acts import MESSAGES, Act, act_from_channel
from countenance.consent.consents import Yes
from countenance.consent.states import State, moved
from countenance.errors import BadInput, CountenanceError, Refused
from countenance.flows import admit, pad, renew, sweep, withdraw
from countenance.flows.venue import Venue
from countenance.quantities import DAY, HOUR, PersonId, PurposeId
from countenance.storage import schema
from support.venue import (
    SEARCH,
    START,
    VERIFY,
    comes_back,
    count,
    enrolled,
    no_camera,
    picture,
    rows_of,
    says_yes,
    state_of,
)

DRAWN = {("given", "superseded"), ("given", "withdrawn"), ("given", "expired"), ("given", "replaced"),
         ("given", "lost")}


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


def live(venue: Venue, person: PersonId, purpose: PurposeId = VERIFY) -> str:
    """The state of a person's consent, as the gate sees it: "live" or the code that refuses."""
    with venue.store.read() as unit:
        try:
            consents.require_live(unit, person, purpose)
        except Refused as error:
            return error.code
    return "live"


def publish(venue: Venue, purpose: PurposeId = VERIFY, more: str = "And one thing more.") -> str:
    with venue.store.write() as unit:
        texts = {k: f"{v}\n{more}" for k, v in notices.in_force(unit, purpose).texts.items()}
        return notices.publish(unit, venue.venue_id, purpose, texts).hash


@pytest.mark.parametrize("now", State)
@pytest.mark.parametrize("to", State)
def test_every_arrow_that_is_not_drawn_is_refused(now: State, to: State) -> None:
    if (now.value, to.value) in DRAWN:
        assert moved(now, to) is to
    else:
        assert code_of(lambda: moved(now, to)) == "consent-state"


@pytest.mark.parametrize(("how", "expected"), [
    (State.WITHDRAWN, "consent-withdrawn"), (State.EXPIRED, "consent-expired"), (State.SUPERSEDED, "consent-expired"),
    (State.REPLACED, "consent-replaced"), (State.LOST, "consent-lost")])
def test_an_ended_consent_ends_once(venue: Venue, how: State, expected: str) -> None:
    who = enrolled(venue).person
    with venue.store.write() as unit:
        consent = consents.standing(unit, who, VERIFY)
        consents.end(unit, consent, how)
        ended = consents.all_of(unit, who)[0]
        assert ended.state is how
        for again in State:
            assert code_of(lambda again=again: consents.end(unit, ended, again)) == "consent-state"
        assert code_of(lambda: consents.standing(unit, who, VERIFY)) == expected


def test_giving_asks_for_the_notice_in_force_in_its_languages(venue: Venue, folder: Path) -> None:
    yes = says_yes(venue)
    with venue.store.read() as unit:
        other = notices.in_force(unit, SEARCH).hash
    who = enrolled(venue, "ben", 2, SEARCH).person
    before = state_of(folder)
    for purpose, wrong, code in (
        (VERIFY, Yes(other, "en", Act.ASSERTED), "notice-outdated"),
        (VERIFY, Yes("0" * 64, "en", Act.ASSERTED), "notice-outdated"),
        (VERIFY, Yes(yes.notice_hash, "fr", Act.ASSERTED), "notice-language"),
        (PurposeId("entry.track"), yes, "purpose-unknown"),
        (SEARCH, Yes(other, "en", Act.ASSERTED), "consent-standing"),
    ):
        with pytest.raises(Refused) as caught, venue.store.write() as unit:
            consents.give(unit, who, purpose, wrong)
        assert caught.value.code == code
        assert state_of(folder) == before


def test_a_consent_is_what_was_said_and_until_when(venue: Venue, folder: Path) -> None:
    who = enrolled(venue).person
    with venue.store.read() as unit:
        consent = consents.require_live(unit, who, VERIFY)
    assert (consent.state, consent.act, consent.language) == (State.GIVEN, Act.ASSERTED, "en")
    assert (consent.given_at, consent.expires_at) == (START, START + 365 * DAY)
    assert consent.notice_hash == says_yes(venue).notice_hash
    assert rows_of(folder / "countenance.db", "consent")[0][-1] == START + 395 * DAY


@pytest.mark.promise(1)
def test_each_reason_why_a_consent_is_not_live(venue: Venue, clock: SetClock) -> None:
    who = enrolled(venue)
    assert live(venue, who.person) == "live"
    assert live(venue, who.person, SEARCH) == "consent-other-purpose"
    assert live(venue, who.person, PurposeId("entry.track")) == "purpose-unknown"
    assert live(venue, PersonId("nobody")) == "consent-missing"
    other = enrolled(venue, "ben", 2).person
    withdraw.withdraw(venue, other, VERIFY)
    assert live(venue, other) == "consent-withdrawn"
    lost = enrolled(venue, "cem", 3).person
    withdraw.withdraw(venue, lost, VERIFY, State.REPLACED)
    assert live(venue, lost) == "consent-replaced"
    clock.move(365 * DAY - 1)
    assert live(venue, who.person) == "live"
    clock.move(1)
    assert live(venue, who.person) == "consent-expired"


@pytest.mark.promise(1)
def test_a_changed_notice_stops_matching_until_renewed(venue: Venue, folder: Path) -> None:
    who = enrolled(venue)
    outdated = says_yes(venue).notice_hash
    new = publish(venue)
    before = state_of(folder)
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera)) == "notice-outdated"
    for channel in sorted(MESSAGES):
        assert code_of(lambda c=channel: renew.renew(venue, who.person, VERIFY, new, "en", c)) == "consent-message"
    for channel in ("", "telepathy", "DESK", "passkey"):
        assert code_of(lambda c=channel: renew.renew(venue, who.person, VERIFY, new, "en", c)) == "consent-channel"
    assert code_of(lambda: renew.renew(venue, who.person, VERIFY, outdated, "en", "desk")) == "notice-outdated"
    assert code_of(lambda: renew.renew(venue, who.person, VERIFY, new, "fr", "desk")) == "notice-language"
    assert state_of(folder) == before
    renew.renew(venue, who.person, VERIFY, new, "en", "desk")
    assert live(venue, who.person) == "live"
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    with venue.store.read() as unit:
        assert [c.state for c in consents.all_of(unit, who.person)] in (
            [State.SUPERSEDED, State.GIVEN], [State.GIVEN, State.SUPERSEDED])


@pytest.mark.promise(1)
def test_a_changed_notice_empties_the_gallery_in_memory_too(venue: Venue, clock: SetClock) -> None:
    enrolled(venue, "ben", 2, SEARCH)
    come = lambda: admit.by_face(venue, SEARCH, gate.press(clock), picture(2, 3))  # noqa: E731
    assert come().outcome is admit.Outcome.ADMIT
    publish(venue, SEARCH)
    assert come().outcome is admit.Outcome.REFER
    assert venue.galleries.exact(SEARCH).owners == ()


def test_every_message_is_nobodys_act() -> None:
    assert {"sms", "email", "push", "terms"} <= MESSAGES
    assert {act_from_channel(channel) for channel in ("desk", "kiosk")} == {Act.ASSERTED}
    assert not any(act.value in MESSAGES for act in acts.Act)


def test_a_notice_is_published_whole_or_not_at_all(venue: Venue, folder: Path) -> None:
    with venue.store.read() as unit:
        texts = notices.in_force(unit, VERIFY).texts
    before = state_of(folder)
    for wrong, code in ((texts, "notice-unchanged"), ({"en": "New."}, "notice-languages"),
                        ({**texts, "fr": "Neuf."}, "notice-languages"),
                        ({**texts, "en": "a\u202eb"}, "notice-text"),
                        ({**texts, "en": " "}, "notice-text")):
        with pytest.raises(BadInput) as caught, venue.store.write() as unit:
            notices.publish(unit, venue.venue_id, VERIFY, wrong)
        assert caught.value.code == code
        assert state_of(folder) == before


def test_versions_count_up_and_old_texts_stay(venue: Venue) -> None:
    first = says_yes(venue).notice_hash
    second = publish(venue)
    third = publish(venue)
    with venue.store.read() as unit:
        assert [notices.by_hash(unit, h).version for h in (first, second, third)] == [1, 2, 3]
        assert notices.in_force(unit, VERIFY).hash == third
        assert code_of(lambda: notices.by_hash(unit, "0" * 64)) == "notice-missing"


@pytest.mark.promise(2)
def test_withdrawn_is_for_good_and_enrolling_again_is_a_new_consent(venue: Venue) -> None:
    who = enrolled(venue)
    withdraw.withdraw(venue, who.person, VERIFY)
    assert code_of(lambda: renew.renew(
        venue, who.person, VERIFY, says_yes(venue).notice_hash, "en", "desk")) == "template-missing"
    assert code_of(lambda: withdraw.withdraw(venue, who.person, VERIFY)) == "consent-withdrawn"
    again = enrolled(venue)
    assert again.person == who.person  # the same ticket is the same person
    assert comes_back(venue, again.pass_text).outcome is admit.Outcome.ADMIT
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera)) == "pass-unknown"


# -- after a restore


@pytest.mark.promise(2)
def test_what_was_said_up_to_a_restore_counts_for_nothing_until_it_is_said_again(
        venue: Venue, clock: SetClock) -> None:
    ada, ben = enrolled(venue), enrolled(venue, "ben", 2, SEARCH)
    with venue.store.write() as unit:
        unit.set_mark("asked_from", unit.now)
        unit.move_gallery(SEARCH)
    assert live(venue, ada.person) == live(venue, ben.person, SEARCH) == "consent-ask-again"
    assert code_of(lambda: admit.by_pass(venue, ada.pass_text, no_camera)) == "consent-ask-again"
    assert venue.galleries.exact(SEARCH).owners == ()
    clock.move(1)
    for who in (ada, ben):
        renew.renew(venue, who.person, who.purpose, says_yes(venue, who.purpose).notice_hash, "en", "desk")
    assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
    assert len(venue.galleries.exact(SEARCH).owners) == 1
    cem = enrolled(venue, "cem", 3)
    assert live(venue, cem.person) == "live"  # whoever enrols after it has just been asked


# -- the gate's own conditions


def test_a_late_sweep_closes_the_gate_to_the_second(venue: Venue, clock: SetClock) -> None:
    who = enrolled(venue)
    clock.move(36 * HOUR)
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    clock.move(1)
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera)) == "sweep-late"
    sweep.sweep(venue)
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


def test_a_late_rotation_closes_the_gate(venue: Venue, clock: SetClock) -> None:
    who, other = enrolled(venue), enrolled(venue, "ben", 2)
    promised = withdraw.withdraw(venue, other.person, VERIFY).copies_open_until
    assert promised == START + 24 * HOUR
    clock.move(24 * HOUR)
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT
    clock.move(1)
    assert code_of(lambda: admit.by_pass(venue, who.pass_text, no_camera)) == "rotation-late"
    assert sweep.sweep(venue).rotated
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


@pytest.mark.promise(1)
def test_a_press_is_fresh_and_used_once(venue: Venue, clock: SetClock) -> None:
    enrolled(venue, "ben", 2, SEARCH)
    held = venue.galleries.exact(SEARCH).members
    pressed = gate.press(clock)
    venue.gate.search(SEARCH, pressed, held)
    assert code_of(lambda: venue.gate.search(SEARCH, pressed, held)) == "press-used"
    old = gate.press(clock)
    clock.move(gate.PRESS_SECONDS + 0.5)
    assert code_of(lambda: venue.gate.search(SEARCH, old, held)) == "press-old"
    assert code_of(lambda: venue.gate.search(SEARCH, None, held)) == "press-missing"  # type: ignore[arg-type]
    early = gate.Press("early", clock.monotonic() + 1)
    assert code_of(lambda: venue.gate.search(SEARCH, early, held)) == "press-old"


def test_a_purpose_is_for_one_kind_of_comparison(venue: Venue, clock: SetClock) -> None:
    who = enrolled(venue, "ben", 2, SEARCH)
    assert code_of(lambda: venue.gate.verify(who.person, SEARCH)) == "purpose-other"
    assert code_of(lambda: venue.gate.load(VERIFY)) == "purpose-other"
    assert code_of(lambda: admit.by_face(venue, VERIFY, gate.press(clock), no_camera)) == "purpose-other"


def still_exact(venue: Venue, held: gate.Members) -> None:
    with venue.store.read() as unit:
        venue.gate.is_exact(unit, held)


@pytest.mark.parametrize("change", ["enrol", "withdraw", "notice", "expiry"])
@pytest.mark.promise(1)
def test_any_change_makes_the_copy_in_memory_stale(venue: Venue, clock: SetClock, change: str) -> None:
    who = enrolled(venue, "ben", 2, SEARCH)
    held = venue.galleries.exact(SEARCH).members
    still_exact(venue, held)
    if change == "enrol":
        pad.pad(venue, SEARCH, 1)
    elif change == "withdraw":
        withdraw.withdraw(venue, who.person, SEARCH)
    elif change == "notice":
        publish(venue, SEARCH)
    else:
        clock.move(365 * DAY)
    assert code_of(lambda: still_exact(venue, held)) == "gallery-stale"


def test_a_gallery_over_its_cap_is_refused_whole(venue: Venue) -> None:
    pad.pad(venue, SEARCH, 3)
    for cap, code in ((3, None), (2, "gallery-full")):
        with venue.store.write() as unit:
            unit.run(schema.purpose.update().where(schema.purpose.c.purpose_id == SEARCH).values(gallery_cap=cap))
            unit.move_gallery(SEARCH)
        if code is None:
            assert len(venue.galleries.exact(SEARCH).owners) == 3
        else:
            assert code_of(lambda: venue.galleries.exact(SEARCH)) == code


def test_a_pending_template_is_nobodys_yet(venue: Venue) -> None:
    who = enrolled(venue, "ben", 2, SEARCH)
    with venue.store.write() as unit:
        unit.run(schema.template.update().values(state="pending"))
        unit.move_gallery(SEARCH)
    assert venue.galleries.exact(SEARCH).owners == ()
    assert live(venue, who.person, SEARCH) == "live"


# -- retention


def test_the_sweep_ends_what_is_over_and_says_so_first(venue: Venue, folder: Path, clock: SetClock) -> None:
    who = enrolled(venue)
    clock.move(365 * DAY)
    before = state_of(folder)
    dry = sweep.sweep(venue, dry_run=True)
    assert (dry.expired, dry.people) == (1, 0)
    assert state_of(folder) == before
    assert sweep.sweep(venue).expired == 1
    assert live(venue, who.person) == "consent-expired"
    assert (count(folder, "template"), venue.keys.count()) == (0, 1)
    clock.move(35 * DAY)
    assert sweep.sweep(venue).people == 1
    assert (count(folder, "person"), count(folder, "consent"), venue.keys.count()) == (0, 0, 0)


def test_a_renewed_person_is_not_erased_by_the_sweep(venue: Venue, clock: SetClock) -> None:
    who = enrolled(venue)
    clock.move(300 * DAY)
    sweep.sweep(venue)
    renew.renew(venue, who.person, VERIFY, says_yes(venue).notice_hash, "en", "desk")
    clock.move(101 * DAY)
    sweep.sweep(venue)
    assert live(venue, who.person) == "live"


@pytest.mark.promise(2)
def test_withdrawing_after_the_pass_expired_still_destroys_its_key(
        venue: Venue, folder: Path, clock: SetClock) -> None:
    from countenance.clock import parse_day
    from support.venue import write_tickets

    write_tickets(folder, {"ada": parse_day("2026-06-25")})
    who = enrolled(venue)
    assert venue.keys.count() == 2  # record and pass
    clock.move(10 * DAY)
    sweep.sweep(venue)
    withdraw.withdraw(venue, who.person, VERIFY)
    assert venue.keys.count() == 1


def test_old_rows_go(venue: Venue, folder: Path, clock: SetClock) -> None:
    with venue.store.write() as unit:
        unit.run(insert(schema.hourly_count).values(
            hour=START, lane="face", outcome="refer", number=1, delete_at=START + DAY))
    clock.move(DAY - 1)
    sweep.sweep(venue)
    assert count(folder, "hourly_count") == 1
    clock.move(1)
    assert sweep.sweep(venue).rows == 1
    assert count(folder, "hourly_count") == 0


@pytest.mark.parametrize(("change", "code", "says"), [
    (("Contact", "C0ntact"), "notice-incomplete", "who"), (("How long", "Until"), "notice-incomplete", "how long"),
    (("Your rights", "More"), "notice-incomplete", "rights"),
    (("nobody else's", "irrevocably"), "notice-void", "irrevocab")])
def test_a_notice_that_lacks_something_or_says_too_much_is_not_published(
        venue: Venue, change: tuple[str, str], code: str, says: str) -> None:
    with venue.store.write() as unit:
        before = notices.in_force(unit, VERIFY)
        assert change[0] in before.texts["en"]
        texts = {**before.texts, "en": before.texts["en"].replace(*change)}
        with pytest.raises(BadInput) as fault:
            notices.publish(unit, venue.venue_id, VERIFY, texts)
        assert (fault.value.code, says in fault.value.sentence) == (code, True)
        assert notices.in_force(unit, VERIFY) == before
