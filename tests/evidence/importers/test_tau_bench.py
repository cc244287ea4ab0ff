"""tau-bench results in the log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from actum.errors import ImportRefused
from actum.eventstore import EventStore
from actum.evidence.importers import import_files

from .foreign_files import CALLED, RETURNED, check_log, of_type, pass_hat_k, tau_run, write

AIRLINE = "agent_traces/tau_bench/gpt-4o-airline.json.gz"


@pytest.fixture(scope="module")
def airline(data: Path) -> EventStore:
    from actum.eventstore import open_store

    store = open_store("memory://")
    report = import_files(store, "tau-bench", [data / AIRLINE]).to_json()
    assert (report["executions"], report["events"], report["left_out"]) == (200, 5308, [])
    return store


def test_the_real_file_gives_a_sound_log(airline: EventStore) -> None:
    """Every event of the real file is of the catalogue, and the view is what the log folds to."""
    check_log(airline)


def test_the_published_pass_hat_k_comes_out(airline: EventStore) -> None:
    """84 of 200 runs succeed, and pass^1..4 are those of the published leaderboard row."""
    assert len(of_type(airline, "execution.completed")) == 84
    assert len(of_type(airline, "execution.failed")) == 116
    assert [round(pass_hat_k(airline, k), 4) for k in (1, 2, 3, 4)] == [0.42, 0.2733, 0.22, 0.2]


def test_handing_over_to_a_person_is_an_intervention(airline: EventStore) -> None:
    """48 executions have an intervention of kind escalation, and no other kind stands in the log."""
    acts = of_type(airline, "intervention.recorded")
    assert len({act.stream for act in acts}) == 48
    assert {act.facts["kind"] for act in acts} == {"escalation"}


def test_errors_of_tools_are_told_by_their_text(airline: EventStore) -> None:
    """73 of 1,164 tool results begin with "Error", and exactly those are failures."""
    results = of_type(airline, "tool.returned")
    assert Counter(result.facts["outcome"] for result in results) == {"success": 1091, "failure": 73}
    assert all(str(r.value()).startswith("Error") == (r.facts["outcome"] == "failure") for r in results)


def test_each_result_answers_one_call(airline: EventStore) -> None:
    """Inside an execution call references are unique, although 49 real runs use one id twice; results match calls."""
    called = [(e.stream, e.facts["call"], e.facts["tool"]) for e in of_type(airline, "tool.called")]
    returned = [(e.stream, e.facts["call"], e.facts["tool"]) for e in of_type(airline, "tool.returned")]
    assert len(set(called)) == 1164
    assert set(called) == set(returned)


def test_no_time_is_made_up(airline: EventStore) -> None:
    """Runs without times say so, stand at the instant of import, and have no duration anywhere."""
    started = of_type(airline, "execution.started")
    assert all(event.facts["time_unknown"] is True for event in started)
    assert len({event.at for event in airline.read(types=["execution.started", "message.sent"])}) == 1
    assert not any("duration_us" in event.facts for event in airline.read())


def test_an_unknown_cost_is_not_zero(airline: EventStore) -> None:
    """The user cost is null in five runs and stays null; the agent's cost is unknown and absent everywhere."""
    costs = [event.value()["source"]["user_cost"] for event in of_type(airline, "execution.started")]
    assert sum(cost is None for cost in costs) == 5
    assert not any("cost_nanousd" in event.facts for event in airline.read())


def test_the_reward_is_a_judgement(airline: EventStore) -> None:
    """Every run has one verdict of a deterministic census, bound to the event that ended it."""
    ends = {e.stream: e for e in of_type(airline, "execution.completed", "execution.failed")}
    verdicts = of_type(airline, "judgement.recorded")
    assert Counter(verdict.facts["verdict"] for verdict in verdicts) == {"correct": 84, "incorrect": 116}
    assert all(verdict.facts["of"] == ends[verdict.stream].version for verdict in verdicts)
    assert {(v.facts["decision"], v.facts["source"], v.facts["sampling"]) for v in verdicts} == {
        ("execution", "deterministic", "census")
    }


def test_one_run_event_by_event(memory: EventStore, tmp_path: Path) -> None:
    """A run becomes its start, its messages and calls in order, its end and its judgement."""
    import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(3, 2, 0.0)])])
    events = list(memory.read())
    assert [event.type for event in events] == [
        "execution.started",
        "message.sent",
        "message.sent",
        "tool.called",
        "tool.returned",
        "message.sent",
        "execution.failed",
        "judgement.recorded",
        "import.done",
    ]
    facts = events[0].facts
    assert (facts["workflow"], facts["foreign"], facts["task"], facts["trial"]) == ("tau-bench/airline", "3/2", "3", 2)
    assert events[3].value() == {"seat": 4}
    assert events[4].facts["error_type"] == "ToolError"
    assert events[6].facts["error_type"] == "RewardBelowTarget"
    assert events[7].facts["score"] == "0.0"
    assert [event.actor.kind for event in events[1:6]] == ["system", "model", "agent", "service", "agent"]


def test_a_run_without_reward_is_left_out(memory: EventStore, tmp_path: Path) -> None:
    """A missing or null reward is an unknown outcome: the run is left out and counted, never a failure."""
    missing = tau_run(1)
    del missing["reward"]
    report = import_files(
        memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(0), missing, tau_run(2, reward=None)])]
    ).to_json()
    assert report["executions"] == 1
    assert report["left_out"] == [
        {"reason": "no reward: the outcome is unknown", "count": 2, "first": f"{tmp_path}/a.json: $[1]"}
    ]


def test_a_run_that_broke_is_a_failure(memory: EventStore, tmp_path: Path) -> None:
    """A run that tau-bench recorded as broken has reward 0 and no messages; it fails with an error of its own."""
    broken = tau_run(reward=0.0, traj=[], info={"error": "timeout", "traceback": "…"})
    import_files(memory, "tau-bench", [write(tmp_path / "a.json", [broken])])
    (end,) = of_type(memory, "execution.failed")
    assert end.facts["error_type"] == "RunError"
    assert end.value()["output"]["error"] == "timeout"


def test_two_models_do_not_collide(memory: EventStore, tmp_path: Path) -> None:
    """The same tasks and trials run by another model are other executions, even runs that broke at once."""
    broken = tau_run(1, reward=0.0, traj=[], info={"error": "timeout"})
    other = tau_run(0, reward=0.0)
    one = import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(0), broken])]).to_json()
    two = import_files(memory, "tau-bench", [write(tmp_path / "b.json", [other, broken])]).to_json()
    assert (one["executions"], two["executions"], two["already_there"]) == (2, 2, 0)


def test_a_file_that_grew_brings_what_is_new(memory: EventStore, tmp_path: Path) -> None:
    """tau-bench writes its results file run by run; importing it again later adds only the later runs."""
    import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(0)])])
    report = import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(0), tau_run(1)])]).to_json()
    assert (report["executions"], report["already_there"]) == (1, 1)


def test_compensation_needs_something_to_undo(memory: EventStore, tmp_path: Path) -> None:
    """A compensating tool counts once for each earlier success of the tool it undoes, and not otherwise."""

    def use(tool: str, id_: str, result: str = "ok") -> list[dict[str, object]]:
        call = {"id": id_, "function": {"name": tool, "arguments": "{}"}}
        return [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": id_, "content": result},
        ]

    mapping = write(tmp_path / "m.yaml", "compensates: {cancel: book}")
    traj = [*use("cancel", "0"), *use("book", "1", "Error: no"), *use("cancel", "2")]
    traj += [*use("book", "3"), *use("cancel", "4"), *use("cancel", "5")]
    import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(traj=traj)])], mapping)
    (undone,) = of_type(memory, "compensation.completed")
    assert (undone.facts["step"], undone.facts["occurrence"], undone.facts["compensation"]) == ("book", 0, "cancel")


def test_a_result_without_a_call_is_noticed(memory: EventStore, tmp_path: Path) -> None:
    """A tool result that answers no call is kept and reported; a call without a result stays open."""
    traj = [RETURNED, CALLED]
    report = import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(traj=traj)])]).to_json()
    assert [item["reason"] for item in report["noticed"]] == ["a tool result that answers no call"]
    assert [event.facts["call"] for event in of_type(memory, "tool.returned", "tool.called")] == ["c1", "c1#2"]


def test_a_text_over_the_limit_leaves_its_digest(memory: EventStore, tmp_path: Path) -> None:
    """A message too large for the log is replaced by its SHA-256 and size, and reported as left out."""
    long = {"role": "user", "content": "x" * 300_000}
    report = import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run(traj=[long])])]).to_json()
    (message,) = of_type(memory, "message.sent")
    assert message.value()["left_out"]["size_bytes"] > 300_000
    assert report["left_out"][0]["count"] == 1


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ({"simulations": []}, "$: is not a list of runs but dict"),
        ([1], "$[0]: "),
        ([tau_run(), {"task_id": 1, "reward": 1.0}], "$[1].traj: Field required"),
        ([tau_run(traj=[{"content": "x"}])], "$[0].traj[0].role: Field required"),
        ([tau_run(reward="1.0")], "$[0].reward: "),
        ([tau_run(reward=True)], "$[0].reward: "),
        ([tau_run(task_id=None)], "$[0].task_id: "),
        ([tau_run(trial=-1)], "$[0].trial: "),
        ([tau_run(traj=[{"role": "assistant", "tool_calls": [{"id": "c"}]}])], "$[0].traj[0].tool_calls[0].function: "),
        ([tau_run(task_id="t" * 300)], "facts.foreign"),
    ],
)
def test_a_wrong_shape_is_named(memory: EventStore, tmp_path: Path, content: object, where: str) -> None:
    """Something else than tau-bench results is refused with file and JSON path, and nothing is written."""
    path = write(tmp_path / "a.json", content)
    with pytest.raises(ImportRefused) as refused:
        import_files(memory, "tau-bench", [path])
    assert str(refused.value).startswith(f"{path}: ")
    assert where in str(refused.value)
    assert memory.head() == 0


def test_a_byte_order_mark_changes_nothing(memory: EventStore, tmp_path: Path) -> None:
    """A UTF-8 byte order mark before the JSON is no part of it."""
    path = write(tmp_path / "a.json", [tau_run()])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert import_files(memory, "tau-bench", [path]).to_json()["executions"] == 1


def test_people_may_play_the_user(memory: EventStore, tmp_path: Path) -> None:
    """A role that the mapping calls a person is one in the log."""
    mapping = write(tmp_path / "m.yaml", "people: [user]\nworkflow: my tau")
    import_files(memory, "tau-bench", [write(tmp_path / "a.json", [tau_run()])], mapping)
    actors = {e.facts["role"]: e.actor.kind for e in of_type(memory, "message.sent")}
    assert actors == {"system": "system", "user": "person", "assistant": "agent"}
    assert of_type(memory, "execution.started")[0].facts["workflow"] == "my tau"
