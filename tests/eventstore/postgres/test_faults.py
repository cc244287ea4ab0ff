"""PostgreSQL when things break: connections in every phase, writers killed at any moment, and all of it at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import actum.eventstore.postgres.write as write_module
from actum.errors import StoreUnavailable
from actum.eventstore import Appended, EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.postgres.store import PostgresStore
from actum.testing.builders import STREAM, batch, event_id
from actum.testing.chaos import chaos
from actum.testing.postgres import ask

WRITE = """
import sys, time
from actum.errors import StoreRefused, StoreUnavailable
from actum.eventstore import open_store
from actum.testing.builders import batch
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(url)
print("ready", flush=True)
sys.stdin.readline()
for i in range(count):
    while True:
        try:
            store.append(batch(f"{name}-{i}", f"{name}-{i}b", stream=f"s/{i % 3}"))
            break
        except (StoreRefused, StoreUnavailable):
            time.sleep(0.05)
    print(i, flush=True)
store.close()
"""

CHAOS_S = float(os.environ.get("ACTUM_CHAOS_S", "8"))
"""How long the chaos lasts. For a long run: ACTUM_CHAOS_S=3600."""


def stubborn(store: EventStore, name: str | int, stream: str = STREAM) -> Appended:
    """Append one event, again and again while the answer is lost."""
    for _ in range(50):
        try:
            return store.append(batch(name, stream=stream))
        except StoreUnavailable:
            continue
    raise AssertionError("no answer in 50 tries")


def kill_backend(url: str, con: Any) -> None:
    ask(url, f"SELECT pg_terminate_backend({con.info.backend_pid}, 5000)")


@pytest.fixture
def open_here() -> Iterator[Callable[[str], PostgresStore]]:
    """Opens stores that are closed whatever happens: an open one would go on giving positions in the next test."""
    opened: list[PostgresStore] = []

    def make(url: str) -> PostgresStore:
        opened.append(PostgresStore(url))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
@pytest.mark.parametrize("phase", ["heads_of", "write", "take", "place"])
def test_a_connection_lost_in_any_phase_loses_and_doubles_nothing(
    postgres: str,
    open_here: Callable[[str], PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
    phase: str,
    leads: bool,
) -> None:
    """When the server ends our connection before or in a phase of an append, the event is there once afterwards."""
    other = open_here(postgres)
    store = open_here(postgres)
    if leads:
        other.close()
        while not store._lease.ours():
            time.sleep(0.01)
    store.append(batch("before"))
    if phase == "take":
        store._lane.end = None  # it does not know where the log ends, and has to ask
    killed = 0
    where: Any = write_module.Group if phase == "write" else write_module
    real: Callable[..., Any] = getattr(where, phase)

    def broken(*arguments: Any, **options: Any) -> Any:
        nonlocal killed
        con = next(a for a in arguments if isinstance(a, psycopg.Connection))
        if killed < 2:
            killed += 1
            kill_backend(postgres, con)
        return real(*arguments, **options)

    monkeypatch.setattr(where, phase, broken)
    assert stubborn(store, "a").first_position == 1
    monkeypatch.undo()

    assert killed == (2 if leads or phase not in ("take", "place") else 0)
    assert stubborn(store, "b").first_position == 2
    assert [e.id for e in store.read()] == [event_id(name) for name in ("before", "a", "b")]
    assert check_store(store).verdict == "verified"


def test_an_answer_lost_after_the_commit_is_unknown_and_trying_again_tells(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the connection dies between the server's commit and our hearing of it, the same append gives the answer."""
    store = PostgresStore(postgres)
    real = write_module._Transaction._run

    def deaf(self: Any, con: Any, *rest: Any, **options: Any) -> Any:
        real(self, con, *rest, **options)
        con.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(write_module._Transaction, "_run", deaf)
    with pytest.raises(StoreUnavailable, match="append the same events again"):
        store.append(batch("a", expected=0))
    monkeypatch.undo()

    assert store.append(batch("a", expected=0)) == Appended(0, 0, {STREAM: 1})
    assert store.head() == 1
    store.close()


def test_all_connections_lost_at_once_are_made_again(postgres: str) -> None:
    """Readers, writer, sequencer and leases all find their way back, and what waits is answered."""
    store = PostgresStore(postgres + "?lease=0.5")
    database = postgres.rpartition("/")[2]
    for i in range(5):
        store.append(batch(i))
        list(store.read())
        ask(
            postgres,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' "
            "AND pid <> pg_backend_pid()",
        )
        assert stubborn(store, f"{i}b").first_position == 2 * i + 1
        assert store.head() == 2 * i + 2
    assert check_store(store).verdict == "verified"
    store.close()


@pytest.mark.parametrize("round_", range(4))
def test_what_was_acknowledged_survives_a_kill(postgres: str, round_: int) -> None:
    """A writer killed with SIGKILL at a random moment leaves all it had acknowledged, whole batches, that verify."""
    process = start(WRITE, postgres + "?lease=0.3", "child", "100000")
    acknowledged = _kill_after(process, random.Random(round_).randint(0, 60))

    store = open_store(postgres + "?lease=0.3")
    assert store.append(batch("after")).first_position == store.head() - 1
    ids = [e.id for e in store.read()]
    assert ids[: 2 * (acknowledged + 1)] == [
        event_id(f"child-{i}{b}") for i in range(acknowledged + 1) for b in ("", "b")
    ]
    assert len(ids) % 2 == 1
    assert check_store(store).verdict == "verified"
    assert store.append(batch("child-0", "child-0b", stream="s/0")).first_position == 0
    store.close()


@pytest.mark.slow
def test_whatever_dies_nothing_is_lost_doubled_reordered_or_skipped(postgres: str) -> None:
    """Chaos: eight writers, readers that poll; writers, the sequencer with them, and connections killed at random."""
    found = chaos(postgres, seconds=CHAOS_S, seed=int(CHAOS_S))

    assert (found.lost, found.doubled, found.disordered, found.misread) == ([], [], [], [])
    assert found.verdict == "verified"
    assert found.acknowledged > 20
    assert found.writers_killed > 0


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


def _kill_after(process: subprocess.Popen[str], acknowledged: int) -> int:
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line) if line.strip().isdigit() else last
        if last >= acknowledged:
            break
    return max(_kill(process), last)


def _kill(process: subprocess.Popen[str]) -> int:
    """Kill -9; returns the last number that the process had said, -1 for none."""
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate(timeout=20)
    numbers = [int(line) for line in said.split("\n")[:-1] if line.isdigit()]  # the last line may be cut
    return numbers[-1] if numbers else -1
