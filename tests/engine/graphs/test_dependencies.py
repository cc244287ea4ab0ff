"""Dependencies: they mean the transitions they are translated to, and those mean what their kinds say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import load_graph, read_graph
from actum.engine.rules.calls import Done, Give, Skip
from actum.errors import DefinitionError
from tests.engine.planner_driver import Driven, failed

RUN = "tests.engine.planner_driver:nothing"


def used(x: int) -> dict[str, int]:
    return {"x": x}


def raw(steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A definition of steps by id; what is no object is their `depends_on`."""
    listed = [
        {"id": id_, "run": RUN, **(what if isinstance(what, dict) else {"depends_on": what} if what else {})}
        for id_, what in steps.items()
    ]
    return {"name": "g", "steps": listed, **more}


def loaded(steps: dict[str, Any], **more: Any) -> Graph:
    return load_graph(raw(steps, **more))


def on(step: str, kind: str = "required", **more: Any) -> dict[str, Any]:
    return {"step": step, "kind": kind, **more}


# -- the same as transitions ---------------------------------------------------------------------------------------


def test_required_dependencies_are_a_join_of_as_many() -> None:
    """A diamond of dependencies is, to the digest, the diamond of transitions whose end waits for both."""
    given = loaded({"a": None, "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    written = load_graph(
        raw(
            {"a": None, "b": None, "c": None, "d": {"join": 2}},
            flow={
                "start_at": "a",
                "transitions": [{"from": f, "to": t} for f, t in (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))],
            },
        )
    )

    assert given.to_json() == written.to_json()
    assert given.digest == written.digest


def test_other_kinds_are_joins_that_name_what_they_require() -> None:
    """Optional and sequential dependencies are waited for; only required ones must have been taken."""
    given = loaded(
        {"a": None, "b": ["a"], "c": ["a"], "d": {"depends_on": {"a": "required", "b": "optional", "c": "sequential"}}}
    )
    written = load_graph(
        raw(
            {"a": None, "b": {"on_error": "continue"}, "c": None, "d": {"join": {"required": ["a"]}}},
            flow={
                "start_at": "a",
                "transitions": [{"from": f, "to": t} for f, t in ("ab", "ac", "ad", "bd", "cd")],
            },
        )
    )  # fmt: skip

    assert given.to_json() == written.to_json()


def test_a_condition_stands_on_the_transition() -> None:
    """`when` looks at what the dependency returned; of a step that may fail and go on, completion is asked for too."""
    given = loaded(
        {"a": {"on_error": "continue"}, "b": [on("a", when={"type": "field_equals", "field": "ok", "value": 1})]}
    )

    assert given.to_json()["flow"]["transitions"] == [
        {
            "from": "a",
            "to": "b",
            "condition": {
                "all": [
                    {"source": "a", "operator": "exists", "value": True},
                    {"source": "a.ok", "operator": "eq", "value": 1},
                ]
            },
        }
    ]  # fmt: skip


def test_steps_that_depend_on_nothing_start_at_once() -> None:
    """Several starts are written as a list, and read again as the same graph."""
    given = loaded({"a": None, "b": None, "c": ["a", "b"]})

    assert given.to_json()["flow"]["start_at"] == ["a", "b"]
    assert read_graph(given.to_json()).digest == given.digest
    assert set(Driven(given).begin().open) == {"a#0", "b#0"}
    assert Driven(given).run().called == ["a", "b", "c"]


def test_what_is_depended_on_through_others_may_be_used() -> None:
    """The output of a step that comes before one of the dependencies, or of what stands in for one, is there too."""
    given = loaded(
        {
            "a": {"on_error": "fallback", "fallback": "spare"},
            "spare": None,
            "b": ["a"],
            "c": {"depends_on": ["b"], "inputs": {"x": "{{ a.x | spare.x }}"}, "run": f"{__name__}:used"},
        }
    )

    assert Driven(given, {"a": {"x": 1}, "b": 1}).run().output == {"x": 1}


def test_python_builds_what_a_file_says() -> None:
    """Every kind of dependency, on steps of every kind: one digest, and steps that need nothing start at once."""
    depends = [on("a"), on("b", "optional"), on("c", "sequential")]
    written = loaded({"a": None, "b": None, "c": None, "p": [on("q", "parallel")], "q": {"depends_on": depends}})
    built = Graph("g").step("a", RUN).step("b", RUN).step("c", RUN)
    built = built.step("p", RUN, depends_on={"q": "parallel"}).step("q", RUN, depends_on=depends)

    assert built.digest == built.build().digest == written.digest
    assert built.build().starts == ("a", "b", "c")
    asks = Graph("g").step("a", RUN).approval("ask", "Go?", depends_on=["a"]).wait("w", 1, depends_on=["ask"]).build()
    assert [(one.source, one.target) for one in asks.transitions] == [("a", "ask"), ("ask", "w")]
    late = Graph("g").step("z", RUN, depends_on=["a"]).step("a", RUN).build()
    assert late.starts == ("a",)
    assert load_graph(late.to_json()).digest == late.digest
    with pytest.raises(DefinitionError, match="did you mean 'load'"):
        Graph("g").step("load", RUN).step("z", RUN, depends_on=["laod"]).build()


def test_a_definition_without_dependencies_is_left_as_it_is() -> None:
    """Nothing about an ordinary definition changes, its one start neither."""
    flow = {"transitions": [{"from": "a", "to": "b"}]}

    assert load_graph(raw({"a": None, "b": None}, flow=flow)).to_json()["flow"]["start_at"] == "a"


# -- what the kinds mean -----------------------------------------------------------------------------------------------


def test_an_optional_dependency_is_waited_for_and_may_fail() -> None:
    """The step starts only when the other has ended, and starts though it failed."""
    run = Driven(loaded({"a": None, "o": None, "s": ["a", on("o", "optional")]}), {"o": failed(OSError("no"))}).begin()
    run.settle("a#0")
    assert set(run.open) == {"o#0"}
    run.settle("o#0")
    assert set(run.open) == {"s#0"}


def test_what_is_skipped_takes_along_what_requires_it_and_nothing_else() -> None:
    """A branch that is not taken skips the steps that require it; those that only come after it run."""
    never = on("a", when={"type": "field_equals", "field": "x", "value": 1})
    graph = loaded(
        {
            "a": None,
            "b": {"depends_on": [never], "on_error": "fail"},
            "r": ["a", "b"],
            "o": [on("b", "optional")],
            "q": ["a", on("b", "sequential")],
        }
    )
    run = Driven(graph, {"a": {"x": 2}}).run()

    assert run.called == ["a", "o", "q"]
    assert {wish.step for wish in run.wishes if isinstance(wish, Skip)} == {"b", "r"}


def test_a_sequential_dependency_runs_before_and_its_failure_is_a_failure() -> None:
    """Never beside it; and nothing is forgiven that an optional one would forgive."""
    graph = loaded({"a": None, "s": [on("a", "sequential")]})
    assert Driven(graph).run().most_at_once == 1
    run = Driven(graph, {"a": failed(OSError("no"))}).run()
    assert isinstance(run.ended, Give)
    assert run.called == ["a"]


def test_parallel_dependencies_start_together() -> None:
    """A step with nothing but parallel dependencies waits for what they wait for, and not for them."""
    graph = loaded({"a": None, "p": ["a"], "s": [on("p", "parallel")], "t": ["a", on("s", "parallel")]})
    run = Driven(graph).begin()
    run.settle("a#0")

    assert set(run.open) == {"p#0", "s#0", "t#0"}


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "flow", "path", "problem"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, {}, "$.steps[2].depends_on[0]", "goes round: a → b → c → a"),
        ({"a": ["a"]}, {}, "$.steps[0].depends_on[0]", "goes round: a → a"),
        ({"a": [on("b", "parallel")], "b": [on("a", "parallel")]}, {}, "$.steps[1].depends_on[0]", "a → b → a"),
        ({"load": None, "b": ["laod"]}, {}, "$.steps[1].depends_on[0]", "did you mean 'load'?"),
        ({"a": None, "b": [on("a", "requird")]}, {}, "$.steps[1].depends_on[0].kind", "did you mean 'required'?"),
        ({"a": None, "b": ["a", "a"]}, {}, "$.steps[1].depends_on[1]", "a second time"),
        ({"a": None, "b": [{"step": "a", "wen": 1}]}, {}, "$.steps[1].depends_on[0].wen", "did you mean 'when'?"),
        ({"a": None, "b": "a"}, {}, "$.steps[1].depends_on", "is a list"),
        ({"a": None, "b": [3]}, {}, "$.steps[1].depends_on[0]", "is the id of a step"),
        (
            {"a": None, "b": [on("a", "optional", when={"cel": "has(a.x)"})]},
            {},
            "$.steps[1].depends_on[0].when",
            "would decide nothing",
        ),
        ({"a": None, "b": {"depends_on": ["a"], "join": "any"}}, {}, "$.steps[1].join", "keep one"),
        (
            {"a": None, "b": ["a"]},
            {"transitions": [{"from": "a", "to": "b"}]},
            "$.flow.transitions[0]",
            "write it in one way",
        ),
        (
            {"a": None, "b": [on("a", "optional")], "c": ["a"]},
            {},
            "$.steps[1].depends_on[0]",
            "say what its failure means",
        ),
        (
            {"a": None, "b": None, "c": {"depends_on": ["a"], "inputs": {"x": "{{ a.x }}", "y": "{{ b.x }}"}}},
            {},
            "$.steps[2].inputs",
            "refers to 'b.x', and the step does not depend on 'b'",
        ),
        (
            {"a": None, "b": {"depends_on": [on("a", "parallel")], "inputs": {"x": "{{ a.x }}"}}},
            {},
            "$.steps[1].depends_on[0]",
            "name it in optional_inputs",
        ),
        (
            {"a": None, "b": {"join": {"required": ["c"]}}},
            {"transitions": [{"from": "a", "to": "b"}]},
            "$.steps[1].join",
            "no transition",
        ),
        ({"a": None}, {"start_at": ["a", "a"]}, "$.flow.start_at", "twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_the_reason(
    steps: dict[str, Any], flow: dict[str, Any], path: str, problem: str
) -> None:
    """The error names the place, and a cycle with all of its steps."""
    with pytest.raises(DefinitionError) as caught:
        loaded(steps, flow=flow)
    assert caught.value.path == path
    assert problem in caught.value.problem


# -- for every graph ------------------------------------------------------------------------------------------------


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[dict[str, list[tuple[str, str]]], set[str]]:
    """Steps that depend on earlier ones, each at most once, and the steps that fail."""
    needs: dict[str, list[tuple[str, str]]] = {}
    for number in range(draw(st.integers(1, 7))):
        kinds = st.sampled_from(["required", "optional", "sequential"])
        needs[f"s{number}"] = [(id_, draw(kinds)) for id_ in needs if draw(st.booleans())]
    return needs, {id_ for id_ in needs if draw(st.booleans())}


@forall(pipelines(), st.data())
@settings(deadline=None)
def test_dependencies_hold_in_whatever_order_steps_end(case: Any, data: st.DataObject) -> None:
    """Each step runs once all it waits for is decided, and runs exactly if all that it requires has completed."""
    needs, fails = case
    steps = {
        id_: {"depends_on": [on(other, kind) for other, kind in of], "on_error": "continue"}
        for id_, of in needs.items()
    }
    run = Driven(loaded(steps), {id_: failed(OSError("no")) for id_ in fails})

    def pick(keys: list[str]) -> str:
        return data.draw(st.sampled_from(keys))

    run.run(pick=pick)
    completed: set[str] = set()
    expected: list[str] = []
    for id_, of in needs.items():
        if all(other in completed for other, kind in of if kind == "required"):
            expected.append(id_)
            if id_ not in fails:
                completed.add(id_)
    ended = [key.partition("#")[0] for key, _ in run.record]
    assert sorted(ended) == sorted(expected)
    assert isinstance(run.ended, Done)
    skipped = {wish.step for wish in run.wishes if isinstance(wish, Skip)}
    assert skipped == set(needs) - set(expected)
    for id_ in expected:
        for other, _ in needs[id_]:
            assert other in skipped or ended.index(other) < ended.index(id_)
