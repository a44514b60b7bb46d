"""Cards to print: one pass on paper, A6 or the size of a bank card, as one SVG picture (docs/formats/card.md).

Every custody has the same layout and the same black on white: no colour tells the queue who said no.
English and Chinese stand beside or under each other in the same size and weight.
"""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Any
from xml.sax.saxutils import escape

from countenance.errors import BadInput
from countenance.formats import notices
from countenance.formats.passes import Custody
from countenance.integrations import codes


class Size(Enum):
    """Width and height in millimetres."""

    A6 = (105.0, 148.0)
    BANK_CARD = (85.6, 54.0)  # ISO/IEC 7810, ID-1


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside its code. `reference`, the booking number, may be empty; nothing else may."""

    venue_name: str
    contact: str
    reference: str
    custody: Custody
    valid_until: date


@dataclass(frozen=True)
class Box:
    """A rectangle on the card, in millimetres from its top left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class _Place:
    """Where a text goes: its largest and smallest size in millimetres, and whether it is bold."""

    box: Box
    largest: float
    smallest: float
    bold: bool = False


@dataclass(frozen=True)
class _Text:
    """A text and its BCP 47 language ("" for a name, which has none)."""

    words: str
    language: str = ""


_LINE = 1.25   # heights of a letter from line to line
_ASCENT = 0.97  # from the top of the first line to its letters' foot: a capital with an accent, in any font
_STEP = 0.1
_BOLD = 1.13
_MOST_SIGNS = 400
_NOT_IN_XML = frozenset("\ufffe\uffff")
_CORNERS = {Size.A6: 0.0, Size.BANK_CARD: 3.18}  # radius in millimetres (ISO/IEC 7810)
_FONTS = ("'Noto Sans', 'Helvetica Neue', Arial, 'Noto Sans CJK SC', 'Noto Sans SC', 'PingFang SC', "
          "'Microsoft YaHei', sans-serif")


def card(text: str, facts: CardFacts, size: Size) -> str:
    """Return one standalone SVG picture of a card in its real size, with the pass `text` as a QR code.

    Names too long for their place are wrapped, then made smaller. Raises BadInput: card-text (hidden
    characters, or too long at the smallest size), code-too-long (under 0.4 mm a module), code-characters.
    """
    side, black = codes.path(text)
    facts = _clean(facts)
    box, placed = (_a6 if size is Size.A6 else _bank_card)(facts)
    if codes.module_mm(side, box.width) < codes.SMALLEST_MODULE_MM:
        raise BadInput("code-too-long", "This pass is too long for a card of this size.")
    width, height = size.value
    drawn = [line for texts, places in placed for line in _drawn(texts, places)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}mm" height="{height}mm" '
        f'viewBox="0 0 {width} {height}" font-family="{_FONTS}" fill="#000">',
        *_told(facts),
        f'<rect width="{width}" height="{height}" rx="{_CORNERS[size]}" fill="#fff" '
        f'stroke="#999" stroke-width="0.2"/>',  # where to cut
        *drawn,
        # Last, with its own white: whatever a font does to the texts, nothing lies on the code.
        f'<svg x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" viewBox="0 0 {side} {side}" '
        f'shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff"/><path d="{black}"/></svg>',
        "</svg>\n",
    ])


def _clean(facts: CardFacts) -> CardFacts:
    def clean(text: str) -> str:
        try:
            text = " ".join(notices.clean_text(text).split())
        except BadInput:
            raise BadInput("card-text", "A text for the card is empty or has hidden characters.") from None
        if len(text) > _MOST_SIGNS:
            raise _too_long()
        if not _NOT_IN_XML.isdisjoint(text):
            raise BadInput("card-text", "A text for the card has hidden characters.")
        return text

    return CardFacts(clean(facts.venue_name), clean(facts.contact),
                     clean(facts.reference) if facts.reference else "-", facts.custody, facts.valid_until)


@cache
def _wording() -> dict[str, Any]:
    """Return what cards say (cards.toml); a list in it is one text in each of its languages."""
    return tomllib.loads((resources.files("countenance.integrations") / "cards.toml").read_text("utf-8"))


def _told(facts: CardFacts) -> list[str]:
    """Return title and description, for those who hear the card: a picture's own texts are not read out."""
    wording, until = _wording(), facts.valid_until.isoformat()
    mode = " / ".join(wording["custody"][facts.custody.value]["mode"])
    spoken = " ".join(wording["spoken"]).format(reference=facts.reference, until=until)
    return [f"<title>{escape(facts.venue_name)}: {mode}</title>", f"<desc>{escape(spoken)}</desc>"]


_Placed = list[tuple[list[_Text], list[_Place]]]
"""Texts and their places; those of one pair get one size."""


def _both(texts: list[str], places: list[_Place]) -> tuple[list[_Text], list[_Place]]:
    return [_Text(words, to) for words, to in zip(texts, _wording()["languages"], strict=True)], places


def _one(words: str, place: _Place) -> tuple[list[_Text], list[_Place]]:
    return [_Text(words)], [place]


def _bank_card(facts: CardFacts) -> tuple[Box, _Placed]:
    say, mode = _wording(), _wording()["custody"][facts.custody.value]["mode"]
    side, x, wide = codes.BANK_CARD_CODE_MM, 4.0, 33.0

    def label(y: float) -> list[_Place]:
        return [_Place(Box(x, y, 19.5, 2.6), 1.9, 1.7), _Place(Box(x + 20, y, 13.0, 2.6), 1.9, 1.7)]

    return Box(37.6, 4.0, side, side), [
        _one(facts.venue_name, _Place(Box(x, 4.0, wide, 13.0), 3.6, 1.7, bold=True)),
        _both(mode, [_Place(Box(x, y, wide, 3.4), 2.5, 2.0) for y in (18.0, 21.4)]),
        _both(say["booking"], label(27.0)),
        _one(facts.reference, _Place(Box(x, 29.6, wide, 4.6), 3.2, 1.7, bold=True)),
        _both(say["until"], label(35.2)),
        _one(facts.valid_until.isoformat(), _Place(Box(x, 37.8, wide, 4.6), 3.2, 1.7, bold=True)),
        _both(say["keep"]["heading"], [_Place(Box(x, y, wide, 3.0), 2.2, 1.9) for y in (44.0, 47.0)]),
    ]


def _a6(facts: CardFacts) -> tuple[Box, _Placed]:
    say, ours = _wording(), _wording()["custody"][facts.custody.value]
    left, right, column, x, narrow = 5.0, 53.5, 46.5, 64.5, 35.5

    def label(y: float) -> list[_Place]:
        return [_Place(Box(x, y, 21.0, 3.2), 2.2, 1.8), _Place(Box(x + 22, y, 13.5, 3.2), 2.2, 1.8)]

    placed = [
        _one(facts.venue_name, _Place(Box(left, 5.0, 95.0, 12.5), 6.0, 2.2, bold=True)),
        _both(ours["mode"], [_Place(Box(at, 18.0, column, 5.5), 3.6, 3.0) for at in (left, right)]),
        _both(say["booking"], label(27.0)),
        _one(facts.reference, _Place(Box(x, 30.2, narrow, 10.0), 4.0, 1.8, bold=True)),
        _both(say["until"], label(41.5)),
        _one(facts.valid_until.isoformat(), _Place(Box(x, 44.7, narrow, 6.0), 4.0, 2.0, bold=True)),
        _both(say["questions"], label(53.0)),
        _one(facts.contact, _Place(Box(x, 56.2, narrow, 26.0), 2.8, 1.8)),
    ]
    y = 84.5
    for topic, height in (("what", 16.0), ("withdraw", 13.0), ("lost", 16.0), ("keep", 13.0)):
        text = ours[topic] if topic in ours else say[topic]["text"]
        placed.append(_both(say[topic]["heading"],
                            [_Place(Box(at, y, column, 3.2), 2.5, 2.0, bold=True) for at in (left, right)]))
        placed.append(_both(text, [_Place(Box(at, y + 3.2, column, height - 3.7), 2.4, 2.0) for at in (left, right)]))
        y += height
    return Box(2.5, 24.0, 59.0, 59.0), placed


def _drawn(texts: list[_Text], places: list[_Place]) -> list[str]:
    """Draw texts, each in its place, in the largest size that all of them fit in. Raises BadInput(card-text)."""
    size, lines = _fitted(texts, places)
    found = []
    for text, place, rows in zip(texts, places, lines, strict=True):
        language = f' lang="{text.language}" xml:lang="{text.language}"' if text.language else ""
        weight = ' font-weight="bold"' if place.bold else ""
        for number, row in enumerate(rows):
            y = place.box.y + size * (_ASCENT + number * _LINE)
            found.append(f'<text x="{place.box.x}" y="{y:.2f}" font-size="{size:.1f}"{weight}{language}>'
                         f"{escape(row)}</text>")
    return found


def _fitted(texts: list[_Text], places: list[_Place]) -> tuple[float, list[list[str]]]:
    """Return size and lines. A smaller size goes before a broken word, a broken word before a refusal."""
    largest, smallest = places[0].largest, places[0].smallest
    sizes = [largest - step * _STEP for step in range(round((largest - smallest) / _STEP) + 1)]
    for may_break in (False, True):
        for size in sizes:
            widths = [place.box.width / (size * (_BOLD if place.bold else 1)) for place in places]
            lines = [_wrapped(text.words, width) for text, width in zip(texts, widths, strict=True)]
            whole = all(_width(piece.rstrip()) <= width for text, width in zip(texts, widths, strict=True)
                        for piece in _pieces(text.words))
            if (whole or may_break) and all(len(rows) * size * _LINE <= place.box.height + 1e-6
                                            for rows, place in zip(lines, places, strict=True)):
                return size, lines
    raise _too_long()


def _too_long() -> BadInput:
    return BadInput("card-text", "The venue's name, its contact or the booking number is too long for the card.")


def _wrapped(words: str, width: float) -> list[str]:
    """Break a text into lines of at most `width` letter heights: between pieces, and in one that is too wide alone."""
    lines, line = [], ""
    for piece in _pieces(words):
        if line and _width(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while _width(line.rstrip()) > width and len(line) > 1:
            ends = accumulate(map(_advance, line))
            fits = max(1, sum(end <= width for end in ends))
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line.rstrip()]


def _pieces(words: str) -> list[str]:
    """Split where a line may end: after a space, and around wide signs, but not before a mark that closes."""
    found: list[str] = []
    for sign in words:
        if found and not found[-1].endswith(" ") and _joined(found[-1][-1], sign):
            found[-1] += sign
        else:
            found.append(sign)
    return found


def _joined(before: str, sign: str) -> bool:
    closes = sign == " " or unicodedata.category(sign) in {"Po", "Pe", "Pf", "Mn", "Me"}
    return closes or unicodedata.category(before) in {"Ps", "Pi"} or not (_wide(before) or _wide(sign))


def _wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in {"W", "F"}


def _width(words: str) -> float:
    """Return at most how wide a text is, in letter heights: no common sans-serif font is wider (DejaVu's measures)."""
    return sum(map(_advance, words))


def _advance(sign: str) -> float:
    if not sign.isascii():
        return {"Mn": 0.0, "Me": 0.0, "So": 1.4}.get(unicodedata.category(sign), 1.0)
    if sign == " ":
        return 0.36
    if sign in "fijlrtIJ.,:;'|!-()[]/":
        return 0.42
    if sign in "mwMW@%":
        return 1.0
    return 0.65 if sign.islower() or sign.isdigit() else 0.85
