"""C2SP tlog-tiles: names and widths of the specification, and proofs out of tiles equal those out of leaves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.events import leaf_hash
from actum.events.merkle import consistency_proof, inclusion_proof, root_at, root_of
from actum.events.tiles import Tile, hashes_of, node_at, pack_entries, tiles_between, unpack_entries

LEAVES = [leaf_hash(str(i).encode()) for i in range(70_000)]


def read(tile: Tile) -> bytes:
    """A tile out of the definition: MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l])."""
    assert tile.level is not None
    step = 256**tile.level
    first = tile.number * 256
    return b"".join(root_of(LEAVES[(first + i) * step : (first + i + 1) * step]) for i in range(tile.width))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(2, 1000, 17), "tile/2/x001/000.p/17"),
        (Tile(None, 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_names_are_those_of_the_specification(tile: Tile, path: str) -> None:
    """Indexes are split in threes, partial tiles say their width."""
    assert tile.path() == path


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    """The example of the specification, and that of 256."""
    found = Counter((tile.level, tile.width) for tile in tiles_between(0, 70_000))

    assert found == {(0, 256): 273, (0, 112): 1, (1, 256): 1, (1, 17): 1, (2, 1): 1}
    assert list(tiles_between(0, 256)) == [Tile(0, 0, 256), Tile(1, 0, 1)]


@forall(st.integers(0, 70_000), st.integers(0, 70_000))
def test_growing_writes_what_is_new_and_no_more(one: int, other: int) -> None:
    """What two steps write is what one step needs, and none of the full tiles is written twice."""
    old, new = sorted((one, other))
    first, second = list(tiles_between(0, old)), list(tiles_between(old, new))

    assert set(tiles_between(0, new)) <= {*first, *second}
    assert not {tile for tile in first if tile.width == 256} & set(second)


@settings(max_examples=30, deadline=None)
@forall(st.integers(1, 70_000), st.data())
def test_proofs_out_of_tiles_are_the_same(size: int, data: st.DataObject) -> None:
    """Inclusion, consistency and root out of tiles equal those out of all the leaves."""
    index = data.draw(st.integers(0, size - 1))
    node = node_at(read, size)

    assert root_at(node, size) == root_of(LEAVES[:size])
    assert inclusion_proof(node, index, size) == inclusion_proof(LEAVES, index, size)
    assert consistency_proof(node, index, size) == consistency_proof(LEAVES, index, size)


@forall(st.lists(st.binary(max_size=300), max_size=256))
def test_entries_come_back(entries: list[bytes]) -> None:
    """An entry bundle holds what was put in, each with its length before it."""
    assert unpack_entries(pack_entries(entries), Tile(None, 0, len(entries))) == entries


def test_the_length_is_two_bytes_big_endian() -> None:
    """The layout, byte for byte; the longest entry there can be fits."""
    assert pack_entries([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    assert len(pack_entries([bytes(65_535)])) == 65_537
    with pytest.raises(ValueError, match="65,536 bytes"):
        pack_entries([bytes(65_536)])


def test_what_was_cut_is_refused() -> None:
    """Cut tiles and bundles, and those with another count, raise; they are not half read."""
    packed = pack_entries([b"ab", b"cd"])
    with pytest.raises(ValueError, match="was cut"):
        unpack_entries(packed[:-1], Tile(None, 0, 2))
    with pytest.raises(ValueError, match="holds 2 entries, not 3"):
        unpack_entries(packed, Tile(None, 0, 3))
    with pytest.raises(ValueError, match="not 64"):
        hashes_of(bytes(63), Tile(0, 0, 2))
