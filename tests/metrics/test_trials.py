"""pass^k and pass@k over repeated trials."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.metrics.trials import pass_k

tasks = st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=6)


@forall(tasks)
def test_they_are_the_share_of_draws_that_pass(outcomes: list[list[bool]]) -> None:
    """By brute force: among all ways to pick k trials of a task, how many are all good, and how many hold one."""
    found = pass_k((len(task), sum(task)) for task in outcomes)

    assert list(found) == list(range(1, max(map(len, outcomes)) + 1))
    for k, of_k in found.items():
        draws = [list(combinations(task, k)) for task in outcomes if len(task) >= k]
        hat = sum(sum(map(all, picks)) / len(picks) for picks in draws) / len(draws)
        at = sum(sum(map(any, picks)) / len(picks) for picks in draws) / len(draws)
        assert of_k.hat == pytest.approx(hat, abs=1e-12)
        assert of_k.at == pytest.approx(at, abs=1e-12)
        assert (of_k.tasks, of_k.left_out) == (len(draws), len(outcomes) - len(draws))


def test_no_task_has_no_k() -> None:
    """Without tasks, or with tasks that were never tried, there is nothing to say."""
    assert pass_k([]) == pass_k([(0, 0)]) == {}


def test_the_published_tau_bench_row(data: Path) -> None:
    """gpt-4o on tau-bench airline: 0.420, 0.273, 0.220, 0.200, as published."""
    runs = json.loads(gzip.decompress((data / "agent_traces/tau_bench/gpt-4o-airline.json.gz").read_bytes()))
    by_task: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        by_task[run["task_id"]].append(run["reward"])

    found = pass_k((len(rewards), rewards.count(1.0)) for rewards in by_task.values())

    assert [round(of_k.hat, 3) for of_k in found.values()] == [0.42, 0.273, 0.22, 0.2]
