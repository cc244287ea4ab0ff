"""Results that expire: a step never starts on one that is older than its dependency allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import load_graph, read_graph
from actum.engine.graphs.picture import dot, mermaid, text
from actum.engine.rules.calls import Approve, Call, Done, Give, Outcome, Take
from actum.errors import DefinitionError
from tests.engine.planner_driver import Driven, failed, granted, nothing, rejected
from tests.engine.random_graphs import Case, cases

HOUR = 3_600 * 1_000_000


def at(hours: float, value: Any = None, kind: Any = "completed") -> Outcome:
    return Outcome(kind, value, at_us=round(hours * HOUR))


def rates(on_expired: Any = "rerun", **settings: Any) -> Graph:
    """`sell` rests on the rates of `load`, which are good for one hour; meanwhile people are asked."""
    return (
        Graph("g")
        .step("load", nothing, **settings)
        .approval("ask", "Sell?")
        .step("sell", lambda rate: rate, inputs={"rate": "{{ load.rate }}"}, join=2)
        .edge("load", "sell", expires="1h", on_expired=on_expired)
        .edge("ask", "sell")
        .start("load", "ask")
        .build()
    )


def waited(graph: Graph, hours: float) -> Driven:
    """The rates are there at once, and people take so long to say yes."""
    run = Driven(graph).begin()
    run.settle("load#0", at(0, {"rate": 1}))
    run.settle("ask#0", granted()._replace(at_us=round(hours * HOUR)))
    return run


def test_what_is_young_enough_is_used_as_it_is() -> None:
    """To the microsecond of its age: an hour old is not too old."""
    run = waited(rates(), 1)

    assert list(run.open) == ["sell#0"]
    assert run.call("sell#0").kwargs == {"rate": 1}


def test_what_has_expired_is_made_again_before_the_dependent_starts() -> None:
    """The source runs once more, nothing else it leads to does, and the dependent gets the new result."""
    run = waited(rates(), 1.5)
    assert list(run.open) == ["load#1"]
    run.settle("load#1", at(1.6, {"rate": 2}))

    assert list(run.open) == ["sell#0"]
    assert run.call("sell#0").kwargs == {"rate": 2}
    assert [wish.source_occurrence for wish in run.wishes if isinstance(wish, Take)] == [0, 0, 1]
    run.settle("sell#0", at(1.7, "sold"))
    assert run.output == "sold"


def test_skip_and_fail_say_what_else_may_become_of_it() -> None:
    """Without the dependent, or with an error that names both steps and both times."""
    skipped, given_up = waited(rates("skip"), 2), waited(rates("fail"), 2)

    assert skipped.skipped == ["sell"]
    assert isinstance(skipped.ended, Done)
    assert given_up.error.error_type == "DependencyExpired"
    assert "'load' returned is good for 3600 s, and is 7200 s old" in given_up.error.message


def test_a_renewal_that_fails_fails_like_the_step() -> None:
    """With on_error: continue the dependent goes on without it, and here cannot."""
    run, other = waited(rates(), 2), waited(rates(on_error="continue"), 2)
    run.settle("load#1", failed(ValueError("no rates"))._replace(at_us=2 * HOUR))
    other.settle("load#1", failed(ValueError("no rates"))._replace(at_us=2 * HOUR))

    assert (run.error.error_type, run.error.message) == ("ValueError", "step 'load': no rates")
    assert other.error.error_type == "MissingValue"


def test_a_renewal_that_no_longer_leads_to_the_dependent_skips_it() -> None:
    """The condition of the transition is asked again, of the new result."""
    graph = (
        Graph("g")
        .step("load", nothing)
        .wait("rest", "2h")
        .step("sell", nothing, join=2)
        .edge("load", "sell", when={"source": "load.open", "operator": "eq", "value": True}, expires="1h")
        .edge("rest", "sell")
        .start("load", "rest")
        .build()
    )
    run = Driven(graph).begin()
    run.settle("load#0", at(0, {"open": True}))
    run.settle("rest#0", at(2, kind="fired"))
    run.settle("load#1", at(2, {"open": False}))

    assert run.skipped == ["sell"]


def test_an_approval_that_has_expired_is_asked_for_again() -> None:
    """A yes is good for so long; the second question has its own answer, and a no is a no."""
    graph = (
        Graph("g").approval("ask", "Go?").wait("rest", "2h").step("go", nothing, join=2)
        .edge("ask", "go", expires="1h").edge("rest", "go").start("ask", "rest").build()
    )  # fmt: skip
    for answer, ends in ((granted(), None), (rejected(), Give)):
        run = Driven(graph).begin()
        run.settle("ask#0", granted()._replace(at_us=0))
        run.settle("rest#0", at(2, kind="fired"))
        assert list(run.open) == ["ask#1"]
        run.settle("ask#1", answer._replace(at_us=2 * HOUR))
        assert list(run.open) == ([] if ends else ["go#0"])
        assert isinstance(run.ended, ends) if ends else run.ended is None


def test_two_dependents_share_one_renewal_and_what_it_rests_on_is_renewed_too() -> None:
    """A token behind the rates has expired as well: it comes first; both dependents then start together."""
    graph = (
        Graph("g")
        .step("token", nothing)
        .step("load", nothing)
        .wait("rest", "2h")
        .step("buy", nothing, join=2)
        .step("sell", nothing, join=2)
        .edge("token", "load", expires="30m")
        .edge("load", "buy", expires="1h")
        .edge("load", "sell", expires="1h")
        .edge("rest", "buy")
        .edge("rest", "sell")
        .start("token", "rest")
        .build()
    )
    run = Driven(graph).begin()
    run.settle("token#0", at(0))
    run.settle("load#0", at(0))
    run.settle("rest#0", at(2, kind="fired"))
    assert list(run.open) == ["token#1"]
    run.settle("token#1", at(2))
    assert list(run.open) == ["load#1"]
    run.settle("load#1", at(2))
    assert list(run.open) == ["buy#0", "sell#0"]


def test_results_that_never_are_young_enough_together_end_the_execution() -> None:
    """Each takes longer to renew than the other is good for: after so many times it is an error, and no loop."""
    graph = (
        Graph("g").step("a", nothing).step("b", nothing).step("z", nothing, join=2)
        .edge("a", "z", expires="1h").edge("b", "z", expires="1h").start("a", "b").build()
    )  # fmt: skip
    run = Driven(graph).begin()
    hours = 0
    while run.open:
        hours += 2
        run.settle(next(iter(run.open)), at(hours))

    assert run.error.error_type == "DependencyExpired"
    assert "after 10 renewals" in run.error.message


def test_two_steps_of_a_loop_do_not_wait_for_each_others_renewal() -> None:
    """Each rests on the other's result; what closes the loop is not followed by a renewal."""
    graph = (
        Graph("g", max_visits=3)
        .step("a", nothing)
        .step("b", nothing)
        .wait("rest", "9h")
        .step("z", nothing, join=2)
        .edge("a", "b", expires="1h")
        .edge("b", "a", when={"source": "b.more", "operator": "eq", "value": True}, expires="1h")
        .edge("b", "z", expires="1h")
        .edge("rest", "z")
        .start("a", "rest")
        .build()
    )
    run = Driven(graph).begin()
    for key in ("a#0", "b#0", "a#1", "b#1"):
        run.settle(key, at(0, {"more": key == "b#0"}))
    run.settle("rest#0", at(9, kind="fired"))
    run.settle("a#2", at(9))
    run.settle("b#2", at(9))
    assert list(run.open) == ["z#0"]


def test_a_new_round_of_a_loop_leaves_what_waits_for_a_renewal_behind() -> None:
    """The old visit does not start when the renewal ends; the new one does, on the new result."""
    graph = (
        Graph("g", max_visits=5)
        .step("load", nothing)
        .step("again", nothing)
        .wait("rest", "2h")
        .step("use", nothing, join="any")
        .edge("load", "again")
        .edge("again", "load", when={"source": "again.more", "operator": "eq", "value": True})
        .edge("load", "use", expires="1h")
        .edge("rest", "use")
        .start("load", "rest")
        .build()
    )
    run = Driven(graph).begin()
    run.settle("load#0", at(0))
    run.settle("again#0", at(3, {"more": True}))
    run.settle("load#1", at(3))
    assert "use#0" in run.open


def test_the_same_outcomes_lead_to_the_same_wishes() -> None:
    """A replay renews where the execution did: nothing but the times in the log decides."""
    run = waited(rates(), 2)
    run.settle("load#1", at(2, {"rate": 2}))
    again = Driven(run.graph).begin()
    for key, outcome in run.record:
        again.settle(key, outcome)

    assert again.wishes == run.wishes


def test_a_file_says_it_with_a_transition_or_with_a_dependency() -> None:
    """Both are one definition, to the digest; what is written out is read again."""
    run = "tests.engine.planner_driver:nothing"
    steps = [{"id": "a", "run": run}, {"id": "z", "run": run}]
    way = {"from": "a", "to": "z", "expires": "1h", "on_expired": "skip"}
    written = load_graph({"name": "g", "steps": steps, "flow": {"start_at": "a", "transitions": [way]}})
    depends = {"a": {"expires": 3_600, "on_expired": "skip"}}
    given = load_graph({"name": "g", "steps": [steps[0], {**steps[1], "depends_on": depends}]})
    built = (
        Graph("g")
        .step("a", run)
        .step("z", run, depends_on=[{"step": "a", "expires": "60m", "on_expired": "skip"}])
        .build()
    )

    assert given.digest == written.digest == built.digest == load_graph(given.to_json()).digest
    for draw in (text, mermaid, dot):
        assert "good for 1 h, then skip" in draw(given)


@pytest.mark.parametrize(
    ("way", "path", "problem"),
    [
        ({"expires": 0}, "expires", "more than 0"),
        ({"expires": "soon"}, "expires", "soon"),
        ({"on_expired": "skip"}, "on_expired", "goes with expires"),
        ({"expires": 1, "on_expired": "renew"}, "on_expired", "renew"),
        ({"expires": 1, "to": "end"}, "expires", "another step"),
        ({"expires": 1, "from": "w"}, "on_expired", "it is of type wait"),
        ({"expires": 1, "expire": 1}, "expire", "no such field"),
    ],
)
def test_an_expiry_that_cannot_be_meant_is_refused(way: dict[str, Any], path: str, problem: str) -> None:
    """When the definition is read, with the place."""
    raw = {
        "name": "g",
        "steps": [{"id": "a", "run": "x:y"}, {"id": "w", "type": "wait", "seconds": 1}, {"id": "z", "run": "x:y"}],
        "flow": {"start_at": ["a", "w"], "transitions": [{"from": "w", "to": "z"}, {"from": "a", "to": "z", **way}]},
    }

    with pytest.raises(DefinitionError) as caught:
        read_graph(raw)
    assert caught.value.path == f"$.flow.transitions[1].{path}"
    assert problem in str(caught.value)


@pytest.mark.parametrize("kind", ["sequential", "parallel"])
def test_only_what_a_step_rests_on_expires(kind: str) -> None:
    """A dependency that is about order, and not about a result, has nothing that could."""
    steps = [{"id": "a", "run": "x:y"}, {"id": "z", "run": "x:y", "depends_on": {"a": {"kind": kind, "expires": 1}}}]

    with pytest.raises(DefinitionError, match=f"has no meaning for a dependency of kind {kind}"):
        read_graph({"name": "g", "steps": steps})


# -- whatever happens ----------------------------------------------------------------------------------------------


@forall(cases(), st.lists(st.integers(0, 3), min_size=5, max_size=9), st.lists(st.integers(0, 4), min_size=3))
@settings(max_examples=50, deadline=None)
def test_no_step_starts_on_what_has_expired(case: Case, limits: list[int], gaps: list[int]) -> None:
    """Any graph, loops and joins and failures in it, whose results are good for some hours or for ever: it ends, what
    starts is young enough, and the same outcomes lead to the same wishes."""
    transitions = tuple(
        replace(one, expires_s=limits[n % len(limits)] * 3_600 or None)
        if one.target in case.graph.plan.numbers and one.target != one.source
        else one
        for n, one in enumerate(case.graph.transitions)
    )
    graph = replace(case.graph, transitions=transitions).build()
    good: dict[str, list[tuple[str, int]]] = {}
    forward = {(edge.source, edge.target) for edge in graph.plan.shape.edges if not edge.back}
    for one in transitions:
        if one.expires_s is not None and (graph.plan.numbers[one.source], graph.plan.numbers[one.target]) in forward:
            good.setdefault(one.target, []).append((one.source, round(one.expires_s * 1_000_000)))
    run, now = Driven(graph).begin(), 0
    made: dict[str, int] = {}
    for count in range(2_000):
        if run.ended is not None:
            break
        keys = list(run.open)
        key = keys[case.order[count % len(case.order)] % len(keys)]
        now += gaps[count % len(gaps)] * HOUR
        outcome = case.outcome(run, key, case.answers[count % len(case.answers)])._replace(at_us=now)
        id_ = key.partition("#")[0]
        if outcome.kind != "failed" and outcome.kind != "rejected":
            made[id_] = now
        for wish in run.settle(key, outcome):
            if isinstance(wish, (Call, Approve)):
                target = wish.key.partition("#")[0]
                for source, good_us in good.get(target, ()):
                    if f"{source}" in run.planner._frame.values.outputs:
                        assert now - made[source] <= good_us, (target, source)
    assert run.ended is not None
    again = Driven(graph).begin()
    for key, outcome in run.record:
        again.settle(key, outcome)
    assert again.wishes == run.wishes
