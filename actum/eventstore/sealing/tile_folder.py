"""A log's tree and entries as a folder of C2SP tlog-tiles: to publish, to archive, and to make proofs from quickly.

The folder is made from a signed checkpoint and ends with it: tiles first, `checkpoint` last, each file under its name
only when it is whole. A crash leaves files that the next run writes again as they were.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from actum.errors import CheckpointRefused, StoreDamaged
from actum.events import leaf_hash
from actum.events.checkpoint import Checkpoint, parse_unverified
from actum.events.merkle import NodeAt, root_at, root_of
from actum.events.tiles import WIDTH, Tile, hashes_of, node_at, pack_entries, tiles_between, unpack_entries
from actum.eventstore.protocol import EventStore

__all__ = ["TileFolder"]


class TileFolder:
    """The folder at this path; made by the first `extend`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self) -> str | None:
        """The checkpoint that the folder is of; None for a new folder."""
        try:
            return (self.path / "checkpoint").read_text("utf-8")
        except FileNotFoundError:
            return None

    def read(self, tile: Tile) -> bytes:
        """A tile's bytes; of a partial one also out of the full one that took its place. Unverified."""
        for wanted in (tile, tile._replace(width=WIDTH)):
            path = self.path / wanted.path()
            if path.exists() and (wanted == tile or tile.level is not None):
                data = path.read_bytes()
                return data if wanted == tile else data[: 32 * tile.width]
        raise CheckpointRefused(str(self.path), f"has no {tile.path()}; write the tiles again into a new folder")

    def nodes(self, size: int) -> NodeAt:
        """Complete subtrees for making proofs. Check each proof against a verified checkpoint: tiles are not signed."""
        return node_at(self.read, size)

    def extend(self, store: EventStore, note: str) -> int:
        """Write what the checkpoint covers and the folder does not; how many entries that was.

        Raises `StoreDamaged` when the log does not give the checkpoint's root, and `CheckpointRefused` when the folder
        is of another log or of a later size; `checkpoint` is then as it was.
        """
        checkpoint = parse_unverified(note)
        before = self._before(checkpoint)
        leaves = self._write_entries(store, before.size if before else 0, checkpoint.size)
        self._write_hashes(before.size if before else 0, checkpoint)
        os.sync()  # once for all tiles, where a flush for each would take longer than the rest
        self._put("checkpoint", note.encode(), flush=True)
        return leaves

    def check(self) -> Checkpoint:
        """Read every file again: entries give the leaves, leaves the upper tiles, and those the checkpoint's root.

        Raises `CheckpointRefused` naming the first file that is wrong. Who signed is for the caller to verify.
        """
        note = self.note()
        if note is None:
            raise CheckpointRefused(str(self.path), "has no file 'checkpoint', so it is no tile folder")
        checkpoint = parse_unverified(note)
        try:
            for tile in tiles_between(0, checkpoint.size):
                hashes = hashes_of(self.read(tile), tile)
                if tile.level == 0:
                    entries = tile._replace(level=None)
                    if [leaf_hash(entry) for entry in unpack_entries(self.read(entries), entries)] != hashes:
                        raise CheckpointRefused(
                            str(self.path), f"{entries.path()} does not give the hashes of {tile.path()}"
                        )
                elif [self._root_below(tile, i) for i in range(tile.width)] != hashes:
                    raise CheckpointRefused(str(self.path), f"{tile.path()} is not made of the tiles below it")
            root = root_at(self.nodes(checkpoint.size), checkpoint.size)
        except ValueError as exc:
            raise CheckpointRefused(str(self.path), str(exc)) from exc
        if root != checkpoint.root:
            raise CheckpointRefused(
                str(self.path), f"its tiles do not give the root of the checkpoint of {checkpoint.size}"
            )
        return checkpoint

    def _root_below(self, tile: Tile, i: int) -> bytes:
        assert tile.level is not None
        child = Tile(tile.level - 1, tile.number * WIDTH + i, WIDTH)
        return root_of(hashes_of(self.read(child), child))

    def _before(self, checkpoint: Checkpoint) -> Checkpoint | None:
        note = self.note()
        if note is None:
            return None
        before = parse_unverified(note)
        if before.origin != checkpoint.origin:
            raise CheckpointRefused(str(self.path), f"is of the log {before.origin!r}, not of {checkpoint.origin!r}")
        if before.size > checkpoint.size:
            raise CheckpointRefused(
                str(self.path), f"is of size {before.size} already; a checkpoint of size {checkpoint.size} is older"
            )
        return before

    def _write_entries(self, store: EventStore, old_size: int, size: int) -> int:
        """Entry bundles and level 0, from the first bundle that is not full; how many new entries there are."""
        start = old_size // WIDTH * WIDTH
        rows = (row.header for row in store.read_raw(after=start - 1, limit=size - start))
        at = start
        while at < size:
            entries = list(islice(rows, min(WIDTH, size - at)))
            if len(entries) < min(WIDTH, size - at):
                raise StoreDamaged(at + len(entries), f"the event is missing, though {size} were signed")
            tile = Tile(0, at // WIDTH, len(entries))
            self._put(tile._replace(level=None).path(), pack_entries(entries))
            self._put(tile.path(), b"".join(map(leaf_hash, entries)))
            at += len(entries)
        return size - old_size

    def _write_hashes(self, old_size: int, checkpoint: Checkpoint) -> None:
        for tile in tiles_between(old_size, checkpoint.size):
            if tile.level:
                self._put(tile.path(), b"".join(self._root_below(tile, i) for i in range(tile.width)))
        if root_at(self.nodes(checkpoint.size), checkpoint.size) != checkpoint.root:
            raise StoreDamaged(
                max(checkpoint.size - 1, 0),
                f"the log does not give the root that was signed for {checkpoint.size} events",
            )

    def _put(self, name: str, data: bytes, *, flush: bool = False) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        with beside.open("wb") as file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
