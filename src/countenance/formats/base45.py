"""Base45 (RFC 9285): bytes as the characters that a QR code packs best."""

from __future__ import annotations

from countenance.errors import BadInput

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE = {character: number for number, character in enumerate(_ALPHABET)}


def encode(data: bytes) -> str:
    """Return `data` in base45: three characters for two bytes, two for a last single one."""
    out = []
    for at in range(0, len(data) - 1, 2):
        high, rest = divmod(data[at] * 256 + data[at + 1], 45 * 45)
        middle, low = divmod(rest, 45)
        out += [_ALPHABET[low], _ALPHABET[middle], _ALPHABET[high]]
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        out += [_ALPHABET[low], _ALPHABET[high]]
    return "".join(out)


def decode(text: str) -> bytes:
    """Read base45. Raises BadInput(base45-malformed); each byte string has exactly one spelling."""
    malformed = BadInput("base45-malformed", "This text is not base45.")
    if len(text) % 3 == 1 or any(character not in _VALUE for character in text):
        raise malformed
    out = bytearray()
    for at in range(0, len(text), 3):
        digits = [_VALUE[character] for character in text[at : at + 3]]
        number = sum(digit * 45**place for place, digit in enumerate(digits))
        width = len(digits) - 1
        if number >= 256**width:
            raise malformed
        out += number.to_bytes(width, "big")
    return bytes(out)
