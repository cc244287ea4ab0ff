"""DuckDB between processes: one has the file; killed, out of space or without power, it loses nothing acknowledged."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

import pytest

from actum.errors import StoreRefused
from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check import check_store
from actum.testing.builders import batch, event, event_id

WRITE = """
import sys
from actum.eventstore import open_store
from actum.testing.builders import batch
store = open_store(sys.argv[1])
print("ready", flush=True)
for i in range(100_000):
    store.append(batch(f"child-{i}", f"child-{i}b", stream=f"s/{i % 3}"))
    print(i, flush=True)
"""

LIMITED = """
import resource, signal, sys
from actum.errors import StoreRefused, StoreUnavailable
from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check import check_store
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

FLUSHED = """
import os, sys
from actum.eventstore import open_store
from actum.testing.builders import batch
store = open_store(sys.argv[1])
for i in range(20):
    if i == 10:
        store._file.execute("CHECKPOINT")
    os.write(1, b"append\\n")
    store.append(batch(i))
    os.write(1, b"acknowledged\\n")
"""

SECTOR: Final = 512
"""Bytes that a disk writes as one."""


def start(script: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True)


def lines(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"duckdb:///{tmp_path}/log.duckdb"


def test_a_second_process_is_told_who_has_the_file(url: str) -> None:
    """Opening a file that another process has, to write or to read, says which one; that one goes on unharmed."""
    process = start(WRITE, url)
    while lines(process).readline() != "3\n":
        pass

    for asked in (url, url + "?mode=ro"):
        with pytest.raises(StoreRefused, match=rf"open in another process \(PID {process.pid}\).*nothing was written"):
            open_store(asked)
    seen = lines(process).readline()
    assert seen, "the first process goes on"
    process.kill()
    process.communicate()
    store = open_store(url)
    assert store.head() >= 2 * int(seen)
    assert check_store(store).verdict == "verified"
    store.close()


@pytest.mark.parametrize("round_", range(6))
def test_what_was_acknowledged_survives_a_kill(url: str, round_: int) -> None:
    """A writer killed with SIGKILL at a random moment leaves all it had acknowledged, whole batches, that verify."""
    process = start(WRITE, url)
    stop_after = random.Random(round_).randint(0, 150)
    acknowledged = -1
    for line in lines(process):
        if line.strip().isdigit():
            acknowledged = int(line)
        if acknowledged >= stop_after:
            break
    process.send_signal(signal.SIGKILL)
    rest = lines(process).read().split("\n")[:-1]  # the last line may be cut
    acknowledged = int(rest[-1]) if rest else acknowledged
    process.communicate(timeout=10)

    if round_ % 2:  # first without writing: the write-ahead log is then read, and left as it is
        reader = open_store(url + "?mode=ro")
        assert reader.head() >= 2 * (acknowledged + 1)
        reader.close()
    store = open_store(url)
    ids = [e.id for e in store.read()]
    assert acknowledged >= stop_after
    assert ids[: 2 * (acknowledged + 1)] == [
        event_id(f"child-{i}{b}") for i in range(acknowledged + 1) for b in ("", "b")
    ]
    assert len(ids) % 2 == 0
    assert check_store(store).verdict == "verified"
    assert store.append(batch("child-0", "child-0b", stream="s/0")).first_position == 0
    assert store.append(batch("after")).last_position == len(ids)
    store.close()


def test_a_disk_that_fills_up_loses_nothing(url: str) -> None:
    """When the file cannot grow, the answer says so; with room the same append is there once, and all verifies."""
    open_store(url).close()
    done = subprocess.run([sys.executable, "-c", LIMITED, url], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("StoreUnavailable"), "a commit that failed half way is not known to be undone"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to see what the kernel is asked for")
def test_a_flush_comes_before_every_answer(url: str, tmp_path: Path) -> None:
    """Between giving an append in and its answer, the write-ahead log is flushed; a new one's folder is, too."""
    trace = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-y",
        "-o",
        str(trace),
        "-e",
        "trace=write,fsync,fdatasync",
        sys.executable,
        "-c",
        FLUSHED,
    ]
    subprocess.run([*command, url], check=True, timeout=120, capture_output=True)

    calls = trace.read_text().splitlines()
    begun = [i for i, call in enumerate(calls) if '"append\\n"' in call]
    ended = [i for i, call in enumerate(calls) if '"acknowledged\\n"' in call]
    assert len(begun) == len(ended) == 20
    for first, last in zip(begun, ended, strict=True):
        log = [call for call in calls[first:last] if "log.duckdb.wal>" in call]
        assert "write(" in log[0]
        assert "fdatasync(" in log[-1]
        assert log[-1].endswith("= 0")
    folder = [i for i, call in enumerate(calls) if "fsync(" in call and f"<{tmp_path}>" in call]
    new_logs = [n for n in range(20) if any(begun[n] < i < ended[n] for i in folder)]
    assert new_logs == [0, 10]


# -- power loss -------------------------------------------------------------------------------------------------------


class Disk:
    """The files of a store, as they were when the last commit was acknowledged, and after the one that followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        file, log = folder / "log.duckdb", folder / "log.duckdb.wal"
        store = open_store(f"duckdb:///{file}")
        for n in range(5):
            store.append([Append("s/1", ANY, [event(f"kept-{n}", payload=b"1" * 500)])])
        self.kept = log.read_bytes()
        store.append([Append("s/1", ANY, [event(f"last-{n}", payload=b"2" * 3000) for n in range(5)])])
        self.file, self.whole = file.read_bytes(), log.read_bytes()
        store.close()
        assert self.whole.startswith(self.kept), "a write-ahead log only grows until it is written back"

    def found(self, log: bytes) -> list[str]:
        """The ids that a store finds when it is opened with this write-ahead log, and proves."""
        file = self._folder / "after.duckdb"
        file.write_bytes(self.file)
        Path(f"{file}.wal").write_bytes(log)
        store = open_store(f"duckdb:///{file}")
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


def test_a_commit_with_a_hole_is_refused_with_the_byte_and_touched_by_nobody(disk: Disk, tmp_path: Path) -> None:
    """When a sector inside the last commit is missing, DuckDB does not guess, and nor do we: both files stay."""
    file, log = tmp_path / "torn.duckdb", tmp_path / "torn.duckdb.wal"
    sector = len(disk.kept) // SECTOR + 5
    torn = bytearray(disk.whole)
    torn[sector * SECTOR : (sector + 1) * SECTOR] = bytes(SECTOR)
    file.write_bytes(disk.file)
    log.write_bytes(torn)

    with pytest.raises(StoreRefused, match=r"write-ahead log .* is damaged .*byte position \d+.*Keep both files"):
        open_store(f"duckdb:///{file}")

    assert (file.read_bytes(), log.read_bytes()) == (disk.file, torn)
