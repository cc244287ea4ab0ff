"""The rules of how an execution ends and what is undone then, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from actum.engine.rules.calls import Done, Give, Skip, Take
from actum.engine.rules.commands import RecordUndo, RecordUndoFailure, Tick
from actum.engine.rules.decider import decide
from actum.engine.rules.retry import ONCE, Retry
from actum.events import PAYLOAD_LIMIT_BYTES
from tests.engine.rules.deciding import AGAIN, COMPLETED, STARTED, UNDOABLE, failed, proceed, success
from tests.engine.spec import BOOM, WORKER, Ev, ask, at, call, ev, given, instant, sleep

GIVE = Give(BOOM)


def ended_badly(error: str = "ValueError", duration_us: int = 1_000_000, active_us: int = 0, **more: Any) -> Ev:
    facts = {"outcome": "failure", "error_type": error, "duration_us": duration_us, "active_us": active_us, **more}
    return ev("execution.failed", **facts)


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_workflow_that_returns_completes_the_execution() -> None:
    """The output is payload; start to end and the time in which something ran are facts."""
    given(STARTED, COMPLETED).when(proceed(Done({"n": 1}), at_s=3)).then(
        ev(
            "execution.completed",
            outcome="success",
            duration_us=3_000_000,
            active_us=1_000_000,
            payload={"output": {"n": 1}},
        )
    )


def test_the_clock_may_be_set_back() -> None:
    """An end before the start, by a clock that was set back, counts as no time at all."""
    given().when(proceed(Done(None), at_s=-5)).then(
        ev("execution.completed", outcome="success", duration_us=0, active_us=0)
    )


@pytest.mark.parametrize("end", [Done(1), GIVE], ids=["done", "failed"])
def test_nothing_ends_while_an_attempt_runs(end: Done | Give) -> None:
    """An attempt that is under way, or in doubt, is waited for: what it does may need undoing."""
    given(STARTED).when(proceed(end)).nothing()
    given(STARTED, ev("step.in_doubt", "a#0", action="verify")).when(proceed(end)).nothing()


def test_a_step_in_back_off_does_not_hold_up_the_end() -> None:
    """A failed workflow does not wait for attempts that have not begun; they are given up."""
    past = [STARTED, failed(final=False)]
    past += [ev("step.retry_scheduled", "a#0", attempt=2, delay_us=0, not_before=instant(99))]
    after = given(*past).when(proceed(GIVE)).then(ended_badly())

    after.when(Tick(at(100))).nothing()


def test_a_step_in_back_off_does_not_come_back_during_compensation() -> None:
    """Once undoing has begun, nothing new is done that would then stay undone."""
    past = [ev("step.started", "b#0"), failed("b#0", final=False)]
    past += [ev("step.retry_scheduled", "b#0", attempt=2, delay_us=0, not_before=instant(3))]
    after = (
        given(UNDOABLE, COMPLETED, *past)
        .when(proceed(GIVE))
        .then(ev("compensation.started", "a#0", compensation="undo"))
    )

    after.when(Tick(at(4))).nothing()


@pytest.mark.parametrize("end", [Done(1), GIVE], ids=["done", "failed"])
def test_nothing_begins_in_the_breath_that_ends(end: Done | Give) -> None:
    """What another branch wanted when the workflow ended is not begun: it would only be waited for, then undone."""
    decided = decide(given().state, proceed(call("b#0"), ask(), sleep(1), end), WORKER)

    assert [e.type for e in decided] == ["execution.completed" if isinstance(end, Done) else "execution.failed"]


def test_transitions_into_the_end_are_still_recorded() -> None:
    """How a graph came to its end is part of the record; the end follows on the next turn."""
    given().when(proceed(Take("a", 0, "b"), Skip("c", 0), Done(1))).then(
        ev("transition.taken", source="a", source_occurrence=0, target="b"),
        Ev("step.skipped", {"step": "c", "occurrence": 0, "reason": "not_taken"}),
    )


def test_transitions_and_skips_are_recorded_once() -> None:
    """Wanting again what is recorded causes nothing."""
    past = [
        ev("transition.taken", source="a", source_occurrence=0, target="b", condition="a.x gt 1"),
        Ev("step.skipped", {"step": "c", "occurrence": 0, "reason": "not_taken"}),
    ]
    given(*past).when(proceed(Take("a", 0, "b", "a.x gt 1", 3), Skip("c", 0))).nothing()


def test_a_condition_is_recorded_with_what_it_saw() -> None:
    """The value is payload; one too large to record is left out, and that is said."""
    taken = ev("transition.taken", source="a", source_occurrence=0, target="b", condition="a.x gt 1")
    given().when(proceed(Take("a", 0, "b", "a.x gt 1", 3))).then(taken._replace(payload={"value": 3}))

    (event,) = decide(given().state, proceed(Take("a", 0, "b", "a.x gt 1", "x" * PAYLOAD_LIMIT_BYTES)), WORKER)

    assert event.payload is not None
    assert b"left_out" in event.payload


@pytest.mark.parametrize("output", [object(), "x" * PAYLOAD_LIMIT_BYTES], ids=["no JSON", "too large"])
def test_an_output_that_cannot_be_recorded_fails_the_execution(output: Any) -> None:
    """It has not done what it was for, so it fails like any other, and is undone."""
    given().when(proceed(Done(output))).then(ended_badly("UnrecordableOutput"))
    given(UNDOABLE, COMPLETED).when(proceed(Done(output))).then(ev("compensation.started", "a#0", compensation="undo"))


def test_an_output_may_be_a_dataclass() -> None:
    """Outputs are encoded like the results of steps."""

    @dataclass
    class Receipt:
        number: int

    (event,) = decide(given().state, proceed(Done(Receipt(7))), WORKER)

    assert event.payload == b'{"output":{"number":7}}'


def test_a_workflow_that_fails_with_nothing_to_undo_ends() -> None:
    """The error's type is a fact, what it said is payload."""
    given().when(proceed(GIVE)).then(
        ended_badly()._replace(payload={"error": {"type": "ValueError", "message": "boom", "traceback": ""}})
    )


# -- compensation ----------------------------------------------------------------------------------------------------


BOTH = [
    ev("step.started", "a#0", compensation="undo"),
    ev("step.started", "b#0", compensation="undo"),
    ev("step.completed", "b#0", outcome="success", payload=2),
    ev("step.completed", "a#0", outcome="success", payload=1),
]


def undoing(key: str, attempt: int = 1) -> Ev:
    return ev("compensation.started", key, compensation="undo", attempt=attempt)


def undone(key: str, attempt: int = 1) -> Ev:
    return ev("compensation.completed", key, compensation="undo", attempt=attempt, outcome="success", duration_us=5)


def not_undone(key: str, *, final: bool, attempt: int = 1, **more: Any) -> Ev:
    facts = {"attempt": attempt, "outcome": "failure", "error_type": "ValueError", "duration_us": 5, "final": final}
    return ev("compensation.failed", key, compensation="undo", **facts, **more)


def undo_failure(key: str, retry: Retry = ONCE, attempt: int = 1) -> RecordUndoFailure:
    return RecordUndoFailure(at(3), key, attempt, BOOM, 5, retry, 0.0)


def test_completed_steps_are_undone_in_reverse_order_of_completion() -> None:
    """The step that completed last is undone first, one at a time, and the end comes after all of them."""
    after = given(*BOTH).when(proceed(GIVE)).then(undoing("a#0"))
    after.when(proceed(GIVE)).nothing()
    after = after.when(RecordUndo(at(3), "a#0", 1, 5)).then(undone("a#0"))
    after = after.when(proceed(GIVE, at_s=3)).then(undoing("b#0"))
    after = after.when(RecordUndo(at(4), "b#0", 1, 5)).then(undone("b#0"))
    after = after.when(proceed(GIVE, at_s=5)).then(ended_badly(duration_us=5_000_000, active_us=3_000_000))

    assert after.state.status == "failed"


def test_a_compensation_that_fails_is_tried_again() -> None:
    """With attempts left, the next one is due after the delay, and nothing else is undone meanwhile."""
    after = (
        given(*BOTH, undoing("a#0"))
        .when(undo_failure("a#0", AGAIN))
        .then(not_undone("a#0", final=False, not_before=instant(5)))
    )
    after.when(proceed(GIVE)).nothing()
    after.when(Tick(at(5) - 1)).nothing()
    after.when(Tick(at(5))).then(undoing("a#0", attempt=2))


def test_attempts_cut_off_by_a_crash_do_not_use_up_a_compensation() -> None:
    """Only failures count: a compensation that crashed its worker three times still has all its tries."""
    past = [undoing("a#0", attempt) for attempt in (1, 2, 3)]
    given(*BOTH, *past).when(undo_failure("a#0", AGAIN, attempt=3)).then(
        not_undone("a#0", final=False, attempt=3, not_before=instant(5))
    )


def test_a_compensation_that_cannot_be_done_is_named_and_the_others_still_are() -> None:
    """It is never hidden: the end names what is left, and every other step is undone all the same."""
    after = given(*BOTH, undoing("a#0")).when(undo_failure("a#0")).then(not_undone("a#0", final=True))
    after = after.when(proceed(GIVE, at_s=3)).then(undoing("b#0"))
    after = after.when(RecordUndo(at(4), "b#0", 1, 5)).then(undone("b#0"))
    after.when(proceed(GIVE, at_s=5)).then(
        ended_badly(duration_us=5_000_000, active_us=4_000_000, uncompensated=["a#0"])
    )


def test_late_answers_of_a_compensation_cause_nothing() -> None:
    """An older attempt, one that has ended, or one after the end cannot answer any more."""
    for past in ([], [undoing("a#0"), undone("a#0")], [undoing("a#0"), undoing("a#0", 2)]):
        given(*BOTH, *past).when(RecordUndo(at(4), "a#0", 1, 5)).nothing()
        given(*BOTH, *past).when(undo_failure("a#0", AGAIN)).nothing()
    given(*BOTH, undoing("a#0"), ended_badly()).when(RecordUndo(at(4), "a#0", 1, 5)).nothing()
    given().when(RecordUndo(at(4), "unknown#0", 1, 5)).nothing()


def test_what_completes_while_the_workflow_fails_is_undone_too() -> None:
    """A step still running when its workflow failed is waited for, and then is the first to be undone."""
    past = [*BOTH, ev("step.started", "c#0", compensation="undo")]
    after = given(*past)
    after.when(proceed(GIVE)).nothing()
    after = after.when(success("c#0")).then(ev("step.completed", "c#0", outcome="success", duration_us=5))
    after.when(proceed(GIVE)).then(undoing("c#0"))
