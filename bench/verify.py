"""Proving whole logs: events a second by one process and by several, memory at growing sizes, and one event's proof.

`python -m bench.verify [--rounds 3] [--sizes 100000,1000000] [--quick]` writes `bench/results/verify.json`. The logs
are of executions of ten steps, with the inputs, results and view rows that the engine would write. Each check runs in
a new process, in turns; its start is not counted, that of the processes it starts is.

`--memory` keeps only how much memory checking, reading and a subscription took at each size, in
`bench/results/memory.json`: figures that a busy machine does not change.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

from actum.events import Actor, NewEvent, to_text, uuid7s
from actum.events.checkpoint import Checkpoint, SigningKey, VerifierKey, sign
from actum.events.merkle import Frontier
from actum.events.tlog_proof import TlogProof, verify_event
from actum.eventstore import (
    NO_STREAM,
    Append,
    AtLeastOnce,
    EventStore,
    MemoryCursors,
    Subscription,
    ViewRow,
    open_store,
)
from actum.eventstore.check.store import check_store
from actum.eventstore.check.workers import Workers
from actum.eventstore.sealing.proving import prove_event
from actum.eventstore.sealing.tile_folder import TileFolder
from actum.testing.postgres import ask, database, server_is_there
from actum.wiring import rebuild_views

RESULTS = Path(__file__).parent / "results" / "verify.json"
MEMORY = RESULTS.with_name("memory.json")
WORKER = Actor("worker", "w-bench")
READINGS = ("read", "subscription")
MEASURED = {
    "verify, one process": (1, "bytes"),
    "verify, two processes": (2, "bytes"),
    "verify with views, one process": (1, "views"),
    "read": (1, "read"),
    "subscription": (1, "subscription"),
}
STEPS = 10
EVENTS = 2 * STEPS + 2
"""Events of one execution."""
KEY = SigningKey.generate("actum/default", seed=bytes(range(32)))


def execution(number: int, now_us: int) -> tuple[str, list[NewEvent]]:
    """One execution of ten steps: its stream, and its events."""
    chance = random.Random(number)
    ids = iter(uuid7s(now_us, [chance.getrandbits(62) for _ in range(EVENTS + 1)]))
    at = to_text(now_us)
    stream = f"execution/{next(ids)}"

    def new(type_: str, facts: dict[str, Any], payload: object) -> NewEvent:
        return NewEvent(type_, facts, at, WORKER, next(ids), json.dumps(payload, separators=(",", ":")).encode())

    about = {"definition": f"sha256:{0:064x}", "kind": "function", "workflow": "sequence"}
    events = [new("execution.started", about, {"input": STEPS})]
    for i in range(STEPS):
        step = {"attempt": 1, "occurrence": i, "step": "echo"}
        events.append(new("step.started", step, {"args": [i]}))
        events.append(new("step.completed", step | {"duration_us": 22, "outcome": "success"}, i))
    done = {"active_us": 87_757, "duration_us": 87_757, "outcome": "success"}
    return stream, [*events, new("execution.completed", done, {"output": 45})]


def fill(store: EventStore, size: int) -> None:
    """Append executions until the log has `size` events or a few more, fifty at a time; then sign it."""
    now = time.time_ns() // 1000
    frontier = Frontier()
    for first in range(0, -(-size // EVENTS), 50):
        batch = []
        for number in range(first, first + 50):
            stream, events = execution(number, now + number * 1000)
            batch.append(Append(stream, NO_STREAM, events, [view_row(stream, events)]))
        store.append(batch)
        frontier.extend([event.leaf for event in store.read(frontier.size - 1, payloads=False)])
    store.add_checkpoint(frontier.size, sign(Checkpoint(KEY.name, frontier.size, frontier.root()), KEY))


def view_row(stream: str, events: list[NewEvent]) -> ViewRow:
    """The row that an execution ends with. That it follows from the events is what the check checks."""
    row = {
        "status": "completed",
        "waiting_for": None,
        "owner": WORKER.ref,
        "started_at": events[0].at,
        "ended_at": events[-1].at,
        "wake_us": None,
        "error_type": None,
        "priority": None,
        "labels": None,
    }
    return ViewRow("executions", (stream.removeprefix("execution/"),), events[0].facts | row)


# -- one check in a process of its own ---------------------------------------------------------------------------------


def check(url: str, jobs: int, *, views: bool) -> None:
    """Check a log; print what it took. Memory: the most that this process had, and the most that any worker had."""
    store = open_store(url)
    begin, cpu = time.perf_counter(), time.process_time()
    with Workers(jobs) if jobs > 1 else nullcontext() as workers:
        found = check_store(store, keys=[KEY.verifier()], rebuild=rebuild_views if views else None, workers=workers)
    took = time.perf_counter() - begin
    store.close()
    assert found.verdict == "verified", found
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "events_per_s": found.events / took,
        "cpu_us_per_event": (time.process_time() - cpu + children.ru_utime + children.ru_stime) / found.events * 1e6,
        "peak_mb": peak_mb(),
        "peak_mb_of_a_worker": children.ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def peak_mb() -> float:
    """The most memory that this process has had."""
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(own.split()[1]) / 1024


def read(url: str, how: str) -> None:
    """Read a log from end to end, as `store.read` or as a subscription gives it; print what it took."""
    taken = 0
    store = open_store(url)
    if how == "read":
        for _ in store.read():
            taken += 1
    else:
        consumer = AtLeastOnce(MemoryCursors(), how, lambda events: None)
        taken = Subscription(store, how, consumer).catch_up()
    assert taken == store.head()
    store.close()
    print(json.dumps({"events": taken, "peak_mb": peak_mb()}))


def in_a_process(url: str, jobs: int, what: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.verify", "--check", url, str(jobs), what]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=RESULTS.parents[2])
    found: dict[str, float] = json.loads(answer.stdout)
    return found


# -- one event's proof -------------------------------------------------------------------------------------------------


def proofs(url: str, folder: Path) -> dict[str, float]:
    """Milliseconds to make one event's proof, from tiles and from the store alone, and to verify it from its text."""
    store = open_store(url)
    (_, note), size = store.checkpoints()[-1], store.head()
    tiles = TileFolder(folder / f"{size}.tiles")
    tiles.extend(store, note)
    chance = random.Random(7)
    some = [chance.randrange(size) for _ in range(100)]
    made = timed(lambda position: prove_event(store, position, tiles), some)
    alone = timed(lambda position: prove_event(store, position), some[:2])
    texts = [prove_event(store, position, tiles).to_text() for position in some]
    key = VerifierKey.from_text(KEY.verifier().to_text())

    def verify(text: str) -> None:
        proof = TlogProof.from_text(text)
        assert proof.extra is not None
        verify_event(proof, proof.extra, [key], origin=key.name)

    verified = timed(verify, texts)
    store.close()
    return {
        "events": size,
        "make_from_tiles_ms": made,
        "make_from_the_store_ms": alone,
        "verify_ms": verified,
        "bytes": statistics.median(map(len, texts)),
    }


def timed(do: Callable[[Any], object], each: list[Any]) -> float:
    """The median of how many milliseconds it takes with each."""
    took = []
    for one in each:
        begin = time.perf_counter()
        do(one)
        took.append((time.perf_counter() - begin) * 1000)
    return statistics.median(took)


# -- all of it ---------------------------------------------------------------------------------------------------------


@contextmanager
def log_on(backend: str, size: int, folder: Path) -> Iterator[str]:
    """The URL of a log of this size."""
    with database() if backend == "postgresql" else nullcontext(f"sqlite:///{folder / f'{size}.db'}") as url:
        store = open_store(url)
        fill(store, size)
        store.close()
        if backend == "postgresql":
            ask(url, "VACUUM ANALYZE")
        yield url
        if backend == "sqlite":
            (folder / f"{size}.db").unlink()


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--sizes", default="100000,1000000", help="events of the SQLite logs")
    words.add_argument("--postgresql", type=int, default=200_000, help="events of the PostgreSQL log; 0: none")
    words.add_argument("--quick", action="store_true", help="small logs, one round, nothing written")
    words.add_argument("--memory", action="store_true", help="only memory, on SQLite logs of these sizes")
    words.add_argument("--check", nargs=3, help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.check:
        url, jobs, what = asked.check
        if what in READINGS:
            read(url, what)
        else:
            check(url, int(jobs), views=what == "views")
        return
    if asked.memory:
        MEMORY.write_text(json.dumps(memory([int(size) for size in asked.sizes.split(",")]), indent=1) + "\n")
        return
    sizes = [100_000] if asked.quick else [int(size) for size in asked.sizes.split(",")]
    logs = [("sqlite", size) for size in sizes]
    if asked.postgresql and not asked.quick and not server_is_there():
        logs.append(("postgresql", asked.postgresql))
    jobs = os.cpu_count() or 1
    kinds = [(1, False), (jobs, False), (1, True), (jobs, True)]
    found: dict[str, Any] = {}
    proof: dict[str, float] = {}
    folder = Path(tempfile.mkdtemp(prefix="bench-verify-"))
    try:
        for backend, size in logs:
            with log_on(backend, size, folder) as url:
                rounds: dict[str, list[dict[str, float]]] = {}
                for number in range(1 if asked.quick or size > 1_000_000 else asked.rounds):
                    for processes, views in kinds:
                        name = f"{processes} at once" + (", views rebuilt" if views else "")
                        rounds.setdefault(name, []).append(in_a_process(url, processes, _what(views)))
                        print(f"{number + 1}  {backend} {size:,}  {name}  {rounds[name][-1]}", file=sys.stderr)
                found[f"{backend}, {size} events"] = {name: medians(every) for name, every in rounds.items()}
                if backend == "sqlite" and size <= 1_000_000:
                    proof = proofs(url, folder)
    finally:
        shutil.rmtree(folder)
    result = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load_1min": os.getloadavg()[0],
        },
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "actum": version("actum"),
        },
        "checks": found,
        "one_proof": proof,
    }
    if asked.quick:
        json.dump(result, sys.stdout, indent=1)
        return
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


def _what(views: bool) -> str:
    return "views" if views else "bytes"


def memory(sizes: list[int]) -> dict[str, Any]:
    """The most memory, in MB, of whatever goes over a whole log, by its size."""
    found: dict[str, dict[str, float]] = {}
    folder = Path(tempfile.mkdtemp(prefix="bench-verify-"))
    try:
        for size in sizes:
            with log_on("sqlite", size, folder) as url:
                for name, (jobs, what) in MEASURED.items():
                    figures = in_a_process(url, jobs, what)
                    found.setdefault(name, {})[str(size)] = round(figures["peak_mb"], 1)
                    if jobs > 1:
                        found.setdefault(f"{name}, a worker", {})[str(size)] = round(figures["peak_mb_of_a_worker"], 1)
                    print(f"{size:,}  {name}  {figures}", file=sys.stderr)
    finally:
        shutil.rmtree(folder)
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"at": at, "python": platform.python_version(), "peak_mb": found}


def medians(rounds: list[dict[str, float]]) -> dict[str, Any]:
    return {
        figure: {"median": statistics.median(r[figure] for r in rounds), "rounds": [r[figure] for r in rounds]}
        for figure in rounds[0]
    }


if __name__ == "__main__":
    main()
