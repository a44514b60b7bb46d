"""The report of a pilot: figures by hand, and sheets that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.errors import BadInput, CountenanceError
from countenance.evaluation import pilot
from countenance.evaluation.pilot import Visit

HEAD = "volunteer,group,outcome,reason,seconds\n"


def test_figures_by_hand() -> None:
    visits = [Visit("1", "a", "admit", "", 1.0), Visit("1", "a", "refer", "no-match", 3.0),
              Visit("2", "a", "admit", "", 2.0), Visit("3", "", "refer", "several-faces", 10.0)]
    value = pilot.report(visits)
    assert (value["all"]["volunteers"], value["all"]["visits"], value["all"]["compared"]) == (3, 4, 3)
    assert value["all"]["fnmr"]["value"] == pytest.approx(1 / 3)    # somebody beside them is no miss
    assert value["all"]["referred"]["value"] == 0.5
    assert value["all"]["waiting"]["median"] == 2.5
    assert value["groups"]["a"]["referred"]["value"] == pytest.approx(1 / 3)
    assert value["reasons"] == {"no-match": 1, "several-faces": 1}
    assert (value["no_group"], value["groups"]["a"]["few"]) == (1, True)


def test_intervals_are_over_volunteers_not_visits() -> None:
    """One volunteer who is missed a hundred times says no more than one volunteer."""
    visits = [Visit("1", "", "refer", "no-match", 1.0)] * 100
    visits += [Visit(str(n), "", "admit", "", 1.0) for n in range(2, 21) for _ in range(100)]
    found = pilot.report(visits)["all"]["fnmr"]
    assert found["value"] == 0.05
    assert found["high"] >= 0.14  # over visits it would end at 0.06
    none = pilot.report([Visit(str(n), "", "admit", "", 1.0) for n in range(30)])["all"]["fnmr"]
    assert (none["value"], none["low"], none["high"]) == (0.0, 0.0, 0.1)


@pytest.mark.parametrize(("text", "code"), [
    ("", "pilot-empty"), (HEAD, "pilot-empty"), (HEAD + "1,a,admit,,x\n", "pilot-malformed"),
    (HEAD + "1,a,denied,,1\n", "pilot-malformed"), (HEAD + ",a,admit,,1\n", "pilot-malformed"),
    (HEAD + "1,a,admit,,nan\n", "pilot-malformed"), (HEAD + "1,a,admit,,-1\n", "pilot-malformed"),
    ("volunteer\n1\n", "pilot-malformed")])
def test_sheets_that_are_none(text: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(BadInput) as fault:
        pilot.read(tmp_path / "s.csv")
    assert fault.value.code == code


def test_the_page_stands_alone_and_takes_no_markup_from_the_sheet(tmp_path: Path) -> None:
    sheet, out = tmp_path / "s.csv", tmp_path / "r.html"
    sheet.write_text(HEAD + "1,<script>x</script>,refer,<b>,2\n2,b,admit,,1\n")
    said = CliRunner().invoke(app, ["pilot", "report", str(sheet), "--out", str(out)])
    assert said.exit_code == 0, said.output
    text = out.read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text
    assert "2 volunteers came 2 times" in text
    again = CliRunner().invoke(app, ["pilot", "report", str(sheet), "--out", str(out)])
    assert isinstance(again.exception, CountenanceError)
    assert again.exception.code == "file-exists"
