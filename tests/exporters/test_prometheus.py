"""The Prometheus exposition: names, zeros, absence, and what promtool says of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from actum.exporters.prometheus import PrometheusText, SnapshotCollector, prometheus_name
from actum.metrics import SERIES, Durations, Point, Snapshot, Window, compute, snapshot
from tests.metrics.builders import NOON_US, SECOND, Log

GOLDEN = Path(__file__).parents[1] / "golden" / "expositions" / "prometheus.txt"


def busy() -> Log:
    """One of everything the exposition has a series for."""
    log = Log()
    log.start("a")
    log.tool("a", duration_us=15_000)
    log.tool("a", "timeout", duration_us=99_000_000)
    log.step("a", "failed", tool="pay", duration_us=10_000)
    log.step("a", "completed", tool="pay", attempt=2, duration_us=20_000)
    log.judge("a", "correct", model="m", source="model")
    log.succeed("a", 24.524)
    log.start("b", workflow='odd "name"\n\\')
    log.intervene("b")
    log.undo("b", "started")
    log.undo("b", "completed")
    log.fail("b", 90)
    log.start("c", 91)
    return log


def reports() -> Snapshot:
    window = Window(NOON_US, NOON_US + 60 * SECOND, "7d")
    return snapshot(compute(busy().events), [compute(busy().events, window=window)])


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_exposition_is_the_golden_one() -> None:
    """Byte for byte. After an intended change, write the new one with `make golden`."""
    assert PrometheusText().render(reports()).decode() == GOLDEN.read_text("utf-8")


def test_promtool_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    """`promtool check metrics` returns 0: it parses, and no name, unit, suffix or help is amiss."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is not installed, and CI needs it: apt-get install prometheus")
        pytest.skip("PROMTOOL ABSENT: the exposition was not checked; apt-get install prometheus")

    checked = subprocess.run(
        [promtool, "check", "metrics"], input=PrometheusText().render(reports()), capture_output=True
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_what_is_scraped_is_what_was_computed() -> None:
    """Every number of the snapshot is in the text once, under its derived name, and nothing else is."""
    found = samples(PrometheusText().render(reports()))

    for point in reports().points:
        series = SERIES[point.series]
        labels = frozenset(zip(series.labels, point.labels, strict=True))
        name = prometheus_name(series)
        if isinstance(point.value, Durations):
            assert found.pop((f"{name}_count", labels)) == point.value.count
            assert found.pop((f"{name}_sum", labels)) == point.value.sum_us / 1e6
            for edge_us, passed in point.value.cumulative():
                assert found.pop((f"{name}_bucket", labels | {("le", str(edge_us / 1e6))})) == passed
            assert found.pop((f"{name}_bucket", labels | {("le", "+Inf")})) == point.value.count
        else:
            assert found.pop((name, labels)) == point.value
    assert found == {}


def test_buckets_are_those_of_the_specification() -> None:
    """Workflows 1 to 7200 s, tools .01 to 81.92 s, doubling; an edge belongs to the bucket it closes."""
    found = samples(PrometheusText().render(reports()))
    edges = {
        name: sorted({float(dict(labels)["le"]) for sample, labels in found if sample == f"{name}_bucket"})
        for name in ("actum_workflow_duration_seconds", "actum_tool_call_duration_seconds")
    }

    assert edges["actum_workflow_duration_seconds"][:-1] == [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]
    assert edges["actum_tool_call_duration_seconds"][:-1] == [0.01 * 2**i for i in range(14)]
    paid = {("tool", "pay"), ("outcome", "failure")}
    assert found["actum_tool_call_duration_seconds_bucket", frozenset({*paid, ("le", "0.01")})] == 1


def test_no_timestamps_and_no_created_series() -> None:
    """Timestamps would switch off staleness handling, `_created` would double the series."""
    text = PrometheusText().render(reports()).decode()

    assert "_created" not in text
    for family in text_string_to_metric_families(text):
        assert all(sample.timestamp is None for sample in family.samples)


def test_an_empty_log_is_no_error() -> None:
    """Nothing recorded means a head of 0 and no other series of workflows."""
    found = samples(PrometheusText().render(snapshot(compute([]))))

    assert found["actum_log_head_position", frozenset()] == 0
    assert not {name for name, _ in found if name.startswith(("actum_workflow", "actum_success"))}


def test_one_broken_family_does_not_cost_the_scrape() -> None:
    """It is left out and counted; every other family is still there."""
    broken = Snapshot(0, (Point("actum.workflow.duration", ("flow", "success"), 3), *reports().points))
    collector = SnapshotCollector(lambda: broken)

    families: dict[str, Metric] = {family.name: family for family in collector.collect()}

    assert "actum_workflow_duration_seconds" not in families
    assert "actum_workflow_executions" in families
    assert [s.labels["family"] for s in families["actum_export_errors"].samples] == ["actum.workflow.duration"]


def test_registering_collects_nothing_and_scrapes_are_current() -> None:
    """A server may register before there is anything to read; each scrape then asks for the snapshot of its moment."""
    asked: list[int] = []

    def current() -> Snapshot:
        asked.append(1)
        return snapshot(compute(busy().events[: len(asked)]))

    registry = CollectorRegistry()
    registry.register(SnapshotCollector(current))
    assert asked == []
    assert registry.get_sample_value("actum_log_head_position") == 1
    assert registry.get_sample_value("actum_log_head_position") == 2


if __name__ == "__main__":
    GOLDEN.write_bytes(PrometheusText().render(reports()))
