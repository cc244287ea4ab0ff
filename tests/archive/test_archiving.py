"""Whole segments leave a signed log, prove themselves, and are recorded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from actum.archive import archive_log, read_segment, segments_of
from actum.archive.places import Folder
from actum.archive.segment import check_segment
from actum.errors import ArchiveDamaged, BadInput, CheckpointRefused, StoreUnavailable
from actum.events import RecordedEvent
from actum.events.checkpoint import SigningKey
from actum.eventstore import EventStore, open_store
from actum.testing.builders import KEY

from .conftest import SEGMENT, grow, sign

KEYS = [KEY.verifier()]


def archived(store: EventStore) -> list[dict[str, Any]]:
    return [e.facts for e in store.read_stream("system/default") if e.type == "segment.archived"]


def test_every_whole_signed_segment_is_archived(log: EventStore, folder: Folder) -> None:
    """Two of eight events each; the other four wait until their segment is whole."""
    new = archive_log(log, folder, KEYS, segment_events=SEGMENT)

    assert [(one.first, one.count) for one in new] == [(0, 8), (8, 8)]
    assert folder.names() == [
        "000000000000.parquet",
        "000000000000.payloads.parquet",
        "000000000008.parquet",
        "000000000008.payloads.parquet",
    ]
    assert archived(log) == [{"first": one.first, "count": 8, "root": one.root.hex()} for one in new]


def test_the_file_holds_the_headers_byte_for_byte(log: EventStore, folder: Folder) -> None:
    """What was hashed is what is there, in the order of the log, and the columns beside it say the same."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)

    rows = pq.read_table(folder.fetch("000000000008.parquet")).to_pylist()
    for row, event in zip(rows, log.read(7, 8), strict=True):
        assert row["header"].encode() == event.header
        assert (row["position"], row["stream"], row["version"]) == (event.position, event.stream, event.version)
        assert (row["id"], row["type"], row["actor_kind"]) == (event.id, event.type, event.actor.kind)


def test_personal_payloads_stay_in_the_log(log: EventStore, folder: Folder) -> None:
    """Erasing must be able to reach every copy: what is personal is not copied at all."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)

    table = pq.read_table(folder.fetch("000000000000.payloads.parquet")).to_pylist()
    assert [(row["position"], row["data"]) for row in table] == [(3, b'{"n":3}'), (6, b'{"n":6}')]


def test_archiving_again_adds_what_has_become_whole(log: EventStore, folder: Folder) -> None:
    """The second run has nothing to do; after more events and a checkpoint the third adds just the new segment."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    assert archive_log(log, folder, KEYS, segment_events=SEGMENT) == []

    grow(log, 20, 6)  # and two events that recorded the segments
    assert archive_log(log, folder, KEYS, segment_events=SEGMENT) == []
    sign(log)
    assert [one.first for one in archive_log(log, folder, KEYS, segment_events=SEGMENT)] == [16]
    assert [one["first"] for one in archived(log)] == [0, 8, 16]


@pytest.mark.parametrize("size", [8, 9, 16, 17, 23, 24, 31, 32, 33])
def test_the_proof_holds_at_every_size(tmp_path: Path, size: int) -> None:
    """Whatever the tree's shape, each segment leads to the signed root."""
    store = open_store("memory://")
    grow(store, 0, size)
    sign(store)

    for one in archive_log(store, Folder(tmp_path), KEYS, segment_events=SEGMENT):
        assert one.proves()
        assert check_segment(tmp_path / one.name, KEYS, tmp_path / one.payloads_name) == 0


@given(blocks=st.integers(1, 9), rest=st.integers(0, 3))
def test_a_segments_root_is_a_node_of_the_tree(blocks: int, rest: int) -> None:
    """The root over the segments' roots is the root over all leaves, as another program computes it."""
    from actum.events.merkle import root_of

    leaves = [bytes([i]) * 32 for i in range(blocks * 4 + rest)]
    stretches = [root_of(leaves[at : at + 4]) for at in range(0, len(leaves), 4)]
    judge = InmemoryTree(algorithm="sha256")
    for leaf in range(len(leaves)):
        judge.append_entry(bytes([leaf]))
    hashed = [judge.get_leaf(i + 1) for i in range(len(leaves))]

    assert root_of(stretches) == root_of(leaves)
    assert root_of([root_of(hashed[at : at + 4]) for at in range(0, len(hashed), 4)]) == judge.get_root()


def test_nothing_is_archived_that_nobody_signed(folder: Folder) -> None:
    """Without a checkpoint, or with one of a stranger, there is nothing to prove a segment by."""
    store = open_store("memory://")
    grow(store, 0, 20)
    assert archive_log(store, folder, KEYS, segment_events=SEGMENT) == []

    sign(store)
    stranger = SigningKey.generate("actum/default", seed=bytes(32)).verifier()
    assert archive_log(store, folder, [stranger], segment_events=SEGMENT) == []
    with pytest.raises(CheckpointRefused, match="no key was given"):
        archive_log(store, folder, [], segment_events=SEGMENT)
    assert folder.names() == []


def test_a_log_that_is_not_what_was_signed_is_refused(log: EventStore, folder: Folder) -> None:
    """One header in the log differs: nothing leaves it."""
    changed = RecordedEvent(5, log._log[5].header.replace(b'"success"', b'"failure"'))  # type: ignore[attr-defined]
    log._log[5] = changed  # type: ignore[attr-defined]

    with pytest.raises(CheckpointRefused, match="do not give the root that was signed at size 20"):
        archive_log(log, folder, KEYS, segment_events=SEGMENT)
    assert folder.names() == []
    assert archived(log) == []


def test_another_logs_archive_is_refused(log: EventStore, folder: Folder) -> None:
    """A log whose events are not those in the archive cannot add to it."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    other = open_store("memory://")
    grow(other, 100, 30)
    sign(other)

    with pytest.raises(CheckpointRefused, match="do not give the root"):
        archive_log(other, folder, KEYS, segment_events=SEGMENT)
    assert len(segments_of(folder, "default")) == 2


def test_another_size_of_segments_is_refused(log: EventStore, folder: Folder) -> None:
    """Segments are of one size, and that a power of two."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)

    with pytest.raises(ArchiveDamaged, match="holds 8 events from 0 on, not 4"):
        archive_log(log, folder, KEYS, segment_events=4)
    for size in (0, -8, 12):
        with pytest.raises(BadInput, match="a power of two of events"):
            archive_log(log, folder, KEYS, segment_events=size)


@pytest.mark.parametrize("killed_after", range(4))
def test_a_run_that_was_killed_is_completed_by_the_next(
    log: EventStore, folder: Folder, killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of files; what is there is used, what is missing is made, each segment is recorded once."""
    put, made = folder.put, []

    def dying(name: str, path: Path) -> None:
        if len(made) == killed_after:
            raise KeyboardInterrupt
        made.append(name)
        put(name, path)

    monkeypatch.setattr(folder, "put", dying)
    with pytest.raises(KeyboardInterrupt):
        archive_log(log, folder, KEYS, segment_events=SEGMENT)
    monkeypatch.undo()
    archive_log(log, folder, KEYS, segment_events=SEGMENT)

    assert [one.first for one in segments_of(folder, "default")] == [0, 8]
    assert [one["first"] for one in archived(log)] == [0, 8]


def test_segments_that_were_not_recorded_are_recorded_later(
    log: EventStore, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the log does not answer after the files were put, the next run writes down what is there."""

    def away(batch: Any) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(log, "append", away)
    with pytest.raises(StoreUnavailable):
        archive_log(log, folder, KEYS, segment_events=SEGMENT)
    monkeypatch.undo()
    assert archived(log) == []
    assert archive_log(log, folder, KEYS, segment_events=SEGMENT) == []
    assert [one["first"] for one in archived(log)] == [0, 8]


def test_what_is_no_segment_says_so(tmp_path: Path) -> None:
    """Another file, half a file, a Parquet file of somebody else."""
    import pyarrow as pa

    (tmp_path / "text.parquet").write_text("hello")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    for name in ("text.parquet", "other.parquet", "missing.parquet"):
        with pytest.raises(ArchiveDamaged, match="is no segment"):
            read_segment(tmp_path / name)
