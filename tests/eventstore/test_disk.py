"""What a disk may do to a store that is a file: it fills up, or the power goes during a commit.

Then the disk may be left with any part of what that commit was writing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

from actum.errors import StoreRefused
from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import event, event_id

LIMITED = """
import resource, signal, sys
from actum.errors import StoreRefused, StoreUnavailable
from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import event
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
def one(i):
    return [Append("s/1", ANY, [event(i, payload=bytes(50_000))])]
for written in range(100):
    try:
        store.append(one(written))
    except (StoreRefused, StoreUnavailable) as exc:
        print(type(exc).__name__, exc)
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert 0 < written < 99, written
answer = store.append(one(written))
assert answer.last_position == written == store.head() - 1, answer
store.close()
store = open_store(sys.argv[1])
assert store.head() == written + 1
assert check_store(store).verdict == "verified"
"""

SECTOR: Final = 512
"""Bytes that a disk writes as one."""
KEPT = [event_id(f"kept-{n}") for n in range(5)]
LAST = [event_id(f"last-{n}") for n in range(5)]


class Kind(NamedTuple):
    """How a kind of store names its file and its write-ahead log."""

    scheme: str
    file: str
    log: str


SQLITE: Final = Kind("sqlite", "log.db", "log.db-wal")
DUCKDB: Final = Kind("duckdb", "log.duckdb", "log.duckdb.wal")


class Disk:
    """The files of a store, as they were when the last commit was acknowledged, and after the one that followed."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self._kind = kind
        self._after = folder / "after"
        self._after.mkdir()
        store = open_store(f"{kind.scheme}:///{folder / kind.file}")
        for n in range(5):
            store.append([Append("s/1", ANY, [event(f"kept-{n}", payload=b"1" * 500)])])
        self.kept = (folder / kind.log).read_bytes()
        # DuckDB's checksum is an exclusive or over words: an even number of equal ones may be zeroed unnoticed (by it).
        noise = Random(2)
        store.append([Append("s/1", ANY, [event(f"last-{n}", payload=noise.randbytes(3000)) for n in range(5)])])
        self.file, self.whole = (folder / kind.file).read_bytes(), (folder / kind.log).read_bytes()
        store.close()
        assert self.whole.startswith(self.kept), "a write-ahead log only grows until it is written back"

    def found(self, log: bytes) -> list[str]:
        """The ids that a store finds when it is opened with this write-ahead log, and proves."""
        (self._after / self._kind.file).write_bytes(self.file)
        (self._after / self._kind.log).write_bytes(log)
        store = open_store(f"{self._kind.scheme}:///{self._after / self._kind.file}")
        try:
            assert check_store(store).verdict == "verified"
            ids = [one.id for one in store.read()]
            assert store.append([Append("s/1", len(ids), [event("after")])]).last_position == len(ids)
            return ids
        finally:
            store.close()


@pytest.fixture(scope="module")
def disk_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Disk]:
    made: dict[Kind, Disk] = {}

    def disk(kind: Kind) -> Disk:
        if kind not in made:
            made[kind] = Disk(kind, tmp_path_factory.mktemp(kind.scheme))
        return made[kind]

    return disk


@pytest.fixture
def sqlite_disk(disk_of: Callable[[Kind], Disk]) -> Disk:
    return disk_of(SQLITE)


@pytest.fixture
def duckdb_disk(disk_of: Callable[[Kind], Disk]) -> Disk:
    return disk_of(DUCKDB)


@pytest.mark.parametrize("kind", [SQLITE, DUCKDB], ids=lambda kind: kind.scheme)
def test_a_disk_that_fills_up_loses_nothing(kind: Kind, tmp_path: Path) -> None:
    """When the file cannot grow, the answer says so; with room the same append is there once, and all verifies."""
    url = f"{kind.scheme}:///{tmp_path / kind.file}"
    open_store(url).close()
    done = subprocess.run([sys.executable, "-c", LIMITED, url], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("StoreUnavailable"), "a commit that failed half way is not known to be undone"


@pytest.mark.parametrize("kind", [SQLITE, DUCKDB], ids=lambda kind: kind.scheme)
def test_a_commit_cut_off_anywhere_costs_nothing_that_was_acknowledged(
    disk_of: Callable[[Kind], Disk], kind: Kind
) -> None:
    """However much of the last commit reached the disk: all before it is there, and it is there whole or not at all."""
    disk = disk_of(kind)
    assert disk.found(disk.kept) == KEPT
    assert disk.found(disk.whole) == KEPT + LAST
    for length in range(len(disk.kept) + 1, len(disk.whole), 5 * SECTOR):
        assert disk.found(disk.whole[:length]) == KEPT


def test_a_commit_written_in_any_order_costs_nothing_that_was_acknowledged(sqlite_disk: Disk) -> None:
    """Disks write sectors in the order they like: with any one of the last commit missing, all before it is there."""
    sectors = range(len(sqlite_disk.kept) // SECTOR + 1, len(sqlite_disk.whole) // SECTOR, 7)
    for sector in sectors:
        torn = bytearray(sqlite_disk.whole)
        torn[sector * SECTOR : (sector + 1) * SECTOR] = b"\xff" * SECTOR
        assert sqlite_disk.found(bytes(torn)) == KEPT
    assert len(sectors) > 5


def test_a_commit_with_a_hole_is_refused_with_the_byte_and_touched_by_nobody(duckdb_disk: Disk, tmp_path: Path) -> None:
    """When a sector inside the last commit is missing, DuckDB does not guess, and nor do we: both files stay."""
    file, log = tmp_path / "torn.duckdb", tmp_path / "torn.duckdb.wal"
    sector = len(duckdb_disk.kept) // SECTOR + 5
    torn = bytearray(duckdb_disk.whole)
    torn[sector * SECTOR : (sector + 1) * SECTOR] = bytes(SECTOR)
    file.write_bytes(duckdb_disk.file)
    log.write_bytes(torn)

    with pytest.raises(StoreRefused, match=r"write-ahead log .* is damaged .*byte position \d+.*Keep both files"):
        open_store(f"duckdb:///{file}")

    assert (file.read_bytes(), log.read_bytes()) == (duckdb_disk.file, torn)
