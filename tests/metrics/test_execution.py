"""How executions end, and what that makes of the rates over executions."""

from __future__ import annotations

from typing import Any

import pytest

from actum.metrics import compute
from tests.metrics.builders import Log


def metrics(log: Log, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = compute(log.events, **asked).to_json()["metrics"]
    return found


def counts(log: Log, metric: str, **asked: Any) -> tuple[int, int]:
    found = metrics(log, **asked)[metric]
    return found["good"], found["valid"]


def test_success_rate_counts_failures_timeouts_and_what_the_system_stopped() -> None:
    """A failure, a timeout and a cancellation by the system are failures; one by a user is left out and shown."""
    log = Log()
    for name in "abcde":
        log.start(name)
    log.succeed("a")
    log.fail("b")
    log.fail("c", outcome="timeout")
    log.cancel("d", by="system")
    log.cancel("e", by="user")

    found = metrics(log)["success_rate"]

    assert (found["good"], found["valid"], found["ratio"]) == (1, 4, 0.25)
    assert found["outcomes"] == {
        "success": 1,
        "failure": 1,
        "timeout": 1,
        "stopped": 1,
        "unknown": 0,
        "cancelled": 1,
    }


def test_an_execution_in_flight_is_in_no_rate() -> None:
    """What has not ended is counted as in flight, with the age of the oldest, and nowhere else."""
    log = Log()
    log.start("a", 10)
    log.start("b", 40)
    log.step("b", "started", 100)

    found = metrics(log)

    assert found["success_rate"]["valid"] == found["compensation_rate"]["valid"] == 0
    assert found["in_flight"] == {"count": 2, "oldest_age_s": 90.0}


def test_no_data_is_null_everywhere() -> None:
    """An empty log has no ratio, no bound, no time and no value: null, and neither 0 nor 1."""
    found = metrics(Log())

    for name in ("success_rate", "compensation_rate", "human_intervention_rate", "model_accuracy", "tool_error_rate"):
        assert found[name]["valid"] == 0
        assert [found[name][key] for key in ("ratio", "ci_lower", "ci_upper")] == [None, None, None]
    assert found["pass_confidence"]["value"] is None
    assert found["pass_hat_k"] is found["pass_at_k"] is None
    assert found["mean_time_to_error"]["value_s"] is None
    assert found["workflow_completion_time"]["p50_s"] is None
    assert found["cost_per_success"]["value_usd"] is found["tokens_per_execution"]["value"] is None
    assert found["plan_churn"]["value"] is None


def test_the_first_end_wins() -> None:
    """A second terminal event changes nothing and is counted as a conflict."""
    log = Log()
    log.start("a")
    log.fail("a")
    log.succeed("a", 2)

    report = compute(log.events).to_json()

    assert report["metrics"]["success_rate"]["good"] == 0
    assert report["quality"]["conflict"] == 1


def test_an_end_that_was_taken_back_is_no_conflict() -> None:
    """A failed execution that a person had tried again ends twice: the first end counts until it is corrected."""
    log = Log()
    log.start("a")
    log.fail("a")
    log.add("a", "execution.resumed", 1, reopened=True, steps=["a#0"])
    log.succeed("a", 2)

    report = compute(log.events).to_json()

    assert report["metrics"]["success_rate"]["good"] == 0
    assert report["quality"]["conflict"] == 0

    log.succeed("a", 3)  # nobody has taken that one back
    assert compute(log.events).to_json()["quality"]["conflict"] == 1


def test_a_correction_that_names_the_end_changes_the_outcome() -> None:
    """`execution.corrected` supersedes the end it names; one that names anything else is counted and ignored."""
    log = Log()
    for name in "ab":
        log.start(name)
        log.succeed(name)
    log.add("a", "execution.corrected", supersedes=1, outcome="failure")
    log.add("b", "execution.corrected", supersedes=0, outcome="failure")

    report = compute(log.events).to_json()

    assert (report["metrics"]["success_rate"]["good"], report["metrics"]["success_rate"]["valid"]) == (1, 2)
    assert report["quality"]["unmatched_correction"] == 1


def test_a_correction_can_be_corrected() -> None:
    """A correction that names the one before it takes its place."""
    log = Log()
    log.start("a")
    log.fail("a")
    first = log.add("a", "execution.corrected", supersedes=1, outcome="cancelled")
    log.add("a", "execution.corrected", supersedes=first.version, outcome="success")

    assert counts(log, "success_rate", as_of=first.position) == (0, 0)
    assert counts(log, "success_rate") == (1, 1)


def test_what_was_known_at_a_position_stays_reproducible() -> None:
    """With `as_of`, a later correction is not known yet, and the report says how far it looked."""
    log = Log()
    log.start("a")
    end = log.succeed("a")
    log.add("a", "execution.corrected", supersedes=1, outcome="failure")

    report = compute(log.events, as_of=end.position).to_json()

    assert (report["as_of"], report["metrics"]["success_rate"]["good"]) == (1, 1)


def test_past_its_declared_deadline_an_execution_is_unknown_and_counts_as_failed() -> None:
    """Unheard of after its deadline it is no longer in flight but bad; the ratio if it had succeeded stands beside."""
    log = Log()
    log.start("a", 0, deadline="2025-12-01T12:01:00.000000Z")
    log.start("b", 0, deadline="2025-12-01T12:09:00.000000Z")
    log.start("c", 30)
    log.succeed("c", 61)

    found = metrics(log)

    assert (found["success_rate"]["good"], found["success_rate"]["valid"]) == (1, 2)
    assert found["success_rate"]["outcomes"]["unknown"] == 1
    assert found["success_rate"]["ratio_if_unknown_succeeded"] == 1.0
    assert found["compensation_rate"]["valid"] == 1
    assert found["in_flight"]["count"] == 1


def test_at_its_deadline_an_execution_is_still_in_flight() -> None:
    """Only past the deadline it is overdue: the log must know of a later instant."""
    log = Log()
    log.start("a", 0, deadline="2025-12-01T12:01:00.000000Z")
    log.start("b", 60)

    assert metrics(log)["in_flight"]["count"] == 2


def test_clean_success_is_untouched_success() -> None:
    """A success with a retry, a compensation or an intervention is a success, and not a clean one."""
    log = Log()
    for name in "abcd":
        log.start(name)
    log.step("a", "failed")
    log.step("a", "completed", attempt=2)
    log.undo("b", "started")
    log.intervene("c")
    for name in "abcd":
        log.succeed(name)

    assert counts(log, "success_rate") == (4, 4)
    assert counts(log, "clean_success_rate") == (1, 4)


def test_completion_time_is_of_all_that_ended_and_of_each_kind_apart() -> None:
    """Successes and failures together are the headline, and each has its own numbers; users' cancels are in none."""
    log = Log()
    for name in "abcd":
        log.start(name)
    log.succeed("a", 9, duration_us=10_000_000, active_us=4_000_000)
    log.succeed("b", 20)
    log.fail("c", 90)
    log.cancel("d", 500)

    found = metrics(log)["workflow_completion_time"]

    assert (found["count"], found["p50_s"], found["p99_s"], found["mean_s"]) == (3, 20.0, 90.0, 40.0)
    assert (found["successes"]["count"], found["successes"]["p50_s"]) == (2, 10.0)
    assert (found["failures"]["count"], found["failures"]["p50_s"]) == (1, 90.0)
    assert (found["active"]["count"], found["active"]["p50_s"], found["active"]["unknown"]) == (1, 4.0, 2)


def test_executions_without_times_have_no_durations() -> None:
    """When the record had no times, no duration is read from the time of import; it is counted as unknown."""
    log = Log()
    log.start("a", time_unknown=True)
    log.succeed("a", 50)

    found = metrics(log)

    assert (found["workflow_completion_time"]["count"], found["workflow_completion_time"]["unknown"]) == (0, 1)
    assert found["mean_time_to_error"]["exposure_s"] is None
    assert found["mean_time_to_error"]["unknown"] == 1
    assert found["success_rate"]["good"] == 1


def test_a_negative_duration_is_rejected_and_counted() -> None:
    """An end before the start is no time at all; the outcome still counts."""
    log = Log()
    log.start("a", 10)
    log.succeed("a", 5)

    report = compute(log.events).to_json()

    assert report["metrics"]["workflow_completion_time"]["count"] == 0
    assert report["quality"]["negative_duration"] == 1
    assert report["metrics"]["success_rate"]["good"] == 1


def test_costs_at_the_end_win_over_the_sum_of_the_calls() -> None:
    """The end's totals are used where it states them, the calls' sum where it does not, never both."""
    log = Log()
    for name in "abc":
        log.start(name)
    for name in "ab":
        log.add(name, "model.returned", model="m", call="1", outcome="success", cost_nanousd=300, input_tokens=5)
    log.succeed("a", cost_nanousd=1_000, output_tokens=7)
    log.fail("b")
    log.succeed("c")

    found = metrics(log)

    assert found["cost_per_success"] == {
        "value_usd": 1_300 / 1e9,
        "total_usd": 1_300 / 1e9,
        "total_nanousd": 1_300,
        "successes": 1,
        "executions": 2,
        "unknown": 1,
    }
    assert found["tokens_per_execution"] == {"value": 6.0, "total": 12, "executions": 2, "unknown": 1}


@pytest.mark.parametrize(("target", "needed"), [(0.95, 36), (0.8, 7)])
def test_pass_confidence_speaks_of_the_success_rate(target: float, needed: int) -> None:
    """k and n are those of the success rate, the target can be set, and what is still needed stands beside it."""
    log = Log()
    for name in "ab":
        log.start(name)
        log.succeed(name)

    found = metrics(log, target=target)["pass_confidence"]

    assert (found["k"], found["n"], found["target"], found["n_needed"]) == (2, 2, target, needed)
    assert 0 < found["value"] < 0.95


def test_repeated_trials_are_grouped_by_workflow_and_task() -> None:
    """Equal tasks of different workflows are different tasks; those with too few trials are left out and counted."""
    log = Log()
    for name, workflow, task, good in (
        ("a", "flow", "t1", True),
        ("b", "flow", "t1", False),
        ("c", "flow", "t2", True),
        ("d", "other", "t1", True),
    ):
        log.start(name, workflow=workflow, task=task)
        log.succeed(name) if good else log.fail(name)
    log.start("e")
    log.succeed("e")
    log.start("f", task="t2")
    log.cancel("f")

    found = metrics(log)

    assert found["pass_hat_k"] == {"1": pytest.approx(2.5 / 3), "2": 0.0}
    assert found["pass_at_k"] == {"1": pytest.approx(2.5 / 3), "2": 1.0}
    assert found["pass_k_tasks"]["2"] == {"tasks": 1, "left_out": 2}
    assert found["success_rate"]["repeated_trials"] is True
