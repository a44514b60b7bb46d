"""Reads the body of a request with a picture, in memory only (promise 3).

A framework's own upload type writes a file as soon as a picture is larger than a limit of its own: nothing here uses
it, and a route that takes a picture declares the request alone. A body that ends early, repeats a part or says
nothing for long is refused, and what was read of it is overwritten.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NoReturn

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from countenance.errors import BadInput

LARGEST_PICTURE = 16 * 1024 * 1024
LARGEST_FIELD = 8 * 1024
MOST_PARTS = 16
BODY_S = 20.0
"""Bytes, bytes, parts; and seconds in which a body is there as a whole."""

PICTURE_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "application/octet-stream"})
PICTURE_PARTS = frozenset({"image", "file"})
"""What a part with a picture may be called; the second is what CompreFace's clients send."""

_FORM = "multipart/form-data"
_AROUND = 64 * 1024  # boundaries and headers of a form's parts


@dataclass
class Upload:
    """What came in one body: at most one picture, as it was sent, and short texts by name."""

    picture: bytearray | None = None
    fields: dict[str, str] = field(default_factory=dict)

    def wipe(self) -> None:
        """Overwrite the picture with zeros. It keeps its length, so that views of it turn to zeros too."""
        if self.picture is not None:
            self.picture[:] = bytes(len(self.picture))


async def read_picture(request: Request, limit: int = LARGEST_PICTURE, within: float = BODY_S) -> Upload:
    """Return the body of a request: a picture as it stands, or a form with one part `image` or `file` and texts.

    `limit`: bytes of the picture, lower is stricter; `within`: seconds for the whole body. An empty body, or an empty
    part, is no picture. Raises BadInput: body-type, body-too-large (before anything is read where the length is
    said), body-malformed, body-cut, body-slow.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    name = kind.decode("latin-1")
    if request.headers.get("content-encoding", "identity") != "identity":
        _wrong_type()
    whole = limit + (MOST_PARTS * LARGEST_FIELD + _AROUND if name == _FORM else 0)
    _said_length(request, whole)
    upload = Upload()
    try:
        boundary = options.get(b"boundary", b"")
        sink = _Form(upload, boundary, limit) if name == _FORM else _Raw(upload, name, limit)
        async with asyncio.timeout(within):
            await _pour(request, sink, whole)
        sink.end()
    except TimeoutError:
        upload.wipe()
        raise BadInput("body-slow", "The request took too long to arrive.") from None
    except ClientDisconnect:
        upload.wipe()
        _cut()
    except FormParserError:
        upload.wipe()
        _malformed()
    except BaseException:
        upload.wipe()
        raise
    if not upload.picture:
        upload.picture = None
    return upload


def _said_length(request: Request, whole: int) -> None:
    said = request.headers.get("content-length")
    if said is None:
        return
    if not (said.isascii() and said.isdigit()):
        _malformed()
    if len(said.lstrip("0")) > len(str(whole)) or int(said) > whole:
        _too_large()


async def _pour(request: Request, sink: _Form | _Raw, whole: int) -> None:
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > whole:
            _too_large()
        if chunk:
            sink.write(chunk)


class _Raw:
    """A body that is the picture itself."""

    def __init__(self, upload: Upload, kind: str, limit: int) -> None:
        self._upload, self._kind, self._limit = upload, kind, limit

    def write(self, chunk: bytes) -> None:
        """Take more of the body."""
        if self._kind not in PICTURE_TYPES:
            _wrong_type()
        if self._upload.picture is None:
            self._upload.picture = bytearray()
        if len(self._upload.picture) + len(chunk) > self._limit:
            _too_large()
        self._upload.picture += chunk

    def end(self) -> None:
        """An empty body may be of any type, or none: a pass alone comes in a header."""


class _Form:
    """A body of parts. The parser gives pieces of them, and says where each ends."""

    def __init__(self, upload: Upload, boundary: bytes, limit: int) -> None:
        if not boundary:
            _malformed()
        self._upload, self._limit = upload, limit
        self._names: set[str] = set()
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[str, str] = {}
        self._text: bytearray | None = None  # of the part at hand; None while a picture is read
        self._name = ""
        self._inside = self._ended = False
        self._parser = MultipartParser(boundary, {
            "on_part_begin": self._begin, "on_header_field": self._on_field, "on_header_value": self._on_value,
            "on_header_end": self._on_header, "on_headers_finished": self._on_headers, "on_part_data": self._on_data,
            "on_part_end": self._end_part, "on_end": self._end_form,
        })

    def write(self, chunk: bytes) -> None:
        """Take more of the body; raises FormParserError."""
        self._parser.write(chunk)

    def end(self) -> None:
        """Raise BadInput(body-cut) unless the last boundary came: a part without its end is half a picture."""
        if self._inside or not self._ended:
            _cut()

    def _begin(self) -> None:
        if len(self._names) >= MOST_PARTS:
            _too_large()
        self._inside = True
        self._headers = {}

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        name = self._header.decode("latin-1").lower()
        if name in self._headers:
            _malformed()
        self._headers[name] = self._value.decode("latin-1")
        self._header, self._value = bytearray(), bytearray()

    def _on_headers(self) -> None:
        disposition, options = parse_options_header(self._headers.get("content-disposition", ""))
        name = options.get(b"name", b"").decode("latin-1")
        if disposition != b"form-data" or not name or name in self._names:
            _malformed()
        if self._headers.get("content-transfer-encoding", "binary").lower() not in {"binary", "8bit", "7bit"}:
            _wrong_type()
        self._names.add(name)
        self._name = name
        if name in PICTURE_PARTS:
            self._begin_picture()
        elif b"filename" in options:
            _malformed()
        else:
            self._text = bytearray()

    def _begin_picture(self) -> None:
        if self._upload.picture is not None:
            _malformed()
        kind = parse_options_header(self._headers.get("content-type", ""))[0].decode("latin-1")
        if kind and kind not in PICTURE_TYPES:
            _wrong_type()
        self._text, self._upload.picture = None, bytearray()

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        into, most = (self._upload.picture, self._limit) if self._text is None else (self._text, LARGEST_FIELD)
        if into is None or len(into) + end - start > most:
            _too_large()
        into += memoryview(data)[start:end]

    def _end_part(self) -> None:
        self._inside = False
        if self._text is None:
            return
        try:
            self._upload.fields[self._name] = self._text.decode("utf-8")
        except UnicodeDecodeError:
            _malformed()

    def _end_form(self) -> None:
        self._ended = True


def _too_large() -> NoReturn:
    raise BadInput("body-too-large", "This request is too large.")


def _wrong_type() -> NoReturn:
    raise BadInput("body-type", "A picture is sent as JPEG, PNG or WebP, or in a form's part named image or file.")


def _malformed() -> NoReturn:
    raise BadInput("body-malformed", "This request's body cannot be read as what it says it is.")


def _cut() -> NoReturn:
    raise BadInput("body-cut", "This request ended before all of it was there.")
