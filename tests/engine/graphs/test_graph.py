"""Graphs built in Python: what makes one sound, what is said when it is not, and what it is as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine import step
from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import load_graph, read_graph
from actum.engine.rules.retry import Retry
from actum.errors import BadInput, DefinitionError
from tests.engine.planner_driver import Driven, nothing


def reserve(order: dict[str, Any]) -> dict[str, Any]:
    return {"ok": order["amount"] < 100, "amount": order["amount"]}


def release(reserved: dict[str, Any]) -> None:
    """Undoes `reserve`."""


def charge(amount: int) -> str:
    return f"charged {amount}"


def order_graph() -> Graph:
    return (
        Graph("order", version="2")
        .parameter("order", schema={"type": "object"}, required=True)
        .step("reserve", reserve, retry=3, compensate=release, inputs={"order": "{{ parameters.order }}"})
        .step("charge", charge, inputs={"amount": "{{ reserve.amount }}"}, timeout="30s")
        .edge("reserve", "charge", when={"source": "reserve.ok", "operator": "eq", "value": True})
        .build()
    )


def test_a_graph_built_in_python_runs() -> None:
    """The steps are the functions themselves, called with their inputs."""
    run = Driven(order_graph()).run({"order": {"amount": 7}})

    assert run.output == "charged 7"


def test_a_graph_never_changes() -> None:
    """Each call gives a larger graph and leaves the one it was called on as it was."""
    small = Graph("g").step("a", nothing)
    large = small.step("b", nothing).edge("a", "b")

    assert [step.id for step in small.steps] == ["a"]
    assert [step.id for step in large.steps] == ["a", "b"]


def test_what_a_caller_changes_afterwards_does_not_change_the_graph() -> None:
    """Inputs and config are copied when the step is added."""
    inputs = {"order": {"lines": [1]}}
    graph = Graph("g").step("a", reserve, inputs=inputs)
    inputs["order"]["lines"].append(2)

    assert graph.steps[0].inputs == {"order": {"lines": [1]}}


def test_settings_reach_what_the_engine_runs() -> None:
    """Retries, time-outs and compensation of the definition are those of the step that is called."""
    call = Driven(order_graph()).begin({"order": {"amount": 7}}).call("reserve#0")

    assert call.spec.retry == Retry(attempts=4)
    assert call.spec.compensate is not None
    assert call.spec.compensate.name == "release"


# -- as data ---------------------------------------------------------------------------------------------------------


def test_a_graph_is_written_as_plain_json() -> None:
    """The canonical JSON names code as module:qualname and leaves defaults out."""
    assert order_graph().to_json() == {
        "name": "order",
        "version": "2",
        "parameters": [{"name": "order", "schema": {"type": "object"}, "required": True}],
        "steps": [
            {
                "id": "reserve",
                "run": f"{__name__}:reserve",
                "inputs": {"order": "{{ parameters.order }}"},
                "retry": {"attempts": 4},
                "compensate": f"{__name__}:release",
            },
            {
                "id": "charge",
                "run": f"{__name__}:charge",
                "inputs": {"amount": "{{ reserve.amount }}"},
                "timeout": 30.0,
            },
        ],
        "flow": {
            "start_at": "reserve",
            "transitions": [
                {
                    "from": "reserve",
                    "to": "charge",
                    "condition": {"source": "reserve.ok", "operator": "eq", "value": True},
                }
            ],
        },
    }


def test_a_digest_is_that_of_the_meaning() -> None:
    """Spelling does not change the digest; what a step does, does."""

    def graph(source: str, operator: str, retry: int = 0) -> Graph:
        when = {"source": source, "operator": operator, "value": 1}
        return Graph("g").step("a", nothing, retry=retry).step("b", nothing).edge("a", "b", when=when)

    assert graph("a.x", "eq").digest == graph("{{ steps.a.output.x }}", "==").digest
    assert graph("a.x", "eq").digest != graph("a.x", "ne").digest
    assert graph("a.x", "eq").digest != graph("a.x", "eq", retry=1).digest
    assert graph("a.x", "eq").digest.startswith("sha256:")
    assert len(graph("a.x", "eq").digest) == 71


ids = st.sampled_from(["a", "b", "c", "d d", "é"])
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def definitions(draw: Callable[..., Any]) -> Graph:
    """Any graph that is sound as data."""
    names = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    graph = Graph("any", version=draw(st.sampled_from(["", "1"])), max_visits=draw(st.integers(1, 3)))
    graph = graph.parameter("p", default=draw(plain), description=draw(st.text("ab ", max_size=3)))
    reference = st.sampled_from(["{{ parameters.p }}", "x {{ " + names[0] + ".f }} y", "{{ '{{' }}", "{parameters.p}"])
    for name in names:
        if draw(st.integers(0, 3)) == 0:
            graph = graph.approval(
                name,
                "May " + draw(reference),
                context=draw(maybe(reference)),
                deadline=draw(maybe(st.sampled_from(["5m", 1.5]))),
                severity=draw(st.sampled_from(["low", "medium", "critical"])),
            )
        else:
            inputs = draw(st.dictionaries(st.sampled_from(["x", "y"]), reference | st.integers(-9, 9), max_size=2))
            graph = graph.step(
                name,
                draw(st.sampled_from([nothing, "somewhere.else:Thing.run"])),
                inputs=inputs,
                optional_inputs=tuple(inputs)[:1],
                config=draw(st.dictionaries(st.sampled_from(["k", "l"]), reference | st.booleans(), max_size=2)),
                retry=draw(maybe(st.sampled_from([2, {"attempts": 3, "on": ["OSError"]}, {"jitter": 0.5}]))),
                timeout=draw(maybe(st.sampled_from(["2s", 3]))),
                compensate=draw(maybe(st.sampled_from([nothing, "m:undo"]))),
                on_error=draw(st.sampled_from(["fail", "continue", "compensate"])),
                max_visits=draw(maybe(st.integers(1, 9))),
                join=draw(st.sampled_from(["all", "any"])),
                tool=draw(maybe(st.just("search"))),
                name=draw(st.sampled_from(["", "A name"])),
                output_schema=draw(maybe(st.just({"type": "object", "required": ["f"]}))),
            )
    for source, target in pairwise(names):
        when = {"source": f"{source}.f", "operator": draw(st.sampled_from(["eq", "ne"])), "value": draw(plain)}
        try:
            graph = graph.edge(source, target, when=draw(maybe(st.sampled_from([when, {"not": {"all": [when]}}]))))
        except DefinitionError:  # the value looked like a reference and was none
            graph = graph.edge(source, target)
    graph = graph.edge(names[-1], draw(st.sampled_from([names[0], "end", "end_with_failure"])))
    return graph.output(draw(maybe(reference)))


@forall(definitions())
def test_a_definition_can_be_written_and_read_again(graph: Graph) -> None:
    """The canonical JSON, through text, reads as an equal graph with the same digest."""
    try:
        again = read_graph(json.dumps(graph.to_json()))
    except DefinitionError as exc:
        assert "no step" in exc.problem or "no parameter" in exc.problem  # a random condition value was a reference
        return

    assert again == graph
    assert again.digest == graph.digest


# -- what is refused -------------------------------------------------------------------------------------------------


def ab() -> Graph:
    return Graph("g").step("alpha", nothing).step("beta", nothing)


def when(source: str, value: Any = 1) -> dict[str, Any]:
    return {"source": source, "operator": "eq", "value": value}


REFUSED: list[tuple[str, Callable[[], Graph], str, str]] = [
    ("no steps", lambda: Graph("g"), "$.steps", "is empty"),
    ("no name", lambda: Graph("").step("a", nothing), "$.name", "needs a name"),
    ("slash in name", lambda: Graph("a/b").step("a", nothing), "$.name", "holds a '/'"),
    ("two of one id", lambda: ab().step("alpha", nothing), "$.steps[2].id", "two steps 'alpha'; the first is steps[0]"),
    ("dot in id", lambda: Graph("g").step("a.b", nothing), "$.steps[0].id", "have a meaning in references"),
    ("reserved id", lambda: Graph("g").step("parameters", nothing), "$.steps[0].id", "meaning of its own"),
    ("marker as id", lambda: Graph("g").step("end", nothing), "$.steps[0].id", "meaning of its own"),
    ("unknown target", lambda: ab().edge("alpha", "betta"), "$.flow.transitions[0]", "leads to 'betta'"),
    ("near miss", lambda: ab().edge("alpha", "betta"), "$.flow.transitions[0]", "did you mean 'beta'?"),
    (
        "unknown source",
        lambda: ab().edge("alpa", "beta"),
        "$.flow.transitions[0]",
        "comes from 'alpa', which is no step",
    ),
    (
        "unknown marker",
        lambda: ab().edge("alpha", "end_with_sucess"),
        "$.flow.transitions[0]",
        "did you mean 'end_with_success'?",
    ),
    ("unknown start", lambda: ab().start("alph"), "$.flow.start_at", "did you mean 'alpha'?"),
    ("unreached", ab, "$.steps[1]", "no path from 'alpha' leads to step 'beta'"),
    ("endless", lambda: ab().edge("alpha", "beta").edge("beta", "alpha"), "$.flow", "alpha → beta → alpha"),
    (
        "endless alone",
        lambda: Graph("g").step("a", nothing).edge("a", "a"),
        "$.flow",
        "goes round without a bound: a → a",
    ),
    ("unknown fallback", lambda: Graph("g").step("a", nothing, fallback="b"), "$.steps[0].fallback", "no step 'b'"),
    (
        "fallback of itself",
        lambda: Graph("g").step("a", nothing, fallback="a"),
        "$.steps[0].fallback",
        "goes round: a → a",
    ),
    ("no fallback", lambda: Graph("g").step("a", nothing, on_error="fallback"), "$.steps[0].fallback", "goes with"),
    (
        "unknown on_error",
        lambda: Graph("g").step("a", nothing, on_error="fale"),
        "$.steps[0].on_error",
        "did you mean 'fail'?",
    ),
    ("unknown join", lambda: Graph("g").step("a", nothing, join="al"), "$.steps[0].join", "did you mean 'all'?"),
    ("join of none", lambda: Graph("g").step("a", nothing, join=0), "$.steps[0].join", "not 0"),
    ("no visits", lambda: Graph("g").step("a", nothing, max_visits=0), "$.steps[0].max_visits", "at least 1"),
    (
        "unknown compensation step",
        lambda: Graph("g").step("a", nothing, compensate="undo"),
        "$.steps[0].compensate",
        "no step 'undo'",
    ),
    ("no code", lambda: Graph("g").step("a", "module"), "$.steps[0].run", "not of the form module:name"),
    ("verify without hook", lambda: Graph("g").step("a", nothing, on_doubt="verify"), "$.steps[0].verify", "goes with"),
    (
        "unknown severity",
        lambda: Graph("g").approval("a", "?", severity="hihg"),
        "$.steps[0].severity",
        "did you mean 'high'?",
    ),
    (
        "unknown reference",
        lambda: Graph("g").step("a", charge, inputs={"amount": "{{ b.x }}"}),
        "$.steps[0].inputs.amount",
        "no step 'b'",
    ),
    (
        "unknown parameter",
        lambda: Graph("g").parameter("limit").step("a", charge, inputs={"amount": "{{ parameters.limt }}"}),
        "$.steps[0].inputs.amount",
        "did you mean 'limit'?",
    ),
    (
        "unknown in a condition",
        lambda: ab().edge("alpha", "beta", when=when("alhpa.x")),
        "$.flow.transitions[0].condition",
        "did you mean 'alpha'?",
    ),
    (
        "unknown on the right",
        lambda: ab().edge("alpha", "beta", when=when("alpha.x", "{{ parameters.q }}")),
        "$.flow.transitions[0].condition",
        "no parameter 'q'",
    ),
    ("unknown in the outputs", lambda: Graph("g").step("a", nothing).output("{{ z }}"), "$.outputs", "no step 'z'"),
    (
        "optional input that is none",
        lambda: Graph("g").step("a", charge, inputs={"amount": 1}, optional_inputs=("amonut",)),
        "$.steps[0].optional_inputs",
        "did you mean 'amount'?",
    ),
    (
        "two parameters of a name",
        lambda: Graph("g").parameter("p").parameter("p").step("a", nothing),
        "$.parameters[1].name",
        "given twice",
    ),
    (
        "default against schema",
        lambda: Graph("g").parameter("p", schema={"type": "string"}, default=3).step("a", nothing),
        "$.parameters[0].default",
        "must be string, not number",
    ),
    (
        "schema not honoured",
        lambda: Graph("g").parameter("p", schema={"oneOf": []}).step("a", nothing),
        "$.parameters[0].schema.oneOf",
        "not checked",
    ),
    (
        "transition of a stand-in",
        lambda: Graph("g").step("a", nothing, fallback="b").step("b", nothing).edge("b", "end"),
        "$.steps[1]",
        "only stands in",
    ),
]


@pytest.mark.parametrize(("build", "path", "problem"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_run_is_refused_when_it_is_built(build: Callable[[], Graph], path: str, problem: str) -> None:
    """The error names the graph, the JSON path and the nearest thing that would have been right."""
    with pytest.raises(DefinitionError) as caught:
        build().build()
    assert caught.value.path == path
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("add", "problem"),
    [
        (lambda g: g.step("a", nothing, retry=-1), "retry.attempts"),
        (lambda g: g.step("a", nothing, retry={"atempts": 3}), "did you mean 'attempts'?"),
        (lambda g: g.step("a", nothing, timeout="soon"), "is no duration"),
        (lambda g: g.step("a", nothing, timeout=0), "more than 0"),
        (lambda g: g.step("a", 17), "a step runs a function"),
        (lambda g: g.step("a", nothing, inputs={"x": {1, 2}}), "is a set, which JSON cannot hold"),
        (lambda g: g.step("a", nothing, inputs={"x": float("nan")}), "is nan, which JSON cannot hold"),
        (lambda g: g.step("a", nothing, inputs={"x": {1: 2}}), "has the key 1, which is no text"),
        (lambda g: g.step("a", nothing, inputs={"x": 2**70}), "outside ±2^63"),
        (lambda g: g.step("a", nothing, inputs={"x": "\ud800"}), "lone surrogate"),
        (lambda g: g.approval("a", "?", deadline="never"), "is no duration"),
        (lambda g: g.edge("a", "b", when={"source": "a.x", "operator": "~"}), "there is no operator '~'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(add: Callable[[Graph], Graph], problem: str) -> None:
    """A value that no definition can hold is refused by the call that gives it."""
    with pytest.raises(BadInput) as caught:
        add(Graph("g"))
    assert problem in str(caught.value)


def test_a_join_of_more_than_lead_to_it_is_refused() -> None:
    """A step that would wait for more transitions than there are could never start."""
    graph = ab().step("gamma", nothing, join=3).edge("alpha", "beta").edge("alpha", "gamma").edge("beta", "gamma")

    with pytest.raises(DefinitionError) as caught:
        graph.build()
    assert caught.value.problem == "waits for 3 transitions to be taken, and only 2 lead to the step"


def test_a_bound_on_any_step_of_a_cycle_is_enough() -> None:
    """One max_visits bounds every cycle through its step; a bound of the graph bounds them all."""
    cycle = Graph("g").step("a", nothing).step("b", nothing, max_visits=3).edge("a", "b").edge("b", "a")
    whole = Graph("g", max_visits=3).step("a", nothing).edge("a", "a")

    assert cycle.build() is cycle
    assert whole.build() is whole


def test_a_step_can_undo_another() -> None:
    """compensate may name a step, which then runs with its own retries and only then."""
    graph = (
        Graph("g")
        .step("reserve", nothing, compensate="release")
        .step("release", release, retry=7, timeout="9s")
        .build()
    )
    undo = Driven(graph).begin().call("reserve#0").spec.compensate

    assert undo is not None
    assert (undo.name, undo.retry.attempts, undo.timeout_s) == ("release", 8, 9.0)
    assert Driven(graph).run().called == ["reserve"]


@step(executor="process", services=["db"])
def heavy(db: Any = None) -> int:
    return 1


def light(n: int = 0, db: Any = None, mail: Any = None) -> int:
    return n


def undo(_: Any) -> None: ...


def test_where_a_step_runs_is_said_by_the_graph_or_else_by_its_code() -> None:
    """What is said nearer counts; without a word it is the event loop or a thread."""
    graph = Graph("g").step("a", heavy).step("b", heavy, executor="threads").step("c", light, executor="gpu")
    graph = graph.step("d", light).edge("a", "b").edge("b", "c").edge("c", "d").build()

    assert {spec.name: spec.executor for spec in graph.plan.specs()} == {
        "a": "process",
        "b": "threads",
        "c": "gpu",
        "d": "",
    }
    assert load_graph(graph.to_json()).digest == graph.digest


def test_a_plan_says_which_services_its_steps_need() -> None:
    """Those of inner graphs and those that the code itself asks for are among them, each with who asks."""
    inner = Graph("inner").step("in", light, services=["mail", "db"])
    graph = Graph("g").step("a", heavy).workflow("w", inner).step("z", light, compensate=undo)
    graph = graph.edge("a", "w").edge("w", "z").build()

    assert graph.plan.services() == {"db": ("a", "in"), "mail": ("in",)}
    assert Graph("h").step("a", light).build().plan.services() == {}


def test_what_the_workflow_says_holds_where_a_step_says_nothing() -> None:
    """Of retries, time-outs and failures the most specific word counts: the step's, the graph's, that of the code."""
    graph = Graph("g").step("early", light).defaults(retry=3, timeout="30s", on_error="continue")
    graph = graph.step("common", light).step("own", light, retry=1, timeout=5, on_error="fail")
    graph = graph.edge("early", "common").edge("common", "own").build()

    said = {one.id: (one.retry.attempts, one.timeout_s, one.on_error) for one in graph.steps}
    assert said == {"early": (1, None, "fail"), "common": (4, 30, "continue"), "own": (2, 5, "fail")}
    assert [(spec.retry.attempts, spec.timeout_s) for spec in graph.plan.specs()] == [(1, None), (4, 30), (2, 5)]
