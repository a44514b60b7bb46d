"""CompreFace: the names of its subjects, from a running server or from a saved answer of its list of faces.

Only names are taken. Embeddings and pictures that a file holds are passed over as they are parsed: no value of theirs
is kept, and that they were there is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from countenance.errors import BadInput
from countenance.integrations.importers.rows import LARGEST, MOST_ROWS, Row, require_file

PAGE = 1_000
"""Faces that are asked for at once."""

TIMEOUT_SECONDS = 20.0
_LARGEST_PAGE = 4 << 20

NEVER_READ = frozenset({"embedding", "embeddings", "image", "images", "img", "file", "base64", "data"})
"""Keys whose values are not taken, whatever they hold."""


class Names:
    """Rows of subjects, each name once, as CompreFace has a row for every face. `ignored`: keys that were not read."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._ignored: set[str] = set()
        self._number = 0

    @property
    def ignored(self) -> tuple[str, ...]:
        """Return which keys of `NEVER_READ` were there."""
        return tuple(sorted(self._ignored))

    def parse(self, data: bytes) -> Any:
        """Read JSON without embeddings and pictures. Raises BadInput(import-malformed)."""
        try:
            return json.loads(data, object_pairs_hook=self._without, parse_float=_nothing)
        except (ValueError, RecursionError):
            raise BadInput("import-malformed", "This is not a list of faces as CompreFace writes it.") from None

    def _without(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        for key in NEVER_READ & set(found):
            self._ignored.add(key)
            del found[key]
        return found

    def rows(self, answer: Any) -> Iterator[Row]:
        """Yield a row for each new subject of an answer. Raises BadInput(import-malformed)."""
        listed = answer.get("faces", answer.get("subjects")) if isinstance(answer, dict) else answer
        if not isinstance(listed, list):
            raise BadInput("import-malformed", "This is not a list of faces as CompreFace writes it.")
        for face in listed:
            self._number += 1
            name = face.get("subject") if isinstance(face, dict) else face
            if not isinstance(name, str):
                yield Row(f"face {self._number}", "", fault="row-malformed")
            elif name not in self._seen:
                self._seen.add(name)
                yield Row(f"face {self._number}", name)


def from_file(path: Path, names: Names) -> Iterator[Row]:
    """Yield the subjects of a saved answer. Raises BadInput(file-unreadable, file-too-large, import-malformed)."""
    require_file(path)
    yield from names.rows(names.parse(path.read_bytes()))


def from_server(url: str, key: str, names: Names) -> Iterator[Row]:
    """Ask a running CompreFace page by page, following no redirect. No picture is asked for.

    Raises BadInput: import-url, import-silent (it does not answer), import-refused (a wrong key, say), import-endless,
    import-malformed.
    """
    import httpx

    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise BadInput("import-url", "The address is that of the server, such as http://127.0.0.1:8000.")
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False,
                      headers={"x-api-key": key}) as client:
        page = faces = 0
        while True:
            answer = names.parse(_page(client, f"{url.rstrip('/')}/api/v1/recognition/faces", page))
            listed = answer.get("faces", []) if isinstance(answer, dict) else answer
            yield from names.rows(answer)
            page, faces = page + 1, faces + (len(listed) if isinstance(listed, list) else 0)
            total = answer.get("total_pages", 1) if isinstance(answer, dict) else 1
            if not listed or not isinstance(total, int) or page >= total:
                return
            if faces > MOST_ROWS or page > MOST_ROWS:
                raise BadInput("import-endless", f"This server names more than {MOST_ROWS:,} faces.")


def _page(client: Any, address: str, page: int) -> bytes:
    import httpx

    body = bytearray()
    try:
        with client.stream("GET", address, params={"page": page, "size": PAGE}) as answer:
            if answer.status_code != 200:
                raise BadInput("import-refused", f"The server answered {answer.status_code}; is the key right?")
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > min(_LARGEST_PAGE, LARGEST):
                    raise BadInput("import-malformed", "This is not a list of faces as CompreFace writes it.")
    except httpx.HTTPError:
        raise BadInput("import-silent", "The server does not answer there.") from None
    return bytes(body)


def _nothing(_digits: str) -> None:
    return None
