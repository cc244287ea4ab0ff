"""What exporters get: facts as counters, truth as gauges, zero for what is possible, nothing for what is unknown."""

from __future__ import annotations

import pytest

from actum.errors import BadInput
from actum.metrics import SERIES, Durations, Window, compute, snapshot
from tests.metrics.builders import NOON_US, SECOND, Log


def values(log: Log) -> dict[tuple[str, tuple[str, ...]], object]:
    return {(point.series, point.labels): point.value for point in snapshot(compute(log.events)).points}


@pytest.fixture
def log() -> Log:
    log = Log()
    log.start("a")
    log.succeed("a", 5)
    return log


def test_every_outcome_of_a_known_workflow_is_there_with_zero(log: Log) -> None:
    """A counter born at 1 loses its first increment, so each starts at 0."""
    found = values(log)

    for outcome, times in (("success", 1), ("failure", 0), ("timeout", 0), ("cancelled", 0)):
        assert found["actum.workflow.executions", ("flow", outcome)] == times


def test_a_counter_keeps_what_was_recorded_and_a_gauge_says_what_is_true(log: Log) -> None:
    """A correction moves the ratio; the count of what was first recorded never goes down."""
    log.add("a", "execution.corrected", supersedes=1, outcome="failure")

    found = values(log)

    assert found["actum.workflow.executions", ("flow", "success")] == 1
    assert found["actum.success_ratio", ("flow", "all")] == 0.0


def test_cancelled_is_cancelled_by_whomever(log: Log) -> None:
    """The counter knows the four outcomes of the specification; who cancelled matters to the ratio."""
    for name, by in (("u", "user"), ("s", "system")):
        log.start(name)
        log.cancel(name, by=by)

    found = values(log)

    assert found["actum.workflow.executions", ("flow", "cancelled")] == 2
    assert found["actum.workflow.executions", ("flow", "failure")] == 0
    assert found["actum.success_ratio", ("flow", "all")] == 0.5


def test_what_has_no_data_is_absent() -> None:
    """No ratio, bound, confidence or time to error without anything to compute it from; the head is known to be 0."""
    log = Log()
    log.start("a")
    empty = {point.series for point in snapshot(compute([])).points}
    begun = {series for series, _ in values(log)}

    for found in (empty, begun):
        assert not {name for name in found if "_ratio" in name or "mean_time" in name}
    assert values(Log())["actum.log.head_position", ()] == 0
    assert values(log)["actum.log.head_position", ()] == 1


def test_further_windows_add_gauges_only(log: Log) -> None:
    """Each window's ratios carry its label; counters come from the whole log alone, whose report must be first."""
    window = Window(NOON_US, NOON_US + 10 * SECOND, "7d")
    whole, recent = compute(log.events), compute(log.events, window=window)

    points = snapshot(whole, [recent]).points

    assert ("actum.success_ratio", ("flow", "7d")) in {(p.series, p.labels) for p in points}
    assert len([p for p in points if p.series == "actum.workflow.executions"]) == 4
    with pytest.raises(BadInput, match="whole log"):
        snapshot(recent)


def test_points_fit_their_series(log: Log) -> None:
    """Every point belongs to a series of the table, has as many labels, and a value of its kind; none comes twice."""
    log.start("b")
    log.tool("b", duration_us=5)
    log.judge("b", "correct", model="m")
    log.step("b", "failed", tool="pay")
    log.step("b", "failed", attempt=2, tool="pay", final=True)
    log.step("b", "scheduled", step="train", needs={"gpu": 1})
    log.step("b", "started", step="train")
    log.undo("b", "started")
    log.intervene("b")
    log.fail("b", 9)
    points = snapshot(compute(log.events)).points

    for point in points:
        series = SERIES[point.series]
        assert len(point.labels) == len(series.labels)
        assert isinstance(point.value, Durations) == (series.kind == "histogram")
    assert len({(point.series, point.labels) for point in points}) == len(points)
    assert {point.series for point in points} == set(SERIES)
    by_name = {(point.series, point.labels): point.value for point in points}
    assert by_name["actum.retry.sequences", ("tool", "failure")] == 1
    assert by_name["actum.compensations", ("flow", "failure")] == 1
