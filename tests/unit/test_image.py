"""Pictures: what is decoded, how it is turned, and what is refused with which code."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from countenance.errors import BadInput
from countenance.vision.image import Frame, decode

SIDE = 64


def corners() -> Image.Image:
    """Return 64 x 48: red top left, green top right, blue bottom left, white bottom right."""
    pixels = np.zeros((48, SIDE, 3), np.uint8)
    pixels[:24, :32] = 255, 0, 0
    pixels[:24, 32:] = 0, 255, 0
    pixels[24:, :32] = 0, 0, 255
    pixels[24:, 32:] = 255, 255, 255
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def refused(data: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        decode(data)
    assert caught.value.sentence.count(".") == 1
    return caught.value.code


def letters(frame: Frame) -> str:
    """Name the colours of the four corners, row by row."""
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    width, height = frame.size
    found = [(8, 8), (width - 9, 8), (8, height - 9), (width - 9, height - 9)]
    return "".join(names[tuple((frame.pixels[y, x] > 127).astype(int).tolist())] for x, y in found)


def test_a_lossless_webp_is_decoded() -> None:
    assert letters(decode(saved(corners(), "WebP", lossless=True))) == "rgbw"
    assert refused(saved(corners().resize((31, 40)), "WebP", lossless=True)) == "image-too-small"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_three_kinds_are_decoded_to_rgb(kind: str) -> None:
    frame = decode(saved(corners(), kind))
    assert frame.size == (64, 48)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous
    assert letters(frame) == "rgbw"


# How the corners lie once the picture is turned as its tag says.
TURNED = {1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize(("value", "expected"), TURNED.items())
def test_the_orientation_is_undone(kind: str, value: int, expected: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    frame = decode(saved(corners(), kind, exif=exif.tobytes()))
    assert frame.size == ((64, 48) if value < 5 else (48, 64))
    assert letters(frame) == expected


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_makes_no_sense_is_none(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert letters(decode(saved(corners(), "JPEG", exif=exif.tobytes()))) == "rgbw"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow says so and goes on
def test_damaged_exif_does_not_matter() -> None:
    data = saved(corners(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert letters(decode(data)) == "rgbw"


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("L", "PNG"), ("LA", "PNG"), ("1", "PNG")])
def test_grey_becomes_rgb(mode: str, kind: str) -> None:
    pixels = decode(saved(corners().convert(mode), kind)).pixels
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 1] == pixels[..., 2]).all()


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("RGBA", "WebP"), ("P", "PNG")])
def test_alpha_is_dropped_and_a_palette_is_looked_up(mode: str, kind: str) -> None:
    image = corners().convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    options = {"exact": True, "lossless": True} if kind == "WebP" else {}
    assert letters(decode(saved(image, kind, **options))) == "rgbw"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, colour: int = 2, body: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(body)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"GIF89a" + bytes(50), b"<svg/>", bytes(100)])
def test_what_is_no_picture(data: bytes) -> None:
    assert refused(data) in {"image-unreadable", "image-truncated"}


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_kinds_are_not_read(kind: str) -> None:
    assert refused(saved(corners(), kind)) == "image-unreadable"


def test_a_picture_that_moves() -> None:
    frames = {"save_all": True, "append_images": [corners().rotate(180)]}
    assert refused(saved(corners(), "PNG", **frames)) == "image-animated"
    assert refused(saved(corners(), "WebP", **frames)) == "image-animated"


def test_colours_that_are_not_eight_bit_rgb() -> None:
    assert refused(saved(corners().convert("CMYK"), "JPEG")) == "image-mode"
    assert refused(saved(Image.fromarray(np.zeros((40, 40), np.uint16)), "PNG")) == "image-mode"
    assert refused(png(40, 40, depth=16, body=bytes(40 * (1 + 40 * 6)))) == "image-mode"


def test_size_is_decided_by_the_header_before_any_pixel() -> None:
    assert refused(png(8000, 5001)) == "image-too-large"
    assert refused(png(1 << 30, 1 << 30)) == "image-too-large"
    canvas = (16383).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + canvas
    assert refused(b"RIFF" + len(body).to_bytes(4, "little") + body) == "image-too-large"
    for head in (b"VP8L" + bytes(4) + b"\x2f" + b"\xff" * 9, b"VP8 " + bytes(4) + bytes(6) + b"\xff" * 8):
        body = b"WEBP" + head
        assert refused(b"RIFF" + len(body).to_bytes(4, "little") + body) == "image-too-large"
    assert refused(png(1, 1, body=bytes(4))) == "image-too-small"
    assert refused(saved(Image.new("RGB", (31, 500)), "JPEG")) == "image-too-small"
    assert decode(saved(Image.new("RGB", (32, 32)), "JPEG")).size == (32, 32)


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (80, 90, 3), np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_cut_off_picture(kind: str, share: float) -> None:
    data = saved(noise(), kind)
    assert refused(data[: int(len(data) * share)]) == "image-truncated"


def test_a_progressive_jpeg_with_a_thumbnail_is_whole_and_cut_off_it_is_not() -> None:
    thumbnail = saved(corners(), "JPEG")
    data = saved(noise(), "JPEG", progressive=True, exif=b"Exif\0\0" + thumbnail)
    assert decode(data).size == (90, 80)
    assert refused(data[: -200]) == "image-truncated"


def test_what_follows_a_jpeg_does_not_matter() -> None:
    assert letters(decode(saved(corners(), "JPEG") + b"a telephone's own data")) == "rgbw"


def test_a_png_with_a_damaged_chunk_or_too_few_pixels() -> None:
    data = bytearray(saved(noise(), "PNG"))
    data[len(data) // 2] ^= 1
    assert refused(bytes(data)) == "image-unreadable"
    assert refused(png(90, 80, body=bytes(40 * (1 + 90 * 3)))) == "image-unreadable"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WebP"]), st.integers(0, 10_000), st.binary(min_size=1, max_size=6))
def test_damage_is_refused_or_harmless(kind: str, at: int, by: bytes) -> None:
    data = saved(corners(), kind)
    at %= len(data)
    try:
        frame = decode(data[:at] + by + data[at + len(by) :])
    except BadInput as refusal:
        assert refusal.code.startswith("image-")
    else:
        assert min(frame.size) >= 32


BAD_IMAGES = {
    "corrupted.png": {"image-unreadable", "image-truncated"},
    "empty.png": {"image-unreadable"},
    "truncated.jpg": {"image-truncated"},
}


@pytest.mark.parametrize(("name", "codes"), BAD_IMAGES.items())
def test_shared_bad_images(name: str, codes: set[str]) -> None:
    repository = Path(__file__).resolve().parents[2]
    root = Path(os.environ.get("COUNTENANCE_TEST_DATA", repository / "../shared/data"))
    if not root.is_dir():
        pytest.skip("no test data: COUNTENANCE_TEST_DATA names no folder")
    assert refused((root / "bad_images" / name).read_bytes()) in codes


def test_decoding_writes_no_file(tmp_path: Path) -> None:
    """In a process in which any write to a file is the end (RLIMIT_FSIZE 0), every kind is decoded."""
    paths = []
    for kind in ("JPEG", "PNG", "WebP"):
        paths.append(tmp_path / kind)
        paths[-1].write_bytes(saved(noise(), kind))
    code = (
        "import resource, sys, pathlib\n"
        "from countenance.vision.image import decode\n"
        "data = [pathlib.Path(p).read_bytes() for p in sys.argv[1:]]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "sizes = [decode(d).size for d in data]\n"
        "sys.exit(0 if sizes == [(90, 80)] * 3 else 1)\n"
    )
    command = [sys.executable, "-B", "-c", code, *map(str, paths)]
    process = subprocess.run(command, check=False, capture_output=True)
    assert process.returncode == 0, process.stderr.decode()


def test_a_frame_checks_its_pixels_and_shows_none() -> None:
    wrong: list[NDArray[Any]] = [np.zeros((40, 40), np.uint8), np.zeros((40, 40, 3), np.float32)]
    for pixels in wrong:
        with pytest.raises(BadInput):
            Frame(pixels)
    frame = Frame(np.full((40, 40, 3), 7, np.uint8)[:, ::2])
    assert frame.pixels.flags.c_contiguous
    assert "7" not in repr(frame)
    frame.wipe()
    assert not frame.pixels.any()
