"""`admit --lane plain` goes by what the venue has settled on: a ticket list that is not in use closes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countenance import settings
from countenance.cli.admit import register
from countenance.clock import SetClock
from countenance.formats.entitlements import Answer, State
from countenance.integrations import ticketing_call
from countenance.quantities import Instant
from support.venue import enrolled, open_venue


def _says(references: Sequence[str], _on: date) -> tuple[Answer, ...]:
    return tuple(Answer(one, State.GOOD, "H", 1, date(2029, 12, 31), Instant(0), "en") for one in references)


@pytest.mark.promise(7)
def test_a_malformed_list_that_is_not_in_use_closes_no_lane(
        folder: Path, clock: SetClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    with open_venue(folder, clock) as venue:
        (tmp_path / "ada.pass").write_text(enrolled(venue).pass_text)
    path = folder / settings.FILE
    path.write_text(path.read_text().replace('url = ""', 'url = "https://tickets.invalid/q"').replace(
        'key = ""', f'key = "{(folder / "signing" / "door.pub").read_text().strip()}"'))
    (folder / "tickets.csv").write_bytes(b"\xff\xfe no list of tickets")
    monkeypatch.setattr(ticketing_call, "from_settings", lambda *_: _says)
    monkeypatch.setattr("countenance.clock.SystemClock", lambda: clock)
    app = typer.Typer()
    register(app)
    done = CliRunner().invoke(app, ["--lane", "plain", "--pass", str(tmp_path / "ada.pass"), "--venue", str(folder)])
    assert done.exit_code == 0, done.output
    assert "Please come in." in done.output
