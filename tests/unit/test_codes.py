"""QR codes: what is written, which size is chosen, and what is refused when a picture comes from outside."""

from __future__ import annotations

import io
import random
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import segno
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from countenance.errors import BadInput
from countenance.formats import passes
from countenance.integrations import codes
from countenance.vision import image

SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
TEXT = "CN1:6BF+70790T9WJWG.FKY*4GO0.O1CV2 ETQ*0"
SVG = "{http://www.w3.org/2000/svg}"


def some(length: int, seed: int = 0) -> str:
    return "CN1:" + "".join(random.Random(seed).choices(SIGNS, k=length - 4))  # noqa: S311  # a test's own text


def refused(call: Any, *arguments: Any) -> str:
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    assert caught.value.sentence.endswith(".")
    return caught.value.code


def grey_of(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def saved(pixels: NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def drawn(svg: str) -> NDArray[np.bool_]:
    """Draw the picture's path, a point a module, by the four commands that are allowed in it."""
    root = ElementTree.fromstring(svg)  # noqa: S314  # our own picture
    side = int(root.attrib["viewBox"].split()[2])
    (path,) = root.iter(f"{SVG}path")
    found = np.zeros((side, side), bool)
    assert re.fullmatch(r"(M\d+ \d+h\d+v1h-\d+z)+", path.attrib["d"])
    for x, y, right, left in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path.attrib["d"]):
        assert right == left
        assert not found[int(y), int(x) : int(x) + int(right)].any()
        found[int(y), int(x) : int(x) + int(right)] = True
    return found


# -- written

@pytest.mark.parametrize("length", [5, 350, 640, 1170])
def test_the_picture_in_svg_is_the_one_in_png(length: int) -> None:
    text = some(length)
    by_path, by_segno = drawn(codes.svg(text)), grey_of(codes.png(text, 1)) == 0
    assert (by_path == by_segno).all()
    assert (by_path[4:-4, 4:-4] == codes.modules(text)).all()
    assert not by_path[:4].any() and not by_path[-4:].any()
    assert not by_path[:, :4].any() and not by_path[:, -4:].any()


def test_the_svg_is_crisp_black_on_white_sized_and_named() -> None:
    root = ElementTree.fromstring(codes.svg(TEXT))  # noqa: S314  # our own picture
    assert root.attrib["shape-rendering"] == "crispEdges"
    assert root.attrib["role"] == "img"
    assert root[0].tag == f"{SVG}title"
    assert [node.attrib["fill"] for node in root[1:]] == ["#fff", "#000"]
    side = int(root.attrib["viewBox"].split()[2])
    assert side == len(codes.modules(TEXT)) + 8
    assert root.attrib["width"] == root.attrib["height"] == f"{side / 2}mm"


@pytest.mark.parametrize("length", [350, 640, 1170])
def test_only_alphanumeric_mode_makes_it_this_small(length: int) -> None:
    text = some(length)
    assert len(codes.modules(text)) < len(segno.make_qr(text.lower(), error="l").matrix)
    (found,) = zxingcpp.read_barcodes(grey_of(codes.png(text, 4)))
    assert found.format == zxingcpp.BarcodeFormat.QRCode
    assert found.bytes == text.encode()


@pytest.mark.parametrize(("length", "levels"), [(350, "MQH"), (640, "MQH"), (1134, "MQH"), (1135, "L"), (1170, "L")])
def test_correction_is_m_while_a_bank_card_holds_it_and_l_from_then_on(length: int, levels: str) -> None:
    text = some(length)
    (found,) = zxingcpp.read_barcodes(grey_of(codes.png(text, 4)))
    assert found.ec_level in levels
    with_m = len(segno.make_qr(text, error="m", boost_error=False).matrix) + 8
    assert (46 / with_m >= 0.4) == (levels != "L")


def test_a_pass_of_any_pack_stays_above_the_smallest_module() -> None:
    for length in (350, 640, 1170):
        assert 46 / (len(codes.modules(some(length))) + 8) >= 0.43


@settings(max_examples=25, deadline=None)
@given(st.text(SIGNS, min_size=1, max_size=1200), st.integers(2, 6))
def test_what_was_written_is_read(text: str, module_px: int) -> None:
    assert codes.read(codes.png(text, module_px)) == text


def test_the_longest_is_written_and_one_more_is_not() -> None:
    assert codes.read(codes.png(some(4296), 4)) == some(4296)
    assert refused(codes.modules, some(4297)) == "code-too-long"
    assert refused(codes.svg, some(9000)) == "code-too-long"
    assert refused(codes.png, some(4297), 3) == "code-too-long"


@pytest.mark.parametrize("text", ["", "cn1:AB", "CN1:ab", "CN1:Ä", "CN1:A\n", "面部", "CN1:A_B", "\uff21"])
def test_other_characters_are_not_written(text: str) -> None:
    assert refused(codes.modules, text) == "code-characters"


@pytest.mark.parametrize("module_px", [0, -1, 33, 10_000])
def test_a_module_is_1_to_32_pixels(module_px: int) -> None:
    assert refused(codes.png, TEXT, module_px) == "code-size"


# -- read

@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP"])
@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_three_kinds_are_read_any_way_up(kind: str, quarter: int) -> None:
    assert codes.read(saved(np.rot90(grey_of(codes.png(TEXT, 4)), quarter), kind)) == TEXT


def test_white_on_black_is_read() -> None:
    assert codes.read(saved(255 - grey_of(codes.png(TEXT, 4)))) == TEXT


def beside(*pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    tallest = max(len(p) for p in pictures)
    return np.hstack([np.pad(p, ((0, tallest - len(p)), (0, 20)), constant_values=255) for p in pictures])


def test_the_same_text_twice_is_one() -> None:
    assert codes.read(saved(beside(grey_of(codes.png(TEXT, 4)), grey_of(codes.png(TEXT, 6))))) == TEXT


def test_different_texts_are_refused_even_if_only_one_is_a_pass() -> None:
    ours = grey_of(codes.png(TEXT, 4))
    for other in (codes.png(TEXT + "A", 4), codes.png("HTTPS://EXAMPLE.ORG/", 8)):
        assert refused(codes.read, saved(beside(ours, grey_of(other)))) == "code-several"


def plain_code(content: str | bytes, **options: Any) -> bytes:
    stream = io.BytesIO()
    segno.make(content, **options).save(stream, kind="png", scale=5, border=4)
    return stream.getvalue()


def test_another_text_is_read_and_refused_as_a_pass() -> None:
    url = codes.read(plain_code("https://example.org/a?b=c", micro=False))
    assert url == "https://example.org/a?b=c"
    with pytest.raises(BadInput) as caught:
        passes.read(url, Ed25519PrivateKey.generate().public_key())
    assert caught.value.code == "pass-malformed"


@pytest.mark.parametrize("content", ["Zoë", "面部", b"\x80\x81", b"CN1:\0", "CN1:AB\x1b[2J", "BEGIN:VCARD\nEND:VCARD"])
def test_a_text_that_is_not_printable_ascii(content: str | bytes) -> None:
    assert refused(codes.read, plain_code(content, micro=False)) == "code-unreadable"


@pytest.mark.parametrize("name", ["Aztec", "DataMatrix", "PDF417", "Code128"])
def test_other_kinds_of_code_are_none(name: str) -> None:
    made = zxingcpp.create_barcode("CN1:ABC", getattr(zxingcpp.BarcodeFormat, name))
    pixels = np.array(made.to_image(scale=4))
    assert zxingcpp.read_barcodes(pixels)  # the picture is sound
    assert refused(codes.read, saved(pixels)) == "code-missing"


def test_a_micro_code_is_none() -> None:
    assert refused(codes.read, plain_code("12345", micro=True)) == "code-missing"


def test_a_code_cut_off_is_none() -> None:
    whole = grey_of(codes.png(some(640), 4))
    for share in (0.5, 0.8, 0.9):
        keep = int(len(whole) * share)
        assert refused(codes.read, saved(whole[:keep])) == "code-missing"
        assert refused(codes.read, saved(np.ascontiguousarray(whole[:, :keep]))) == "code-missing"


def test_a_code_painted_over_is_none_and_a_scratch_is_mended() -> None:
    whole = grey_of(codes.png(some(640), 4))
    scratched, painted = whole.copy(), whole.copy()
    cv2.line(scratched, (60, 150), (300, 210), 255, 3)
    painted[120:260, 120:260] = 128
    assert codes.read(saved(scratched)) == some(640)
    assert refused(codes.read, saved(painted)) == "code-missing"


def png_head(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("picture", "code"), [
    (b"", "image-unreadable"),
    (TEXT.encode(), "image-unreadable"),
    (codes.svg(TEXT).encode(), "image-unreadable"),
    (codes.png(TEXT, 4)[:-30], "image-truncated"),
    (codes.png(TEXT, 4)[:200], "image-truncated"),
    (codes.png("CN1:A", 1), "image-too-small"),
    (png_head(40_000, 40_000), "image-too-large"),
    (png_head(2**31 - 1, 2**31 - 1), "image-too-large"),
    (png_head(500, 500), "image-unreadable"),
])
def test_hostile_pictures_are_refused_before_any_search(
    picture: bytes, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(zxingcpp, "read_barcodes", never)
    assert refused(codes.read, picture) == code


def spied(monkeypatch: pytest.MonkeyPatch) -> tuple[list[image.Frame], list[NDArray[np.uint8]]]:
    """Keep each frame, and the pixels that are searched: the grey ones first, then each attempt's."""
    frames: list[image.Frame] = []
    searched: list[NDArray[np.uint8]] = []
    decode, grey, search = image.decode, codes._grey, zxingcpp.read_barcodes

    def keep_frame(data: bytes) -> image.Frame:
        frames.append(decode(data))
        return frames[-1]

    def keep_search(pixels: NDArray[np.uint8], **options: Any) -> Any:
        assert pixels.any()
        searched.append(pixels)
        return search(pixels, **options)

    def keep_grey(frame: image.Frame) -> NDArray[np.uint8]:
        searched.append(grey(frame))
        return searched[-1]

    monkeypatch.setattr(image, "decode", keep_frame)
    monkeypatch.setattr(codes, "_grey", keep_grey)
    monkeypatch.setattr(zxingcpp, "read_barcodes", keep_search)
    return frames, searched


@pytest.mark.promise(3)
@pytest.mark.parametrize("with_code", [True, False])
def test_the_pixels_are_wiped_whether_a_code_is_found_or_not(
    with_code: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, searched = spied(monkeypatch)
    noise = np.random.default_rng(1).integers(1, 255, (300, 400), np.uint8)
    if with_code:
        codes.read(codes.png(TEXT, 4))
    else:
        assert refused(codes.read, saved(noise)) == "code-missing"
    assert len(frames) == 1 and not frames[0].pixels.any()
    assert len(searched) == (2 if with_code else 4)
    assert not any(pixels.any() for pixels in searched)


def test_the_search_is_bounded_in_a_picture_of_corner_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture full of marks takes time with the square of their number: 36 million pixels would take minutes."""
    mark = np.full((45, 45), 255, np.uint8)
    mark[5:40, 5:40], mark[10:35, 10:35], mark[15:30, 15:30] = 0, 255, 0
    _, searched = spied(monkeypatch)
    assert refused(codes.read, saved(np.tile(mark, (133, 133)))) == "code-missing"
    assert len(searched) == 4
    assert max(pixels.size for pixels in searched) <= 3_000_000
    large = np.full((5000, 5000), 255, np.uint8)
    code = cv2.resize(grey_of(codes.png(TEXT, 1)), None, fx=40, fy=40, interpolation=cv2.INTER_NEAREST)
    large[1000 : 1000 + len(code), 2000 : 2000 + len(code)] = code
    assert codes.read(saved(large)) == TEXT


@pytest.mark.promise(3)
def test_reading_writes_no_file(tmp_path: Path) -> None:
    """In a process in which any write to a file is the end (RLIMIT_FSIZE 0), a code is read."""
    (tmp_path / "code.png").write_bytes(codes.png(TEXT, 4))
    program = (
        "import resource, sys, pathlib\n"
        "from countenance.integrations import codes\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "sys.exit(0 if codes.read(data) == sys.argv[2] else 1)\n"
    )
    command = [sys.executable, "-B", "-c", program, str(tmp_path / "code.png"), TEXT]
    process = subprocess.run(command, check=False, capture_output=True)
    assert process.returncode == 0, process.stderr.decode()
