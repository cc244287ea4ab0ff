"""C2SP tlog-tiles: the tree as files of up to 256 hashes, and the entries as files of up to 256 entries. Pure.

    tile/<level>/<index>[.p/<width>]      hashes; level 0 are the leaves
    tile/entries/<index>[.p/<width>]      entries, each with its length in two bytes before it

`docs/formats/tiles.md` is the normative description. What is wrong in a tile raises `ValueError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from actum.events.merkle import NodeAt, root_of

__all__ = [
    "ENTRY_LIMIT_BYTES",
    "WIDTH",
    "Tile",
    "hashes_of",
    "node_at",
    "pack_entries",
    "tiles_between",
    "unpack_entries",
]

WIDTH: Final = 256
ENTRY_LIMIT_BYTES: Final = 65_535


class Tile(NamedTuple):
    """Which tile: `level` is None for entries. Narrower than 256 it is partial, and of one tree size only."""

    level: int | None
    number: int
    width: int

    def path(self) -> str:
        """Its path below the log's prefix."""
        level = "entries" if self.level is None else str(self.level)
        name = f"{self.number % 1000:03d}"
        rest = self.number // 1000
        while rest:
            name = f"x{rest % 1000:03d}/{name}"
            rest //= 1000
        return f"tile/{level}/{name}" + ("" if self.width == WIDTH else f".p/{self.width}")


def tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """The tiles that a tree of `new_size` has and one of `old_size` had not, the leaves first; without entries."""
    level = 0
    old, new = old_size, new_size
    while new:
        for index in range(old // WIDTH, new // WIDTH):
            yield Tile(level, index, WIDTH)
        if new % WIDTH and new != old:
            yield Tile(level, new // WIDTH, new % WIDTH)
        old, new, level = old // WIDTH, new // WIDTH, level + 1


def hashes_of(data: bytes, tile: Tile) -> list[bytes]:
    """The hashes in a tile's bytes."""
    if len(data) != 32 * tile.width:
        raise ValueError(f"{tile.path()} has {len(data)} bytes, not {32 * tile.width}: it was cut, or is another file")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle."""
    for entry in entries:
        if len(entry) > ENTRY_LIMIT_BYTES:
            raise ValueError(f"an entry has {len(entry):,} bytes; tiles hold at most {ENTRY_LIMIT_BYTES:,}")
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry))


def unpack_entries(data: bytes, tile: Tile) -> list[bytes]:
    """The entries of a bundle."""
    entries, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        at += 2
        if at + length > len(data):
            raise ValueError(f"{tile.path()} was cut: an entry of {length} bytes has {len(data) - at}")
        entries.append(data[at : at + length])
        at += length
    if len(entries) != tile.width:
        raise ValueError(f"{tile.path()} holds {len(entries)} entries, not {tile.width}")
    return entries


def node_at(read: Callable[[Tile], bytes], size: int) -> NodeAt:
    """Any complete subtree of the tree of this size, out of one tile: what proofs are made of.

    `read` gives a tile's bytes. Each is read once, however many proofs are made with what this returns.
    """
    known: dict[tuple[int, int], list[bytes]] = {}

    def hashes(level: int, index: int) -> list[bytes]:
        if (level, index) not in known:
            width = min(WIDTH, (size >> 8 * level) - index * WIDTH)
            tile = Tile(level, index, width)
            known[level, index] = hashes_of(read(tile), tile)
        return known[level, index]

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, 8)
        first = index << height
        if (first + (1 << height)) > size >> 8 * tile_level:
            raise ValueError(f"a tree of {size} leaves has no complete subtree {index} at level {level}")
        at = first % WIDTH
        return root_of(hashes(tile_level, first // WIDTH)[at : at + (1 << height)])

    return node
