"""XES logs in the log."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from actum.errors import ImportRefused
from actum.eventstore import EventStore, open_store
from actum.evidence.importers import import_files

from .foreign_files import check_log, minute, nearest_rank, of_type, write, xes_event, xes_log, xes_trace

SIZES = {
    "receipt.xes.gz": (1434, 8577, 27, 116),
    "bpic2013_closed_problems.xes.gz": (1487, 6660, 4, 183),
    "roadtraffic_100_cases.xes.gz": (100, 390, 10, None),
    "running-example.xes": (6, 42, 8, None),
}


def variants(store: EventStore) -> dict[str, list[Any]]:
    """The steps of each execution, in order."""
    found: dict[str, list[Any]] = defaultdict(list)
    for event in of_type(store, "step.completed"):
        found[event.stream].append(event)
    return found


@pytest.mark.parametrize("name", SIZES)
def test_a_real_log(data: Path, name: str) -> None:
    """Cases, events, activities and variants are those of the data's README, and the log is sound."""
    cases, events, activities, number = SIZES[name]
    store = open_store("memory://")
    report = import_files(store, "xes", [data / "event_logs" / name]).to_json()
    assert (report["executions"], report["events"], report["left_out"], report["noticed"]) == (cases, events, [], [])
    steps = of_type(store, "step.completed")
    assert len(steps) == events
    assert len({step.facts["step"] for step in steps}) == activities
    if number is not None:
        assert len({tuple(step.facts["step"] for step in case) for case in variants(store).values()}) == number
    check_log(store)


@pytest.fixture(scope="module")
def receipt(data: Path) -> EventStore:
    store = open_store("memory://")
    import_files(store, "xes", [data / "event_logs/receipt.xes.gz"])
    return store


def test_durations_of_cases(receipt: EventStore) -> None:
    """Median, 95th percentile (both nearest rank) and mean of the durations are those of the data's README."""
    durations = [event.facts["duration_us"] for event in of_type(receipt, "execution.completed")]
    assert round(nearest_rank(durations, 50) / 1e6, 3) == 2_800.432
    assert round(nearest_rank(durations, 95) / 1e6, 3) == 2_080_457.537
    assert round(sum(durations) / len(durations) / 1e6, 3) == 467_263.915


def test_deadlines_of_cases(receipt: EventStore) -> None:
    """The last event is on or before the deadline in 1,342 of 1,434 cases."""
    deadline = {event.stream: event.facts["deadline"] for event in of_type(receipt, "execution.started")}
    assert sum(end.at <= deadline[end.stream] for end in of_type(receipt, "execution.completed")) == 1342


def test_resources_are_people_under_pseudonyms(receipt: EventStore) -> None:
    """48 resources are 48 people, and no name stands in a header."""
    steps = of_type(receipt, "step.completed")
    assert len({step.actor for step in steps}) == 48
    assert {step.actor.kind for step in steps} == {"person"}
    assert not any(b"Resource21" in event.header for event in receipt.read())
    assert any(step.value()["org:resource"] == "Resource21" for step in steps)


def test_a_status_is_not_a_transition(data: Path, tmp_path: Path) -> None:
    """bpic2013 uses the life cycle as a status: it is kept, and three cases were Cancelled if the mapping says so."""
    mapping = write(
        tmp_path / "m.yaml",
        "outcome: {rules: [{event_attribute: 'lifecycle:transition', equals: [Cancelled], outcome: cancelled}]}",
    )
    store = open_store("memory://")
    import_files(store, "xes", [data / "event_logs/bpic2013_closed_problems.xes.gz"], mapping)
    assert len(of_type(store, "execution.cancelled")) == 3
    steps = of_type(store, "step.completed")
    assert len({step.actor for step in steps}) == 585
    assert Counter(step.value()["lifecycle:transition"] for step in steps)["In Progress"] == 3066
    check_log(store)


def test_the_same_cases_in_another_format(data: Path) -> None:
    """Cases, activities and times of the XES file are those of the CSV file of the same cases."""
    store = open_store("memory://")
    import_files(store, "xes", [data / "event_logs/roadtraffic_100_cases.xes.gz"])
    case_of = {event.stream: event.facts["foreign"] for event in of_type(store, "execution.started")}
    ours = Counter(
        (case_of[step.stream], step.facts["step"], datetime.fromisoformat(step.at))
        for step in of_type(store, "step.completed")
    )
    with (data / "event_logs/roadtraffic_100_cases.csv").open(newline="") as file:
        theirs = Counter(
            (row["case:concept:name"], row["concept:name"], datetime.fromisoformat(row["time:timestamp"]))
            for row in csv.DictReader(file)
        )
    assert ours == theirs


def bring(store: EventStore, tmp_path: Path, *traces: str, mapping: str = "", name: str = "shop") -> dict[str, Any]:
    path = write(tmp_path / "a.xes", xes_log(*traces, name=name))
    return import_files(store, "xes", [path], write(tmp_path / "m.yaml", mapping)).to_json()


def test_one_case(memory: EventStore, tmp_path: Path) -> None:
    """A case runs from its earliest to its latest event; repeated activities are counted from 0."""
    events = [xes_event("a", minute(0)), xes_event("b", minute(1)), xes_event("a", minute(3))]
    bring(memory, tmp_path, xes_trace("c", *events))
    started, *steps, end, _ = memory.read()
    assert started.facts["workflow"] == "xes/shop"
    assert (started.at, end.at) == ("2026-01-01T09:00:00.000000Z", "2026-01-01T09:03:00.000000Z")
    assert [(step.facts["step"], step.facts["occurrence"]) for step in steps] == [("a", 0), ("b", 0), ("a", 1)]
    assert not any("duration_us" in step.facts for step in steps)
    assert end.facts == {"outcome": "success", "duration_us": 180_000_000}


def test_file_order_is_kept(memory: EventStore, tmp_path: Path) -> None:
    """Ties and events out of time keep the order of the file; the latter are noticed, and no duration is negative."""
    events = [xes_event("b", minute(2)), xes_event("a", minute(2)), xes_event("c", minute(1))]
    report = bring(memory, tmp_path, xes_trace("c", *events))
    assert [step.facts["step"] for step in of_type(memory, "step.completed")] == ["b", "a", "c"]
    assert report["noticed"][0]["count"] == 1
    assert of_type(memory, "execution.completed")[0].facts["duration_us"] == 60_000_000


def test_start_and_complete_make_one_step(memory: EventStore, tmp_path: Path) -> None:
    """A complete ends the earliest open start of its activity and instance; only then the step has a duration.

    The transition is in the event's type and not in its payload.
    """

    def event(at: int, transition: str, instance: str) -> str:
        return xes_event("a", minute(at), lifecycle__transition=transition, concept__instance=instance)

    events = [event(0, "start", "x"), event(1, "start", "y"), event(2, "complete", "y")]
    events += [event(5, "COMPLETE", "x"), event(6, "complete", "x")]
    bring(memory, tmp_path, xes_trace("c", *events))
    assert [step.facts["occurrence"] for step in of_type(memory, "step.started")] == [0, 1]
    assert [(s.facts["occurrence"], s.facts.get("duration_us")) for s in of_type(memory, "step.completed")] == [
        (1, 60_000_000),
        (0, 300_000_000),
        (2, None),
    ]
    assert of_type(memory, "step.started")[0].value() == {"concept:instance": "x"}


def test_the_rest_of_the_life_cycle(memory: EventStore, tmp_path: Path) -> None:
    """Aborts fail a step, skips skip it; transitions without an event of ours are left out and not counted."""
    names = ["ate_abort", "manualskip", "autoskip", "suspend", "suspend", "unknown"]
    events = [xes_event(f"a{i}", minute(i), lifecycle__transition=name) for i, name in enumerate(names)]
    report = bring(memory, tmp_path, xes_trace("c", *events))
    assert [event.type for event in memory.read()][1:-2] == [
        "step.failed",
        "step.skipped",
        "step.skipped",
        "step.completed",
    ]
    assert report["events"] == 4
    assert [(item["reason"], item["count"]) for item in report["left_out"]] == [
        ("the transition 'suspend': the log has no event for it", 2)
    ]


def test_what_the_life_cycle_means_can_be_said(memory: EventStore, tmp_path: Path) -> None:
    """`status` takes every value as a status; `transition` refuses values that are none."""
    event = xes_event("a", minute(0), lifecycle__transition="start")
    bring(memory, tmp_path, xes_trace("c", event), mapping="lifecycle: status")
    assert of_type(memory, "step.completed")[0].facts["step"] == "a"
    event = xes_event("a", minute(0), lifecycle__transition="Open")
    with pytest.raises(ImportRefused, match=r"event 1: the life cycle has no transition 'Open'.*lifecycle: status"):
        bring(memory, tmp_path, xes_trace("d", event), mapping="lifecycle: transition")


def test_compensation_needs_something_to_undo(memory: EventStore, tmp_path: Path) -> None:
    """An activity compensates the latest standing completion of the one it undoes; else it is an ordinary step."""
    events = [xes_event(name, minute(i)) for i, name in enumerate(["storno", "bill", "bill", "storno", "storno"])]
    report = bring(memory, tmp_path, xes_trace("c", *events), mapping="compensates: {storno: bill}")
    undone = [(e.facts["step"], e.facts["occurrence"]) for e in of_type(memory, "compensation.completed")]
    assert undone == [("bill", 1), ("bill", 0)]
    assert len(of_type(memory, "step.completed")) == 3
    assert [item["reason"] for item in report["noticed"]] == ["'storno' with nothing left to undo: an ordinary step"]
    check_log(memory)


def test_interventions(memory: EventStore, tmp_path: Path) -> None:
    """An activity that the mapping calls a human act is a step and an intervention."""
    events = [xes_event("a", minute(0)), xes_event("reopen", minute(1), org__resource="Ann")]
    bring(memory, tmp_path, xes_trace("c", *events), mapping="interventions: {reopen: correction}")
    (act,) = of_type(memory, "intervention.recorded")
    assert (act.facts["kind"], act.facts["step"], act.actor.kind) == ("correction", "reopen", "person")


def test_a_key_changes_pseudonyms(memory: EventStore, tmp_path: Path) -> None:
    """Who is a person is a matter of patterns, and with a key the pseudonym cannot be computed from the name."""
    events = [xes_event("a", minute(0), org__resource="Ann"), xes_event("a", minute(1), org__resource="bot-7")]
    bring(memory, tmp_path, xes_trace("c", *events), xes_trace("d", xes_event("a", minute(0))))
    keyed = "people: ['[A-Z]*']\nresource_key: sesame\nworkflow: keyed"
    bring(memory, tmp_path, xes_trace("c", *events), mapping=keyed)
    plain_ann, _, nobody, ann, bot = [step.actor for step in of_type(memory, "step.completed")]
    assert (ann.kind, bot.kind, nobody.kind) == ("person", "service", "import")
    assert ann.ref != plain_ann.ref
    assert b"sesame" not in b"".join(event.header + (event.payload or b"") for event in memory.read())


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ("{last_activity: [b], outcome: failure, error_type: Rejected}", ("execution.failed", "Rejected")),
        ("{last_activity: [a], outcome: failure}", ("execution.completed", None)),
        ("{any_activity: [a], outcome: cancelled}", ("execution.cancelled", None)),
        ("{case_attribute: state, equals: ['lost'], outcome: failure}", ("execution.failed", "Failure")),
        ("{case_attribute: paid, equals: ['false'], outcome: timeout}", ("execution.failed", "Timeout")),
        ("{event_attribute: note, equals: [bad], outcome: failure}", ("execution.failed", "Failure")),
        ("{past_deadline: true, outcome: timeout}", ("execution.failed", "Timeout")),
    ],
)
def test_how_a_case_ended(memory: EventStore, tmp_path: Path, rule: str, end: tuple[str, str | None]) -> None:
    """The first rule that holds decides the outcome; without one a case is a success."""
    about = '<string key="state" value="lost"/><boolean key="paid" value="false"/>'
    about += f'<date key="deadline" value="{minute(0)}"/>'
    events = [xes_event("a", minute(0), note="bad"), xes_event("b", minute(1))]
    bring(memory, tmp_path, xes_trace("c", *events, attributes=about), mapping=f"outcome: {{rules: [{rule}]}}")
    (last,) = of_type(memory, "execution.completed", "execution.failed", "execution.cancelled")
    assert (last.type, last.facts.get("error_type")) == end
    check_log(memory)


def test_times_without_an_offset(memory: EventStore, tmp_path: Path) -> None:
    """A time without an offset is refused by trace and event unless the mapping assumes a zone."""
    trace = xes_trace("c", xes_event("a", minute(0)), xes_event("b", "2026-01-01T10:00:00"))
    with pytest.raises(ImportRefused, match=r"trace 1 \(case 'c'\), event 2: .*no UTC offset"):
        bring(memory, tmp_path, trace)
    assert memory.head() == 0
    bring(memory, tmp_path, trace, mapping="assume_zone: UTC")
    assert [step.at[11:16] for step in of_type(memory, "step.completed")] == ["09:00", "10:00"]


def test_a_case_without_events_is_left_out(memory: EventStore, tmp_path: Path) -> None:
    """A trace without events has no times and no outcome, so it is left out and named."""
    report = bring(memory, tmp_path, xes_trace("empty"), xes_trace("c", xes_event("a", minute(0))))
    assert report["executions"] == 1
    assert report["left_out"][0]["first"].endswith("a.xes: trace 1 (case 'empty')")


def test_other_logs_may_use_the_same_case_numbers(memory: EventStore, tmp_path: Path) -> None:
    """A case is known by its workflow, its number and its content; a log that grew brings what is new or changed."""
    first, second = xes_trace("1", xes_event("a", minute(0))), xes_trace("2", xes_event("a", minute(1)))
    grown = xes_trace("2", xes_event("a", minute(1)), xes_event("b", minute(2)))
    assert bring(memory, tmp_path, first, second)["executions"] == 2
    report = bring(memory, tmp_path, first, grown, xes_trace("3", xes_event("a", minute(4))))
    assert (report["executions"], report["already_there"]) == (2, 1)
    assert bring(memory, tmp_path, first, name="another")["executions"] == 1


@pytest.mark.parametrize(
    ("trace", "problem"),
    [
        (xes_trace("", xes_event("a", minute(0))), "trace 1 (line 1): has no 'concept:name'"),
        (xes_trace("c", xes_event("", minute(0))), "trace 1 (case 'c'), event 1: has no 'concept:name'"),
        (xes_trace("c", xes_event("a", "")), "trace 1 (case 'c'), event 1: has no 'time:timestamp'"),
        (xes_trace("c", xes_event("a", "soon")), "event 1: 'soon' is not an ISO 8601 time"),
        (xes_trace("c", xes_event("x" * 300, minute(0))), "facts.step"),
        (
            xes_trace("c", xes_event("a", "", time__timestamp=minute(0))),
            "event 1: 'time:timestamp' is '2026-01-01T10:00:00.000+01:00', not a date",
        ),
    ],
)
def test_what_a_log_must_have(memory: EventStore, tmp_path: Path, trace: str, problem: str) -> None:
    """A case without a name, an event without activity or time is refused by its place, and nothing is written."""
    good = xes_trace("good", xes_event("a", minute(0)))
    with pytest.raises(ImportRefused) as refused:
        bring(memory, tmp_path, trace, good)
    assert problem in str(refused.value)
    assert memory.head() == 0
