"""Periodic steps: they run again each interval beside the flow, in an engine with a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.engine import Every, Graph, Over
from actum.engine.graphs.load import load_graph, read_graph
from actum.engine.graphs.picture import text
from actum.engine.rules.calls import Done, Outcome, Sleep, Take
from actum.errors import DefinitionError, ExecutionFailed
from actum.eventstore import EventStore, open_store
from tests.engine.planner_driver import Driven, nothing
from tests.engine.random_graphs import Case, cases
from tests.engine.world import engine_on, history, sound, until, virtually


@pytest.fixture
def store() -> Iterator[EventStore]:
    """A fresh store; whatever a test does, the log is sound when the dust has settled."""
    store = open_store("memory://")
    yield store
    sound(store)
    store.close()


def poller(*, takes_s: float = 0, fails_at: tuple[int, ...] = ()) -> tuple[Callable[[], Any], list[float]]:
    """A step that counts its runs, and the times at which they began."""
    began: list[float] = []

    async def poll() -> dict[str, int]:
        began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(takes_s)
        if len(began) in fails_at:
            raise ConnectionError("the line is dead")
        return {"n": len(began)}

    return poll, began


def result_of(store: EventStore, graph: Graph) -> Any:
    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(graph, id="one")).result()

    return virtually(main())


def whole(times: list[float]) -> list[int]:
    return [round(time) for time in times]


def test_a_periodic_step_runs_for_as_long_as_the_rest_of_the_graph(store: EventStore) -> None:
    """Every minute beside a wait of five; what follows starts after the first run and sees the newest result."""
    poll, began = poller()
    graph = (
        Graph("g")
        .step("poll", poll, every="1m")
        .wait("rest", "270s")
        .transform("said", "{{ poll.n }}", join=2)
        .edge("poll", "said")
        .edge("rest", "said")
        .start("poll", "rest")
        .build()
    )

    assert result_of(store, graph) == 5
    assert whole(began) == [0, 60, 120, 180, 240]
    assert history(store).count("transition.taken") == 2
    assert history(store)[-1] == "execution.completed"
    assert "timer.fired poll.every#3" in history(store)


def test_rounds_that_are_counted_keep_the_graph_open(store: EventStore) -> None:
    """`times` counts all runs, and the execution ends with the last of them."""
    poll, began = poller()

    assert result_of(store, Graph("g").step("poll", poll, every=Every(3_600, times=3)).build()) == {"n": 3}
    assert whole(began) == [0, 3_600, 7_200]


def test_rounds_end_when_their_condition_holds(store: EventStore) -> None:
    """It is asked after each run, of the newest result."""
    poll, began = poller()
    every: Any = {"interval": "10s", "until": {"source": "poll.n", "operator": "gte", "value": 4}}

    assert result_of(store, Graph("g").step("poll", poll, every=every).build()) == {"n": 4}
    assert len(began) == 4


def test_a_round_that_is_due_while_another_runs_is_left_out(store: EventStore) -> None:
    """The next one begins a whole number of intervals after the first, and never two at once."""
    poll, began = poller(takes_s=25)
    result_of(store, Graph("g").step("poll", poll, every=Every(10, times=3)).build())

    assert whole(began) == [0, 30, 60]


def test_a_round_that_fails_means_what_the_step_says(store: EventStore) -> None:
    """With on_error: continue the result before it stands; without, the execution fails."""
    poll, began = poller(fails_at=(2,))
    graph = Graph("g").step("poll", poll, every=Every(10, times=2), on_error="continue").build()

    assert result_of(store, graph) == {"n": 1}
    assert len(began) == 2
    poll, began = poller(fails_at=(2,))
    other = Graph("h").step("poll", poll, every=Every(10, times=3)).build()

    async def main() -> None:
        async with engine_on(store) as engine:
            with pytest.raises(ExecutionFailed, match="step 'poll': the line is dead"):
                await (await engine.start(other, id="two")).result()

    virtually(main())
    assert len(began) == 2


def test_a_period_survives_its_engine(store: EventStore) -> None:
    """Another engine goes on where the log says: no round is run twice, and none begins anew."""
    poll, began = poller()
    graph = Graph("g").step("poll", poll, every=Every(60, times=4)).build()

    async def main() -> Any:
        async with engine_on(store, worker="w-1") as engine:
            await engine.start(graph, id="one")
            await until(lambda: "timer.set poll.every#1" in history(store))
        async with engine_on(store, worker="w-1") as engine:
            engine.register(graph)
            (handle,), _ = await engine.recover()
            return await handle.result()

    assert virtually(main()) == {"n": 4}
    assert whole(began) == [0, 60, 120, 180]
    assert [word for word in history(store) if word.startswith("step.completed")] == [
        f"step.completed poll#{n}" for n in range(4)
    ]


def test_expired_and_periodic_go_together(store: EventStore) -> None:
    """A result that is renewed each interval is young enough for whoever comes late, and is not made once more."""
    poll, began = poller()
    graph = (
        Graph("g")
        .step("poll", poll)
        .wait("rest", "150s")
        .transform("said", "{{ poll.n }}", depends_on=[{"step": "poll", "expires": "90s", "every": "1m"}, "rest"])
        .build()
    )

    assert result_of(store, graph) == 3
    assert whole(began) == [0, 60, 120]


def test_an_expired_result_is_renewed_by_the_engine(store: EventStore) -> None:
    """The second run of the source stands in the log between the wait and the step that rests on it."""
    poll, began = poller()
    graph = (
        Graph("g")
        .step("poll", poll)
        .wait("rest", "150s")
        .transform("said", "{{ poll.n }}", depends_on=[{"step": "poll", "expires": "90s"}, "rest"])
        .build()
    )

    assert result_of(store, graph) == 2
    assert whole(began) == [0, 150]


def test_a_visit_of_a_loop_begins_the_period_anew(store: EventStore) -> None:
    """The rounds of the visit before are over, and their timer is given up."""
    poll, began = poller()
    graph = (
        Graph("g", max_visits=3)
        .step("poll", poll, every="40s")
        .wait("rest", "60s")
        .edge("poll", "rest")
        .edge("rest", "poll", when={"source": "poll.n", "operator": "lt", "value": 4})
        .build()
    )
    result_of(store, graph)

    assert whole(began) == [0, 40, 60, 100]
    assert sum("race.decided" in word for word in history(store)) == 2


def test_a_graph_in_place_and_a_map_can_be_periodic(store: EventStore) -> None:
    """The step runs whatever it is; each round has a scope of its own."""
    poll, _ = poller()
    inner = Graph("inner").step("poll", poll).build()
    graph = (
        Graph("g")
        .workflow("in", inner, every=Every(60, times=2))
        .step("each", nothing, over=Over([1, 2]), every=Every(60, times=2))
        .edge("in", "each")
        .build()
    )
    result_of(store, graph)

    words = history(store)
    assert [word for word in words if word.startswith("step.completed")] == [
        "step.completed in/poll#0",
        "step.completed each.0/each#0",
        "step.completed each.1/each#0",
        "step.completed in#1/poll#0",
        "step.completed each#1.0/each#1",
        "step.completed each#1.1/each#1",
    ]


def test_a_period_is_written_and_drawn_as_it_is_meant() -> None:
    """In a file, built, and as a dependency: one digest; and the picture says it."""
    run = "tests.engine.planner_driver:nothing"
    said = {"interval": "5m", "times": 3, "until": {"source": "a.done", "operator": "truthy"}}
    written = load_graph({"name": "g", "steps": [{"id": "a", "run": run, "every": said, "executor": "process"}]})
    built = Graph("g").step("a", run, every=said, executor="process").build()  # type: ignore[arg-type]
    depends = {"a": {"every": "5m"}}
    given = load_graph(
        {"name": "g", "steps": [{"id": "a", "run": run}, {"id": "z", "run": run, "depends_on": depends}]}
    )
    by_hand = Graph("g").step("a", run, every="5m").step("z", run).edge("a", "z").build()

    assert written.digest == built.digest == load_graph(written.to_json()).digest
    assert given.digest == by_hand.digest
    assert "every 5 min, 3 times, until a.done truthy, in process" in text(written)
    assert [spec.executor for spec in written.plan.specs()] == ["process"]


@pytest.mark.parametrize(
    ("step", "path", "problem"),
    [
        ({"every": 0}, "every", "more than 0"),
        ({"every": "often"}, "every", "often"),
        ({"every": {"times": 3}}, "every.interval", "is missing"),
        ({"every": {"interval": 1, "times": 1}}, "every.times", "at least 2"),
        ({"every": {"interval": 1, "times": "3"}}, "every.times", "whole number"),
        ({"every": {"interval": 1, "tmes": 3}}, "every.tmes", "did you mean 'times'"),
        ({"every": {"interval": 1, "until": "always"}}, "every.until", "holds at once"),
        ({"every": {"interval": 1, "until": {"source": "b.x", "operator": "truthy"}}}, "every.until", "no step"),
        ({"every": 1, "goto": ["end"]}, "every", "goto chooses once"),
        ({"every": 1, "on_error": [{"then": "z"}]}, "every", "no error leads to 'z'"),
        ({"executor": "a\nb"}, "executor", "printable"),
    ],
)
def test_a_period_that_cannot_be_meant_is_refused(step: dict[str, Any], path: str, problem: str) -> None:
    """When the definition is read, with the place."""
    raw = {
        "name": "g",
        "steps": [{"id": "a", "run": "x:y", **step}, {"id": "z", "run": "x:y"}],
        "flow": {"start_at": ["a", "z"]},
    }
    with pytest.raises(DefinitionError) as caught:
        read_graph(raw)
    assert caught.value.path == f"$.steps[0].{path}"
    assert problem in str(caught.value)


def test_two_dependents_that_say_different_intervals_are_refused() -> None:
    """Nobody can tell which is meant."""
    steps = [
        {"id": "a", "run": "x:y"},
        {"id": "y", "run": "x:y", "depends_on": {"a": {"every": "1m"}}},
        {"id": "z", "run": "x:y", "depends_on": {"a": {"every": "2m"}}},
    ]
    with pytest.raises(DefinitionError, match="elsewhere 'a' runs every '1m'; say it once"):
        read_graph({"name": "g", "steps": steps})


@forall(cases(), st.integers(0, 6), st.integers(2, 4), st.lists(st.integers(0, 100), min_size=3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_rounds_change_nothing_about_the_flow(case: Case, which: int, times: int, gaps: list[int], ends: bool) -> None:
    """Any graph with a periodic step in it comes to its one end, takes no transition twice for a round, and asks for
    the same when it is replayed."""
    number = which % len(case.graph.steps)
    step = case.graph.steps[number]
    if step.run is None:
        return
    steps = list(case.graph.steps)
    steps[number] = replace(step, every=Every(30, times=times if ends else None))
    run, now = Driven(replace(case.graph, steps=tuple(steps)).build()).begin(), 0
    for count in range(5_000):
        if run.ended is not None:
            break
        keys = list(run.open)
        key = keys[case.order[count % len(case.order)] % len(keys)]
        now += gaps[count % len(gaps)] * 1_000_000
        chance = case.answers[count % len(case.answers)]
        given = Outcome("fired") if ".every#" in key else case.outcome(run, key, chance)
        run.settle(key, given._replace(at_us=now))
    assert run.ended is not None
    took = [(one.source, one.source_occurrence, one.target) for one in run.wishes if isinstance(one, Take)]
    rounds = {f"{step.id}#{one.occurrence}" for one in run.wishes if isinstance(one, Sleep)}
    assert len(took) == len(set(took))
    assert not ends or rounds or not isinstance(run.ended, Done) or step.id not in run.called
    again = Driven(run.graph).begin()
    for key, outcome in run.record:
        again.settle(key, outcome)
    assert again.wishes == run.wishes
