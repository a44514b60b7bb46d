"""Brings a database to the newest schema with Alembic, and refuses one that is newer than this program."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Engine, inspect, text

from countenance.errors import StoreFault
from countenance.storage.faults import told_plainly


def version_of(engine: Engine) -> str | None:
    """Return the migration a database stands at, or None for an empty one."""
    with told_plainly(), engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).one_or_none()
    return None if row is None else str(row[0])


def require_current(engine: Engine, head: str, which: str) -> None:
    """Raise StoreFault unless the database stands at `head`: store-newer, store-older, store-incomplete."""
    found = version_of(engine)
    if found is None:
        raise StoreFault("store-incomplete", f"The {which} database was never set up to the end.")
    if found > head:
        raise StoreFault("store-newer", f"The {which} database was written by a newer Countenance.")
    if found < head:
        raise StoreFault("store-older", f"The {which} database needs `countenance doctor --upgrade`.")


def upgrade(engine: Engine, which: str, target: str = "head") -> None:
    """Run the migrations of the store `which` ("data" or "keys") up to `target`."""
    _run(engine, which, target, up=True)


def downgrade(engine: Engine, which: str, target: str = "base") -> None:
    """Run the migrations of the store `which` down to `target`."""
    _run(engine, which, target, up=False)


def _run(engine: Engine, which: str, target: str, *, up: bool) -> None:
    from alembic import command  # slow to import, and not needed to open a folder
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("countenance.storage") / "migrations" / which))
    config.set_main_option("path_separator", "os")
    with (
        told_plainly(),
        engine.connect().execution_options(countenance_begin="IMMEDIATE") as connection,
        connection.begin(),
    ):
        config.attributes["connection"] = connection
        if up:
            command.upgrade(config, target)
        else:
            command.downgrade(config, target)
