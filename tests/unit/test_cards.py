"""Cards: what they say, in which size, that nothing lies on the code, and that nobody's card stands out."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import ImageFont

from countenance.errors import BadInput
from countenance.formats.passes import Custody
from countenance.integrations import cards, codes
from countenance.integrations.cards import CardFacts, Size
from support import browser

SVG = "{http://www.w3.org/2000/svg}"
TEXT = "CN1:" + "6BF+70790T9WJWG.FKY*4GO0O1CV2 ETQ*" * 18  # 634 characters
FACTS = CardFacts("Riverside Zoo", "desk@zoo.example, +44 20 7946 0000", "A-1001", Custody("plain"), date(2027, 6, 30))
CUSTODIES = list(Custody)
MODES = {
    "plain": ("no face", "不刷脸"), "carried": ("face on your pass", "面部信息存在您的卡里"),
    "holder_keyed": ("key on your pass", "钥匙存在您的卡里"),
    "venue_keyed": ("face kept by the venue", "面部信息由本场所保管"),
}
LONG = CardFacts(
    "The Royal Botanical Gardens, Aquarium and Natural History Museum of "
    "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch & Sons",
    "Data protection officer, 221B Baker Street, London NW1 6XE, privacy-and-data-protection@gardens.example",
    "BOOKING-2027-000123456789-XYZ", Custody("venue_keyed"), date(2999, 12, 31))
NAMES = {
    "short": FACTS,
    "long": LONG,
    "wide": replace(FACTS, venue_name="W" * 60, contact="@" * 60, reference="M" * 18),
    "chinese": replace(FACTS, venue_name="杭州河滨野生动物世界年卡中心、" * 3,
                       contact="杭州市河滨路1号服务台。电话0571-0000 0000。" * 2),
    "markup": replace(FACTS, venue_name="A<B> & \"C\" ]]> </text><script>", contact="'><image href='x'/>",
                      reference="&amp;<>"),
}


@dataclass(frozen=True)
class Line:
    """One `text` element as it stands in the picture; the foot of its letters is at `y`."""

    words: str
    x: float
    y: float
    size: float
    bold: bool
    language: str


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  # our own picture


def lines(svg: str) -> list[Line]:
    found = []
    for node in parsed(svg).iter(f"{SVG}text"):
        at = node.attrib
        assert at.get("lang") == at.get("{http://www.w3.org/XML/1998/namespace}lang")
        found.append(Line(node.text or "", float(at["x"]), float(at["y"]), float(at["font-size"]),
                          at.get("font-weight") == "bold", at.get("lang", "")))
    return found


def code_box(svg: str) -> tuple[float, float, float]:
    """Return left, top and side of the code with its quiet zone."""
    (inner,) = parsed(svg).findall(f"{SVG}svg")
    assert inner.attrib["width"] == inner.attrib["height"]
    return float(inner.attrib["x"]), float(inner.attrib["y"]), float(inner.attrib["width"])


def said(svg: str, language: str) -> str:
    """Return all words in one language as they are read: English lines with a space between, Chinese without."""
    return (" " if language == "en" else "").join(line.words for line in lines(svg) if line.language == language)


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("custody", CUSTODIES)
def test_a_card_says_who_where_until_when_and_how(custody: Custody, size: Size) -> None:
    svg = cards.card(TEXT, replace(FACTS, custody=custody), size)
    words = [line.words for line in lines(svg)]
    assert {"Riverside Zoo", "A-1001", "2027-06-30"} <= set(words)
    assert {"Booking number", "预订号", "Valid until", "有效期至"} <= set(words)
    english, chinese = MODES[custody.value]
    assert english in words and chinese in words
    others = {name for value, both in MODES.items() if value != custody.value for name in both}
    assert not others & set(words)


@pytest.mark.parametrize("custody", CUSTODIES)
def test_the_large_card_explains_itself_in_both_languages(custody: Custody) -> None:
    svg = cards.card(TEXT, replace(FACTS, custody=custody), Size.A6)
    english, chinese = said(svg, "en"), said(svg, "zh-Hans")
    for words in ("any desk", "no reason", "no fee", "Any desk replaces it", "Do not post", "like a key"):
        assert words in english, words
    for words in ("任何服务台", "无需理由", "不收费用", "补办", "请不要发布", "钥匙"):
        assert words in chinese, words
    assert "desk@zoo.example" in "".join(line.words for line in lines(svg))


def test_only_a_card_with_a_secret_says_that_it_holds_one() -> None:
    texts = {c.value: said(cards.card(TEXT, replace(FACTS, custody=c), Size.A6), "en") for c in CUSTODIES}
    assert {name for name, text in texts.items() if "The only key" in text} == {"holder_keyed"}
    assert {name for name, text in texts.items() if "It is only here" in text} == {"carried"}
    assert {name for name, text in texts.items() if "measured again, if" in text} == {"carried", "holder_keyed"}
    assert {name for name, text in texts.items() if "nothing to withdraw" in text} == {"plain"}


@pytest.mark.parametrize("size", Size)
def test_both_languages_are_as_large_and_as_heavy(size: Size) -> None:
    for facts in NAMES.values():
        drawn = lines(cards.card(TEXT, facts, size))
        looks = {language: sorted({(line.size, line.bold) for line in drawn if line.language == language})
                 for language in ("en", "zh-Hans")}
        assert looks["en"] == looks["zh-Hans"]
        assert len(looks["en"]) >= 3


@pytest.mark.promise(6)
@pytest.mark.parametrize("size", Size)
def test_no_colour_and_no_place_tells_who_said_no(size: Size) -> None:
    """Same colours, same places, same sizes in every custody: what differs is words, and how many lines they take."""
    looks, firsts = set(), set()
    for custody in CUSTODIES:
        svg = cards.card(TEXT, replace(FACTS, custody=custody), size)
        colours = set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg))
        assert colours == {"#000", "#fff", "#999"}
        assert "style" not in svg and "class=" not in svg
        looks.add((frozenset((line.size, line.bold) for line in lines(svg)), code_box(svg)))
        tops: dict[tuple[float, float, bool], float] = {}
        for line in lines(svg):
            place = (line.x, line.size, line.bold)
            tops[place] = min(line.y, tops.get(place, line.y))
        firsts.add(frozenset(tops.items()))
    assert len(looks) == 1
    assert len(firsts) == 1


@pytest.mark.parametrize(("size", "width", "height"), [(Size.A6, 105, 148), (Size.BANK_CARD, 85.6, 54)])
def test_the_picture_has_its_real_size_and_a_name(size: Size, width: float, height: float) -> None:
    root = parsed(cards.card(TEXT, FACTS, size))
    assert float(root.attrib["width"].removesuffix("mm")) == width
    assert float(root.attrib["height"].removesuffix("mm")) == height
    assert [float(n) for n in root.attrib["viewBox"].split()] == [0, 0, width, height]
    assert root.attrib["role"] == "img"
    assert root[0].tag == f"{SVG}title" and root[0].text == "Riverside Zoo: no face / 不刷脸"
    assert root[1].tag == f"{SVG}desc" and "A-1001" in str(root[1].text) and "2027-06-30" in str(root[1].text)
    assert root.attrib["font-family"].endswith("sans-serif")


@pytest.mark.parametrize("size", Size)
def test_the_code_on_the_card_is_that_of_the_pass_in_full_size(size: Size) -> None:
    svg = cards.card(TEXT, FACTS, size)
    (inner,) = parsed(svg).findall(f"{SVG}svg")
    side, path = codes.path(TEXT)
    assert inner.attrib["viewBox"] == f"0 0 {side} {side}"
    assert inner.attrib["shape-rendering"] == "crispEdges"
    assert inner[0].attrib["fill"] == "#fff" and inner[1].attrib["d"] == path
    assert parsed(svg)[-1].attrib == inner.attrib  # drawn last, on top of everything
    left, top, width = code_box(svg)
    assert width == {Size.A6: 59, Size.BANK_CARD: 46}[size]
    assert left >= 2 and top >= 2
    assert left + width <= size.value[0] - 2 and top + width <= size.value[1] - 2


def font(bold: bool) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, the widest of the usual fallbacks; it ships inside matplotlib, which is not imported."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        pytest.skip("no matplotlib, so no font to measure with")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name, 1000)


def right_edge(line: Line, fonts: dict[bool, ImageFont.FreeTypeFont]) -> float:
    """Return where a line ends; a Chinese sign, which this font does not have, is as wide as high."""
    wide = sum("\u2e80" <= sign <= "\uffef" for sign in line.words)
    rest = "".join(sign for sign in line.words if not "\u2e80" <= sign <= "\uffef")
    return line.x + line.size * (wide + fonts[line.bold].getlength(rest) / 1000)


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("custody", CUSTODIES)
def test_no_text_touches_the_code_the_edge_or_another_text(custody: Custody, name: str, size: Size) -> None:
    svg = cards.card(TEXT, replace(NAMES[name], custody=custody), size)
    fonts = {bold: font(bold) for bold in (False, True)}
    left, top, side = code_box(svg)
    boxes = [(line.x, line.y - 0.9 * line.size, right_edge(line, fonts), line.y + 0.24 * line.size)
             for line in lines(svg)]
    assert len(boxes) >= 9
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        assert x0 >= 4 and y0 >= 4 and x1 <= size.value[0] - 3 and y1 <= size.value[1] - 3, lines(svg)[number]
        assert x1 <= left or x0 >= left + side or y1 <= top or y0 >= top + side, lines(svg)[number]
        for u0, v0, u1, v1 in boxes[:number]:
            assert x1 <= u0 or x0 >= u1 or y1 <= v0 or y0 >= v1, lines(svg)[number]


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_name_is_lost_or_turned_into_markup(name: str, size: Size) -> None:
    facts = NAMES[name]
    svg = cards.card(TEXT, facts, size)
    drawn = "".join(line.words for line in lines(svg) if not line.language).replace(" ", "")
    shown = [facts.venue_name, facts.reference, "2027", *([facts.contact] if size is Size.A6 else [])]
    for words in shown if facts is not LONG else shown[:2]:
        assert words.replace(" ", "") in drawn
    tags = {node.tag for node in parsed(svg).iter()}
    assert tags == {f"{SVG}{tag}" for tag in ("svg", "title", "desc", "rect", "text", "path")}
    assert "href" not in {key for node in parsed(svg).iter() for key in node.attrib}


@pytest.mark.parametrize("size", Size)
def test_a_word_is_made_smaller_before_it_is_broken(size: Size) -> None:
    address = "data-protection@zoo.example" if size is Size.A6 else "Aquariumsverwaltung"
    facts = replace(FACTS, contact=address, venue_name=f"The {address}" if size is Size.BANK_CARD else "Zoo")
    assert any(address in line.words for line in lines(cards.card(TEXT, facts, size)))


def test_chinese_lines_do_not_begin_with_a_closing_mark() -> None:
    """The second line of 12 would end before a mark: 24 signs, and each fifth is one."""
    for custody in CUSTODIES:
        facts = replace(FACTS, contact="一二三四。" * 10, custody=custody)
        drawn = lines(cards.card(TEXT, facts, Size.A6))
        assert [line for line in drawn if line.words and unicodedata.category(line.words[0]) in {"Po", "Pe"}] == []
        assert sum("。" in line.words for line in drawn) > 4  # there are such marks


def refused(text: str, facts: CardFacts, size: Size) -> str:
    with pytest.raises(BadInput) as caught:
        cards.card(text, facts, size)
    assert caught.value.sentence.endswith(".")
    return caught.value.code


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("bad", ["", "  \n", "Zoo\0", "Zoo\x1b[2J", "Zoo\u202eooZ", "Zoo\ufffe", "\u3164", "\ud800"])
def test_empty_and_hidden_texts_are_refused(bad: str, size: Size) -> None:
    assert refused(TEXT, replace(FACTS, venue_name=bad), size) == "card-text"
    assert refused(TEXT, replace(FACTS, contact=bad), size) == "card-text"
    if bad:
        assert refused(TEXT, replace(FACTS, reference=bad), size) == "card-text"


@pytest.mark.parametrize("size", Size)
def test_a_name_that_fits_in_no_size_is_refused_not_cut(size: Size) -> None:
    assert refused(TEXT, replace(FACTS, venue_name="Zoo " * 400), size) == "card-text"
    assert refused(TEXT, replace(FACTS, reference="1234567890" * 30), size) == "card-text"
    assert refused(TEXT, replace(FACTS, contact="x" * 5000), Size.A6) == "card-text"


def test_a_pass_without_a_booking_number_has_a_card() -> None:
    assert "-" in [line.words for line in lines(cards.card(TEXT, replace(FACTS, reference=""), Size.BANK_CARD))]


def test_a_code_too_fine_for_the_card_is_refused() -> None:
    text = "CN1:" + "A1" * 740  # 1,484: the largest that a bank card holds is 1,460
    assert refused(text, FACTS, Size.BANK_CARD) == "code-too-long"
    assert cards.card(text, FACTS, Size.A6)
    assert refused("CN1:" + "A1" * 2100, FACTS, Size.A6) == "code-too-long"
    assert refused("CN1:a", FACTS, Size.A6) == "code-characters"


MEASURE = """
const found = [...document.querySelectorAll("body > svg")].map(card => {
  const box = node => { const b = node.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; };
  return {card: box(card), code: box(card.querySelector("svg svg > rect")),
          texts: [...card.querySelectorAll("text")].map(node => [node.textContent, ...box(node)])};
});
document.body.textContent = JSON.stringify(found);
"""


def test_a_browser_draws_no_text_on_the_code_or_over_the_edge(tmp_path: Path) -> None:
    drawn = [cards.card(TEXT, replace(facts, custody=custody), size)
             for facts in NAMES.values() for custody in CUSTODIES for size in Size]
    page = f"<!doctype html><meta charset=utf-8><body>{''.join(drawn)}<script>{MEASURE}</script>"
    body = re.search(r"<body>(.*)</body>", browser.page(page, tmp_path), re.DOTALL)
    assert body
    found: list[dict[str, Any]] = json.loads(html.unescape(body[1]))
    assert len(found) == len(drawn)
    for card in found:
        left, top, right, bottom = card["code"]
        edges = card["card"]
        assert right - left > 150 and len(card["texts"]) >= 9
        for words, x0, _, x1, _ in card["texts"]:
            assert x1 > x0 >= edges[0] and x1 <= edges[2], words
        for words, x0, y0, x1, y1 in card["texts"]:
            assert x1 <= left or x0 >= right or y1 <= top or y0 >= bottom, words
