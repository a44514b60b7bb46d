"""countenance controls: what the law of a place asks, and whether this venue keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.controls.run import Looked

_MARK = {"holds": "holds", "fails": "FAILS", "needs a person": "person"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("controls")(controls)


def controls(
    regime: Annotated[str, typer.Option(help="cn, eu, us-il or us-portland; else the venue's own.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="List them: rule, code and test; no venue is needed.")] = False,
    sabotage: Annotated[str, typer.Option(help="Break this control in a scratch copy, and show that it fails.")] = "",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Look at every control that a regime asks for: it holds, it fails, or needs a person; with what shows it.

    Ends with 1 where one fails. Not legal advice: docs/controls.md says which texts were read.
    """
    from countenance import settings
    from countenance.controls import regime as regimes
    from countenance.controls import run as runs

    asked = regimes.load(regime or settings.load(venue).regime)
    if list_:
        _list(asked, as_json)
        return
    runs.require_allowed(asked)
    if sabotage:
        _sabotage(venue, asked, sabotage, as_json)
        return
    with opened(venue) as here:
        found = runs.run(here, asked)
    _told(asked.name, found, as_json)
    if runs.failed(found):
        raise typer.Exit(1)


def _list(asked: Any, as_json: bool) -> None:
    from countenance.controls.catalogue import CONTROLS

    rows = [{"id": rule.control, "cite": rule.cite, "code": CONTROLS[rule.control].code,
             "test": CONTROLS[rule.control].test, "says": rule.says, "sure": rule.sure} for rule in asked.rules]
    print_out(as_json, {"regime": asked.name, "face": asked.face, "controls": rows},
              *(f"{one['id']} {one['cite']} ({one['sure']}): {one['says']}" for one in rows))


def _sabotage(venue: Path, asked: Any, control: str, as_json: bool) -> None:
    from countenance.controls import run as runs
    from countenance.controls.sabotage import broken
    from countenance.errors import CountenanceError

    with broken(venue, control) as copy:
        try:
            with opened(copy) as here:
                seen = next(one.finding for one in runs.run(here, asked) if one.control.id == control)
            outcome, evidence = seen.outcome.value, seen.evidence
        except CountenanceError as fault:
            outcome, evidence = "fails", f"{fault.sentence} [{fault.code}]"  # the venue does not even open
    print_out(as_json, {"regime": asked.name, "sabotage": control, "outcome": outcome, "evidence": evidence},
              f"{control}, broken in a scratch copy: {outcome}.", evidence, "Your venue was left as it is.")
    if outcome != "fails":
        raise typer.Exit(1)


def _told(name: str, found: list[Looked], as_json: bool) -> None:
    rows = [{"id": one.control.id, "asserts": one.control.asserts, "cites": list(one.cites),
             "outcome": one.finding.outcome.value, "evidence": one.finding.evidence} for one in found]
    print_out(as_json, {"regime": name, "controls": rows},
              *(f"{one.control.id} {_MARK[one.finding.outcome.value]:<7} {one.control.asserts}\n"
                f"             {one.finding.evidence}" for one in found))
