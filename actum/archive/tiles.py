"""The complete hash tiles of what is archived, beside the segments: for proofs out of the archive alone.

C2SP tlog-tiles (docs/formats/tiles.md), without the entries: those are the headers in the segments, and would double
the archive. Only complete tiles are written, so none is ever written again. A segment's tiles are put before it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from actum.archive.places import ArchivePlace
from actum.archive.reading import ArchivedEvents
from actum.archive.segment import Segment
from actum.errors import ArchiveDamaged, StoreRefused
from actum.events import leaf_hash
from actum.events.merkle import NodeAt, root_of
from actum.events.tiles import WIDTH, Tile, hashes_of, node_at, tiles_between
from actum.eventstore.check.verdict import Check, Faults

__all__ = ["check_tiles", "complete_tiles", "put_tiles", "tile_nodes"]


def complete_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """The tiles that are complete in a log of `new_size` and were not in one of `old_size`, lower levels first."""
    return (tile for tile in tiles_between(old_size, new_size) if tile.width == WIDTH)


def put_tiles(place: ArchivePlace, tenant: str, first: int, leaves: Sequence[bytes]) -> int:
    """Put the tiles that become complete by these leaves, which follow the archived events; how many."""
    made: dict[Tile, list[bytes]] = {}
    with tempfile.TemporaryDirectory(prefix="actum-tiles-") as here:
        file = Path(here) / "tile"
        for tile in complete_tiles(first, first + len(leaves)):
            start = tile.number * WIDTH
            if tile.level:
                below = (Tile(tile.level - 1, start + i, WIDTH) for i in range(WIDTH))
                made[tile] = [root_of(made.get(one) or _read(place, one)) for one in below]
            else:
                before = ArchivedEvents(place, tenant).between(start, min(first, start + WIDTH), payloads=False)
                new = leaves[max(start - first, 0) : start + WIDTH - first]
                made[tile] = [*(leaf_hash(row.header) for row in before), *new]
            file.write_bytes(b"".join(made[tile]))
            place.put(tile.path(), file)
    return len(made)


def tile_nodes(place: ArchivePlace, size: int) -> NodeAt:
    """Complete subtrees of the first `size` events, a multiple of 256, for making proofs of them.

    Check each proof against a verified checkpoint: tiles are not signed.
    """

    def read(tile: Tile) -> bytes:
        if tile.width < WIDTH and tile.level:  # not complete, so not here: it is made of those below
            below = (Tile(tile.level - 1, tile.number * WIDTH + i, WIDTH) for i in range(tile.width))
            return b"".join(root_of(_read(place, one)) for one in below)
        return b"".join(_read(place, tile))

    return node_at(read, size)


def check_tiles(place: ArchivePlace, tenant: str, segments: Sequence[Segment]) -> Check:
    """Whether every complete tile of these segments is there, and is of their headers."""
    faults = Faults("tiles")
    size = sum(segment.count for segment in segments)
    levels: list[list[bytes]] = [[]]
    numbers = [0]
    right = 0

    def add(level: int, node: bytes) -> int:
        """Put a node behind the others of its level; a tile that is complete by it is compared. How many were right."""
        if level == len(levels):
            levels.append([])
            numbers.append(0)
        levels[level].append(node)
        if len(levels[level]) < WIDTH:
            return 0
        tile, hashes = Tile(level, numbers[level], WIDTH), levels[level]
        levels[level], numbers[level] = [], numbers[level] + 1
        problem = _problem(place, tile, hashes)
        if problem:
            faults.at(tile.number * WIDTH ** (level + 1), None, None, problem)
        return (not problem) + add(level + 1, root_of(hashes))

    try:
        for row in ArchivedEvents(place, tenant).between(0, size, payloads=False):
            right += add(0, leaf_hash(row.header))
    except ArchiveDamaged as exc:
        return Check("tiles", None, f"not checked: {exc.problem}")
    return faults.check(f"{right} complete tiles, each of the headers in the segments")


def _problem(place: ArchivePlace, tile: Tile, hashes: list[bytes]) -> str:
    try:
        there = place.fetch_again(tile.path()).read_bytes()
    except (ArchiveDamaged, StoreRefused) as exc:
        return f"{tile.path()} is missing ({exc})"
    return "" if there == b"".join(hashes) else f"{tile.path()} is not of these events"


def _read(place: ArchivePlace, tile: Tile) -> list[bytes]:
    try:
        return hashes_of(place.fetch(tile.path()).read_bytes(), tile)
    except ValueError as exc:
        raise ArchiveDamaged(place.url, tile.number * WIDTH ** ((tile.level or 0) + 1), str(exc)) from exc
