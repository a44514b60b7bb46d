"""Time limits in working days, by a calendar of public holidays; in days of the calendar where a regime says so.

A limit ends at the end of its last day, in UTC. The day on which something begins does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from countenance import settings
from countenance.clock import end_of_day, utc_day
from countenance.errors import BadInput
from countenance.quantities import Instant

SATURDAY = 5


@dataclass(frozen=True)
class Calendar:
    """Days off on weekdays, and weekend days that are worked; only of the years in `years` is anything known."""

    years: frozenset[int]
    off: frozenset[date]
    worked: frozenset[date]

    def is_working(self, day: date) -> bool:
        """Say whether people work on a day. Raises BadInput(calendar-year) of a year that it does not have."""
        if day.year not in self.years:
            raise BadInput("calendar-year", f"The calendar of working days does not have the year {day.year}.")
        return day in self.worked or (day.weekday() < SATURDAY and day not in self.off)

    def after(self, start: date, days: int) -> date:
        """Return the `days`-th working day after a day. Raises BadInput(calendar-year)."""
        day = start
        while days > 0:
            day += timedelta(1)
            days -= self.is_working(day)
        return day

    def after_or_sooner(self, start: date, days: int) -> date:
        """As `after`; in a year that it does not have every day counts: whoever waits does not wait longer for that."""
        day = start
        while days > 0:
            day += timedelta(1)
            days -= day.year not in self.years or self.is_working(day)
        return day


def load(name: str) -> Calendar:
    """Return the calendar of a regime. Raises BadInput(calendar-unknown, calendar-malformed)."""
    return parse(settings.preset("calendars", name))


def parse(value: dict[str, Any]) -> Calendar:
    """Read a calendar, strictly. Raises BadInput(calendar-malformed)."""
    malformed = BadInput("calendar-malformed", "This calendar of working days is not as it must be.")
    if set(value) != {"format", "name", "year"} or value["format"] != 1 or not isinstance(value["year"], list):
        raise malformed
    years, off, worked = set[int](), set[date](), set[date]()
    for one in value["year"]:
        try:
            if set(one) != {"year", "off", "worked"} or one["year"] in years:
                raise malformed
            days = [{date.fromisoformat(day) for day in one[name]} for name in ("off", "worked")]
        except (TypeError, ValueError):
            raise malformed from None
        if any(day.year != one["year"] for day in days[0] | days[1]) or days[0] & days[1]:
            raise malformed
        years.add(one["year"])
        off |= days[0]
        worked |= days[1]
    return Calendar(frozenset(years), frozenset(off), frozenset(worked))


def due(now: Instant, days: int, are: str, regime: str) -> Instant:
    """Return the end of the last day of a limit. `are`: "working" or "calendar"."""
    start = utc_day(now)
    if are == "calendar":
        return end_of_day(start + timedelta(days))
    known = regime in settings.presets("calendars")
    calendar = load(regime) if known else Calendar(frozenset(), frozenset(), frozenset())
    return end_of_day(calendar.after_or_sooner(start, days))
