"""The rules of an execution's beginning, its steps and its end, one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.rules.calls import Done, Failure
from actum.engine.rules.commands import Begin, Claim, Park, RecordFailure, RunAgain, Tick, UpgradeCode
from actum.engine.rules.decider import decide
from actum.engine.rules.retry import ONCE, Retry
from actum.events import PAYLOAD_LIMIT_BYTES
from tests.engine.rules.deciding import AGAIN, COMPLETED, OTHER, STARTED, UNDOABLE, failed, proceed, success
from tests.engine.spec import BEGUN, BOOM, DIGEST, WORKER, Ev, Given, ask, at, call, ev, given, instant, sleep


def failure(
    retry: Retry = ONCE, *, attempt: int = 1, chance: float = 0.0, timeout_us: int | None = None, error: Failure = BOOM
) -> RecordFailure:
    return RecordFailure(at(2), "a#0", attempt, error, 5, retry, chance, timeout_us)


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
