"""Whoever reads the log: projectors in one pass and as a subscription with a durable mark, relays to real servers.

`python -m bench.readers [--executions 5000] [--rounds 3]` writes `bench/results/readers.json`. The log is that of a
10-step workflow, on SQLite and on PostgreSQL. NATS and Redis are the ones on this machine. Nothing else should run
on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from actum import Engine
from actum.eventstore import EventStore, ExactlyOnce, MemoryCursors, Subscription, open_store
from actum.eventstore.subscriptions.cursors_sql import SqlCursors, open_engine
from actum.metrics import Fold
from actum.relay import Ledger, Relay, open_target
from actum.relay.registry import TargetOptions
from bench import workflows
from bench.common import about_here, keep

NATS, REDIS = "nats://127.0.0.1:4222", "redis://127.0.0.1:6379"
RESULTS = "readers.json"
RELAYED = 20_000
"""Events that a relay delivers in one round."""


async def fill(store: EventStore, executions: int) -> None:
    """The log: so many executions of ten steps."""
    async with Engine(store) as engine:
        gate = asyncio.Semaphore(50)

        async def one() -> None:
            async with gate:
                await (await engine.start(workflows.sequence, 10)).result()

        await asyncio.gather(*[one() for _ in range(executions)])


def folded(store: EventStore) -> int:
    """One pass, as `actum metrics` does it."""
    fold = Fold()
    for event in store.read(payloads=False):
        fold.add(event)
    return fold.position + 1


def projected(store: EventStore, marks: str | None) -> int:
    """A subscription whose every batch moves its mark in the transaction of its effects; None keeps it in memory."""
    fold = Fold()

    def take(_: object, events: object) -> None:
        for event in events:
            fold.add(event)

    cursors = MemoryCursors() if marks is None else SqlCursors(open_engine(marks))
    consumer = ExactlyOnce(cursors, "bench", take)
    return Subscription(store, "bench", consumer, payloads=False).catch_up()


def relayed(store: EventStore, url: str, folder: Path) -> int:
    """At least once, to a real server that keeps what it gets."""
    name = Path(url).name.rpartition("=")[2]
    target = open_target(url, TargetOptions(relay=name))
    ledger = Ledger(open_engine(f"sqlite:///{folder}/{name}.db"))
    try:
        return Relay(store, name, target, ledger, first=max(0, store.head() - RELAYED)).deliver_all()
    finally:
        target.close()


@contextmanager
def nats(name: str) -> Iterator[str]:
    """A JetStream stream of its own on the server that is there."""
    import nats as client

    async def on(what: Callable[..., object], **options: object) -> None:
        connection = await client.connect(NATS)
        try:
            await what(connection.jetstream(), **options)
        finally:
            await connection.close()

    asyncio.run(on(lambda js: js.add_stream(name=name, subjects=[f"{name}.>"])))
    try:
        yield f"{NATS}/{name}"
    finally:
        asyncio.run(on(lambda js: js.delete_stream(name)))


@contextmanager
def redis(name: str) -> Iterator[str]:
    """A stream of its own on the server that is there."""
    import redis as client

    try:
        yield f"{REDIS}/0?stream={name}"
    finally:
        client.Redis.from_url(REDIS).delete(name, "{" + name + "}:relays")


def per_second(work: Callable[[], int]) -> float:
    begin = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - begin)


@contextmanager
def logs(folder: Path) -> Iterator[dict[str, EventStore]]:
    """A log of each kind there is a server for."""
    from actum.testing.postgres import SERVER, database

    with database(SERVER) as url:
        found = {"SQLite": open_store(f"sqlite:///{folder}/log.db"), "PostgreSQL": open_store(url)}
        yield found
        for store in found.values():
            store.close()


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--executions", type=int, default=5_000)
    words.add_argument("--rounds", type=int, default=3)
    asked = words.parse_args()
    found: dict[str, list[float]] = {}

    def note(what: str, work: Callable[[], int]) -> None:
        found.setdefault(what, []).append(per_second(work))
        print(f"{what:60} {found[what][-1]:12,.0f} events/s", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as name, logs(Path(name)) as stores:
        folder = Path(name)
        for store in stores.values():
            asyncio.run(fill(store, asked.executions))
        for _ in range(asked.rounds):
            for kind, store in stores.items():
                marks = f"sqlite:///{folder}/{uuid4().hex}.db"
                note(f"{kind}: metrics in one pass", partial(folded, store))
                note(f"{kind}: metrics as a subscription, mark in memory", partial(projected, store, None))
                note(f"{kind}: metrics as a subscription, mark in SQLite", partial(projected, store, marks))
            for kind, place in (("NATS JetStream", nats), ("Redis stream", redis)):
                with place(f"bench{uuid4().hex[:8]}") as url:
                    note(f"SQLite: relay to {kind}, with payloads", partial(relayed, stores["SQLite"], url, folder))
        events = {kind: store.head() for kind, store in stores.items()}
    keep(
        RESULTS,
        {
            **about_here("psycopg", "nats-py", "redis"),
            "settings": {"events in the log": events, "relayed": RELAYED, "rounds": asked.rounds, "batch": 500},
            "events_per_s": {
                what: {"median": statistics.median(rates), "rounds": rates} for what, rates in found.items()
            },
        },
    )


if __name__ == "__main__":
    main()
