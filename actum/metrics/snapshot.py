"""What exporters send: every series with the values of its labels, taken from reports at one position.

Counters come from a report over the whole log, because they count facts and never go down. Gauges come from every
report given, one per window. What has no data is absent, and what is known to be possible is there with zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from actum.errors import BadInput
from actum.metrics.catalog import (
    INTERVENTION_KINDS,
    JUDGE_SOURCES,
    NO_VALUE,
    OUTCOMES,
    TOOL_EDGES_US,
    VERDICTS,
    WORKFLOW_EDGES_US,
)
from actum.metrics.durations import Durations
from actum.metrics.interval import clopper_pearson, pass_confidence
from actum.metrics.numbers import mean_time_to_error
from actum.metrics.rates import rate_of
from actum.metrics.report import Report
from actum.metrics.sums import Sums
from actum.metrics.window import WHOLE_LOG

__all__ = ["Point", "Snapshot", "snapshot"]

_RATIOS = {
    "actum.success_ratio": "success_rate",
    "actum.compensation_ratio": "compensation_rate",
    "actum.human_intervention_ratio": "human_intervention_rate",
    "actum.model_accuracy_ratio": "model_accuracy",
    "actum.retry_success_ratio": "retry_success_rate",
}
_TOOL_OUTCOMES = ("success", "failure", "timeout")


class Point(NamedTuple):
    """One value of one series; `labels` are the values of the series' labels, in its order."""

    series: str
    labels: tuple[str, ...]
    value: int | float | Durations


class Snapshot(NamedTuple):
    """All points at one position of the log."""

    as_of: int | None
    points: tuple[Point, ...]


def snapshot(whole: Report, windows: Sequence[Report] = ()) -> Snapshot:
    """The points of a report over the whole log, and the gauges of further reports over windows.

    Raises `BadInput` when the first report has a window: its counts would fall as the window moves on.
    """
    if whole.window is not None:
        raise BadInput("counters need a report over the whole log, not one over a window; nothing was exported")
    points = [*_counters(whole), *_pass_confidence(whole), *_self(whole)]
    for report in (whole, *windows):
        points += _gauges(report)
    return Snapshot(whole.as_of, tuple(points))


def _counters(report: Report) -> Iterator[Point]:
    for workflow, sums in sorted(report.by_workflow.items()):
        for outcome in OUTCOMES:
            yield Point("actum.workflow.executions", (workflow, outcome), sums.recorded[outcome])
            durations = sums.recorded_durations.get(outcome, Durations(WORKFLOW_EDGES_US))
            yield Point("actum.workflow.duration", (workflow, outcome), durations)
        for outcome in ("success", "failure"):
            yield Point("actum.compensations", (workflow, outcome), sums.tally.compensations[outcome])
        for kind in INTERVENTION_KINDS:
            yield Point("actum.human.interventions", (workflow, kind), sums.tally.interventions[kind])
    yield from _tools(report.whole)
    yield from _judged(report.whole)


def _tools(sums: Sums) -> Iterator[Point]:
    tally = sums.tally
    for tool in sorted({tool for tool, _ in tally.tools}):
        for outcome in _TOOL_OUTCOMES:
            durations = tally.tools.get((tool, outcome), Durations(TOOL_EDGES_US))
            yield Point("actum.tool.call.duration", (tool, outcome), durations)
    for resource, waits in sorted(tally.waits.items()):
        yield Point("actum.resource.wait", (resource,), waits)
    closed = {(level, outcome): 0 for level in ("step", "tool") for outcome in ("success", "failure")}
    for (tool, _, completed), times in tally.sequences.items():
        closed["step" if tool == NO_VALUE else "tool", "success" if completed else "failure"] += times
    for labels, times in closed.items():
        yield Point("actum.retry.sequences", labels, times)


def _judged(sums: Sums) -> Iterator[Point]:
    for model in sorted({model for model, _, _ in sums.tally.judged}):
        for verdict in VERDICTS:
            for source in JUDGE_SOURCES:
                yield Point(
                    "actum.decisions.judged", (model, verdict, source), sums.tally.judged[model, verdict, source]
                )


def _pass_confidence(report: Report) -> Iterator[Point]:
    for workflow, sums in sorted(report.by_workflow.items()):
        value = pass_confidence(*rate_of("success_rate", sums), report.target)
        if value is not None:
            yield Point("actum.pass_confidence_ratio", (workflow, f"{report.target:g}"), value)


def _gauges(report: Report) -> Iterator[Point]:
    window = WHOLE_LOG if report.window is None else report.window.label
    for workflow, sums in sorted(report.by_workflow.items()):
        labels = (workflow, window)
        for name, metric in _RATIOS.items():
            rate = rate_of(metric, sums)
            lower, upper, _ = clopper_pearson(*rate)
            for point, value in ((name, rate.ratio), (f"{name}_ci_lower", lower), (f"{name}_ci_upper", upper)):
                if value is not None:
                    yield Point(point, labels, value)
        mean_time = mean_time_to_error(report.view(sums))["value_s"]
        if mean_time is not None:
            yield Point("actum.mean_time_to_error", labels, mean_time)


def _self(report: Report) -> Iterator[Point]:
    yield Point("actum.log.head_position", (), 0 if report.as_of is None else report.as_of + 1)
    quality = report.quality()
    yield Point("actum.events.duplicate", (), quality["duplicate"])
    for reason in ("negative_duration", "unmatched_correction", "conflict"):
        yield Point("actum.events.rejected", (reason,), quality[reason])
