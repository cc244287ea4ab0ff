"""From a fold to sums: which execution belongs to the window, and as what."""

from __future__ import annotations

from typing import NamedTuple

from actum.events import to_us
from actum.metrics.execution import CONTINUED, Execution, Label
from actum.metrics.fold import NOTED_TYPES, Fold
from actum.metrics.sums import JUDGED_IN_SUCCESS_RATE, Sums

__all__ = ["Place", "collect", "positions_behind"]

_OVER_ALL_ENDS = frozenset(
    {
        "compensation_rate",
        "step_compensation_rate",
        "human_intervention_rate",
        "tokens_per_execution",
        "plan_churn",
        "cost_per_success",
    }
)


class Place(NamedTuple):
    """Where numbers stand in time: the window's bounds in microseconds, and the last instant they know of.

    `until_us` is the end of the window or, where the log has not come so far, its newest instant: nothing is
    claimed about time of which the log cannot know. None for an empty log.
    """

    from_us: int | None
    to_us: int | None
    until_us: int | None

    @classmethod
    def of(cls, fold: Fold) -> Place:
        newest = to_us(fold.newest) if fold.newest else None
        if fold.window is None:
            return cls(None, None, newest)
        until = fold.window.to_us if newest is None else min(newest, fold.window.to_us)
        return cls(fold.window.from_us, fold.window.to_us, until)

    def holds(self, instant_us: int) -> bool:
        return (self.from_us is None or self.from_us <= instant_us) and (self.to_us is None or instant_us < self.to_us)

    def standing(self, run: Execution) -> str:
        """`ended` in the window, `in_flight` at its end, or `elsewhere`."""
        if run.outcome == CONTINUED:
            return "elsewhere"
        if run.outcome is not None and run.inside:
            return "ended"
        if run.started_us is None:
            return "elsewhere"
        begun = self.to_us is None or run.started_us < self.to_us
        if run.outcome is not None:
            later = self.to_us is not None and run.ended_us is not None and run.ended_us >= self.to_us
            return "in_flight" if begun and later else "elsewhere"
        overdue = run.deadline_us is not None and self.until_us is not None and run.deadline_us < self.until_us
        if overdue:
            assert run.deadline_us is not None
            return "ended" if self.holds(run.deadline_us) else "elsewhere"
        return "in_flight" if begun else "elsewhere"


def collect(fold: Fold) -> tuple[dict[str, Sums], dict[str, list[int]]]:
    """The sums of every workflow, and the positions behind every metric that the fold was asked to explain.

    The fold is left as it is and may go on.
    """
    place = Place.of(fold)
    found = {workflow: Sums(tally.copy()) for workflow, tally in fold.tallies.items()}
    behind: dict[str, list[int]] = {metric: [] for metric in fold.explain}
    for run in fold.runs.values():
        if fold.workflow is not None and run.workflow != fold.workflow:
            continue
        sums = found[run.workflow]
        standing = place.standing(run)
        if standing == "ended":
            sums.add_ended(run)
        elif standing == "in_flight":
            sums.add_in_flight(run)
        if run.outcome is not None:
            sums.add_left_open(run)
        if run.labels:
            for (decision, of, targeted), label in run.labels.items():
                if not _decided_inside(run, of, label):
                    continue
                sums.add_label(decision, label.model, correct=label.correct, targeted=targeted)
                if "model_accuracy" in behind:
                    behind["model_accuracy"].append(label.position)
        for metric in behind:
            behind[metric] += positions_behind(metric, run, standing)
    for metric, positions in behind.items():
        for sums in found.values():
            positions += sums.tally.behind.get(metric, ())
        positions[:] = sorted(set(positions))
    return found, behind


def _decided_inside(run: Execution, of: int | None, label: Label) -> bool:
    """Whether the decision was taken in the window: when the judged event happened, else when the execution ended."""
    if of is not None:
        return run.was_inside(of)
    return run.inside if run.outcome is not None else label.inside


def positions_behind(metric: str, run: Execution, standing: str) -> list[int]:
    """The events of one execution that a metric over whole executions rests on."""
    if metric == "in_flight":
        return [run.start_position] if standing == "in_flight" else []
    if standing != "ended":
        return []
    if metric in (
        "tool_error_rate",
        "tool_call_latency",
        "resource_wait",
        "retry_success_rate",
        "compensation_success_rate",
    ):
        return []  # counted call by call, in the tally
    if metric == "model_accuracy":
        return []  # counted label by label
    if run.outcome is None if metric in _OVER_ALL_ENDS else not _judged(run):
        return []
    if metric in ("pass_hat_k", "pass_at_k") and run.task is None:
        return []
    found = [run.end_position if run.outcome is not None else run.start_position]
    if run.correction_position is not None:
        found.append(run.correction_position)
    kinds = NOTED_TYPES.get(metric, frozenset())
    found += [position for kind, position in run.notes or () if kind in kinds]
    return found


def _judged(run: Execution) -> bool:
    return run.outcome is None or run.outcome in JUDGED_IN_SUCCESS_RATE
