"""One execution: what the events of its stream add up to, and how they do it.

A record stays as small as the execution is quiet: open operations and judged decisions take room, steps that came
and went do not. It is kept after the end, because a correction or a judgement may come at any time later.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

from actum.events import RecordedEvent, to_us
from actum.metrics.catalog import NO_VALUE
from actum.metrics.tally import Tally

__all__ = ["CONTINUED", "LIFECYCLE", "STOPPED", "UNKNOWN", "Execution", "Label", "Operation"]

STOPPED: Final = "stopped"
"""The outcome of an execution cancelled by the system, a failure; `cancelled` is one a user cancelled."""
UNKNOWN: Final = "unknown"
"""The outcome of an execution past its declared deadline of which nothing more was heard."""
CONTINUED: Final = "continued"
"""Not an outcome: it goes on as another one, which counts for both from the start of the first."""

OperationKey = tuple[str, int, str | None]
"""(step, occurrence, scope)."""


class Operation:
    """A step that failed or was tried again and has not closed yet."""

    __slots__ = ("attempts", "error_type", "failed", "inside", "positions", "retried", "tool")

    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.attempts = 1
        self.error_type = NO_VALUE
        """Why the first failed attempt failed."""
        self.failed = False
        self.retried = False
        """An attempt failed, and another followed."""
        self.inside = False
        """The last attempt that ended did so inside the window."""
        self.positions: list[int] = []


class Label(NamedTuple):
    """The verdict that counts for one decision, so far."""

    rank: int
    correct: bool
    model: str
    inside: bool
    position: int


class Execution:
    """What is known of one execution. Times are microseconds since the epoch; None is unknown or not yet."""

    __slots__ = (
        "active_us",
        "compensated",
        "compensated_steps",
        "completed_steps",
        "correction_position",
        "correction_version",
        "cost_nanousd",
        "cost_of_calls",
        "deadline_us",
        "duration_us",
        "end_position",
        "end_version",
        "ended_us",
        "error_type",
        "flips",
        "inside",
        "intervened",
        "labels",
        "notes",
        "operations",
        "outcome",
        "recorded_outcome",
        "reopened",
        "retries",
        "scheduled",
        "start_position",
        "started_us",
        "tally",
        "task",
        "timed",
        "tokens",
        "tokens_of_calls",
        "undoing",
        "version",
        "workflow",
    )

    def __init__(self, tally: Tally, *, windowed: bool, noted: bool) -> None:
        self.tally = tally
        self.workflow = NO_VALUE
        self.version = -1
        """Of the last event folded; whatever is not after it was folded before."""
        self.flips: list[int] | None = [] if windowed else None
        self.start_position = -1
        self.started_us: int | None = None
        self.deadline_us: int | None = None
        self.timed = True
        """Its times are real; an import without times has none."""
        self.task: str | None = None
        self.end_position = -1
        self.end_version = -1
        self.ended_us: int | None = None
        self.inside = False
        """It ended inside the window."""
        self.outcome: str | None = None
        self.recorded_outcome: str | None = None
        """As first recorded: what `outcome` was before it was corrected."""
        self.error_type = NO_VALUE
        self.correction_position: int | None = None
        self.correction_version: int | None = None
        self.duration_us: int | None = None
        self.active_us: int | None = None
        self.cost_nanousd: int | None = None
        """The total that the end event states; it wins over the sum of the calls."""
        self.cost_of_calls: int | None = None
        self.tokens: int | None = None
        self.tokens_of_calls: int | None = None
        self.reopened = False
        """Its end was taken back, so that another one follows."""
        self.retries = 0
        self.completed_steps = 0
        self.compensated_steps = 0
        self.compensated = False
        self.intervened = False
        self.operations: dict[OperationKey, Operation] | None = None
        self.scheduled: dict[OperationKey, tuple[str, tuple[str, ...]]] | None = None
        """Steps that wait for what they need → since when, and for what."""
        self.undoing: dict[OperationKey, tuple[bool, int]] | None = None
        """Compensations begun and not closed → whether their last event is inside the window, and where it is."""
        self.labels: dict[tuple[str, int | None, bool], Label] | None = None
        """(decision, judged version, targeted) → the verdict that counts."""
        self.notes: list[tuple[str, int]] | None = [] if noted else None
        """(type, position) of the events that somebody asked to be shown."""

    def mark(self, version: int, inside: bool) -> None:
        """Remember that from this version on events are inside the window, or no longer."""
        if self.flips is not None and inside != len(self.flips) % 2:
            self.flips.append(version)

    def was_inside(self, version: int) -> bool:
        """Whether the event of this version happened inside the window."""
        return self.flips is None or bisect_right(self.flips, version) % 2 == 1


def _started(run: Execution, event: RecordedEvent, at: str, _inside: bool, tally: Tally) -> None:
    facts = event.facts
    run.start_position = event.position
    run.started_us = to_us(facts.get("first_at", at))
    run.task = facts.get("task")
    run.timed = not facts.get("time_unknown", False)
    if "deadline" in facts:
        run.deadline_us = to_us(facts["deadline"])
    if run.timed and (not tally.first_at or at < tally.first_at):
        tally.first_at = at


def _end(run: Execution, event: RecordedEvent, at: str, inside: bool, tally: Tally, outcome: str) -> None:
    if run.reopened:  # what its new end says of the first one, a correction says
        run.reopened = False
        return
    if run.outcome is not None:
        tally.quality["conflict"] += 1  # the first terminal event wins; only a correction changes the outcome
        return
    facts = event.facts
    run.outcome = run.recorded_outcome = outcome
    run.end_position = event.position
    run.end_version = event.version
    run.ended_us = to_us(at)
    run.inside = inside
    run.duration_us = facts.get("duration_us")
    if run.duration_us is None and run.timed and run.started_us is not None:
        run.duration_us = run.ended_us - run.started_us
    run.active_us = facts.get("active_us")
    run.cost_nanousd = facts.get("cost_nanousd")
    if "input_tokens" in facts or "output_tokens" in facts:
        run.tokens = facts.get("input_tokens", 0) + facts.get("output_tokens", 0)


def _completed(run: Execution, event: RecordedEvent, at: str, inside: bool, tally: Tally) -> None:
    _end(run, event, at, inside, tally, "success")


def _failed(run: Execution, event: RecordedEvent, at: str, inside: bool, tally: Tally) -> None:
    if run.outcome is None:
        run.error_type = event.facts.get("error_type", NO_VALUE)
    _end(run, event, at, inside, tally, event.facts.get("outcome", "failure"))


def _cancelled(run: Execution, event: RecordedEvent, at: str, inside: bool, tally: Tally) -> None:
    _end(run, event, at, inside, tally, "cancelled" if event.facts.get("by") == "user" else STOPPED)


def _continued(run: Execution, event: RecordedEvent, at: str, _inside: bool, tally: Tally) -> None:
    if run.reopened:
        run.reopened = False
        return
    if run.outcome is not None:
        tally.quality["conflict"] += 1
        return
    run.outcome = CONTINUED
    run.end_position, run.end_version, run.ended_us = event.position, event.version, to_us(at)


def _resumed(run: Execution, _event: RecordedEvent, _at: str, _inside: bool, _tally: Tally) -> None:
    run.reopened = run.outcome is not None


def _corrected(run: Execution, event: RecordedEvent, _at: str, _inside: bool, tally: Tally) -> None:
    facts = event.facts
    if run.outcome is None or facts["supersedes"] not in (run.end_version, run.correction_version):
        tally.quality["unmatched_correction"] += 1
        return
    run.outcome = facts["outcome"]
    run.error_type = NO_VALUE
    run.correction_version = event.version
    run.correction_position = event.position


LIFECYCLE: Final = {
    "execution.started": _started,
    "execution.completed": _completed,
    "execution.failed": _failed,
    "execution.cancelled": _cancelled,
    "execution.continued": _continued,
    "execution.resumed": _resumed,
    "execution.corrected": _corrected,
}
