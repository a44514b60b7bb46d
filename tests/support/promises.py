"""Ends a test run with a table: for each promise of DESIGN 1 how many tests stood for it, and every skip by name."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

PROMISES = {
    1: "No permit, no comparison",
    2: "Withdrawal is final",
    3: "Frames die in memory",
    4: "Nothing leaks through the answer",
    5: "Logged before it counts",
    6: "A non-match is never a denial",
    7: "Failing is safe on both sides",
    8: "Bystanders leave nothing",
    9: "What it refuses to do",
}


def pytest_runtest_makereport(item: Any, call: Any) -> None:
    """Note which promises a test stands for, where the reports can be grouped later."""
    del call
    item.user_properties[:] = [p for p in item.user_properties if p[0] != "promise"]
    item.user_properties += [("promise", number) for mark in item.iter_markers("promise") for number in mark.args]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the table."""
    by_promise: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, number in getattr(report, "user_properties", []):
                if name == "promise":
                    by_promise[number][outcome] += 1
    terminalreporter.section("by promise")
    for number, name in PROMISES.items():
        counts = by_promise.get(number, {})
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "none in this run"
        terminalreporter.write_line(f"{number}  {name:<36} {told}")
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.section(f"skipped: {len(skipped)}")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"{report.nodeid}: {reason}")
