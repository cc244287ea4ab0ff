"""The fold over the log: one record per execution, one tally per workflow, nothing per event.

No clock, no I/O: what comes out is a function of the events, up to a position, and of the window. The events of one
stream come in their order; streams may come in any order, and an event that comes twice counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from actum.events import RecordedEvent, to_text, to_us
from actum.metrics.calls import CALLS
from actum.metrics.catalog import NO_VALUE
from actum.metrics.execution import LIFECYCLE, Execution
from actum.metrics.operations import OPERATIONS
from actum.metrics.tally import Tally
from actum.metrics.window import Window

__all__ = ["NOTED_TYPES", "SKEW_US", "Fold"]

SKEW_US: Final = 300_000_000
"""A source's clock more than five minutes ahead of the log's is not believed; the log's time is taken."""

Handler = Callable[[Execution, RecordedEvent, str, bool, Tally], None]
_HANDLERS: Final[dict[str, Handler]] = {**LIFECYCLE, **OPERATIONS, **CALLS}
_PREFIX: Final = "execution/"

NOTED_TYPES: Final[dict[str, frozenset[str]]] = {
    "clean_success_rate": frozenset(
        {"step.retry_scheduled", "compensation.started", "compensation.completed", "intervention.recorded"}
    ),
    "compensation_rate": frozenset({"compensation.started", "compensation.completed"}),
    "step_compensation_rate": frozenset({"step.completed", "compensation.completed"}),
    "human_intervention_rate": frozenset({"intervention.recorded"}),
    "cost_per_success": frozenset({"model.returned"}),
    "tokens_per_execution": frozenset({"model.returned"}),
    "plan_churn": frozenset({"step.retry_scheduled"}),
    "workflow_completion_time": frozenset({"execution.started"}),
    "pass_hat_k": frozenset({"execution.started"}),
    "pass_at_k": frozenset({"execution.started"}),
}
"""What to keep the positions of, beside the ends of executions, when one of these is to be explained."""

_EVENT_METRICS: Final = (
    "tool_error_rate",
    "tool_call_latency",
    "resource_wait",
    "retry_success_rate",
    "compensation_success_rate",
)


class Fold:
    """What a log adds up to, so far. `explain` names the metrics whose events it remembers on the way."""

    def __init__(
        self,
        *,
        window: Window | None = None,
        workflow: str | None = None,
        as_of: int | None = None,
        explain: Collection[str] = (),
    ) -> None:
        self.window = window
        self.workflow = workflow
        self.as_of = as_of
        self.explain = frozenset(explain)
        self.position = -1
        """Of the last event folded, or of one before it that was not asked about."""
        self.newest = ""
        """The latest instant the log knows of, by either clock."""
        self.runs: dict[str, Execution] = {}
        self.tallies: dict[str, Tally] = {}
        self._low = "" if window is None else to_text(window.from_us)
        self._high = "" if window is None else to_text(window.to_us)
        self._noted = frozenset().union(*(NOTED_TYPES.get(metric, ()) for metric in self.explain))
        self._other = self._new_run(Tally())

    def add(self, event: RecordedEvent) -> None:
        """Fold one event. Events after `as_of` are left alone, so the whole log may be given."""
        position = event.position
        if self.as_of is not None and position > self.as_of:
            return
        if position > self.position:
            self.position = position
        head = event.head
        recorded_at = head["recorded_at"]
        if recorded_at > self.newest:
            self.newest = recorded_at
        stream: str = head["stream"]
        if not stream.startswith(_PREFIX):
            return
        run = self.runs.get(stream)
        if run is None:
            run = self.runs[stream] = self._meet(event)
        if run is self._other:
            return
        version: int = head["version"]
        tally = run.tally
        if version <= run.version:
            tally.quality["duplicate"] += 1
            return
        run.version = version
        at: str = head["at"]
        if at > recorded_at:
            at = self._believed(at, recorded_at, tally)
        inside = True
        if self.window is not None:
            inside = self._low <= at < self._high
            run.mark(version, inside)
        open_until_now = run.outcome is None
        kind = event.type
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(run, event, at, inside, tally)
        if open_until_now and run.timed and at > tally.last_at:
            tally.last_at = at
        if run.notes is not None and kind in self._noted:
            run.notes.append((kind, position))

    def _meet(self, event: RecordedEvent) -> Execution:
        """The record of a stream whose first event this is; one shared blank for all that was not asked about."""
        workflow = event.facts["workflow"] if event.type == "execution.started" else NO_VALUE
        if self.workflow is not None and workflow != self.workflow:
            return self._other
        tally = self.tallies.get(workflow)
        if tally is None:
            tally = self.tallies[workflow] = Tally()
            tally.behind = {metric: [] for metric in _EVENT_METRICS if metric in self.explain}
        run = self._new_run(tally)
        run.workflow = workflow
        return run

    def _new_run(self, tally: Tally) -> Execution:
        return Execution(tally, windowed=self.window is not None, noted=bool(self._noted))

    def _believed(self, at: str, recorded_at: str, tally: Tally) -> str:
        """An instant that the source put after its recording: taken as it is if clocks may differ by so much."""
        if to_us(at) > to_us(recorded_at) + SKEW_US:
            tally.quality["clock_skew"] += 1
            return recorded_at
        if at > self.newest:
            self.newest = at
        return at

    def merge(self, other: Fold) -> Fold:
        """The fold over the events of both, which share no stream. It takes both over: use neither afterwards.

        Raises `ValueError` when the two were asked different things or share a stream.
        """
        if (self.window, self.workflow, self.as_of, self.explain) != (
            other.window,
            other.workflow,
            other.as_of,
            other.explain,
        ):
            raise ValueError("folds over different windows, workflows or positions do not add up")
        merged = Fold(window=self.window, workflow=self.workflow, as_of=self.as_of, explain=self.explain)
        merged.position = max(self.position, other.position)
        merged.newest = max(self.newest, other.newest)
        for fold in (self, other):
            for workflow, tally in fold.tallies.items():
                known = merged.tallies.get(workflow)
                merged.tallies[workflow] = tally if known is None else known.merge(tally)
            for stream, run in fold.runs.items():
                if stream in merged.runs:
                    raise ValueError(f"both folds hold {stream!r}")
                merged.runs[stream] = merged._other if run is fold._other else run
        for run in merged.runs.values():
            if run is not merged._other:
                run.tally = merged.tallies[run.workflow]
        return merged
