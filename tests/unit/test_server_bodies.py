"""Bodies are read in memory, whole or not at all; what was read of a refused one is overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import Request

from countenance.errors import BadInput
from countenance.server import bodies
from countenance.server.bodies import Upload, read_picture

PICTURE = bytes(range(256)) * 40 + b"\r\n--edg\r\n--\r\n\r"
FORM = "multipart/form-data; boundary=edge"


def asked(chunks: Sequence[bytes], headers: dict[str, str], *, leaves: bool = False, stalls: bool = False) -> Request:
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        if left:
            chunk = left.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(left) or leaves or stalls}
        if stalls:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw, "query_string": b""}, receive)


def read(chunks: Sequence[bytes], kind: str = FORM, limit: int = 100_000, **more: Any) -> Upload:
    headers = {"content-type": kind} | more.pop("headers", {})
    within = more.pop("within", 5.0)
    return asyncio.run(read_picture(asked(chunks or [b""], headers, **more), limit, within))


def part(name: str, body: bytes, extra: str = "", head: str = "") -> bytes:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n{head}\r\n'.encode() + body + b"\r\n"


END = b"--edge--\r\n"
JPEG = "Content-Type: image/jpeg\r\n"
FILE = '; filename="a.jpg"'


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/webp", "application/octet-stream",
                                  "IMAGE/JPEG", "image/jpeg; charset=binary"])
def test_a_raw_picture_is_what_was_sent(kind: str) -> None:
    assert read([PICTURE[:7], b"", PICTURE[7:]], kind) == Upload(bytearray(PICTURE), {})


@pytest.mark.parametrize("size", [1, 2, 3, 17, 4096, 1_000_000])
@pytest.mark.parametrize("name", ["image", "file"])
def test_a_form_is_what_was_sent_however_it_is_cut_into_pieces(size: int, name: str) -> None:
    body = part("pass", "CNT1:Jürgen".encode()) + part(name, PICTURE, FILE) + part("press", b"1") + END
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    assert read(pieces) == Upload(bytearray(PICTURE), {"pass": "CNT1:Jürgen", "press": "1"})


@pytest.mark.parametrize(("chunks", "kind"), [
    ([b""], "image/jpeg"), ([b""], ""), ([part("pass", b"text") + END], FORM),
    ([part("image", b"", FILE) + END], FORM),
])
def test_no_picture_is_none(chunks: list[bytes], kind: str) -> None:
    assert read(chunks, kind).picture is None


@pytest.mark.parametrize(("kind", "headers"), [
    ("", {}), ("text/plain", {}), ("image/gif", {}), ("image/svg+xml", {}), ("application/json", {}),
    ("multipart/mixed; boundary=edge", {}), ("image/jpegx", {}), ("image/jpeg", {"content-encoding": "gzip"}),
    (FORM, {"content-encoding": "deflate"}),
])
def test_another_type_is_refused(kind: str, headers: dict[str, str]) -> None:
    with pytest.raises(BadInput) as refused:
        read([PICTURE], kind, headers=headers)
    assert refused.value.code == "body-type"


PLAIN = part("image", PICTURE, FILE, JPEG)
MALFORMED = {
    "no boundary": (PLAIN + END, "multipart/form-data"),
    "boundary too long": (PLAIN + END, "multipart/form-data; boundary=" + "e" * 300),
    "does not begin with the boundary": (b"x" + PLAIN + END, FORM),
    "two pictures": (PLAIN + part("file", PICTURE, FILE) + END, FORM),
    "the same twice": (PLAIN + PLAIN + END, FORM),
    "the same text twice": (part("press", b"1") + part("press", b"0") + END, FORM),
    "no name": (part("", b"1") + END, FORM),
    "a file of another name": (part("other", PICTURE, FILE) + END, FORM),
    "no disposition": (b"--edge\r\nX: 1\r\n\r\nbody\r\n" + END, FORM),
    "another disposition": (b'--edge\r\nContent-Disposition: attachment; name="image"\r\n\r\nbody\r\n' + END, FORM),
    "two dispositions": (part("image", PICTURE, FILE, 'Content-Disposition: form-data; name="pass"\r\n') + END, FORM),
    "text that is no text": (part("pass", b"\xff\xfe") + END, FORM),
    "a header without a colon": (part("image", b"x", "", "nonsense\r\n") + END, FORM),
    "a header that does not end": (part("image", b"x", "", "A: " + "b" * 9000 + "\r\n") + END, FORM),
    "many headers": (part("image", b"x", "", "".join(f"A{n}: b\r\n" for n in range(50))) + END, FORM),
}


@pytest.mark.parametrize("wrong", MALFORMED)
@pytest.mark.parametrize("size", [5, 1_000_000])
def test_a_malformed_form_is_refused(wrong: str, size: int) -> None:
    body, kind = MALFORMED[wrong]
    with pytest.raises(BadInput) as refused:
        read([body[at:at + size] for at in range(0, len(body), size)], kind)
    assert refused.value.code == "body-malformed"


def test_a_part_of_another_type_or_encoding_is_refused() -> None:
    for head in ("Content-Type: text/html\r\n", "Content-Transfer-Encoding: base64\r\n"):
        with pytest.raises(BadInput) as refused:
            read([part("image", PICTURE, FILE, head) + END])
        assert refused.value.code == "body-type"


WHOLE = part("press", b"1") + PLAIN + END


@pytest.mark.parametrize("end", [10, 50, 80, 200, len(WHOLE) - len(END) - 3, len(WHOLE) - len(END), len(WHOLE) - 4])
def test_a_cut_form_is_refused(end: int) -> None:
    for leaves in (True, False):  # the connection goes, or the sender says that this was all
        with pytest.raises(BadInput) as refused:
            read([WHOLE[:end]], leaves=leaves)
        assert refused.value.code == "body-cut"
    assert read([WHOLE]).picture == PICTURE


def test_a_raw_picture_whose_sender_left_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        read([PICTURE], "image/jpeg", leaves=True)
    assert refused.value.code == "body-cut"


@pytest.mark.parametrize("kind", ["image/jpeg", FORM])
def test_a_slow_body_is_refused(kind: str) -> None:
    with pytest.raises(BadInput) as refused:
        read([PLAIN], kind, stalls=True, within=0.05)
    assert refused.value.code == "body-slow"


@pytest.mark.parametrize("body", [PLAIN + END, None])
def test_a_picture_at_the_limit_passes_and_one_byte_more_is_too_large(body: bytes | None) -> None:
    kind = FORM if body else "image/jpeg"
    sent = body or PICTURE
    assert read([sent], kind, limit=len(PICTURE)).picture == PICTURE
    with pytest.raises(BadInput) as refused:
        read([sent], kind, limit=len(PICTURE) - 1)
    assert refused.value.code == "body-too-large"


def test_long_texts_and_many_parts_are_too_large() -> None:
    assert len(read([part("pass", b"a" * bodies.LARGEST_FIELD) + END]).fields["pass"]) == bodies.LARGEST_FIELD
    many = b"".join(part(f"n{n}", b"") for n in range(bodies.MOST_PARTS))
    assert len(read([many + END]).fields) == bodies.MOST_PARTS
    for body in (part("pass", b"a" * (bodies.LARGEST_FIELD + 1)) + END, many + part("last", b"") + END):
        with pytest.raises(BadInput) as refused:
            read([body])
        assert refused.value.code == "body-too-large"


def test_a_said_length_that_is_too_large_is_refused_before_a_byte_is_read() -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("read")

    for length, code in (("100001", "body-too-large"), ("9" * 5000, "body-too-large"), ("-1", "body-malformed"),
                         ("1e3", "body-malformed"), ("²", "body-malformed")):
        request = asked([b""], {"content-type": "image/jpeg", "content-length": length})
        request._receive = never  # type: ignore[assignment]  # a body that must not be asked for
        with pytest.raises(BadInput) as refused:
            asyncio.run(read_picture(request, 100_000))
        assert refused.value.code == code


def test_what_was_read_of_a_refused_body_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Upload] = []

    class Watched(Upload):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(bodies, "Upload", Watched)
    for chunks, kind, more in (
        ([PICTURE], "image/jpeg", {"leaves": True}), ([PICTURE], "image/jpeg", {"stalls": True, "within": 0.05}),
        ([PLAIN], FORM, {"leaves": True}), ([PLAIN + PLAIN], FORM, {}), ([PLAIN[:-1]], FORM, {}),
        ([PICTURE, PICTURE], "image/jpeg", {"limit": len(PICTURE)}),
    ):
        with pytest.raises(BadInput):
            read(chunks, kind, **more)  # type: ignore[arg-type]  # of a table
        held = made[-1].picture
        assert held and len(held) > 1000 and not any(held)


def test_wipe_zeroes_the_bytes_that_others_look_at() -> None:
    upload = read([PICTURE], "image/jpeg")
    assert upload.picture is not None
    view = memoryview(upload.picture)
    assert any(view)
    upload.wipe()
    assert len(view) == len(PICTURE) and not any(view)
    Upload().wipe()
