"""Where executions stand in time: windows, what is in flight, exposure."""

from __future__ import annotations

from typing import Any

import pytest

from actum.metrics import Window, compute
from tests.metrics.builders import NOON_US, SECOND, Log, at


def metrics(log: Log, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = compute(log.events, **asked).to_json()["metrics"]
    return found


def window(from_s: float, to_s: float) -> Window:
    return Window(NOON_US + int(from_s * SECOND), NOON_US + int(to_s * SECOND), "test")


def test_windows_are_half_open() -> None:
    """An end at the first instant of a window is in it, one at the last is in the next."""
    log = Log()
    for name, end_s in (("a", 10), ("b", 20)):
        log.start(name)
        log.succeed(name, end_s)

    assert metrics(log, window=window(10, 20))["success_rate"]["valid"] == 1
    assert metrics(log, window=window(20, 30))["success_rate"]["valid"] == 1


def test_an_execution_belongs_to_the_window_of_its_end() -> None:
    """Begun long before, it counts where it ended; corrected long after, it stays there."""
    log = Log()
    log.start("a", 0)
    log.succeed("a", 50)
    log.add("a", "execution.corrected", 500, supersedes=1, outcome="failure")

    there = metrics(log, window=window(40, 60))["success_rate"]
    assert (there["good"], there["valid"]) == (0, 1)
    assert metrics(log, window=window(400, 600))["success_rate"]["valid"] == 0


def test_in_flight_is_seen_from_the_end_of_the_window() -> None:
    """What had begun and not ended by then was in flight, whatever the log knows of later."""
    log = Log()
    for name, start_s, end_s in (("a", 0, 30), ("b", 10, 90), ("c", 60, 95)):
        log.start(name, start_s)
        log.succeed(name, end_s)

    assert metrics(log, window=window(0, 50))["in_flight"] == {"count": 1, "oldest_age_s": 40.0}
    assert metrics(log)["in_flight"] == {"count": 0, "oldest_age_s": None}


def test_mean_time_to_error_is_exposure_by_errors() -> None:
    """From the first event to the last, the quiet tail after the last error included; not the mean of gaps."""
    log = Log()
    for name, start_s, end_s, good in (("a", 0, 10, False), ("b", 10, 20, False), ("c", 20, 100, True)):
        log.start(name, start_s)
        log.succeed(name, end_s) if good else log.fail(name, end_s)

    found = metrics(log)["mean_time_to_error"]

    assert (found["value_s"], found["exposure_s"], found["errors"]) == (50.0, 100.0, 2)
    assert found["executions_per_error"] == 1.5
    assert found["ci_lower_s"] < 50 < found["ci_upper_s"]


def test_exposure_reaches_to_the_end_of_the_window() -> None:
    """With a window, idle time up to its end counts; time before the first event and after the log's end does not."""
    log = Log()
    log.start("a", 20)
    log.fail("a", 30)
    log.start("b", 500)

    assert metrics(log, window=window(0, 100))["mean_time_to_error"]["exposure_s"] == 80.0
    assert metrics(log, window=window(25, 100))["mean_time_to_error"]["exposure_s"] == 75.0
    assert metrics(log, window=window(0, 9_000))["mean_time_to_error"]["exposure_s"] == 480.0


def test_no_error_has_a_lower_bound_and_no_value() -> None:
    """Without an error nothing is divided: the value is null, and the bound is E / 2.996."""
    log = Log()
    log.start("a", 0)
    log.succeed("a", 2996)

    found = metrics(log)["mean_time_to_error"]

    assert found["value_s"] is found["ci_upper_s"] is None
    assert found["ci_lower_s"] == pytest.approx(1000, rel=1e-3)


def test_a_judgement_long_after_is_no_exposure() -> None:
    """Time is counted while executions run; a label that comes months later does not stretch it."""
    log = Log()
    log.start("a", 0)
    log.fail("a", 100)
    log.judge("a", "incorrect", 9_000_000)

    assert metrics(log)["mean_time_to_error"]["exposure_s"] == 100.0


def test_executions_without_times_are_left_out_of_the_time_to_error() -> None:
    """Neither their errors nor their times count; how many they are is shown."""
    log = Log()
    log.start("a", 0, time_unknown=True)
    log.fail("a", 0)
    log.start("b", 0)
    log.fail("b", 10)

    found = metrics(log)["mean_time_to_error"]

    assert (found["value_s"], found["errors"], found["unknown"]) == (10.0, 1, 1)


def test_a_sequence_belongs_to_the_window_of_its_last_attempt() -> None:
    """Failed in one window and completed in the next, it counts in the next; left open, where it last failed."""
    log = Log()
    log.start("a")
    log.step("a", "failed", 10)
    log.step("a", "completed", 30, attempt=2)
    log.step("a", "failed", 10, step="ship")
    log.step("a", "retry_scheduled", 11, step="ship")
    log.cancel("a", 99)

    def closed(from_s: float, to_s: float) -> tuple[int, int]:
        found = metrics(log, window=window(from_s, to_s))["retry_success_rate"]
        return found["good"], found["valid"]

    assert closed(0, 20) == (0, 1)
    assert closed(20, 40) == (1, 1)
    assert closed(90, 100) == (0, 0)


def test_a_chain_is_one_execution_that_goes_on() -> None:
    """A link that goes on as another is no end: the chain counts once, where it ends, and from its first start."""
    log = Log()
    log.start("a", 0)
    log.add("a", "execution.continued", 30, next="a~1")
    log.start("a~1", 30, previous="a", first="a", first_at=at(0))

    open_ = metrics(log)
    assert (open_["success_rate"]["valid"], open_["in_flight"]["count"]) == (0, 1)

    log.succeed("a~1", 60, duration_us=60 * SECOND)
    rate = metrics(log)["success_rate"]
    assert (rate["good"], rate["valid"]) == (1, 1)
    assert metrics(log)["workflow_completion_time"]["count"] == 1
    early = metrics(log, window=window(0, 20))["in_flight"]
    assert early == {"count": 1, "oldest_age_s": 20.0}
