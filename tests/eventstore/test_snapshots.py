"""Snapshots: used by the code and over the log that they are of, and otherwise as if they were not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actum.eventstore import EventStore, open_store
from actum.eventstore.snapshots import Snapshot, load_snapshot, save_snapshot
from actum.testing.builders import batch


@pytest.fixture
def store() -> EventStore:
    store = open_store("memory://")
    store.append(batch(0, 1, 2))
    return store


@pytest.fixture
def file(tmp_path: Path, store: EventStore) -> Path:
    path = tmp_path / "snapshot"
    assert save_snapshot(path, store, "code-1", Snapshot(1, b"state\nwith lines"))
    return path


def test_a_snapshot_comes_back_while_code_and_log_are_its_own(file: Path, store: EventStore) -> None:
    """The state and its position, also when the log has grown since."""
    store.append(batch(3))
    assert load_snapshot(file, store, "code-1") == Snapshot(1, b"state\nwith lines")
    assert [path.name for path in file.parent.iterdir()] == ["snapshot"]


def other_log(store: EventStore) -> EventStore:
    other = open_store("memory://")
    other.append(batch(0, "x", 2))
    return other


def shorter_log(store: EventStore) -> EventStore:
    other = open_store("memory://")
    other.append(batch(0))
    return other


def other_tenant(store: EventStore) -> EventStore:
    other = open_store("memory://", "other")
    other.append(batch(0, 1, 2))
    return other


@pytest.mark.parametrize("log", [other_log, shorter_log, other_tenant])
def test_a_snapshot_of_another_log_is_not_used(
    file: Path, store: EventStore, log: Callable[[EventStore], EventStore]
) -> None:
    """Another event at its position, no event there, another tenant."""
    assert load_snapshot(file, log(store), "code-1") is None


def test_a_snapshot_of_other_code_is_not_used(file: Path, store: EventStore) -> None:
    """What another program made of the same events may be something else."""
    assert load_snapshot(file, store, "code-2") is None


@pytest.mark.parametrize("keep", [0, 10, 100, -1])
def test_a_snapshot_that_is_not_whole_is_not_used(file: Path, store: EventStore, keep: int) -> None:
    """A file that was cut, emptied, changed, or is no file at all."""
    kept = file.read_bytes()
    file.write_bytes(kept[:keep])
    assert load_snapshot(file, store, "code-1") is None
    file.write_bytes(kept[:-1] + b"?")
    assert load_snapshot(file, store, "code-1") is None
    file.write_bytes(b"[]\n")
    assert load_snapshot(file, store, "code-1") is None
    assert load_snapshot(file.parent, store, "code-1") is None


def test_a_file_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, store: EventStore) -> None:
    """It says so by its answer, and leaves nothing behind."""
    assert not save_snapshot(tmp_path / "no" / "folder", store, "code-1", Snapshot(1, b""))
    assert list(tmp_path.iterdir()) == []
