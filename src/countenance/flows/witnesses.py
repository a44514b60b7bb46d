"""The witnesses that a venue's settings name, and asking them (docs/operating/witness.md)."""

from __future__ import annotations

from countenance.errors import BadInput, StoreFault
from countenance.formats import signed_note
from countenance.formats.signed_note import WITNESS, NoteKey
from countenance.transparency.log import Cosigner


def named(settled: tuple[str, ...]) -> list[tuple[str, NoteKey]]:
    """Return address and key of each witness. Raises StoreFault(settings-value)."""
    found = []
    for line in settled:
        url, _space, text = line.partition(" ")
        try:
            key = signed_note.read_key(text.strip())
        except BadInput:
            key = None
        if key is None or key.kind != WITNESS or not url.startswith(("http://", "https://")):
            raise StoreFault("settings-value", "In venue.toml, log.witnesses has a wrong value.")
        found.append((url, key))
    return found


def cosigner(settled: tuple[str, ...]) -> Cosigner | None:
    """Return what asks these witnesses, or None where there is none.

    One that does not answer is left out: a receipt without it says less, and a person may ask for evidence later.
    """
    if not settled:
        return None
    from countenance.transparency import cosigning  # brings an HTTP client

    return cosigning.asking(named(settled))
