"""Time in UTC, by hand-known dates; and a clock that is set."""

from __future__ import annotations

from datetime import date

import pytest

from countenance.clock import SetClock, SystemClock, end_of_day, parse_day, utc_day, utc_text
from countenance.quantities import Instant


def test_dates_known_by_hand() -> None:
    assert utc_text(Instant(0)) == "1970-01-01T00:00:00Z"
    assert utc_text(Instant(1_782_000_000)) == "2026-06-21T00:00:00Z"
    assert utc_day(Instant(1_781_999_999)) == date(2026, 6, 20)
    assert utc_day(Instant(1_782_000_000)) == date(2026, 6, 21)
    assert end_of_day(date(2026, 6, 20)) == 1_782_000_000
    assert end_of_day(date(2028, 2, 29)) - end_of_day(date(2028, 2, 28)) == 86_400
    assert parse_day("2028-02-29") == date(2028, 2, 29)


@pytest.mark.parametrize("text", ["", "2026-02-29", "21.06.2026", "2026-6-1", "tomorrow"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month|day"):
        parse_day(text)


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    for zone in ("Pacific/Kiritimati", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert utc_text(Instant(1_782_000_000)) == "2026-06-21T00:00:00Z"
        assert end_of_day(date(2026, 6, 20)) == 1_782_000_000
    monkeypatch.undo()
    time.tzset()


def test_a_set_clock_moves_when_told_and_its_monotonic_side_never_back() -> None:
    clock = SetClock(Instant(100))
    clock.move(10)
    clock.move(-50)
    assert (clock.now(), clock.monotonic()) == (60, 10)


def test_the_machines_clock_is_after_this_was_written() -> None:
    assert SystemClock().now() > 1_760_000_000
    assert SystemClock().monotonic() <= SystemClock().monotonic()
