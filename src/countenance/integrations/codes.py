"""QR codes of passes: from a text to a picture, and from a picture of outside back to the text.

A pass is alphanumeric in a QR code's sense (docs/formats/pass.md), 5.5 bits a character. Nothing here knows what a
pass is: what was read is for `formats.passes` to judge. Cards are drawn by `cards`, on the same modules.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import segno
import zxingcpp
from numpy.typing import NDArray

from countenance.errors import BadInput
from countenance.vision import image

if TYPE_CHECKING:
    Grey = NDArray[np.uint8]

QUIET = 4
"""Modules of white around the symbol, on each side (ISO/IEC 18004, 9.1)."""
SMALLEST_MODULE_MM = 0.4
"""Below this, printers' dots and 720-line cameras decide whether a code can be read."""
BANK_CARD_CODE_MM = 46.0
"""The side of a code on a bank card, quiet zone included: what 54 mm hold beside a margin of 4 mm."""
LARGEST_MODULE_PX = 32

_ALPHANUMERIC = re.compile(r"[0-9A-Z $%*+\-./:]+")
_PRINTABLE = re.compile(rb"[\x20-\x7e]+")
# The search for a code takes time with the square of what looks like a corner mark: a picture full of them costs
# 264 s at 40 million pixels, up to 8 s at 3 million. An A4 page is 180 dpi then: enough for a card's code.
_MOST_PIXELS = 3_000_000
_MOST_ENLARGED = 1_000_000
_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCodeModel2)


def modules(text: str) -> NDArray[np.bool_]:
    """Return the symbol of `text`, bool (side, side), True is black; its quiet zone is not in it.

    Raises BadInput: code-too-long (over 4,296 characters), code-characters (other than 0-9 A-Z space $%*+-./:).
    """
    return np.array(_symbol(text).matrix, dtype=bool)


def path(text: str) -> tuple[int, str]:
    """Return the side in modules, quiet zone included, and an SVG path of the black modules in that square.

    Raises BadInput as `modules`.
    """
    black = modules(text)
    runs = [f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z"
            for y, row in enumerate(black) for x, length in _runs(row)]
    return len(black) + 2 * QUIET, "".join(runs)


def svg(text: str) -> str:
    """Return a standalone SVG picture of the symbol with its quiet zone, black on white, 0.5 mm a module.

    Raises BadInput as `modules`.
    """
    side, black = path(text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{side / 2}mm" height="{side / 2}mm" '
        f'viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><title>QR code / 二维码</title>'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path fill="#000" d="{black}"/></svg>\n'
    )


def png(text: str, module_px: int) -> bytes:
    """Return a black-and-white PNG, `module_px` (1 to 32) pixels a module, with its quiet zone.

    Raises BadInput: code-size, and as `modules`.
    """
    if not 1 <= module_px <= LARGEST_MODULE_PX:
        raise BadInput("code-size", f"A QR code's module is 1 to {LARGEST_MODULE_PX} pixels wide.")
    stream = io.BytesIO()
    _symbol(text).save(stream, kind="png", scale=module_px, border=QUIET)
    return stream.getvalue()


def in_terminal(text: str) -> str:
    """Return any short text as a code of block characters, for a terminal. Not for passes: those are read by gates."""
    drawn = io.StringIO()
    segno.make(text, error="m").terminal(drawn, compact=True)
    return drawn.getvalue()


def _symbol(text: str) -> segno.QRCode:
    """Choose the error correction: M where the symbol is still 0.4 mm a module on a bank card, else L.

    Measured on 1,170 characters in 300 pixels of a photograph blurred by 1.5 pixels: L (97 modules a side) is read
    19 times of 20, M (109) never. Size helps a camera more than correction does; where both can be had, M stands a
    scratch. A higher level that costs no size is taken.
    """
    if not _ALPHANUMERIC.fullmatch(text):
        raise BadInput("code-characters", "This text has characters that a pass does not have.")
    for level in ("m", "l"):
        try:
            symbol = segno.make_qr(text, error=level, mode="alphanumeric", boost_error=True)
        except segno.DataOverflowError:
            continue
        if level == "l" or module_mm(len(symbol.matrix) + 2 * QUIET, BANK_CARD_CODE_MM) >= SMALLEST_MODULE_MM:
            return symbol
    raise BadInput("code-too-long", "This text is too long for a QR code.")


def module_mm(side: int, width_mm: float) -> float:
    """Return how wide one of `side` modules (quiet zone included) is on a code of `width_mm`."""
    return width_mm / side


def _runs(row: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Give start and length of each stretch of black."""
    edges = np.flatnonzero(np.diff(row, prepend=False, append=False))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield start, end - start


def read(picture: bytes) -> str:
    """Return the text of the one QR code in a JPEG, PNG or WebP from outside. It need not be a pass.

    The same text twice counts as one. The picture may show a face: its pixels are wiped before this returns.
    Raises BadInput: image-* as `image.decode`, code-missing, code-several (different texts), code-unreadable (a
    text that is not printable ASCII).
    """
    frame = image.decode(picture)
    try:
        grey = _grey(frame)
    finally:
        frame.wipe()
    try:
        texts = _texts(grey)
    finally:
        grey.fill(0)
    if not texts:
        raise BadInput("code-missing", "There is no QR code in the picture that can be read.")
    if len(texts) > 1:
        raise BadInput("code-several", "There is more than one QR code in the picture.")
    (text,) = texts
    if not _PRINTABLE.fullmatch(text):
        raise BadInput("code-unreadable", "The QR code in the picture is not that of a pass.")
    return text.decode("ascii")


def _grey(frame: image.Frame) -> Grey:
    """Return the frame in grey, uint8 (H, W), made smaller to at most 3 million pixels."""
    import cv2

    grey = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    share = (_MOST_PIXELS / grey.size) ** 0.5
    if share >= 1:
        return grey
    width, height = frame.size
    smaller = cv2.resize(grey, (max(1, int(width * share)), max(1, int(height * share))),
                         interpolation=cv2.INTER_AREA)
    grey.fill(0)
    return smaller.astype(np.uint8, copy=False)


def _texts(grey: Grey) -> set[bytes]:
    """Try the picture as it is; only if nothing is found, sharpened; then without its specks. Every copy is wiped."""
    for attempt in _attempts(grey):
        try:
            found = zxingcpp.read_barcodes(attempt, formats=_QR, text_mode=zxingcpp.TextMode.Plain)
        finally:
            attempt.fill(0)
        if found:
            return {code.bytes for code in found}
    return set()


def _attempts(grey: Grey) -> Iterator[Grey]:
    """Give what is searched, each only when asked for. Each reads what the others do not (docs/formats/card.md)."""
    import cv2

    yield grey.copy()
    yield _sharpened(grey, 1.5)
    clean = cv2.medianBlur(grey, 3).astype(np.uint8, copy=False)
    if grey.size > _MOST_ENLARGED:
        yield clean
        return
    larger = cv2.resize(clean, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)
    clean.fill(0)
    yield _sharpened(larger, 3.0)
    larger.fill(0)


def _sharpened(grey: Grey, blur: float) -> Grey:
    """Undo a blur of about `blur` pixels: the picture and twice what it differs by from itself blurred."""
    import cv2

    blurred = cv2.GaussianBlur(grey, (0, 0), blur)
    sharp = cv2.addWeighted(grey, 3, blurred, -2, 0).astype(np.uint8, copy=False)
    blurred.fill(0)
    return sharp
