"""Where the files of a published log lie, how wide they are, and bundles that hold something else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from countenance.errors import BadInput
from countenance.formats import merkle, tiles
from countenance.formats.tiles import ENTRIES

HASHES = [merkle.leaf_hash(b"%d" % number) for number in range(300)]


def code_of(act: Callable[..., object], *given: object) -> str:
    with pytest.raises(BadInput) as caught:
        act(*given)
    return caught.value.code


@pytest.mark.parametrize(("level", "number", "width", "path"), [
    (0, 0, 256, "tile/0/000"),
    (0, 0, 1, "tile/0/000.p/1"),
    (0, 999, 255, "tile/0/999.p/255"),
    (0, 1_000, 256, "tile/0/x001/000"),
    (1, 999_999, 256, "tile/1/x999/999"),
    (2, 1_000_000, 256, "tile/2/x001/x000/000"),
    (3, 1_234_067, 256, "tile/3/x001/x234/067"),
    (3, 1_234_067, 8, "tile/3/x001/x234/067.p/8"),
    (7, 0, 10, "tile/7/000.p/10"),
    (ENTRIES, 0, 256, "tile/entries/000"),
    (ENTRIES, 1_234_067, 17, "tile/entries/x001/x234/067.p/17"),
])
def test_a_tile_lies_where_c2sp_says(level: int, number: int, width: int, path: str) -> None:
    assert tiles.path(level, number, width) == path


def test_no_two_tiles_lie_in_one_place_and_none_in_anothers_folder() -> None:
    numbers, widths = (0, 1, 999, 1_000, 1_001, 10**6), (1, 2, 255, 256)
    paths = [tiles.path(level, number, width) for level in (0, 1, ENTRIES) for number in numbers for width in widths]
    assert len(set(paths)) == len(paths)
    assert not [(a, b) for a in paths for b in paths if b.startswith(f"{a}/")]


@pytest.mark.parametrize(("size", "last"), [
    (0, []),
    (1, [(0, 0, 1)]),
    (255, [(0, 0, 255)]),
    (256, [(0, 0, 256), (1, 0, 1)]),
    (257, [(0, 1, 1), (1, 0, 1)]),
    (512, [(0, 1, 256), (1, 0, 2)]),
    (65_535, [(0, 255, 255), (1, 0, 255)]),
    (65_536, [(0, 255, 256), (1, 0, 256), (2, 0, 1)]),
    (65_537, [(0, 256, 1), (1, 0, 256), (2, 0, 1)]),
    (70_000, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]),
    (2**63 - 1, [(level, (2**63 - 1) // 256 ** (level + 1), 255) for level in range(7)] + [(7, 0, 127)]),
])
def test_the_last_tile_of_each_level(size: int, last: list[tuple[int, int, int]]) -> None:
    """70,000 is the example of C2SP tlog-tiles."""
    assert tiles.widths(size) == last


def test_a_tile_is_split_into_its_hashes() -> None:
    for width in (1, 2, 255, 256):
        assert tiles.split(b"".join(HASHES[:width]), width) == HASHES[:width]


@pytest.mark.parametrize("width", [1, 2, 255, 256])
def test_a_tile_of_another_length_is_refused(width: int) -> None:
    data = b"".join(HASHES[:width])
    for wrong in (b"", data[:-1], data + b"\x00", data[:-32], data + HASHES[0], data[1:]):
        assert code_of(tiles.split, wrong, width) == "tile-short"


# -- bundles

BUNDLES = [[], [b""], [b"one"], [b"", b"", b"x"], [b"\x00" * 65_535], [b"%d" % n for n in range(256)],
           [b"x" * 65_535, b"", b"y" * 300]]


@pytest.mark.parametrize("entries", BUNDLES)
def test_a_bundle_is_read_as_it_was_written(entries: list[bytes]) -> None:
    assert tiles.unbundle(tiles.bundle(entries), len(entries)) == entries


def test_a_bundle_is_each_entry_behind_its_length() -> None:
    assert tiles.bundle([b"abc", b"", b"d" * 258]) == b"\x00\x03abc" + b"\x00\x00" + b"\x01\x02" + b"d" * 258


def test_an_entry_that_does_not_fit_is_not_cut() -> None:
    assert len(tiles.bundle([bytes(65_535)])) == 65_537
    with pytest.raises(OverflowError):
        tiles.bundle([bytes(65_536)])


@pytest.mark.parametrize("entries", BUNDLES)
def test_a_bundle_of_another_width_is_refused(entries: list[bytes]) -> None:
    data, width = tiles.bundle(entries), len(entries)
    for other in {width - 1, width + 1, 0, 256, 257} - {width}:
        assert code_of(tiles.unbundle, data, other) == "bundle-short"


@pytest.mark.parametrize("entries", BUNDLES[1:])
def test_a_bundle_with_bytes_missing_or_more_is_refused(entries: list[bytes]) -> None:
    data = tiles.bundle(entries)
    for wrong in (b"", data[:-1], data[:1], data[1:], data + b"\x00", data + b"\x00\x00", data + data):
        assert code_of(tiles.unbundle, wrong, len(entries)) == "bundle-short"


def test_a_bundle_cut_anywhere_is_refused() -> None:
    data = tiles.bundle([b"one", b"", b"three"])
    assert len({code_of(tiles.unbundle, data[:length], 3) for length in range(len(data))}) == 1


def test_a_length_that_points_beyond_the_end_is_refused() -> None:
    assert code_of(tiles.unbundle, b"\xff\xffabc", 1) == "bundle-short"
    assert code_of(tiles.unbundle, b"\x00\x01a\x00\x04bcd", 2) == "bundle-short"
