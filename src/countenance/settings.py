"""What a venue has settled: `venue.toml` in its data folder, read once, strict both ways.

Regimes and scenarios are data files of the program (`countenance/controls/`), chosen at `init`. An unknown
key is an error, because a misspelled one would be a rule that nobody follows.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from countenance.errors import BadInput, StoreFault
from countenance.quantities import VenueId

FILE = "venue.toml"
FORMAT = 1

# section -> key -> type; this table is what docs/operating/settings.md is checked against
SHAPE: dict[str, dict[str, type]] = {
    "": {"format": int},
    "venue": {"id": str, "name": str, "contact": str, "regime": str, "scenario": str},
    "gate": {"smallest_face_px": int, "most_cut_off_percent": int, "sweep_late_after_hours": int, "lease_minutes": int,
             "threshold": str, "fmr": float, "fpir": float},
    "keys": {"root": str, "epoch_days": int, "rotate_within_hours": int, "offsite": str},
    "entitlement": {"csv": str, "url": str, "key": str, "cache_hours": int},
    "server": {"origin": str, "key_days": int, "attempts_per_minute": int, "private_recipients": list},
    "log": {"interval_minutes": int, "witnesses": list},
    "rules": {"signers": list, "replaces": str},
    "models": {"pack": str},
}

MOST = {"gate.sweep_late_after_hours": 72, "gate.lease_minutes": 1_440, "keys.epoch_days": 31,
        "keys.rotate_within_hours": 24, "log.interval_minutes": 1_440, "entitlement.cache_hours": 72,
        "server.key_days": 400, "server.attempts_per_minute": 600}
"""What may be settled at most: people are told that copies open nothing after 24 hours. Lower is stricter."""


@dataclass(frozen=True)
class Settings:
    """One venue's settings. Hours and days are whole numbers of at most `MOST`; shorter is stricter.

    `fmr` and `fpir`: error rates, above 0 and below 1; lower is stricter.
    """

    venue: VenueId
    name: str
    contact: str
    regime: str
    scenario: str
    smallest_face_px: int
    most_cut_off_percent: int
    sweep_late_after_hours: int
    lease_minutes: int
    threshold: str
    fmr: float
    fpir: float
    root: str
    epoch_days: int
    rotate_within_hours: int
    offsite: str
    entitlement_csv: str
    pack: str
    log_minutes: int
    witnesses: tuple[str, ...]
    ticketing_url: str
    ticketing_key: str
    ticketing_cache_hours: int
    server_origin: str
    key_days: int
    attempts_per_minute: int
    private_recipients: tuple[str, ...]
    signers: tuple[str, ...]
    replaces: str


def load(folder: Path) -> Settings:
    """Read the settings of a data folder. Raises StoreFault: store-absent, store-incomplete, settings-*."""
    path = folder / FILE
    if not folder.is_dir() or not any(folder.iterdir()):
        raise StoreFault("store-absent", "There is no venue here; `countenance init DIR` makes one.")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StoreFault("store-incomplete", "This data folder was never set up to the end.") from None
    except (OSError, UnicodeDecodeError):
        raise StoreFault("settings-unreadable", "The settings (venue.toml) cannot be read.") from None
    return parse(text)


def parse(text: str) -> Settings:
    """Read settings from their text. Raises StoreFault: settings-*, store-newer."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise StoreFault("settings-malformed", "The settings (venue.toml) are not valid TOML.") from None
    if value.get("format", FORMAT) != FORMAT:
        raise StoreFault("store-newer", "The settings were written by a newer Countenance.")
    flat = _flat(value)
    return Settings(
        VenueId(flat["venue.id"]), flat["venue.name"], flat["venue.contact"], flat["venue.regime"],
        flat["venue.scenario"], flat["gate.smallest_face_px"], flat["gate.most_cut_off_percent"],
        flat["gate.sweep_late_after_hours"], flat["gate.lease_minutes"],
        flat["gate.threshold"], flat["gate.fmr"], flat["gate.fpir"], flat["keys.root"], flat["keys.epoch_days"],
        flat["keys.rotate_within_hours"], flat["keys.offsite"], flat["entitlement.csv"], flat["models.pack"],
        flat["log.interval_minutes"], tuple(flat["log.witnesses"]),
        flat["entitlement.url"], flat["entitlement.key"], flat["entitlement.cache_hours"],
        flat["server.origin"], flat["server.key_days"], flat["server.attempts_per_minute"],
        tuple(flat["server.private_recipients"]), tuple(flat["rules.signers"]), flat["rules.replaces"],
    )


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for section, keys in SHAPE.items():
        part = {k: v for k, v in value.items() if not isinstance(v, dict)} if not section else value.get(section)
        if not isinstance(part, dict) or set(part) != set(keys):
            raise StoreFault("settings-keys", f"In venue.toml, [{section or 'top'}] has a wrong or missing key; "
                             "after a new version run `countenance doctor --upgrade`.")
        for key, kind in keys.items():
            name, given = f"{section}.{key}", part[key]
            if type(given) is not kind or (isinstance(given, int) and not 1 <= given <= MOST.get(name, given)):
                raise StoreFault("settings-value", f"In venue.toml, {name} has a wrong value.")
            if isinstance(given, float) and not 0 < given < 1:
                raise StoreFault("settings-value", f"In venue.toml, {name} must lie between 0 and 1.")
            if isinstance(given, list) and not all(isinstance(one, str) for one in given):
                raise StoreFault("settings-value", f"In venue.toml, {name} has a wrong value.")
            flat[name] = given
    if set(value) - {s for s in SHAPE if s} - set(SHAPE[""]):
        raise StoreFault("settings-keys", "venue.toml has a section that this program does not know.")
    return flat


def presets(kind: str) -> list[str]:
    """Return the names of the program's presets of a kind, "scenarios" or "regimes", sorted."""
    folder = files("countenance.controls") / kind
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def preset(kind: str, name: str) -> dict[str, Any]:
    """Return a preset of the program. Raises BadInput(`kind`-unknown)."""
    if name not in presets(kind):
        raise BadInput(f"{kind.removesuffix('s')}-unknown", f"The {kind} at hand are: {', '.join(presets(kind))}.")
    return tomllib.loads((files("countenance.controls") / kind / f"{name}.toml").read_text(encoding="utf-8"))


def parameters(regime: str) -> dict[str, Any]:
    """Return what a regime settles in figures and words (docs/controls.md). Raises BadInput(regime-unknown)."""
    found: dict[str, Any] = preset("regimes", regime)["parameters"]
    return found
