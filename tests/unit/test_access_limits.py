"""Attempts: never more than was said, never larger than was said, and never at somebody else's cost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.access.limits import FORGOTTEN_AFTER, LONGEST_WAIT, Limits, PassAttempts, SignIn, TooMany, network
from countenance.clock import SetClock
from support.venue import START


def let(act: Callable[[], object]) -> bool:
    try:
        act()
    except TooMany as error:
        assert error.code == "attempts" and error.retry_after >= 1
        return False
    return True


STEPS = st.lists(st.tuples(st.integers(0, 7), st.floats(0, 30)), max_size=120)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, most=st.integers(1, 4), burst=st.integers(1, 4), per_minute=st.sampled_from([3, 30, 60, 7]))
def test_no_span_of_time_has_more_than_the_burst_and_the_rate(
        steps: list[tuple[int, float]], most: int, burst: int, per_minute: int) -> None:
    clock = SetClock(START)
    limits = Limits(clock, most)  # smaller than the names there are: being forgotten gains nobody anything
    passed: dict[int, list[float]] = {}
    for name, wait in steps:
        clock.move(wait)
        if let(lambda name=name: limits.attempt("x", str(name), per_minute=per_minute, burst=burst)):
            passed.setdefault(name, []).append(clock.monotonic())
        assert len(limits) <= most
    for times in passed.values():
        for i, first in enumerate(times):
            for j in range(i, len(times)):
                assert j - i + 1 <= burst + (times[j] - first) * per_minute / 60 + 1e-6


@settings(max_examples=60, deadline=None)
@given(waits=st.lists(st.floats(0, 5), max_size=60))
def test_who_keeps_to_the_rate_is_never_refused(waits: list[float]) -> None:
    clock = SetClock(START)
    limits = Limits(clock)
    for wait in waits:
        clock.move(1 + wait)
        assert let(lambda: limits.attempt("x", "a", per_minute=60, burst=1))


def test_waiting_as_long_as_told_is_enough_and_a_refusal_costs_nothing() -> None:
    clock = SetClock(START)
    limits = Limits(clock)
    for _ in range(3):
        limits.attempt("x", "a", per_minute=6, burst=3)
    for _ in range(50):
        with pytest.raises(TooMany) as caught:
            limits.attempt("x", "a", per_minute=6, burst=3)
        assert caught.value.retry_after == 10
    clock.move(-10_000)  # the clock on the wall changes nothing
    assert not let(lambda: limits.attempt("x", "a", per_minute=6, burst=3))
    clock.move(10)
    limits.attempt("x", "a", per_minute=6, burst=3)
    limits.attempt("x", "b", per_minute=6, burst=3)
    limits.attempt("y", "a", per_minute=6, burst=3)
    limits.attempt("x", "a", "", per_minute=6, burst=3)


def test_a_million_names_neither_fill_memory_nor_free_or_lock_out_a_victim() -> None:
    clock = SetClock(START)
    limits = Limits(clock, 20_000)
    for _ in range(5):
        limits.attempt("sign-in", "victim", per_minute=5, burst=5)
    for number in range(1_000_000):
        if number % 1_000 == 0:
            clock.move(0.01)  # a hundred thousand a second, ten seconds long: more than a server answers
            assert not let(lambda: limits.attempt("sign-in", "victim", per_minute=5, burst=5))
            limits.attempt("gate", "north", per_minute=6_000, burst=1)  # another kind has a table of its own
        let(lambda number=number: limits.attempt("sign-in", f"name {number}", per_minute=5, burst=5))
        if number % 50_000 == 0:
            assert len(limits) <= 20_001
            assert all(len(kind._heap) <= 2 * 20_000 + 16 for kind in limits._kinds.values())
    clock.move(3)  # of the 12 after which one more is due, 13 have passed
    assert let(lambda: limits.attempt("sign-in", "victim", per_minute=5, burst=5))
    clock.move(60)
    assert let(lambda: limits.attempt("sign-in", "somebody new", per_minute=5, burst=5))


def test_at_a_rate_that_a_server_answers_newcomers_never_wait() -> None:
    clock = SetClock(START)
    limits = Limits(clock)
    for number in range(300_000):
        clock.move(0.0005)  # two thousand a second, each under another name
        limits.attempt("sign-in", f"name {number}", per_minute=5, burst=5)
        if number % 10_000 == 0:
            limits.attempt("sign-in", f"newcomer {number}", per_minute=5, burst=5)


def test_threads_together_get_no_more() -> None:
    limits, passed = Limits(SetClock(START)), []

    def many() -> None:
        passed.extend(let(lambda: limits.attempt("x", "a", per_minute=1, burst=50)) for _ in range(100))

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(passed), sum(passed)) == (800, 50)


def test_waits_grow_and_end() -> None:
    clock = SetClock(START)
    signing = SignIn(clock)
    waits = []
    for _ in range(18):
        while not let(lambda: signing.attempt("ada", "192.0.2.1")):
            with pytest.raises(TooMany) as caught:
                signing.attempt("ada", "192.0.2.1")
            waits.append(caught.value.retry_after)
            clock.move(caught.value.retry_after)
    assert waits[:4] == [2, 4, 8, 16] and waits[-1] == LONGEST_WAIT and waits == sorted(waits)
    clock.move(FORGOTTEN_AFTER)
    for _ in range(5):
        signing.attempt("ada", "192.0.2.1")
    assert not let(lambda: signing.attempt("ada", "192.0.2.1"))
    assert let(lambda: signing.attempt("ben", "192.0.2.1"))
    assert let(lambda: signing.attempt("ada", "192.0.2.2"))


def test_many_names_from_one_address_wait_and_success_does_not_clear_them() -> None:
    signing = SignIn(SetClock(START))
    for number in range(29):
        signing.attempt(f"name {number}", "2001:db8::1")
    signing.attempt("own", "2001:db8::1")
    signing.succeeded("own", "2001:db8::1")
    assert let(lambda: signing.attempt("one more", "2001:db8::7"))
    assert not let(lambda: signing.attempt("and another", "2001:db8::ffff:9"))
    assert let(lambda: signing.attempt("and another", "2001:db8:1::1"))


def test_a_thousand_at_once_are_a_thousand() -> None:
    signing, passed = SignIn(SetClock(START)), []
    threads = [threading.Thread(target=lambda: passed.append(let(lambda: signing.attempt("ada", "192.0.2.1"))))
               for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(passed), sum(passed)) == (40, 5)


@pytest.mark.parametrize("where", ["elsewhere", "same address"])
def test_an_attacker_never_delays_the_true_owner(where: str) -> None:
    clock = SetClock(START)
    signing = SignIn(clock, most=200)
    signing.attempt("ada", "192.0.2.1")
    device = signing.succeeded("ada", "192.0.2.1")
    others = ["192.0.2.1"] if where == "same address" else [f"198.51.{n // 250}.{n % 250}" for n in range(2_000)]
    stopped = 0
    for number in range(6_000):
        clock.move(0.1)
        stopped += not let(lambda number=number: signing.attempt("ada", others[number % len(others)]))
        stopped += not let(lambda number=number: signing.attempt(f"name {number}", others[-1], "made up"))
        if number % 10 == 0:
            signing.attempt("ada", "192.0.2.1", device)  # never refused
            assert signing.succeeded("ada", "192.0.2.1", device) == device
            if where == "elsewhere":
                signing.attempt("ada", "192.0.2.1")  # nor without what the browser kept
                signing.succeeded("ada", "192.0.2.1")
        assert len(signing) <= 4 * 200
    assert stopped > 5_000


def test_somebody_elses_device_is_none() -> None:
    signing = SignIn(SetClock(START))
    signing.attempt("eve", "198.51.100.1")
    device = signing.succeeded("eve", "198.51.100.1")
    for _ in range(5):
        signing.attempt("ada", "203.0.113.1", device)
    assert not let(lambda: signing.attempt("ada", "203.0.113.1", device))
    assert not let(lambda: signing.attempt("ada", "203.0.113.1"))


def test_whoever_fills_the_table_forgets_their_own_first() -> None:
    clock = SetClock(START)
    signing = SignIn(clock, most=100)
    for _ in range(5):
        signing.attempt("ada", "192.0.2.1")
    for number in range(3_000):
        let(lambda number=number: signing.attempt(f"name {number}", f"198.51.{number // 250}.{number % 250}"))
    assert not let(lambda: signing.attempt("ada", "192.0.2.1"))


def test_a_pass_pauses_at_one_gate_and_a_match_ends_it() -> None:
    clock = SetClock(START)
    passes = PassAttempts(clock, most=50)
    waits = []
    for _ in range(12):
        passes.require("north", "p")
        passes.failed("north", "p")
        with_wait = not let(lambda: passes.require("north", "p"))
        if with_wait:
            with pytest.raises(TooMany) as caught:
                passes.require("north", "p")
            waits.append(caught.value.retry_after)
            passes.require("south", "p")
            passes.require("north", "q")
            clock.move(waits[-1])
    assert waits == [30, 60, 120, 240, 300, 300, 300, 300]
    passes.failed("north", "p")
    passes.matched("north", "p")
    for _ in range(4):
        passes.failed("north", "p")
        passes.require("north", "p")
    for number in range(1_000):
        passes.failed("north", str(number))
    assert len(passes) == 50
    passes.failed("north", "p")
    assert not let(lambda: passes.require("north", "p"))


@pytest.mark.parametrize(("address", "counts"), [
    ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::/64"),
    ("2001:DB8:0:0:9::", "2001:db8::/64"), ("fe80::1%eth0", "fe80::/64"), ("testclient", "testclient"), ("", "")])
def test_what_counts_as_one_address(address: str, counts: str) -> None:
    assert network(address) == counts
