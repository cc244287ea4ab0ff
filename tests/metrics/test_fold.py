"""The fold: order-free across streams, blind to repetition, additive over windows and parts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.events import RecordedEvent
from actum.metrics import METRICS, Fold, Report, Window, compute, report_of
from actum.metrics.numbers import numbers
from actum.metrics.sums import Sums
from actum.metrics.tally import Tally
from tests.metrics.builders import NOON_US, SECOND, Log
from tests.metrics.logs import SPAN_S, logs

HALF = Window(NOON_US, NOON_US + SPAN_S // 2 * SECOND, "half")
windows = st.sampled_from([None, HALF])
ADDITIVE = [name for name, metric in METRICS.items() if metric.kind == "rate"]


def folded(events: Sequence[RecordedEvent], window: Window | None = None) -> Fold:
    fold = Fold(window=window, explain=METRICS)
    for event in events:
        fold.add(event)
    return fold


def everything(report: Report) -> dict[str, Any]:
    """All that a report can say."""
    return report.to_json() | {"behind": report.behind}


def by_stream(log: Log) -> list[list[RecordedEvent]]:
    return [[e for e in log.events if e.stream == stream] for stream in log.versions]


@forall(logs(), windows, st.randoms(use_true_random=False))
def test_streams_may_come_in_any_order(log: Log, window: Window | None, random: Any) -> None:
    """However streams are interleaved, as long as each keeps its own order, the result is the same."""
    queues = [list(reversed(stream)) for stream in by_stream(log)]
    shuffled = []
    while any(queues):
        shuffled.append(random.choice([queue for queue in queues if queue]).pop())

    assert everything(report_of(folded(shuffled, window))) == everything(report_of(folded(log.events, window)))


@forall(logs(), windows, st.lists(st.integers(0, 50), max_size=10))
def test_an_event_that_comes_twice_counts_once(log: Log, window: Window | None, again: list[int]) -> None:
    """Events delivered again, at any later time, change no number; how often that happened is counted."""
    twice = [log.events[i] for i in again if i < len(log.events)]

    once = everything(report_of(folded(log.events, window)))
    repeated = everything(report_of(folded([*log.events, *twice], window)))

    assert repeated["quality"].pop("duplicate") == len(twice)
    assert once["quality"].pop("duplicate") == 0
    assert repeated == once


@forall(logs(), windows, st.sets(st.sampled_from("abcde")))
def test_two_folds_over_disjoint_streams_merge_into_one(log: Log, window: Window | None, here: set[str]) -> None:
    """merge(a, b) says exactly what the fold over both says."""
    mine = [e for e in log.events if e.stream.removeprefix("execution/") in here]
    others = [e for e in log.events if e.stream.removeprefix("execution/") not in here]

    merged = folded(mine, window).merge(folded(others, window))

    assert everything(report_of(merged)) == everything(report_of(folded(log.events, window)))


@forall(logs(), windows, st.integers(0, 40))
def test_a_merged_fold_goes_on(log: Log, window: Window | None, cut: int) -> None:
    """After a merge the fold takes further events of either part's streams as if nothing had been merged."""
    first = [e for e in log.events[:cut] if e.stream < "execution/c"]
    second = [e for e in log.events[:cut] if e.stream >= "execution/c"]
    merged = folded(first, window).merge(folded(second, window))
    for event in log.events[cut:]:
        merged.add(event)

    assert everything(report_of(merged)) == everything(report_of(folded(log.events, window)))


@forall(logs(), windows)
def test_every_step_on_the_way_equals_starting_afresh(log: Log, window: Window | None) -> None:
    """Reporting after each event, and going on, gives at every position what `compute` up to there gives."""
    fold = Fold(window=window, explain=METRICS)
    for event in log.events:
        fold.add(event)
        afresh = compute(log.events, window=window, as_of=event.position, explain=METRICS)
        assert everything(report_of(fold)) == everything(afresh)


@forall(logs(), st.lists(st.integers(1, SPAN_S - 1), max_size=4, unique=True))
def test_disjoint_windows_add_up_to_the_whole(log: Log, cuts: list[int]) -> None:
    """Good and valid of every rate, summed over windows that touch, are those of the one window around them."""
    edges = [0, *sorted(cuts), SPAN_S]
    whole = compute(log.events, window=Window(NOON_US, NOON_US + SPAN_S * SECOND, "whole")).to_json()["metrics"]
    parts = [
        compute(log.events, window=Window(NOON_US + a * SECOND, NOON_US + b * SECOND, "part")).to_json()["metrics"]
        for a, b in pairwise(edges)
    ]

    for name in ADDITIVE:
        for key in ("good", "valid"):
            assert sum(part[name][key] for part in parts) == whole[name][key], name
    for name in ("tool_call_latency", "workflow_completion_time"):
        for key in ("count", "unknown"):
            assert sum(part[name][key] for part in parts) == whole[name][key], name


@forall(logs(), windows)
def test_workflows_add_up_to_the_whole(log: Log, window: Window | None) -> None:
    """What is counted for each workflow alone sums to what is counted for all."""
    whole = compute(log.events, window=window, by="workflow").to_json()
    alone = [compute(log.events, window=window, workflow=name).to_json()["metrics"] for name in whole["groups"]]

    assert [
        {name: value for name, value in part.items() if name != "pass_k_tasks"} for part in whole["groups"].values()
    ] == [{name: value for name, value in part.items() if name != "pass_k_tasks"} for part in alone]
    for name in ADDITIVE:
        for key in ("good", "valid"):
            assert sum(part[name][key] for part in alone) == whole["metrics"][name][key]


@forall(logs(), windows)
def test_a_rate_is_a_share_of_what_was_counted(log: Log, window: Window | None) -> None:
    """0 ≤ good ≤ valid for every rate, the ratio is their quotient or null, and lies within its interval."""
    found = compute(log.events, window=window).to_json()["metrics"]
    for name in ADDITIVE:
        rate = found[name]
        assert 0 <= rate["good"] <= rate["valid"]
        if rate["valid"]:
            assert rate["ratio"] == rate["good"] / rate["valid"]
            assert rate["ci_lower"] <= rate["ratio"] <= rate["ci_upper"]
        else:
            assert rate["ratio"] is rate["ci_lower"] is rate["ci_upper"] is None


@forall(logs(), windows)
def test_merging_sums_leaves_their_parts_alone(log: Log, window: Window | None) -> None:
    """A report says the same after its sums went into others, and an empty sum adds nothing."""
    report = compute(log.events, window=window, by="workflow")
    before = report.to_json()
    merged = Sums(Tally())
    for sums in report.by_workflow.values():
        merged = merged.merge(sums).merge(Sums(Tally()))

    assert report.to_json() == before
    assert numbers(report.view(merged)) == before["metrics"]


def test_a_clock_far_ahead_is_not_believed() -> None:
    """More than five minutes ahead of the log's clock, the log's time is taken and counted; less is believed."""
    log = Log()
    log.start("a", 0)
    log.succeed("a", 1_000, recorded_s=10)
    log.start("b", 0)
    log.succeed("b", 300, recorded_s=10)

    report = compute(log.events).to_json()

    assert report["quality"]["clock_skew"] == 1
    assert report["metrics"]["workflow_completion_time"]["p50_s"] == 10.0
    assert report["metrics"]["workflow_completion_time"]["p99_s"] == 300.0


def test_streams_that_are_no_executions_count_only_as_positions() -> None:
    """Definitions and the log's own life are in no number, but the report knows that it saw them."""
    log = Log()
    log.start("a")
    log.succeed("a")
    before = compute(log.events).to_json()
    system = RecordedEvent(2, log.events[0].header.replace(b"execution/a", b"system/default"))

    after = compute([*log.events, system]).to_json()

    assert after["as_of"] == 2
    assert after["metrics"] == before["metrics"]


def test_folds_that_were_asked_different_things_do_not_merge() -> None:
    """Another window, or a stream in both, is refused instead of being counted wrongly."""
    log = Log()
    log.start("a")
    with pytest.raises(ValueError, match="do not add up"):
        Fold(window=HALF).merge(Fold())
    with pytest.raises(ValueError, match="execution/a"):
        folded(log.events).merge(folded(log.events))
