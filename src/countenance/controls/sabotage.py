"""Breaks one control in a scratch copy of a venue, to show that its check can fail. The venue itself is left alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, select, text, update

from countenance import durable, settings
from countenance.consent import acts
from countenance.consent.gate import ConsentGate
from countenance.errors import BadInput
from countenance.flows import passes
from countenance.flows.found import DATA, LOCK, SIGNING
from countenance.flows.ports import Ticket
from countenance.flows.venue import Venue
from countenance.formats import notices as form
from countenance.matching.matcher import Threshold
from countenance.matching.score import as_score
from countenance.permits import PermitBook
from countenance.quantities import Instant
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.vision import face_quality
from countenance.vision.image import Frame

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


def _over(kind: str, subject: str) -> tuple[str, ...]:
    """Make what was signed of a kind be over, having stood once."""
    return (f"DELETE FROM statement WHERE kind = '{kind}'",  # noqa: S608  # our own words
            f"INSERT INTO statement VALUES ('x', '{kind}', '{subject}', 'x', 'x', 0, 1, 0, 9999999999)")  # noqa: S608  # as above


_NOW = "(SELECT at FROM mark WHERE name = 'time')"

BREAKS: dict[str, Break] = {
    "K01": _sql(*_person("given", "(SELECT max(purpose_id) FROM purpose WHERE purpose_id <> consent.purpose_id)")),
    "K02": _sql(*_person("given", "purpose_id"),
                "UPDATE consent SET notice_hash = (SELECT max(notice_hash) FROM notice WHERE purpose_id <> "
                "consent.purpose_id) WHERE consent_id = 'x'"),
    "K04": _sql("UPDATE notice SET canonical = x'00'"),
    "K05": _sql(*_person("given", "purpose_id"), "UPDATE consent SET act = 'guardian' WHERE consent_id = 'x'"),
    "K06": _sql("DELETE FROM gate WHERE mode = 'pass'"),
    "K07": _sql(*_person("withdrawn", "purpose_id")),
    "K08": _sql("UPDATE mark SET at = at - 2592000 WHERE name = 'swept'"),
    "K10": _sql("UPDATE purpose SET custody = 'venue_keyed' WHERE custody <> 'none'"),
    "K12": _sql("UPDATE purpose SET comparison = 'search', gallery_cap = 0 WHERE comparison <> 'disclose'"),
    "K14": _sql("UPDATE zone SET kind = 'toilet'"),
    "K15": _sql(*_over("sign", "zone:entrance")),
    "K16": _sql(*_over("assessment", "x")),
    "K17": _sql("INSERT INTO mark VALUES ('many_stored', 1)"),
    "K18": _sql("DELETE FROM event WHERE event_id = (SELECT min(event_id) FROM event)"),
    "K20": _sql("ALTER TABLE person ADD COLUMN emotion INTEGER"),
    "K21": _sql("INSERT INTO purpose SELECT 'anybody', zone_id, 'disclose', 'none', 1, 0 FROM zone LIMIT 1"),
    "K23": _sql("INSERT INTO request VALUES ('x', 'x', 'access', 0, 'open', 0, 1, NULL, 9999999999)"),
    "K25": _sql("INSERT INTO hourly_count VALUES (0, 'face', 'denied', 1, 9999999999)"),
    "K26": _sql(*_person("given", "purpose_id"),
                "INSERT INTO ruling VALUES ('x', 'stop', 'person', 'x', 'death', 0, NULL, NULL, 9999999999)"),
    "K27": _void_terms,
    "K31": _sql("ALTER TABLE person ADD COLUMN photo BLOB"),
    "K32": _sql(*_person("given", "purpose_id"), "UPDATE gate SET state = 'closed', closed_by = 'sunset'"),
    "K34": _sql("INSERT INTO ruling VALUES ('x', 'stop', 'controller', '', 'order', 9999999998, NULL, NULL, "
                "9999999999)"),
    "K40": _sql("DELETE FROM event WHERE event_id = (SELECT max(event_id) FROM event)"),
    "K41": _sql(*(f"INSERT INTO lane_wait SELECT {_NOW} / 86400, zone_id, '{lane}', {seconds}, "  # noqa: S608  # as above
                  "20, 9999999999 FROM zone" for lane, seconds in (("face", 5), ("pass", 600)))),
    "K42": _sql(*_person("given", "purpose_id")),
}
"""What breaks each in the copy's store."""

FILES: dict[str, Callable[[Path], None]] = {
    "K03": lambda copy: (copy / SIGNING / "receipt.key").unlink(),
    "K33": lambda copy: durable.write(copy / settings.FILE, (copy / settings.FILE).read_bytes().replace(
        b'regime = "', b'regime = "x')),
}
"""What breaks each in the copy's files."""


def _nothing(*_given: Any, **_more: Any) -> Any:
    """Refuse nothing: in the place of what does."""
    return Threshold(as_score(0.0), "", cast("Any", None))


PROGRAM: dict[str, tuple[Any, str]] = {
    "K09": (Frame, "wipe"),
    "K11": (acts, "act_from_channel"),
    "K13": (ConsentGate, "require_pressed"),
    "K29": (Venue, "threshold"),
    "K30": (face_quality, "require_fit"),
    "K35": (passes, "issue_plain"),
    "K37": (PermitBook, "spend"),
}
"""What is kept by the program's shape: in this one process, and only while the copy is looked at, the part that keeps
it does nothing. A pass that asks nobody to wait stands for K35."""

ALL = sorted({*BREAKS, *FILES, *PROGRAM})


@contextmanager
def broken(folder: Path, control: str) -> Iterator[Path]:
    """Give a copy of a venue in which one control is broken; it is gone afterwards.

    Raises BadInput(control-unbroken) for a control whose breaking is not built, StoreFault for a folder that is none.
    """
    if control not in ALL:
        raise BadInput("control-unbroken", f"These can be broken: {', '.join(ALL)}.")
    with _copy(folder) as copy:
        if control in FILES:
            FILES[control](copy)
        if control in BREAKS:
            engine = engines.open_engine(copy / DATA)
            with engines.unguarded(engine) as connection:
                BREAKS[control](connection)
            engine.dispose()
        with _put_out(control):
            yield copy


@contextmanager
def _put_out(control: str) -> Iterator[None]:
    if control not in PROGRAM:
        yield
        return
    owner, name = PROGRAM[control]
    whole = getattr(owner, name)
    setattr(owner, name, _asks_at_once if control == "K35" else _nothing)
    try:
        yield
    finally:
        setattr(owner, name, whole)


def _asks_at_once(venue: Venue, ticket: Ticket, now: Instant) -> str:
    return passes.sign_plain(venue, ticket, now, now)


@contextmanager
def _copy(folder: Path) -> Iterator[Path]:
    settings.load(folder)
    with tempfile.TemporaryDirectory(prefix="countenance-") as scratch:
        copy = Path(scratch) / "venue"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(LOCK))
        (copy / LOCK).touch(mode=0o600)
        yield copy
