"""Every rule of an execution, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.rules.calls import Done, Failure, Give, Skip, Take
from actum.engine.rules.commands import (
    Begin,
    Claim,
    DecideApproval,
    Park,
    Proceed,
    RecordFailure,
    RecordSuccess,
    RecordUndo,
    RecordUndoFailure,
    RunAgain,
    Tick,
    UpgradeCode,
)
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.retry import ONCE, Retry
from actum.errors import NotWaiting
from actum.events import PAYLOAD_LIMIT_BYTES, Actor
from tests.engine.spec import BEGUN, BOOM, DIGEST, WORKER, Ev, Given, ask, at, call, ev, given, instant, recorded, sleep

STARTED = ev("step.started", "a#0", at_s=1)
COMPLETED = ev("step.completed", "a#0", outcome="success", duration_us=5, at_s=2, payload=7)
UNDOABLE = ev("step.started", "a#0", compensation="undo")
OTHER = "sha256:" + "1" * 64
GIVE = Give(BOOM)
AGAIN = Retry(attempts=3, first_delay_s=2, factor=3)


def proceed(*wishes: Any, at_s: float = 1) -> Proceed:
    return Proceed(at(at_s), wishes)


def success(key: str = "a#0", attempt: int = 1, at_s: float = 2) -> RecordSuccess:
    return RecordSuccess(at(at_s), key, attempt, b"7", 5)


def failure(
    retry: Retry = ONCE, *, attempt: int = 1, chance: float = 0.0, timeout_us: int | None = None, error: Failure = BOOM
) -> RecordFailure:
    return RecordFailure(at(2), "a#0", attempt, error, 5, retry, chance, timeout_us)


def failed(key: str = "a#0", *, final: bool, attempt: int = 1, error: str = "ValueError", **more: Any) -> Ev:
    facts = {"attempt": attempt, "outcome": "failure", "error_type": error, "final": final, "duration_us": 5, **more}
    return ev("step.failed", key, **facts)


def ended_badly(error: str = "ValueError", duration_us: int = 1_000_000, active_us: int = 0, **more: Any) -> Ev:
    facts = {"outcome": "failure", "error_type": error, "duration_us": duration_us, "active_us": active_us, **more}
    return ev("execution.failed", **facts)


# -- the beginning ---------------------------------------------------------------------------------------------------


def test_an_execution_begins() -> None:
    """The start names the workflow and the digest of its code, and keeps the input."""
    Given().when(Begin(at(0), "w", "function", DIGEST, b'{"input":1}')).then(BEGUN._replace(payload={"input": 1}))


def test_an_execution_begins_once() -> None:
    """A second beginning of the same execution causes nothing."""
    given().when(Begin(at(5), "w", "function", DIGEST, None)).nothing()


# -- starting steps --------------------------------------------------------------------------------------------------


def test_a_wanted_step_is_started_with_its_arguments() -> None:
    """What a step is given stands in the payload of its start, never in the facts."""
    given().when(proceed(call("a#0", 1, b=2))).then(
        ev("step.started", "a#0", at_s=1, payload={"args": [1], "kwargs": {"b": 2}})
    )


def test_a_step_without_arguments_has_no_payload() -> None:
    """Nothing given is recorded as nothing, which keeps the log small."""
    (decided,) = decide(given().state, proceed(call("a#0")), WORKER)

    assert decided.payload is None


def test_scope_tool_and_compensation_are_facts_of_the_start() -> None:
    """The fold knows the branch, the tool and the compensation without the user's code."""
    given().when(proceed(call("g0.1/a#2", undo=True, tool="search"))).then(
        ev("step.started", "g0.1/a#2", tool="search", compensation="undo")
    )


def test_a_step_that_is_recorded_is_not_started_again() -> None:
    """Wanting a step that was started, or has completed, causes nothing: that is what makes replay safe."""
    given(STARTED).when(proceed(call("a#0"))).nothing()
    given(STARTED, COMPLETED).when(proceed(call("a#0"))).nothing()


def test_steps_wanted_together_start_together() -> None:
    """All that may run side by side is started in one batch, in the order wanted."""
    given().when(proceed(call("a#0"), call("b#0"))).then(ev("step.started", "a#0"), ev("step.started", "b#0"))


@pytest.mark.parametrize("argument", [object(), {1: 2}, "\ud800", 2**70], ids=["object", "key", "surrogate", "big"])
def test_an_input_that_cannot_be_recorded_fails_the_step_unrun(argument: Any) -> None:
    """A step that cannot be recorded before it runs does not run: it fails at once, and finally."""
    decided = decide(given().state, proceed(call("a#0", argument)), WORKER)

    assert [(e.type, e.facts.get("error_type"), e.facts.get("final")) for e in decided] == [
        ("step.started", None, None),
        ("step.failed", "UnrecordableInput", True),
    ]


@pytest.mark.parametrize(("over", "ends"), [(0, ["step.started"]), (1, ["step.started", "step.failed"])])
def test_an_input_may_be_as_large_as_a_payload(over: int, ends: list[str]) -> None:
    """Arguments of exactly the limit are recorded; one byte more fails the step."""
    wrapping = len('{"args":[""]}')

    decided = decide(given().state, proceed(call("a#0", "x" * (PAYLOAD_LIMIT_BYTES - wrapping + over))), WORKER)

    assert [event.type for event in decided] == ends


@pytest.mark.parametrize(
    "past",
    [
        [ev("execution.paused")],
        [STARTED, ev("execution.parked", reason="in_doubt")],
        [ev("execution.completed", outcome="success")],
        [ev("execution.cancelled", outcome="cancelled", by="user")],
    ],
    ids=["paused", "parked", "completed", "cancelled"],
)
def test_nothing_starts_in_an_execution_at_rest(past: list[Ev]) -> None:
    """Paused, parked or ended: nothing begins, and it does not end either."""
    given(*past).when(proceed(call("b#0"), ask(), sleep(5))).nothing()
    given(*past).when(proceed(Done(1))).nothing()
    given(*past).when(Tick(at(99))).nothing()


# -- the ends of attempts --------------------------------------------------------------------------------------------


def test_a_success_completes_the_step() -> None:
    """The result is the payload of the completion, with how long it took."""
    given(STARTED).when(success()).then(COMPLETED)


@pytest.mark.parametrize(
    ("past", "attempt"),
    [
        ([], 1),
        ([STARTED, COMPLETED], 1),
        ([STARTED, failed(final=True)], 1),
        ([STARTED, failed(final=False)], 1),
        ([STARTED, ev("step.in_doubt", "a#0", action="retry"), ev("step.started", "a#0", attempt=2)], 1),
        ([STARTED], 2),
        ([STARTED, ev("execution.cancelled", outcome="cancelled", by="user")], 1),
    ],
    ids=["never started", "completed", "failed", "in back-off", "an older attempt", "a newer attempt", "after the end"],
)
def test_late_answers_cause_nothing(past: list[Ev], attempt: int) -> None:
    """Only the attempt whose answer is awaited can answer: a step never ends twice."""
    given(*past).when(success(attempt=attempt)).nothing()
    given(*past).when(failure(AGAIN, attempt=attempt)).nothing()


def test_a_failure_without_attempts_left_is_final() -> None:
    """The error's type is a fact; what it said is payload, because it may be personal."""
    given(STARTED).when(failure()).then(
        failed(final=True)._replace(payload={"message": "boom", "traceback": ""}, at_s=2)
    )


def test_a_failure_with_attempts_left_schedules_the_next() -> None:
    """The next attempt is numbered, and due after the first delay."""
    given(STARTED).when(failure(AGAIN)).then(
        failed(final=False),
        ev("step.retry_scheduled", "a#0", attempt=2, delay_us=2_000_000, not_before=instant(4)),
    )


def test_the_wait_grows_from_attempt_to_attempt() -> None:
    """The second wait is the first times the factor."""
    past = (
        STARTED,
        failed(final=False),
        ev("step.retry_scheduled", "a#0", attempt=2, delay_us=0, not_before=instant(2)),
    )
    given(*past, ev("step.started", "a#0", attempt=2)).when(failure(AGAIN, attempt=2)).then(
        failed(final=False, attempt=2),
        ev("step.retry_scheduled", "a#0", attempt=3, delay_us=6_000_000, not_before=instant(8)),
    )


def test_the_last_attempt_is_final() -> None:
    """A step that has used up its attempts has failed, however often it was in doubt in between."""
    past = [STARTED, failed(final=False), ev("step.started", "a#0", attempt=2), failed(final=False, attempt=2)]
    past += [ev("step.started", "a#0", attempt=3), ev("step.in_doubt", "a#0", attempt=3, action="retry")]
    past += [ev("step.started", "a#0", attempt=4)]
    given(*past).when(failure(AGAIN, attempt=4)).then(failed(final=True, attempt=4))


@forall(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_only_shortens_the_wait(chance: float, jitter: float) -> None:
    """The wait lies between the delay without its jittered share and the delay itself, whatever is drawn."""
    retry = Retry(attempts=2, first_delay_s=10, jitter=jitter)

    _, scheduled = decide(given(STARTED).state, failure(retry, chance=chance), WORKER)

    assert 10_000_000 * (1 - jitter) - 1 <= scheduled.facts["delay_us"] <= 10_000_000


@pytest.mark.parametrize("error", ["TypeError", "NotImplementedError", "UnrecordableResult"])
def test_mistakes_are_not_retried(error: str) -> None:
    """An error that another attempt cannot help is final at once."""
    given(STARTED).when(failure(AGAIN, error=Failure(error, "no"))).then(failed(final=True, error=error))


def test_only_the_error_types_named_are_retried() -> None:
    """`on` names classes, base classes included; every other error is final."""
    retry = Retry(attempts=2, first_delay_s=0, on=("OSError",))
    below = Failure("ConnectionResetError", "gone", "", ("ConnectionError", "OSError", "Exception"))

    assert len(decide(given(STARTED).state, failure(retry, error=below), WORKER)) == 2
    given(STARTED).when(failure(retry)).then(failed(final=True))


@pytest.mark.parametrize("retry", [ONCE, Retry(attempts=2, first_delay_s=0)], ids=["final", "retried"])
def test_a_time_out_is_recorded_as_one(retry: Retry) -> None:
    """A time-out says how long was allowed: its duration is cut off, not short; it is retried like an error."""
    final = retry is ONCE
    events = [ev("step.timed_out", "a#0", outcome="timeout", timeout_us=30, duration_us=5, final=final)]
    if not final:
        events.append(ev("step.retry_scheduled", "a#0", attempt=2, delay_us=0, not_before=instant(2)))
    late = Failure("TimeoutError", "", "", ("OSError", "Exception"))
    after = given(STARTED).when(failure(retry, timeout_us=30, error=late)).then(*events)

    assert after.state.steps["a#0"].status == ("failed" if final else "retry")


def test_a_scheduled_attempt_starts_when_it_is_due() -> None:
    """Not a microsecond before `not_before`, and then under the next number."""
    past = [UNDOABLE, failed(final=False)]
    past += [ev("step.retry_scheduled", "a#0", attempt=2, delay_us=2_000_000, not_before=instant(4))]
    given(*past).when(Tick(at(4) - 1)).nothing()
    given(*past).when(Tick(at(4))).then(ev("step.started", "a#0", attempt=2, compensation="undo"))


def test_an_error_of_any_size_can_be_recorded() -> None:
    """However long an error's text, and whatever bytes it holds, the failure is recorded; the text is cut."""
    huge = Failure("OSError", "\ud800" + "x" * PAYLOAD_LIMIT_BYTES * 4, "t" * PAYLOAD_LIMIT_BYTES)

    (event,) = decide(given(STARTED).state, failure(error=huge), WORKER)

    assert event.payload is not None
    assert 16_000 < len(event.payload) < PAYLOAD_LIMIT_BYTES
    assert b"characters left out" in event.payload


# -- taking over -----------------------------------------------------------------------------------------------------


def claim(worker: str = "w-2", **doubts: Any) -> Claim:
    return Claim(at(9), worker, {f"{name}#0": action for name, action in doubts.items()})


def claimed(reason: str = "takeover", worker: str = "w-2") -> Ev:
    return ev("execution.claimed", worker=worker, reason=reason, at_s=9)


def test_taking_over_from_another_worker_is_recorded() -> None:
    """The new owner stands in the stream, whose version is the fence against the old one."""
    after = given().when(claim()).then(claimed())

    assert after.state.owner == "w-2"


def test_a_worker_takes_its_own_back() -> None:
    """A worker that resumes what it owned already did not take it over from anybody."""
    given().when(claim("w-1")).then(claimed("resume", "w-1"))


def test_an_ended_execution_is_not_claimed() -> None:
    """After the end nobody owns it any more."""
    given(ev("execution.completed", outcome="success")).when(claim()).nothing()


def test_an_attempt_without_an_end_is_in_doubt_and_run_again() -> None:
    """The doubt is recorded before the next attempt is."""
    given(UNDOABLE).when(claim(a="retry")).then(
        claimed(),
        ev("step.in_doubt", "a#0", action="retry"),
        ev("step.started", "a#0", attempt=2, compensation="undo"),
    )


def test_an_attempt_to_be_verified_waits_for_its_hook() -> None:
    """Until the hook has answered, nothing is run again; its "no" starts the next attempt."""
    doubtful = ev("step.in_doubt", "a#0", action="verify")
    after = given(STARTED).when(claim(a="verify")).then(claimed(), doubtful)

    after.when(RunAgain(at(10), "a#0")).then(ev("step.started", "a#0", attempt=2))


def test_an_attempt_verified_to_have_happened_completes_its_step() -> None:
    """What the hook found is the result, and the step does not run again."""
    after = given(STARTED).when(claim(a="verify")).then(claimed(), ev("step.in_doubt", "a#0", action="verify"))

    after = after.when(success(at_s=10)).then(ev("step.completed", "a#0", outcome="success", duration_us=5, payload=7))
    after.when(RunAgain(at(11), "a#0")).nothing()
    after.when(Park(at(11), "a#0", "?")).nothing()


def test_an_attempt_that_nobody_can_verify_parks_the_execution() -> None:
    """When the hook itself fails, a person must look: that stands in the log, with the reason."""
    after = given(STARTED).when(claim(a="verify")).then(claimed(), ev("step.in_doubt", "a#0", action="verify"))

    after = after.when(Park(at(10), "a#0", "no route")).then(
        ev("execution.parked", reason="in_doubt", step="a", payload={"detail": "no route"})
    )
    assert after.state.status == "parked"


def test_a_dangerous_attempt_parks_the_execution() -> None:
    """An attempt that may be neither repeated nor verified waits for a person, and nothing else starts meanwhile."""
    past = [STARTED, ev("step.started", "b#0")]
    after = (
        given(*past)
        .when(claim(a="retry", b="park"))
        .then(
            claimed(),
            ev("step.in_doubt", "a#0", action="retry"),
            ev("step.in_doubt", "b#0", action="park"),
            ev("execution.parked", reason="in_doubt", step="b"),
        )
    )

    after.when(claim("w-3", a="retry", b="retry")).then(
        claimed(worker="w-3"), ev("step.started", "a#0", attempt=2), ev("step.started", "b#0", attempt=2)
    )


def test_a_step_in_back_off_is_not_in_doubt() -> None:
    """Its attempt has ended, so taking over leaves it to wait out its delay."""
    past = [STARTED, failed(final=False)]
    past += [ev("step.retry_scheduled", "a#0", attempt=2, delay_us=0, not_before=instant(99))]
    given(*past).when(claim()).then(claimed())


def test_a_compensation_without_an_end_is_started_again() -> None:
    """A compensation cut off by a crash is never dropped: the next owner begins it anew."""
    past = [UNDOABLE, COMPLETED, ev("compensation.started", "a#0", compensation="undo")]
    given(*past).when(claim()).then(claimed(), ev("compensation.started", "a#0", compensation="undo", attempt=2))


def test_other_code_is_recorded() -> None:
    """Going on under another definition is an event; going on under the same is none."""
    given().when(UpgradeCode(at(9), OTHER)).then(ev("code.upgraded", before=DIGEST, after=OTHER))
    given().when(UpgradeCode(at(9), DIGEST)).nothing()
    given(ev("execution.completed", outcome="success")).when(UpgradeCode(at(9), OTHER)).nothing()


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


# -- timers ----------------------------------------------------------------------------------------------------------


def test_a_sleep_sets_a_timer_that_fires_when_due() -> None:
    """The due time is recorded, so a restart does not prolong it; how late it fired is recorded too."""
    after = given().when(proceed(sleep(60))).then(ev("timer.set", "nap#0", due=instant(61)))
    after.when(proceed(sleep(60), at_s=30)).nothing()
    after.when(Tick(at(61) - 1)).nothing()
    after = after.when(Tick(at(64))).then(ev("timer.fired", "nap#0", late_us=3_000_000))
    after.when(Tick(at(65))).nothing()


def test_timers_of_branches_are_apart() -> None:
    """A timer's scope is part of its name."""
    scoped = sleep(1)._replace(scope="g0.1/g0.0")
    after = given().when(proceed(scoped)).then(ev("timer.set", "g0.1/g0.0/nap#0", due=instant(2)))
    after.when(Tick(at(2))).then(ev("timer.fired", "g0.1/g0.0/nap#0", late_us=0))


# -- approvals -------------------------------------------------------------------------------------------------------

PERSON = Actor("person", "p-1")


def asked(deadline_s: float | None = None, scope: str = "") -> Given:
    """An execution with one open question, as it comes out of a store."""
    more = {} if deadline_s is None else {"deadline": instant(deadline_s)}
    request = ev("approval.requested", f"{scope}ok#0", severity="high", payload={"title": "?"}, at_s=1, **more)
    over = given()
    evolve(over.state, recorded(request, 1))
    return over


def shown(over: Given, key: str = "ok#0") -> str:
    digest = over.state.approvals[key].shown
    assert digest is not None
    return digest


def answer(
    over: Given, granted: bool = True, at_s: float = 5, key: str = "ok#0", of: str | None = None
) -> DecideApproval:
    return DecideApproval(at(at_s), key, granted, "p-1", of or shown(over, key), b'{"comment":"fine"}')


def test_a_question_is_recorded_with_what_is_shown() -> None:
    """Title and context are payload; severity, policy and deadline are facts."""
    wish = ask(context={"amount": 5}, severity="high", policy="two-of-finance", deadline_s=60)
    given().when(proceed(wish)).then(
        ev(
            "approval.requested",
            "ok#0",
            severity="high",
            policy="two-of-finance",
            deadline=instant(61),
            payload={"title": "Really?", "context": {"amount": 5}},
        )
    )


def test_a_question_is_put_once() -> None:
    """Wanting it again, on replay, causes nothing."""
    asked().when(proceed(ask())).nothing()


def test_a_context_may_be_a_dataclass() -> None:
    """What people are shown is encoded like the results of steps."""

    @dataclass
    class Order:
        amount: int

    (event,) = decide(given().state, proceed(ask(context=Order(5))), WORKER)

    assert event.payload == b'{"title":"Really?","context":{"amount":5}}'


@pytest.mark.parametrize(("granted", "type_"), [(True, "approval.granted"), (False, "approval.rejected")])
def test_a_person_decides(granted: bool, type_: str) -> None:
    """The decision is the person's event, bound to the digest of what was shown, with how long it was waited for."""
    over = asked()
    over.when(answer(over, granted)).then(
        ev(type_, "ok#0", shown=shown(over), waited_us=4_000_000, by=PERSON, payload={"comment": "fine"})
    )


def test_a_question_of_a_branch_is_decided_under_its_scope() -> None:
    """Scope, name and occurrence find the question again."""
    over = asked(scope="g0.1/")
    over.when(answer(over, key="g0.1/ok#0")).then(
        ev("approval.granted", "g0.1/ok#0", shown=shown(over, "g0.1/ok#0"), waited_us=4_000_000)
    )


@pytest.mark.parametrize("first", ["approval.granted", "approval.rejected", "approval.expired"])
@pytest.mark.parametrize("second", [True, False])
def test_nothing_is_decided_twice(first: str, second: bool) -> None:
    """The first decision stands, whoever comes second and whatever they say."""
    over = asked()
    evolve(over.state, ev(first, "ok#0", waited_us=0).new())
    over.when(answer(over, second)).refused(NotWaiting, f"already {first.partition('.')[2]}")


def test_nothing_is_decided_after_the_end() -> None:
    """A decision that cannot have an effect is refused, and says so."""
    over = asked()
    evolve(over.state, ev("execution.cancelled", outcome="cancelled", by="user").new())
    over.when(answer(over)).refused(NotWaiting, "the execution has cancelled")


def test_the_deadline_is_the_first_moment_that_is_too_late() -> None:
    """Up to the deadline a decision counts; from it on none does, though nobody has recorded the expiry yet."""
    over = asked(deadline_s=5)
    assert len(decide(over.state, answer(over, at_s=4.999999), WORKER)) == 1
    over.when(answer(over, at_s=5)).refused(NotWaiting, "past its deadline")


def test_a_decision_about_something_else_is_refused() -> None:
    """Who was shown something else than what is recorded has not decided this."""
    over = asked()
    over.when(answer(over, of="hmac-sha256:00")).refused(NotWaiting, "something else than what was shown")


def test_an_unknown_question_cannot_be_decided() -> None:
    """There is no decision without a question."""
    given().when(DecideApproval(at(1), "ok#0", True, "p-1", "", None)).refused(NotWaiting, "unknown")


def test_a_question_nobody_answers_expires_at_its_deadline() -> None:
    """Expiry is recorded at the deadline, once, by the worker: no human act."""
    over = asked(deadline_s=5)
    over.when(Tick(at(5) - 1)).nothing()
    over.when(Tick(at(5))).then(ev("approval.expired", "ok#0", waited_us=4_000_000, by=WORKER))
    evolve(over.state, ev("approval.expired", "ok#0", waited_us=0).new())
    over.when(Tick(at(6))).nothing()
    asked().when(Tick(at(10**9))).nothing()


# -- whatever is asked -----------------------------------------------------------------------------------------------


def made(of: Any, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*parts).map(lambda values: of(*values))


KEYS = st.sampled_from(["a#0", "b#0", "g0.0/a#0", "ok#0", "nap#0"])
FAILURES = made(Failure, st.sampled_from(["ValueError", "TypeError"]), st.text())
RETRIES = made(Retry, st.integers(1, 3), st.just(0))
TIMES = st.integers(0, 100).map(at)
ATTEMPTS = st.integers(1, 3)
CHANCES = st.floats(0, 1, exclude_max=True)
WISHES = st.one_of(
    made(lambda key, undo: call(key, 1, undo=undo), st.sampled_from(["a#0", "b#0", "g0.0/a#0"]), st.booleans()),
    made(lambda seconds: ask(deadline_s=seconds), st.none() | st.integers(1, 50)),
    made(sleep, st.integers(1, 50)),
    made(Take, st.just("a"), st.just(0), st.just("b")),
    made(Skip, st.just("c"), st.just(0)),
    made(Done, st.integers()),
    made(Give, FAILURES),
)
COMMANDS = st.one_of(
    made(Begin, TIMES, st.just("w"), st.just("function"), st.just(DIGEST), st.none()),
    made(Claim, TIMES, st.just("w-2"), st.dictionaries(KEYS, st.sampled_from(["retry", "verify", "park"]))),
    made(UpgradeCode, TIMES, st.sampled_from([DIGEST, OTHER])),
    made(Proceed, TIMES, st.lists(WISHES, max_size=4)),
    made(RecordSuccess, TIMES, KEYS, ATTEMPTS, st.just(b"1"), st.just(5)),
    made(RecordFailure, TIMES, KEYS, ATTEMPTS, FAILURES, st.just(5), RETRIES, CHANCES, st.none() | st.just(9)),
    made(RunAgain, TIMES, KEYS),
    made(Park, TIMES, KEYS, st.text()),
    made(RecordUndo, TIMES, KEYS, ATTEMPTS, st.just(5)),
    made(RecordUndoFailure, TIMES, KEYS, ATTEMPTS, FAILURES, st.just(5), RETRIES, CHANCES),
    made(Tick, TIMES),
)


@forall(st.lists(COMMANDS, max_size=30))
def test_whatever_is_asked_the_log_stays_sound(asked_for: list[Any]) -> None:
    """In any order of commands: one beginning, at most one end and nothing after it, no step completed or undone
    twice, every end of an attempt after its start, and every event in the catalogue's form."""
    over = given()
    log: list[Ev] = []
    for command in asked_for:
        before = over.state.version
        for event in decide(over.state, command, WORKER):
            log.append(Ev(event.type, event.facts))
            evolve(over.state, event)
        assert over.state.version - before == len(log[before - 1 :])
    given().when(Proceed(at(0), ())).nothing()

    types = [event.type for event in log]
    ends = [i for i, t in enumerate(types) if t in ("execution.completed", "execution.failed")]
    assert "execution.started" not in types
    assert ends in ([], [len(types) - 1])
    running: set[tuple[Any, ...]] = set()
    closed: set[tuple[Any, ...]] = set()
    for event in log:
        facts = event.facts
        name = (event.type.partition(".")[0], facts.get("scope"), facts.get("step"), facts.get("occurrence"))
        if event.type in ("step.started", "compensation.started"):
            assert name not in closed
            running.add((*name, facts["attempt"]))
        elif event.type in ("step.completed", "step.failed", "step.timed_out") or name[0] == "compensation":
            assert (*name, facts["attempt"]) in running
            running.discard((*name, facts["attempt"]))
            if event.type.endswith("completed") or facts.get("final"):
                closed.add(name)
