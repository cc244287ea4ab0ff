"""What can happen to a step, to its compensation, to a transition and to a timer. Stream `execution/<id>`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from actum.events.facts import AttemptUsed, Count, DurationUs, Facts, Instant, Name, PoolName, Reserved, StepFacts

__all__ = ["EVENTS"]


class StepStarted(StepFacts):
    """Recorded before the effect. Payload: `{"args": […], "kwargs": {…}}`; absent when there are none.

    Of a step that was scheduled, that event has the payload.
    """

    type = "step.started"
    compensation: Name | None = None
    """What undoes it once it has completed."""
    undo_group: Name | None = None
    """Compensations of one group run side by side when their turn comes."""
    pivot: bool | None = None
    """Once it has completed, what completed before it is not undone any more."""
    reserved: Reserved | None = None


class StepScheduled(StepFacts):
    """It is due, and waits for what it needs: `step.started` says that it has got it. Payload: as of that event."""

    type = "step.scheduled"
    needs: dict[PoolName, Annotated[int, Field(ge=1, lt=2**53)]] | None = None
    """How much of which pool, or how many of which rate limit."""
    limits: list[Name] | None = None
    """Which of them are rate limits, of which nothing is given back."""
    breaker: Name | None = None
    """The circuit breaker that must let it through."""
    priority: Annotated[int, Field(ge=-1_000_000, lt=1_000_000)] | None = None
    """Its own, over that of its execution."""
    compensation: Name | None = None
    undo_group: Name | None = None
    pivot: bool | None = None
    reserved: Reserved | None = None


class StepCompleted(StepFacts, AttemptUsed):
    """Payload: the result. Never runs again in this execution."""

    type = "step.completed"
    outcome: Literal["success"] = "success"
    duration_us: DurationUs | None = None


class StepFailed(StepFacts, AttemptUsed):
    """One attempt failed. Payload: `{"message": …, "traceback": …}`."""

    type = "step.failed"
    outcome: Literal["failure"] = "failure"
    error_type: Name
    final: bool = False
    """No attempt follows."""
    duration_us: DurationUs | None = None


class StepTimedOut(StepFacts, AttemptUsed):
    """One attempt took longer than it was given: a censored duration, not a fast one."""

    type = "step.timed_out"
    outcome: Literal["timeout"] = "timeout"
    timeout_us: DurationUs
    final: bool = False
    duration_us: DurationUs | None = None


class StepRetryScheduled(StepFacts):
    """`attempt` is the one that will follow."""

    type = "step.retry_scheduled"
    not_before: Instant
    delay_us: DurationUs


class StepInDoubt(StepFacts):
    """It was started and no end was recorded: the effect may have happened."""

    type = "step.in_doubt"
    action: Literal["retry", "verify", "park"]


class StepSkipped(StepFacts):
    """It does not run: no transition led to it, or a person said so. Payload, of a person: the result in its place."""

    type = "step.skipped"
    reason: Literal["not_taken", "person"]


class StepCancelled(StepFacts, AttemptUsed):
    """An attempt, or the wait for the next one, was given up: nobody wants the result. The effect may have happened."""

    type = "step.cancelled"
    reason: Literal["race", "cancel"]
    duration_us: DurationUs | None = None
    error_type: Name | None = None
    """What the attempt raised when it was told."""


class TransitionTaken(Facts):
    """Which edge of the graph, and the condition that held. Payload: `{"value": …}`, what the condition saw."""

    type = "transition.taken"
    source: Name
    source_occurrence: Count
    target: Name
    condition: Name | None = None
    scope: Name | None = None
    """Of a graph that a step runs in place."""


class CompensationRequested(Facts):
    """The workflow itself asks that what has completed be undone before it goes on."""

    type = "compensation.requested"
    compensation: Name
    """What the request is called inside its execution."""
    occurrence: Count
    scope: Name | None = None
    since: Count
    """What was among the first so many outcomes of the execution stays."""


class CompensationEnded(Facts):
    """All that was asked to be undone is, or could not be."""

    type = "compensation.ended"
    compensation: Name
    occurrence: Count
    scope: Name | None = None
    uncompensated: list[Name] | None = None


class CompensationStarted(StepFacts):
    """Undoing the named step. Payload: as for a step."""

    type = "compensation.started"
    compensation: Name


class CompensationCompleted(StepFacts):
    type = "compensation.completed"
    compensation: Name
    outcome: Literal["success"] = "success"
    duration_us: DurationUs | None = None


class CompensationFailed(StepFacts):
    """One attempt to undo failed; when `final`, the step stays uncompensated."""

    type = "compensation.failed"
    compensation: Name
    outcome: Literal["failure", "timeout"] = "failure"
    error_type: Name
    final: bool = False
    not_before: Instant | None = None
    """When the next attempt is due; absent when `final`."""
    duration_us: DurationUs | None = None


class TimerSet(Facts):
    type = "timer.set"
    timer: Name
    occurrence: Count
    scope: Name | None = None
    due: Instant


class TimerFired(Facts):
    type = "timer.fired"
    timer: Name
    occurrence: Count
    scope: Name | None = None
    late_us: DurationUs


class RaceDecided(Facts):
    """One of several came first; what the others were waiting for is not waited for any more."""

    type = "race.decided"
    race: Name
    occurrence: Count
    scope: Name | None = None
    winner: Name
    """Its index, or its name."""
    losers: list[str] | None = None
    """Keys of timers and of waits for signals that are given up; steps and questions have events of their own."""


EVENTS: tuple[type[Facts], ...] = (
    StepScheduled,
    StepStarted,
    StepCompleted,
    StepFailed,
    StepTimedOut,
    StepRetryScheduled,
    StepInDoubt,
    StepSkipped,
    StepCancelled,
    TransitionTaken,
    CompensationRequested,
    CompensationEnded,
    CompensationStarted,
    CompensationCompleted,
    CompensationFailed,
    TimerSet,
    TimerFired,
    RaceDecided,
)
