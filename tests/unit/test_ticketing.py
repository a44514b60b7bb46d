"""Entitlement by a ticketing system: what is asked when, how long an answer stands, and what a failing one costs.

The call is played here; what goes over a wire is in `test_ticketing_call.py`.
"""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from countenance import settings
from countenance.clock import SetClock, utc_day
from countenance.consent import gate
from countenance.errors import BadInput, CountenanceError, StoreFault
from countenance.flows import admit, enrol
from countenance.formats import entitlements
from countenance.formats.entitlements import Answer, State
from countenance.integrations import ticket_cache, ticketing
from countenance.integrations.entitlement import CsvEntitlement
from countenance.integrations.entitlements_open import open_entitlement
from countenance.integrations.ticket_cache import CachedEntitlement
from countenance.integrations.ticketing import FRESH_S, NOT_GOOD_S, QUIET_S, REFRESH_S, TicketingEntitlement
from countenance.quantities import DAY, HOUR, Instant
from support.venue import SEARCH, START, as_written, comes_back, enrolled, open_venue, other_lane, picture, says_yes

TODAY = utc_day(START)
LATER = date(2029, 12, 31)


def good(reference: str, **other: Any) -> Answer:
    return replace(Answer(reference, State.GOOD, "H", 1, LATER, Instant(0), "en"), **other)


class Played:
    """Plays a ticketing system: what it says, how often it was asked, and how it fails."""

    def __init__(self) -> None:
        self.says: dict[str, Answer] = {}
        self.asked: list[tuple[str, ...]] = []
        self.fault: CountenanceError | None = None
        self.before: Callable[[], object] = lambda: None

    def __call__(self, references: Sequence[str], on: date) -> tuple[Answer, ...]:
        self.asked.append(tuple(references))
        self.before()
        if self.fault is not None:
            raise self.fault
        return tuple(self.says.get(one, Answer(one, State.UNKNOWN)) for one in references)


SILENT = StoreFault("ticketing-silent", "The ticketing system does not answer.")


@pytest.fixture
def there() -> Played:
    played = Played()
    played.says = {name: good(name) for name in ("ada", "ben", "cem")}
    return played


def opened(folder: Path, clock: SetClock, there: Played, hours: int = 24) -> TicketingEntitlement:
    here = replace(settings.load(folder), ticketing_url="https://tickets.invalid/", ticketing_cache_hours=hours)
    return TicketingEntitlement(folder, here, clock, there)


@pytest.fixture
def tickets(folder: Path, clock: SetClock, there: Played) -> Any:
    with closing(opened(folder, clock, there)) as found:
        yield found


def code(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    assert caught.value.sentence.endswith(".")
    return caught.value.code


def settled(found: TicketingEntitlement) -> None:
    """Wait for what is asked behind somebody's back."""
    worker = found._worker
    if worker is not None:
        worker.join(10)


# what is said

def test_a_good_ticket_is_what_the_system_says(tickets: TicketingEntitlement, there: Played) -> None:
    there.says["ada"] = good("ada", household="H7", party=4, language="zh")
    found = tickets.require_good("ada", TODAY)
    assert (found.reference, found.household, found.valid_until, found.language) == ("ada", "H7", LATER, "zh")
    assert tickets.party("ada", TODAY) == 4
    assert there.asked == [("ada",)]


@pytest.mark.parametrize(("answer", "expected"), [
    (Answer("ada", State.UNKNOWN), "ticket-unknown"), (Answer("ada", State.ENDED), "ticket-expired"),
    (Answer("ada", State.EARLY), "ticket-early"), (good("ada", not_before=START + 1), "ticket-too-soon"),
    (good("ada", valid_until=TODAY - timedelta(1)), "ticket-expired")])
def test_what_is_not_good_is_refused(tickets: TicketingEntitlement, there: Played, answer: Answer,
                                     expected: str) -> None:
    there.says["ada"] = answer
    assert code(lambda: tickets.require_good("ada", TODAY)) == expected
    assert code(lambda: tickets.party("ada", TODAY)) == expected


def test_a_ticket_that_rests_is_good_when_its_time_has_come(tickets: TicketingEntitlement, there: Played,
                                                            clock: SetClock) -> None:
    there.says["ada"] = good("ada", not_before=START + 60)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticket-too-soon"
    clock.move(60)
    assert tickets.require_good("ada", TODAY)


@pytest.mark.parametrize("reference", ["", "x" * 129, "é" * 65, "\ud800"])
def test_what_no_question_can_hold_is_nobodys_ticket(tickets: TicketingEntitlement, there: Played,
                                                     reference: str) -> None:
    assert code(lambda: tickets.require_good(reference, TODAY)) == "ticket-unknown"
    tickets.prefetch([reference], TODAY)
    assert there.asked == []


# how long it stands

def test_a_fresh_answer_is_not_asked_for_again(tickets: TicketingEntitlement, there: Played, clock: SetClock) -> None:
    for _ in range(3):
        tickets.require_good("ada", TODAY)
        clock.move(REFRESH_S / 3 - 1)
    assert there.asked == [("ada",)]


def test_an_older_one_is_used_and_asked_for_behind(tickets: TicketingEntitlement, there: Played,
                                                   clock: SetClock) -> None:
    tickets.require_good("ada", TODAY)
    clock.move(REFRESH_S)
    there.says["ada"] = Answer("ada", State.ENDED)
    go = threading.Event()
    there.before = lambda: go.wait(10)
    assert tickets.require_good("ada", TODAY)  # while the call hangs
    go.set()
    settled(tickets)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticket-expired"


def test_a_cancelled_ticket_opens_for_five_minutes_at_most(tickets: TicketingEntitlement, there: Played,
                                                           clock: SetClock) -> None:
    tickets.require_good("ada", TODAY)
    there.says["ada"] = Answer("ada", State.ENDED)
    clock.move(FRESH_S)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticket-expired"


def test_another_day_is_another_question(tickets: TicketingEntitlement, there: Played) -> None:
    tickets.require_good("ada", TODAY)
    there.says["ada"] = Answer("ada", State.ENDED)
    assert code(lambda: tickets.require_good("ada", TODAY + timedelta(1))) == "ticket-expired"


def test_somebody_who_went_and_bought_a_ticket_waits_half_a_minute(tickets: TicketingEntitlement, there: Played,
                                                                   clock: SetClock) -> None:
    assert code(lambda: tickets.require_good("dan", TODAY)) == "ticket-unknown"
    there.says["dan"] = good("dan")
    assert code(lambda: tickets.require_good("dan", TODAY)) == "ticket-unknown"
    clock.move(NOT_GOOD_S)
    assert tickets.require_good("dan", TODAY)


# while it is silent

def test_the_last_answer_stands_in_for_a_silent_system_and_no_longer_than_settled(
        tickets: TicketingEntitlement, there: Played, clock: SetClock) -> None:
    tickets.require_good("ada", TODAY)
    there.fault = SILENT
    clock.move(24 * HOUR - 1)
    assert tickets.require_good("ada", TODAY + timedelta(1))
    clock.move(1)
    assert code(lambda: tickets.require_good("ada", TODAY + timedelta(1))) == "ticketing-silent"


def test_never_beyond_the_tickets_own_last_day(folder: Path, clock: SetClock, there: Played) -> None:
    there.says["ada"] = good("ada", valid_until=TODAY)
    with closing(opened(folder, clock, there, hours=72)) as tickets:
        tickets.require_good("ada", TODAY)
        there.fault = SILENT
        clock.move(DAY - 1)
        assert tickets.require_good("ada", TODAY)
        clock.move(1)
        assert code(lambda: tickets.require_good("ada", TODAY + timedelta(1))) == "ticket-expired"


def test_no_answer_yet_is_nobodys_admission(tickets: TicketingEntitlement, there: Played) -> None:
    there.fault = SILENT
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticketing-silent"


def test_an_explicit_no_takes_the_place_of_a_yes_and_stays_while_it_is_silent(
        tickets: TicketingEntitlement, there: Played, clock: SetClock) -> None:
    tickets.require_good("ada", TODAY)
    there.says.clear()
    clock.move(FRESH_S)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticket-unknown"
    there.fault = SILENT
    clock.move(HOUR)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticket-unknown"


def test_an_answer_from_the_future_stands_in_for_nothing(tickets: TicketingEntitlement, there: Played,
                                                         clock: SetClock) -> None:
    tickets.require_good("ada", TODAY)
    there.fault = SILENT
    clock.move(-HOUR - 1)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticketing-silent"


@pytest.mark.parametrize("lie", ["tickets-altered", "tickets-malformed", "tickets-other-question",
                                 "tickets-other-day", "tickets-stale", "tickets-other"])
def test_a_lie_admits_nobody_and_changes_no_kept_answer(tickets: TicketingEntitlement, there: Played,
                                                        clock: SetClock, folder: Path, lie: str) -> None:
    tickets.require_good("ada", TODAY)
    before = (folder / ticket_cache.FILE).read_bytes()
    there.fault = BadInput(lie, "It lied.")
    clock.move(FRESH_S)
    assert tickets.require_good("ada", TODAY)
    clock.move(QUIET_S)
    assert code(lambda: tickets.require_good("ben", TODAY)) == lie
    tickets.close()
    assert (folder / ticket_cache.FILE).read_bytes() == before


def test_after_a_failure_nobody_waits_and_one_tries_again(tickets: TicketingEntitlement, there: Played,
                                                          clock: SetClock) -> None:
    there.fault = SILENT
    for name in ("ada", "ben", "cem"):
        assert code(lambda name=name: tickets.require_good(name, TODAY)) == "ticketing-silent"
    assert len(there.asked) == 1
    clock.move(QUIET_S)
    there.fault = None
    assert tickets.require_good("ada", TODAY)
    assert tickets.require_good("ben", TODAY)
    assert len(there.asked) == 3


def test_a_hanging_call_holds_up_nobody_whose_answer_was_kept(tickets: TicketingEntitlement, there: Played,
                                                              clock: SetClock) -> None:
    tickets.require_good("ada", TODAY)
    there.fault = SILENT
    assert code(lambda: tickets.require_good("ben", TODAY)) == "ticketing-silent"
    clock.move(FRESH_S)
    go, hangs = threading.Event(), threading.Event()
    there.before = lambda: (hangs.set(), go.wait(10))
    ended: list[str] = []
    one = threading.Thread(target=lambda: ended.append(code(lambda: tickets.require_good("ben", TODAY))))
    one.start()
    assert hangs.wait(10)
    assert tickets.require_good("ada", TODAY)  # old by now, and used at once
    assert code(lambda: tickets.require_good("cem", TODAY)) == "ticketing-silent"  # at once too
    assert ended == []
    go.set()
    one.join(10)
    assert ended == ["ticketing-silent"]


def test_threads_that_ask_the_same_share_one_call(tickets: TicketingEntitlement, there: Played) -> None:
    go, hangs, found = threading.Event(), threading.Event(), []
    there.before = lambda: (hangs.set(), go.wait(10))
    threads = [threading.Thread(target=lambda: found.append(tickets.require_good("ada", TODAY).reference))
               for _ in range(8)]
    for one in threads:
        one.start()
    assert hangs.wait(10)
    go.set()
    for one in threads:
        one.join(10)
    assert found == ["ada"] * 8
    assert there.asked == [("ada",)]


# the file

def test_a_restart_while_the_system_is_silent_keeps_both_lanes_going(folder: Path, clock: SetClock,
                                                                     there: Played) -> None:
    with closing(opened(folder, clock, there)) as tickets:
        tickets.require_good("ada", TODAY)
        tickets.require_good("ben", TODAY)
    assert stat.S_IMODE((folder / ticket_cache.FILE).stat().st_mode) == 0o600
    there.fault = SILENT
    with closing(opened(folder, clock, there)) as tickets:
        assert tickets.require_good("ada", TODAY)
        assert tickets.require_good("ben", TODAY)
        assert code(lambda: tickets.require_good("cem", TODAY)) == "ticketing-silent"


def test_a_no_is_on_the_disk_at_once(folder: Path, clock: SetClock, there: Played) -> None:
    """Without being closed: what a crash leaves."""
    tickets = opened(folder, clock, there)
    tickets.require_good("ada", TODAY)
    there.says["ada"] = Answer("ada", State.ENDED)
    clock.move(FRESH_S)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticket-expired"
    assert code(lambda: CachedEntitlement(folder / ticket_cache.FILE, clock).require_good("ada", TODAY)
                ) == "ticket-expired"


@pytest.mark.parametrize("damage", [b"", b"\xa0", b"{}", None])
def test_a_damaged_file_or_another_venues_is_nothing(folder: Path, clock: SetClock, there: Played,
                                                     damage: bytes | None) -> None:
    path = folder / ticket_cache.FILE
    with closing(opened(folder, clock, there)) as tickets:
        tickets.require_good("ada", TODAY)
    if damage is None:
        cache = entitlements.read_cache(path.read_bytes())
        damage = entitlements.write_cache(replace(cache, venue="another"))
    path.write_bytes(damage)
    there.fault = SILENT
    with closing(opened(folder, clock, there)) as tickets:
        assert code(lambda: tickets.require_good("ada", TODAY)) == "ticketing-silent"
        clock.move(QUIET_S)
        there.fault = None
        assert tickets.require_good("ada", TODAY)


def test_what_stands_for_nothing_leaves_the_file(tickets: TicketingEntitlement, there: Played, clock: SetClock,
                                                 folder: Path) -> None:
    tickets.require_good("ada", TODAY)
    assert b"ada" in (folder / ticket_cache.FILE).read_bytes()
    clock.move(24 * HOUR)
    tickets.require_good("ben", TODAY + timedelta(1))
    tickets.close()
    held = (folder / ticket_cache.FILE).read_bytes()
    assert b"ben" in held
    assert b"ada" not in held


def test_a_disk_that_takes_nothing_closes_no_lane(tickets: TicketingEntitlement, there: Played,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError

    monkeypatch.setattr(ticket_cache.durable, "write", full)
    assert tickets.require_good("ada", TODAY)


def test_the_lane_without_faces_reads_the_file_without_any_network(folder: Path, clock: SetClock,
                                                                   there: Played) -> None:
    lane = CachedEntitlement(folder / ticket_cache.FILE, clock)
    assert code(lambda: lane.require_good("ada", TODAY)) == "entitlement-missing"
    there.says["ada"] = good("ada", party=3)
    there.says["ben"] = Answer("ben", State.ENDED)
    with closing(opened(folder, clock, there)) as tickets:
        tickets.prefetch(["ada", "ben"], TODAY)
    lane.require_whole()
    assert lane.require_good("ada", TODAY).valid_until == LATER
    assert lane.party("ada", TODAY) == 3
    assert code(lambda: lane.require_good("ben", TODAY)) == "ticket-expired"
    assert code(lambda: lane.require_good("cem", TODAY)) == "ticketing-silent"
    clock.move(24 * HOUR)
    assert code(lambda: lane.require_good("ada", TODAY)) == "ticketing-silent"


def test_the_lane_does_not_go_by_what_a_damaged_file_said_before(folder: Path, clock: SetClock,
                                                                 there: Played) -> None:
    with closing(opened(folder, clock, there)) as tickets:
        tickets.require_good("ada", TODAY)
    path = folder / ticket_cache.FILE
    lane, first = CachedEntitlement(path, clock), path.read_bytes()
    assert lane.require_good("ada", TODAY)
    path.write_bytes(first[:-1])
    for _ in range(2):
        assert code(lambda: lane.require_good("ada", TODAY)) == "ticket-cache-malformed"
    path.write_bytes(first)
    assert lane.require_good("ada", TODAY)


# many at once

def test_a_gallery_of_twenty_thousand_is_ten_questions(tickets: TicketingEntitlement, there: Played) -> None:
    names = [f"{n:05}" for n in range(20_000)]
    there.says = {name: good(name) for name in names}
    tickets.prefetch(names, TODAY)
    assert [len(batch) for batch in there.asked] == [entitlements.MOST] * 10
    assert [tickets.require_good(name, TODAY).reference for name in names] == names
    tickets.prefetch(names, TODAY)
    assert len(there.asked) == 10


def test_a_prefetch_of_a_silent_system_is_one_question_and_so_are_all_that_follow(
        tickets: TicketingEntitlement, there: Played) -> None:
    there.fault = SILENT
    names = [f"{n:05}" for n in range(20_000)]
    tickets.prefetch(names, TODAY)
    assert {code(lambda name=name: tickets.require_good(name, TODAY)) for name in names[:50]} == {"ticketing-silent"}
    assert len(there.asked) == 1


def test_a_slow_prefetch_ends_and_nobody_is_asked_for_one_by_one(tickets: TicketingEntitlement, there: Played,
                                                                 clock: SetClock) -> None:
    names = [f"{n:05}" for n in range(20_000)]
    there.says = {name: good(name) for name in names}
    there.before = lambda: clock.move(2)
    tickets.prefetch(names, TODAY)
    assert len(there.asked) == ticketing.PREFETCH_S / 2
    assert tickets.require_good(names[0], TODAY)
    assert code(lambda: tickets.require_good(names[-1], TODAY)) == "ticketing-silent"
    assert len(there.asked) == ticketing.PREFETCH_S / 2


def test_the_version_stands_while_nothing_changes_and_turns_when_an_answer_does(
        tickets: TicketingEntitlement, there: Played, clock: SetClock) -> None:
    tickets.prefetch(["ada", "ben"], TODAY)
    first = tickets.version()
    for _ in range(20):
        clock.move(60)
        assert tickets.version() == first
        settled(tickets)
    assert len(there.asked) > 5  # asked for anew behind everybody's back
    tickets.require_good("cem", TODAY)  # in no gallery
    assert tickets.version() == first
    there.says["ben"] = Answer("ben", State.ENDED)
    clock.move(REFRESH_S)
    tickets.version()
    settled(tickets)
    second = tickets.version()
    assert second != first
    there.says["ben"] = good("ben")
    clock.move(REFRESH_S)
    tickets.version()
    settled(tickets)
    assert tickets.version() not in {first, second}


def test_the_version_turns_when_time_alone_ends_an_answer(tickets: TicketingEntitlement, there: Played,
                                                          clock: SetClock) -> None:
    tickets.prefetch(["ada"], TODAY)
    there.fault = SILENT
    first = tickets.version()
    clock.move(24 * HOUR - 1)
    assert tickets.version() == first
    settled(tickets)
    clock.move(ticketing.TURNS_S)
    assert tickets.version() != first


def test_an_admission_that_makes_a_ticket_rest_reads_no_gallery_anew(tickets: TicketingEntitlement, there: Played,
                                                                     clock: SetClock) -> None:
    tickets.prefetch(["ada"], TODAY)
    first = tickets.version()
    there.says["ada"] = good("ada", not_before=START + FRESH_S + 900)
    clock.move(FRESH_S)
    assert code(lambda: tickets.require_good("ada", TODAY)) == "ticket-too-soon"
    assert tickets.version() == first
    tickets.prefetch(["ada"], TODAY)  # a gallery made meanwhile is without her
    clock.move(900)
    assert tickets.version() != first


# the stories

def test_both_lanes_and_a_gallery_go_by_it(folder: Path, clock: SetClock, there: Played,
                                           tickets: TicketingEntitlement) -> None:
    with open_venue(folder, clock) as venue:
        venue.entitlement = tickets
        ada = enrolled(venue)
        enrol.enrol(venue, "ben", SEARCH, says_yes(venue, SEARCH), picture(2), as_written)
        enrol.enrol(venue, "cem", SEARCH, says_yes(venue, SEARCH), picture(3), as_written)

        def by_face(person: int) -> str:
            return admit.by_face(venue, SEARCH, gate.press(clock), picture(person, shade=9)).outcome.value

        assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
        assert other_lane(venue, ada.pass_text) == "ada"
        assert [by_face(2), by_face(3)] == ["admit", "admit"]
        assert len(venue.galleries.exact(SEARCH).owners) == 2
        there.says["ben"] = Answer("ben", State.ENDED)
        clock.move(FRESH_S)
        assert [by_face(2), by_face(3)] == ["refer", "admit"]
        settled(tickets)  # the thread that asked behind their backs may still be writing its answer down
        assert len(venue.galleries.exact(SEARCH).owners) == 1  # his face is not even compared
        there.fault = SILENT
        clock.move(HOUR)
        assert [by_face(2), by_face(3)] == ["refer", "admit"]
        assert comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
        assert other_lane(venue, ada.pass_text) == "ada"


def test_one_ticket_of_which_nothing_is_known_closes_the_gallery_for_nobody_else(
        folder: Path, clock: SetClock, there: Played, tickets: TicketingEntitlement) -> None:
    with open_venue(folder, clock) as venue:
        venue.entitlement = tickets
        for number, name in enumerate(("ben", "cem"), 2):
            enrol.enrol(venue, name, SEARCH, says_yes(venue, SEARCH), picture(number), as_written)
        there.fault = SILENT
        del tickets._cache._kept["ben"]
        assert len(venue.galleries.exact(SEARCH).owners) == 1
        there.fault = None
        clock.move(QUIET_S)
        tickets.version()
        settled(tickets)
        assert len(venue.galleries.exact(SEARCH).owners) == 2


def test_the_settings_say_which(folder: Path, clock: SetClock) -> None:
    assert isinstance(open_entitlement(folder, clock), CsvEntitlement)
    path = folder / settings.FILE
    text = path.read_text()
    path.write_text(text.replace('url = ""', 'url = "https://tickets.invalid/q"').replace(
        'key = ""', f'key = "{(folder / "signing" / "door.pub").read_text().strip()}"'))
    assert isinstance(open_entitlement(folder, clock), TicketingEntitlement)
    path.write_text(path.read_text().replace("https:", "http:"))
    assert code(lambda: open_entitlement(folder, clock)) == "ticketing-address"
