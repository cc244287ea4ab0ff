"""What steps report to have used of models; and budgets of steps, time, tokens and cost, in functions and graphs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actum import Budget, Estimate, Graph, current_step, load_graph, step, workflow
from actum.errors import BadInput, DefinitionError, StepFailed
from actum.eventstore.memory import MemoryStore
from tests.engine.functions.test_racing import run
from tests.engine.world import engine_on, history, sound, virtually


def use(**amounts: Any) -> None:
    info = current_step()
    assert info is not None
    info.used(**amounts)


@step
async def ask(tokens: int, cost: int | None = 10) -> int:
    await asyncio.sleep(0.01)
    use(tokens_in=tokens, cost_nanousd=cost, model="m-small")
    return tokens


@step(estimate=Estimate(tokens=60))
async def expects(tokens: int) -> int:
    await asyncio.sleep(0.01)
    use(tokens_in=tokens, cost_nanousd=1)
    return tokens


@step(estimate=Estimate(tokens=0, cost_usd=0))
async def free() -> str:
    return "free"


def facts_of(store: MemoryStore, type_: str, id_: str = "one") -> list[dict[str, Any]]:
    return [event.facts for event in store.read_stream(f"execution/{id_}") if event.type == type_]


# -- reporting ---------------------------------------------------------------------------------------------------------


def test_what_a_step_reports_stands_in_its_facts() -> None:
    """In all, and by model and tool; and the end of the execution says what all of them have used."""

    @step
    async def talks() -> None:
        use(tokens_in=100, tokens_out=20, cost_nanousd=700, model="m-small")
        use(tokens_in=1, tokens_out=2, cost_nanousd=3, model="m-small")
        use(cost_nanousd=50, tool="search")

    @workflow
    async def flow(ctx: Any) -> None:
        await talks()
        await ask(5)

    store, _ = run(flow)

    first, second = facts_of(store, "step.completed")
    assert (first["input_tokens"], first["output_tokens"], first["cost_nanousd"]) == (101, 22, 753)
    assert first["used"] == [
        {"input_tokens": 101, "output_tokens": 22, "cost_nanousd": 703, "model": "m-small"},
        {"cost_nanousd": 50, "tool": "search"},
    ]
    assert second["used"] == [{"input_tokens": 5, "cost_nanousd": 10, "model": "m-small"}]
    (end,) = facts_of(store, "execution.completed")
    assert (end["input_tokens"], end["output_tokens"], end["cost_nanousd"]) == (106, 22, 763)


def test_attempts_that_fail_have_used_something_too() -> None:
    """What a failed attempt reported is in its facts, and counts."""
    tries = []

    @step(retries=1)
    async def flaky() -> None:
        tries.append(1)
        use(tokens_out=7, cost_nanousd=9)
        if len(tries) == 1:
            raise ValueError("boom")

    @workflow
    async def flow(ctx: Any) -> None:
        await flaky()

    store, _ = run(flow)

    assert facts_of(store, "step.failed")[0]["cost_nanousd"] == 9
    assert facts_of(store, "execution.completed")[0]["cost_nanousd"] == 18


def test_an_unknown_cost_makes_the_whole_unknown() -> None:
    """Tokens of which nobody said what they cost are never free: the total has no cost, and the tokens of all."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ask(5)
        await ask(6, None)

    store, _ = run(flow)

    (end,) = facts_of(store, "execution.completed")
    assert end["input_tokens"] == 11
    assert "cost_nanousd" not in end


def test_what_reports_nothing_leaves_no_trace() -> None:
    """An execution without any report has no totals, not even 0."""

    @workflow
    async def flow(ctx: Any) -> None:
        await free()

    store, _ = run(flow)

    (end,) = facts_of(store, "execution.completed")
    assert not {"input_tokens", "output_tokens", "cost_nanousd", "used"} & end.keys()


@pytest.mark.parametrize(
    ("amounts", "says"),
    [
        ({"tokens_in": -1}, "tokens_in is a whole number of at least 0, not -1"),
        ({"cost_nanousd": 0.5}, "cost_nanousd is a whole number of at least 0, not 0.5"),
        ({"tokens_out": True}, "tokens_out is a whole number"),
        ({"tokens_in": 1, "model": ""}, "the name of a model"),
        ({}, "at least one of"),
    ],
)
def test_a_report_that_is_none_is_refused(amounts: dict[str, Any], says: str) -> None:
    """It is an error of the step, and nothing of it is counted."""

    @step
    async def reports() -> None:
        use(**amounts)

    @workflow
    async def flow(ctx: Any) -> None:
        await reports()

    store, error = run(flow)

    assert says in error.message
    assert "used" not in facts_of(store, "step.failed")[0]


def test_what_children_have_used_counts_in_their_parent() -> None:
    """When they end, whether well or badly, and over an execution that goes on as another."""

    @workflow
    async def talks(ctx: Any, left: int) -> None:
        await ask(10)
        if left:
            ctx.continue_as_new(left - 1)

    @workflow
    async def falls(ctx: Any) -> None:
        await ask(1000)
        raise ValueError("boom")

    @workflow
    async def parent(ctx: Any) -> None:
        await ctx.gather(ctx.child(talks, 2), ctx.child(falls), return_exceptions=True)

    store, _ = run(parent)

    (end,) = facts_of(store, "execution.completed")
    assert (end["input_tokens"], end["cost_nanousd"]) == (1030, 40)
    assert sorted(facts["input_tokens"] for facts in facts_of(store, "child.ended")) == [30, 1000]


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_a_budget_of_tokens_ends_by_name() -> None:
    """The step that has no room is not started, and the workflow hears of it as of any failure."""

    @workflow(budget=Budget(tokens=100))
    async def flow(ctx: Any) -> Any:
        await ask(50)
        await ask(50)
        try:
            await ask(1)
        except StepFailed as exc:
            return [exc.error_type, exc.message, await free()]

    _, output = run(flow)

    assert output[0] == "BudgetExceeded"
    assert "step 'ask' was not started: the budget is 100 tokens; 100 used" in output[1]
    assert output[2] == "free"


@pytest.mark.parametrize("started", [1, 2])
def test_side_by_side_they_do_not_overrun_it_together(started: int) -> None:
    """Room is kept for what is under way, by what is declared; so a cap of 100 holds however many ask at once."""

    @workflow(budget=Budget(tokens=60 * started + 30))
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(*(expects(60) for _ in range(5)), return_exceptions=True)

    store, output = run(flow)

    assert [type(one).__name__ for one in output] == ["int"] * started + ["dict"] * (5 - started)
    assert facts_of(store, "execution.completed")[0]["input_tokens"] == 60 * started
    assert f"{60 * started} reserved, 60 asked for" in output[-1]["message"]


def test_room_is_kept_by_the_recorded_average() -> None:
    """A step that says nothing beforehand is expected to use what it has used so far."""

    @workflow(budget=Budget(cost_usd="0.000000100"))
    async def flow(ctx: Any) -> Any:
        await ask(1, 20)
        await ask(1, 31)
        return await ctx.gather(*(ask(1, 20) for _ in range(3)), return_exceptions=True)

    store, output = run(flow)

    assert [type(one).__name__ for one in output] == ["int", "dict", "dict"]
    assert [facts.get("reserved") for facts in facts_of(store, "step.started")][:3] == [
        None,
        {"tokens": 1, "cost_nanousd": 20},
        {"tokens": 1, "cost_nanousd": 26},
    ]
    assert "0.000000051 used, 0.000000026 reserved, 0.000000026 asked for" in output[1]["message"]


def test_the_nearest_limit_counts() -> None:
    """A step's own limits stand in the place of the workflow's, each for itself."""

    @step(budget=Budget(tokens=1000))
    async def may() -> None:
        use(tokens_in=50, cost_nanousd=5)

    @workflow(budget=Budget(tokens=10, cost_usd="0.000000012"))
    async def flow(ctx: Any) -> Any:
        done = []
        for _ in range(4):
            try:
                await may()
                done.append("done")
            except StepFailed as exc:
                done.append(exc.message.partition("budget is ")[2])
        return done

    _, output = run(flow)

    assert output[:2] == ["done", "done"]
    assert output[2].startswith("0.000000012 dollars; 0.00000001 used, 0.000000005 asked for")


def test_a_budget_of_cost_stops_at_an_unknown_one() -> None:
    """What nobody knows may be too much: nothing starts after it, and the error names the step."""

    @workflow(budget=Budget(cost_usd=5))
    async def flow(ctx: Any) -> None:
        await ask(5, None)
        await ask(5)

    _, error = run(flow)

    assert error.error_type == "BudgetExceeded"
    assert "unknown: 'ask' has used tokens and not said what they cost" in error.message


def test_a_failed_attempt_that_spent_the_budget_is_not_tried_again() -> None:
    """The next attempt is refused by name, at once."""

    @step(retries=5)
    async def wastes() -> None:
        use(tokens_in=60, cost_nanousd=1)
        raise ValueError("boom")

    @workflow(budget=Budget(tokens=100))
    async def flow(ctx: Any) -> None:
        await wastes()

    store, error = run(flow)

    assert error.error_type == "BudgetExceeded"
    assert "60 used, 60 asked for" in error.message
    assert [facts["error_type"] for facts in facts_of(store, "step.failed")] == ["ValueError", "BudgetExceeded"]


def test_budgets_of_steps_and_seconds_for_functions() -> None:
    """As in graphs: so many steps are started, and none after so long."""

    @workflow(budget=Budget(steps=2))
    async def counts(ctx: Any) -> None:
        for _ in range(3):
            await free()

    @workflow(budget=Budget(seconds=10))
    async def waits(ctx: Any) -> None:
        await ctx.sleep(11)
        await free()

    assert "the budget is 2 steps; 2 used, 1 asked for" in run(counts)[1].message
    assert "the budget is 10 seconds; 11 used" in run(waits)[1].message


def test_a_child_has_no_more_room_than_its_parent() -> None:
    """What a child may spend by its own budget is kept for it; one that finds no room is not started."""

    @workflow(name="small", budget=Budget(tokens=70))
    async def small(ctx: Any) -> None:
        await ask(20)

    @workflow(budget=Budget(tokens=100))
    async def parent(ctx: Any) -> Any:
        both = await ctx.gather(ctx.child(small), ctx.child(small), return_exceptions=True)
        await ctx.child(small)
        return [getattr(one, "error_type", one) for one in both]

    store, output = run(parent)

    assert output == [None, "BudgetExceeded"]
    assert {row["id"] for row in store.view("executions")} == {"one", "one.small-0", "one.small-2"}


def test_reservations_survive_a_restart() -> None:
    """They stand in the log: whoever takes over knows what is kept for what is under way."""

    @workflow(budget=Budget(tokens=100))
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(expects(60), later(ctx), return_exceptions=True)

    async def later(ctx: Any) -> Any:
        await ctx.sleep(0.005)
        return await expects(60)

    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store, worker="w-1") as first:
            await first.start(flow, id="one")
            await asyncio.sleep(0.001)
        async with engine_on(store, worker="w-2") as second:
            second.register(flow)
            return await (await second.resume("one")).result()

    output = virtually(main())

    assert [type(one).__name__ for one in output] == ["int", "dict"]
    sound(store)


# -- graphs ------------------------------------------------------------------------------------------------------------


async def graph_ask(tokens: int) -> int:
    use(tokens_in=tokens, cost_nanousd=tokens)
    return tokens


FILE = """
name: spends
budget: {tokens: 100, cost_usd: 0.5}
steps:
  - {id: first, run: "tests.engine.runtime.test_budgets:graph_ask", inputs: {tokens: 100}}
  - {id: second, run: "tests.engine.runtime.test_budgets:graph_ask", inputs: {tokens: 1},
     on_error: fallback, fallback: cheap}
  - {id: cheap, type: pass, output: cheap}
flow: {transitions: [{from: first, to: second}]}
"""


def test_a_graph_file_keeps_a_budget_of_tokens(tmp_path: Path) -> None:
    """A step without room has failed, and goes the way of any failed step."""
    (tmp_path / "spends.yaml").write_text(FILE)
    graph = load_graph(tmp_path / "spends.yaml")
    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(graph, {}, id="one")).result()

    assert virtually(main()) == "cheap"
    assert facts_of(store, "step.failed")[0]["error_type"] == "BudgetExceeded"
    assert load_graph(graph.to_json()).budget == Budget(tokens=100, cost_usd="0.5")
    sound(store)


def test_the_python_builder_and_a_steps_own_limit() -> None:
    """The step's limit stands in the place of the workflow's."""
    graph = Graph("g").defaults(budget=Budget(tokens=1)).step("a", graph_ask, inputs={"tokens": 5})
    graph = graph.step("b", graph_ask, inputs={"tokens": 5}, budget=Budget(tokens=10)).step("c", graph_ask, inputs={})
    graph = graph.edge("a", "b").edge("b", "c").build()
    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(graph, {}, id="one")).result()

    with pytest.raises(Exception, match="step 'c' was not started: the budget is 1 tokens; 10 used"):
        virtually(main())
    assert history(store).count("step.completed a#0") == history(store).count("step.completed b#0") == 1


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (Budget(), "limits nothing"),
        (Budget(tokens=-1), "tokens is a whole number of at least 0, not -1"),
        (Budget(steps=0), "steps is a whole number of at least 1, not 0"),
        (Budget(cost_usd="much"), "from 0 to a million, not 'much'"),
        (Budget(cost_usd=float("nan")), "from 0 to a million, not nan"),
        (Budget(seconds=-1), "seconds is a number of at least 0, not -1"),
    ],
)
def test_a_budget_that_is_none_is_refused_where_it_is_written(budget: Budget, says: str) -> None:
    """Before anything runs, in both front ends."""
    with pytest.raises(BadInput, match=says):
        workflow(budget=budget)(free.fn)
    with pytest.raises(BadInput, match=says):
        step(budget=budget)(free.fn)
    with pytest.raises(DefinitionError):
        Graph("g").step("a", graph_ask, budget=budget).build()


def test_an_estimate_that_is_none_is_refused() -> None:
    """As a budget is."""
    with pytest.raises(BadInput, match="the estimate of step 'free': tokens"):
        step(estimate=Estimate(tokens=-1))(free.fn)
