"""The rules by which a graph runs, with scripted steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actum.engine.graphs.graph import Code, Graph
from actum.engine.graphs.load import load_graph
from actum.engine.graphs.planner import GraphPlanner, prepare_input
from actum.engine.rules.calls import Approve, Call, Done, Failure, Give, Outcome, Take
from actum.errors import BadInput
from tests.engine.planner_driver import Driven, failed, granted, graph_of, nothing, rejected

OK = {"ok": True}
NO = {"ok": False}


def when(source: str, operator: str, value: Any = True) -> dict[str, Any]:
    return {"source": source, "operator": operator, "value": value}


# -- going on --------------------------------------------------------------------------------------------------------


def test_a_chain_runs_in_order_and_returns_its_last_output() -> None:
    """Each step starts when the one before it has ended, and the last one's output is the execution's."""
    run = Driven(graph_of("a b", "b c"), {"c": 3}).run()

    assert run.called == ["a", "b", "c"]
    assert run.most_at_once == 1
    assert run.output == 3


def test_every_transition_taken_is_said_before_what_it_starts() -> None:
    """The log can show why a step runs: the transition to it comes first."""
    run = Driven(graph_of("a b")).begin()

    first, second = run.settle("a#0", Outcome("completed"))

    assert first == Take("a", 0, "b", None, None)
    assert isinstance(second, Call)
    assert second.key == "b#0"


def test_a_condition_that_holds_is_recorded_with_what_it_saw() -> None:
    """A transition says which condition let it through, and the value the condition saw."""
    graph = Graph("g").step("a", nothing).step("b", nothing).edge("a", "b", when=when("a.score", "gt", 0.8)).build()

    wishes = Driven(graph).begin().settle("a#0", Outcome("completed", {"score": 0.9}))

    assert wishes[0] == Take("a", 0, "b", "a.score gt 0.8", 0.9)


def test_branches_are_wanted_in_one_go() -> None:
    """What can start at the same time is asked for at the same time."""
    run = Driven(graph_of("a b", "a c", "a d", "b j", "c j", "d j")).run()

    assert run.most_at_once == 3
    assert run.called == ["a", "b", "c", "d", "j"]


def test_a_join_waits_for_all_branches() -> None:
    """With join: all, nothing starts before every branch has ended."""
    run = Driven(graph_of("a b", "a c", "b j", "c j")).begin()
    run.settle("a#0")

    assert [type(wish) for wish in run.settle("c#0")] == [Take]
    assert "j#0" not in run.open
    run.settle("b#0")
    assert "j#0" in run.open


def test_a_branch_not_taken_is_skipped_and_the_branches_meet_again() -> None:
    """Of exclusive branches one runs, the other is skipped, and the step after both runs once."""
    graph = graph_of("a b", "a c", "b j", "c j")
    graph = exclusive(graph, "a", "b", "c")

    run = Driven(graph, {"a": NO, "j": "done"}).run()

    assert run.called == ["a", "c", "j"]
    assert run.skipped == ["b"]
    assert run.output == "done"


def exclusive(graph: Graph, source: str, yes: str, no: str) -> Graph:
    """The same graph, going to one step when the source's `ok` is true and to the other when it is not."""
    made = Graph(graph.name, steps=graph.steps, start_at=graph.start_at)
    for transition in graph.transitions:
        pair = (transition.source, transition.target)
        wanted = {(source, yes): when(f"{source}.ok", "eq"), (source, no): when(f"{source}.ok", "ne")}.get(pair)
        made = made.edge(*pair, when=wanted)
    return made.build()


def test_skipping_goes_on_down_the_branch() -> None:
    """Everything that only a skipped step leads to is skipped as well."""
    graph = exclusive(graph_of("a b", "b c", "c d", "a e", "d j", "e j"), "a", "e", "b")

    run = Driven(graph, {"a": OK}).run()

    assert run.called == ["a", "e", "j"]
    assert run.skipped == ["b", "c", "d"]


def test_join_any_starts_with_the_first_and_ignores_the_rest() -> None:
    """With join: any, the first branch to come starts the step, and the later ones do not start it again."""
    run = Driven(graph_of("a b", "a c", "b j", "c j", j={"join": "any"})).begin()
    run.settle("a#0")
    run.settle("c#0")
    assert "j#0" in run.open
    run.settle("j#0", Outcome("completed", "fast"))
    assert run.ended is None
    run.settle("b#0")

    assert run.called.count("j") == 1
    assert run.output == "fast"


def test_join_n_starts_with_the_nth() -> None:
    """With join: 2, the second branch to come starts the step."""
    run = Driven(graph_of("a b", "a c", "a d", "b j", "c j", "d j", j={"join": 2})).begin()
    run.settle("a#0")
    run.settle("b#0")
    assert "j#0" not in run.open
    run.settle("d#0")
    assert "j#0" in run.open


def test_join_n_that_cannot_be_reached_skips_the_step() -> None:
    """When fewer branches are taken than a join needs, its step is skipped."""
    graph = exclusive(graph_of("a b", "a c", "b j", "c j", "j k", j={"join": 2}), "a", "b", "c")

    run = Driven(graph, {"a": OK, "b": "left"}).run()

    assert run.skipped == ["c", "j", "k"]
    assert run.output == "left"


def test_two_transitions_to_one_step_are_one_way() -> None:
    """Two conditions for the same way start its step once, whether one of them holds or both."""
    graph = Graph("g").step("a", nothing).step("b", nothing)
    graph = graph.edge("a", "b", when=when("a.x", "eq")).edge("a", "b", when=when("a.y", "eq")).build()

    both = Driven(graph, {"a": {"x": True, "y": True}}).run()
    one = Driven(graph, {"a": {"x": False, "y": True}}).run()

    assert both.taken == one.taken == [("a", "b")]
    assert both.called == one.called == ["a", "b"]


# -- loops -----------------------------------------------------------------------------------------------------------


def review_loop(rounds: int = 5) -> Graph:
    return (
        Graph("review")
        .step("draft", nothing, max_visits=rounds)
        .step("check", nothing)
        .step("publish", nothing)
        .edge("draft", "check")
        .edge("check", "draft", when=when("check.ok", "ne"))
        .edge("check", "publish", when=when("check.ok", "eq"))
        .build()
    )


def test_a_loop_runs_until_its_condition_lets_it_out() -> None:
    """A back edge starts its step again, at once; the step behind the loop runs once, after it."""
    run = Driven(review_loop(), {"check#0": NO, "check#1": NO, "check#2": OK, "publish": "out"}).run()

    assert run.called == ["draft", "check", "draft", "check", "draft", "check", "publish"]
    assert run.skipped == []
    assert run.output == "out"


def test_a_loop_that_does_not_end_fails_at_its_bound() -> None:
    """The visit over max_visits does not start; the execution fails and says which step and which bound."""
    run = Driven(review_loop(rounds=2), {"check": NO}).run()

    assert run.called.count("draft") == 2
    assert run.error.error_type == "TooManyVisits"
    assert "'draft'" in run.error.message
    assert "max_visits is 2" in run.error.message


def test_a_while_loop_does_not_skip_what_comes_after_it() -> None:
    """A way out of a loop that is not taken yet is not given up: another round may still take it."""
    graph = (
        Graph("while")
        .step("head", nothing, max_visits=9)
        .step("body", nothing)
        .step("after", nothing)
        .step("side", nothing)
        .step("both", nothing)
        .step("start", nothing)
        .start("start")
        .edge("start", "head")
        .edge("start", "side")
        .edge("head", "body", when=when("head.more", "eq"))
        .edge("head", "after", when=when("head.more", "ne"))
        .edge("body", "head")
        .edge("after", "both")
        .edge("side", "both")
        .build()
    )
    answers = {"head#0": {"more": True}, "head#1": {"more": True}, "head#2": {"more": False}}

    run = Driven(graph, answers).run(pick=lambda keys: "side#0" if "side#0" in keys else keys[0])

    assert run.called.count("both") == 1
    assert run.called.index("both") > run.called.index("after")
    assert "after" not in run.skipped
    assert run.skipped == ["body"]


def test_a_loop_never_entered_is_skipped_whole() -> None:
    """When no way leads into a loop, its steps and what only it leads to are skipped, and joins hear of it."""
    graph = (
        Graph("g")
        .step("a", nothing)
        .step("head", nothing, max_visits=3)
        .step("body", nothing)
        .step("after", nothing)
        .step("end_all", nothing)
        .edge("a", "head", when=when("a.ok", "eq"))
        .edge("a", "end_all")
        .edge("head", "body")
        .edge("body", "head", when=when("body.again", "eq"))
        .edge("body", "after", when=when("body.again", "ne"))
        .edge("after", "end_all")
        .build()
    )

    run = Driven(graph, {"a": NO}).run()

    assert run.called == ["a", "end_all"]
    assert sorted(run.skipped) == ["after", "body", "head"]


def test_a_new_round_leaves_the_old_one_behind() -> None:
    """When one of two reviewers sends a draft back, what the other said of that draft no longer counts."""
    graph = (
        Graph("two reviewers")
        .step("draft", nothing, max_visits=5)
        .step("legal", nothing)
        .step("style", nothing)
        .step("publish", nothing)
        .edge("draft", "legal")
        .edge("draft", "style")
        .edge("legal", "draft", when=when("legal.ok", "ne"))
        .edge("legal", "publish", when=when("legal.ok", "eq"))
        .edge("style", "draft", when=when("style.ok", "ne"))
        .edge("style", "publish", when=when("style.ok", "eq"))
        .build()
    )
    run = Driven(graph).begin()
    run.settle("draft#0")
    run.settle("style#0", Outcome("completed", OK))  # style likes the first draft …
    run.settle("legal#0", Outcome("completed", NO))  # … and legal does not
    run.settle("draft#1")
    run.settle("legal#1", Outcome("completed", OK))

    assert "publish#0" not in run.open  # style has not seen the second draft
    run.settle("style#1", Outcome("completed", OK))
    assert "publish#0" in run.open


def test_what_a_visit_left_behind_returns_does_not_replace_newer_output() -> None:
    """A slow answer from an earlier round changes neither outputs nor the way the execution takes."""
    graph = (
        Graph("g")
        .step("a", nothing, max_visits=5)
        .step("slow", nothing)
        .step("fast", nothing)
        .step("last", nothing)
        .edge("a", "slow")
        .edge("a", "fast")
        .edge("fast", "a", when=when("fast.again", "eq"))
        .edge("slow", "a", when=when("slow.again", "eq"))
        .edge("slow", "last")
        .edge("fast", "last")
        .output({"slow": "{{ slow.n }}"})
        .build()
    )
    run = Driven(graph).begin()
    run.settle("a#0")
    run.settle("fast#0", Outcome("completed", {"again": True}))
    run.settle("a#1")
    run.settle("slow#1", Outcome("completed", {"n": 2}))
    assert run.settle("slow#0", Outcome("completed", {"n": 1, "again": True})) == []
    run.settle("fast#1", Outcome("completed", {"again": False}))
    run.settle("last#0")

    assert run.output == {"slow": 2}


def test_a_nested_loop_starts_afresh_with_each_round_of_the_outer_one() -> None:
    """The way out of an inner loop is decided once in every round of the outer one."""
    graph = (
        Graph("nested", max_visits=20)
        .step("outer", nothing)
        .step("inner", nothing)
        .step("after", nothing)
        .step("end_of_all", nothing)
        .edge("outer", "inner")
        .edge("inner", "inner", when=when("inner.again", "eq"))
        .edge("inner", "after", when=when("inner.again", "ne"))
        .edge("after", "outer", when=when("after.again", "eq"))
        .edge("after", "end_of_all", when=when("after.again", "ne"))
        .build()
    )
    again, on = {"again": True}, {"again": False}
    answers = {
        "inner#0": again,
        "inner#1": on,
        "after#0": again,
        "inner#2": again,
        "inner#3": again,
        "inner#4": on,
        "after#1": on,
    }

    run = Driven(graph, answers).run()

    assert run.called == ["outer", "inner", "inner", "after", "outer", "inner", "inner", "inner", "after", "end_of_all"]
    assert run.skipped == []


def test_a_join_fed_from_outside_a_loop_does_not_wait_for_what_cannot_come_again() -> None:
    """In a later round the branch from outside the loop has nothing more to say, and the join goes on without it."""
    graph = (
        Graph("g", max_visits=9)
        .step("start", nothing)
        .step("config", nothing)
        .step("head", nothing)
        .step("work", nothing)
        .edge("start", "head")
        .edge("start", "config")
        .edge("config", "work")
        .edge("head", "work")
        .edge("work", "head", when=when("work.again", "eq"))
        .build()
    )

    run = Driven(graph, {"work#0": {"again": True}, "work#1": {"again": False, "n": 1}}).run()

    assert run.called == ["start", "head", "config", "work", "head", "work"]
    assert run.output == {"again": False, "n": 1}


# -- failing ---------------------------------------------------------------------------------------------------------


def test_a_failed_step_stops_the_rest_and_waits_for_what_runs() -> None:
    """on_error: fail starts nothing new; what runs ends first; then the execution fails with the step's error."""
    run = Driven(graph_of("a b", "a c", "b d", "c e")).begin()
    run.settle("a#0")
    assert run.settle("b#0", failed(ConnectionError("no route"))) == []
    (end,) = run.settle("c#0")

    assert isinstance(end, Give)
    assert end.error == Failure("ConnectionError", "step 'b': no route", "", ("OSError", "Exception", "BaseException"))


def test_the_first_failure_is_the_one_that_counts() -> None:
    """Of several failures the execution reports the one that came first in the log."""
    run = Driven(graph_of("a b", "a c")).begin()
    run.settle("a#0")
    run.settle("c#0", failed(ValueError("first")))
    run.settle("b#0", failed(KeyError("second")))

    assert run.error.error_type == "ValueError"


def test_compensate_fails_the_execution_like_fail() -> None:
    """on_error: compensate ends in Give; undoing what was completed is the engine's part."""
    run = Driven(graph_of("a b", b={"on_error": "compensate"}), {"b": ValueError("no")}).run()

    assert run.error.error_type == "ValueError"


def test_continue_goes_on_without_output() -> None:
    """on_error: continue ends the step without output: what asks for it sees nothing, the rest goes on."""
    graph = (
        Graph("g")
        .step("a", nothing, on_error="continue")
        .step("b", nothing)
        .step("c", nothing)
        .edge("a", "b")
        .edge("a", "c", when=when("a.ok", "exists"))
        .build()
    )

    run = Driven(graph, {"a": ValueError("no"), "b": 1}).run()

    assert run.called == ["a", "b"]
    assert run.skipped == ["c"]
    assert run.output == 1


def test_a_fallback_runs_in_the_place_of_the_failed_step() -> None:
    """The fallback's output is the step's, and the step's own transitions are followed."""
    graph = (
        Graph("g")
        .step("fetch", nothing, fallback="cache")
        .step("cache", nothing)
        .step(
            "use",
            nothing,
            inputs={"x": "{{ fetch.rows }}", "y": "{{ cache.rows }}"},
        )
        .edge("fetch", "use")
    )
    graph = with_run(graph, "use", takes_xy).build()

    run = Driven(graph, {"fetch": ValueError("down"), "cache": {"rows": 3}, "use": "ok"}).run()

    assert run.called == ["fetch", "cache", "use"]
    assert run.call("use#0").kwargs == {"x": 3, "y": 3}
    assert run.output == "ok"


def takes_xy(x: Any, y: Any) -> Any:
    return [x, y]


def with_run(graph: Graph, id_: str, run: Any) -> Graph:
    steps = tuple(replace(step, run=Code.of(run)) if step.id == id_ else step for step in graph.steps)
    return replace(graph, steps=steps)


def test_a_fallback_that_fails_fails_the_execution() -> None:
    """A fallback is a step like any other: its own on_error counts."""
    graph = Graph("g").step("a", nothing, fallback="b").step("b", nothing).build()

    run = Driven(graph, {"a": ValueError("one"), "b": ValueError("two")}).run()

    assert run.error.message == "step 'b': two"


def test_end_with_failure_fails_the_execution() -> None:
    """The marker says what it means, and the transition to it is recorded."""
    run = Driven(graph_of("a b", "a end_with_failure")).run()

    assert run.taken == [("a", "b"), ("a", "end_with_failure")]
    assert run.called == ["a"]
    assert run.error.error_type == "EndedWithFailure"


@pytest.mark.parametrize("marker", ["end", "end_with_success"])
def test_an_end_marker_ends_its_path_with_success(marker: str) -> None:
    """The other two markers end a path, and the step before them is where the execution ended."""
    run = Driven(graph_of("a b", f"b {marker}"), {"b": "fin"}).run()

    assert run.taken[-1] == ("b", marker)
    assert run.output == "fin"


def test_a_reference_to_nothing_fails_before_the_step_starts() -> None:
    """A step whose input does not exist does not start; the error names step, reference and reason."""
    graph = Graph("g").step("a", nothing).step("b", takes_x, inputs={"x": "{{ a.totl }}"}).edge("a", "b").build()

    run = Driven(graph, {"a": {"total": 3}}).run()

    assert run.called == ["a"]
    assert run.error.error_type == "MissingValue"
    assert run.error.message == (
        "step 'b' cannot start: {{ a.totl }} has no value: 'a' has no 'totl'; did you mean 'total'?"
    )


def takes_x(x: Any) -> Any:
    return x


def test_when_one_of_two_cannot_start_neither_does() -> None:
    """What would have started together with a step that cannot is not started either."""
    graph = (
        Graph("g")
        .step("a", nothing)
        .step("b", nothing)
        .step("c", takes_x, inputs={"x": "{{ a.no }}"})
        .edge("a", "b")
        .edge("a", "c")
        .build()
    )

    run = Driven(graph, {"a": {}}).run()

    assert run.called == ["a"]
    assert run.open == {}
    assert run.error.error_type == "MissingValue"


def test_comparing_unlike_kinds_fails_the_execution() -> None:
    """A condition that compares a text with a number names itself and both kinds, and takes no way."""
    graph = Graph("g").step("a", nothing).step("b", nothing).edge("a", "b", when=when("a.n", "gt", 3)).build()

    run = Driven(graph, {"a": {"n": "7"}}).run()

    assert run.called == ["a"]
    assert run.error.error_type == "ConditionFailed"
    assert "'a.n gt 3' compares unlike kinds: 'a.n' is text, and 'gt' has number on its right" in run.error.message


# -- people ----------------------------------------------------------------------------------------------------------


def test_an_approval_shows_its_title_and_context_and_waits() -> None:
    """References in title and context are followed when the question is put."""
    graph = (
        Graph("g")
        .parameter("order", required=True)
        .approval("ok", "Ship order {{ parameters.order.id }}?", context="{{ parameters.order }}", deadline="4h")
        .step("ship", nothing)
        .edge("ok", "ship")
        .build()
    )

    run = Driven(graph).begin({"order": {"id": 17}})
    asked = run.wishes[0]

    assert isinstance(asked, Approve)
    assert (asked.key, asked.approval.title, asked.approval.deadline_s) == ("ok#0", "Ship order 17?", 14400)
    assert asked.approval.context == {"id": 17}
    assert run.ended is None


def test_a_granted_approval_goes_on_with_who_and_what() -> None:
    """The output of a granted approval says who decided and what they said."""
    run = Driven(graph_of("ok ship", ok={"asks": "Ship?"}), {"ok": granted("ann", "fine")}).run()

    assert run.called == ["ship"]
    assert run.planner._frame.values.outputs["ok"] == {"status": "approved", "by": "ann", "comment": "fine"}


@pytest.mark.parametrize("kind", ["rejected", "expired"])
def test_a_refused_approval_fails_the_execution(kind: Any) -> None:
    """Without a transition about the status, no means failure, and nothing after it starts."""
    run = Driven(graph_of("ok ship", ok={"asks": "Ship?"}), {"ok": Outcome(kind, by="ann", comment="no")}).run()

    assert run.called == []
    assert run.error.error_type == "ApprovalRejected"
    assert f"was {kind} by ann: no" in run.error.message


def test_a_refused_approval_follows_only_transitions_about_its_status() -> None:
    """With a transition about the status the refusal is routed, and a step without a condition still does not run."""
    graph = (
        Graph("g")
        .approval("ok", "Pay?")
        .step("pay", nothing)
        .step("apologise", nothing)
        .edge("ok", "pay")
        .edge("ok", "apologise", when=when("ok.status", "eq", "rejected"))
        .build()
    )

    run = Driven(graph, {"ok": rejected()}).run()

    assert run.called == ["apologise"]
    assert run.skipped == ["pay"]


def test_failing_does_not_wait_for_people() -> None:
    """A question that is still open does not hold up an execution that fails anyway."""
    run = Driven(graph_of("a ok", "a b", "ok c", ok={"asks": "?"})).begin()
    run.settle("a#0")
    run.settle("b#0", failed(ValueError("no")))

    assert run.error.error_type == "ValueError"
    assert run.settle("ok#0", granted()) == []


def test_a_step_that_asks_for_a_person_is_followed_by_nothing_before_the_answer() -> None:
    """A step in ia_modules' manner becomes a question when it returns human_input_required."""
    asks = {"status": "human_input_required", "prompt": "Release?", "timeout_seconds": 60, "draft": "text"}
    run = Driven(graph_of("ask go"), {"ask": asks, "go": 1}).run()

    (question,) = run.open.values()
    assert isinstance(question, Approve)
    assert (question.key, question.approval.title) == ("ask.approval#0", "Release?")
    assert question.approval.context == asks
    assert run.called == ["ask"]
    run.settle("ask.approval#0", granted("ann"))
    assert run.called == ["ask", "go"]


def test_a_step_that_asks_for_a_person_who_says_no_fails() -> None:
    """The guarded step does not run after a no."""
    asks = {"status": "human_input_required", "prompt": "Release?"}
    run = Driven(graph_of("ask go"), {"ask": asks, "ask.approval": rejected()}).run()

    assert run.called == ["ask"]
    assert run.error.error_type == "ApprovalRejected"


def test_a_form_that_yes_or_no_cannot_answer_fails_by_name() -> None:
    """Asking for a number is not answered by an approval; the field is named."""
    asks = {"status": "human_input_required", "ui_schema": {"fields": [{"name": "amount", "type": "number"}]}}
    run = Driven(graph_of("ask go"), {"ask": asks}).run()

    assert run.error.error_type == "UnanswerableForm"
    assert "'amount'" in run.error.message


# -- what comes out --------------------------------------------------------------------------------------------------


def test_several_last_steps_give_an_object() -> None:
    """When the execution ends in several steps, the output has each of theirs by name."""
    run = Driven(graph_of("a b", "a c"), {"b": 1, "c": 2}).run()

    assert run.output == {"b": 1, "c": 2}


def test_outputs_are_what_the_definition_says() -> None:
    """`outputs` is followed at the end and is all that comes out."""
    graph = (
        Graph("g").step("a", nothing).step("b", nothing).edge("a", "b").output({"x": "{{ a.x }}", "t": "n={{ b.n }}"})
    )

    run = Driven(graph.build(), {"a": {"x": [1]}, "b": {"n": 2}}).run()

    assert run.output == {"x": [1], "t": "n=2"}


def test_outputs_that_do_not_exist_fail_the_execution() -> None:
    """An output that refers to a step that did not run is a failure, not a silent null."""
    graph = exclusive(graph_of("a b", "a c"), "a", "b", "c").output("{{ b.x }}").build()

    run = Driven(graph, {"a": NO}).run()

    assert run.error.error_type == "MissingValue"
    assert "step 'b' has no output" in run.error.message


def test_the_first_of_two_branches_that_exists_is_used() -> None:
    """`a | b` picks the branch that ran, also in a later round of a loop."""
    graph = (
        Graph("g", max_visits=9)
        .step("pick", nothing)
        .step("left", nothing)
        .step("right", nothing)
        .step("use", takes_x, inputs={"x": "{{ left.n | right.n }}"})
        .edge("pick", "left", when=when("pick.ok", "eq"))
        .edge("pick", "right", when=when("pick.ok", "ne"))
        .edge("left", "use")
        .edge("right", "use")
        .edge("use", "pick", when=when("use.again", "eq"))
        .build()
    )
    answers = {"pick#0": OK, "pick#1": NO, "left": {"n": 1}, "right": {"n": 2}, "use#0": {"again": True}, "use#1": 0}

    run = Driven(graph, answers).run()

    assert [run.call(f"use#{n}").kwargs for n in (0, 1)] == [{"x": 1}, {"x": 2}]


# -- what goes in ----------------------------------------------------------------------------------------------------


def order_graph() -> Graph:
    return (
        Graph("order")
        .parameter("amount", schema={"type": "integer", "minimum": 1}, required=True)
        .parameter("currency", schema={"type": "string"}, default="EUR")
        .step("pay", nothing)
        .build()
    )


def test_defaults_are_overlaid_by_the_input() -> None:
    """What is not given has its default, and the caller's own dict is left alone."""
    given = {"amount": 3}

    assert prepare_input(order_graph(), given) == {"amount": 3, "currency": "EUR"}
    assert given == {"amount": 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "must be an object, not list"),
        ({}, "needs 'amount'"),
        (None, "needs 'amount'"),
        ({"amount": "3"}, "parameter 'amount' must be integer, not string"),
        ({"amount": True}, "must be integer, not boolean"),
        ({"amount": 0}, "must be at least 1"),
        ({"amount": 1, "currency": None}, "parameter 'currency' must be string, not null"),
        ({"amount": 1, "curency": "USD"}, "has no parameter 'curency'; did you mean 'currency'?"),
        ({"amuont": 1}, "did you mean 'amount'?"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(given: Any, said: str) -> None:
    """Input that does not fit the parameters is refused by name, with what was wanted."""
    with pytest.raises(BadInput) as caught:
        prepare_input(order_graph(), given)
    assert said in str(caught.value)


def test_other_keys_are_handed_on() -> None:
    """Input that is no parameter, and no slip of one, reaches the steps."""
    assert prepare_input(order_graph(), {"amount": 1, "trace": "x"})["trace"] == "x"


# -- size ------------------------------------------------------------------------------------------------------------


def long_chain(length: int) -> Graph:
    steps = [{"id": f"s{n}", "run": "tests.engine.planner_driver:nothing"} for n in range(length)]
    flow = {"start_at": "s0", "transitions": [{"from": f"s{n}", "to": f"s{n + 1}"} for n in range(length - 1)]}
    return load_graph({"name": "long", "steps": steps, "flow": flow}, base=Path(__file__).parents[3])


def test_a_chain_of_ten_thousand_steps_runs() -> None:
    """A long chain meets no recursion limit and no step that looks at all the others."""
    graph = long_chain(10_000)
    planner = GraphPlanner(graph)
    wishes = planner.begin({})
    count = 0
    while not isinstance(wishes[-1], Done):
        last = wishes[-1]
        assert isinstance(last, Call)
        wishes = planner.settle(last.key, Outcome("completed"))
        count += 1

    assert count == 10_000


def test_a_long_branch_is_skipped_in_one_go() -> None:
    """Skipping does not recurse."""
    length = 5000
    graph = Graph("g").step("a", nothing).step("z", nothing).edge("a", "z")
    for n in range(length):
        graph = graph.step(f"s{n}", nothing)
    graph = graph.edge("a", "s0", when=when("a.ok", "eq"))
    for n in range(length - 1):
        graph = graph.edge(f"s{n}", f"s{n + 1}")

    run = Driven(graph.build(), {"a": NO}).run()

    assert len(run.skipped) == length
