"""SQLite between processes: real ones, that write at once, or are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from actum.eventstore import open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import batch, event_id

WRITE = """
import sys
from actum.eventstore import open_store
from actum.testing.builders import batch
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(url + "?busy_timeout=30")
print("ready", flush=True)
sys.stdin.readline()
for i in range(count):
    store.append(batch(f"{name}-{i}", f"{name}-{i}b", stream=f"s/{i % 3}"))
    print(i, flush=True)
store.close()
"""

CREATE = """
import sys
from actum.eventstore import open_store
sys.stdin.readline()
store = open_store(sys.argv[1], sys.argv[2])
store.close()
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def go(process: subprocess.Popen[str]) -> None:
    pipes(process)[0].write("go\n")
    pipes(process)[0].flush()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


def test_two_processes_write_one_log(url: str) -> None:
    """Two processes and this one, writing at once: every event once, dense, in streams and a tree that verify."""
    names, count = ("one", "two"), 120
    processes = [start(WRITE, url, name, str(count)) for name in names]
    for process in processes:
        assert pipes(process)[1].readline() == "ready\n"
    store = open_store(url + "?busy_timeout=30")
    for process in processes:
        go(process)
    for i in range(count):
        store.append(batch(f"here-{i}", stream="s/1"))
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0

    assert store.wait(count * 5 - 1, 10) == count * 5
    events = list(store.read())
    assert [e.position for e in events] == list(range(count * 5))
    wanted = {event_id(f"{name}-{i}{b}") for name in names for i in range(count) for b in ("", "b")}
    assert {e.id for e in events} == wanted | {event_id(f"here-{i}") for i in range(count)}
    assert check_store(store).verdict == "verified"
    store.close()


@pytest.mark.parametrize("round_", range(6))
def test_what_was_acknowledged_survives_a_kill(url: str, round_: int) -> None:
    """A writer killed with SIGKILL at a random moment leaves all it had acknowledged, whole batches, that verify."""
    process = start(WRITE, url, "child", "100000")
    go(process)
    stdin, stdout = pipes(process)
    stop_after = random.Random(round_).randint(0, 200)
    acknowledged = -1
    for line in stdout:
        if line.strip().isdigit():
            acknowledged = int(line)
        if acknowledged >= stop_after:
            break
    process.send_signal(signal.SIGKILL)
    rest = stdout.read().split("\n")[:-1]  # the last line may be cut
    acknowledged = int(rest[-1]) if rest else acknowledged
    process.wait(10)
    stdin.close()
    stdout.close()

    store = open_store(url)
    ids = [e.id for e in store.read()]
    assert acknowledged >= stop_after
    assert ids[: 2 * (acknowledged + 1)] == [
        event_id(f"child-{i}{b}") for i in range(acknowledged + 1) for b in ("", "b")
    ]
    assert len(ids) % 2 == 0
    assert check_store(store).verdict == "verified"
    first = batch("child-0", "child-0b", stream="s/0")
    assert store.append(first).first_position == 0
    assert store.append(batch("after")).last_position == len(ids)
    store.close()


def test_after_a_kill_the_log_can_be_read_read_only(url: str) -> None:
    """A store whose writer was killed can be opened for reading only, and is whole."""
    process = start(WRITE, url, "child", "100000")
    go(process)
    stdin, stdout = pipes(process)
    while stdout.readline() != "20\n":
        pass
    process.kill()
    process.wait(10)
    stdin.close()
    stdout.close()

    store = open_store(url + "?mode=ro")
    assert store.head() >= 42
    assert check_store(store).verdict == "verified"
    store.close()


def test_processes_may_create_one_store_at_once(url: str) -> None:
    """Whoever comes first makes the schema; nobody fails, and every tenant is there once."""
    processes = [start(CREATE, url, f"tenant{i % 2}") for i in range(3)]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0

    for i in range(2):
        store = open_store(url + "?mode=ro", f"tenant{i}")
        assert store.head() == 0
        store.close()
