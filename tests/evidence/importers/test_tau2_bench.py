"""tau2-bench results in the log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actum.errors import ImportRefused
from actum.eventstore import EventStore, open_store
from actum.evidence.importers import import_files

from .foreign_files import check_log, nearest_rank, of_type, pass_hat_k, tau2_results, tau2_simulation, write

FILES = [f"agent_traces/tau2_bench/retail_gpt-4o_policy-t4o_run{number}.json.gz" for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def retail(data: Path) -> EventStore:
    store = open_store("memory://")
    report = import_files(store, "tau2-bench", [data / name for name in FILES]).to_json()
    assert (report["executions"], report["events"], report["left_out"]) == (120, 3272, [])
    return store


def test_the_real_files_give_a_sound_log(retail: EventStore) -> None:
    """Every event of the real files is of the catalogue, and the view is what the log folds to."""
    check_log(retail)


def test_success_over_three_trials(retail: EventStore) -> None:
    """93 of 120 runs succeed; three files are three trials of the same tasks, so pass^1..3 come out."""
    assert len(of_type(retail, "execution.completed")) == 93
    assert [round(pass_hat_k(retail, k), 4) for k in (1, 2, 3)] == [0.775, 0.675, 0.625]


def test_calls_of_tools(retail: EventStore) -> None:
    """67 of 1,022 tool calls failed, and each has a latency that was measured."""
    results = of_type(retail, "tool.returned")
    assert Counter(result.facts["outcome"] for result in results) == {"success": 955, "failure": 67}
    assert all(result.facts["duration_us"] >= 0 for result in results)


def test_three_runs_were_handed_to_a_person(retail: EventStore) -> None:
    """3 executions have an intervention."""
    assert len({event.stream for event in of_type(retail, "intervention.recorded")}) == 3


def test_completion_time(retail: EventStore) -> None:
    """Median and 95th percentile (nearest rank) of the durations are 24.524 s and 39.040 s."""
    durations = [e.facts["duration_us"] for e in of_type(retail, "execution.completed", "execution.failed")]
    assert round(nearest_rank(durations, 50) / 1e6, 3) == 24.524
    assert round(nearest_rank(durations, 95) / 1e6, 3) == 39.040


def test_cost_of_the_agent(retail: EventStore) -> None:
    """The agent's cost is 10.84841 USD in all, on the ends as well as over the model's answers."""
    ends = sum(e.facts["cost_nanousd"] for e in of_type(retail, "execution.completed", "execution.failed"))
    answers = sum(e.facts["cost_nanousd"] for e in of_type(retail, "model.returned"))
    assert ends == answers == 10_848_410_000


def test_tokens_add_up(retail: EventStore) -> None:
    """The tokens on the ends are the sum of the tokens of the model's answers."""
    ends, answers = of_type(retail, "execution.completed", "execution.failed"), of_type(retail, "model.returned")
    for name in ("input_tokens", "output_tokens"):
        assert sum(e.facts[name] for e in ends) == sum(e.facts[name] for e in answers) > 0


def one(store: EventStore, tmp_path: Path, mapping: str = "", **changed: Any) -> dict[str, Any]:
    path = write(tmp_path / "a.json", tau2_results(tau2_simulation(**changed)))
    return import_files(store, "tau2-bench", [path], write(tmp_path / "m.yaml", mapping)).to_json()


def test_one_simulation(memory: EventStore, tmp_path: Path) -> None:
    """Times are the source's, taken as UTC; durations and cost are exact in their integer units, half to even."""
    one(memory, tmp_path)
    (started,) = of_type(memory, "execution.started")
    (returned,) = of_type(memory, "tool.returned")
    (end,) = of_type(memory, "execution.completed")
    assert started.at == "2026-02-17T22:00:00.000000Z"
    assert started.facts["workflow"] == "tau2-bench/retail"
    assert returned.facts["duration_us"] == 250_000
    assert end.facts == {
        "outcome": "success",
        "duration_us": 3_400_000,  # 3.4000005 s
        "cost_nanousd": 250_000_000,
        "input_tokens": 100,
        "output_tokens": 7,
    }
    assert end.value()["output"]["user_cost"] == 0.1
    check_log(memory)


def test_unknown_cost_and_duration(memory: EventStore, tmp_path: Path) -> None:
    """A null cost is absent, never 0; without a duration the two times give it."""
    one(memory, tmp_path, agent_cost=None, duration=None)
    (end,) = of_type(memory, "execution.completed")
    assert "cost_nanousd" not in end.facts
    assert end.facts["duration_us"] == 3_500_000


def test_why_it_stopped(memory: EventStore, tmp_path: Path) -> None:
    """A failed run that did not stop by itself fails with the reason of its termination."""
    one(memory, tmp_path, reward=0.0, termination_reason="max_steps")
    assert of_type(memory, "execution.failed")[0].facts["error_type"] == "max_steps"


def test_no_reward(memory: EventStore, tmp_path: Path) -> None:
    """A simulation that was never rewarded is left out."""
    report = one(memory, tmp_path, reward_info=None)
    assert (report["executions"], report["left_out"][0]["count"], memory.head()) == (0, 1, 0)


def test_times_without_a_zone_can_be_refused(memory: EventStore, tmp_path: Path) -> None:
    """With `assume_zone: null` a time without an offset names no instant and is refused by its path."""
    with pytest.raises(ImportRefused, match=r"start_time.*no UTC offset.*assume_zone"):
        one(memory, tmp_path, "assume_zone: null")
    assert memory.head() == 0


def test_a_changed_simulation_is_a_conflict(memory: EventStore, tmp_path: Path) -> None:
    """The same simulation id with other content is refused by file and id, and nothing else of the file comes in."""
    one(memory, tmp_path)
    size = memory.head()
    changed = tau2_results(tau2_simulation("new"), tau2_simulation(reward=0.0), tau2_simulation("newer"))
    path = write(tmp_path / "b.json", changed)
    with pytest.raises(ImportRefused) as refused:
        import_files(memory, "tau2-bench", [path])
    assert refused.value.source == str(path)
    assert "$.simulations[1]: 'sim-1' (execution tau2-bench-retail-5-0-" in str(refused.value)
    assert memory.head() == size


def test_one_id_twice_in_one_import_is_a_conflict(memory: EventStore, tmp_path: Path) -> None:
    """Two simulations of one id and different content cannot both be right: both places are named."""
    path = write(tmp_path / "a.json", tau2_results(tau2_simulation(), tau2_simulation(reward=0.0)))
    with pytest.raises(ImportRefused, match=r"simulations\[1\].*simulations\[0\] too, with other content"):
        import_files(memory, "tau2-bench", [path])
    assert memory.head() == 0


def test_a_file_that_grew(memory: EventStore, tmp_path: Path) -> None:
    """A simulation that stands in a second, larger file keeps the provenance of the first."""
    one(memory, tmp_path)
    path = write(tmp_path / "b.json", tau2_results(tau2_simulation(), tau2_simulation("sim-2")))
    report = import_files(memory, "tau2-bench", [path]).to_json()
    assert (report["executions"], report["already_there"]) == (1, 1)
    assert len({event.facts["source"] for event in of_type(memory, "execution.started")}) == 2


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"agent_cost": -1.0}, ".agent_cost: "),
        ({"duration": "fast"}, ".duration: "),
        ({"start_time": "yesterday"}, ".start_time: 'yesterday' is not an ISO 8601 time"),
        ({"start_time": "0001-01-01T00:00:00+14:00"}, ".start_time: "),
        ({"messages": [{"role": "tool", "timestamp": "x"}]}, ".messages[0].timestamp: "),
        ({"messages": None}, ".messages: "),
    ],
)
def test_a_wrong_shape_is_named(memory: EventStore, tmp_path: Path, changed: dict[str, Any], where: str) -> None:
    """A field that does not fit is refused with its path, and nothing is written."""
    with pytest.raises(ImportRefused) as refused:
        one(memory, tmp_path, **changed)
    assert f"$.simulations[0]{where}" in str(refused.value)
    assert memory.head() == 0


def test_a_tau_bench_file_is_not_tau2(memory: EventStore, tmp_path: Path) -> None:
    """A list where an object with `simulations` should be is refused, naming the place."""
    with pytest.raises(ImportRefused, match=r"a\.json: \$: "):
        import_files(memory, "tau2-bench", [write(tmp_path / "a.json", [])])
