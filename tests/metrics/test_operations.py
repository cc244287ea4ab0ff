"""Retries and compensations: what opens an operation, and how it closes."""

from __future__ import annotations

from typing import Any

import pytest

from actum.metrics import compute
from tests.metrics.builders import Log


def metrics(log: Log, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = compute(log.events, **asked).to_json()["metrics"]
    return found


def retries(log: Log) -> tuple[int, int]:
    found = metrics(log)["retry_success_rate"]
    return found["good"], found["valid"]


@pytest.fixture
def log() -> Log:
    log = Log()
    log.start("a")
    return log


@pytest.mark.parametrize("failure", ["failed", "timed_out"])
def test_a_retry_that_completes_is_good(log: Log, failure: str) -> None:
    """A failed or timed-out attempt, a retry, and completion make one good sequence."""
    log.step("a", failure, **({"timeout_us": 5} if failure == "timed_out" else {}))
    log.step("a", "retry_scheduled")
    log.step("a", "started", attempt=2)
    log.step("a", "completed", attempt=2)

    assert retries(log) == (1, 1)
    assert metrics(log)["retry_success_rate"]["attempts"]["good"] == 1


def test_a_retry_that_fails_for_good_is_bad(log: Log) -> None:
    """The last attempt's final failure closes the sequence without success, however many attempts there were."""
    log.step("a", "failed")
    log.step("a", "failed", attempt=2)
    log.step("a", "failed", attempt=3, final=True)

    found = metrics(log)

    assert (found["retry_success_rate"]["good"], found["retry_success_rate"]["valid"]) == (0, 1)
    assert (found["retry_success_rate"]["attempts"]["good"], found["retry_success_rate"]["attempts"]["valid"]) == (0, 2)


def test_an_open_sequence_waits_and_the_end_of_the_execution_closes_it(log: Log) -> None:
    """As long as the execution runs an open sequence is in no number; when it ends, what is open has not succeeded."""
    log.step("a", "failed")
    log.step("a", "retry_scheduled")
    assert retries(log) == (0, 0)
    log.cancel("a")
    assert retries(log) == (0, 1)


def test_a_failure_without_a_retry_is_no_sequence(log: Log) -> None:
    """Failing at once for good, or never being tried again, is no retry."""
    log.step("a", "failed", final=True)
    log.step("a", "failed", step="other")
    log.fail("a")

    assert retries(log) == (0, 0)


def test_a_second_attempt_after_doubt_is_no_sequence(log: Log) -> None:
    """An attempt repeated because its end was never recorded did not fail; it is a retry but not a sequence."""
    log.step("a", "started")
    log.step("a", "in_doubt", action="retry")
    log.step("a", "started", attempt=2)
    log.step("a", "completed", attempt=2)
    log.succeed("a")

    found = metrics(log)

    assert found["retry_success_rate"]["valid"] == 0
    assert found["plan_churn"]["retries"] == 1


def test_operations_are_told_apart_by_occurrence_and_scope(log: Log) -> None:
    """The same step in another branch, or again, is another operation."""
    log.step("a", "failed")
    log.step("a", "failed", occurrence=1)
    log.step("a", "failed", scope="b")
    log.step("a", "completed", attempt=2)
    log.step("a", "completed", attempt=2, occurrence=1)
    log.step("a", "completed", attempt=2, scope="b")

    assert retries(log) == (3, 3)


def test_plan_churn_counts_each_retry_once(log: Log) -> None:
    """Scheduling, starting and ending the same attempt are one retry, over executions that ended."""
    log.step("a", "failed")
    log.step("a", "retry_scheduled", attempt=2)
    log.step("a", "started", attempt=2)
    log.step("a", "failed", attempt=2)
    log.step("a", "retry_scheduled", attempt=3)
    log.step("a", "completed", attempt=3)
    log.succeed("a")
    log.start("b")
    log.succeed("b")

    assert metrics(log)["plan_churn"] == {"value": 1.0, "retries": 2, "executions": 2}


@pytest.mark.parametrize("ending", ["started", "completed"])
def test_one_compensation_begun_or_done_makes_the_execution_count(log: Log, ending: str) -> None:
    """Foreign records may hold only one of the two; either is enough, and two in one execution count once."""
    log.undo("a", ending)
    log.undo("a", ending, step="ship")
    log.fail("a")
    log.start("b")
    log.succeed("b")

    found = metrics(log)["compensation_rate"]

    assert (found["good"], found["valid"], found["ratio"]) == (1, 2, 0.5)


def test_compensation_success_counts_what_failed_and_what_was_left_open(log: Log) -> None:
    """Completed is good; failed for good, or still open when the execution ended, is not."""
    for step in ("charge", "ship", "mail"):
        log.undo("a", "started", step=step)
    log.undo("a", "failed", step="charge")
    log.undo("a", "completed", step="charge")
    log.undo("a", "failed", step="ship", final=True)
    assert metrics(log)["compensation_success_rate"]["valid"] == 2
    log.fail("a")

    found = metrics(log)["compensation_success_rate"]

    assert (found["good"], found["valid"]) == (1, 3)


def test_steps_undone_never_exceed_steps_completed(log: Log) -> None:
    """A step that was undone had completed, also when only its undoing was recorded."""
    log.step("a", "completed")
    log.undo("a", "completed")
    log.succeed("a")
    log.start("b")
    log.undo("b", "completed")
    log.succeed("b")

    found = metrics(log)["step_compensation_rate"]

    assert (found["good"], found["valid"]) == (2, 2)


def test_waiting_counts_for_everything_that_was_needed(log: Log) -> None:
    """From scheduled to started, each attempt by itself; what never began has not waited to the end."""
    log.step("a", "scheduled", 1, needs={"gpu": 1, "api": 2}, limits=["api"], breaker="down")
    log.step("a", "started", 4)
    log.step("a", "failed", 5)
    log.step("a", "scheduled", 6, attempt=2, needs={"gpu": 1})
    log.step("a", "started", 7, attempt=2)
    log.step("a", "scheduled", 8, step="other", needs={"gpu": 1})
    log.step("a", "cancelled", 9, step="other", reason="cancel")
    log.step("a", "started", 9, step="plain")

    found = metrics(log)["resource_wait"]
    assert found["count"] == 4
    waits = {name: (part["count"], part["mean_s"]) for name, part in found["by_resource"].items()}
    assert waits == {"gpu": (2, 2.0), "api": (1, 3.0), "down": (1, 3.0)}
