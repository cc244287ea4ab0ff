"""The `listen` task of a Serverless Workflow, from the command line: an event is a signal of the engine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from .commands import Shell

TYPE = "com.fake-hospital.vitals.measurements"
CODE = """
def start(request):
    return {"started": request["endpoint"]["uri"]}
"""
STARTED = "com.virtual-wf-powered-race.events.race.started.v1"


@pytest.fixture
def hospital(actum: Shell, data: Path) -> Shell:
    for file in sorted((data / "workflows" / "serverless_workflow" / "examples").glob("listen-*.yaml")):
        shutil.copy(file, actum.folder)
    (actum.folder / "race.py").write_text(CODE)
    return actum


def begin(actum: Shell, file: str, *more: str) -> None:
    assert actum("run", file, "--id", "w", "--no-wait", *more).code == 0


def signal(actum: Shell, name: str, value: Any) -> None:
    sent = actum("executions", "signal", "w", name, "--value", orjson.dumps(value).decode())
    assert sent.code == 0, sent.err


def resumed(actum: Shell) -> Any:
    return actum("resume", "w", "--json").json()


def test_one_event_lets_the_workflow_go_on(hospital: Shell) -> None:
    """The task waits in one process, the signal comes from another, and a third goes on behind it."""
    begin(hospital, "listen-to-one.yaml", "--task", "http=race:start", "--input", '{"carId": 7}')
    shown = hospital("executions", "show", "w", "--json").json()
    assert shown["status"] == "running"
    signal(hospital, STARTED, {"car": 1})
    ended = resumed(hospital)

    assert ended["status"] == "completed"
    assert ended["output"]["started"].startswith("https://virtual-wf-powered-race.com/api/v4/cars/")
    assert hospital("executions", "show", "w", "--json").json()["unread_signals"] == []


def test_all_events_are_waited_for_and_filtered_by_what_they_hold(hospital: Shell) -> None:
    """A temperature that is none is not taken; with the pulse alone the workflow still waits."""
    begin(hospital, "listen-to-all.yaml")
    signal(hospital, f"{TYPE}.temperature", {"temperature": 37})
    signal(hospital, f"{TYPE}.bpm", {"bpm": 120})
    assert hospital("executions", "show", "w", "--json").json()["status"] == "running"
    signal(hospital, f"{TYPE}.temperature", {"temperature": 39})
    ended = resumed(hospital)

    assert (ended["status"], ended["output"]) == ("completed", [{"bpm": 120}, {"temperature": 39}])


def test_events_are_collected_until_one_says_that_it_is_enough(hospital: Shell) -> None:
    """What came before the last event is the output, in the order in which it came."""
    begin(hospital, "listen-to-any-until-consumed.yaml")
    signal(hospital, f"{TYPE}.bpm", {"bpm": 40})
    signal(hospital, f"{TYPE}.temperature", {"temperature": 40})
    signal(hospital, "com.fake-hospital.patient.checked-out", {})
    ended = resumed(hospital)

    assert (ended["status"], ended["output"]) == ("completed", [{"bpm": 40}, {"temperature": 40}])


def test_any_event_will_do_where_no_type_is_named(hospital: Shell) -> None:
    """The workflow waits for whatever comes first."""
    begin(hospital, "listen-to-any.yaml")
    signal(hospital, "whatever", 12)

    assert resumed(hospital)["output"] == [12]
