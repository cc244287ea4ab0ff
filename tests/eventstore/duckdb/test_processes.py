"""DuckDB between processes: one has the file; killed, it loses nothing acknowledged."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from actum.errors import StoreRefused
from actum.eventstore import open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import batch, event_id

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


def test_a_flush_comes_before_every_answer(url: str, tmp_path: Path) -> None:
    """Between giving an append in and its answer, the write-ahead log is flushed; a new one's folder is, too."""
    if shutil.which("strace") is None and os.environ.get("CI") != "true":
        pytest.skip("STRACE ABSENT: it shows what the kernel is asked for")
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
