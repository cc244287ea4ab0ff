"""Appends to PostgreSQL, beside `eventsourcing` with its default settings, in turns on one server with a slow flush.

`python -m bench.postgres [--server URL] [--seconds 3] [--rounds 3]` writes `bench/results/postgres.json`. Each side has
a database of its own with `commit_delay = 2000, commit_siblings = 0`: two milliseconds are added to every flush, as on
ordinary cloud storage. An append of actum is counted when it has returned: durable, sequenced and in the tree. Steps of
workflows, and the bytes that one takes, are measured in a third database, with the flush that the disk has.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Thread
from urllib.parse import urlsplit
from uuid import uuid4

from actum.testing.postgres import SERVER, ask, database
from bench.common import about_here, keep

BATCHES, WRITERS, SIZE = (1, 10, 100), (1, 8), 300
SIDES = ("actum, threads of one process", "actum, a process each", "eventsourcing, threads of one process")

Append = Callable[[int], None]
"""Appends so many events to a stream of its own."""


def per_second(appends: list[Append], batch: int, seconds: float) -> float:
    """Events a second of these writers, each in a thread."""
    counts = [0] * len(appends)
    for append in appends:
        append(batch)  # connections, streams and caches are there
    begin = time.perf_counter()

    def write(writer: int) -> None:
        while time.perf_counter() - begin < seconds:
            appends[writer](batch)
            counts[writer] += batch

    threads = [Thread(target=write, args=(i,)) for i in range(len(appends))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begin)


def actum(url: str, writers: int, batch: int, seconds: float) -> float:
    from actum.events import Actor, NewEvent, to_text
    from actum.eventstore import ANY, open_store
    from actum.eventstore import Append as Part

    store = open_store(url)
    worker, payload = Actor("worker", "bench"), b'"' + b"x" * (SIZE - 2) + b'"'

    def writer() -> Append:
        stream = f"execution/{uuid4()}"

        def append(count: int) -> None:
            at = to_text(time.time_ns() // 1000)
            facts = {"step": "charge", "occurrence": 0, "attempt": 1, "outcome": "success"}
            new = [NewEvent("step.completed", facts, at, worker, str(uuid4()), payload) for _ in range(count)]
            store.append([Part(stream, ANY, new)])

        return append

    try:
        return per_second([writer() for _ in range(writers)], batch, seconds)
    finally:
        store.close()


def actum_processes(url: str, writers: int, batch: int, seconds: float) -> float:
    command = [sys.executable, "-m", "bench.postgres", "--child", url, str(batch), str(seconds)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(writers)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.flush()
    return sum(float(child.communicate()[0]) for child in children)


def child(url: str, batch: int, seconds: float) -> None:
    actum(url, 1, batch, 0.05)
    print("ready", flush=True)
    sys.stdin.readline()
    print(actum(url, 1, batch, seconds), flush=True)


def eventsourcing(url: str, writers: int, batch: int, seconds: float) -> float:
    from eventsourcing.persistence import StoredEvent
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

    parts = urlsplit(url)
    store = PostgresDatastore(
        parts.path[1:], parts.hostname or "", str(parts.port), parts.username or "", parts.password or "", pool_size=10
    )
    recorder = PostgresApplicationRecorder(store, events_table_name="stored_events")
    recorder.create_table()
    state = b"x" * SIZE

    def writer() -> Append:
        stream, version = uuid4(), 0

        def append(count: int) -> None:
            nonlocal version
            recorder.insert_events([StoredEvent(stream, version + i, "charge", state) for i in range(count)])
            version += count

        return append

    try:
        return per_second([writer() for _ in range(writers)], batch, seconds)
    finally:
        store.close()


async def steps(url: str, workflow: str, count: int, at_once: int) -> dict[str, float]:
    """`count` executions of ten steps, `at_once` of them side by side: steps a second, and bytes a step."""
    from actum import Engine, open_store
    from bench import workflows

    def size() -> int:
        ask(url, "CHECKPOINT")
        ((used,),) = ask(
            url, "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND oid > 16384"
        )
        return int(used)

    code = getattr(workflows, workflow)
    store = open_store(url)
    async with Engine(store) as engine:
        await (await engine.start(code, 10)).result()
        before = size()
        gate = asyncio.Semaphore(at_once)

        async def one() -> None:
            async with gate:
                await (await engine.start(code, 10)).result()

        begin = time.perf_counter()
        await asyncio.gather(*[one() for _ in range(count)])
        took = time.perf_counter() - begin
    store.close()
    return {"steps_per_s": count * 10 / took, "bytes_per_step": (size() - before) / (count * 10)}


def engine_figures(url: str, rounds: int) -> dict[str, dict[str, dict[str, object]]]:
    """Medians and rounds of every figure of the engine."""
    found: dict[str, dict[str, list[float]]] = {}
    for round_ in range(rounds):
        for name, workflow, count, at_once in (
            ("sequence_1", "sequence", 60, 1),
            ("sequence_50", "sequence", 1000, 50),
            ("small_50", "small", 1000, 50),
            ("fan_out_1", "fan_out", 60, 1),
            ("fan_out_50", "fan_out", 1000, 50),
        ):
            for figure, value in asyncio.run(steps(url, workflow, count, at_once)).items():
                found.setdefault(name, {}).setdefault(figure, []).append(value)
            print(f"{round_ + 1}  {name:20} {found[name]['steps_per_s'][-1]:10,.0f} steps/s", flush=True)
    return {
        name: {figure: {"median": statistics.median(values), "rounds": values} for figure, values in figures.items()}
        for name, figures in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default=SERVER)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], int(given.child[1]), float(given.child[2]))
        return
    sides = dict(zip(SIDES, (actum, actum_processes, eventsourcing), strict=True))
    with database(given.server) as ours, database(given.server) as theirs:
        for url in (ours, theirs):
            name = urlsplit(url).path[1:]
            ask(given.server, f"ALTER DATABASE {name} SET commit_delay = 2000")
            ask(given.server, f"ALTER DATABASE {name} SET commit_siblings = 0")
        found: dict[str, dict[str, list[float]]] = {side: {} for side in SIDES}
        for round_ in range(given.rounds):
            for writers in WRITERS:
                for batch in BATCHES:
                    for side, load in sides.items():
                        rate = load(theirs if "eventsourcing" in side else ours, writers, batch, given.seconds)
                        found[side].setdefault(f"{writers} writers, batch {batch}", []).append(rate)
                        print(f"{round_ + 1}  {writers} x {batch:3}  {side:40} {rate:10,.0f} events/s", flush=True)
        server = ask(ours, "SELECT current_setting('server_version'), current_setting('fsync')")[0]
    with database(given.server) as url:
        engine = engine_figures(url, given.rounds)
    write(found, engine, server, given.rounds, given.seconds)


def write(
    found: dict[str, dict[str, list[float]]], engine: object, server: tuple[str, str], rounds: int, seconds: float
) -> None:
    medians = {side: {load: statistics.median(rates) for load, rates in loads.items()} for side, loads in found.items()}
    peer = medians[SIDES[2]]
    results = {
        **about_here("psycopg", "eventsourcing"),
        "settings": {
            "server": f"PostgreSQL {server[0]}, fsync {server[1]}; clients on the same machine",
            "appends": "commit_delay 2000, commit_siblings 0",
            "events": f"{SIZE} bytes of payload (actum: and a header, salted digest, chain, tree) or state",
            "rounds": rounds,
            "seconds": seconds,
        },
        "events_per_s": {
            side: {load: {"median": medians[side][load], "rounds": rates} for load, rates in loads.items()}
            for side, loads in found.items()
        },
        "ratio_to_eventsourcing": {
            side: {load: rate / peer[load] for load, rate in loads.items()}
            for side, loads in medians.items()
            if side != SIDES[2]
        },
        "engine": engine,
    }
    keep("postgres.json", results)


if __name__ == "__main__":
    main()
