"""What workers in several processes share: never more of it in use than there is, though one of them is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actum.engine import Engine
from actum.eventstore import open_store
from tests.engine.resources import shared_flows

ROOT = str(Path(__file__).parents[3])


def lines(journal: Path) -> list[list[str]]:
    return [line.split() for line in journal.read_text().splitlines()] if journal.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite", "postgres", "mysql"])
def test_two_processes_never_exceed_the_capacity(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """One is killed while it holds some: the other gets it when the first is known to be dead, and finishes all."""
    url = f"sqlite:///{tmp_path}/a.db" if backend == "sqlite" else request.getfixturevalue(backend)
    journal = tmp_path / "journal"
    rules = tmp_path / "resources.yaml"
    rules.write_text("pools:\n  gpu: 2\n")
    store = open_store(url)

    async def submit() -> None:
        async with Engine(store) as engine:
            for n in range(6):
                await engine.submit(shared_flows.renders, {"journal": str(journal), "hold_s": 0.15}, id=f"r{n}")

    asyncio.run(submit())
    words = ["worker", "--modules", "tests.engine.resources.shared_flows", "--resources", str(rules)]
    team = [
        subprocess.Popen(
            [sys.executable, "-m", "actum", "--store", url, *words, "--name", name],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": ROOT},
            stderr=subprocess.DEVNULL,
        )
        for name in ("w-1", "w-2")
    ]
    killed: set[str] = set()
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            said = lines(journal)
            if not killed and said and said[-1][0] == "begin" and len(said) >= 4:
                victim = next(one for one in team if str(one.pid) == said[-1][1])
                victim.send_signal(signal.SIGKILL)
                killed.add(str(victim.pid))
            rows = store.view("executions", {"status": "completed"})
            if len(rows) == 6:
                break
            time.sleep(0.02)
        assert len(store.view("executions", {"status": "completed"})) == 6
    finally:
        for one in team:
            one.kill()
            one.wait()
    assert killed
    under_way: dict[str, int] = {}
    most = 0
    said = lines(journal)
    last_of_killed = max(n for n, (_, pid) in enumerate(said) if pid in killed)
    for n, (what, pid) in enumerate(said):
        under_way[pid] = under_way.get(pid, 0) + (1 if what == "begin" else -1)
        if n == last_of_killed:
            most = max(most, sum(under_way.values()))
            under_way = {other: number for other, number in under_way.items() if other not in killed}
        most = max(most, sum(under_way.values()))
    assert most == 2, "both were in use at times, and never more"
    store.close()
