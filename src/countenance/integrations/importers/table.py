"""A CSV file with the columns person_ref and, if they are there, household and language; others are not looked at."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from countenance.errors import BadInput
from countenance.integrations.importers.rows import Row, require_file

REFERENCE, HOUSEHOLD, LANGUAGE = "person_ref", "household", "language"


def rows(path: Path) -> Iterator[Row]:
    """Yield a row for each line below the first. One that cannot be read is row-malformed; those after it are read.

    Raises BadInput(file-unreadable, file-too-large, import-columns).
    """
    require_file(path)
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            columns = _columns(reader)
            while (row := _next(reader, columns)) is not None:
                if row.place:
                    yield row
    except OSError:
        raise BadInput("file-unreadable", f"{path.name} cannot be read.") from None


def _columns(reader: Any) -> list[str]:
    try:
        columns = [name.strip() for name in next(reader, [])]
    except csv.Error:
        columns = []
    if columns.count(REFERENCE) != 1 or len(set(columns)) != len(columns):
        raise BadInput("import-columns", f"The first line names the columns, once each; {REFERENCE} is one of them.")
    return columns


def _next(reader: Any, columns: list[str]) -> Row | None:
    """Return the next row, one with an empty place for an empty line, or None at the end."""
    try:
        cells = next(reader, None)
    except csv.Error:  # a cell longer than the reader takes; it goes on with the next line
        return Row(f"line {reader.line_num}", "", fault="row-malformed")
    if cells is None:
        return None
    if not cells:
        return Row("", "")
    place = f"line {reader.line_num}"
    if len(cells) != len(columns):
        return Row(place, "", fault="row-malformed")
    said = dict(zip(columns, cells, strict=True))
    return Row(place, said[REFERENCE], said.get(LANGUAGE, ""), said.get(HOUSEHOLD, ""))
