"""One, two and four worker processes on one store: how fast they finish a backlog of 10-step workflows.

`python -m bench.workers [--executions 2000] [--rounds 3] [--quick]` writes `bench/results/workers.json`. Each run has a
database of its own, on SQLite and on PostgreSQL. The backlog is submitted before; the time runs from the moment that
all workers are told to begin until the last execution has ended. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actum import Engine, open_store
from actum.engine.runtime.worker import Worker
from actum.eventstore import EventStore
from actum.testing.postgres import SERVER, ask, database
from bench import workflows
from bench.common import RESULTS, about_here, keep, measured

STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
WORKERS, STEPS, AT_ONCE = (1, 2, 4), 10, 50
OPEN = {"status": ("running", "waiting", "compensating")}


@contextmanager
def fresh(store: str) -> Iterator[str]:
    """The URL of a new database."""
    if store == "postgresql":
        with database() as url:
            yield url
        return
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as folder:
        yield f"sqlite:///{folder}/actum.db"


async def submit(store: EventStore, executions: int) -> None:
    async with Engine(store) as engine:
        for _ in range(executions):
            await engine.submit(workflows.sequence, STEPS)


def finished(url: str, workers: int, executions: int) -> float:
    """Steps a second of so many workers."""
    store = open_store(url)
    asyncio.run(submit(store, executions))
    command = [sys.executable, "-m", "bench.workers", "--child", url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=RESULTS.parents[1])
        for _ in range(workers)
    ]
    try:
        for one in started:
            assert one.stdout is not None
            if one.stdout.readline() != "READY\n":
                raise SystemExit("a worker did not start")
        with measured() as clock:
            for one in started:
                assert one.stdin is not None
                one.stdin.write("go\n")
                one.stdin.flush()
            while store.view("executions", OPEN, limit=1):
                if any(one.poll() is not None for one in started):
                    raise SystemExit("a worker has ended before its work")
                time.sleep(0.01)
        for one in started:
            one.communicate("stop\n")
    finally:
        for one in started:
            if one.poll() is None:
                one.kill()
                one.wait()
    ended = len(store.view("executions", {"status": "completed"}))
    store.close()
    if ended != executions:
        raise SystemExit(f"{ended} of {executions} executions have completed")
    return executions * STEPS / clock.wall_s


async def child(url: str) -> None:
    """One worker: it is ready, begins when it is told to, and stops when it is told to."""
    logging.getLogger("actum").setLevel(logging.ERROR)  # that others were faster is told of each execution
    store = open_store(url)
    async with Engine(store) as engine:
        engine.register(workflows.sequence)
        worker = Worker(engine, concurrency=AT_ONCE)
        print("READY", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        running = asyncio.create_task(worker.run())
        await asyncio.to_thread(sys.stdin.readline)
        worker.stop()
        await running
    store.close()


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--executions", type=int, default=2000)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--quick", action="store_true", help="a small backlog, one round, nothing written")
    words.add_argument("--child", metavar="URL", help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.child:
        asyncio.run(child(asked.child))
        return
    executions, rounds = (20, 1) if asked.quick else (asked.executions, asked.rounds)
    found: dict[str, dict[str, list[float]]] = {store: {str(n): [] for n in WORKERS} for store in STORES}
    for _ in range(rounds):
        for store, by_workers in found.items():
            for workers in WORKERS:
                with fresh(store) as url:
                    by_workers[str(workers)].append(finished(url, workers, executions))
    ((server,),) = ask(SERVER, "SELECT version()")
    settings = {
        "executions": executions,
        "steps": STEPS,
        "at_once": f"{AT_ONCE} of a worker",
        "rounds": rounds,
        "sqlite": "WAL, synchronous=FULL; salted digests, chain, tree and views on",
        "postgresql": "fsync on; positions, salted digests, chain, tree and views on",
        "server": server,
    }
    figures: dict[str, Any] = {
        store: {
            workers: {"steps_per_s": {"median": statistics.median(all_), "rounds": all_}}
            for workers, all_ in by_workers.items()
        }
        for store, by_workers in found.items()
    }
    result = {**about_here("psycopg"), "settings": settings, **figures}
    if asked.quick:
        json.dump(result, sys.stdout, indent=1)
        return
    keep("workers.json", result)


if __name__ == "__main__":
    main()
