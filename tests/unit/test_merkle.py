"""The tree of the log against RFC 6962 as it is written (support.naive_tree), and proofs that show something else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest

from countenance.errors import BadInput
from countenance.formats import merkle
from support import naive_tree

SIZES = range(66)
ENTRIES = [b"entry %d" % number for number in range(len(SIZES))]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]

PUBLISHED = [bytes.fromhex(entry) for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                                "606162636465666768696a6b6c6d6e6f")]
"""The entries of Certificate Transparency's own tests, whose roots are widely published."""

ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@cache
def root(size: int) -> bytes:
    return naive_tree.mth(ENTRIES[:size])


@cache
def path(index: int, size: int) -> tuple[bytes, ...]:
    return tuple(naive_tree.path(index, ENTRIES[:size]))


@cache
def proof(old: int, size: int) -> tuple[bytes, ...]:
    return tuple(naive_tree.proof(old, ENTRIES[:size])) if 0 < old < size else ()


def shown(leaf: bytes, index: int, size: int, steps: Sequence[bytes], expected: bytes) -> bool:
    try:
        merkle.require_inclusion(leaf, index, size, steps, expected)
    except BadInput as refused:
        assert refused.code == "inclusion-wrong"
        return False
    return True


def grown(old: int, old_root: bytes, size: int, new_root: bytes, steps: Sequence[bytes]) -> bool:
    try:
        merkle.require_consistency(old, old_root, size, new_root, steps)
    except BadInput as refused:
        assert refused.code == "consistency-wrong"
        return False
    return True


def spoiled(steps: Sequence[bytes]) -> list[list[bytes]]:
    """The same proof cut, lengthened, turned round, with one bit of each hash flipped, and with a hash cut short."""
    steps = list(steps)
    other = [steps[:-1], steps[1:], steps[::-1], [*steps, bytes(32)], [bytes(32), *steps], [*steps, *steps[-1:]]]
    for at, value in enumerate(steps):
        other.append([*steps[:at], bytes([value[0] ^ 1]) + value[1:], *steps[at + 1:]])
        other += [[*steps[:at], short, *steps[at + 1:]] for short in (value[:-1], value + b"\x00", b"")]
    return [changed for changed in other if changed != steps]


# -- roots


def test_the_published_roots() -> None:
    assert [merkle.root(map(merkle.leaf_hash, PUBLISHED[:size])).hex() for size in range(9)] == ROOTS
    assert [naive_tree.mth(PUBLISHED[:size]).hex() for size in range(9)] == ROOTS


@pytest.mark.parametrize("size", SIZES)
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert merkle.root(LEAVES[:size]) == root(size)


def test_a_tree_that_grows_has_every_root_on_its_way() -> None:
    growing = merkle.Range()
    for size in SIZES:
        assert growing.size == size
        assert growing.root() == growing.root() == root(size)
        if size < len(LEAVES):
            growing.add(LEAVES[size])


def test_a_node_is_no_leaf() -> None:
    """Without the bytes before them, the two children of a root could be passed off as one entry."""
    left, right = LEAVES[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right) == root(2)
    assert not shown(merkle.leaf_hash(left + right), 0, 1, [], root(2))


# -- inclusion


@pytest.mark.parametrize("size", SIZES)
def test_every_entry_is_shown_and_at_no_other_place(size: int) -> None:
    for index in range(size):
        steps = path(index, size)
        assert shown(LEAVES[index], index, size, steps, root(size))
        others = [other for other in range(-1, size + 2) if other != index]
        assert not any(shown(LEAVES[index], other, size, steps, root(size)) for other in others)
        assert not shown(LEAVES[index - 1], index, size, steps, root(size)) or size == 1


def test_a_proof_is_for_one_size_where_its_shape_says_so() -> None:
    """The size is not hashed: where the shapes agree the root tells them apart, so the root is that of the size."""
    for size in SIZES[1:]:
        for index in range(size):
            for other in SIZES[1:]:
                if other != size:
                    assert not shown(LEAVES[index], index, other, path(index, size), root(other))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 21, 64, 65])
def test_a_spoiled_proof_shows_nothing(size: int) -> None:
    for index in range(size):
        steps = path(index, size)
        for changed in spoiled(steps):
            assert not shown(LEAVES[index], index, size, changed, root(size))
        for wrong in (root(size - 1), bytes(32), root(size)[:-1], b""):
            assert not shown(LEAVES[index], index, size, steps, wrong)
        assert not shown(LEAVES[index][:-1], index, size, steps, root(size))


def test_nothing_is_in_an_empty_tree() -> None:
    assert not shown(LEAVES[0], 0, 0, [], merkle.EMPTY)
    assert not shown(merkle.EMPTY, 0, 0, [], merkle.EMPTY)
    assert not shown(LEAVES[0], -1, 0, [], merkle.EMPTY)


def test_the_longest_tree_and_one_step_more() -> None:
    """The last of 2^63 entries has 63 hashes above it; a proof of 64 is not even counted through."""
    size, here = 1 << 63, LEAVES[0]
    for _ in range(63):
        here = merkle.node_hash(bytes(32), here)
    assert shown(LEAVES[0], size - 1, size, [bytes(32)] * 63, here)
    assert not shown(LEAVES[0], size * 2 - 1, size * 2, [bytes(32)] * 64, merkle.node_hash(bytes(32), here))
    assert not shown(LEAVES[0], size - 1, size, [bytes(32)] * 1_000_000, here)


# -- consistency


@pytest.mark.parametrize("size", SIZES)
def test_every_growth_is_shown_and_none_from_another_size(size: int) -> None:
    for old in range(size + 1):
        steps = proof(old, size)
        assert grown(old, root(old), size, root(size), steps)
        for other in range(-1, size + 2):
            if other != old:
                assert not grown(other, root(old), size, root(size), steps)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 21, 64, 65])
def test_a_spoiled_growth_shows_nothing(size: int) -> None:
    for old in range(size + 1):
        steps = proof(old, size)
        for changed in spoiled(steps):
            assert not grown(old, root(old), size, root(size), changed), (old, changed)
        for wrong in (bytes(32), root(old)[:-1], b""):
            assert not grown(old, wrong, size, root(size), steps)
            assert old == 0 < size or not grown(old, root(old), size, wrong, steps)
        assert old == 0 or not grown(size, root(size), old, root(old), steps) or old == size


@pytest.mark.parametrize("size", range(2, 34))
def test_a_log_that_changed_an_old_entry_did_not_only_grow(size: int) -> None:
    for old in range(1, size):
        changed = [*ENTRIES[:old - 1], b"another", *ENTRIES[old:size]]
        forged = naive_tree.mth(changed)
        assert not grown(old, root(old), size, forged, naive_tree.proof(old, changed))
        assert not grown(old, root(old), size, forged, proof(old, size))


def test_the_empty_tree_is_the_beginning_of_every_tree_and_has_one_root() -> None:
    assert grown(0, merkle.EMPTY, 0, merkle.EMPTY, [])
    assert grown(0, merkle.EMPTY, 9, root(9), [])
    assert not grown(0, merkle.EMPTY, 9, root(9), [root(9)])
    assert not grown(0, root(9), 9, root(9), [])
    assert not grown(0, merkle.EMPTY, 0, root(9), [])
    assert not grown(0, bytes(32), 0, bytes(32), [])


def test_of_one_size_there_is_one_root() -> None:
    assert grown(9, root(9), 9, root(9), [])
    assert not grown(9, root(9), 9, root(8), [])
    assert not grown(9, root(9), 9, root(9), [root(9)])
