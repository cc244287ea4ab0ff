"""The classic patterns of control flow, each as a graph, with the path it takes."""

from __future__ import annotations

from typing import Any

import pytest

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.kinds import Catch, Over
from actum.engine.rules.calls import Outcome, Raced, Sleep, Wait
from tests.engine.planner_driver import Driven, granted, graph_of, nothing


def holds(source: str, value: Any = True) -> dict[str, Any]:
    return {"source": source, "operator": "eq", "value": value}


def identity(n: int) -> int:
    return n


def choosing(*targets: str) -> Graph:
    """`a` leads to each of these where its output of that name is true, and they all lead to `z`."""
    graph = Graph("g").step("a", nothing)
    for name in (*targets, "z"):
        graph = graph.step(name, nothing)
    for name in targets:
        graph = graph.edge("a", name, when=holds(f"a.{name}")).edge(name, "z")
    return graph.build()


def test_sequence() -> None:
    """Each step starts when the one before it has ended."""
    run = Driven(graph_of("a b", "b c")).run()

    assert run.taken == [("a", "b"), ("b", "c")]
    assert run.most_at_once == 1


def test_parallel_split_and_synchronisation() -> None:
    """All branches start at once, and what is behind them waits for all."""
    run = Driven(graph_of("a b", "a c", "b z", "c z")).begin()
    run.settle("a#0")
    assert list(run.open) == ["b#0", "c#0"]
    run.settle("c#0")
    assert list(run.open) == ["b#0"]
    run.settle("b#0")
    assert list(run.open) == ["z#0"]


def test_exclusive_choice_and_simple_merge() -> None:
    """One of the branches is taken, and the step behind starts once, without waiting for the others."""
    run = Driven(choosing("b", "c"), {"a": {"b": False, "c": True}}).run()

    assert run.called == ["a", "c", "z"]
    assert run.skipped == ["b"]


@pytest.mark.parametrize("chosen", [{"b"}, {"b", "c"}, {"c", "d"}, {"b", "c", "d"}])
def test_multi_choice_and_structured_synchronising_merge(chosen: set[str]) -> None:
    """Any number of branches is taken; the merge waits for exactly these and starts once."""
    run = Driven(choosing("b", "c", "d"), {"a": {name: name in chosen for name in "bcd"}}).begin()
    run.settle("a#0")
    assert set(run.open) == {f"{name}#0" for name in chosen}
    for name in sorted(chosen):
        assert "z#0" not in run.open
        run.settle(f"{name}#0")
    assert list(run.open) == ["z#0"]


def test_discriminator() -> None:
    """The first branch to come starts what is behind; the others run to their end and start nothing again."""
    run = Driven(graph_of("a b", "a c", "b z", "c z", z={"join": "any"})).begin()
    for key in ("a#0", "c#0", "z#0", "b#0"):
        run.settle(key)

    assert run.called == ["a", "b", "c", "z"]
    assert run.ended is not None


def test_cancelling_discriminator() -> None:
    """The first branch to come starts what is behind, and the others are told to stop."""
    run = Driven(graph_of("a b", "a c", "b z", "c z", z={"join": "any", "cancel_rest": True})).begin()
    run.settle("a#0")
    run.settle("c#0")

    assert Raced(0, "", "c", ("b#0",), "z.join") in run.wishes
    assert list(run.open) == ["z#0"]


def test_partial_join() -> None:
    """Two of three branches suffice."""
    run = Driven(graph_of("a b", "a c", "a d", "b z", "c z", "d z", z={"join": 2})).begin()
    run.settle("a#0")
    run.settle("d#0")
    assert "z#0" not in run.open
    run.settle("b#0")
    assert "z#0" in run.open


def test_arbitrary_cycles() -> None:
    """A loop with two ways in and two ways back is gone round as its outputs say."""
    graph = Graph("g", max_visits=9)
    for name in "abcd":
        graph = graph.step(name, nothing, join="any")
    graph = graph.edge("a", "b", when=holds("a", "b")).edge("a", "c", when=holds("a", "c"))
    graph = graph.edge("b", "c").edge("c", "b", when=holds("c", "b")).edge("c", "a", when=holds("c", "a"))
    graph = graph.edge("c", "d", when=holds("c", "d")).build()

    run = Driven(graph, {"a#0": "c", "c#0": "b", "a#1": "b"} | {"c#1": "a", "c#2": "d", "c#3": "d"}).run()

    ends = [target for _, target in run.taken]
    assert ends[:4] == ["c", "b", "c", "a"]
    assert ends[-1] == "d"


def test_deferred_choice() -> None:
    """What happens first outside, a signal or the end of a time, chooses the branch, and the other one is withdrawn."""
    graph = Graph("g").wait_signal("paid", timeout="1h", on_error=[Catch(("SignalTimeout",), "remind")])
    graph = graph.step("ship", nothing).step("remind", nothing).edge("paid", "ship").build()

    came, late = Driven(graph).begin(), Driven(graph).begin()
    assert [type(wish) for wish in came.wishes] == [Wait, Sleep]
    came.hear("paid")
    late.settle("paid.timeout#0")

    assert (came.taken, late.taken) == ([("paid", "ship")], [("paid", "remind")])
    assert list(came.open) == ["ship#0"]


def test_milestone() -> None:
    """A step may start only once another branch has come so far, and that branch goes on meanwhile."""
    graph = graph_of("a b", "b m", "m c", "a d", "d e", "m e")
    run = Driven(graph).begin()
    for key in ("a#0", "d#0", "b#0"):
        run.settle(key)
    assert "e#0" not in run.open
    run.settle("m#0")

    assert list(run.open) == ["c#0", "e#0"]


def test_cancel_region() -> None:
    """When one of the steps around it says so, everything in an inner graph is told to stop at once."""
    inner = Graph("inner").step("x", nothing).step("y", nothing).step("x0", nothing).start("x0")
    inner = inner.edge("x0", "x").edge("x0", "y")
    graph = Graph("g").step("a", nothing).workflow("region", inner).wait_signal("stop")
    graph = graph.step("z", nothing, join="any", cancel_rest=True)
    graph = graph.edge("a", "region").edge("a", "stop").edge("region", "z").edge("stop", "z").build()
    run = Driven(graph).begin()
    run.settle("a#0")
    run.settle("region/x0#0")
    assert {"region/x#0", "region/y#0"} < set(run.open)
    run.hear("stop")

    assert Raced(0, "", "stop", ("region/x#0", "region/y#0"), "z.join") in run.wishes
    assert list(run.open) == ["z#0"]


def test_multiple_instances_known_when_the_graph_is_written() -> None:
    """As many as the definition says."""
    graph = Graph("g").step("m", identity, inputs={"n": "{{ item }}"}, over=Over([1, 2, 3])).build()

    run = Driven(graph).run()

    assert run.most_at_once == 3
    assert run.output == [1, 2, 3]


def test_multiple_instances_known_when_it_runs() -> None:
    """As many as a step before has found."""
    graph = Graph("g").step("find", nothing).step("m", identity, inputs={"n": "{{ item }}"}, over="{{ find.ns }}")

    assert Driven(graph.edge("find", "m").build(), {"find": {"ns": [4, 5]}}).run().output == [4, 5]


def test_multiple_instances_that_nobody_knows_beforehand() -> None:
    """Another one for as long as the last one says that there are more."""
    graph = Graph("g", max_visits=99).step("m", nothing, goto=["m", "end"]).build()

    run = Driven(graph, {"m#0": "m", "m#1": "m", "m#2": "end"}).run()

    assert run.called == ["m", "m", "m"]


def test_implicit_and_explicit_termination() -> None:
    """A graph is over when nothing is left to do, or as soon as a step says so."""
    by_itself = Driven(graph_of("a b", "a c")).run()
    graph = Graph("g").step("a", nothing).step("b", nothing).succeed("c", "now").step("d", nothing)
    stopped = Driven(graph.edge("a", "b").edge("a", "c").edge("b", "d").build()).run()

    assert by_itself.called == ["a", "b", "c"]
    assert stopped.output == "now"
    assert "d" not in stopped.called


def test_interleaved_approval() -> None:
    """People decide which way it goes, without holding up the branch beside it."""
    graph = graph_of("a ok", "a b", "ok c", ok={"asks": "Go on?"})
    run = Driven(graph).begin()
    run.settle("a#0")
    run.settle("b#0")
    run.settle("ok#0", granted())

    assert list(run.open) == ["c#0"]
    run.settle("c#0", Outcome("completed", 1))
    assert run.ended is not None
