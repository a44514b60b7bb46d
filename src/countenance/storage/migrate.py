"""Brings a database to the newest schema with Alembic, and refuses one that is newer than this program."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Boolean, Engine, Integer, LargeBinary, MetaData, String, column, func, inspect, or_, select, text

from countenance.errors import StoreFault
from countenance.storage import engine as engines
from countenance.storage.faults import told_plainly


def version_of(engine: Engine) -> str | None:
    """Return the migration a database stands at, or None for an empty one."""
    with told_plainly(), engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        rows = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return str(rows[0]) if len(rows) == 1 else None


def require_current(engine: Engine, head: str, which: str) -> None:
    """Raise StoreFault unless the database stands at `head`: store-newer, store-older, store-incomplete."""
    found = version_of(engine)
    if found is None:
        raise StoreFault("store-incomplete", f"The {which} database was never set up to the end.")
    if found > head:
        raise StoreFault("store-newer", f"The {which} database was written by a newer Countenance.")
    if found < head:
        raise StoreFault("store-older", f"The {which} database needs `countenance doctor --upgrade`.")


def require_layout(engine: Engine, head: str, which: str) -> None:
    """Raise StoreFault unless tables and indexes are those that the migrations make, and there is nothing else.

    store-altered, or what `require_current` says of a database at another migration. Nothing that somebody else
    defined is run: a view or a trigger is seen by its name.
    """
    found = _layout(engine)
    if found == _made(which, head):
        return
    if {kind for kind, *_ in found} <= {"table", "index"} and _names(found) & _names(_made(which, head)):
        require_current(engine, head, which)
    raise StoreFault("store-altered", f"The {which} database has other tables or rules than this program makes.")


def require_own(engine: Engine, which: str, head: str) -> str:
    """Return the migration a database stands at, whose tables, and no others, it has.

    Raises StoreFault: store-incomplete, store-newer, store-altered.
    """
    found = version_of(engine)
    if found is None or found > head:
        require_current(engine, head, which)
    if found is None or found not in _known(which) or _layout(engine) != _made(which, found):
        raise StoreFault("store-altered", f"The {which} database has other tables or rules than this program makes.")
    return found


def _known(which: str) -> set[str]:
    names = (file.name for file in (files("countenance.storage") / "migrations" / which / "versions").iterdir())
    return {name.partition("_")[0] for name in names if name.endswith(".py") and name[0].isdigit()}


def _names(layout: frozenset[tuple[str, ...]]) -> set[str]:
    return {name for kind, name, *_ in layout if kind == "table"} - {"alembic_version"}


def _layout(engine: Engine) -> frozenset[tuple[str, ...]]:
    with told_plainly(), engine.connect() as connection:
        rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all()
    return frozenset((str(kind), str(name), str(table), " ".join(str(sql).split())) for kind, name, table, sql in rows)


@cache
def _made(which: str, version: str) -> frozenset[tuple[str, ...]]:
    engine = engines.open_engine(Path(":memory:"), create=True)
    try:
        upgrade(engine, which, version)
        return _layout(engine)
    finally:
        engine.dispose()


_KINDS = {Boolean: "integer", Integer: "integer", String: "text", LargeBinary: "blob"}


def require_kinds(engine: Engine, tables: MetaData) -> None:
    """Raise StoreFault(store-altered) where a value is of another kind than its column: SQLite itself takes any."""
    with told_plainly(), engine.connect() as connection:
        for table in tables.sorted_tables:
            other = [~func.typeof(column(one.name)).in_([_KINDS[type(one.type)], *(["null"] if one.nullable else [])])
                     for one in table.columns]
            if connection.execute(select(func.count()).select_from(table).where(or_(*other))).scalar_one():
                raise StoreFault("store-altered", f"The table {table.name} holds what it cannot hold.")


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
