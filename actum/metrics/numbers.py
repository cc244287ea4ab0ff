"""From sums to numbers: one function per metric of the catalogue, each giving the JSON that scripts rely on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from actum.events import to_us
from actum.metrics.catalog import METRICS, WORKFLOW_EDGES_US, Label
from actum.metrics.collect import Place
from actum.metrics.durations import Durations
from actum.metrics.execution import STOPPED, UNKNOWN
from actum.metrics.interval import mean_time_interval, pass_confidence, passes_needed
from actum.metrics.rate import NO_RATE, Rate
from actum.metrics.rates import accuracy, cells_of, ended, intervention, rate_of, retry_success, success
from actum.metrics.sums import JUDGED_IN_SUCCESS_RATE, Sums
from actum.metrics.trials import PassK, pass_k

__all__ = ["View", "mean_time_to_error", "numbers"]


class View(NamedTuple):
    """Sums, and what it takes to read them: where they stand in time, and the target to be confident of."""

    sums: Sums
    place: Place
    target: float
    label: Label | None = None
    """What the sums were split by; None when they are whole, or those of a workflow."""


def _success_json(view: View) -> dict[str, Any]:
    rate = success(view.sums)
    cells = view.sums.cells
    unknown = cells[UNKNOWN].executions if UNKNOWN in cells else 0
    best = (rate.good + unknown) / rate.valid if rate.valid else None
    return rate.to_json() | {
        "outcomes": {
            outcome: cells[outcome].executions if outcome in cells else 0
            for outcome in (*JUDGED_IN_SUCCESS_RATE, "cancelled")
        },
        # Trials of one task fail together, so their interval is too narrow; whoever reads it must be told.
        "repeated_trials": any(trials > 1 for trials, _ in view.sums.tasks.values()),
        "ratio_if_unknown_succeeded": best,
    }


def _intervention_json(view: View) -> dict[str, Any]:
    found = intervention(view.sums).to_json()
    if view.label is None:  # what people did is counted when they did it, before the outcome is known
        tally = view.sums.tally
        found["kinds"] = {kind: tally.interventions[kind] for kind in sorted(tally.interventions)}
        found["approvals"] = {outcome: tally.approvals[outcome] for outcome in ("granted", "rejected", "expired")}
    return found


def _accuracy_json(view: View) -> dict[str, Any]:
    sums = view.sums
    found = accuracy(sums).to_json() | {"targeted": accuracy(sums, targeted=True).to_json()}
    if view.label is None:  # how many decisions a model took that nobody judged is not recorded by model
        found["coverage"] = _coverage(sums).share_json()
    return found


def _coverage(sums: Sums) -> Rate:
    """Decisions judged, of those taken: executions that ended, and completed steps of the names that were judged."""
    executions = sum(cell.executions for cell in ended(sums))
    covered = NO_RATE if sums.judged_kinds else Rate(0, executions)
    for kind, judged in sums.judged_kinds.items():
        taken = executions if kind == "execution" else sums.tally.steps[kind]
        if taken:  # a decision that was judged was taken, whether or not that was recorded as a step
            covered = covered.merge(Rate(judged, max(judged, taken)))
    return covered


def _retry_json(view: View) -> dict[str, Any]:
    found = retry_success(view.sums).to_json()
    if view.label != "error_type":  # why the first attempt failed is not kept for each later one
        attempts = view.sums.tally.attempts
        good = sum(times for (_, completed), times in attempts.items() if completed)
        found["attempts"] = Rate(good, attempts.total()).to_json()
    return found


def _confidence_json(view: View) -> dict[str, Any]:
    k, n = success(view.sums)
    return {
        "value": pass_confidence(k, n, view.target),
        "target": view.target,
        "n_needed": passes_needed(k, n, view.target),
        "k": k,
        "n": n,
        "method": "jeffreys",
    }


def _per_k_json(view: View, value: Callable[[PassK], float]) -> dict[str, Any] | None:
    found = pass_k(view.sums.tasks.values())
    return {str(k): value(of_k) for k, of_k in found.items()} or None


def _tasks_json(view: View) -> dict[str, Any] | None:
    found = pass_k(view.sums.tasks.values())
    return {str(k): {"tasks": of_k.tasks, "left_out": of_k.left_out} for k, of_k in found.items()} or None


def _merged(parts: Iterable[Durations]) -> Durations | None:
    merged: Durations | None = None
    for part in parts:
        merged = part if merged is None else merged.merge(part)
    return merged


_FAILED: Final = ("failure", "timeout", STOPPED)


def _completion_json(view: View) -> dict[str, Any]:
    """Of all that ended but what users cancelled; a group by outcome holds one outcome and is not taken apart."""
    if view.label == "outcome":
        return _durations_json(cell.durations for cell in view.sums.cells.values()) | {
            "active": _durations_json(cell.active for cell in view.sums.cells.values())
        }
    succeeded, failed = cells_of(view.sums, ["success"]), cells_of(view.sums, _FAILED)
    return {
        **_durations_json(cell.durations for cell in (*succeeded, *failed)),
        "successes": _durations_json(cell.durations for cell in succeeded),
        "failures": _durations_json(cell.durations for cell in failed),
        "active": _durations_json(cell.active for cell in (*succeeded, *failed)),
    }


def _waits_json(view: View) -> dict[str, Any]:
    waits = view.sums.tally.waits
    parts = {resource: durations.to_json() for resource, durations in sorted(waits.items())}
    return {**_durations_json(waits.values()), "by_resource": parts}


def _durations_json(parts: Iterable[Durations]) -> dict[str, Any]:
    return (_merged(parts) or Durations(WORKFLOW_EDGES_US)).to_json()


def mean_time_to_error(view: View) -> dict[str, Any]:
    """Exposure per failed execution in seconds, with its exact Poisson interval; null where times are unknown."""
    sums, place = view.sums, view.place
    errors = sums.errors.total()
    exposure_s = _exposure_s(sums, place)
    found: dict[str, Any] = {
        **dict.fromkeys(("value_s", "ci_lower_s", "ci_upper_s", "ci_method", "executions_per_error")),
        "exposure_s": exposure_s,
        "errors": errors,
        "unknown": sums.untimed,
        "level": "execution",
    }
    if errors:
        found["executions_per_error"] = sums.timed / errors
    if exposure_s is not None:
        found["ci_lower_s"], found["ci_upper_s"], found["ci_method"] = mean_time_interval(errors, exposure_s)
        if errors:
            found["value_s"] = exposure_s / errors
    return found


def _exposure_s(sums: Sums, place: Place) -> float | None:
    """Seconds from the first event to the end of the window or, without one, to the last event; None: unknown."""
    if not sums.tally.first_at:
        return None
    begin = to_us(sums.tally.first_at)
    end = to_us(sums.tally.last_at)
    if place.from_us is not None:
        assert place.until_us is not None
        begin, end = max(begin, place.from_us), place.until_us
    return (end - begin) / 1e6 if end > begin else None


def _in_flight_json(view: View) -> dict[str, Any]:
    sums, until = view.sums, view.place.until_us
    known = until is not None and sums.oldest_us is not None
    age = max(0, until - sums.oldest_us) / 1e6 if known else None  # type: ignore[operator]
    return {"count": sums.in_flight, "oldest_age_s": age}


def _cost_json(view: View) -> dict[str, Any]:
    cells = ended(view.sums)
    known = sum(cell.cost_known for cell in cells)
    total = sum(cell.cost_nanousd for cell in cells)
    successes = sum(cell.cost_known for cell in cells_of(view.sums, ["success"]))
    return {
        "value_usd": total / successes / 1e9 if successes else None,
        "total_usd": total / 1e9 if known else None,
        "total_nanousd": total if known else None,
        "successes": successes,
        "executions": known,
        "unknown": sum(cell.executions for cell in cells) - known,
    }


def _tokens_json(view: View) -> dict[str, Any]:
    cells = ended(view.sums)
    known = sum(cell.tokens_known for cell in cells)
    total = sum(cell.tokens for cell in cells)
    return {
        "value": total / known if known else None,
        "total": total if known else None,
        "executions": known,
        "unknown": sum(cell.executions for cell in cells) - known,
    }


def _churn_json(view: View) -> dict[str, Any]:
    cells = ended(view.sums)
    executions = sum(cell.executions for cell in cells)
    retries = sum(cell.retries for cell in cells)
    return {"value": retries / executions if executions else None, "retries": retries, "executions": executions}


_NUMBERS: Final[dict[str, Callable[[View], Any]]] = {
    "success_rate": _success_json,
    "human_intervention_rate": _intervention_json,
    "model_accuracy": _accuracy_json,
    "retry_success_rate": _retry_json,
    "pass_confidence": _confidence_json,
    "pass_hat_k": lambda view: _per_k_json(view, lambda of_k: of_k.hat),
    "pass_at_k": lambda view: _per_k_json(view, lambda of_k: of_k.at),
    "tool_call_latency": lambda view: _durations_json(view.sums.tally.tools.values()),
    "resource_wait": _waits_json,
    "workflow_completion_time": _completion_json,
    "mean_time_to_error": mean_time_to_error,
    "in_flight": _in_flight_json,
    "cost_per_success": _cost_json,
    "tokens_per_execution": _tokens_json,
    "plan_churn": _churn_json,
}


def numbers(view: View, by: Label | None = None) -> dict[str, Any]:
    """Every metric as JSON; of a group, those that can be split by its label."""
    found = {}
    for name, metric in METRICS.items():
        if by is not None and by not in metric.labels:
            continue
        found[name] = _NUMBERS[name](view) if name in _NUMBERS else rate_of(name, view.sums).to_json()
        if name == "pass_at_k":
            found["pass_k_tasks"] = _tasks_json(view)
    return found
