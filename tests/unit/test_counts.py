"""The lane without faces counts passes in a file, and waits for nothing to do so."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from countenance.lane import counts

DAY, NEXT = date(2026, 6, 21), date(2026, 6, 22)


def test_counts_add_up_by_day_and_outcome(tmp_path: Path) -> None:
    file = tmp_path / "plain.counts"
    counts.add(file, DAY, "admit", 3)
    counts.add(file, DAY, "refer")
    counts.add(file, NEXT, "admit")
    counts.add(file, DAY, "admit")
    assert [(one["day"], one["outcome"], one["number"]) for one in counts.by_day(file)] == [
        ("2026-06-21", "admit", 4), ("2026-06-21", "refer", 1), ("2026-06-22", "admit", 1)]
    assert {one["lane"] for one in counts.by_day(file)} == {"plain"}


def test_a_file_that_cannot_be_written_keeps_nobody_waiting(tmp_path: Path) -> None:
    counts.add(tmp_path / "absent" / "plain.counts", DAY, "admit")
    (tmp_path / "folder").mkdir()
    counts.add(tmp_path / "folder", DAY, "admit")
    assert counts.by_day(tmp_path / "folder") == []


def test_lines_of_others_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "plain.counts"
    file.write_text("2026-06-21 admit 4\nnonsense\n2026-06-21 denied 9\n2026-06-21 refer -1\n\u0664 admit 1\n")
    assert [one["number"] for one in counts.by_day(file)] == [4]
    counts.add(file, DAY, "admit")
    assert file.read_text() == "2026-06-21 admit 5\n"


def test_old_days_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "plain.counts"
    file.write_text("".join(f"{2000 + n // 300}-{n // 25 % 12 + 1:02}-{n % 25 + 1:02} admit 1\n" for n in range(900)))
    counts.add(file, DAY, "admit")
    assert len(file.read_text().splitlines()) == counts.KEPT
    assert file.read_text().endswith("2026-06-21 admit 1\n")
