"""The tree over the store's log gives what RFC 6962 says, at every size around the edge of a tile."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import pytest

from countenance.errors import BadInput, StoreFault
from countenance.flows.venue import Venue
from countenance.formats import merkle
from countenance.transparency.tree import Tree
from support import naive_tree
from support.filled_log import alter, entries_of, fill

EDGES = [*range(255, 259), *range(511, 514)]


def test_roots_and_proofs_are_those_of_the_rfc_around_a_tiles_edge(venue: Venue, folder: Path) -> None:
    fill(venue, max(EDGES))
    entries = entries_of(folder)
    assert len(entries) == max(EDGES)
    with venue.store.read() as unit:
        tree = Tree(unit.connection)
        for size in (0, 1, 2, 3, 7, 8, *EDGES):
            assert tree.root(size) == naive_tree.mth(entries[:size])
        for size in (3, 8, *EDGES):
            for index in {0, 1, size // 2, size - 2, size - 1, min(255, size - 1), min(256, size - 1)}:
                proof = tree.inclusion(index, size)
                assert list(proof) == naive_tree.path(index, entries[:size])
                merkle.require_inclusion(merkle.leaf_hash(entries[index]), index, size, proof, tree.root(size))
        for old, size in [*pairwise(EDGES), (1, 513), (128, 513), (255, 513), (256, 513), (3, 8)]:
            between = tree.consistency(old, size)
            assert list(between) == naive_tree.proof(old, entries[:size])
            merkle.require_consistency(old, tree.root(old), size, tree.root(size), between)


@pytest.mark.parametrize("size", range(253, 260))
def test_every_entry_of_a_store_that_ends_near_an_edge_is_proven(venue: Venue, folder: Path, size: int) -> None:
    """The last tile is kept nowhere until it is full: what is read is another thing at each of these."""
    fill(venue, size)
    entries = entries_of(folder)
    root = naive_tree.mth(entries)
    with venue.store.read() as unit:
        tree = Tree(unit.connection)
        assert tree.root(size) == root
        for index in range(size):
            merkle.require_inclusion(merkle.leaf_hash(entries[index]), index, size, tree.inclusion(index, size), root)
        for old in range(1, size):
            merkle.require_consistency(old, naive_tree.mth(entries[:old]), size, root, tree.consistency(old, size))


def test_a_third_level_of_tiles(venue: Venue, folder: Path) -> None:
    sizes = (65_535, 65_536, 65_537)
    for size in sizes:
        fill(venue, size, step=7_001)  # transactions that end anywhere, and fill many tiles each
        entries = entries_of(folder)
        with venue.store.read() as unit:
            tree = Tree(unit.connection)
            root = merkle.root(merkle.leaf_hash(entry) for entry in entries)
            assert tree.root(size) == root
            for index in {0, 255, 256, 32_767, 65_279, 65_280, 65_534, size - 1}:
                proof = tree.inclusion(index, size)
                merkle.require_inclusion(merkle.leaf_hash(entries[index]), index, size, proof, root)
            for old in {1, 256, 257, 40_000, 65_279, 65_280, 65_534} | {one for one in sizes if one < size}:
                merkle.require_consistency(old, tree.root(old), size, root, tree.consistency(old, size))
    assert naive_tree.mth(entries) == root
    assert list(proof_now(venue, 65_536)) == naive_tree.path(65_536, entries)


def proof_now(venue: Venue, index: int) -> tuple[bytes, ...]:
    with venue.store.read() as unit:
        tree = Tree(unit.connection)
        return tree.inclusion(index, tree.size)


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, 10_000), (9_999, 10_000)])
def test_no_proof_of_what_is_not_there(venue: Venue, index: int, size: int) -> None:
    with venue.store.read() as unit:
        tree = Tree(unit.connection)
        tree.inclusion(0, tree.size)
        with pytest.raises(BadInput) as caught:
            tree.inclusion(index, size)
        assert caught.value.code == "log-size"
        with pytest.raises(BadInput) as caught:
            tree.consistency(tree.size, tree.size - 1)
        assert caught.value.code == "log-size"


@pytest.mark.parametrize("statement", [
    "DELETE FROM log_tile WHERE level = 0 AND number = 1",
    "DELETE FROM log_tile WHERE level = 1",
    "UPDATE log_tile SET hashes = x'' WHERE level = 1",
    "UPDATE log_tile SET hashes = substr(hashes, 1, 8191) WHERE level = 0 AND number = 1",
    "DELETE FROM event WHERE event_id = 600",
])
def test_what_is_missing_is_told_and_never_made_up(venue: Venue, folder: Path, statement: str) -> None:
    fill(venue, 600)
    alter(folder, statement)
    with venue.store.read() as unit:
        tree = Tree(unit.connection)
        with pytest.raises(StoreFault) as caught:
            tree.root(600)
            tree.inclusion(300, 600)
        assert caught.value.code == "log-damaged"


def test_a_hash_that_was_altered_gives_no_proof_that_verifies(venue: Venue, folder: Path) -> None:
    fill(venue, 600)
    entries = entries_of(folder)
    root = naive_tree.mth(entries)
    alter(folder, "UPDATE log_tile SET hashes = CAST(? || substr(hashes, 33) AS BLOB) WHERE level = 0 AND number = 0",
          hashlib.sha256(b"").digest())
    with venue.store.read() as unit:
        proof = Tree(unit.connection).inclusion(1, 600)
    with pytest.raises(BadInput) as caught:
        merkle.require_inclusion(merkle.leaf_hash(entries[1]), 1, 600, proof, root)
    assert caught.value.code == "inclusion-wrong"
