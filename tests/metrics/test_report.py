"""The report: the shape scripts rely on, groups, and the events behind a number."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.errors import BadInput
from actum.events import RecordedEvent
from actum.metrics import METRICS, Window, compute
from tests.metrics.builders import NOON_US, SECOND, Log

RATE = {"good", "valid", "ratio", "ci_lower", "ci_upper", "ci_method"}
TIMES = {"count", "p50_s", "p90_s", "p95_s", "p99_s", "mean_s"}


@pytest.fixture
def log() -> Log:
    log = Log()
    log.start("a", task="t")
    log.tool("a", duration_us=1_000)
    log.tool("a", "failure", tool="pay")
    log.step("a", "failed", error_type="Timeout")
    log.step("a", "completed", attempt=2)
    log.judge("a", "correct", model="m")
    log.succeed("a", 24.524)
    log.start("b", workflow="other")
    log.intervene("b")
    log.undo("b", "started")
    log.fail("b", 5, "Boom")
    return log


@pytest.mark.parametrize("empty", [False, True], ids=["some events", "no event"])
def test_the_shape_is_the_contract(log: Log, empty: bool) -> None:
    """Every key of the design's section 9 is there, with and without data, and the document is JSON."""
    found = json.loads(json.dumps(compute([] if empty else log.events).to_json(), allow_nan=False))

    assert {"as_of", "window", "filters", "metrics"} <= found.keys()
    assert {"from", "to"} <= found["window"].keys()
    metrics = found["metrics"]
    for name in (
        *("success_rate", "compensation_rate", "human_intervention_rate", "model_accuracy"),
        *("retry_success_rate", "tool_error_rate"),
    ):
        assert metrics[name].keys() >= RATE
    assert metrics["pass_confidence"].keys() >= {"value", "target", "n_needed"}
    assert "pass_hat_k" in metrics
    assert metrics["tool_call_latency"].keys() >= TIMES
    assert metrics["workflow_completion_time"].keys() >= TIMES
    assert "value_s" in metrics["mean_time_to_error"]
    assert set(METRICS) <= metrics.keys()
    assert found["as_of"] == (None if empty else log.events[-1].position)


def test_a_time_of_few_executions_is_exact(log: Log) -> None:
    """24.524 s in, 24.524 s out, and said to be by nearest rank."""
    found = compute(log.events, workflow="flow").to_json()["metrics"]["workflow_completion_time"]

    assert (found["p50_s"], found["method"]) == (24.524, "nearest_rank")


def test_filters_and_window_are_part_of_the_answer(log: Log) -> None:
    """The document says what was asked, so that it can be asked again."""
    window = Window(NOON_US, NOON_US + 10 * SECOND, "mine")

    found = compute(log.events, workflow="other", window=window, by="outcome", target=0.9).to_json()

    assert found["filters"] == {"workflow": "other", "by": "outcome", "target": 0.9}
    assert found["window"] == {
        "from": "2025-12-01T12:00:00.000000Z",
        "to": "2025-12-01T12:00:10.000000Z",
        "label": "mine",
    }
    assert found["metrics"]["success_rate"]["valid"] == 1


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("workflow", ["flow", "other"]),
        ("tool", ["pay", "search"]),
        ("model", ["m"]),
        ("outcome", ["failure", "success"]),
        ("error_type", ["Boom", "Timeout"]),
    ],
)
def test_groups_are_the_values_of_the_label(log: Log, by: str, groups: list[str]) -> None:
    """One group per value, holding exactly the metrics that can be split by the label."""
    found = compute(log.events, by=by).to_json()["groups"]

    assert list(found) == groups
    for metrics in found.values():
        assert metrics.keys() - {"pass_k_tasks"} == {name for name, of in METRICS.items() if by in of.labels}


def test_groups_hold_their_own_counts(log: Log) -> None:
    """A group counts what carries its value and nothing else."""
    tools = compute(log.events, by="tool").to_json()["groups"]
    outcomes = compute(log.events, by="outcome").to_json()["groups"]
    errors = compute(log.events, by="error_type").to_json()["groups"]
    models = compute(log.events, by="model").to_json()["groups"]

    assert (tools["pay"]["tool_error_rate"]["good"], tools["search"]["tool_error_rate"]["good"]) == (1, 0)
    assert outcomes["failure"]["workflow_completion_time"]["p50_s"] == 5.0
    assert outcomes["failure"]["human_intervention_rate"]["good"] == 1
    assert outcomes["success"]["tool_call_latency"]["count"] == 1
    assert errors["Timeout"]["retry_success_rate"]["good"] == 1
    assert errors["Boom"]["mean_time_to_error"]["errors"] == 1
    assert errors["Boom"]["mean_time_to_error"]["exposure_s"] == 24.524
    assert models["m"]["model_accuracy"]["good"] == 1


def test_nobody_asked_means_no_groups(log: Log) -> None:
    """Without `by` there is no "groups" object."""
    assert "groups" not in compute(log.events).to_json()


@pytest.mark.parametrize(
    ("metric", "positions"),
    [
        ("success_rate", [6, 10]),
        ("compensation_rate", [6, 9, 10]),
        ("human_intervention_rate", [6, 8, 10]),
        ("tool_error_rate", [1, 2]),
        ("retry_success_rate", [3, 4]),
        ("model_accuracy", [5]),
        ("pass_hat_k", [0, 6]),
        ("in_flight", []),
        ("workflow_completion_time", [0, 6, 7, 10]),
        ("compensation_success_rate", [9]),
    ],
)
def test_a_number_names_the_events_behind_it(log: Log, metric: str, positions: list[int]) -> None:
    """The positions of the ends counted, and of the events that decided how each of them counts."""
    found = compute(log.events, explain=metric).explain(metric)

    assert found["positions"] == positions
    assert found["events"] == len(positions)
    assert (found["metric"], found["formula"], found["as_of"]) == (metric, METRICS[metric].formula, 10)


def test_every_metric_can_be_explained(log: Log) -> None:
    """For each there is a formula, its numbers, and positions that exist; asking by letters is fine."""
    report = compute(log.events, explain=METRICS)
    for name in METRICS:
        found = report.explain(name)
        assert found["value"] == report.to_json()["metrics"][name]
        assert set(found["positions"]) <= {event.position for event in log.events}
    assert report.explain("sr")["metric"] == "success_rate"


def test_unknown_names_are_refused_with_the_nearest(log: Log) -> None:
    """A label, metric or target that does not exist is refused before an event is read."""

    def never_read() -> Iterator[RecordedEvent]:
        raise AssertionError("read")
        yield

    with pytest.raises(BadInput, match="did you mean 'workflow'"):
        compute(never_read(), by="workflows")
    with pytest.raises(BadInput, match="did you mean 'success_rate'"):
        compute(never_read(), explain="sucess_rate")
    with pytest.raises(BadInput, match="between 0 and 1"):
        compute(never_read(), target=1.0)
    with pytest.raises(BadInput, match="explain='success_rate'"):
        compute(log.events).explain("success_rate")
    with pytest.raises(BadInput, match="no position -2"):
        compute(never_read(), as_of=-2)


def test_before_the_first_event_there_is_an_empty_log(log: Log) -> None:
    """Position -1 is the log before it began: no data, and no position."""
    found = compute(log.events, as_of=-1).to_json()

    assert found["as_of"] is None
    assert found["metrics"]["success_rate"]["valid"] == 0


def test_the_duration_of_the_tau2_runs(data: Path) -> None:
    """120 real agent runs: median 24.524 s and 95th percentile 39.040 s by nearest rank, as the data's README says."""
    log = Log()
    for path in sorted((data / "agent_traces/tau2_bench").glob("*.json.gz")):
        for run in json.loads(gzip.decompress(path.read_bytes()))["simulations"]:
            log.start(run["id"])
            duration_us = round(run["duration"] * 1_000_000)
            if run["reward_info"]["reward"] == 1.0:
                log.succeed(run["id"], duration_us=duration_us)
            else:
                log.fail(run["id"], duration_us=duration_us)

    found = compute(log.events).to_json()["metrics"]

    assert (found["success_rate"]["good"], found["success_rate"]["valid"]) == (93, 120)
    times = found["workflow_completion_time"]
    assert (round(times["p50_s"], 3), round(times["p95_s"], 3)) == (24.524, 39.040)
    assert times["method"] == "nearest_rank"
