"""models: bring a model pack in, its licence accepted, and take it out again (docs/flows.md, models).

(1) the manifest is read, and nothing else of the pack; (2) the licence was shown and somebody accepted it, a
non-commercial one knowing that; (3) each file, copied or fetched, is held to its size and SHA-256, in a folder beside;
(4) the networks are loaded and checked; (5) the acceptance is written; (6) one rename makes it a pack. A failure
leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from countenance.clock import Clock, utc_text
from countenance.errors import BadInput, ModelFault, Refused
from countenance.vision import models_folder, packs
from countenance.vision.manifest import PACK_NAME, ModelFile, parse
from countenance.vision.models_folder import Acceptance
from countenance.vision.pack_runtime import FacePack
from countenance.vision.packs import Pack

Progress = Callable[[int, int], None]
Get = Callable[[ModelFile, Path, Progress], None]
"""Puts one file of a pack at a path, reporting bytes done and all; what it holds is judged afterwards."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Agreed:
    """Who accepts a licence. `non_commercial`: knowing that the licence forbids commercial use."""

    by: str
    accepted: bool
    non_commercial: bool = False


def add(source: Path, agreed: Agreed, clock: Clock, progress: Progress) -> Pack:
    """Bring in the pack in a folder: its `manifest.toml` and its files. The folder is left as it is.

    Raises BadInput (folder-unreadable, file-too-large, model-known), Refused (model-licence, model-non-commercial),
    ModelFault.
    """
    text = packs.manifest_text(source)                                      # (1)
    pack = packs.described(text, source)

    def copy(file: ModelFile, to: Path, update: Progress) -> None:
        path = pack.path(file.role)
        if path.stat().st_size > file.size:
            raise ModelFault("model-file-changed", f"The model file {file.name} is not its manifest's.")
        with path.open("rb") as taken, to.open("wb") as given:
            while block := taken.read(_BLOCK):
                given.write(block)
                update(given.tell(), file.size)

    return _bring(pack, text, copy, agreed, clock, progress)


def pull(pack: Pack, text: str | None, fetch: Get, agreed: Agreed, clock: Clock, progress: Progress) -> Pack:
    """Bring in a pack whose files are somewhere else. `text`: its manifest, where that does not come with the program.

    Raises as `add`, and what `fetch` raises.
    """
    if pack.manifest.package:
        raise BadInput("model-known", "This pack comes with the program; there is nothing to fetch.")
    return _bring(pack, text, fetch, agreed, clock, progress)


def described(text: str) -> Pack:
    """Return the pack that a manifest from elsewhere describes, not yet here. Raises ModelFault, BadInput."""
    manifest = parse(text)
    return Pack(manifest, models_folder.folder() / manifest.name)


def remove(name: str) -> None:
    """Take a pack out, with the record of its licence; templates made with it open nothing any more.

    Raises BadInput(model-known) for one that comes with the program, ModelFault(model-pack-unknown).
    """
    place = _place(name)
    gone = place.with_name(f".{name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    place.rename(gone)
    shutil.rmtree(gone)


def move(name: str, to: Path) -> Path:
    """Move a pack to another models folder, checked on arrival; return where it lies now.

    Raises BadInput (model-known, folder-unreadable), ModelFault.
    """
    place = _place(name)
    target = to / name
    with _beside(target) as beside:
        try:
            shutil.copytree(place, beside, dirs_exist_ok=True, symlinks=True)
        except OSError:
            raise BadInput("folder-unreadable", "The pack cannot be copied there; it stayed where it was.") from None
        moved = Pack(packs.load(name).manifest, beside)
        moved.require_accepted()
        for file in moved.manifest.files:
            moved.read(file.role)
        beside.rename(target)
    shutil.rmtree(place)
    return target


def _bring(pack: Pack, text: str | None, get: Get, agreed: Agreed, clock: Clock, progress: Progress) -> Pack:
    manifest = pack.manifest
    if manifest.name in packs.bundled() and text is not None:
        raise BadInput("model-known", "A pack of that name comes with the program; give yours another.")
    _require_agreed(pack, agreed)                                           # (2)
    place = models_folder.folder() / manifest.name
    with _beside(place) as beside:
        made = Pack(manifest, beside)
        if text is not None:
            (beside / packs.MANIFEST).write_text(text, "utf-8")
        whole, done = sum(file.size for file in manifest.files), 0
        for file in manifest.files:                                         # (3)
            get(file, beside / file.name, _part(progress, done, whole))
            made.read(file.role)  # whose size and sum must be the manifest's
            done += file.size
        FacePack.of(made).check()                                           # (4)
        terms = hashlib.sha256(manifest.terms.encode()).hexdigest()
        Acceptance(made.identity, manifest.licence, terms, agreed.non_commercial, agreed.by,
                   utc_text(clock.now())).write(beside)                     # (5)
        beside.rename(place)                                                # (6)
    return Pack(manifest, place)


def _part(progress: Progress, before: int, whole: int) -> Progress:
    return lambda done, _all: progress(before + done, whole)


def _require_agreed(pack: Pack, agreed: Agreed) -> None:
    if pack.manifest.non_commercial and not agreed.non_commercial:
        raise Refused("model-non-commercial", "This model's licence forbids commercial use; nothing was fetched. "
                      "Say --acknowledge-non-commercial if yours is not.")
    if not agreed.accepted:
        raise Refused("model-licence", "Without the licence being accepted (--accept-licence) nothing is fetched.")


def _place(name: str) -> Path:
    if name in packs.bundled() and packs.load(name).manifest.package:
        raise BadInput("model-known", "This pack comes with the program; it cannot be taken out.")
    place = models_folder.folder() / name
    if not PACK_NAME.fullmatch(name) or not place.is_dir() or place.is_symlink():
        raise ModelFault("model-pack-unknown", "There is no model pack of that name.")
    return place


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Give an empty folder beside where a pack will lie; gone again if it does not get there."""
    if place.exists():
        raise BadInput("model-known", "A pack of that name is here already; remove it first.")
    beside = place.with_name(f".{place.name}.new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True, mode=0o700)
    except OSError:
        raise BadInput("folder-unreadable", "The models folder cannot be written to.") from None
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
