"""The demo's attacker: keeps yesterday's copies of both stores, has the root key, and searches the disk."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from countenance.errors import Refused, StoreFault
from countenance.flows import passes
from countenance.flows.found import DATA, KEYS
from countenance.flows.gallery import stored_template
from countenance.quantities import PersonId, PurposeId
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.vault import residue
from countenance.vault.keys import in_pass, roots
from countenance.vault.keys.store import FACE, KeyRef, KeyStore
from countenance.vault.keys.third import ThirdPlace
from countenance.vault.residue import Needle
from countenance.vision import image

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

_PIECE = 64  # bytes; of a picture's thousands, so that a part of it is found too


def copy_stores(venue: Venue, to: Path) -> None:
    """Take yesterday's backup: both databases, complete, and nothing of the third place."""
    venue.store.empty_wal()
    engines.empty_wal(venue.keys.engine)
    to.mkdir()
    for name in (DATA, KEYS):
        shutil.copyfile(venue.folder / name, to / name)


def opens_from_copies(venue: Venue, copies: Path, person: PersonId, purpose: PurposeId) -> str:
    """Try to open a person's template with yesterday's copies, the root, and today's epoch file."""
    from sqlalchemy import select

    data, keys_engine = engines.open_engine(copies / DATA), engines.open_engine(copies / KEYS)
    try:
        with engines.reading(data) as connection:
            row = connection.execute(select(schema.template).where(
                schema.template.c.person_id == person, schema.template.c.purpose_id == purpose)).one()
        stored = stored_template(row)
        root = roots.open_root(venue.settings.root, venue.folder)
        keys = KeyStore(keys_engine, ThirdPlace.of(venue.folder, root), venue.clock)
        if stored.face_key is None:
            return "opens nothing"
        keys.open(KeyRef(stored.face_key, FACE, person, purpose), stored.place.label(), stored.sealed)
    except (StoreFault, Refused):
        return "opens nothing"
    finally:
        data.dispose()
        keys_engine.dispose()
    return "still opens"


def key_needles(venue: Venue, ref: KeyRef) -> list[Needle]:
    """Return what to look for once a key is destroyed: taken with the root and today's files, before it is."""
    root = roots.open_root(venue.settings.root, venue.folder)
    keys = KeyStore(engines.open_engine(venue.folder / KEYS), ThirdPlace.of(venue.folder, root), venue.clock)
    try:
        return keys.needles(ref)
    finally:
        keys.close()


def template_needles(venue: Venue, pass_text: str) -> list[Needle]:
    """Return what to look for of a face that is in a pass only: the codes, and the sealed part of the pass.

    Whoever has the root, today's files and the pass can tell; without the pass there is nothing to open.
    """
    root = roots.open_root(venue.settings.root, venue.folder)
    keys = KeyStore(engines.open_engine(venue.folder / KEYS), ThirdPlace.of(venue.folder, root), venue.clock)
    try:
        with venue.store.read() as unit:
            content = passes.read_here(venue, pass_text, unit.now)
            shown = passes.shown(venue, unit, pass_text, content)
        template = bytes(in_pass.carried(keys.take_faces(), shown))
    finally:
        keys.close()
    return [Needle("template", template), Needle("sealed template", content.secret[-_PIECE:])]


def picture_needles(pictures: Sequence[bytes]) -> list[Needle]:
    """Return pieces of every picture shown: of its file, and of its pixels in both colour orders."""
    needles = []
    for picture in pictures:
        pixels = image.decode(picture).pixels
        height, width = pixels.shape[:2]
        for row in (height // 3, height // 2):
            part = pixels[row, width // 2 : width // 2 + _PIECE]
            needles.append(Needle("pixels", part.tobytes()))
            needles.append(Needle("pixels", np.ascontiguousarray(part[:, ::-1]).tobytes()))
        for at in (len(picture) // 3, len(picture) // 2):
            needles.append(Needle("picture file", picture[at : at + _PIECE]))
    return needles


def plant_and_find(folder: Path, needles: Sequence[Needle]) -> str:
    """Plant a needle in three spellings, find all of them, and take them away again."""
    secret = needles[0].secret
    planted = {"raw": secret, "hex": secret.hex().encode(), "base64": base64.b64encode(b"x" + secret)}
    files = {spelling: folder / f"planted-{spelling}" for spelling in planted}
    try:
        for spelling, data in planted.items():
            files[spelling].write_bytes(b"before " + data + b" after")
        found = {(f.file.name, f.spelling) for f in residue.search(folder, needles[:1])}
    finally:
        for path in files.values():
            path.unlink(missing_ok=True)
    complete = found == {(path.name, spelling) for spelling, path in files.items()}
    return "found all 3" if complete else f"found {len(found)} of 3"


def search(folder: Path, needles: Sequence[Needle]) -> str:
    """Search every file of the folder for every needle."""
    found = residue.search(folder, needles)
    return "clean" if not found else f"found in {len(found)}"
