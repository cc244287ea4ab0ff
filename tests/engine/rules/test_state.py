"""The fold: needs no user code, refuses nothing, and what came first counts."""

from __future__ import annotations

from functools import reduce
from typing import Any

import orjson
import pytest
from hypothesis import example
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.rules.calls import Failure, Outcome
from actum.engine.rules.folding import evolve, fold
from actum.engine.rules.state import Execution
from actum.engine.rules.views import approval_row, execution_row
from actum.events import CURRENT, Actor, NewEvent, to_text
from actum.testing.clock import NOON_US
from tests.engine.spec import BEGUN, Ev, ev, given, instant, recorded

UNDOABLE = ev("step.started", "a#0", compensation="undo")
COMPLETED = ev("step.completed", "a#0", outcome="success", payload=7)
ENDS = {"execution.completed": "completed", "execution.failed": "failed", "execution.cancelled": "cancelled"}

# -- any order of any events -----------------------------------------------------------------------------------------


def facts(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Facts that may leave out what the catalogue gives a default."""
    about = {"occurrence": st.integers(0, 1)}
    more = {"scope": st.just("g0.0"), "attempt": st.integers(1, 3), "final": st.booleans(), "tool": st.just("t")}
    return st.fixed_dictionaries(about | fields, optional=more)


INSTANTS = st.integers(0, 100).map(lambda s: to_text(NOON_US + s * 1_000_000))
STEPS = facts(
    step=st.sampled_from(["a", "b"]),
    error_type=st.just("ValueError"),
    compensation=st.just("undo"),
    not_before=INSTANTS,
    reason=st.just("person"),
    since=st.integers(0, 3),
    pivot=st.just(True),
    undo_group=st.just("both"),
)
LOOSE = facts(step=st.just("a"))
APPROVALS = st.fixed_dictionaries(
    {"approval": st.just("ok"), "occurrence": st.integers(0, 1)},
    optional={"severity": st.just("high"), "deadline": INSTANTS},
)
TIMERS = st.fixed_dictionaries({"timer": st.just("nap"), "occurrence": st.integers(0, 1), "due": INSTANTS})
REACHING = {
    "signal": st.fixed_dictionaries(
        {"signal": st.sampled_from(["s", "t"]), "occurrence": st.integers(0, 2)}, optional={"signal_id": st.just("1")}
    ),
    "child": st.fixed_dictionaries(
        {"child": st.just("c"), "occurrence": st.integers(0, 1), "execution": st.just("one.c-0")},
        optional={"on_parent_close": st.just("abandon"), "error_type": st.just("ValueError")},
    ).map(lambda facts: {**facts, "outcome": "failure"}),
    "race": st.fixed_dictionaries(
        {"race": st.just("race"), "occurrence": st.integers(0, 1), "winner": st.just("0")},
        optional={"losers": st.lists(st.sampled_from(["s#0", "s#1", "t#0", "nap#0", "ok#0", "x#0"]))},
    ),
    "patch": st.fixed_dictionaries({"patch": st.just("p"), "after": st.integers(0, 3)}),
}
EXECUTIONS = st.fixed_dictionaries(
    {"workflow": st.just("w"), "kind": st.just("function"), "worker": st.just("w-2")},
    optional={
        "error_type": st.just("ValueError"),
        "definition": st.just("sha256:00"),
        "by": st.just("system"),
        "compensate": st.booleans(),
        "reopened": st.just(True),
        "steps": st.just(["a#0", "c#0"]),
        "deadline": INSTANTS,
    },
)
NEEDS_TIME = ("step.retry_scheduled",)


def facts_of(type_: str) -> st.SearchStrategy[dict[str, Any]]:
    noun = type_.partition(".")[0]
    if noun in ("step", "compensation"):
        return STEPS if type_ in NEEDS_TIME else STEPS | LOOSE
    if noun == "transition":
        return st.just({"source": "a", "source_occurrence": 0, "target": "b"})
    if noun == "code":
        return st.just({"before": "sha256:00", "after": "sha256:11"})
    if noun == "input":
        return st.fixed_dictionaries({"input": st.just("more"), "occurrence": st.integers(0, 1)})
    if type_ == "execution.continued":
        return st.just({"next": "one~1"})
    return {**REACHING, "approval": APPROVALS, "timer": TIMERS}.get(noun, EXECUTIONS)


PAYLOADS = st.sampled_from([None, b"7", b"null", b'{"comment":"no"}', b'{"message":"boom"}', b"[]"])


@st.composite
def events(draw: st.DrawFn) -> NewEvent:
    type_ = draw(st.sampled_from(sorted(CURRENT)))
    payload = draw(PAYLOADS)
    return NewEvent(type_, draw(facts_of(type_)), draw(INSTANTS), Actor("worker", "w-1"), payload=payload)


@forall(st.lists(events(), max_size=25))
@example([ev("timer.fired", "nap#0").new()])
@example([ev("step.retry_scheduled", "a#0", not_before=instant(0)).new()])
@example([ev("step.in_doubt", "a#0", action="retry").new()])
def test_nothing_is_refused(log: list[NewEvent]) -> None:
    """What is recorded has happened: any events in any order fold, and the rows of the views can be made from them."""
    state = reduce(evolve, log, Execution("one"))

    assert state.version == len(log)
    execution_row(state)
    for approval in state.approvals.values():
        approval_row(state, approval)


@forall(st.lists(events(), max_size=25))
def test_the_first_end_counts(log: list[NewEvent]) -> None:
    """Once it has ended, no event of any kind changes how or when it ended, nor the row that says so."""
    state = Execution("one")
    end: tuple[Any, ...] | None = None
    row: dict[str, Any] = {}
    for event in log:
        evolve(state, event)
        if end is not None and event.type not in ("execution.started", "execution.claimed", "code.upgraded"):
            assert (state.status, state.ended_at, state.end_payload, state.error_type) == end
            assert execution_row(state) == row
        if state.ended:
            end = (state.status, state.ended_at, state.end_payload, state.error_type)
            row = execution_row(state)
        assert end is None or state.ended


def snapshot(state: Execution) -> dict[str, Any]:
    return {
        name: {key: getattr(value, "__dict__", repr(value)) for key, value in found.items()}
        if isinstance(found := getattr(state, name), dict)
        else found
        for name in Execution.__slots__
    }


@pytest.mark.parametrize(
    "type_", ["judgement.recorded", "message.sent", "tool.called", "from.the.future", "intervention.recorded"]
)
def test_an_unknown_event_changes_nothing_but_the_version(type_: str) -> None:
    """The fold reads past what it does not know, and counts it."""
    before = given(UNDOABLE, COMPLETED).state
    wanted = snapshot(before) | {"version": before.version + 1}

    evolve(before, ev(type_, step="a", occurrence=0).new())

    assert snapshot(before) == wanted


# -- what the fold says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("type_", "status"), ENDS.items())
def test_an_end_is_a_status(type_: str, status: str) -> None:
    """How it ended, when, and with which words."""
    state = given(ev(type_, at_s=9, payload={"output": 1})).state

    assert (state.status, state.ended_at, state.end_payload) == (status, instant(9), b'{"output":1}')
    assert state.ended


def test_a_completed_step_has_its_result() -> None:
    """The outcome is read from the recorded bytes, each time anew: nobody can change it for another."""
    state = given(UNDOABLE, ev("step.completed", "a#0", outcome="success", payload=[1])).state

    state.outcome("a#0").value.append(2)

    assert state.outcome("a#0") == Outcome("completed", [1], at_us=NOON_US)


def test_an_erased_result_reads_as_none() -> None:
    """Erasure leaves the record, and a result of nothing."""
    state = given(UNDOABLE, ev("step.completed", "a#0", outcome="success")).state

    assert state.outcome("a#0") == Outcome("completed", None, at_us=NOON_US)


def test_a_failed_step_has_its_error() -> None:
    """Type from the facts, text from the payload; a time-out is a `TimeoutError`."""
    said = {"message": "boom", "traceback": "tb"}
    state = given(ev("step.failed", "a#0", error_type="ValueError", final=True, payload=said)).state
    late = given(ev("step.timed_out", "a#0", timeout_us=1, final=True)).state

    assert state.outcome("a#0") == Outcome("failed", None, Failure("ValueError", "boom", "tb"), at_us=NOON_US)
    assert late.outcome("a#0") == Outcome("failed", None, Failure("TimeoutError", ""), at_us=NOON_US)


def test_outcomes_are_settled_in_the_order_of_the_log() -> None:
    """Steps, timers and approvals that have ended stand in one list, which is what a planner is told."""
    state = given(
        ev("step.started", "a#0"),
        ev("step.started", "b#0"),
        ev("timer.set", "nap#0", due=instant(1)),
        ev("approval.requested", "ok#0"),
        ev("step.completed", "b#0"),
        ev("timer.fired", "nap#0", late_us=0),
        ev("step.failed", "a#0", error_type="ValueError"),
        ev("approval.granted", "ok#0"),
        ev("step.failed", "a#0", error_type="ValueError", final=True),
    ).state

    assert state.settled == ["b#0", "nap#0", "ok#0", "a#0"]


def test_a_decision_without_a_question_settles_nothing() -> None:
    """There is nobody to tell."""
    assert given(ev("approval.granted", "ok#0"), ev("timer.fired", "nap#0", late_us=0)).state.settled == []


def test_the_first_decision_counts() -> None:
    """A later one, however it came into the log, changes nothing."""
    first = ev("approval.rejected", "ok#0", by=Actor("person", "p-1"), payload={"comment": "no"})
    second = ev("approval.granted", "ok#0", by=Actor("person", "p-2"))
    state = given(ev("approval.requested", "ok#0"), first, second).state

    assert state.outcome("ok#0") == Outcome("rejected", by="p-1", comment="no", at_us=NOON_US)
    assert state.settled == ["ok#0"]


def test_an_expiry_is_nobodys_decision() -> None:
    """The worker that recorded it did not say no: the deadline did."""
    state = given(ev("approval.requested", "ok#0"), ev("approval.expired", "ok#0", waited_us=1)).state

    assert state.outcome("ok#0") == Outcome("expired", by="the deadline", at_us=NOON_US)


def test_a_question_out_of_the_store_knows_its_digest() -> None:
    """What was shown is known by the payload digest in its header; without a payload nothing was shown."""
    state = given().state
    shown = recorded(ev("approval.requested", "ok#0", severity="high", payload={"title": "?"}), 1)
    evolve(state, shown)
    evolve(state, recorded(ev("approval.requested", "ok#1"), 2))

    assert state.approvals["ok#0"].shown == shown.head["payload"]["digest"]
    assert state.approvals["ok#0"].version == 1
    assert state.approvals["ok#1"].shown is None
    assert state.approvals["ok#1"].severity == "medium"


def test_active_time_is_what_was_worked_side_by_side_or_not() -> None:
    """Seconds in which at least one attempt or compensation ran, each once."""
    state = given(
        ev("step.started", "a#0", at_s=10, compensation="undo"),
        ev("step.started", "b#0", at_s=12),
        ev("step.completed", "a#0", at_s=13),
        ev("step.failed", "b#0", at_s=15, error_type="ValueError", final=True),
        ev("compensation.started", "a#0", at_s=20, compensation="undo"),
        ev("compensation.completed", "a#0", at_s=21, compensation="undo"),
    ).state

    assert state.active_us == 6_000_000


def test_compensated_steps_leave_the_stack_from_the_end() -> None:
    """What is still to be undone is what completed before."""
    steps = [ev("step.started", f"{n}#0", compensation="undo") for n in "abc"]
    done = [ev("step.completed", f"{n}#0") for n in "cab"]
    started, undone = (ev(f"compensation.{what}", "b#0", compensation="undo") for what in ("started", "completed"))

    assert given(*steps, *done, started, undone).state.undo_stack == ["c#0", "a#0"]


def test_pausing_and_resuming_come_back_to_what_was() -> None:
    """An execution paused while it is being undone goes on being undone."""
    paused = given(ev("execution.paused")).state
    resumed = given(ev("execution.paused"), ev("execution.resumed")).state
    undoing = [UNDOABLE, COMPLETED, ev("compensation.started", "a#0", compensation="undo"), ev("execution.paused")]

    assert (paused.status, resumed.status) == ("paused", "running")
    assert given(*undoing, ev("execution.resumed")).state.status == "compensating"


def test_nothing_is_due_while_it_rests() -> None:
    """A paused or parked execution is woken by nobody's clock."""
    waiting = ev("timer.set", "nap#0", due=instant(5))

    assert execution_row(given(waiting).state)["wake_us"] == NOON_US + 5_000_000
    for rest in (ev("execution.paused"), ev("execution.parked", reason="in_doubt")):
        assert execution_row(given(waiting, rest).state)["wake_us"] is None


def test_a_claim_ends_the_rest_of_a_parked_execution() -> None:
    """A person looked and somebody took it on: it runs again."""
    state = given(
        ev("execution.parked", reason="in_doubt"), ev("execution.claimed", worker="w-2", reason="resume")
    ).state

    assert (state.status, state.owner) == ("running", "w-2")


def test_a_fold_of_a_stream_is_the_fold_of_its_events() -> None:
    """`fold` is nothing but `evolve` from the beginning."""
    log: list[Ev] = [BEGUN, UNDOABLE, COMPLETED]

    state = fold("one", [recorded(event, version) for version, event in enumerate(log)])

    assert snapshot(state) == snapshot(given(UNDOABLE, COMPLETED).state)
    assert orjson.loads(state.steps["a#0"].payload or b"") == 7
