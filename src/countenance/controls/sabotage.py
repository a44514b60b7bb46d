"""Breaks one control in a scratch copy of a venue, to show that its check can fail. The venue itself is left alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, select, text, update

from countenance import settings
from countenance.errors import BadInput
from countenance.flows.found import DATA, LOCK
from countenance.formats import notices as form
from countenance.storage import engine as engines
from countenance.storage import schema

Break = Callable[[Connection], None]


def _sql(*statements: str) -> Break:
    def act(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    return act


_LIVE_PERSON = (
    "INSERT INTO person VALUES ('x', 'k', x'00', NULL, NULL, 0, 9999999999)",
    "INSERT INTO consent SELECT 'x', 'x', purpose_id, notice_hash, 'en', 'asserted', '{state}', 1, 9999999999, x'00', "
    "9999999999 FROM notice LIMIT 1",
    "INSERT INTO template SELECT 'x', 'x', {purpose}, 'x', 'venue_keyed', 'p', NULL, x'00', 'live', 9999999999 "
    "FROM consent WHERE consent_id = 'x'",
)


def _person(state: str, purpose: str) -> tuple[str, ...]:
    return tuple(one.format(state=state, purpose=purpose) for one in _LIVE_PERSON)


def _void_terms(connection: Connection) -> None:
    for row in connection.execute(select(schema.notice)).all():
        notice = form.parse(row.canonical)
        worse = replace(notice, texts={name: f"{words} This is irrevocable." for name, words in notice.texts.items()})
        connection.execute(update(schema.notice).where(schema.notice.c.notice_hash == row.notice_hash).values(
            canonical=worse.canonical(), notice_hash=worse.hash))


BREAKS: dict[str, Break] = {
    "K01": _sql(*_person("given", "(SELECT max(purpose_id) FROM purpose WHERE purpose_id <> consent.purpose_id)")),
    "K02": _sql(*_person("given", "purpose_id"),
                "UPDATE consent SET notice_hash = (SELECT max(notice_hash) FROM notice WHERE purpose_id <> "
                "consent.purpose_id) WHERE consent_id = 'x'"),
    "K04": _sql("UPDATE notice SET canonical = x'00'"),
    "K06": _sql("DELETE FROM gate WHERE mode = 'pass'"),
    "K07": _sql(*_person("withdrawn", "purpose_id")),
    "K08": _sql("UPDATE mark SET at = at - 2592000 WHERE name = 'swept'"),
    "K10": _sql("UPDATE purpose SET custody = 'venue_keyed' WHERE custody <> 'none'"),
    "K12": _sql("UPDATE purpose SET comparison = 'search', gallery_cap = 0 WHERE comparison <> 'disclose'"),
    "K14": _sql("UPDATE zone SET kind = 'toilet'"),
    "K21": _sql("INSERT INTO purpose SELECT 'anybody', zone_id, 'disclose', 'none', 1, 0 FROM zone LIMIT 1"),
    "K25": _sql("INSERT INTO hourly_count VALUES (0, 'face', 'denied', 1, 9999999999)"),
    "K27": _void_terms,
    "K40": _sql("DELETE FROM event WHERE event_id = (SELECT max(event_id) FROM event)"),
}
"""What breaks each. A control that is kept by construction is broken by changing the program: its test does that."""


@contextmanager
def broken(folder: Path, control: str) -> Iterator[Path]:
    """Give a copy of a venue in which one control is broken; it is gone afterwards.

    Raises BadInput(control-unbroken) for a control whose breaking is not built, StoreFault for a folder that is none.
    """
    if control == "K33":
        with _copy(folder) as copy:
            path = copy / settings.FILE
            path.write_text(path.read_text("utf-8").replace('regime = "', 'regime = "x'), "utf-8")
            yield copy
        return
    if control not in BREAKS:
        raise BadInput("control-unbroken", f"These can be broken: {', '.join(sorted([*BREAKS, 'K33']))}.")
    with _copy(folder) as copy:
        engine = engines.open_engine(copy / DATA)
        with engines.unguarded(engine) as connection:
            BREAKS[control](connection)
        engine.dispose()
        yield copy


@contextmanager
def _copy(folder: Path) -> Iterator[Path]:
    settings.load(folder)
    with tempfile.TemporaryDirectory(prefix="countenance-") as scratch:
        copy = Path(scratch) / "venue"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(LOCK))
        (copy / LOCK).touch(mode=0o600)
        yield copy
