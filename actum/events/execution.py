"""What can happen to an execution as a whole. Stream `execution/<id>`."""

from __future__ import annotations

from typing import Literal

from actum.events.facts import Count, Digest, DurationUs, Facts, Instant, Name

__all__ = ["EVENTS"]


class ExecutionStarted(Facts):
    """Payload: `{"input": …}`; for an import also `{"source": …}`, what the foreign record said of itself."""

    type = "execution.started"
    workflow: Name
    kind: Literal["function", "graph", "import"]
    definition: Digest | None = None
    """Digest of the code or the graph it runs; absent when it ran elsewhere."""
    key: Name | None = None
    """The id of the data key of the person that it is about; who that is stands outside the log."""
    deadline: Instant | None = None
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


class ExecutionPaused(Facts):
    type = "execution.paused"
    reason: str | None = None


class ExecutionResumed(Facts):
    type = "execution.resumed"


class ExecutionParked(Facts):
    """Left as it is until a person looks. Payload: `{"detail": …}`."""

    type = "execution.parked"
    reason: Literal["in_doubt", "poison", "no_code", "diverged", "erased"]
    step: Name | None = None


class ExecutionCancelRequested(Facts):
    type = "execution.cancel_requested"
    by: Literal["user", "system"]


class Ended(Facts):
    duration_us: DurationUs | None = None
    """Start to end, by the source's clock. Absent: unknown."""
    active_us: DurationUs | None = None
    """The same without waiting for people and timers."""
    cost_nanousd: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None


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
    type = "execution.cancelled"
    outcome: Literal["cancelled"] = "cancelled"
    by: Literal["user", "system"]


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


class ReplayDiverged(Facts):
    """Today's code asks for something else than was recorded."""

    type = "replay.diverged"
    recorded: Name
    asked: Name
    definition: Digest | None = None


EVENTS: tuple[type[Facts], ...] = (
    ExecutionStarted,
    ExecutionClaimed,
    ExecutionPaused,
    ExecutionResumed,
    ExecutionParked,
    ExecutionCancelRequested,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionCancelled,
    ExecutionCorrected,
    CodeUpgraded,
    ReplayDiverged,
)
