"""Alembic: up and down with data, and the migrations make exactly the tables that the code uses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, text

from countenance.errors import StoreFault
from countenance.flows import pad
from countenance.storage import engine as engines
from countenance.storage import key_schema, migrate, schema
from support.venue import SEARCH, copy_of, enrolled, open_venue, state_of, tables_of

STORES = [("data", "countenance.db", schema.metadata, schema.HEAD),
          ("keys", "keys.db", key_schema.metadata, key_schema.HEAD)]


@pytest.mark.parametrize(("which", "name", "metadata", "head"), STORES)
def test_migrations_make_exactly_the_tables_of_the_code(
        tmp_path: Path, which: str, name: str, metadata: MetaData, head: str) -> None:
    engine = engines.open_engine(tmp_path / name, create=True)
    migrate.upgrade(engine, which)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        made = connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'table'")).scalars().all()
    assert migrate.version_of(engine) == head
    wanted = [str(c.sqltext) for t in metadata.tables.values() for c in t.constraints if hasattr(c, "sqltext")]
    assert all(any(check in sql for sql in made) for check in wanted)
    engine.dispose()


def test_the_comparison_sees_a_missing_column(tmp_path: Path) -> None:
    engine = engines.open_engine(tmp_path / "keys.db", create=True)
    migrate.upgrade(engine, "keys")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE wrapped_key DROP COLUMN made_at"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), key_schema.metadata) != []
    engine.dispose()


@pytest.mark.parametrize(("which", "name"), [("data", "countenance.db"), ("keys", "keys.db")])
def test_down_and_up_again_with_data(folder: Path, which: str, name: str) -> None:
    with open_venue(folder) as venue:
        enrolled(venue)
        pad.pad(venue, SEARCH, 3)
    assert len(tables_of(folder / name)) > 1
    engine = engines.open_engine(folder / name)
    migrate.downgrade(engine, which)
    assert tables_of(folder / name) == ["alembic_version"]
    migrate.upgrade(engine, which)
    with engine.connect() as connection:
        metadata = schema.metadata if which == "data" else key_schema.metadata
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def set_version(path: Path, version: str | None) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM alembic_version")
        if version is not None:
            connection.execute("INSERT INTO alembic_version VALUES (?)", (version,))


@pytest.mark.parametrize("name", ["countenance.db", "keys.db"])
@pytest.mark.parametrize(("version", "code"), [
    ("0009", "store-newer"), ("9999", "store-newer"), ("0000", "store-older"), (None, "store-incomplete")])
def test_a_folder_of_another_version_is_refused_unmoved(
        folder: Path, name: str, version: str | None, code: str) -> None:
    set_version(folder / name, version)
    before = state_of(folder)
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == code
    assert state_of(folder) == before


@pytest.mark.parametrize(("spoil", "code"), [
    (lambda f: (f / "keys.db").unlink(), "store-missing"),
    (lambda f: (f / "countenance.db").unlink(), "store-missing"),
    (lambda f: (f / "epoch.key").unlink(), "epoch-missing"), (lambda f: (f / "root.key").unlink(), "root-missing"),
    (lambda f: (f / "venue.toml").unlink(), "store-incomplete"),
    (lambda f: (f / "keys.db").write_bytes(b""), "store-incomplete"),
    (lambda f: (f / "keys.db").write_bytes(b"not a database" * 100), "store-corrupt"),
    (lambda f: (f / "countenance.db").write_bytes(b"not a database" * 100), "store-corrupt"),
], ids=["no keys.db", "no countenance.db", "no epoch.key", "no root", "no settings", "empty keys.db",
        "garbage keys.db", "garbage"])
def test_a_folder_that_is_not_whole_is_refused_unmoved(
        folder: Path, tmp_path: Path, spoil: object, code: str) -> None:
    assert callable(spoil)
    spoil(folder)
    before = copy_of(folder, tmp_path / "before")
    with pytest.raises(StoreFault) as caught, open_venue(folder):
        pass
    assert caught.value.code == code
    now = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    then = {p.relative_to(before): p.read_bytes() for p in before.rglob("*") if p.is_file()}
    assert {n: b for n, b in now.items() if not n.name.endswith(("-shm", "-wal"))} == then


def test_a_folder_without_a_venue_is_said_to_be_so(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(StoreFault) as caught, open_venue(folder):
            pass
        assert caught.value.code == "store-absent"
    assert list(tmp_path.iterdir()) == []
