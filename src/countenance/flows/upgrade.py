"""upgrade: an older data folder becomes one that this program reads (docs/flows.md, upgrade).

(1) The folder alone: whoever still has it open would find other tables. (2) Both stores are whole, and have exactly the
tables of the migration they stand at; a newer one, or one that somebody else has changed, stays as it lies. (3) Keys
that sign what is new. (4) Each store, in one transaction. (5) Settings that are new, with their defaults and everything
else word for word, by one rename. No key of a person is opened, nobody is compared, and what was not finished before
waits for the next opening. Interrupted anywhere it is done again.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from countenance import durable, settings
from countenance.errors import StoreFault
from countenance.flows.found import DATA, KEYS, LOCK, SIGNING
from countenance.storage import engine as engines
from countenance.storage import key_schema, migrate, schema
from countenance.storage.folder import moved_in
from countenance.vault.keys import signing

STORES = (("data", DATA, schema.HEAD), ("keys", KEYS, key_schema.HEAD))

SIGNING_SINCE = {"door": "0002"}
"""Signing keys that came with a migration of the data. Any other that is missing was lost, and is not made anew."""

SETTINGS_SINCE = {
    "gate": {"fmr": "0.001", "fpir": "0.01"},
    "entitlement": {"url": '""', "key": '""', "cache_hours": "24"},
    "server": {"origin": '""', "key_days": "365", "attempts_per_minute": "60", "private_recipients": "[]"},
    "rules": {"signers": "[]", "replaces": '""'},
}
"""Settings that the first venues did not have, as TOML; what they did before is what these say."""


@dataclass(frozen=True)
class Upgraded:
    """What was done: the migration that each store came from, and the names of new settings and signing keys."""

    stores: dict[str, str]
    settings: tuple[str, ...]
    signing: tuple[str, ...]

    @property
    def anything(self) -> bool:
        """Say whether there was anything to do."""
        return bool(self.stores or self.settings or self.signing)


def upgrade(folder: Path) -> Upgraded:
    """Bring a folder up to date; where it is, nothing is written.

    Raises StoreFault: store-busy, store-newer, store-altered, store-corrupt, store-full, store-read-only, settings-*,
    and then each store stands where it stood, or at its newest.
    """
    text, added = _settled(folder)
    with _alone(folder), _opened(folder) as stores:                         # (1)
        older = {which: migrate.require_own(engine, which, head) for which, engine, head in stores}   # (2)
        for _, engine, _ in stores:
            engines.require_whole(engine)
        made = _sign(folder, older["data"])                                 # (3)
        for which, engine, head in stores:                                  # (4)
            if older[which] != head:
                migrate.upgrade(engine, which)
                engines.empty_wal(engine)
        done = {which: older[which] for which, _, head in stores if older[which] != head}
        if added:
            _write(folder / settings.FILE, text)                            # (5)
    return Upgraded(done, added, made)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        with moved_in(folder / LOCK) as tenancy:
            if not tenancy.alone:
                raise StoreFault("store-busy", "Another process has this venue open; an upgrade needs it alone.")
            yield
    except FileNotFoundError:
        raise StoreFault("store-incomplete", "This data folder was never set up to the end.") from None


@contextmanager
def _opened(folder: Path) -> Iterator[list[tuple[str, Engine, str]]]:
    found: list[tuple[str, Engine, str]] = []
    try:
        for which, file, head in STORES:
            found.append((which, engines.open_engine(folder / file), head))
        yield found
    finally:
        for _, engine, _ in found:
            engine.dispose()


def _sign(folder: Path, older: str) -> tuple[str, ...]:
    made = []
    for use, since in SIGNING_SINCE.items():
        private, public = (folder / SIGNING / f"{use}.{end}" for end in ("key", "pub"))
        if older < since and not (private.exists() and public.exists()):
            for half in (private, public):  # of an upgrade that was interrupted: nobody has seen it
                durable.destroy(half)
            signing.make(folder / SIGNING, use)
            made.append(use)
    return tuple(made)


def _settled(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Return the settings with what is new, and the names of that. Raises StoreFault(settings-*, store-*)."""
    path = folder / settings.FILE
    try:
        text = durable.read(path, 1 << 20).decode()
        value = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        settings.load(folder)  # which says what is wrong
        raise StoreFault("settings-unreadable", "The settings (venue.toml) cannot be read.") from None
    added, wanted = [], dict(value)
    for section, keys in SETTINGS_SINCE.items():
        part = value.get(section, {})
        missing = [key for key in keys if isinstance(part, dict) and key not in part]
        if missing:
            lines = [f"{key} = {keys[key]}" for key in missing]
            text = _with(text, section, lines, new=section not in value)
            wanted[section] = {**part, **tomllib.loads("\n".join(lines))}
            added += [f"{section}.{key}" for key in missing]
    _require(text, wanted)
    return text, tuple(added)


def _with(text: str, section: str, lines: list[str], *, new: bool) -> str:
    if new:
        return "\n".join([text.rstrip("\n"), "", f"[{section}]", *lines, ""])
    found = re.search(rf"^[ \t]*\[[ \t]*{section}[ \t]*\][ \t]*(#.*)?$", text, re.MULTILINE)
    if found is None:
        return text  # written in another way: `_require` says so
    return text[:found.end()] + "\n" + "\n".join(lines) + text[found.end():]


def _require(text: str, wanted: dict[str, Any]) -> None:
    """Raise StoreFault unless a text says what is wanted, and is what this program reads."""
    try:
        same = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise StoreFault("settings-keys", "venue.toml lacks keys, and is written in a way that only you can add to.")
    settings.parse(text)


def _write(path: Path, text: str) -> None:
    try:
        durable.write(path, text.encode(), path.stat().st_mode & 0o777)
    except OSError:
        raise StoreFault("store-read-only", "The data folder cannot be written to.") from None
