"""The bytes below `dlib_format`: dlib's integers, reals, texts and tensors.

An integer is a control byte (low four bits: how many bytes follow, 0x80: negative) and that many
little-endian bytes; a real is mantissa and exponent of two as two integers. Source: dlib
`serialize.h` (pack_int, float_details) and `dnn/tensor.h` (version 2).
"""

from __future__ import annotations

import math
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from countenance.errors import ModelFault

Floats = NDArray[np.float32]

_NEGATIVE = 0x80
_LENGTH = 0x0F
_UNUSED = 0x70
_MAX_EXPONENT = 1100  # of a double; dlib writes infinities as exponents of 32000 and more
_MAX_TENSOR = 8_000_000
_MAX_TEXT = 64


def malformed() -> NoReturn:
    """Raise ModelFault(model-file-malformed)."""
    raise ModelFault("model-file-malformed", "A model file is damaged or cut short.")


class Reader:
    """Reads forward through `data`; every step is bounded and raises ModelFault(model-file-malformed)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def expect(self, fact: bool) -> None:
        """Raise unless `fact`."""
        if not fact:
            malformed()

    def end(self) -> None:
        """Raise unless everything has been read."""
        self.expect(self._at == len(self._data))

    def _take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        self.expect(len(piece) == count)
        self._at += count
        return piece

    def integer(self) -> int:
        """Read one integer of either sign."""
        control = self._take(1)[0]
        length = control & _LENGTH
        self.expect(control & _UNUSED == 0 and 1 <= length <= 8)
        value = int.from_bytes(self._take(length), "little")
        return -value if control & _NEGATIVE else value

    def count(self, limit: int) -> int:
        """Read an integer from 0 to `limit`, both included."""
        value = self.integer()
        self.expect(0 <= value <= limit)
        return value

    def flag(self) -> bool:
        """Read a truth value, which dlib writes as the character 0 or 1."""
        character = self._take(1)
        self.expect(character in {b"0", b"1"})
        return character == b"1"

    def real(self) -> float:
        """Read one finite real."""
        mantissa, exponent = self.integer(), self.integer()
        self.expect(abs(exponent) <= _MAX_EXPONENT and abs(mantissa) < 2**63)
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError:
            malformed()

    def reals(self, count: int) -> list[float]:
        """Read `count` finite reals."""
        return [self.real() for _ in range(count)]

    def text(self) -> str:
        """Read a short ASCII text."""
        raw = self._take(self.count(_MAX_TEXT))
        self.expect(raw.isascii())
        return raw.decode("ascii")

    def alias(self, limit: int) -> tuple[int, int, int, int]:
        """Read the four sizes of a view into a parameter tensor."""
        self.expect(self.count(9) == 1)
        return self._sizes(limit)

    def tensor(self) -> Floats:
        """Read a tensor: float32 of (samples, channels, rows, columns); every value is finite."""
        self.expect(self.count(9) == 2)
        sizes = self._sizes(_MAX_TENSOR)
        total = math.prod(sizes)
        values = np.frombuffer(self._take(4 * total), "<f4").astype(np.float32).reshape(sizes)
        self.expect(bool(np.isfinite(values).all()))
        return values

    def _sizes(self, limit: int) -> tuple[int, int, int, int]:
        a, b, c, d = (self.count(limit) for _ in range(4))
        return a, b, c, d


def integers(data: bytes) -> NDArray[np.int64]:
    """Read a file that is integers only, such as a shape predictor (a real counts as two).

    Two million integers in half a second: the walk from control byte to control byte is the only
    loop in Python. Raises ModelFault(model-file-malformed).
    """
    starts = _walk(data)
    raw = np.frombuffer(data + bytes(8), np.uint8)
    control = raw[starts]
    length = control & _LENGTH
    if ((control & _UNUSED) != 0).any() or (length == 0).any() or (length > 7).any():
        malformed()
    values = np.zeros(starts.size, np.int64)
    for byte in range(int(length.max(initial=0))):
        values += np.where(length > byte, raw[starts + 1 + byte].astype(np.int64) << (8 * byte), 0)
    return np.where(control & _NEGATIVE, -values, values)


def _walk(data: bytes) -> NDArray[np.int64]:
    starts: list[int] = []
    at, end = 0, len(data)
    while at < end:
        starts.append(at)
        at += 1 + (data[at] & _LENGTH)
    if at != end:
        malformed()
    return np.array(starts, np.int64)


def reals(mantissa: NDArray[np.int64], exponent: NDArray[np.int64]) -> Floats:
    """Turn arrays of mantissas and exponents into finite float32 of the same shape."""
    if (np.abs(mantissa) > 2**24).any() or (np.abs(exponent) > 100).any():
        malformed()
    return np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32)).astype(np.float32)


class Tokens:
    """Reads forward through an array of integers; every step is bounded, as in `Reader`."""

    def __init__(self, values: NDArray[np.int64]) -> None:
        self._values = values
        self._at = 0

    def expect(self, fact: bool) -> None:
        """Raise ModelFault(model-file-malformed) unless `fact`."""
        if not fact:
            malformed()

    def end(self) -> None:
        """Raise unless everything has been read."""
        self.expect(self._at == self._values.size)

    def next(self) -> int:
        """Read one integer."""
        return int(self.table(1, 1)[0, 0])

    def bounded(self, limit: int) -> int:
        """Read an integer from 1 to `limit`, both included."""
        value = self.next()
        self.expect(1 <= value <= limit)
        return value

    def peek_bounded(self, limit: int) -> int:
        """Return what `bounded` would, and stay."""
        value = self.bounded(limit)
        self._at -= 1
        return value

    def table(self, rows: int, columns: int) -> NDArray[np.int64]:
        """Read `rows` times `columns` integers."""
        piece = self._values[self._at : self._at + rows * columns]
        self.expect(piece.size == rows * columns)
        self._at += piece.size
        return piece.reshape(rows, columns)

    def vector(self, minus_rows: int, minus_columns: int) -> Floats:
        """Read a column of reals; dlib writes its sizes negated to say that it is by rows."""
        self.expect(-1024 <= minus_rows <= -2 and minus_rows % 2 == 0 and minus_columns == -1)
        table = self.table(-minus_rows, 2)
        return reals(table[:, 0], table[:, 1])
