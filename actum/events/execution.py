"""What can happen to an execution as a whole. Stream `execution/<id>`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from actum.events.facts import (
    Attribute,
    AttributeName,
    Count,
    Digest,
    DurationUs,
    Facts,
    Instant,
    Name,
    PoolName,
    UsedFacts,
)

__all__ = ["EVENTS"]


class ExecutionStarted(UsedFacts):
    """What is used there was used by the executions that it continues.

    Payload: `{"input": …}`; for an import also `{"source": …}`, what the foreign record said of itself.
    """

    type = "execution.started"
    workflow: Name
    kind: Literal["function", "graph", "asl", "serverless", "import"]
    definition: Digest | None = None
    """Digest of the code or the graph it runs; absent when it ran elsewhere."""
    key: Name | None = None
    """The id of the data key of the person that it is about; who that is stands outside the log."""
    deadline: Instant | None = None
    """When it is cancelled from inside, if it has not ended by then."""
    priority: Annotated[int, Field(ge=-1_000_000, lt=1_000_000)] | None = None
    """What is higher is taken up first; absent is 0."""
    tags: list[Name] | None = None
    attributes: dict[AttributeName, Attribute] | None = None
    """What it can be found by; never personal."""
    parent: Name | None = None
    """The execution whose child it is; `parent_key` is what the child is called there."""
    parent_key: str | None = None
    previous: Name | None = None
    """The execution that continued as this one."""
    first: Name | None = None
    """The first of the chain that this one continues."""
    first_at: Instant | None = None
    """When that one started: a chain's duration counts from there."""
    source: Digest | None = None
    """Import: SHA-256 of the file it was read from."""
    foreign: Name | None = None
    """Import: its id in that file."""
    task: Name | None = None
    """Repeated trials of one task share it; pass^k is counted over them."""
    trial: Count | None = None
    time_unknown: bool = False
    """The foreign record had no times: `at` is the time of import and no duration may be read from it."""


class ExecutionClaimed(Facts):
    """A worker took it over; the stream's version is the fence against the one before."""

    type = "execution.claimed"
    worker: Name
    reason: Literal["resume", "takeover"]


class ExecutionReleased(Facts):
    """Its worker let go of it while something of it ran, because it was told to stop: no sign that it is poison."""

    type = "execution.released"
    worker: Name


class ExecutionQueued(Facts):
    """It is to hold this from before its first step until its end, and waits for it: no step starts before it is
    admitted. From then on it waits again whenever it was preempted, paused, parked or taken over."""

    type = "execution.queued"
    needs: dict[PoolName, Annotated[int, Field(ge=1, lt=2**53)]]
    """How much of which pool."""
    preemptible: bool = False
    """It may be asked to give all of it back between two steps."""


class ExecutionAdmitted(Facts):
    """It has been given what it holds, and goes on."""

    type = "execution.admitted"
    waited_us: DurationUs | None = None


class ExecutionPreempted(Facts):
    """It gave back what it held, while none of its steps was under way, and waits to be admitted again."""

    type = "execution.preempted"
    needs: dict[PoolName, Annotated[int, Field(ge=1, lt=2**53)]]
    """What it gave back."""
    priority: Annotated[int, Field(ge=-1_000_000, lt=1_000_000)]
    """That of whoever waits for it."""
    compensation: bool | None = None
    """It is for something that is to be undone, which goes before all new work."""


class ExecutionPaused(Facts):
    type = "execution.paused"
    reason: str | None = None


class ExecutionResumed(Facts):
    """It goes on, after a pause or because a person has decided on what it was parked or had failed for."""

    type = "execution.resumed"
    reopened: bool | None = None
    """It had failed; that end is taken back."""
    steps: list[Name] | None = None
    """Keys of the steps that are tried again, as in `g0.1/charge#0`."""


class ExecutionParked(Facts):
    """Left as it is until a person looks. Payload: `{"detail": …}`."""

    type = "execution.parked"
    reason: Literal["in_doubt", "poison", "no_code", "diverged", "erased"]
    step: Name | None = None


class ExecutionCancelRequested(Facts):
    """From here on it ends as soon as it can; the workflow hears of it and may clean up. Payload: `{"reason": …}`."""

    type = "execution.cancel_requested"
    by: Literal["user", "system"]
    compensate: bool = True
    """What has completed is undone before the end."""
    force: bool | None = None
    """It ends at once: nothing is cleaned up, nothing is undone."""
    cause: Literal["deadline"] | None = None
    """Its own deadline passed: then it ends as a failure, by time-out."""


class Ended(UsedFacts):
    duration_us: DurationUs | None = None
    """Start to end, by the source's clock. Absent: unknown."""
    active_us: DurationUs | None = None
    """The same without waiting for people and timers."""


class ExecutionCompleted(Ended):
    """Payload: `{"output": …}`."""

    type = "execution.completed"
    outcome: Literal["success"] = "success"


class ExecutionFailed(Ended):
    """Payload: `{"error": {"type": …, "message": …, "traceback": …}}`."""

    type = "execution.failed"
    outcome: Literal["failure", "timeout"] = "failure"
    error_type: Name
    uncompensated: list[Name] | None = None
    """Steps whose compensation failed: the world is not as it was before."""


class ExecutionCancelled(Ended):
    """Payload: `{"error": …}` as of a failure."""

    type = "execution.cancelled"
    outcome: Literal["cancelled"] = "cancelled"
    by: Literal["user", "system"]
    uncompensated: list[Name] | None = None
    """Steps that could be undone and were not: the world is not as it was before."""


class ExecutionContinued(UsedFacts):
    """It goes on as another execution with a record of its own; neither a success nor a failure."""

    type = "execution.continued"
    next: Name
    duration_us: DurationUs | None = None
    active_us: DurationUs | None = None


class ExecutionCorrected(Facts):
    """A person or a check says the recorded outcome was wrong. The old event stays."""

    type = "execution.corrected"
    supersedes: Count
    """The version, in this stream, of the event that is corrected."""
    outcome: Literal["success", "failure", "timeout", "cancelled"]


class CodeUpgraded(Facts):
    """Other code than it started with, replayed dry against the record: the same calls."""

    type = "code.upgraded"
    before: Digest
    after: Digest


class PatchMarked(Facts):
    """The code asked for a patch, and from here on it takes the new way."""

    type = "patch.marked"
    patch: Name
    after: Count
    """How many outcomes the workflow had been told."""


class ReplayDiverged(Facts):
    """Today's code asks for something else than was recorded. Payload: `{"where": …}`, where in the code it asks."""

    type = "replay.diverged"
    recorded: Name
    asked: Name
    definition: Digest | None = None


EVENTS: tuple[type[Facts], ...] = (
    ExecutionStarted,
    ExecutionClaimed,
    ExecutionReleased,
    ExecutionQueued,
    ExecutionAdmitted,
    ExecutionPreempted,
    ExecutionPaused,
    ExecutionResumed,
    ExecutionParked,
    ExecutionCancelRequested,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionCancelled,
    ExecutionContinued,
    ExecutionCorrected,
    CodeUpgraded,
    PatchMarked,
    ReplayDiverged,
)
