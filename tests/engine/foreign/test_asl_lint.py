"""The rules of the States Language, held against the cases of statelint and against state machines in use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actum.engine.foreign import load_foreign
from actum.engine.foreign.asl.lint import lint, unmapped
from actum.engine.graphs.source import read_file
from actum.errors import DefinitionError

ELSEWHERE = {"has-dupes.json": 1, "linked-parallel.json": 4, "no-terminal.json": 1}
"""What statelint's own tests expect where the list of cases gives no number."""


def machine(**states: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def problems(definition: Any) -> list[str]:
    return [str(problem) for problem in lint(definition)]


def test_every_case_of_statelint_has_as_many_problems_as_it_expects(data: Path) -> None:
    """72 files, each with exactly its number of problems, which say what they are about and where."""
    folder = data / "workflows" / "asl_statelint"
    cases = json.loads((folder / "EXPECTED_PROBLEMS.json").read_text())["files"]
    assert len(cases) == 72
    for name, expected in cases.items():
        found = problems(json.loads((folder / name).read_text()))
        number = ELSEWHERE[name] if expected["problems"] is None else expected["problems"]
        assert len(found) == number, (name, found)
        assert all(problem.startswith("$.") for problem in found), found
        for text in expected["texts"]:
            assert any(text in problem for problem in found), (name, text, found)


def test_state_machines_in_use_have_no_problems(data: Path) -> None:
    """Three state machines as their projects ship them are sound, and all of them can run here."""
    files = sorted((data / "workflows" / "asl_real").iterdir())
    assert len(files) == 3
    for file in files:
        definition = read_file(file)
        assert lint(definition) == [], file.name
        assert unmapped(definition) == [], file.name


END = {"Type": "Succeed"}
CASES: dict[str, tuple[Any, list[str]]] = {
    "no object": ([], ["$: is a list; a state machine is an object"]),
    "no states": ({"StartAt": "a"}, ['$: field "States" is missing']),
    "an unknown start": (
        {"StartAt": "b", "States": {"a": END}},
        ["$.StartAt: field \"StartAt\": there is no state 'b'", "$.States.a: no transition leads from the start"],
    ),
    "an unknown type": (machine(a={"Type": "Tusk", "End": True}), ["did you mean 'Task'"]),
    "a field that is nearly one": (
        machine(a={"Type": "Pass", "ResultPaht": "$.x", "End": True}),
        ["$.States.a.ResultPaht: field \"ResultPaht\" is not allowed here; did you mean 'ResultPath'?"],
    ),
    "an island": (
        machine(a=END, b={"Type": "Pass", "Next": "c"}, c={"Type": "Pass", "Next": "b"}),
        ["no transition leads from the start to state 'b'", "no transition leads from the start to state 'c'"],
    ),
    "no way on": (machine(a={"Type": "Pass"}), ["no state ends the machine", 'field "Next" is missing']),
    "both ways on": (machine(a={"Type": "Pass", "End": True, "Next": "a"}), ['only one of ["End", "Next"]']),
    "all errors before others": (
        machine(
            a={
                "Type": "Task",
                "Resource": "x:y",
                "End": True,
                "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}],
            }
        ),
        ["$.States.a.Retry[0].ErrorEquals: States.ALL stands alone, and in the last place"],
    ),
    "a rule without an operator": (
        machine(a={"Type": "Choice", "Choices": [{"Variable": "$.x", "Next": "b"}]}, b=END),
        ["compares with nothing"],
    ),
    "a rule with two": (
        machine(
            a={"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": True, "IsString": True, "Next": "b"}]}, b=END
        ),
        ['may have only one of ["IsNull", "IsString"]'],
    ),
    "a nested rule that leads somewhere": (
        machine(
            a={
                "Type": "Choice",
                "Choices": [{"Not": {"Variable": "$.x", "IsNull": True, "Next": "b"}, "Next": "b"}],
            },
            b=END,
        ),
        ["$.States.a.Choices[0].Not.Next"],
    ),
    "an operand of another kind": (
        machine(a={"Type": "Choice", "Choices": [{"Variable": "$.x", "NumericEquals": "1", "Next": "b"}]}, b=END),
        ["is a text, and must be a number"],
    ),
    "a wait for nothing": (machine(a={"Type": "Wait", "End": True}), ["has none of Seconds"]),
    "a path that may name many": (
        machine(a={"Type": "Pass", "ResultPath": "$.a[*]", "End": True}),
        ["it may name more than one value"],
    ),
    "a long name": ({"StartAt": "a" * 81, "States": {"a" * 81: END}}, ["1 to 80 characters"]),
}


@pytest.mark.parametrize(("definition", "expected"), CASES.values(), ids=CASES.keys())
def test_what_is_wrong_is_named_with_its_place(definition: Any, expected: list[str]) -> None:
    """Each mistake gives its own message, at its own path, and no other."""
    found = problems(definition)
    assert len(found) == len(expected), found
    for text in expected:
        assert any(text in problem for problem in found), (text, found)


def test_what_does_not_exist_here_is_named() -> None:
    """A sound definition that asks for more than there is gets the name and place of each such thing."""
    task = {"Type": "Task", "Resource": "x:y", "HeartbeatSeconds": 3, "Next": "m"}
    inner = {**machine(i={"Type": "Pass", "End": True}), "ProcessorConfig": {"Mode": "DISTRIBUTED"}}
    mapped = {"Type": "Map", "ItemProcessor": inner, "ItemReader": {}, "Next": "j"}
    jsonata = {"Type": "Task", "QueryLanguage": "JSONata", "Resource": "x:y", "Arguments": "{% 1 %}", "End": True}
    definition = machine(t=task, m=mapped, j=jsonata)
    assert lint(definition) == []
    assert [problem.path for problem in unmapped(definition)] == [
        "$.States.t.HeartbeatSeconds",
        "$.States.m.ItemReader",
        "$.States.m.ItemProcessor.ProcessorConfig.Mode",
        "$.States.j.QueryLanguage",
    ]


def test_other_languages_are_refused_in_words(data: Path) -> None:
    """What Argo and GitHub Actions read does not run here, and the message says which languages do."""
    files = [file for name in ("argo", "github_actions") for file in sorted((data / "workflows" / name).iterdir())]
    assert len(files) == 9
    for file in files:
        with pytest.raises(DefinitionError, match=r"is neither a state machine .* nor a Serverless Workflow"):
            load_foreign(file)
