"""Pipelines that other people wrote, run whole by the command: real files, real steps, one store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .commands import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"
RENAMED = ("--modules", "tests.pipelines=examples.ia_modules")


@pytest.fixture
def beside(actum: Shell) -> Shell:
    """The command in a folder that holds the steps' code."""
    shutil.copytree(EXAMPLES, actum.folder / "examples")
    return actum


@pytest.mark.parametrize(
    ("name", "given", "output"),
    [
        ("simple_pipeline", {"topic": " durable  work "}, {"topic": "DURABLE WORK (ENRICHED)", "words": 2}),
        (
            "conditional_pipeline",
            {"threshold": 0.5, "test_data": [{"value": 1}, {"value": 2}, {}]},
            {"aggregated_results": {"count": 3, "levels": ["full"]}},
        ),
        ("parallel_pipeline", {"loaded_data": [1, 2, 3, 4, 5]}, {"statistics": {"items": 5, "mean": 3.0}}),
        ("agent_pipeline", {"input_data": {"x": 1}}, {"trail": ["ingestion", "final_processing"]}),
    ],
)
def test_a_pipeline_of_ia_modules_runs_to_its_end(
    beside: Shell, data: Path, name: str, given: dict[str, Any], output: Any
) -> None:
    """The file is used as it is, only its modules are elsewhere; what it did is in a log that verifies."""
    file = data / "workflows" / "ia_modules" / f"{name}.json"
    ended = beside("run", str(file), *RENAMED, "--input", json.dumps(given), "--json")

    assert ended.code == 0, ended.err
    assert ended.json()["output"] == output
    assert beside("verify", "--json").json()["verdict"] == "verified"


def test_the_human_pipeline_waits_for_an_answer_given_in_another_process(beside: Shell, data: Path) -> None:
    """The review stops it; a person answers; it goes on, with the renamed modules, from the log alone."""
    file = data / "workflows" / "ia_modules" / "simple_hitl_pipeline.json"
    waiting = beside("run", str(file), *RENAMED, "--id", "review", "--json").json()
    assert waiting["status"] == "waiting"

    answered = beside("approvals", "approve", "review", "--comment", "good")
    assert answered.code == 0, answered.err
    resumed = beside("resume", "review", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json()["output"] == {"final_result": "approve: good", "status": "completed"}


def test_the_first_example_of_the_readme_runs(actum: Shell) -> None:
    """Two steps, and `{{ step_one.greeting }}` between them."""
    file = EXAMPLES / "hello_world" / "pipelines" / "hello_world.json"
    ended = actum("run", str(file), "--input", '{"name": "Developer"}')

    assert ended.code == 0, ended.err
    assert "Hello, Developer!" in ended.out


@pytest.mark.parametrize("words", ["tests", "tests=", "=examples", "a-b=c", "a..b=c"])
def test_a_renaming_that_is_none_is_refused(beside: Shell, words: str) -> None:
    """`--modules` takes OLD=NEW and nothing else, and nothing is written."""
    file = EXAMPLES / "hello_world" / "pipelines" / "hello_world.json"
    ended = beside("run", str(file), "--modules", words)

    assert ended.code == 2
    assert f"--modules: '{words}' is not OLD=NEW" in ended.err
    assert not (beside.folder / "actum.db").exists()


def test_a_renaming_for_a_function_is_refused(actum: Shell) -> None:
    """A workflow in Python is found where it says it is."""
    ended = actum("run", "flows:twice", "--modules", "a=b", "--input", "1")

    assert ended.code == 2
    assert "--modules is for a graph in a file" in ended.err
