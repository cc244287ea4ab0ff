"""Middleware, services, more input, and the kinds of steps of graphs, on a real engine and its log."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Any

import pytest

from actum.engine import Engine, Graph, Over, Service, StepInfo, current_step, step, workflow
from actum.errors import BadInput, ExecutionFailed, Incomplete, MissingService, NotWaiting
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, history, really, sound, until, virtually


async def double(n: int) -> int:
    return 2 * n


def plain(n: int, db: dict[str, int]) -> int:
    db["asked"] += 1
    return n + db["base"]


@step(services=["db"])
def charge(n: int, db: dict[str, int] | None = None) -> int:
    assert db is not None
    return n + db["base"]


@step
async def annotated(n: int, pool: Annotated[Any, Service("db")] = None) -> int:
    return n + int(pool["base"])


@step
async def looks() -> list[str]:
    info = current_step()
    assert info is not None
    return sorted(info.services)


# -- middleware ------------------------------------------------------------------------------------------------------


def test_middleware_stands_around_every_attempt_the_first_one_outermost() -> None:
    """In functions and graphs, around async steps and plain ones, which still run in threads."""
    seen: list[str] = []
    threads: set[str] = set()

    def named(name: str) -> Any:
        async def around(info: StepInfo, call: Any) -> Any:
            seen.append(f"{name} before {info.key}")
            try:
                return await call()
            finally:
                seen.append(f"{name} after {info.key}")

        return around

    @step
    def in_thread() -> str:
        threads.add(threading.current_thread().name)
        return "done"

    @workflow
    async def one(ctx: Any) -> Any:
        return await in_thread()

    store = MemoryStore()

    async def main() -> None:
        async with Engine(store) as engine:
            engine.use(named("outer"), named("inner"))
            assert await (await engine.start(one, id="one")).result() == "done"
            graph = Graph("g").step("a", double, inputs={"n": 4}).build()
            assert await (await engine.start(graph)).result() == 8

    really(main())
    assert seen[:5] == [
        "outer before in_thread#0",
        "inner before in_thread#0",
        "inner after in_thread#0",
        "outer after in_thread#0",
        "outer before a#0",
    ]
    assert all(name.startswith("actum-step") for name in threads)
    sound(store)


def test_what_middleware_returns_or_raises_is_the_attempts_end() -> None:
    """It may answer in the step's place, and its error is the step's failure."""

    async def instead(info: StepInfo, call: Any) -> Any:
        if info.key == "a#0":
            return "instead"
        raise ValueError("refused")

    async def main() -> None:
        async with engine_on(MemoryStore()) as engine:
            engine.use(instead)
            graph = Graph("g").step("a", double, inputs={"n": 4}).build()
            assert await (await engine.start(graph)).result() == "instead"
            with pytest.raises(ExecutionFailed, match="refused"):
                await (await engine.start(Graph("h").step("b", double, inputs={"n": 1}).build())).result()

    virtually(main())


# -- services --------------------------------------------------------------------------------------------------------


def test_steps_are_given_the_services_they_ask_for() -> None:
    """By name in a graph or a decorator, by annotation, or from current_step(); and nothing of them is recorded."""
    db = {"base": 10, "asked": 0}

    @workflow
    async def all_three(ctx: Any) -> Any:
        return [await charge(1), await annotated(2), await looks()]

    graph = Graph("g").step("a", plain, inputs={"n": 1}, services=["db"]).step("b", charge, inputs={"n": "{{ a }}"})
    store = MemoryStore()

    async def main() -> None:
        async with Engine(store, services={"db": db}) as engine:
            assert await (await engine.start(all_three)).result() == [11, 12, ["db"]]
            assert await (await engine.start(graph.edge("a", "b").build())).result() == 21

    really(main())
    assert db["asked"] == 1  # the object itself, and no copy
    assert not any("base" in str(event.payload) for event in store.read() if event.type.startswith("step."))
    sound(store)


def test_a_graph_whose_service_is_missing_does_not_start() -> None:
    """The missing name and the nearest one are said, and nothing is written."""
    graph = Graph("g").step("a", plain, inputs={"n": 1}, services=["db"]).build()
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store, services={"dbs": {}}) as engine:
            with pytest.raises(MissingService, match=r"'db'.*did you mean 'dbs'"):
                await engine.start(graph)

    virtually(main())
    assert list(store.read()) == []


def test_a_service_for_a_parameter_that_is_none_is_refused() -> None:
    """The graph says what it gives, and the code must take it."""
    with pytest.raises(BadInput, match=r"no parameter 'dbs' to give a service to; did you mean 'db'"):
        Graph("g").step("a", plain, inputs={"n": 1}, services=["dbs"]).build()


# -- more input ------------------------------------------------------------------------------------------------------


@workflow
async def chat(ctx: Any, first: str) -> list[str]:
    said = [first]
    while said[-1] != "bye":
        said.append(await ctx.receive({"so far": len(said)}))
    return said


def test_a_workflow_goes_on_with_each_new_input() -> None:
    """Whoever waits hears what it has said so far; each input is recorded and goes on, in another engine too."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            handle = await engine.start(chat, "hello", id="one")
            with pytest.raises(Incomplete) as caught:
                await handle.result()
            assert (caught.value.output, caught.value.request) == ({"so far": 1}, "input#0")
            row = store.view("executions", {"id": "one"})[0]
            assert (row["status"], row["waiting_for"]) == ("waiting", "input#0")
            handle = await engine.continue_("one", "more")
            with pytest.raises(Incomplete):
                await handle.result()
        async with engine_on(store) as engine:
            engine.register(chat)
            handle = await engine.continue_("one", "bye")
            assert await handle.result() == ["hello", "more", "bye"]
            with pytest.raises(NotWaiting, match="over"):
                await engine.continue_("one", "again")

    virtually(main())
    assert history(store)[1:] == [
        "input.requested input#0",
        "input.received input#0",
        "input.requested input#1",
        "input.received input#1",
        "execution.claimed",
        "execution.completed",
    ]
    sound(store)


@step
async def ask_name(name: str = "") -> str:
    if not name:
        raise Incomplete("who are you?")
    return f"hello {name}"


def test_a_step_of_a_graph_may_be_incomplete() -> None:
    """It is recorded as completed as far as it came, asks, and runs again with the input over what it had."""
    graph = Graph("g").step("a", ask_name, inputs={"name": "{{ input.name }}"}, optional_inputs=("name",)).build()
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            handle = await engine.start(graph, id="one")
            with pytest.raises(Incomplete) as caught:
                await handle.result()
            assert caught.value.output == "who are you?"
            assert await (await engine.continue_("one", {"name": "ann"})).result() == "hello ann"

    virtually(main())
    sound(store)


# -- graphs inside graphs, in the log --------------------------------------------------------------------------------


def nested() -> Graph:
    inner = Graph("row").step("cell", double, inputs={"n": "{{ item }}"}, over="{{ row }}")
    inner = inner.transform("sum", {"of": "{{ cell }}"}).edge("cell", "sum")
    inner = inner.wait("w", 5).edge("sum", "w").output("{{ sum.of }}")
    graph = Graph("g").parameter("rows", default=[[1, 2], [3]])
    return graph.workflow("rows", inner, over=Over("{{ parameters.rows }}", as_="row")).build()


def test_what_runs_inside_is_recorded_under_its_scope() -> None:
    """Steps, transitions and timers of inner graphs stand in the log under the step and the item they run for."""
    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            assert await (await engine.start(nested(), id="one")).result() == [[2, 4], [6]]

    virtually(main())
    words = history(store)
    assert "step.started rows.0/cell.1/cell#0" in words
    assert "timer.set rows.1/w#0" in words
    scopes = [event.facts["scope"] for event in store.read() if event.type == "transition.taken"]
    assert sorted(scopes) == ["rows.0", "rows.0", "rows.1", "rows.1"]
    sound(store)


@pytest.mark.parametrize("events", range(2, 16, 2))
def test_what_runs_inside_is_taken_up_where_it_was(events: int) -> None:
    """An engine that finds the log at any length goes on with it to the same end."""
    store = MemoryStore()

    async def main() -> None:
        engine = engine_on(store)
        await engine.start(nested(), id="one")
        await until(lambda: store.stream_version("execution/one") >= events)
        await engine.close()
        async with engine_on(store) as other:
            other.register(nested())
            handles, refused = await other.recover()
            assert not refused
            for handle in handles:
                assert await handle.result() == [[2, 4], [6]]

    virtually(main())
    sound(store)


def test_ten_thousand_items_are_started_in_one_append() -> None:
    """A map over ten thousand items runs to its end with two events for each, and its results are in order."""
    store = MemoryStore()
    graph = Graph("g").parameter("ns").step("m", double, inputs={"n": "{{ item }}"}, over="{{ parameters.ns }}")

    async def main() -> None:
        async with engine_on(store) as engine:
            result = await (await engine.start(graph.build(), {"ns": list(range(10_000))}, id="one")).result()
            assert result == [2 * n for n in range(10_000)]

    virtually(main())
    assert store.stream_version("execution/one") == 20_002


# -- signals, children and cancelled rests of graphs, in the log -----------------------------------------------------


async def hangs(n: int) -> int:
    if n:
        await asyncio.sleep(1_000)
    return n


def test_a_graph_waits_for_a_signal_through_a_restart() -> None:
    """The wait is recorded; a signal sent while nobody runs the execution is there for whoever does."""
    store = MemoryStore()
    graph = Graph("g").wait_signal("paid", timeout="1h").transform("z", "{{ paid.sum }}").edge("paid", "z").build()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(graph, id="one")
            await until(lambda: store.stream_version("execution/one") >= 3)
        async with engine_on(store) as engine:
            await engine.signal("one", "paid", {"sum": 7})
            engine.register(graph)
            assert await (await engine.resume("one")).result() == 7

    virtually(main())
    assert [word for word in history(store) if "race" in word] == ["race.decided paid.timeout#0"]
    sound(store)


def test_a_graph_whose_signal_does_not_come_goes_on_after_its_time() -> None:
    """The timer is recorded as the winner, and the default is the step's output."""
    store = MemoryStore()
    graph = Graph("g").wait_signal("paid", timeout="1h", default={"sum": 0}).build()

    async def main() -> None:
        async with engine_on(store) as engine:
            assert await (await engine.start(graph, id="one")).result() == {"sum": 0}

    virtually(main())
    decided = next(event for event in store.read() if event.type == "race.decided")
    assert (decided.facts["winner"], decided.facts["losers"]) == ("timeout", ["paid#0"])
    sound(store)


def test_a_graph_runs_published_workflows_as_executions_of_their_own() -> None:
    """For each item one, and their outputs are the results."""
    store = MemoryStore()
    inner = Graph("inner").parameter("n").step("a", double, inputs={"n": "{{ input.n }}"}).build()
    graph = Graph("g").workflow("each", "inner", inputs={"n": "{{ item }}"}, over=Over([1, 2])).build()

    async def main() -> None:
        async with engine_on(store) as engine:
            await (await engine.start(inner, {"n": 0})).result()
            assert await (await engine.start(graph, id="one")).result() == [2, 4]

    virtually(main())
    assert [event.facts["scope"] for event in store.read() if event.type == "child.ended"] == ["each.0", "each.1"]
    sound(store)


def test_the_rest_of_a_map_is_cancelled_for_real() -> None:
    """What is still under way is recorded as cancelled, and nobody waits for it."""
    store = MemoryStore()
    over = Over([1, 0, 1], join="any", cancel_rest=True)
    graph = Graph("g").step("m", hangs, inputs={"n": "{{ item }}"}, over=over).build()

    async def main() -> None:
        async with engine_on(store) as engine:
            assert await (await engine.start(graph, id="one")).result() == 0
            assert asyncio.get_running_loop().time() < 100

    virtually(main())
    cancelled = [word for word in history(store) if word.startswith("step.cancelled")]
    assert cancelled == ["step.cancelled m.0/m#0", "step.cancelled m.2/m#0"]
    sound(store)
