"""What leaves the house: every series that exporters send, under its OpenTelemetry name.

Each exporter derives its own spelling from this table and from nothing else, so a name cannot mean two things. What
the numbers mean is in `actum.metrics.catalog`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = ["SERIES", "Series"]


class Series(NamedTuple):
    """What an exporter sends: its OpenTelemetry name and UCUM unit, and its labels in order."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    labels: tuple[str, ...]
    help: str
    of: tuple[str, ...] = ()
    """The metrics of the catalogue that it serves; empty for a series about the log itself."""


_RATIOS: Final = {
    "success_rate": ("success", "Executions that succeeded, of those that ended."),
    "compensation_rate": ("compensation", "Executions that undid something, of those that ended."),
    "human_intervention_rate": (
        "human_intervention",
        "Executions a person stepped into unplanned, of those that ended.",
    ),
    "model_accuracy": ("model_accuracy", "Decisions judged correct, of those judged."),
    "retry_success_rate": ("retry_success", "Retried operations that completed, of those that closed."),
}
"""Metric → the middle of its series' names, and what it says."""


def _ratio_series() -> list[Series]:
    found = []
    for metric, (name, text) in _RATIOS.items():
        found.append(Series(f"actum.{name}_ratio", "gauge", "1", ("workflow", "window"), text, (metric,)))
        for bound, word in (("lower", "Lower"), ("upper", "Upper")):
            help_ = f"{word} bound of the exact 95 % interval of actum_{name}_ratio."
            found.append(
                Series(f"actum.{name}_ratio_ci_{bound}", "gauge", "1", ("workflow", "window"), help_, (metric,))
            )
    return found


_SERIES: tuple[Series, ...] = (
    Series(
        *("actum.workflow.executions", "counter", "{execution}", ("workflow", "outcome")),
        "Executions that ended, by the outcome first recorded.",
        ("success_rate",),
    ),
    Series(
        *("actum.workflow.duration", "histogram", "s", ("workflow", "outcome")),
        "Start to end of executions whose duration is known.",
        ("workflow_completion_time",),
    ),
    Series(
        *("actum.tool.call.duration", "histogram", "s", ("tool", "outcome")),
        "Duration of tool attempts, whatever their outcome.",
        ("tool_call_latency", "tool_error_rate"),
    ),
    Series(
        *("actum.resource.wait", "histogram", "s", ("resource",)),
        "How long steps were scheduled until they had the pools, rate limits and breakers that they needed.",
        ("resource_wait",),
    ),
    Series(
        *("actum.retry.sequences", "counter", "{sequence}", ("level", "outcome")),
        "Operations that failed and were retried, once closed.",
        ("retry_success_rate",),
    ),
    Series(
        *("actum.compensations", "counter", "{compensation}", ("workflow", "outcome")),
        "Compensations, once closed.",
        ("compensation_success_rate",),
    ),
    Series(
        *("actum.human.interventions", "counter", "{intervention}", ("workflow", "kind")),
        "What people did that was not planned.",
        ("human_intervention_rate",),
    ),
    Series(
        *("actum.decisions.judged", "counter", "{decision}", ("model", "verdict", "source")),
        "Verdicts recorded on decisions.",
        ("model_accuracy",),
    ),
    *_ratio_series(),
    Series(
        *("actum.pass_confidence_ratio", "gauge", "1", ("workflow", "target")),
        "Probability that the true success rate reaches the target (Jeffreys).",
        ("pass_confidence",),
    ),
    Series(
        *("actum.mean_time_to_error", "gauge", "s", ("workflow", "window")),
        "Exposure per failed execution.",
        ("mean_time_to_error",),
    ),
    Series(
        "actum.log.head_position", "gauge", "1", (), "Number of events in the log these numbers were computed from."
    ),
    Series("actum.events.duplicate", "counter", "{event}", (), "Events seen again and counted once."),
    Series("actum.events.rejected", "counter", "{event}", ("reason",), "Values that were left out, by reason."),
)
SERIES: Final[dict[str, Series]] = {series.name: series for series in _SERIES}
