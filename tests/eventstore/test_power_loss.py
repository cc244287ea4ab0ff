"""What a disk may be left with when the power goes during a commit: any part of what that commit was writing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check import check_store
from actum.testing.builders import event, event_id

SECTOR: Final = 512
"""Bytes that a disk writes as one."""


class Disk:
    """The files of a store, as they were when the last commit was acknowledged, and after the one that followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        file, log = folder / "log.db", folder / "log.db-wal"
        store = open_store(f"sqlite:///{file}")
        for n in range(5):
            store.append([Append("s/1", ANY, [event(f"kept-{n}", payload=b"1" * 500)])])
        self.kept = log.read_bytes()
        store.append([Append("s/1", ANY, [event(f"last-{n}", payload=b"2" * 3000) for n in range(5)])])
        self.file, self.whole = file.read_bytes(), log.read_bytes()
        store.close()
        assert self.whole.startswith(self.kept), "a write-ahead log only grows until it is checkpointed"

    def found(self, log: bytes) -> list[str]:
        """The ids that a store finds when it is opened with this write-ahead log, and proves."""
        file = self._folder / "after.db"
        file.write_bytes(self.file)
        Path(f"{file}-wal").write_bytes(log)
        store = open_store(f"sqlite:///{file}")
        try:
            assert check_store(store).verdict == "verified"
            ids = [one.id for one in store.read()]
            assert store.append([Append("s/1", len(ids), [event("after")])]).last_position == len(ids)
            return ids
        finally:
            store.close()


KEPT = [event_id(f"kept-{n}") for n in range(5)]
LAST = [event_id(f"last-{n}") for n in range(5)]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return Disk(tmp_path_factory.mktemp("disk"))


def test_a_commit_cut_off_anywhere_costs_nothing_that_was_acknowledged(disk: Disk) -> None:
    """However much of the last commit reached the disk: all before it is there, and it is there whole or not at all."""
    assert disk.found(disk.kept) == KEPT
    assert disk.found(disk.whole) == KEPT + LAST
    for length in range(len(disk.kept) + 1, len(disk.whole), 5 * SECTOR):
        assert disk.found(disk.whole[:length]) == KEPT


def test_a_commit_written_in_any_order_costs_nothing_that_was_acknowledged(disk: Disk) -> None:
    """Disks write sectors in the order they like: with any one of the last commit missing, all before it is there."""
    sectors = range(len(disk.kept) // SECTOR + 1, len(disk.whole) // SECTOR, 7)
    for sector in sectors:
        torn = bytearray(disk.whole)
        torn[sector * SECTOR : (sector + 1) * SECTOR] = b"\xff" * SECTOR
        assert disk.found(bytes(torn)) == KEPT
    assert len(sectors) > 5
