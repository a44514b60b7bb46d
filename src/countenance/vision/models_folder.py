"""The folder of model packs on this machine: where it is, and who accepted which licence.

No weights come with the program but those of its default pack. A pack lies in a folder of its own, with a record of
whoever accepted its licence; without that record it is not opened.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from countenance import durable
from countenance.errors import ModelFault, Refused

ACCEPTANCE = "acceptance.json"
_LARGEST = 1 << 16


@dataclass(frozen=True)
class Acceptance:
    """Who accepted what, when. `terms_sha256`: of the terms as they were shown. `at`: UTC, RFC 3339."""

    pack: str
    licence: str
    terms_sha256: str
    non_commercial: bool
    by: str
    at: str

    def write(self, place: Path) -> None:
        """Keep it beside the pack's files."""
        durable.write(place / ACCEPTANCE, (json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n").encode())


def folder() -> Path:
    """Return `$COUNTENANCE_MODELS`, else `countenance/models` in `$XDG_DATA_HOME`, else in `~/.local/share`."""
    own = os.environ.get("COUNTENANCE_MODELS")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_DATA_HOME")
    try:
        base = Path(shared) if shared else Path.home() / ".local" / "share"
    except RuntimeError:  # there is no home folder
        base = Path("/var/lib")
    return base / "countenance" / "models"


def accepted(place: Path) -> Acceptance:
    """Return the record in a pack's folder. Raises Refused(model-licence), ModelFault(model-acceptance)."""
    path = place / ACCEPTANCE
    try:
        value = json.loads(path.read_text("utf-8")) if path.stat().st_size <= _LARGEST else None
    except FileNotFoundError:
        raise Refused("model-licence", "Nobody accepted this model's licence here; `countenance models add` or "
                      "`pull` shows it.") from None
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise _damaged()
    try:
        found = Acceptance(**value)
    except TypeError:
        raise _damaged() from None
    if [type(item) for item in asdict(found).values()] != [str, str, str, bool, str, str]:
        raise _damaged()
    return found


def require_accepted(place: Path, identity: str) -> None:
    """Refuse what was accepted for other weights, or for none. Raises as `accepted`."""
    if accepted(place).pack != identity:
        raise Refused("model-licence", "The licence that was accepted here was that of other weights.")


def _damaged() -> ModelFault:
    return ModelFault("model-acceptance", "The record of who accepted this model's licence cannot be read.")
