"""The one registry of metrics: names, units, formulae, what is counted, and what each can be split by.

`actum metrics` reports and explains them in this order. What exporters send of them is in `actum.metrics.series`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from actum.errors import BadInput, near_miss

__all__ = [
    "INTERVENTION_KINDS",
    "JUDGE_SOURCES",
    "LABELS",
    "METRICS",
    "NO_VALUE",
    "OURS",
    "OUTCOMES",
    "TOOL_EDGES_US",
    "VERDICTS",
    "WORKFLOW_EDGES_US",
    "Metric",
    "check_label",
    "check_metric",
]

NO_VALUE: Final = "__none__"
"""The label value of things that carry no such label."""

OUTCOMES: Final = ("success", "failure", "timeout", "cancelled")
INTERVENTION_KINDS: Final = (
    "override",
    "edit",
    "manual_retry",
    "skip",
    "takeover",
    "stop",
    "escalation",
    "correction",
    "manual_step",
)
VERDICTS: Final = ("correct", "incorrect")
JUDGE_SOURCES: Final = ("human", "deterministic", "model")

WORKFLOW_EDGES_US: Final = tuple(s * 1_000_000 for s in (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200))
TOOL_EDGES_US: Final = tuple(10_000 * 2**i for i in range(14))
"""0.01 s doubling to 81.92 s, the buckets of the GenAI conventions."""

Label = Literal["workflow", "tool", "model", "outcome", "error_type"]
LABELS: Final[tuple[Label, ...]] = ("workflow", "tool", "model", "outcome", "error_type")

Kind = Literal["rate", "probability", "per_k", "durations", "mean_time", "count", "average"]


class Metric(NamedTuple):
    """What one metric means. `good` and `valid` say in words what the two counts count."""

    name: str
    letters: str
    title: str
    kind: Kind
    unit: str
    formula: str
    good: str
    valid: str
    labels: tuple[Label, ...]
    """What it can be split by; a group of any other label leaves it out."""
    no_data: str
    """When it has no value, in words. It is then null in JSON and absent from what exporters send."""
    source: str
    """Where formula or method come from; OURS is a definition of this project."""


OURS: Final = "ours"
_NONE_ENDED: Final = "no execution ended"
_NONE_JUDGED: Final = "no execution ended but those a user cancelled, and none is past its deadline"

_ALL_RUNS: tuple[Label, ...] = ("workflow",)
_BY_OUTCOME: tuple[Label, ...] = ("workflow", "outcome")

_METRICS: tuple[Metric, ...] = (
    Metric(
        "success_rate",
        "SR",
        "Success Rate",
        "rate",
        "ratio",
        "success / (success + failure + timeout + cancelled by the system + unknown past its deadline)",
        "executions that succeeded",
        "executions that ended or are past their deadline, without those a user cancelled",
        _ALL_RUNS,
        _NONE_JUDGED,
        OURS,
    ),
    Metric(
        "clean_success_rate",
        "",
        "Clean success",
        "rate",
        "ratio",
        "success without retry, compensation or intervention / the denominator of the success rate",
        "executions that succeeded at the first try, untouched",
        "as for the success rate",
        _ALL_RUNS,
        _NONE_JUDGED,
        OURS,
    ),
    Metric(
        "compensation_rate",
        "CR",
        "Compensation Rate",
        "rate",
        "ratio",
        "executions with at least one compensation.started or .completed / executions that ended",
        "executions that undid something",
        "executions that ended",
        _BY_OUTCOME,
        _NONE_ENDED,
        OURS,
    ),
    Metric(
        "compensation_success_rate",
        "",
        "Compensations that worked",
        "rate",
        "ratio",
        "compensations completed / compensations completed, failed for good, or left open by an ended execution",
        "compensations that completed",
        "compensations that closed",
        _ALL_RUNS,
        "no compensation closed",
        OURS,
    ),
    Metric(
        "step_compensation_rate",
        "",
        "Steps undone",
        "rate",
        "ratio",
        "compensated steps / completed steps, over executions that ended; a step that was undone had completed",
        "steps that were undone",
        "steps that completed",
        _BY_OUTCOME,
        "no execution that ended had completed a step",
        OURS,
    ),
    Metric(
        "human_intervention_rate",
        "HIR",
        "Human Intervention Rate",
        "rate",
        "ratio",
        "executions with at least one intervention.recorded / executions that ended; approvals are planned and apart",
        "executions a person stepped into unplanned",
        "executions that ended",
        _BY_OUTCOME,
        _NONE_ENDED,
        OURS,
    ),
    Metric(
        "model_accuracy",
        "MA",
        "Model Accuracy",
        "rate",
        "ratio",
        "correct / judged decisions, by the decision's time; human over deterministic over model, later over earlier; "
        "labels sampled at random or by census only",
        *("decisions judged correct", "decisions judged", ("workflow", "model")),
        "no decision was judged from a random sample or a census",
        OURS,
    ),
    Metric(
        "pass_confidence",
        "PC",
        "Pass Confidence",
        "probability",
        "probability",
        "P(true success rate ≥ target | k of n) = 1 − I_target(k+½, n−k+½), Jeffreys prior",
        "k: executions that succeeded",
        "n: the denominator of the success rate",
        _ALL_RUNS,
        _NONE_JUDGED,
        "posterior of a binomial rate under the Jeffreys prior; see Brown, Cai and DasGupta, Interval Estimation for a "
        "Binomial Proportion, Statistical Science 16 (2001)",
    ),
    Metric(
        "pass_hat_k",
        "pass^k",
        "All of k tries pass",
        "per_k",
        "probability",
        "mean over tasks with n ≥ k trials and c passes of C(c,k) / C(n,k)",
        "trials that passed",
        "trials of tasks",
        _ALL_RUNS,
        "no execution names its task; for one k: no task has so many trials",
        "tau-bench, arXiv:2406.12045, section 3",
    ),
    Metric(
        "pass_at_k",
        "pass@k",
        "Any of k tries passes",
        "per_k",
        "probability",
        "mean over tasks with n ≥ k trials and c passes of 1 − C(n−c,k) / C(n,k)",
        "trials that passed",
        "trials of tasks",
        _ALL_RUNS,
        "no execution names its task; for one k: no task has so many trials",
        "Chen et al., arXiv:2107.03374, section 2.1",
    ),
    Metric(
        "tool_error_rate",
        "",
        "Tool Error Rate",
        "rate",
        "ratio",
        "tool attempts that ended in failure or timeout / tool attempts that ended; `good` counts the errors",
        *("tool attempts that failed or timed out", "tool attempts that ended", ("workflow", "tool")),
        "no tool attempt ended",
        OURS,
    ),
    Metric(
        "tool_call_latency",
        "TCL",
        "Tool Call Latency",
        "durations",
        "s",
        "duration of every tool attempt, whatever its outcome; percentiles by nearest rank",
        *("", "tool attempts whose duration is known", ("workflow", "tool", "outcome")),
        "no tool attempt ended whose duration is known",
        "nearest rank: the value at rank ⌈p·n/100⌉; over 10,000 values an OpenTelemetry exponential histogram, scale 5",
    ),
    Metric(
        "resource_wait",
        "",
        "Resource Wait",
        "durations",
        "s",
        "step.scheduled to step.started, for every pool, rate limit and breaker that the step needed; "
        "percentiles by nearest rank",
        *("", "attempts that waited for what they needed", _ALL_RUNS),
        "no step began that needed a pool, a rate limit or a breaker",
        "percentiles as for the tool call latency",
    ),
    Metric(
        "workflow_completion_time",
        "WCT",
        "Workflow Completion Time",
        "durations",
        "s",
        "execution.started to its end, without what users cancelled; successes, failures and active time also apart; "
        "percentiles by nearest rank",
        "",
        "executions that ended, but those a user cancelled, and whose duration is known",
        _BY_OUTCOME,
        "no execution ended but those a user cancelled, or their durations are unknown",
        "percentiles as for the tool call latency",
    ),
    Metric(
        "mean_time_to_error",
        "MTTE",
        "Mean Time To Error",
        "mean_time",
        "s",
        "exposure / failed executions; exposure runs from the first event to the end of the window or the last event",
        *("failed executions", "executions in the denominator of the success rate", ("workflow", "error_type")),
        "no execution failed (then only the lower bound is given), or no times are known",
        "exact Poisson interval, Garwood 1936",
    ),
    Metric(
        "retry_success_rate",
        "RSR",
        "Retry Success Rate",
        "rate",
        "ratio",
        "operations that failed, were retried and completed / operations that failed, were retried and closed",
        *("retried operations that completed", "retried operations that closed", ("workflow", "tool", "error_type")),
        "no retried operation closed",
        OURS,
    ),
    Metric(
        "in_flight",
        "",
        "In flight",
        "count",
        "executions",
        "executions begun before the end of the window that had not ended by then; age counts to that same instant",
        "",
        "executions begun and not ended",
        _ALL_RUNS,
        "never: none is 0; the age of the oldest is null when none is in flight or no times are known",
        OURS,
    ),
    Metric(
        "cost_per_success",
        "",
        "Cost per success",
        "average",
        "USD",
        "cost of all ended executions whose cost is known / successes among them",
        "cost in nano-dollars",
        "successes of known cost",
        _ALL_RUNS,
        "no execution of known cost succeeded",
        OURS,
    ),
    Metric(
        "tokens_per_execution",
        "",
        "Tokens per execution",
        "average",
        "tokens",
        "input and output tokens of ended executions / ended executions whose tokens are known",
        "tokens",
        "ended executions of known use",
        _BY_OUTCOME,
        "no execution ended whose tokens are known",
        OURS,
    ),
    Metric(
        "plan_churn",
        "",
        "Plan churn",
        "average",
        "retries",
        "retries of steps / executions that ended",
        "retries",
        "executions that ended",
        _BY_OUTCOME,
        _NONE_ENDED,
        OURS,
    ),
)
METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in _METRICS}


def check_label(label: str) -> Label:
    """The label, if numbers can be split by it; else `BadInput` names those that can."""
    for known in LABELS:
        if label == known:
            return known
    raise BadInput(f"metrics cannot be split by {label!r}{near_miss(label, LABELS)}; labels: {', '.join(LABELS)}")


def check_metric(name: str) -> Metric:
    """The metric of this name or of these letters (`SR`); else `BadInput` names those there are."""
    for metric in METRICS.values():
        if name == metric.name or (metric.letters and name.upper() == metric.letters.upper()):
            return metric
    raise BadInput(f"no metric {name!r}{near_miss(name, METRICS)}; metrics: {', '.join(METRICS)}")
