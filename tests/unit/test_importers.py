"""Importers take names, never a picture; every row is judged, and no row can harm another."""

from __future__ import annotations

import builtins
import csv
import io
import json
import os
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from countenance.access import me_codes
from countenance.cli.imports import invitations_csv
from countenance.errors import BadInput
from countenance.flows import awaiting
from countenance.flows.venue import Venue
from countenance.integrations.importers import compreface, folder, rows, table
from support.venue import count, enrolled, state_of


def names(venue: Venue) -> list[str]:
    return [one.reference for one in awaiting.everybody(venue)]


def test_every_row_is_judged_and_none_stops_another(venue: Venue, tmp_path: Path) -> None:
    enrolled(venue, "ben")
    file = tmp_path / "people.csv"
    lines = ["person_ref,language,photo", "ada,zh,x", ",en,", "a\x07b,en,", "ben,en,", "ada,en,", "cem,english,", "dan",
             "x" * 65 + ",en,", '"eve\nmallory",en,', "=cmd(),,", "", "fay,en,a,b", '"' + "y" * 10_000_000 + '",en,']
    file.write_bytes(("\ufeff" + "\n".join(lines) + "\n").encode() + b"\xff\xfe,en,\ngil,,\n")
    done = rows.bring_in(venue, table.rows(file), "csv")
    assert Counter(one.outcome for one in done.rows) == Counter({
        "row-taken": 3, "row-reference-missing": 1, "row-reference-text": 4, "row-known": 1, "row-reference-twice": 1,
        "row-language": 1, "row-malformed": 3})
    assert (done.added, done.without_ticket) == (3, 2)
    assert names(venue) == ["=cmd()", "ada", "ben", "gil"]
    again = rows.bring_in(venue, table.rows(file), "csv")
    assert again.added == 0 and Counter(one.outcome for one in again.rows)["row-known"] == 4


def test_a_dry_run_changes_nothing(venue: Venue, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("person_ref\nada\nben\n")
    before = state_of(folder)
    told = rows.bring_in(venue, table.rows(tmp_path / "people.csv"), "csv", dry_run=True, invite=True)
    assert (told.added, told.invitations) == (2, [])
    assert state_of(folder) == before
    done = rows.bring_in(venue, table.rows(tmp_path / "people.csv"), "csv")
    assert [one.outcome for one in done.rows] == [one.outcome for one in told.rows]
    assert count(folder, "person") == 2


@pytest.mark.promise(3)
def test_no_picture_is_opened_and_no_link_followed(venue: Venue, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "faces"
    for name in ("Alice", "Bob", ".git", "__MACOSX", "A\u202eecila"):
        (home / name).mkdir(parents=True)
        (home / name / "1.jpg").write_bytes(b"unreadable")
        (home / name / "1.jpg").chmod(0)
    (home / "loose.jpg").write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "Link").symlink_to(outside, target_is_directory=True)
    with zipfile.ZipFile(home / "bomb.zip", "w") as bomb:
        bomb.writestr("Carol/1.jpg", bytes(1_000_000))
    touched: list[str] = []
    real_open, real_scan, real_os = builtins.open, os.scandir, os.open
    monkeypatch.setattr(builtins, "open", lambda f, *a, **k: touched.append(str(f)) or real_open(f, *a, **k))
    monkeypatch.setattr(io, "open", lambda f, *a, **k: touched.append(str(f)) or real_open(f, *a, **k))
    monkeypatch.setattr(os, "open", lambda f, *a, **k: touched.append(str(f)) or real_os(f, *a, **k))
    monkeypatch.setattr(os, "scandir", lambda f=".": touched.append(str(f)) or real_scan(f))
    found = list(folder.rows(home))
    assert touched == [str(home)]  # listed, and nothing inside it was
    done = rows.bring_in(venue, iter(found), "folder")
    monkeypatch.undo()
    assert not [path for path in touched[1:] if path.startswith(str(home))]
    assert names(venue) == ["Alice", "Bob"]
    assert Counter(one.outcome for one in done.rows) == Counter({
        "row-taken": 2, "row-hidden": 2, "row-no-folder": 2, "row-link": 1, "row-reference-text": 1})
    for one in home.glob("*/1.jpg"):
        one.chmod(0o600)


def test_only_names_are_taken_from_a_compreface_export(venue: Venue, tmp_path: Path) -> None:
    file = tmp_path / "faces.json"
    faces = [{"image_id": "1", "subject": "ada", "embedding": [0.1234567] * 128}, {"subject": "ada", "img": "AAAA"},
             {"subject": 7}, {"subject": "ben"}, "cem", 5]
    file.write_text(json.dumps({"faces": faces}))
    found = compreface.Names()
    parsed = found.parse(file.read_bytes())
    assert "0.1234567" not in repr(parsed) and "AAAA" not in repr(parsed)
    found = compreface.Names()
    done = rows.bring_in(venue, compreface.from_file(file, found), "compreface")
    assert names(venue) == ["ada", "ben", "cem"]
    assert found.ignored == ("embedding", "img")
    assert Counter(one.outcome for one in done.rows) == Counter({"row-taken": 3, "row-malformed": 2})


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b'{"faces": 5}', b"\xff", b"PK\x03\x04", b"null"])
def test_what_is_no_list_of_faces(venue: Venue, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "faces.json").write_bytes(data)
    with pytest.raises(BadInput, match="CompreFace"):
        rows.bring_in(venue, compreface.from_file(tmp_path / "faces.json", compreface.Names()), "compreface")
    assert names(venue) == []


class _Server(BaseHTTPRequestHandler):
    pages: dict[int, tuple[int, bytes]]
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:  # the name that the library calls
        type(self).asked.append((self.path, self.headers.get("x-api-key")))
        page = int(self.path.split("page=")[1].split("&")[0])
        status, body = self.pages.get(page, self.pages[-1])
        self.send_response(status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Server]]]:
    class Handler(_Server):
        """Made anew for each test."""

    Handler.pages, Handler.asked = {}, []
    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", Handler
        listening.shutdown()
        thread.join(5)


def _page(*subjects: str, total: int) -> tuple[int, bytes]:
    faces = [{"image_id": "x", "subject": subject} for subject in subjects]
    return 200, json.dumps({"faces": faces, "total_pages": total}).encode()


def test_a_running_server_is_asked_page_by_page(venue: Venue, server: tuple[str, type[_Server]]) -> None:
    address, handler = server
    handler.pages = {0: _page("ada", "ada", "ben", total=2), 1: _page("cem", "ada", total=2), -1: (500, b"")}
    rows.bring_in(venue, compreface.from_server(address, "secret", compreface.Names()), "compreface")
    assert names(venue) == ["ada", "ben", "cem"]
    assert [path.split("?")[0] for path, _ in handler.asked] == ["/api/v1/recognition/faces"] * 2
    assert {key for _, key in handler.asked} == {"secret"}


@pytest.mark.parametrize(("answer", "code"), [
    ((302, b""), "import-refused"), ((401, b"{}"), "import-refused"), ((200, b"<html>"), "import-malformed"),
    ((200, b'{"faces": ["' + b"x" * 5_000_000 + b'"]}'), "import-malformed")])
def test_a_server_that_lies(venue: Venue, server: tuple[str, type[_Server]], answer: tuple[int, bytes],
                            code: str) -> None:
    address, handler = server
    handler.pages = {0: _page("ada", total=2), -1: answer}
    with pytest.raises(BadInput) as refused:
        rows.bring_in(venue, compreface.from_server(address, "secret", compreface.Names()), "compreface")
    assert refused.value.code == code
    assert names(venue) == []  # all or nothing of what it said
    assert len(handler.asked) == 2


def test_a_server_without_an_end_is_left(venue: Venue, server: tuple[str, type[_Server]],
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    address, handler = server
    handler.pages = {-1: _page("ada", total=10**9)}
    monkeypatch.setattr(compreface, "MOST_ROWS", 5)
    with pytest.raises(BadInput, match="more than"):
        rows.bring_in(venue, compreface.from_server(address, "k", compreface.Names()), "compreface")
    assert len(handler.asked) == 6


@pytest.mark.parametrize(("url", "code"), [("file:///etc/passwd", "import-url"), ("ftp://x", "import-url"),
                                           ("http://", "import-url"), ("http://127.0.0.1:1", "import-silent")])
def test_addresses_that_are_none(url: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        list(compreface.from_server(url, "k", compreface.Names()))
    assert refused.value.code == code


def test_too_many_rows_bring_in_nobody(venue: Venue, folder: Path) -> None:
    before = state_of(folder)
    with pytest.raises(BadInput, match="1,000,000"):
        rows.bring_in(venue, (rows.Row("", "ada") for _ in range(1_000_001)), "csv")
    assert state_of(folder) == before


def test_files_that_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "no.csv").write_text("name\nada\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "no.csv")
    with (tmp_path / "large.csv").open("wb") as large:
        large.truncate(rows.LARGEST + 1)
    os.mkfifo(tmp_path / "pipe.csv")
    for name, code in (("no.csv", "import-columns"), ("link.csv", "file-unreadable"), ("large.csv", "file-too-large"),
                       ("pipe.csv", "file-unreadable"), ("absent.csv", "file-unreadable")):
        with pytest.raises(BadInput) as refused:
            list(table.rows(tmp_path / name))
        assert refused.value.code == code
    with pytest.raises(BadInput, match="folder"):
        list(folder.rows(tmp_path / "no.csv"))


def test_invitations_lead_to_their_people_and_to_no_formula(venue: Venue) -> None:
    enrolled(venue, "ben")
    awaiting.add(venue, "cem", "en")
    done = rows.bring_in(venue, [rows.Row(n, n) for n in ("ada", "ben", "cem", '=HYPERLINK("x")', "@dan", "-1")], "csv",
                         invite=True)
    assert sorted(name for name, _ in done.invitations) == ["-1", '=HYPERLINK("x")', "@dan", "ada", "cem"]
    by_name = {one.reference: one.person for one in awaiting.everybody(venue)}
    with venue.store.read() as unit:
        assert [me_codes.invited(unit, code) for _, code in done.invitations] == [
            by_name[name] for name, _ in done.invitations]
    written = list(csv.reader(io.StringIO(invitations_csv(done.invitations))))
    assert written[0] == ["person_ref", "code"]
    assert not [cell for line in written for cell in line if cell[0] in "=+-@"]
    assert {line[0] for line in written[1:]} == {"ada", "cem", "'=HYPERLINK(\"x\")", "'@dan", "'-1"}


def test_the_command_writes_invitations_and_a_dry_run_none(folder: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from countenance.cli.imports import app

    (tmp_path / "people.csv").write_text("person_ref\nada\n,\n")
    said = ["csv", str(tmp_path / "people.csv"), "--venue", str(folder), "--json"]
    dry = CliRunner().invoke(app, [*said, "--dry-run"])
    assert json.loads(dry.stdout)["outcome"] == "would-import" and count(folder, "person") == 0
    done = CliRunner().invoke(app, [*said, "--invitations", str(tmp_path / "send.csv")])
    told = json.loads(done.stdout)
    assert (told["added"], told["invitations"], told["left_out"]) == (
        1, 1, [{"place": "line 3", "reason": "row-malformed"}])
    assert len((tmp_path / "send.csv").read_text().splitlines()) == 2
    assert (tmp_path / "send.csv").stat().st_mode & 0o777 == 0o600
    again = CliRunner().invoke(app, [*said, "--invitations", str(tmp_path / "send.csv")])
    assert isinstance(again.exception, BadInput) and again.exception.code == "file-exists"
