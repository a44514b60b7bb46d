"""A regime: what the law of a place asks, as data. One strict TOML file each in `regimes/` (docs/controls.md).

Nothing here is legal advice. Each rule says where it stands, which control keeps it, what shows that, and how sure we
are of the text: `read`, `second-hand` (a digest that quotes it was read), `unconfirmed` (from memory).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from countenance import settings
from countenance.errors import BadInput

FORMAT = 1
SURE = ("read", "second-hand", "unconfirmed")
_RULE = {"cite": str, "says": str, "control": str, "sure": str, "evidence": str}
_PARAMETERS: dict[str, type] = {
    "minors_under_years": int, "ask_again_after_hours": int, "venue_keyed": str, "evidence_years": int,
    "banned_zones": list, "needs_document_check": bool, "counsel_for": list, "stored_persons_filing": int,
    "rights_days": int, "rights_days_are": str}


@dataclass(frozen=True)
class Rule:
    """One rule. `control` is an id of the catalogue, K01 to K42."""

    cite: str
    says: str
    control: str
    sure: str
    evidence: str


@dataclass(frozen=True)
class Regime:
    """One regime. `face` is allowed or banned; where it is banned nothing else counts."""

    name: str
    face: str
    parameters: dict[str, Any]
    rules: tuple[Rule, ...]

    @property
    def controls(self) -> list[str]:
        """Return the ids of its controls, sorted, each once."""
        return sorted({rule.control for rule in self.rules})


def names() -> list[str]:
    """Return the regimes at hand, sorted."""
    return settings.presets("regimes")


def load(name: str) -> Regime:
    """Return a regime. Raises BadInput: regime-unknown, regime-malformed (says where)."""
    return _regime(settings.preset("regimes", name))


def parse(text: str) -> Regime:
    """Read a regime, strictly: unknown or missing keys, and a rule without a citation, are errors.

    Raises BadInput(regime-malformed).
    """
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise _malformed("the text") from None
    return _regime(value)


def _regime(value: dict[str, Any]) -> Regime:
    if set(value) != {"format", "name", "face", "parameters", "rule"} or value["format"] != FORMAT:
        raise _malformed("top")
    if value["face"] not in {"allowed", "banned"} or not isinstance(value["rule"], list) or not value["rule"]:
        raise _malformed("face or rules")
    found = Regime(str(value["name"]), value["face"], _parameters(value["parameters"], value["face"]),
                   tuple(_rule(number, one) for number, one in enumerate(value["rule"], 1)))
    cited = [(rule.cite, rule.control) for rule in found.rules]
    if len(set(cited)) < len(cited):
        raise _malformed("two rules with one citation and control")
    return found


def _parameters(value: Any, face: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) - set(_PARAMETERS):
        raise _malformed("parameters")
    if face == "allowed" and set(value) != set(_PARAMETERS):
        raise _malformed(f"parameters: {', '.join(sorted(set(_PARAMETERS) - set(value)))} missing")
    for name, one in value.items():
        if type(one) is not _PARAMETERS[name] or (isinstance(one, int) and one < 0):
            raise _malformed(f"parameters.{name}")
    if value.get("venue_keyed", "allowed") not in {"allowed", "refused"}:
        raise _malformed("parameters.venue_keyed")
    if value.get("rights_days_are", "working") not in {"working", "calendar"}:
        raise _malformed("parameters.rights_days_are")
    return dict(value)


def _rule(number: int, value: Any) -> Rule:
    if not isinstance(value, dict) or set(value) != set(_RULE):
        raise _malformed(f"rule {number}")
    if any(not isinstance(value[name], str) or not value[name].strip() for name in _RULE):
        raise _malformed(f"rule {number}: every rule needs its citation, words, control, evidence and how sure we are")
    if value["sure"] not in SURE or not re.fullmatch(r"K(0[1-9]|[1-3][0-9]|4[0-2])", value["control"]):
        raise _malformed(f"rule {number}: control or sure")
    return Rule(**value)


def _malformed(where: str) -> BadInput:
    return BadInput("regime-malformed", f"This regime is not as it must be ({where}).")
