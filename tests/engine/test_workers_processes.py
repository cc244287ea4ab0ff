"""`actum worker` as processes that are killed, told to stop, and taken down by what they run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Engine
from actum.eventstore import EventStore, open_store
from tests.engine import worker_flows
from tests.engine.world import history, sound

pytestmark = pytest.mark.slow

ROOT = str(Path(__file__).parents[2])


class Team:
    """Worker processes on one store."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        self.all: list[subprocess.Popen[bytes]] = []

    def hire(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            one = subprocess.Popen(
                [sys.executable, "-m", "actum", "--store", self.url, "worker", "--name", name, *words],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": ROOT},
                stderr=log,
            )
        self.all.append(one)
        return one

    def said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def close(self) -> None:
        for one in self.all:
            if one.poll() is None:
                one.kill()
            one.wait()


@pytest.fixture
def team(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Team]]:
    teams: list[Team] = []

    def hired(url: str) -> Team:
        teams.append(Team(url, tmp_path))
        return teams[-1]

    yield hired
    for one in teams:
        one.close()


def submit(store: EventStore, flow: Any, given: Any, *ids: str) -> None:
    async def main() -> None:
        async with Engine(store) as engine:
            for id_ in ids:
                await engine.submit(flow, given, id=id_)

    asyncio.run(main())


def wait_until(holds: Callable[[], Any], seconds: float = 60) -> float:
    """How long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never came to hold"
        time.sleep(0.02)
    return time.monotonic() - began


def count(store: EventStore, status: str) -> int:
    return len(store.view("executions", {"status": status}))


def test_one_that_kills_its_worker_is_parked_and_the_others_end(team: Callable[[str], Team], tmp_path: Path) -> None:
    """A worker that is started again whenever it dies finishes 99 of 100, and leaves the one with the reason."""
    url = f"sqlite:///{tmp_path}/log.db"
    store, hired = open_store(url), team(url)
    journal = str(tmp_path / "journal")
    submit(store, worker_flows.works, journal, *(f"a{n}" for n in range(50)))
    submit(store, worker_flows.dies, "exit", "poison")
    submit(store, worker_flows.dies, "memory", "memory")
    submit(store, worker_flows.dies, "recursion", "recursion")
    submit(store, worker_flows.works, journal, *(f"b{n}" for n in range(47)))

    lives = 0
    while count(store, "completed") + count(store, "failed") + count(store, "parked") < 100:
        one = hired.hire("w-1", "--concurrency", "20")
        lives += 1
        assert lives <= 12, store.view("executions", {"status": "running"})
        while one.poll() is None and count(store, "parked") == 0:
            time.sleep(0.05)
        if one.poll() is None:
            wait_until(lambda: count(store, "completed") == 97)
            one.send_signal(signal.SIGTERM)
            assert one.wait(20) == 0

    assert count(store, "completed") == 97
    ends = {row["id"]: row["error_type"] for row in store.view("executions", {"status": "failed"})}
    assert ends == {"memory": "MemoryError", "recursion": "RecursionError"}
    assert [row["id"] for row in store.view("executions", {"status": "parked"})] == ["poison"]
    assert history(store, "poison").count("execution.claimed") == 7
    assert "parked execution=poison" in hired.said("w-1")
    sound(store)
    store.close()


@pytest.mark.parametrize("server", ["postgres", "mysql"])
def test_four_workers_share_the_work_and_a_death_costs_a_lease(
    team: Callable[[str], Team], server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Every execution ends once and no result is recorded twice, though one is killed and one is told to stop."""
    url = f"{request.getfixturevalue(server)}?lease=1"
    store, hired = open_store(url), team(url)
    journal, ids = tmp_path / "journal", [f"e{n}" for n in range(300)]
    submit(store, worker_flows.works, str(journal), *ids)
    workers = {f"w-{n}": hired.hire(f"w-{n}", "--concurrency", "8") for n in range(4)}

    wait_until(lambda: count(store, "completed") >= 60)
    workers["w-0"].kill()
    killed = time.monotonic()
    workers["w-1"].send_signal(signal.SIGTERM)
    assert workers["w-1"].wait(20) == 0
    left = {"status": ("running", "waiting"), "owner": "w-1"}
    assert wait_until(lambda: not store.view("executions", left)) < 1.0  # at once, not after a lease
    wait_until(lambda: not store.view("executions", {"status": "running", "owner": "w-0"}))
    assert time.monotonic() - killed < 1 + 5  # the lease, and a busy machine
    wait_until(lambda: count(store, "completed") == 300)
    for name in ("w-2", "w-3"):
        workers[name].send_signal(signal.SIGTERM)
        assert workers[name].wait(20) == 0

    lines = [line.split() for line in journal.read_text().splitlines()]
    attempts = Counter((id_, key, attempt) for _, id_, key, attempt in lines)
    assert set(attempts.values()) == {1}, "an attempt was made by two"
    shares = Counter(pid for pid, *_ in lines)
    assert len(shares) == 4
    assert min(shares.values()) >= 20, shares
    completed = Counter((e.stream, e.facts["occurrence"]) for e in store.read(types=["step.completed"]))
    assert len(completed) == 1200
    assert set(completed.values()) == {1}
    doubted = list(store.read(types=["step.in_doubt"]))
    assert len(doubted) <= 8, "only what the killed one had under way"
    sound(store)
    store.close()
