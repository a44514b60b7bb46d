"""An older folder becomes one that this program reads, whole and with everybody in it; any other stays as it lies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import alembic.op
import pytest

from countenance import settings
from countenance.access import operators
from countenance.clock import SetClock
from countenance.errors import CountenanceError, StoreFault
from countenance.flows import gates, people, restore, sweep, upgrade, withdraw
from countenance.flows.gates import Mode
from countenance.flows.restore import Copies
from countenance.integrations.entitlement import CsvEntitlement
from countenance.storage import engine as engines
from countenance.storage import migrate
from support.venue import (
    KEYED,
    START,
    VERIFY,
    bytes_of,
    comes_back,
    copy_of,
    enrolled,
    open_venue,
    other_lane,
    state_of,
    tables_of,
)

NEW_SETTINGS = {"gate": {"fmr", "fpir"}, "entitlement": {"url", "key", "cache_hours"},
                "server": {"origin", "key_days", "attempts_per_minute", "private_recipients"},
                "rules": {"signers", "replaces"}}


def made_older(folder: Path) -> Path:
    """Make of a folder what the first release with migration 0001 had made."""
    engine = engines.open_engine(folder / "countenance.db")
    migrate.downgrade(engine, "data", "0001")
    engine.dispose()
    lines, section = [], ""
    for line in (folder / "venue.toml").read_text(encoding="utf-8").splitlines():
        section = line.strip("[]") if line.startswith("[") else section
        if section not in {"server", "rules"} and line.partition(" ")[0] not in NEW_SETTINGS.get(section, ()):
            lines.append(line)
    (folder / "venue.toml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    for end in ("key", "pub"):
        (folder / "signing" / f"door.{end}").unlink()
    return folder


@pytest.fixture
def older(folder: Path) -> tuple[Path, str, str]:
    """A folder of migration 0001 with Ada and Cem in it, and without Ben, who withdrew; with Ada's and Ben's passes."""
    with open_venue(folder) as venue:
        ada, ben = enrolled(venue), enrolled(venue, "ben", 2)
        enrolled(venue, "cem", 3, KEYED)
        withdraw.withdraw(venue, ben.person, VERIFY)
    return made_older(folder), ada.pass_text, ben.pass_text


def opens(folder: Path) -> str:
    """Return the code that opening a folder ends with, or nothing."""
    try:
        with open_venue(folder):
            return ""
    except CountenanceError as error:
        return error.code


def test_a_folder_of_the_first_migration_works_after_it(older: tuple[Path, str, str]) -> None:
    folder, ada, ben = older
    assert opens(folder) == "settings-keys"  # it is an older one, to begin with
    before = {name: digest for name, digest in state_of(folder).items() if "/" in name}
    assert "countenance.db/gate" not in before
    done = upgrade.upgrade(folder)
    assert done.stores == {"data": "0001"}
    assert done.signing == ("door",)
    assert set(done.settings) == {f"{section}.{key}" for section, keys in NEW_SETTINGS.items() for key in keys}
    del before["countenance.db/alembic_version"]
    after = state_of(folder)
    assert {name: after[name] for name in before} == before  # every row of before, and every key, as it was
    with open_venue(folder) as venue:
        assert comes_back(venue, ada).outcome.value == "admit"
        assert other_lane(venue, ben) == "ben"
        with pytest.raises(CountenanceError) as caught:
            comes_back(venue, ben, 2)
        assert caught.value.code == "consent-withdrawn"
        enrolled(venue, "ben", 2)
        with venue.store.write() as unit:
            gates.add(unit, "north", Mode.PASS_AND_FACE, VERIFY)
            assert operators.first_code(unit)
        assert [venue.signer(use).kid for use in ("pass", "door")]
        sweep.sweep(venue)
        venue.log.require_continued()


def test_done_again_it_writes_nothing(older: tuple[Path, str, str]) -> None:
    upgrade.upgrade(older[0])
    before = bytes_of(older[0])
    assert not upgrade.upgrade(older[0]).anything
    assert bytes_of(older[0]) == before


def test_what_the_owner_wrote_stays_word_for_word(older: tuple[Path, str, str]) -> None:
    path = older[0] / "venue.toml"
    text = path.read_text().replace("lease_minutes = 60", "lease_minutes = 7  # as we agreed").replace(
        "[entitlement]", "# ours\n[ entitlement ]  # the list")
    text = text.replace('csv = "tickets.csv"', 'cache_hours = 3\ncsv = "tickets.csv"')
    path.write_text(text)
    path.chmod(0o640)
    upgrade.upgrade(older[0])
    assert path.stat().st_mode & 0o777 == 0o640
    assert set(text.splitlines()) <= set(path.read_text().splitlines())
    found = settings.load(older[0])
    assert (found.lease_minutes, found.ticketing_cache_hours, found.ticketing_url, found.key_days) == (7, 3, "", 365)


def unlike(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a newer store": (lambda f: unlike(f / "countenance.db", "UPDATE alembic_version SET version_num='0009'"),
                      "store-newer"),
    "newer keys": (lambda f: unlike(f / "keys.db", "UPDATE alembic_version SET version_num='0009'"), "store-newer"),
    "no known migration": (lambda f: unlike(f / "keys.db", "UPDATE alembic_version SET version_num='0000'"),
                           "store-altered"),
    "another's trigger": (lambda f: unlike(
        f / "countenance.db", "CREATE TRIGGER t AFTER INSERT ON person BEGIN DELETE FROM revocation; END"),
        "store-altered"),
    "another's table": (lambda f: unlike(f / "countenance.db", "CREATE TABLE gate (gate_id text)"), "store-altered"),
    "no table": (lambda f: unlike(f / "countenance.db", "DROP TABLE lease"), "store-altered"),
    "never finished": (lambda f: unlike(f / "keys.db", "DELETE FROM alembic_version"), "store-incomplete"),
    "no keys": (lambda f: (f / "keys.db").unlink(), "store-missing"),
    "garbage": (lambda f: (f / "keys.db").write_bytes(b"not a database" * 100), "store-corrupt"),
    "no settings": (lambda f: (f / "venue.toml").unlink(), "store-incomplete"),
    "no TOML": (lambda f: (f / "venue.toml").write_text("[["), "settings-malformed"),
    "newer settings": (lambda f: (f / "venue.toml").write_text(
        (f / "venue.toml").read_text().replace("format = 1", "format = 2")), "store-newer"),
    "an unknown key": (lambda f: (f / "venue.toml").write_text(
        (f / "venue.toml").read_text().replace("[log]", "[log]\nlevel = 3")), "settings-keys"),
    "an inline section": (lambda f: (f / "venue.toml").write_text((f / "venue.toml").read_text().replace(
        '[entitlement]\ncsv = "tickets.csv"', "").replace(
        "format = 1", 'format = 1\nentitlement = {csv = "tickets.csv"}')), "settings-keys"),
    "no lock": (lambda f: (f / "lock").unlink(), "store-incomplete"),
    "no folder": (lambda f: f.rename(f.with_name("elsewhere")), "store-absent"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_not_an_older_folder_stays_as_it_lies(older: tuple[Path, str, str], what: str) -> None:
    spoil, code = SPOILT[what]
    spoil(older[0])
    before = {name: value for name, value in bytes_of(older[0]).items() if not name.endswith(("-shm", "-wal"))}
    with pytest.raises(StoreFault) as caught:
        upgrade.upgrade(older[0])
    assert caught.value.code == code
    after = {name: value for name, value in bytes_of(older[0]).items() if not name.endswith(("-shm", "-wal"))}
    assert after == before


def test_a_folder_that_somebody_has_open_stays_as_it_lies(older: tuple[Path, str, str]) -> None:
    upgrade.upgrade(older[0])
    with open_venue(older[0]):
        before = state_of(older[0])
        with pytest.raises(StoreFault) as caught:
            upgrade.upgrade(older[0])
        assert caught.value.code == "store-busy"
        assert state_of(older[0]) == before


class Crash(Exception):
    """The machine stops here."""


def stops_at(patch: pytest.MonkeyPatch, step: str) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise Crash

    def after(real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            real(*given, **named)
            raise Crash

        return run

    if step == "in the middle of a migration":
        left = iter(range(4))
        real = alembic.op.create_table
        patch.setattr(alembic.op, "create_table",
                      lambda *a, **k: real(*a, **k) if next(left, None) is not None else stop())
    elif step == "before the keys":
        patch.setattr(upgrade.signing, "make", stop)
    elif step == "between the two halves of a key":
        patch.setattr(upgrade.signing, "make",
                      lambda folder, use: (folder / f"{use}.key").write_bytes(b"half") and stop())
    elif step == "after the migration":
        patch.setattr(upgrade.migrate, "upgrade", after(upgrade.migrate.upgrade))
    else:
        patch.setattr(upgrade, "_write", stop)


STEPS = ("before the keys", "between the two halves of a key", "in the middle of a migration", "after the migration",
         "before the settings")


@pytest.mark.parametrize("step", STEPS)
def test_interrupted_anywhere_it_is_done_again(older: tuple[Path, str, str], tmp_path: Path, step: str) -> None:
    folder, ada, _ = older
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        migrate._made("data", "0001")  # derived before the machine may stop
        stops_at(patch, step)
        upgrade.upgrade(folder)
    left = copy_of(folder, tmp_path / "left")
    assert opens(folder)  # half done it is no venue yet
    assert ("gate" in tables_of(left / "countenance.db")) == (STEPS.index(step) > 2)
    assert upgrade.upgrade(left).anything
    with open_venue(left) as venue:
        assert comes_back(venue, ada).outcome.value == "admit"
        assert venue.signer("door")


def test_a_backup_of_before_is_put_back_by_hand(older: tuple[Path, str, str], tmp_path: Path) -> None:
    """`restore` takes copies of today's migration only: an older one takes its place by hand, and is settled there."""
    folder, ada, _ = older
    kept = (folder / "countenance.db").read_bytes()
    upgrade.upgrade(folder)
    with open_venue(folder) as venue:
        ended = comes_back(venue, ada).outcome.value
        withdraw.withdraw(venue, people.by_reference(venue, "ada"), VERIFY)
    assert ended == "admit"
    (tmp_path / "copy.db").write_bytes(kept)
    clock, tickets = SetClock(START), CsvEntitlement(folder / "tickets.csv")
    with pytest.raises(CountenanceError) as caught:
        restore.examine(folder, Copies(tmp_path / "copy.db"), clock)
    assert caught.value.code == "store-older"
    for path in folder.glob("countenance.db-*"):
        path.unlink()
    (folder / "countenance.db").write_bytes(kept)
    assert upgrade.upgrade(folder).stores == {"data": "0001"}
    with open_venue(folder) as venue, pytest.raises(CountenanceError) as refused:
        comes_back(venue, ada)
    assert refused.value.code == "store-restored"
    restore.restore(folder, tickets, clock, Copies())
    with open_venue(folder) as venue, pytest.raises(CountenanceError):
        comes_back(venue, ada)  # she withdrew since, and does not come back

