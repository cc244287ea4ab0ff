"""actum's side of each workload. `python -m bench.actum_load WORKLOAD URL …` prints FIGURES lines."""

from __future__ import annotations

import time

BORN = time.perf_counter()

import asyncio  # noqa: E402
import gc  # noqa: E402

from actum import Engine, open_store  # noqa: E402
from bench import workflows  # noqa: E402
from bench.common import bytes_of, emit, measured, resident_mib, word  # noqa: E402

URL = word(2)


async def executions(workflow: str, count: int, at_once: int, steps: int) -> None:
    """`count` executions of `steps` steps, `at_once` of them side by side."""
    code = getattr(workflows, workflow)
    store = open_store(URL)
    async with Engine(store) as engine:
        await (await engine.start(code, steps)).result()
        before = bytes_of(URL)
        gate = asyncio.Semaphore(at_once)

        async def one() -> None:
            async with gate:
                await (await engine.start(code, steps)).result()

        with measured() as clock:
            await asyncio.gather(*[one() for _ in range(count)])
    store.close()
    done = count * steps
    emit(
        steps_per_s=done / clock.wall_s,
        cpu_us_per_step=clock.cpu_s / done * 1e6,
        bytes_per_step=(bytes_of(URL) - before) / done,
    )


async def latency(steps: int) -> None:
    """One execution of `steps` steps: what the engine adds to each."""
    store = open_store(URL)
    async with Engine(store) as engine:
        await (await engine.start(workflows.stamped, steps)).result()
    store.close()
    emit(**workflows.stamps.figures())


async def waiting(count: int) -> None:
    """What `count` executions cost in memory that have done three steps and wait for a person."""
    store = open_store(URL)
    async with Engine(store) as engine:
        warm = await engine.start(workflows.waiting, 3)
        await warm.wait_asking()
        gc.collect()
        before, disk = resident_mib(), bytes_of(URL)
        handles = [await engine.start(workflows.waiting, 3) for _ in range(count)]
        for handle in handles:
            await handle.wait_asking()
        del handles, handle
        gc.collect()
        emit(mib_per_1000=(resident_mib() - before) * 1000 / count, disk_bytes_each=(bytes_of(URL) - disk) / count)
    store.close()


async def hold(workflow: str, count: int, steps: int) -> None:
    """Bring executions to their gate, say READY, and wait to be killed."""
    code = getattr(workflows, workflow)
    store = open_store(URL)
    async with Engine(store) as engine:
        with measured() as clock:
            for i in range(count):
                await engine.start(code, steps, id=f"e{i}")
            while workflows.held < count:
                await asyncio.sleep(0.001)
        emit(written_s=clock.wall_s)
        print("READY", flush=True)
        await asyncio.sleep(3600)


async def recover(count: int) -> None:
    """A new process: take over everything that was left, and see it to its end."""
    store = open_store(URL)
    async with Engine(store) as engine:
        handles, refused = await engine.recover()
        assert len(handles) == count, (len(handles), refused)
        await asyncio.gather(*[handle.result() for handle in handles])
    emit(since_start_s=time.perf_counter() - BORN)
    print("DONE", flush=True)
    store.close()


def append(batch: int, callers: int, seconds: float) -> None:
    """Append on the full path (checks, salted digests, tree, views are none here), each caller waiting for its answer.

    With several callers what waits is committed together, as it is when many executions run.
    """
    import random
    from queue import SimpleQueue

    from actum.events import Actor, NewEvent, to_text, uuid7s
    from actum.eventstore import ANY, Append

    store = open_store(URL)
    actor = Actor("worker", "w-bench")
    made = 0
    facts = {"attempt": 1, "duration_us": 412, "occurrence": 0, "outcome": "success", "step": "match"}
    payload = b'{"order":"A-17","amount_eur":950,"note":"' + b"x" * 200 + b'"}'
    answers: SimpleQueue[object] = SimpleQueue()

    def give(number: int) -> None:
        now = time.time_ns() // 1000
        ids = uuid7s(now, [random.getrandbits(62) for _ in range(batch)])
        at = to_text(now)
        events = [NewEvent("step.completed", facts, at, actor, id_, payload) for id_ in ids]
        store.append_soon([Append(f"execution/a{number // 20}", ANY, events)], answers.put)

    with measured() as clock:
        end = time.perf_counter() + seconds
        for number in range(callers):
            give(number)
        while made < callers * batch or time.perf_counter() < end:
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            made += batch
            number += 1
            give(number)
    store.close()
    emit(events_per_s=made / clock.wall_s)


def rebuild(execution: str) -> None:
    """Read one execution's stream and fold it; the best of what a warm process does."""
    from actum.engine.rules.folding import fold

    store = open_store(URL)
    took = []
    for _ in range(5):
        with measured() as clock:
            state = fold(execution, store.read_stream(f"execution/{execution}"))
        took.append(clock.wall_s)
    store.close()
    emit(rebuild_s=sorted(took)[2], events=state.version)


def verify() -> None:
    """The whole store: bytes, chains, payloads, tree, views."""
    from actum.eventstore.check.store import check_store
    from actum.wiring import rebuild_views

    store = open_store(URL)
    with measured() as clock:
        found = check_store(store, rebuild=rebuild_views)
    answer = found.to_json()
    assert answer["verdict"] == "verified", answer
    store.close()
    emit(events_per_s=answer["events"] / clock.wall_s, events=answer["events"])


match word(1):
    case "executions":
        asyncio.run(executions(word(3), int(word(4)), int(word(5)), int(word(6))))
    case "latency":
        asyncio.run(latency(int(word(3))))
    case "waiting":
        asyncio.run(waiting(int(word(3))))
    case "hold":
        asyncio.run(hold(word(3), int(word(4)), int(word(5))))
    case "recover":
        asyncio.run(recover(int(word(3))))
    case "append":
        append(int(word(3)), int(word(4)), float(word(5)))
    case "rebuild":
        rebuild(word(3))
    case "verify":
        verify()
    case other:
        raise SystemExit(f"no workload {other!r}")
