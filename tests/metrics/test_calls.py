"""Tools, people and judges."""

from __future__ import annotations

from typing import Any

import pytest

from actum.metrics import Window, compute
from tests.metrics.builders import NOON_US, SECOND, Log


def metrics(log: Log, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = compute(log.events, **asked).to_json()["metrics"]
    return found


def accuracy(log: Log, **asked: Any) -> tuple[int, int]:
    found = metrics(log, **asked)["model_accuracy"]
    return found["good"], found["valid"]


def until(seconds: float) -> Window:
    return Window(NOON_US, NOON_US + int(seconds * SECOND), "test")


@pytest.fixture
def log() -> Log:
    log = Log()
    log.start("a")
    return log


def test_tool_errors_are_attempts_that_did_not_succeed(log: Log) -> None:
    """`good` counts the errors, so that good / valid is the rate it is called after; in-flight executions count too."""
    for outcome in ("success", "failure", "timeout", "success"):
        log.tool("a", outcome)

    found = metrics(log)["tool_error_rate"]

    assert (found["good"], found["valid"], found["ratio"]) == (2, 4, 0.5)


def test_steps_that_are_tool_calls_count_attempt_by_attempt(log: Log) -> None:
    """A step with a `tool` fact is a tool call: each failed or timed-out attempt an error, completion a success."""
    log.step("a", "failed", tool="pay", duration_us=1_000_000)
    log.step("a", "timed_out", tool="pay", attempt=2, timeout_us=30_000_000)
    log.step("a", "completed", tool="pay", attempt=3, duration_us=3_000_000)
    log.step("a", "completed", step="no tool", duration_us=9_000_000)

    found = metrics(log)

    assert (found["tool_error_rate"]["good"], found["tool_error_rate"]["valid"]) == (2, 3)
    assert found["tool_call_latency"]["p99_s"] == 30.0
    assert found["tool_call_latency"]["p50_s"] == 3.0


def test_a_tool_call_of_unknown_duration_is_counted_as_such(log: Log) -> None:
    """It is in the error rate and in no time; a time that was measured as zero is a time."""
    log.tool("a", "success", 5)
    log.tool("a", "success", 9, duration_us=0)

    found = metrics(log)

    assert (found["tool_call_latency"]["count"], found["tool_call_latency"]["unknown"]) == (1, 1)
    assert found["tool_call_latency"]["mean_s"] == 0.0
    assert found["tool_error_rate"]["valid"] == 2


def test_a_tool_call_belongs_to_the_window_of_its_own_end(log: Log) -> None:
    """Not to that of its execution, which may end much later."""
    log.tool("a", "failure", 5)
    log.succeed("a", 100)

    found = metrics(log, window=until(10))

    assert found["tool_error_rate"]["valid"] == 1
    assert found["success_rate"]["valid"] == 0


def test_interventions_count_executions_and_approvals_stay_apart(log: Log) -> None:
    """Two unplanned acts in one execution count once; a planned approval is no intervention, an expired one no act."""
    log.intervene("a", "override")
    log.intervene("a", "takeover")
    log.succeed("a")
    log.start("b")
    shown = "sha256:00"
    log.add("b", "approval.granted", approval="release", occurrence=0, shown=shown, waited_us=5)
    log.add("b", "approval.expired", approval="release", occurrence=1, waited_us=5)
    log.succeed("b")

    found = metrics(log)["human_intervention_rate"]

    assert (found["good"], found["valid"]) == (1, 2)
    assert found["kinds"] == {"override": 1, "takeover": 1}
    assert found["approvals"] == {"granted": 1, "rejected": 0, "expired": 1}


@pytest.mark.parametrize(
    ("first", "second", "correct"),
    [
        (("human", "correct"), ("model", "incorrect"), 1),
        (("model", "incorrect"), ("deterministic", "correct"), 1),
        (("deterministic", "correct"), ("model", "incorrect"), 1),
        (("human", "correct"), ("human", "incorrect"), 0),
    ],
    ids=["human over model", "deterministic over model", "not the other way", "later over earlier"],
)
def test_labels_have_a_precedence(log: Log, first: tuple[str, str], second: tuple[str, str], correct: int) -> None:
    """Human before deterministic before model; of equal rank the later one supersedes. One decision counts once."""
    for source, verdict in (first, second):
        log.judge("a", verdict, source=source)
    log.succeed("a")

    assert accuracy(log) == (correct, 1)


def test_targeted_labels_stay_out_of_the_headline(log: Log) -> None:
    """What was judged because it looked wrong is shown apart, and does not overrule what was drawn at random."""
    log.judge("a", "correct", sampling="random", source="model")
    log.judge("a", "incorrect", sampling="targeted", source="human")
    log.judge("a", "incorrect", sampling="targeted", decision="route")

    found = metrics(log)["model_accuracy"]

    assert (found["good"], found["valid"]) == (1, 1)
    assert (found["targeted"]["good"], found["targeted"]["valid"]) == (0, 2)


def test_decisions_are_told_apart_by_name_and_event(log: Log) -> None:
    """Two events of one kind of decision are two decisions."""
    log.judge("a", "correct", decision="route", of=0)
    log.judge("a", "incorrect", decision="route", of=1)
    log.judge("a", "correct", decision="score", of=1)

    assert accuracy(log) == (2, 3)


def test_coverage_stands_beside_accuracy(log: Log) -> None:
    """Judged of taken: executions that ended for `execution`, completed steps for a step's name."""
    log.step("a", "completed", step="route")
    log.step("a", "completed", step="route", occurrence=1)
    log.succeed("a")
    log.start("b")
    log.succeed("b")
    assert metrics(log)["model_accuracy"]["coverage"] == {"good": 0, "valid": 2, "ratio": 0.0}
    log.judge("b", "correct")
    log.judge("a", "correct", decision="route", of=1)

    assert metrics(log)["model_accuracy"]["coverage"] == {"good": 2, "valid": 4, "ratio": 0.5}


def test_what_was_judged_was_taken(log: Log) -> None:
    """Coverage never exceeds one: two judged decisions of a step recorded once are two decisions."""
    log.step("a", "completed", step="route")
    log.judge("a", "correct", decision="route")
    log.judge("a", "correct", decision="route", of=1)

    assert metrics(log)["model_accuracy"]["coverage"] == {"good": 2, "valid": 2, "ratio": 1.0}


def test_a_late_label_counts_at_the_time_of_its_decision(log: Log) -> None:
    """Months later, a label still belongs to the window in which the decision was taken."""
    log.step("a", "completed", 5, step="route")
    log.succeed("a", 50)
    log.judge("a", "correct", 9_999, decision="route", of=1)
    log.judge("a", "correct", 9_999)

    assert accuracy(log, window=until(10)) == (1, 1)
    assert accuracy(log, window=until(60)) == (2, 2)
    late = Window(NOON_US + 60 * SECOND, NOON_US + 99_999 * SECOND, "late")
    assert accuracy(log, window=late) == (0, 0)


def test_every_event_knows_whether_it_was_inside_the_window(log: Log) -> None:
    """Judged one by one, exactly the events inside count, also when the source's clock went to and fro."""
    times = [5, 50, 6, 7, 70, 80, 8]
    judged = [log.step("a", "completed", at_s, occurrence=i).version for i, at_s in enumerate(times)]
    for version, at_s in zip(judged, times, strict=True):
        log.judge("a", "correct" if at_s < 10 else "incorrect", 99, decision="charge", of=version)

    assert accuracy(log, window=until(10)) == (4, 4)
    later = Window(NOON_US + 10 * SECOND, NOON_US + 90 * SECOND, "later")
    assert accuracy(log, window=later) == (0, 3)
