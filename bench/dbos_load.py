"""DBOS's side of the same workloads, with its defaults: on SQLite a rollback journal and synchronous=FULL."""

from __future__ import annotations

import time

BORN = time.perf_counter()

import asyncio  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402

from dbos import DBOS, SetWorkflowID  # noqa: E402

from bench.common import Stamps, bytes_of, emit, measured, resident_mib, word  # noqa: E402

URL = word(2)
HOLD = os.environ.get("BENCH_HOLD") == "1"
held = 0
stamps = Stamps()

DBOS(
    config={
        "name": "bench",
        "system_database_url": URL,
        "log_level": "ERROR",
        "run_admin_server": False,
        "application_version": "1",
    }
)


@DBOS.step()
async def echo(i: int) -> int:
    return i


@DBOS.step()
async def one() -> int:
    return 1


@DBOS.step()
async def gate(i: int) -> int:
    global held
    if HOLD:
        held += 1
        await asyncio.sleep(3600)
    return i


@DBOS.step()
async def stamp(i: int) -> int:
    stamps.now()
    return i


@DBOS.workflow()
async def stamped(steps: int) -> int:
    total = 0
    for i in range(steps):
        total += await stamp(i)
    return total


@DBOS.workflow()
async def asking(steps: int) -> int:
    for i in range(steps):
        await echo(i)
    return await DBOS.recv_async("answer", timeout_seconds=3600)


@DBOS.workflow()
async def sequence(steps: int) -> int:
    total = 0
    for i in range(steps):
        total += await echo(i)
    return total


@DBOS.workflow()
async def small(steps: int) -> int:
    total = 0
    for _ in range(steps):
        total += await one()
    return total


@DBOS.workflow()
async def fan_out(steps: int) -> int:
    return sum(await asyncio.gather(*[echo(i) for i in range(steps)]))


@DBOS.workflow()
async def half_way(steps: int) -> int:
    total = 0
    for i in range(steps):
        total += await (gate(i) if i == steps // 2 else echo(i))
    return total


@DBOS.workflow()
async def long_run(steps: int) -> int:
    total = 0
    for i in range(steps):
        total += await echo(i)
    return total + await gate(steps)


WORKFLOWS = {"sequence": sequence, "small": small, "fan_out": fan_out, "half_way": half_way, "long_run": long_run}


async def executions(workflow: str, count: int, at_once: int, steps: int) -> None:
    code = WORKFLOWS[workflow]
    await code(steps)
    before = bytes_of(URL)
    limit = asyncio.Semaphore(at_once)

    async def run() -> None:
        async with limit:
            await code(steps)

    with measured() as clock:
        await asyncio.gather(*[run() for _ in range(count)])
    done = count * steps
    emit(
        steps_per_s=done / clock.wall_s,
        cpu_us_per_step=clock.cpu_s / done * 1e6,
        bytes_per_step=(bytes_of(URL) - before) / done,
    )


async def latency(steps: int) -> None:
    await stamped(steps)
    emit(**stamps.figures())


async def waiting(count: int) -> None:
    """Workflows that have done three steps and wait for a message."""

    async def started(how_many: int) -> None:
        for _ in range(how_many):
            await DBOS.start_workflow_async(asking, 3)

    await started(1)
    await asyncio.sleep(1)
    gc.collect()
    before, disk = resident_mib(), bytes_of(URL)
    await started(count)
    while len(await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)) <= count:
        await asyncio.sleep(0.05)
    await asyncio.sleep(5)  # until the last of them has come to its wait: nothing says when
    gc.collect()
    emit(mib_per_1000=(resident_mib() - before) * 1000 / count, disk_bytes_each=(bytes_of(URL) - disk) / count)


async def hold(workflow: str, count: int, steps: int) -> None:
    with measured() as clock:
        for i in range(count):
            with SetWorkflowID(f"e{i}"):
                await DBOS.start_workflow_async(WORKFLOWS[workflow], steps)
        while held < count:
            await asyncio.sleep(0.005)
    emit(written_s=clock.wall_s)
    print("READY", flush=True)
    await asyncio.sleep(3600)


def recover(count: int) -> None:
    wanted = {f"e{i}" for i in range(count)}
    while True:
        done = DBOS.list_workflows(status="SUCCESS", load_output=False, load_input=False)
        if len({w.workflow_id for w in done} & wanted) == count:
            break
        time.sleep(0.01)
    emit(since_start_s=time.perf_counter() - BORN)
    print("DONE", flush=True)


def rebuild(execution: str) -> None:
    """The nearest that DBOS has: list the recorded steps of one workflow."""
    took = []
    steps = []
    for _ in range(5):
        with measured() as clock:
            steps = DBOS.list_workflow_steps(execution)
        took.append(clock.wall_s)
    emit(rebuild_s=sorted(took)[2], events=len(steps))


DBOS.launch()
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
        recover(int(word(3)))
    case "rebuild":
        rebuild(word(3))
    case other:
        raise SystemExit(f"no workload {other!r}")
os._exit(0)
