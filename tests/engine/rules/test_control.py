"""The rules of pausing, cancelling, trying again, skipping and undoing, one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.rules.calls import Done, Failure, Give, Undo
from actum.engine.rules.commands import (
    Cancel,
    Claim,
    Command,
    Pause,
    Proceed,
    RecordCancelled,
    RecordFailure,
    RecordSuccess,
    RecordUndo,
    RetryByHand,
    RunAgain,
    SkipByHand,
    Tick,
    Unpause,
)
from actum.engine.rules.control import last_failed
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.retry import ONCE, Retry
from actum.engine.rules.views import execution_row
from actum.errors import ControlRefused
from actum.events import Actor
from actum.events.catalog import validate_facts
from tests.engine.spec import BEGUN, BOOM, Ev, Given, ask, at, call, ev, given, instant, recorded, sleep

ANN = Actor("person", "ann")


def of_end(type_: str, by: str, at_s: float | None = None, **facts: Any) -> Ev:
    return Ev(type_, {"by": by, **facts}, at_s)


CANCELLED = Give(Failure("CancelledError", ""))
ASKED = of_end("execution.cancel_requested", by="user", compensate=True, at_s=5)


def started(key: str, **more: Any) -> Ev:
    return ev("step.started", key, at_s=1, **more)


def done(key: str) -> Ev:
    return ev("step.completed", key, at_s=2, payload=7)


def undoable(*keys: str, **more: Any) -> list[Ev]:
    """These steps have completed, in this order."""
    return [event for key in keys for event in (started(key, compensation="undo", **more), done(key))]


def proceed(*wishes: Any, at_s: float = 6) -> Proceed:
    return Proceed(at(at_s), wishes)


FAILED = ev("step.failed", "b#0", at_s=3, outcome="failure", error_type="ValueError", final=True)
END = ev("execution.failed", at_s=4, outcome="failure", error_type="ValueError")


# -- pausing -----------------------------------------------------------------------------------------------------------


def test_nothing_starts_while_it_is_paused() -> None:
    """Neither what the workflow wants, nor what is due, nor a new worker sets anything going."""
    timer = ev("timer.set", "nap#0", due=instant(1))
    paused = given(started("a#0"), timer, ev("execution.paused"))

    paused.when(proceed(call("b#0"))).nothing()
    paused.when(Tick(at(9))).nothing()
    paused.when(Claim(at(9), "w-2", {})).nothing()
    paused.when(RecordSuccess(at(2), "a#0", 1, b"7", 5)).then(
        ev("step.completed", "a#0", outcome="success", duration_us=5)
    )


@pytest.mark.parametrize(
    ("past", "why"),
    [
        ([ev("execution.paused")], "paused already"),
        ([ev("execution.parked", reason="in_doubt")], "parked"),
        ([ASKED], "being cancelled"),
        ([END], "it has failed"),
    ],
)
def test_what_rests_or_ends_is_not_paused(past: list[Ev], why: str) -> None:
    """Whoever asks hears why."""
    given(*past).when(Pause(at(6)), ANN).refused(ControlRefused, why)


# -- cancelling --------------------------------------------------------------------------------------------------------


def test_a_cancel_ends_what_waits_and_is_heard_in_its_place() -> None:
    """Another attempt and a question end with the request; what runs is told; the workflow hears it in order."""
    waits = [started("b#0"), ev("step.failed", "b#0", outcome="failure", error_type="E", final=False)]
    again = ev("step.retry_scheduled", "b#0", attempt=2, delay_us=1, not_before=instant(99))
    asked = ev("approval.requested", "ok#0", severity="high", at_s=2)
    before = given(*undoable("a#0"), started("c#0"), *waits, again, asked, ev("timer.set", "nap#0", due=instant(9)))

    after = before.when(Cancel(at(5)), ANN).then(
        of_end("execution.cancel_requested", by="user", compensate=True),
        ev("step.cancelled", "b#0", reason="cancel"),
        ev("approval.withdrawn", "ok#0", waited_us=3_000_000),
    )

    state = after.state
    assert state.settled == ["a#0", f"!{before.state.version}"]
    assert (state.heard[state.settled[1]].kind, state.active["c#0"].cancelling) == ("cancel", True)
    assert (state.waiting, execution_row(state)["wake_us"]) == ({}, None)
    after.when(Tick(at(99))).nothing()


def test_an_attempt_that_was_told_to_stop_is_never_tried_again() -> None:
    """Whether it stopped, failed, or completed all the same: recorded as such, and no attempt follows."""
    running = given(started("a#0"), ASKED)
    again = Retry(attempts=9)

    running.when(RecordCancelled(at(6), "a#0", 1)).then(ev("step.cancelled", "a#0", reason="cancel"))
    running.when(RecordFailure(at(6), "a#0", 1, BOOM, 5, again, 0.0)).then(
        ev("step.cancelled", "a#0", reason="cancel", duration_us=5, error_type="ValueError")
    )
    running.when(RecordSuccess(at(6), "a#0", 1, b"7", 5)).then(
        ev("step.completed", "a#0", outcome="success", duration_us=5)
    )
    given(started("a#0")).when(RecordCancelled(at(6), "a#0", 2)).nothing()


def test_a_new_worker_gives_up_what_was_to_stop() -> None:
    """Unless the step says how its doubt is settled: then it is."""
    left = given(started("a#0"), started("b#0"), ASKED)
    claimed = ev("execution.claimed", worker="w-2", reason="takeover")

    verified = left.when(Claim(at(9), "w-2", {"b#0": "verify"})).then(
        claimed, ev("step.cancelled", "a#0", reason="cancel"), ev("step.in_doubt", "b#0", action="verify")
    )
    verified.when(RunAgain(at(9), "b#0")).then(ev("step.cancelled", "b#0", reason="cancel"))


def test_nothing_ends_while_something_runs_and_all_is_undone_first() -> None:
    """The end of a cancel is that of a failure, but for its name; also when the workflow returned."""
    took = {"duration_us": 6_000_000, "active_us": 2_000_000}
    given(*undoable("a#0"), started("b#0"), ASKED).when(proceed(CANCELLED)).nothing()
    cancelled = given(*undoable("a#0"), ASKED)

    for end in (CANCELLED, Done("well")):
        cancelled.when(proceed(end)).then(ev("compensation.started", "a#0", compensation="undo"))
    given(ASKED).when(proceed(Done("well"))).then(
        of_end("execution.cancelled", by="user", outcome="cancelled", **{**took, "active_us": 0})
    )
    keeps = given(*undoable("a#0"), of_end("execution.cancel_requested", by="user", compensate=False))
    ((end_event,)) = decide(keeps.state, proceed(CANCELLED), ANN)
    assert end_event.facts["uncompensated"] == ["a#0"]


def test_force_ends_it_at_once() -> None:
    """Also when a cancel is under way; everything that ran is given up, and what stays is named."""
    before = given(*undoable("a#0"), started("b#0"), ASKED)
    before.when(Cancel(at(6)), ANN).refused(ControlRefused, "--force")

    after = before.when(Cancel(at(6), force=True), ANN).then(
        of_end("execution.cancel_requested", by="user", compensate=False, force=True),
        ev("step.cancelled", "b#0", reason="cancel"),
        of_end(
            "execution.cancelled",
            outcome="cancelled",
            by="user",
            duration_us=6_000_000,
            active_us=before.state.active_us,
            uncompensated=["a#0"],
        ),
    )
    after.when(Cancel(at(7), force=True), ANN).refused(ControlRefused, "has been cancelled")


def test_a_deadline_cancels_once_and_not_while_it_is_being_undone() -> None:
    """It is due like a timer, ends as a failure by time-out, and leaves what is on its way to the end alone."""
    begun = Ev(BEGUN.type, BEGUN.facts | {"deadline": instant(10)}, 0)
    request = of_end("execution.cancel_requested", by="system", compensate=True, cause="deadline")

    assert execution_row(Given(begun).state)["wake_us"] == at(10)
    Given(begun).when(Tick(at(9))).nothing()
    due = Given(begun).when(Tick(at(10))).then(request)
    due.when(Tick(at(11))).nothing()
    due.when(proceed(CANCELLED, at_s=11)).then(
        ev("execution.failed", outcome="timeout", error_type="DeadlinePassed", duration_us=11_000_000, active_us=0)
    )
    undoing = Given(begun, *undoable("a#0"), ev("compensation.started", "a#0", compensation="undo"))
    undoing.when(Tick(at(11))).nothing()


# -- trying again, and going on without --------------------------------------------------------------------------------


def test_a_failure_is_taken_back_with_its_end() -> None:
    """The step is due at once, as if it had never failed; what had completed stays; whoever had it has let go."""
    past = [started("a#0"), done("a#0"), started("b#0"), FAILED, END]
    failed = last_failed(recorded(event) for event in past)
    assert failed == ["b#0"]

    reopened = (
        given(*past)
        .when(RetryByHand(at(9), failed, "it is back"), ANN)
        .then(
            ev("intervention.recorded", kind="manual_retry", step="b"),
            ev("execution.resumed", steps=["b#0"], reopened=True),
        )
    )

    state = reopened.state
    assert (state.status, state.settled, state.owner) == ("running", ["a#0"], "")
    assert execution_row(state)["wake_us"] == 0
    reopened.when(Tick(at(9))).then(ev("step.started", "b#0", attempt=2))


@pytest.mark.parametrize(
    ("past", "why"),
    [
        ([*undoable("a#0"), started("b#0"), FAILED], "has not failed"),
        ([started("b#0"), FAILED, started("c#0"), done("c#0"), END], "had gone on"),
        ([started("b#0"), FAILED, ev("timer.set", "nap#0", due=instant(9)), END], "had gone on"),
        ([END], "because of a step"),
        (
            [
                *undoable("a#0"),
                started("b#0"),
                FAILED,
                ev("compensation.started", "a#0", compensation="undo"),
                ev("compensation.completed", "a#0", compensation="undo"),
                END,
            ],
            "was undone",
        ),
        ([started("b#0"), FAILED, ASKED, END], "deadline"),
    ],
)
def test_what_something_followed_from_is_not_taken_back(past: list[Ev], why: str) -> None:
    """Going on from there would contradict what is recorded."""
    failed = last_failed(recorded(event) for event in past)
    given(*past).when(RetryByHand(at(9), failed), ANN).refused(ControlRefused, why)


def test_a_step_that_never_began_is_not_tried_again() -> None:
    given(started("b#0"), FAILED, END).when(RetryByHand(at(9), ["a#0"]), ANN).refused(ControlRefused, "no step 'a#0'")


def test_an_outcome_that_is_told_in_its_place_is_a_persons_too() -> None:
    """A skipped step has the result that a person gave, and is told like any other."""
    waits = [started("b#0"), ev("step.failed", "b#0", outcome="failure", error_type="E", final=False)]
    skipped = (
        given(*waits)
        .when(SkipByHand(at(9), "b#0", [], "seen", b"7"), ANN)
        .then(
            ev("intervention.recorded", kind="skip", step="b"),
            ev("step.skipped", "b#0", reason="person", payload=7),
        )
    )

    assert skipped.state.settled == ["b#0"]
    assert (skipped.state.outcome("b#0").kind, skipped.state.outcome("b#0").value) == ("completed", 7)
    skipped.when(SkipByHand(at(9), "b#0", [], "seen", b"8"), ANN).refused(ControlRefused, "is skipped")
    given(started("b#0")).when(SkipByHand(at(9), "b#0", [], "", b"8"), ANN).refused(ControlRefused, "is running")
    given(started("b#0")).when(SkipByHand(at(9), "c#0", [], "", b"8"), ANN).refused(ControlRefused, "no step")


# -- undoing -----------------------------------------------------------------------------------------------------------


def test_neighbours_of_a_group_are_undone_together_and_the_next_waits_for_all() -> None:
    """Among those that are left, from the end."""
    grouped = given(*undoable("a#0"), *undoable("b#0", "c#0", undo_group="g"))
    starts = [ev("compensation.started", key, compensation="undo") for key in ("c#0", "b#0")]

    both = grouped.when(proceed(Give(BOOM))).then(*starts)
    one = both.when(RecordUndo(at(7), "b#0", 1, 5)).then(
        ev("compensation.completed", "b#0", compensation="undo", outcome="success", duration_us=5)
    )
    one.when(proceed(Give(BOOM))).nothing()
    assert one.state.undoing == ["c#0"]


def test_a_pivot_keeps_what_completed_before_it() -> None:
    """And what completes later can still be undone."""
    state = given(*undoable("a#0"), started("p#0", pivot=True), done("p#0"), *undoable("b#0")).state

    assert state.undo_stack == ["b#0"]


def test_a_request_undoes_what_completed_since_and_is_then_an_outcome() -> None:
    """Recorded once, however often it is wanted; the workflow goes on with the outcome."""
    wish = Undo(1, 0)
    asked = (
        given(*undoable("a#0", "b#0"))
        .when(proceed(wish))
        .then(ev("compensation.requested", compensation="compensate", occurrence=0, since=1))
    )
    undoing = asked.when(proceed(wish)).then(ev("compensation.started", "b#0", compensation="undo"))
    undoing.when(proceed(wish)).nothing()
    assert undoing.state.status == "running"
    undone = undoing.when(RecordUndo(at(7), "b#0", 1, 5)).then(
        ev("compensation.completed", "b#0", compensation="undo", outcome="success", duration_us=5)
    )
    ended = undone.when(proceed()).then(ev("compensation.ended", compensation="compensate", occurrence=0))

    assert ended.state.settled[-1] == "compensate#0"
    assert ended.state.undo_stack == ["a#0"]


# -- whatever is asked -------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a#0", "b#0"])
USED = st.sampled_from([None, {"input_tokens": 3, "used": [{"input_tokens": 3}]}])
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(Pause, st.just(at(5))),
    st.builds(Unpause, st.just(at(5))),
    st.builds(Cancel, st.just(at(5)), st.booleans(), st.booleans()),
    st.builds(RetryByHand, st.just(at(5)), st.lists(KEYS, max_size=1)),
    st.builds(SkipByHand, st.just(at(5)), KEYS, st.just([]), st.just("why"), st.just(b"7")),
    st.builds(RecordSuccess, st.just(at(5)), KEYS, st.integers(1, 2), st.just(b"7"), st.just(1), USED),
    st.builds(
        RecordFailure, st.just(at(5)), KEYS, st.integers(1, 2), st.just(BOOM), st.just(1), st.just(ONCE), st.just(0.0)
    ),
    st.builds(RecordCancelled, st.just(at(5)), KEYS, st.integers(1, 2), USED),
    st.builds(RecordUndo, st.just(at(5)), KEYS, st.integers(1, 2), st.just(1)),
    st.builds(Tick, st.sampled_from([at(5), at(100)])),
    st.builds(Claim, st.just(at(5)), st.just("w-2"), st.just({"b#0": "park"})),
    st.sampled_from(
        [
            proceed(call("a#0", undo=True)),
            proceed(call("b#0")),
            proceed(sleep(50), ask()),
            proceed(Undo(0, 0)),
            proceed(CANCELLED),
            proceed(Done(1)),
        ]
    ),
)


@forall(st.lists(COMMANDS, max_size=30))
def test_whatever_is_asked_in_whatever_order_the_log_stays_lawful(asked: list[Command]) -> None:
    """Facts fit the catalogue; nothing starts in a pause or after a cancel was forced; one end at a time."""
    state = Given(BEGUN).state
    for command in asked:
        rests, over = state.paused or state.status == "parked", state.ended
        try:
            events = decide(state, command, ANN)
        except ControlRefused:
            continue
        types = [event.type for event in events]
        if rests and not isinstance(command, (Claim, Unpause, Cancel, RetryByHand, SkipByHand)):
            assert not {"step.started", "compensation.started", "timer.fired"} & set(types)
        if over and types:
            assert "execution.resumed" in types
        for event in events:
            validate_facts(event.type, event.facts)
            evolve(state, event)
        assert len([type_ for type_ in types if type_ in ("execution.cancelled", "execution.failed")]) <= 1
        assert set(state.undoing) <= set(state.undo_stack)
        assert len(set(state.settled)) == len(state.settled)
        if state.cancel_requested:
            assert state.status not in ("completed", "paused")
