"""Which counts make which rate. A rate is what it is called after: of the error rate `good` are the errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from actum.metrics.execution import UNKNOWN
from actum.metrics.rate import NO_RATE, Rate
from actum.metrics.sums import JUDGED_IN_SUCCESS_RATE, Cell, Sums

__all__ = ["accuracy", "cells_of", "ended", "intervention", "rate_of", "retry_success", "success"]


def cells_of(sums: Sums, outcomes: Iterable[str]) -> list[Cell]:
    return [sums.cells[outcome] for outcome in outcomes if outcome in sums.cells]


def ended(sums: Sums) -> list[Cell]:
    return [cell for outcome, cell in sums.cells.items() if outcome != UNKNOWN]


def success(sums: Sums) -> Rate:
    valid = sum(cell.executions for cell in cells_of(sums, JUDGED_IN_SUCCESS_RATE))
    return Rate(sum(cell.executions for cell in cells_of(sums, ["success"])), valid)


def _clean_success(sums: Sums) -> Rate:
    return Rate(sum(cell.clean for cell in cells_of(sums, ["success"])), success(sums).valid)


def _compensation(sums: Sums) -> Rate:
    return Rate(sum(cell.compensated for cell in ended(sums)), sum(cell.executions for cell in ended(sums)))


def _compensation_success(sums: Sums) -> Rate:
    return Rate(sums.tally.compensations["success"], sums.tally.compensations.total())


def _step_compensation(sums: Sums) -> Rate:
    return Rate(sum(cell.compensated_steps for cell in ended(sums)), sum(cell.completed_steps for cell in ended(sums)))


def intervention(sums: Sums) -> Rate:
    return Rate(sum(cell.intervened for cell in ended(sums)), sum(cell.executions for cell in ended(sums)))


def accuracy(sums: Sums, *, targeted: bool = False) -> Rate:
    found = NO_RATE
    for (_, aimed), rate in sums.accuracy.items():
        if aimed == targeted:
            found = found.merge(rate)
    return found


def _tool_errors(sums: Sums) -> Rate:
    valid = sum(durations.things for durations in sums.tally.tools.values())
    good = sum(durations.things for (_, outcome), durations in sums.tally.tools.items() if outcome != "success")
    return Rate(good, valid)


def retry_success(sums: Sums) -> Rate:
    closed = sums.tally.sequences
    return Rate(sum(times for (_, _, completed), times in closed.items() if completed), closed.total())


_RATES: Final[dict[str, Callable[[Sums], Rate]]] = {
    "success_rate": success,
    "clean_success_rate": _clean_success,
    "compensation_rate": _compensation,
    "compensation_success_rate": _compensation_success,
    "step_compensation_rate": _step_compensation,
    "human_intervention_rate": intervention,
    "model_accuracy": accuracy,
    "tool_error_rate": _tool_errors,
    "retry_success_rate": retry_success,
}


def rate_of(metric: str, sums: Sums) -> Rate:
    """The counts of a metric that is a rate."""
    return _RATES[metric](sums)
