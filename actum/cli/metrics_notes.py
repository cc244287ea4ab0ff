"""What must be known beside a metric so that it is not misread, in a few words."""

from __future__ import annotations

from typing import Any

from actum.cli.metrics_units import ratio, seconds
from actum.cli.output import how_many
from actum.metrics import Metric

__all__ = ["note_on"]


def note_on(metric: Metric, value: Any) -> str:
    """The note on one metric's JSON; empty when there is nothing to add."""
    if value is None:
        return ""
    match metric.name:
        case "success_rate":
            notes = _success(value)
        case "human_intervention_rate":
            notes = _approvals(value)
        case "model_accuracy":
            notes = _accuracy(value)
        case "pass_confidence":
            notes = [f"that the true rate is at least {ratio(value['target'])}"]
            if value["n_needed"]:
                notes.append(f"{how_many(value['n_needed'], 'more clean pass', 'more clean passes')} to be 95 % sure")
        case "mean_time_to_error":
            notes = _mean_time(value)
        case "retry_success_rate" if value.get("attempts", {}).get("valid"):
            attempts = value["attempts"]
            notes = [f"of later attempts {attempts['good']:,} of {attempts['valid']:,} completed"]
        case "in_flight" if value["oldest_age_s"] is not None:
            notes = [f"oldest for {seconds(value['oldest_age_s'])}"]
        case "tool_error_rate":
            notes = ["counted are the errors"] if value["valid"] else []
        case "plan_churn":
            notes = [how_many(value["retries"], "retry", "retries")] if value["retries"] else []
        case "cost_per_success" | "tokens_per_execution":
            notes = _total(value)
        case "tool_call_latency" | "resource_wait" | "workflow_completion_time":
            notes = _durations(value)
        case _:
            notes = []
    return "; ".join(notes)


def _success(value: dict[str, Any]) -> list[str]:
    outcomes = value.get("outcomes", {})
    notes = []
    if outcomes.get("cancelled"):
        notes.append(f"{outcomes['cancelled']:,} cancelled by users left out")
    if outcomes.get("unknown"):
        notes.append(f"{outcomes['unknown']:,} unheard of past their deadline count as failed")
    if value.get("repeated_trials"):
        notes.append("tasks repeat, so the interval is too narrow")
    return notes


def _approvals(value: dict[str, Any]) -> list[str]:
    approvals = value.get("approvals") or {}
    if not any(approvals.values()):
        return []
    return ["planned approvals: " + ", ".join(f"{times:,} {outcome}" for outcome, times in approvals.items())]


def _accuracy(value: dict[str, Any]) -> list[str]:
    notes = []
    coverage = value.get("coverage")
    if coverage is not None and coverage["valid"]:
        notes.append(
            f"coverage {ratio(coverage['ratio'])} ({coverage['good']:,} of {coverage['valid']:,} decisions judged)"
        )
    targeted = value.get("targeted")
    if targeted and targeted["valid"]:
        notes.append(f"of those judged because they looked wrong {targeted['good']:,} of {targeted['valid']:,}")
    return notes


def _mean_time(value: dict[str, Any]) -> list[str]:
    notes = []
    if value["exposure_s"] is not None:
        notes.append(f"over {seconds(value['exposure_s'])}")
    if value["executions_per_error"] is not None:
        notes.append(f"{value['executions_per_error']:,.1f} executions per error")
    if value["unknown"]:
        notes.append(f"{how_many(value['unknown'], 'execution')} without times left out")
    return notes


def _total(value: dict[str, Any]) -> list[str]:
    notes = []
    if value.get("total_usd") is not None:
        notes.append(f"{value['total_usd']:,.6f} USD in all, failures included")
    if value["unknown"]:
        notes.append(f"{how_many(value['unknown'], 'execution')} of unknown use left out")
    return notes


def _durations(value: dict[str, Any]) -> list[str]:
    notes = []
    if value["method"] == "nearest_rank":
        notes.append("by nearest rank")
    elif value["method"] == "histogram":
        notes.append("percentiles within 1.08 %")
    if value["unknown"]:
        notes.append(f"{value['unknown']:,} unknown")
    if value["rejected"]:
        notes.append(f"{value['rejected']:,} negative, left out")
    return notes
