"""The kinds of steps beside code and questions: what each asks for, and what follows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.kinds import Budget, Catch, Over
from actum.engine.graphs.load import load_graph, read_graph
from actum.engine.graphs.planner import GraphPlanner, prepare_input
from actum.engine.rules.calls import Call, Child, Heard, Outcome, Past, Raced, Receive, Sleep, Wait
from actum.errors import DefinitionError
from tests.engine.planner_driver import Driven, failed, nothing


def echo(**given: Any) -> dict[str, Any]:
    return given


def double(n: int) -> int:
    return 2 * n


def picky(n: int) -> int:
    if n < 0:
        raise ValueError(f"{n} is below nothing")
    return n


# -- values without calls --------------------------------------------------------------------------------------------


def test_a_pass_returns_its_output_and_calls_nothing() -> None:
    """A transform hands on a value made of references, of whatever type, in the same breath."""
    graph = Graph("g").step("a", nothing).transform("b", {"all": "{{ a }}", "text": "n={{ a.n }}"}).edge("a", "b")

    run = Driven(graph.build(), {"a": {"n": 3}}).run()

    assert run.called == ["a"]
    assert run.taken == [("a", "b")]
    assert run.output == {"all": {"n": 3}, "text": "n=3"}


def test_a_hundred_thousand_passes_in_a_row_need_no_stack() -> None:
    """What ends at once is worked off in a loop, however often it comes."""
    graph = Graph("g", max_visits=100_001).step("a", nothing).transform("b", 1).edge("a", "b").edge("b", "b")

    run = Driven(graph.build()).run()

    assert run.error.error_type == "TooManyVisits"
    assert len(run.taken) == 100_002


def test_a_fail_step_fails_with_its_type_and_message() -> None:
    """The definition says what kind of failure it is, in words that may hold references."""
    graph = Graph("g").step("a", nothing).fail("no", "Refused", "because of {{ a.why }}").edge("a", "no").build()

    run = Driven(graph, {"a": {"why": "rain"}}).run()

    assert (run.error.error_type, run.error.message) == ("Refused", "because of rain")


def test_a_succeed_step_ends_everything_once_what_runs_has_ended() -> None:
    """Nothing starts after it, what runs is waited for, and its output is the execution's."""
    graph = Graph("g").step("a", nothing).step("slow", nothing).step("after", nothing).succeed("done", "{{ a }}")
    graph = graph.step("go", nothing).start("go").edge("go", "a").edge("go", "slow").edge("slow", "after")
    run = Driven(graph.edge("a", "done").build(), {"a": "early"}).begin()
    run.settle("go#0")
    run.settle("a#0")

    assert run.ended is None
    run.settle("slow#0")
    assert run.output == "early"
    assert "after" not in run.called


# -- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wish"),
    [
        ({"seconds": 30}, Sleep(30.0, 0, "", "w")),
        ({"seconds": "2h"}, Sleep(7200.0, 0, "", "w")),
        ({"seconds": "{{ parameters.s }}"}, Sleep(5.0, 0, "", "w")),
        ({"until": "1970-01-01T01:00:01+01:00"}, Sleep(0, 0, "", "w", 1_000_000)),
        ({"until": "{{ parameters.t }}"}, Sleep(0, 0, "", "w", 2_000_000)),
    ],
)
def test_a_wait_is_a_timer(given: dict[str, Any], wish: Sleep) -> None:
    """A wait asks for a timer, for a while or until a time, written out or taken from a value."""
    parameters = {"s": 5, "t": "1970-01-01T00:00:02Z"}
    run = Driven(load_graph({"name": "g", "parameters": parameters, "steps": [{"id": "w", "type": "wait", **given}]}))

    assert run.begin().wishes == [wish]
    run.settle("w#0")
    assert run.output is None


def test_a_wait_for_no_time_fails_the_execution() -> None:
    """A value that is no duration is a mistake that is named, and nothing is waited for."""
    graph = Graph("g").step("a", nothing).wait("w", "{{ a }}").edge("a", "w").build()

    run = Driven(graph, {"a": "soon"}).run()

    assert run.error.error_type == "NoTime"
    assert "'soon' is no duration" in run.error.message


def test_a_signal_is_the_output_of_the_step_that_waits_for_it() -> None:
    """The value of the signal is what the steps behind see."""
    run = Driven(Graph("g").wait_signal("paid").transform("b", "{{ paid.sum }}").edge("paid", "b").build()).begin()

    assert run.wishes == [Wait("paid", 0)]
    run.hear("paid", {"sum": 7})
    assert run.output == 7


def test_signals_are_kept_until_somebody_waits_and_go_to_the_first_that_does() -> None:
    """The first that came goes to the first that waits, whether it came before or after."""
    graph = Graph("g").step("a", nothing).wait_signal("one", "go").wait_signal("two", "go")
    graph = graph.edge("a", "one").edge("one", "two").output(["{{ one }}", "{{ two }}"])
    run = Driven(graph.build()).begin()
    run.planner.hear(Heard("signal", "go", 1, 0))
    run.settle("a#0")

    assert [wish for wish in run.wishes if isinstance(wish, Wait)] == [Wait("go", 0), Wait("go", 1)]
    run.hear("go", 2)
    assert run.output == [1, 2]


def test_a_signal_that_does_not_come_in_time_is_the_default_and_the_wait_is_given_up() -> None:
    """At the end of the time the default counts; a later signal is for somebody else."""
    run = Driven(Graph("g").wait_signal("paid", timeout="1h", default="no").build()).begin()

    assert run.wishes == [Wait("paid", 0), Sleep(3600.0, 0, "", "paid.timeout")]
    wishes = run.settle("paid.timeout#0", Outcome("fired"))
    assert wishes[0] == Raced(0, "", "timeout", ("paid#0",), "paid.timeout")
    assert run.output == "no"


def test_a_signal_in_time_takes_its_timer_back() -> None:
    """The timer of a wait that is over is said to have lost, so that nothing waits for it."""
    run = Driven(Graph("g").wait_signal("paid", timeout="1h").build()).begin()

    assert run.hear("paid", 1)[0] == Raced(0, "", "signal", ("paid.timeout#0",), "paid.timeout")
    assert run.output == 1


def test_a_signal_that_does_not_come_in_time_can_be_caught() -> None:
    """Without a default the step fails with SignalTimeout, and a catch by that type goes on."""
    graph = Graph("g").wait_signal("paid", timeout=1, on_error=[Catch(("SignalTimeout",), "remind")])
    graph = graph.transform("remind", "{{ error.type }}").build()

    assert Driven(graph).run().output == "SignalTimeout"


def test_more_input_is_what_the_step_returns() -> None:
    """An input step says its prompt and waits; what is given is its output."""
    graph = Graph("g").step("a", nothing).wait_input("ask", "How many {{ a }}?").edge("a", "ask").build()
    run = Driven(graph, {"a": "apples"}).run()

    assert run.open["ask#0"] == Receive("ask", "How many apples?", 0)
    run.settle("ask#0", Outcome("received", 3))
    assert run.output == 3


def test_an_incomplete_step_runs_again_with_the_new_input() -> None:
    """A step that returns as far as it came is run again when more has come, with that over its input."""
    graph = Graph("g").parameter("n", default=1).step("chat", double, inputs={"n": "{{ input.n }}"}).build()
    run = Driven(graph).begin()
    run.settle("chat#0", Outcome("completed", {"status": "incomplete", "incomplete": True, "output": "more?"}))

    assert run.open["chat.input#0"] == Receive("chat.input", "more?", 0)
    run.settle("chat.input#0", Outcome("received", {"n": 21}))
    run.settle("chat#1")
    assert run.output == 42


# -- workflows inside workflows --------------------------------------------------------------------------------------

INNER = (
    Graph("inner")
    .parameter("n", required=True)
    .step("twice", double, inputs={"n": "{{ parameters.n }}"})
    .step("again", double, inputs={"n": "{{ twice }}"})
    .edge("twice", "again")
)


def test_a_graph_runs_in_place_under_a_scope() -> None:
    """Its steps are steps of this execution, found under the name of the step that runs it."""
    graph = Graph("g").workflow("sub", INNER, inputs={"n": 3}).transform("b", "{{ sub }}").edge("sub", "b").build()

    run = Driven(graph).run()

    assert [wish.key for wish in run.wishes if isinstance(wish, Call)] == ["sub/twice#0", "sub/again#0"]
    assert [wish.scope for wish in run.wishes if hasattr(wish, "target")] == ["sub", ""]
    assert run.output == 12


def test_an_inner_graph_sees_only_what_it_is_given() -> None:
    """Its references lead into its own parameters and steps; the outer ones are not there."""
    inner = Graph("inner").transform("a", "{{ outside }}")

    with pytest.raises(DefinitionError, match=r"there is no step 'outside'"):
        Graph("g").step("outside", nothing).workflow("sub", inner).edge("outside", "sub").build()


def test_an_inner_graph_that_fails_is_a_failed_step() -> None:
    """What its failure means is said by the step that runs it."""
    inner = Graph("inner").step("bad", nothing)
    graph = Graph("g").workflow("sub", inner, on_error="continue").transform("b", "fine").edge("sub", "b")

    assert Driven(graph.build(), {"sub/bad": ValueError("no")}).run().output == "fine"
    stopped = Driven(Graph("g").workflow("sub", inner).build(), {"sub/bad": ValueError("no")}).run()
    assert (stopped.error.error_type, stopped.error.message) == ("ValueError", "step 'sub': step 'bad': no")


def test_an_inner_graph_in_a_loop_has_a_scope_of_its_own_each_time() -> None:
    """The second visit's steps are not taken for those of the first."""
    inner = Graph("inner").step("s", nothing)
    again = {"source": "sub.again", "operator": "eq", "value": True}
    graph = Graph("g", max_visits=5).workflow("sub", inner).edge("sub", "sub", when=again).build()

    run = Driven(graph, {"sub/s": {"again": True}, "sub#1/s": {"again": False}}).run()

    assert [wish.key for wish in run.wishes if isinstance(wish, Call)] == ["sub/s#0", "sub#1/s#0"]


def test_input_that_does_not_fit_an_inner_graph_fails_before_anything_of_it_runs() -> None:
    """The parameters of the inner graph are checked like those of any."""
    run = Driven(Graph("g").workflow("sub", INNER).build()).run()

    assert run.error.error_type == "InputMismatch"
    assert "workflow 'inner' needs 'n'" in run.error.message


def test_a_published_workflow_is_a_child_execution() -> None:
    """By its name a workflow runs as an execution of its own, whose end is the step's."""
    graph = Graph("g").workflow("sub", "billing", inputs={"n": 1}, on_parent_close="abandon").build()
    run = Driven(graph).begin()

    assert run.wishes == [Child("sub", "billing", {"n": 1}, 0, on_parent_close="abandon")]
    run.settle("sub#0", Outcome("completed", "paid"))
    assert run.output == "paid"


# -- maps ------------------------------------------------------------------------------------------------------------


def mapped(over: Over | str, **more: Any) -> Graph:
    graph = Graph("g").parameter("ns", default=[1, 2, 3])
    return graph.step("m", picky, inputs={"n": "{{ item }}"}, over=over, **more).build()


def test_a_map_runs_for_each_item_and_returns_the_results_in_order() -> None:
    """All items are asked for at once, each under its own scope; the order of their ends does not matter."""
    run = Driven(mapped("{{ parameters.ns }}")).run(pick=lambda keys: keys[-1])

    assert run.most_at_once == 3
    assert [wish.key for wish in run.wishes if isinstance(wish, Call)] == ["m.0/m#0", "m.1/m#0", "m.2/m#0"]
    assert run.output == [1, 2, 3]


def test_a_map_keeps_to_its_concurrency() -> None:
    """No more than so many items are under way, and the next starts when one has ended."""
    run = Driven(mapped(Over("{{ parameters.ns }}", concurrency=2))).run()

    assert run.most_at_once == 2
    assert run.output == [1, 2, 3]


def test_a_map_over_nothing_is_over_at_once() -> None:
    """An empty list has an empty list of results."""
    assert Driven(mapped("{{ parameters.ns }}")).run({"ns": []}).output == []


def test_a_map_over_what_is_no_list_fails() -> None:
    """What it goes over must be a list, and the message shows what it was."""
    run = Driven(mapped("{{ parameters.ns }}")).run({"ns": {"a": 1}})

    assert run.error.error_type == "NotAList"
    assert '{"a":1}' in run.error.message


def test_an_item_that_fails_fails_the_map() -> None:
    """Without another word the failure of one item is the step's, and no further item starts."""
    run = Driven(mapped(Over("{{ parameters.ns }}", concurrency=1))).run({"ns": [1, -2, 3]})

    assert run.error.message == "step 'm': item 1: -2 is below nothing"
    assert len(run.called) == 2


def test_an_item_that_may_fail_leaves_null_in_its_place() -> None:
    """With on_error: continue the others go on, and the results keep their places."""
    run = Driven(mapped("{{ parameters.ns }}", on_error="continue")).run({"ns": [1, -2, 3]})

    assert run.output == [1, None, 3]


@pytest.mark.parametrize(
    ("join", "ns", "output"),
    [("any", [5, 6], 5), ("first_success", [-1, -2, 7, 8], 7), (2, [1, 2, 3, 4], [1, 2])],
)
def test_a_map_may_have_enough_before_all_have_ended(join: Any, ns: list[int], output: Any) -> None:
    """The first to end, the first to complete, or the first so many: then the step has its output."""
    run = Driven(mapped(Over("{{ parameters.ns }}", join=join))).run({"ns": ns})

    assert run.output == output


def test_a_map_of_which_too_few_complete_fails_with_the_last_failure() -> None:
    """When nothing can succeed any more, the step has failed, and says how."""
    run = Driven(mapped(Over("{{ parameters.ns }}", join="first_success"))).run({"ns": [-1, -2]})

    assert run.error.message == "step 'm': item 1: -2 is below nothing"
    empty = Driven(mapped(Over("{{ parameters.ns }}", join=1))).run({"ns": []})
    assert empty.error.error_type == "TooFewItems"


def test_the_rest_of_a_map_is_cancelled_when_that_is_asked_for() -> None:
    """With cancel_rest what is still under way is told to stop; else it is left to end."""
    cancelling = Driven(mapped(Over("{{ parameters.ns }}", join="any", cancel_rest=True))).begin()
    cancelling.settle("m.1/m#0")
    leaving = Driven(mapped(Over("{{ parameters.ns }}", join="any"))).begin()
    leaving.settle("m.1/m#0")

    assert Raced(0, "", "1", ("m.0/m#0", "m.2/m#0"), "m.map") in cancelling.wishes
    assert cancelling.output == 2
    assert leaving.ended is None
    leaving.settle("m.0/m#0")
    leaving.settle("m.2/m#0")
    assert leaving.output == 2


def test_a_map_may_run_a_graph_for_each_item_and_maps_stand_in_maps() -> None:
    """Inside, the item has its name, and each level has a scope of its own."""
    inner = Graph("row").step("cell", double, inputs={"n": "{{ cell_of }}"}, over=Over("{{ row }}", as_="cell_of"))
    graph = Graph("g").parameter("rows").workflow("rows", inner, over=Over("{{ parameters.rows }}", as_="row")).build()

    run = Driven(graph).run({"rows": [[1, 2], [3]]})

    assert [wish.key for wish in run.wishes if isinstance(wish, Call)] == [
        "rows.0/cell.0/cell#0",
        "rows.0/cell.1/cell#0",
        "rows.1/cell.0/cell#0",
    ]
    assert run.output == [[2, 4], [6]]


def test_the_index_is_there_beside_the_item() -> None:
    """{{ index }} is the number of the item, from 0."""
    graph = Graph("g").step("m", echo, inputs={"at": "{{ index }}", "of": "{{ item.x }}"}, over="{{ parameters.l }}")

    run = Driven(graph.parameter("l").build()).run({"l": [{"x": "a"}, {"x": "b"}]})

    assert run.output == [{"at": 0, "of": "a"}, {"at": 1, "of": "b"}]


# -- where a step says what comes next -------------------------------------------------------------------------------


def states(**more: Any) -> Graph:
    graph = Graph("g", max_visits=10).step("a", nothing, goto=("b", "c", "a", "end"), **more)
    return graph.transform("b", "b").transform("c", "c").build()


@pytest.mark.parametrize(
    ("returned", "reached"),
    [
        ("b", ["b"]),
        (["b", "c"], ["b", "c"]),
        ({"goto": "c", "output": 1}, ["c"]),
        ({"goto": ["c"], "x": 1}, ["c"]),
        ({"goto": None}, []),
        ({"goto": "end"}, ["end"]),
    ],
)
def test_a_step_may_say_what_comes_next(returned: Any, reached: list[str]) -> None:
    """A name, a list of names or nothing, beside its output or alone."""
    run = Driven(states(), {"a": returned}).run()

    assert [target for _, target in run.taken] == reached


def test_what_a_step_chose_is_recorded_with_the_transition() -> None:
    """Every transition taken this way says that the step chose it, and what it said."""
    run = Driven(states(), {"a": {"goto": "b", "output": {"n": 1}}}).run()

    taken = next(wish for wish in run.wishes if hasattr(wish, "target"))
    assert (taken.condition, taken.value) == ("goto", "b")
    assert run.planner._frame.values.outputs["a"] == {"n": 1}


def test_a_step_may_go_only_where_it_is_allowed_to() -> None:
    """Anything else fails the execution, and names what is allowed and what may have been meant."""
    run = Driven(Graph("g").step("a", nothing, goto=["beta"]).transform("beta", 1).build(), {"a": "bета"}).run()
    near = Driven(Graph("g").step("a", nothing, goto=["beta"]).transform("beta", 1).build(), {"a": "bet"}).run()

    assert run.error.error_type == near.error.error_type == "NoRoute"
    assert "may choose beta" in run.error.message
    assert "did you mean 'beta'" in near.error.message


def test_states_may_go_anywhere_as_often_as_their_visits_allow() -> None:
    """With goto: any every step can follow every other; max_visits bounds it."""
    graph = Graph("g", max_visits=3)
    for name in "abc":
        graph = graph.step(name, nothing, goto="any")
    answers = {"a#0": "b", "b#0": "a", "a#1": "c", "c#0": {"goto": None, "output": "fin"}}

    run = Driven(graph.build(), answers).run()

    assert run.called == ["a", "b", "a", "c"]
    assert run.output == "fin"
    assert Driven(graph.build(), {"a": "a"}).run().error.error_type == "TooManyVisits"


# -- failures that are caught ----------------------------------------------------------------------------------------


def catching(*catches: Catch, **more: Any) -> Graph:
    return Graph("g").step("a", nothing, on_error=catches, **more).transform("after", "after").edge("a", "after")


def test_a_catch_goes_to_its_step_with_the_error() -> None:
    """The first catch that names the type counts; the ordinary transitions are not taken."""
    graph = catching(Catch(("KeyError",), "fail"), Catch(("OSError",), "mend"))
    graph = graph.transform("mend", "{{ error.type }}: {{ error.message }}").build()

    run = Driven(graph, {"a": ConnectionError("gone")}).run()

    assert run.taken == [("a", "mend")]
    assert run.output == "ConnectionError: gone"
    assert Driven(graph, {"a": KeyError("k")}).run().error.error_type == "KeyError"
    assert Driven(graph, {"a": ValueError("v")}).run().error.error_type == "ValueError"
    assert Driven(graph, {"a": 1}).run().output == "after"


def test_a_failed_step_may_be_tried_again_from_an_earlier_one() -> None:
    """A catch that leads back begins a new round of a loop, which is bounded like any."""
    graph = Graph("g", max_visits=3).step("fetch", nothing).step("use", nothing, on_error=[Catch(("*",), "fetch")])
    graph = graph.edge("fetch", "use").build()

    assert Driven(graph, {"fetch": 1, "use#0": ValueError("stale"), "use#1": "used"}).run().called == [
        "fetch",
        "use",
        "fetch",
        "use",
    ]
    assert Driven(graph, {"fetch": 1, "use": ValueError("stale")}).run().error.error_type == "TooManyVisits"


def test_a_catch_may_continue_or_fall_back() -> None:
    """What on_error says of all failures, a catch says of some."""
    graph = catching(Catch(("KeyError",), "fallback"), Catch(("*",), "continue"), fallback="spare")
    graph = graph.transform("spare", "instead").output("{{ a | after }}").build()

    assert Driven(graph, {"a": KeyError("k")}).run().output == "instead"
    assert Driven(graph, {"a": ValueError("v")}).run().output == "after"


# -- joins and budgets -----------------------------------------------------------------------------------------------


def racing(**join: Any) -> Graph:
    graph = Graph("g").step("go", nothing)
    for name in ("a", "b"):
        graph = graph.step(name, nothing).step(f"{name}2", nothing)
    graph = graph.step("j", nothing, **join)
    for name in ("a", "b"):
        graph = graph.edge("go", name).edge(name, f"{name}2").edge(f"{name}2", "j")
    return graph.build()


def test_first_success_goes_on_with_the_first_branch_that_comes_through() -> None:
    """A branch that fails on the way does not count while another may still come."""
    run = Driven(racing(join="first_success"), {"a": ValueError("no"), "j": "done"}).run()

    assert run.called == ["go", "a", "b", "b2", "j"]
    assert run.output == "done"


def test_first_success_fails_when_every_branch_has() -> None:
    """The failure that came last is the execution's."""
    run = Driven(racing(join="first_success"), {"a2": ValueError("one"), "b": KeyError("two")}).run()

    assert run.error.message in ("step 'a2': one", "step 'b': 'two'")
    assert "j" not in run.called


@pytest.mark.parametrize("join", ["any", "first_success", 1])
def test_the_branches_that_came_too_late_are_cancelled_when_that_is_asked_for(join: Any) -> None:
    """With cancel_rest the join starts, and the rest of its branches is told to stop and is not waited for."""
    run = Driven(racing(join=join, cancel_rest=True), {"j": "done"}).begin()
    run.settle("go#0")
    run.settle("a#0")
    run.settle("a2#0")

    assert Raced(0, "", "a2", ("b#0",), "j.join") in run.wishes
    run.settle("j#0")
    assert run.output == "done"


def test_a_budget_of_steps_is_looked_at_before_each() -> None:
    """The step that would be one too many does not start, and the figures are named."""
    graph = Graph("g", max_visits=99).defaults(budget=Budget(steps=3)).step("a", nothing).edge("a", "a").build()

    run = Driven(graph).run()

    assert run.called == ["a", "a", "a"]
    assert run.error.error_type == "BudgetExceeded"
    assert "number 4, and the budget is 3 steps" in run.error.message


def test_the_steps_own_budget_counts_before_the_workflows() -> None:
    """What is said nearest counts."""
    graph = Graph("g", max_visits=9).defaults(budget=Budget(steps=2)).step("a", nothing)
    graph = graph.step("b", nothing, budget=Budget(steps=5)).edge("a", "b").edge("b", "b").build()

    assert Driven(graph).run().called == ["a", "b", "b", "b", "b"]


def test_a_budget_of_time_counts_from_the_start() -> None:
    """A step that would start later than the budget allows does not."""
    graph = Graph("g").defaults(budget=Budget(seconds=10)).step("a", nothing).step("b", nothing).edge("a", "b")
    late, early = Driven(graph.build()), Driven(graph.build())
    for run in (late, early):
        run.planner.recall(Past(1_000_000))
        run.begin()
    late.settle("a#0", Outcome("completed", at_us=12_000_000))
    early.settle("a#0", Outcome("completed", at_us=11_000_000))

    assert late.error.error_type == "BudgetExceeded"
    assert "after 11 s, and the budget is 10 s" in late.error.message
    assert early.called == ["a", "b"]


def test_a_budget_counts_what_inner_graphs_start() -> None:
    """Steps inside count for every graph around them."""
    graph = Graph("g").defaults(budget=Budget(steps=2)).workflow("sub", INNER, inputs={"n": 1}).build()

    assert "number 3" in Driven(graph).run().error.message


# -- names that mean something ---------------------------------------------------------------------------------------


def test_the_input_and_the_execution_have_names_everywhere() -> None:
    """{{ input }} is all that was given, {{ execution.id }} is the id."""
    graph = Graph("g").parameter("n").transform("a", ["{{ input.n }}", "{{ execution.id }}", "{{ input }}"]).build()

    assert Driven(graph).run({"n": 1}).output == [1, "one", {"n": 1}]


def test_a_step_of_such_a_name_comes_first() -> None:
    """Graphs that call a step `input` mean the step."""
    graph = Graph("g").transform("input", "mine").transform("b", "{{ input }}").edge("input", "b").build()

    assert Driven(graph).run({"x": 1}).output == "mine"


def test_an_error_that_nobody_has_caught_is_not_there() -> None:
    """A reference to it fails, and says why."""
    run = Driven(Graph("g").transform("a", "{{ error.type }}").build()).run()

    assert run.error.error_type == "MissingValue"
    assert "no error has been caught" in run.error.message


def test_a_cancelled_graph_starts_nothing_and_waits_for_nothing() -> None:
    """After a cancel the graph is over at once, also while a step inside an inner graph runs."""
    run = Driven(Graph("g").workflow("sub", INNER, inputs={"n": 1}).build()).begin()

    ended = run.planner.hear(Heard("cancel", "", None, 0))

    assert [type(wish).__name__ for wish in ended] == ["Give"]
    assert run.planner.settle("sub/twice#0", Outcome("completed", 1)) == []


def test_a_failure_in_the_same_breath_takes_back_what_would_have_started() -> None:
    """Of what starts at the same time all starts or nothing."""
    graph = Graph("g").step("go", nothing).step("a", nothing).workflow("sub", INNER, inputs={"n": 1}).fail("no")
    graph = graph.edge("go", "a").edge("go", "sub").edge("go", "no").build()
    run = Driven(graph).begin()
    run.settle("go#0")

    assert run.called == ["go"]
    assert run.error.error_type == "Failed"


# -- as files --------------------------------------------------------------------------------------------------------

FILE = """
name: all
budget: {steps: 100, seconds: 1h}
parameters: {ns: [1, 2]}
steps:
  - {id: each, run: "tests.engine.graphs.test_kinds:double", inputs: {n: "{{ item }}"},
     map: {items: "{{ parameters.ns }}", concurrency: 2}}
  - {id: rows, map: {items: "{{ parameters.ns }}", as: row, join: first_success, cancel_rest: true},
     workflow: {name: row, steps: [{id: cell, type: pass, output: "{{ row }}"}]}, on_error: continue}
  - {id: w, type: wait, seconds: 2h}
  - {id: u, type: wait, until: "2026-11-21T09:00:00Z", join: any, cancel_rest: true}
  - {id: paid, type: signal, signal: payment, timeout: 1h, default: null}
  - {id: more, type: input, prompt: "{{ each }}"}
  - {id: bill, workflow: billing, inputs: {n: 1}, on_parent_close: abandon}
  - {id: risky, run: "tests.engine.graphs.test_kinds:echo", on_error: [{types: [OSError], then: no}, {then: continue}]}
  - {id: pick, run: "tests.engine.graphs.test_kinds:echo", goto: [yes, no], budget: {steps: 50}}
  - {id: yes, type: succeed, output: null}
  - {id: no, type: fail, error: Refused, message: "{{ error.message }}"}
flow:
  transitions:
    - {from: each, to: rows}
    - {from: each, to: w}
    - {from: rows, to: u}
    - {from: w, to: u}
    - {from: u, to: paid}
    - {from: paid, to: more}
    - {from: more, to: bill}
    - {from: bill, to: risky}
    - {from: risky, to: pick}
"""


def test_every_kind_can_be_written_down_and_read_again() -> None:
    """A graph from a file is the same graph when it is read from its canonical JSON, and has the same digest."""
    graph = load_graph(FILE)
    again = load_graph(graph.to_json())

    assert again == graph
    assert again.digest == graph.digest
    kinds = {one.id: one.kind for one in graph.steps}
    assert kinds["rows"] == kinds["bill"] == "workflow"
    assert [kinds[name] for name in ("w", "paid", "more", "yes", "no")] == [
        "wait",
        "signal",
        "input",
        "succeed",
        "fail",
    ]


REFS = st.sampled_from(
    ["{{ input }}", "{{ parameters.p }}", "x", 3, None, ["{{ execution.id }}"], {"a": "{{ input }}"}]
)
JOINS = st.one_of(st.sampled_from(["all", "any", "first_success"]), st.integers(1, 3))


@st.composite
def anything(draw: Any, depth: int = 0) -> Graph:
    """A graph of steps of every kind, one after the other."""
    graph = Graph(f"level{depth}").parameter("p", default=[1])
    count = draw(st.integers(1, 4))
    for number in range(count):
        id_ = f"s{number}"
        over = draw(st.none() | st.builds(Over, st.just("{{ parameters.p }}"), st.just("one"), st.none(), JOINS))
        common = {"on_error": draw(st.sampled_from(["fail", "continue", (Catch(("OSError",), "continue"),)]))}
        match draw(st.integers(0, 8 if depth < 2 else 7)):
            case 0:
                graph = graph.step(id_, echo, inputs={"x": draw(REFS)}, over=over, **common)
            case 1:
                graph = graph.wait(id_, draw(st.sampled_from([1, "2h", "{{ parameters.p }}"])))
            case 2:
                graph = graph.wait_signal(id_, timeout=draw(st.sampled_from([1, "2h"])), default=draw(REFS), **common)
            case 3:
                graph = graph.wait_input(id_, draw(REFS))
            case 4:
                graph = graph.transform(id_, draw(REFS))
            case 5:
                graph = graph.fail(id_, "Refused", draw(REFS))
            case 6:
                graph = graph.succeed(id_, *draw(st.lists(REFS, max_size=1)))
            case 7:
                graph = graph.workflow(id_, "published", inputs={"x": draw(REFS)}, over=over, **common)
            case _:
                graph = graph.workflow(id_, draw(anything(depth + 1)), inputs={"p": draw(REFS)}, over=over, **common)
        if number:
            graph = graph.edge(f"s{number - 1}", id_)
    return graph


@forall(anything())
def test_whatever_is_built_can_be_written_down_and_read_again(graph: Graph) -> None:
    """The builder and the files say the same things, in graphs within graphs too."""
    again = load_graph(graph.build().to_json())

    assert again == graph
    assert again.digest == graph.digest


@forall(anything(), st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_whatever_happens_replays_to_the_same(graph: Graph, chances: list[int]) -> None:
    """Another planner that is told the same in the same order wants the same, and at the end exactly one end."""
    first, second = Driven(graph.build()), GraphPlanner(graph, "one")
    first.planner.recall(Past(1))
    second.recall(Past(1))
    first.begin({"p": [1, 2]})
    wishes = second.begin(prepare_input(graph, {"p": [1, 2]}))
    for chance in chances * 3:
        if first.ended is not None or not first.open:
            break
        key = list(first.open)[chance % len(first.open)]
        asked = first.open[key]
        if isinstance(asked, Wait):
            first.hear(asked.signal, chance)
            wishes += second.hear(Heard("signal", asked.signal, chance, 0))
            continue
        if isinstance(asked, Sleep):
            outcome = Outcome("fired")
        elif isinstance(asked, Receive):
            outcome = Outcome("received", {"p": [chance]})
        else:
            outcome = failed(OSError("chance")) if chance % 5 == 0 else Outcome("completed", [chance])
        first.settle(key, outcome)
        wishes += second.settle(key, outcome)

    assert wishes == first.wishes
    assert first.ended is not None or first.open or not chances


@pytest.mark.parametrize(
    ("step", "place", "problem"),
    [
        ({"type": "wiat", "seconds": 1}, "$.steps[0].type", "did you mean 'wait'"),
        ({"type": "wait"}, "$.steps[0]", "either seconds or until"),
        ({"type": "wait", "seconds": 1, "until": "2026-11-21T09:00:00Z"}, "$.steps[0]", "either seconds or until"),
        ({"type": "wait", "seconds": "soon"}, "$.steps[0].seconds", "no duration"),
        ({"type": "wait", "until": "2026-11-21T09:00:00"}, "$.steps[0].until", "says no time zone"),
        ({"type": "wait", "seconds": 1, "retry": 2}, "$.steps[0].retry", "no meaning for a step of type wait"),
        ({"type": "signal", "default": 1}, "$.steps[0].default", "goes with a timeout"),
        ({"type": "signal", "signal": "a/b"}, "$.steps[0].signal", "have a meaning in keys"),
        ({"type": "pass", "output": "{{ nope.x }}"}, "$.steps[0].output", "there is no step 'nope'"),
        ({"type": "pass", "output": "{{ execution.name }}"}, "$.steps[0].output", "has no 'name'; there is id"),
        ({"type": "pass", "output": "{{ inptu }}"}, "$.steps[0].output", "did you mean 'input'"),
        ({"type": "workflow"}, "$.steps[0].workflow", "is missing"),
        ({"workflow": "nowhere.yaml"}, "$.steps[0].workflow", "there is no file 'nowhere.yaml'"),
        ({"workflow": {"name": "i", "steps": []}}, "$.steps[0].workflow.steps", "is empty"),
        ({"workflow": {"name": "i", "stpes": []}}, "$.steps[0].workflow.stpes", "did you mean 'steps'"),
        ({"workflow": "w", "on_parent_close": "cancle"}, "$.steps[0].on_parent_close", "did you mean 'cancel'"),
        ({"run": "m:f", "seconds": 1}, "$.steps[0].seconds", "belongs to steps of type wait"),
        ({"run": "m:f", "type": "map"}, "$.steps[0].map", "is missing"),
        ({"run": "m:f", "map": {"items": 3}}, "$.steps[0].map.items", "is a list"),
        ({"run": "m:f", "map": {"item": []}}, "$.steps[0].map.item", "did you mean 'items'"),
        ({"run": "m:f", "map": {"items": [], "as": "a b"}}, "$.steps[0].map.as", "is the name of the item"),
        ({"run": "m:f", "map": {"items": [], "join": "fisrt"}}, "$.steps[0].map.join", "cannot be 'fisrt'"),
        ({"run": "m:f", "map": {"items": [], "concurrency": 0}}, "$.steps[0].map.concurrency", "at least 1"),
        ({"run": "m:f", "map": {"items": [], "cancel_rest": True}}, "$.steps[0].map.cancel_rest", "leaves a rest"),
        ({"run": "m:f", "goto": ["b"]}, "$.steps[0].goto[0]", "which is no step"),
        ({"run": "m:f", "goto": 3}, "$.steps[0].goto", "is a list of the steps"),
        ({"run": "m:f", "on_error": [{"then": "contineu"}]}, "$.steps[0].on_error[0].then", "did you mean 'continue'"),
        (
            {"run": "m:f", "on_error": [{"then": "fail"}, {"then": "fail"}]},
            "$.steps[0].on_error[1]",
            "would never be looked at",
        ),
        ({"run": "m:f", "on_error": [{"thne": "fail"}]}, "$.steps[0].on_error[0].thne", "did you mean 'then'"),
        ({"run": "m:f", "budget": {"cost_usd": -1}}, "$.steps[0].budget.cost_usd", "from 0 to a million"),
        ({"run": "m:f", "budget": {}}, "$.steps[0].budget", "limits nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(step: dict[str, Any], place: str, problem: str) -> None:
    """The message has the JSON path, what is wrong there, and what may have been meant."""
    with pytest.raises(DefinitionError) as caught:
        read_graph({"name": "g", "steps": [{"id": "a", **step}]})

    assert caught.value.path == place
    assert problem in str(caught.value)


def test_a_workflow_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """A file is looked for beside the one that names it, and none may lead back to itself."""
    (tmp_path / "inner.yaml").write_text("name: inner\nsteps:\n  - {id: p, type: pass, output: '{{ input.n }}'}\n")
    outer = tmp_path / "outer.yaml"
    outer.write_text("name: outer\nsteps:\n  - {id: s, workflow: inner.yaml, inputs: {n: 5}}\n")

    assert Driven(load_graph(outer)).run().output == 5
    (tmp_path / "inner.yaml").write_text("name: inner\nsteps:\n  - {id: p, workflow: outer.yaml}\n")
    with pytest.raises(DefinitionError, match=r"outer\.yaml → inner\.yaml → outer\.yaml"):
        load_graph(outer)


def test_a_hundred_thousand_rounds_take_bounded_room() -> None:
    """A loop of many rounds keeps nothing of a round that is over but its count."""
    graph = Graph("g", max_visits=100_000).step("a", nothing).edge("a", "a").build()
    planner = GraphPlanner(graph)
    planner.begin({})
    sizes = set()
    for number in range(99_999):
        planner.settle(f"a#{number}", Outcome("completed", number))
        if number % 10_000 == 9_999:
            sizes.add((len(planner._open), len(planner._touched), len(planner._frame.last)))

    assert sizes == {(1, 0, 1)}


def test_the_end_of_one_of_ten_thousand_does_not_look_at_the_others() -> None:
    """What one more end costs, in calls of functions, is the same with a hundred branches and with ten thousand."""

    def cost(width: int) -> int:
        graph = Graph("g").step("go", nothing).step("j", nothing)
        for number in range(width):
            graph = graph.step(f"b{number}", nothing) if number < 5 else graph
        mapped_ = graph.parameter("ns").step("m", nothing, over="{{ parameters.ns }}").edge("go", "m").edge("m", "j")
        for number in range(min(width, 5)):
            mapped_ = mapped_.edge("go", f"b{number}").edge(f"b{number}", "j")
        run = GraphPlanner(mapped_.build())
        run.begin({"ns": list(range(width))})
        run.settle("go#0", Outcome("completed"))
        calls = 0

        def count(frame: Any, event: str, _: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            for number in range(50):
                run.settle(f"m.{number}/m#0", Outcome("completed", number))
        finally:
            sys.setprofile(None)
        return calls

    assert cost(10_000) == cost(100)
