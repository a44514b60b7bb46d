"""From the bytes of a picture to a frame in memory; nothing is ever written to a file.

OpenCV fills what is missing of a cut-off picture with grey and says nothing, so completeness is
checked here, on the file's own structure, before anything is decoded.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from countenance.errors import BadInput

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 40_000_000
MIN_SIDE = 32

_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"}
MOST_SCANS = 64
_START_OF_SCAN = 0xDA
_ORIENTATION = 0x0112
# In a JPEG's compressed data FF is followed by 00 (a byte FF), D0 to D7 (restart) or FF (filler).
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: `pixels` is uint8 (H, W, 3), RGB, C-contiguous, the right way up."""

    pixels: NDArray[np.uint8] = field(repr=False)

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            _refuse("image-unreadable", "A frame must be of 8-bit RGB pixels.")
        if not self.pixels.flags.c_contiguous:
            object.__setattr__(self, "pixels", np.ascontiguousarray(self.pixels))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def wipe(self) -> None:
        """Overwrite the pixels with zeros. Views of them, such as a crop, turn black too."""
        self.pixels.fill(0)


def _refuse(code: str, sentence: str) -> NoReturn:
    raise BadInput(code, sentence)


def _unreadable() -> NoReturn:
    _refuse("image-unreadable", "The picture cannot be read: it is damaged, or is no JPEG, PNG or WebP.")


def _truncated() -> NoReturn:
    _refuse("image-truncated", "The picture is incomplete: its end is missing.")


def decode(data: bytes) -> Frame:
    """Return the frame in `data`: a JPEG, PNG or WebP, told by its bytes, turned as its EXIF says.

    Alpha is dropped, grey becomes RGB. Raises BadInput with one of: image-unreadable, image-truncated,
    image-animated, image-mode (CMYK, 16 bits), image-too-large (over 40 million pixels, decided before
    anything is decoded), image-too-small (a side under 32 pixels).
    """
    kind = _kind(data)
    _CHECKS[kind](data)
    header = _header(kind, data)
    _judge(header)
    return Frame(_upright(_pixels(data, header.size), _orientation(header)))


def _kind(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    _unreadable()


def _whole_jpeg(data: bytes) -> None:
    """Walk from marker to marker up to the end marker; a thumbnail's own end marker is inside a segment."""
    at, scans = 2, 0
    while True:
        found = _JPEG_MARKER.search(data, at)
        if found is None:
            _truncated()
        code, at = data[found.end() - 1], found.end()
        scans += code == _START_OF_SCAN
        if scans > MOST_SCANS:  # each costs a pass over all pixels, however few bytes it has
            _unreadable()
        if code == 0xD9:
            return
        if code in {0x01, 0xD8}:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if at + length > len(data):
            _truncated()
        if length < 2:
            _unreadable()
        at += length


def _whole_png(data: bytes) -> None:
    """Walk from chunk to chunk up to IEND, checking each one's sum; 16 bits per sample are refused."""
    at = 8
    while True:
        if at + 12 > len(data):
            _truncated()
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            _truncated()
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            _unreadable()
        kind = data[at + 4 : at + 8]
        if kind == b"IHDR" and length == 13 and data[at + 16] == 16:
            _refuse_mode()
        if kind == b"IEND":
            return
        at = end


def _whole_webp(data: bytes) -> None:
    """Compare with the size that it says it has; judge its canvas here, for Pillow would allocate it."""
    if len(data) < 30 or int.from_bytes(data[4:8], "little") + 8 > len(data):
        _truncated()
    if data[12:16] == b"VP8X" and data[20] & 0x02:
        _refuse_animated()
    _judge_size(*_webp_size(data))


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height from the first chunk's head (RFC 9649, sections 2.5 to 2.7; RFC 6386, 9.1)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    _unreadable()


_CHECKS = {"jpeg": _whole_jpeg, "png": _whole_png, "webp": _whole_webp}


def _header(kind: str, data: bytes) -> ImageFile:
    """Let Pillow read the header. Not by Image.open, whose warnings about size are a process-wide switch."""
    from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    readers: dict[str, type[ImageFile]] = {
        "jpeg": JpegImagePlugin.JpegImageFile,
        "png": PngImagePlugin.PngImageFile,
        "webp": WebPImagePlugin.WebPImageFile,
    }
    try:
        return readers[kind](io.BytesIO(data))
    except Exception as fault:  # Pillow's readers raise whatever the damage leads them to
        raise BadInput(
            "image-unreadable", "The picture cannot be read: it is damaged, or is no JPEG, PNG or WebP."
        ) from fault


def _judge(header: ImageFile) -> None:
    _judge_size(*header.size)
    if getattr(header, "is_animated", False):
        _refuse_animated()
    if header.mode not in _MODES:
        _refuse_mode()


def _judge_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        _refuse("image-too-large", "The picture has more than 40 million pixels.")
    if min(width, height) < MIN_SIDE:
        _refuse("image-too-small", "The picture is less than 32 pixels wide or high.")


def _refuse_animated() -> NoReturn:
    _refuse("image-animated", "The picture moves; a single still picture is needed.")


def _refuse_mode() -> NoReturn:
    _refuse("image-mode", "The picture's colours are not 8-bit RGB or grey.")


def _orientation(header: ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or it makes no sense."""
    from PIL import Image

    # Not header.getexif(): on a PNG that decodes the whole picture.
    exif = Image.Exif()
    try:
        exif.load(header.info.get("exif", b""))
        value = exif.get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # a picture with damaged EXIF is still a picture
        return 1
    return value if value in range(1, 9) else 1


def _pixels(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    try:
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as fault:
        raise BadInput("image-unreadable", "The picture cannot be decoded.") from fault
    if pixels is None or pixels.shape != (size[1], size[0], 3) or pixels.dtype != np.uint8:
        _unreadable()
    return pixels.astype(np.uint8, copy=False)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo how the camera was held (EXIF 2.32, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
