"""Beside the segments lie the complete tiles of what they hold: proofs come out of the archive alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from actum.archive import archive_log, check_archive
from actum.archive.places import ArchivePlace, Folder
from actum.archive.tiles import tile_nodes
from actum.events import leaf_hash
from actum.events.merkle import consistency_proof, inclusion_proof, root_of, verify_consistency, verify_inclusion
from actum.eventstore import ANY, Append, EventStore, open_store
from actum.eventstore.sealing.tile_folder import TileFolder
from actum.testing.builders import KEY, event, signed

KEYS = [KEY.verifier()]


def long_log(count: int) -> EventStore:
    store = open_store("memory://")
    for first in range(0, count, 100):
        store.append([Append("s/0", ANY, [event(i) for i in range(first, min(first + 100, count))])])
    store.add_checkpoint(count, signed(store, count))
    return store


def tiles(folder: Folder) -> dict[str, bytes]:
    found = (path for path in sorted(folder.path.rglob("tile/**/*")) if path.is_file())
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in found}


@pytest.mark.parametrize("segment", [64, 256, 512])
def test_complete_tiles_lie_beside_the_segments(folder: Folder, tmp_path: Path, segment: int) -> None:
    """The same bytes as in a folder of tiles of the log, whole ones only, however long a segment is."""
    log = long_log(1_100)
    other = TileFolder(tmp_path / "tiles")
    other.extend(log, log.checkpoints()[-1][1])
    archive_log(log, folder, KEYS, segment_events=segment)

    names = [f"tile/0/{i:03d}" for i in range(1_100 // segment * segment // 256)]
    assert tiles(folder) == {name: (other.path / name).read_bytes() for name in names}
    assert check_archive(folder, "default", KEYS).verdict == "verified"


@pytest.mark.slow
def test_upper_tiles_are_made_of_those_below(folder: Folder, tmp_path: Path) -> None:
    """With 65,536 events the first tile of level 1 is complete, also when many segments made it."""
    log = long_log(65_600)
    archive_log(log, folder, KEYS, segment_events=8_192)
    leaves = [leaf_hash(row.header) for row in log.read_raw(limit=65_536)]

    assert len(tiles(folder)) == 257
    assert tiles(folder)["tile/1/000"] == b"".join(root_of(leaves[i : i + 256]) for i in range(0, 65_536, 256))
    (tiles_check,) = [c for c in check_archive(folder, "default", KEYS).checks if c.name == "tiles"]
    assert tiles_check.detail == "257 complete tiles, each of the headers in the segments"


def test_proofs_come_out_of_the_archive(folder: Folder) -> None:
    """Of an event, and of growth, without the log; they hold against roots from elsewhere."""
    log = long_log(1_100)
    archive_log(log, folder, KEYS, segment_events=256)
    leaves = [leaf_hash(row.header) for row in log.read_raw(limit=1_024)]
    node = tile_nodes(folder, 1_024)

    for position in (0, 255, 256, 1_023):
        assert verify_inclusion(
            leaves[position], position, 1_024, inclusion_proof(node, position, 1_024), root_of(leaves)
        )
    assert verify_consistency(300, root_of(leaves[:300]), 1_024, root_of(leaves), consistency_proof(node, 300, 1_024))


@pytest.mark.parametrize("harm", ["changed", "missing", "cut"])
def test_a_tile_that_is_not_right_is_named(folder: Folder, harm: str) -> None:
    """By its file, and the first event under it."""
    archive_log(long_log(1_100), folder, KEYS, segment_events=256)
    path = folder.path / "tile/0/002"
    raw = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(raw[:-32] if harm == "cut" else bytes([raw[0] ^ 1]) + raw[1:])

    found = check_archive(folder, "default", KEYS)
    assert found.verdict == "failed"
    (wrong,) = [check for check in found.checks if check.ok is False]
    assert wrong.name == "tiles"
    assert "event 512: tile/0/002" in wrong.detail


def test_tiles_lie_in_a_bucket_too(s3_place: ArchivePlace) -> None:
    """Under the same names; a second run writes none again."""
    log = long_log(600)
    archive_log(log, s3_place, KEYS, segment_events=256)
    archive_log(log, s3_place, KEYS, segment_events=256)

    assert check_archive(s3_place, "default", KEYS, store=log).verdict == "verified"
