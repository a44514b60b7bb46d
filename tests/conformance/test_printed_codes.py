"""Printed, scanned and photographed: a pass's code must come back to exactly its text (docs/formats/card.md).

A print: the code in its real size at 300 dpi, turned by 10 degrees, with noise. A photograph: 1280 x 720, the code
300 pixels wide with its quiet zone, seen at a slant, lit from one side, slightly blurred, JPEG at quality 85.
"""

from __future__ import annotations

import io
import random
from datetime import date

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from countenance.errors import BadInput
from countenance.formats.passes import Custody
from countenance.integrations import cards, codes
from countenance.integrations.cards import Size
from support import browser

Grey = NDArray[np.uint8]
SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
LENGTHS = (350, 640, 1170)
"""Characters of a plain pass, of the default model's, and of the largest."""
SEEDS = range(5)
DPI = 300
WIDTH, HEIGHT = 1280, 720


def a_text(length: int, seed: int) -> str:
    return "CN1:" + "".join(random.Random(seed).choices(SIGNS, k=length - 4))  # noqa: S311  # a test's own text


def with_quiet_zone(text: str, side_px: int) -> Grey:
    """Draw the code, quiet zone included, on so many pixels, as a printer does: each pixel black or white."""
    black = np.pad(codes.modules(text), codes.QUIET)
    at = ((np.arange(side_px) + 0.5) * len(black) / side_px).astype(int)
    return np.where(black[np.ix_(at, at)], 0, 255).astype(np.uint8)


def turned(paper: Grey, degrees: float) -> Grey:
    height, width = paper.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = int(height * sine + width * cosine), int(height * cosine + width * sine)
    turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return cv2.warpAffine(paper, turn, size, borderValue=255).astype(np.uint8)


def specks(paper: Grey, rng: np.random.Generator) -> Grey:
    """Make 5% of the pixels black or white."""
    drawn = rng.random(paper.shape)
    return np.where(drawn < 0.025, 0, np.where(drawn < 0.05, 255, paper)).astype(np.uint8)


def grain(paper: Grey, rng: np.random.Generator) -> Grey:
    """Add normal noise of 5% of the full scale."""
    return np.clip(paper + rng.normal(0, 0.05 * 255, paper.shape), 0, 255).astype(np.uint8)


NOISES = {"specks": specks, "grain": grain}


def as_png(pixels: Grey) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def bank_card(text: str) -> Grey:
    """Return the card in its real size at 300 dpi, with nothing but the code on it."""
    width, height = (round(mm / 25.4 * DPI) for mm in Size.BANK_CARD.value)
    code = with_quiet_zone(text, round(codes.BANK_CARD_CODE_MM / 25.4 * DPI))
    paper = np.full((height, width), 255, np.uint8)
    y = (height - len(code)) // 2
    paper[y : y + len(code), width - 24 - len(code) : width - 24] = code
    return paper


def background(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a desk: soft shapes, with text-like strokes on it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    desk = np.asarray(110 + 50 * np.sin(x / 97) + 35 * np.cos(y / 53), np.float64)
    for _ in range(200):
        left, top = int(rng.integers(0, WIDTH - 40)), int(rng.integers(0, HEIGHT - 12))
        desk[top : top + int(rng.integers(2, 12)), left : left + int(rng.integers(2, 40))] = rng.integers(0, 255)
    return desk


def photograph(pictures: list[tuple[Grey, int, int]], seed: int, blur: float = 0.8, width: int = 300) -> bytes:
    """Photograph pictures at (left, top), each made `width` pixels wide, as a JPEG."""
    rng = np.random.default_rng(seed)
    seen, finer = background(rng), 4  # drawn four times as fine first: a camera's pixel sees an area
    for picture, left, top in pictures:
        side = float(len(picture))
        corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
        slant = rng.uniform(-0.04, 0.04, (4, 2)) * width
        there = corners * (width / side) + slant + (left, top)
        matrix = cv2.getPerspectiveTransform(corners, (there * finer).astype(np.float32))
        large = (WIDTH * finer, HEIGHT * finer)
        ink = cv2.resize(cv2.warpPerspective(picture, matrix, large), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        cover = cv2.resize(cv2.warpPerspective(np.full_like(picture, 255), matrix, large), (WIDTH, HEIGHT),
                           interpolation=cv2.INTER_AREA) / 255.0
        light = 0.7 + 0.3 * np.arange(WIDTH) / WIDTH
        seen = (20 * cover + 0.8 * ink * light) + (1 - cover) * seen
    seen = cv2.GaussianBlur(seen, (0, 0), blur) + rng.normal(0, 3, seen.shape)
    stream = io.BytesIO()
    Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8)).convert("RGB").save(stream, "JPEG", quality=85)
    return stream.getvalue()


def refused(picture: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        codes.read(picture)
    return caught.value.code


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_turned_and_noisy_print_is_read(length: int, noise: str, seed: int) -> None:
    text = a_text(length, seed)
    scan = turned(bank_card(text), 10)
    noisy = NOISES[noise](scan, np.random.default_rng(seed))
    assert (noisy != scan).mean() > 0.02
    assert codes.read(as_png(noisy)) == text


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_photograph_with_the_code_300_pixels_wide_is_read(length: int, seed: int) -> None:
    text = a_text(length, seed)
    picture = photograph([(with_quiet_zone(text, 1200), 200 + 90 * seed, 60 + 50 * seed)], seed)
    assert Image.open(io.BytesIO(picture)).size == (WIDTH, HEIGHT)
    assert codes.read(picture) == text


@pytest.mark.parametrize("length", LENGTHS)
def test_a_more_blurred_photograph_is_read_by_a_later_attempt(length: int) -> None:
    text = a_text(length, 7)
    assert codes.read(photograph([(with_quiet_zone(text, 1200), 400, 200)], 7, blur=1.5)) == text


@pytest.mark.parametrize("length", LENGTHS)
def test_a_photograph_with_specks_is_read_by_the_last_attempt(length: int) -> None:
    text = a_text(length, 8)
    seen = np.asarray(Image.open(io.BytesIO(photograph([(with_quiet_zone(text, 1200), 400, 200)], 8))).convert("L"))
    assert codes.read(as_png(specks(seen, np.random.default_rng(8)))) == text


@pytest.mark.parametrize("length", LENGTHS)
def test_a_page_scanned_at_300_dpi_is_read(length: int) -> None:
    """A4: 8.7 million pixels, more than are searched; the card is still found."""
    text = a_text(length, 3)
    page = np.full((3508, 2480), 250, np.uint8)
    card = bank_card(text)
    page[900 : 900 + len(card), 700 : 700 + card.shape[1]] = card
    assert codes.read(as_png(grain(turned(page, 10), np.random.default_rng(3)))) == text


# -- and what must not be read

def test_a_photograph_without_a_code() -> None:
    assert refused(photograph([], 1)) == "code-missing"
    assert refused(photograph([(np.full((600, 600), 255, np.uint8), 300, 200)], 1)) == "code-missing"


def test_two_cards_in_one_photograph() -> None:
    one, other = (with_quiet_zone(a_text(350, seed), 1200) for seed in (1, 2))
    assert refused(photograph([(one, 100, 200), (other, 700, 200)], 1)) == "code-several"
    assert codes.read(photograph([(one, 100, 200), (one, 700, 200)], 1)) == a_text(350, 1)


@pytest.mark.parametrize("left", [-100, -60, 1080])
def test_a_code_half_out_of_the_photograph(left: int) -> None:
    assert refused(photograph([(with_quiet_zone(a_text(640, 1), 1200), left, 200)], 1)) == "code-missing"


def test_a_code_too_small_to_be_seen() -> None:
    assert refused(photograph([(with_quiet_zone(a_text(1170, 1), 1200), 300, 200)], 1, width=100)) == "code-missing"


# -- the cards themselves, drawn by a browser

@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("size", Size)
def test_the_whole_card_printed_turned_and_noisy_is_read(
    size: Size, length: int, noise: str, card_pictures: dict[tuple[Size, int], tuple[str, Grey]]
) -> None:
    text, paper = card_pictures[size, length]
    assert codes.read(as_png(NOISES[noise](turned(paper, 10), np.random.default_rng(length)))) == text


@pytest.fixture(scope="module")
def card_pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Size, int], tuple[str, Grey]]:
    """Draw each size of card with each length of pass, in its real size at 300 dpi."""
    folder, found = tmp_path_factory.mktemp("cards"), {}
    facts = cards.CardFacts("Riverside Zoo", "desk@zoo.example", "A-1001", Custody("holder_keyed"), date(2027, 6, 30))
    for size in Size:
        for length in LENGTHS:
            text = a_text(length, 11)
            drawn = browser.picture(cards.card(text, facts, size), *size.value, folder)
            paper = np.asarray(Image.open(io.BytesIO(drawn)).convert("L"))
            expected = [mm / 25.4 * DPI for mm in size.value]
            assert np.allclose(paper.shape[::-1], expected, atol=5)
            found[size, length] = text, paper
    return found
