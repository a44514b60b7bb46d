"""Every control of a regime against a live venue, in one read of its store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from countenance.controls import checks
from countenance.controls.catalogue import CONTROLS, Control
from countenance.controls.checks import Finding, Outcome, Seen
from countenance.controls.regime import Regime
from countenance.errors import CountenanceError, Refused
from countenance.flows.venue import Venue


@dataclass(frozen=True)
class Looked:
    """One control of a regime, looked at. `cites`: the rules that ask for it."""

    control: Control
    cites: tuple[str, ...]
    finding: Finding


def require_allowed(regime: Regime) -> None:
    """Refuse a regime that bans faces. Raises Refused(regime-banned), with the rule that says so."""
    if regime.face != "allowed":
        rule = regime.rules[0]
        raise Refused("regime-banned", f"No face recognition here: {rule.says.rstrip('.')} ({rule.cite}).")


def run(venue: Venue, regime: Regime) -> list[Looked]:
    """Look at every control of `regime`; what a check raises is its failure. Raises Refused(regime-banned)."""
    require_allowed(regime)
    with venue.store.read() as unit:
        seen = Seen(venue, unit, regime)
        return [Looked(control, cites, _looked(control, seen)) for control, cites in asked(regime)]


def asked(regime: Regime) -> Iterator[tuple[Control, tuple[str, ...]]]:
    """Yield every control, in order, each with the citations of this regime's rules that map to it.

    One that no rule of it asks for is kept all the same: it is this program's own.
    """
    for name in sorted(CONTROLS):
        yield CONTROLS[name], tuple(rule.cite for rule in regime.rules if rule.control == name)


def _looked(control: Control, seen: Seen) -> Finding:
    try:
        return control.check(seen)
    except CountenanceError as fault:
        return checks.fails(f"{fault.sentence} [{fault.code}]")


def failed(found: list[Looked]) -> list[Looked]:
    """Return what fails; what needs a person is not among it."""
    return [one for one in found if one.finding.outcome is Outcome.FAILS]
