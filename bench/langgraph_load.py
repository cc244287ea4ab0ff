"""LangGraph's side of the same workloads: its graph API and its own checkpointers, `durability="sync"`.

On SQLite one connection in WAL mode with synchronous=FULL, on PostgreSQL a pool: the checkpointers' own ways. Other
durabilities of it are faster and hold less: `async` may lose the last steps, `exit` keeps nothing before the end.
"""

from __future__ import annotations

import time

BORN = time.perf_counter()

import asyncio  # noqa: E402
import gc  # noqa: E402
import operator  # noqa: E402
import os  # noqa: E402
from collections.abc import AsyncIterator  # noqa: E402
from contextlib import asynccontextmanager  # noqa: E402
from typing import Annotated, Any, TypedDict  # noqa: E402

from langgraph.graph import END, START, StateGraph  # noqa: E402
from langgraph.types import interrupt  # noqa: E402

from bench.common import Stamps, bytes_of, emit, measured, resident_mib, word  # noqa: E402

URL = word(2)
HOLD = os.environ.get("BENCH_HOLD") == "1"
held = 0
stamps = Stamps()


class Total(TypedDict):
    n: int


class Parts(TypedDict):
    parts: Annotated[list[int], operator.add]


@asynccontextmanager
async def saver(connections: int = 20) -> AsyncIterator[Any]:
    """Its checkpointer on this database."""
    if URL.startswith("sqlite"):
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(URL.removeprefix("sqlite:///")) as kept:
            await kept.setup()
            yield kept
        return
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    settings: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(
        URL, min_size=connections, max_size=connections, open=False, timeout=600, kwargs=settings
    ) as pool:
        kept = AsyncPostgresSaver(pool)
        await kept.setup()
        yield kept


def add(state: Total) -> Total:
    return {"n": state["n"] + 1}


def stamp(state: Total) -> Total:
    stamps.now()
    return {"n": state["n"] + 1}


def ask(state: Total) -> Total:
    interrupt("go on?")
    return state


async def gate(state: Total) -> Total:
    global held
    if HOLD:
        held += 1
        await asyncio.sleep(3600)
    return {"n": state["n"] + 1}


def chain(kept: Any, *nodes: Any) -> Any:
    """One node after the other."""
    graph = StateGraph(Total)
    for i, node in enumerate(nodes):
        graph.add_node(f"s{i}", node)
        graph.add_edge(START if i == 0 else f"s{i - 1}", f"s{i}")
    graph.add_edge(f"s{len(nodes) - 1}", END)
    return graph.compile(checkpointer=kept)


def fan_out(kept: Any, width: int) -> Any:
    graph = StateGraph(Parts)
    graph.add_node("root", lambda _: {"parts": []})
    graph.add_node("join", lambda _: {"parts": []})
    graph.add_edge(START, "root")
    for i in range(width):
        graph.add_node(f"b{i}", lambda _, i=i: {"parts": [i]})
        graph.add_edge("root", f"b{i}")
        graph.add_edge(f"b{i}", "join")
    graph.add_edge("join", END)
    return graph.compile(checkpointer=kept)


def loop(kept: Any, steps: int, node: Any = add, last: Any = None) -> Any:
    """One node so many times, then the last one."""
    graph = StateGraph(Total)
    graph.add_node("again", node)
    graph.add_edge(START, "again")
    after = END
    if last is not None:
        graph.add_node("last", last)
        graph.add_edge("last", END)
        after = "last"
    graph.add_conditional_edges("again", lambda state: after if state["n"] >= steps else "again")
    return graph.compile(checkpointer=kept)


def graph_of(workflow: str, kept: Any, steps: int) -> Any:
    match workflow:
        case "sequence":
            return chain(kept, *[add] * steps)
        case "fan_out":
            return fan_out(kept, steps)
        case "half_way":
            return chain(kept, *[gate if i == steps // 2 else add for i in range(steps)])
        case "long_run":
            return loop(kept, steps, last=gate)
        case _:
            raise SystemExit(f"no workflow {workflow!r}")


async def run(graph: Any, thread: str, given: Any, steps: int) -> Any:
    settings = {"configurable": {"thread_id": thread}, "recursion_limit": steps + 10}
    return await graph.ainvoke(given, settings, durability="sync")


async def executions(workflow: str, count: int, at_once: int, steps: int) -> None:
    async with saver(min(at_once, 20)) as kept:
        graph = graph_of(workflow, kept, steps)
        given: Any = {"parts": []} if workflow == "fan_out" else {"n": 0}
        await run(graph, "warm", given, steps)
        before = bytes_of(URL)
        limit = asyncio.Semaphore(at_once)

        async def one(i: int) -> None:
            async with limit:
                await run(graph, f"e{i}", given, steps)

        with measured() as clock:
            await asyncio.gather(*[one(i) for i in range(count)])
        done = count * steps
        emit(
            steps_per_s=done / clock.wall_s,
            cpu_us_per_step=clock.cpu_s / done * 1e6,
            bytes_per_step=(bytes_of(URL) - before) / done,
        )


async def latency(steps: int) -> None:
    async with saver(1) as kept:
        await run(loop(kept, steps, stamp), "one", {"n": 0}, steps)
    emit(**stamps.figures())


async def waiting(count: int) -> None:
    """Executions that have done three steps and wait for a person; in memory nothing of them is left."""
    async with saver() as kept:
        graph = chain(kept, add, add, add, ask)
        await run(graph, "warm", {"n": 0}, 10)
        gc.collect()
        before, disk = resident_mib(), bytes_of(URL)
        for i in range(count):
            await run(graph, f"e{i}", {"n": 0}, 10)
        gc.collect()
        emit(mib_per_1000=(resident_mib() - before) * 1000 / count, disk_bytes_each=(bytes_of(URL) - disk) / count)


async def hold(workflow: str, count: int, steps: int) -> None:
    async with saver() as kept:
        graph = graph_of(workflow, kept, steps)
        with measured() as clock:
            running = [asyncio.create_task(run(graph, f"e{i}", {"n": 0}, steps)) for i in range(count)]
            while held < count:
                await asyncio.sleep(0.005)
        emit(written_s=clock.wall_s)
        print("READY", flush=True)
        await asyncio.gather(*running)


async def recover(workflow: str, count: int, steps: int) -> None:
    """It does not recover by itself: the caller knows the threads, and runs each again without an input."""
    async with saver() as kept:
        graph = graph_of(workflow, kept, steps)
        await asyncio.gather(*[run(graph, f"e{i}", None, steps) for i in range(count)])
        emit(since_start_s=time.perf_counter() - BORN)
        print("DONE", flush=True)


async def rebuild(thread: str, steps: int) -> None:
    """The nearest that it has: its last snapshot, and the list of all."""
    async with saver(1) as kept:
        graph = graph_of("long_run", kept, steps)
        settings: Any = {"configurable": {"thread_id": thread}}
        took = []
        for _ in range(5):
            with measured() as clock:
                await graph.aget_state(settings)
            took.append(clock.wall_s)
        emit(rebuild_s=sorted(took)[2])


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
        asyncio.run(recover(word(4), int(word(3)), int(word(5))))
    case "rebuild":
        asyncio.run(rebuild(word(3), int(word(4))))
    case other:
        raise SystemExit(f"no workload {other!r}")
