"""Whatever stands in a definition, it is refused in words or it runs; and what runs, a replay repeats."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.foreign import TaskError, load_foreign
from actum.engine.foreign.asl.lint import lint, unmapped
from actum.engine.foreign.load import read_foreign
from actum.engine.foreign.serverless.check import check
from actum.errors import BadInput, DefinitionError
from tests.engine.foreign.foreign_driver import Ran, Script

ASL: dict[str, Any] = {
    "StartAt": "p",
    "TimeoutSeconds": 1000,
    "States": {
        "p": {"Type": "Pass", "Parameters": {"x.$": "$.n", "y": [1, {"z.$": "States.Array($.n, 'a')"}]}, "Next": "t"},
        "t": {
            "Type": "Task",
            "Resource": "x:y",
            "TimeoutSeconds": 5,
            "ResultSelector": {"r.$": "$.v"},
            "ResultPath": "$.t",
            "Retry": [{"ErrorEquals": ["A"], "MaxAttempts": 2}, {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2}],
            "Catch": [{"ErrorEquals": ["B"], "ResultPath": "$.e", "Next": "w"}],
            "Next": "c",
        },
        "c": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [{"Variable": "$.x", "NumericEquals": 1}, {"Variable": "$.q", "IsPresent": False}],
                    "Next": "m",
                },
                {"Not": {"Variable": "$.x", "StringMatches": "a*"}, "Next": "w"},
            ],
            "Default": "f",
        },
        "m": {
            "Type": "Map",
            "ItemsPath": "$.y",
            "MaxConcurrency": 1,
            "ItemSelector": {"i.$": "$$.Map.Item.Index"},
            "ItemProcessor": {"StartAt": "i", "States": {"i": {"Type": "Pass", "End": True}}},
            "Next": "l",
        },
        "l": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "b", "States": {"b": {"Type": "Wait", "Seconds": 3, "End": True}}}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "w"}],
            "Next": "w",
        },
        "w": {"Type": "Wait", "Timestamp": "2026-11-21T13:00:00Z", "OutputPath": "$", "Next": "s"},
        "f": {"Type": "Fail", "Error": "E", "CausePath": "States.Format('{}', $.x)"},
        "s": {"Type": "Succeed"},
    },
}
SERVERLESS: dict[str, Any] = {
    "document": {"dsl": "1.0.0", "namespace": "n", "name": "w", "version": "1"},
    "input": {"schema": {"document": {"type": "object"}}, "from": "${ . }"},
    "use": {"errors": {"e": {"type": "x", "status": 400}}, "retries": {"r": {"delay": "PT1S"}}},
    "timeout": {"after": {"minutes": 9}},
    "do": [
        {"s": {"set": {"n": "${ .n }", "l": [1, 2]}, "if": ".n != 7", "export": {"as": ".l"}}},
        {
            "t": {
                "try": [{"c": {"call": "http", "with": {"method": "get", "endpoint": "http://x/{n}"}, "then": "exit"}}],
                "catch": {
                    "errors": {"with": {"status": 500}},
                    "as": "problem",
                    "retry": {"delay": {"seconds": 1}, "backoff": {"linear": {}}, "limit": {"attempt": {"count": 2}}},
                    "do": [{"d": {"set": "${ $problem }"}}],
                },
            }
        },
        {"f": {"for": {"each": "x", "in": "$context"}, "while": "true", "do": [{"v": {"wait": "PT2S"}}]}},
        {"k": {"fork": {"compete": True, "branches": [{"a": {"set": "1"}}, {"b": {"wait": {"seconds": 1}}}]}}},
        {"h": {"switch": [{"one": {"when": ". == 1", "then": "g"}}, {"else": {"then": "end"}}]}},
        {"g": {"emit": {"event": {"with": {"source": "s", "type": "t"}}}}},
        {"j": {"listen": {"to": {"any": [{"with": {"type": "t"}}], "until": "length > 1"}}, "foreach": {"item": "i"}}},
        {"r": {"run": {"shell": {"command": "x"}, "return": "code"}, "timeout": {"after": "PT9S"}}},
        {"q": {"raise": {"error": "e"}}},
    ],
}

odd = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        "",
        "x",
        "$",
        "$.n",
        "$.no",
        "$[",
        "States.UUID()",
        "${ .n }",
        "${ ( }",
        "end",
        [],
        {},
        [1],
        {"a": 1},
    ]
)
replaced = st.lists(st.tuples(st.integers(0, 10**6), odd | st.just("(gone)")), min_size=1, max_size=3)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place inside a value: what holds it, and under which key."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


def mangled(definition: dict[str, Any], changes: list[tuple[int, Any]]) -> dict[str, Any]:
    made = copy.deepcopy(definition)
    for number, value in changes:
        known = places(made)
        if not known:
            break
        holder, key = known[number % len(known)]
        if value == "(gone)":
            del holder[key]
        else:
            holder[key] = copy.deepcopy(value)
    return made


def runs(definition: dict[str, Any], names: set[str], given: Any) -> None:
    """It runs to some end or waits, whatever its tasks answer; `Ran` replays it."""
    for answers in ([{"v": 1}], [TaskError("A"), TaskError("B")], [ValueError("x"), 7]):
        code = load_foreign(definition, tasks=dict.fromkeys(names, Script(*answers)))
        try:
            Ran(code, given, [("t", {}), ("u", 1)])
        except BadInput:
            return  # the input does not fit


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=80)
@forall(replaced, st.sampled_from([{"n": 1}, {}, {"n": "a", "q": None}, [], None]))
def test_a_mangled_state_machine_is_refused_or_runs(changes: list[tuple[int, Any]], given: Any) -> None:
    """No definition makes the linter or the planner fail in any other way than by their own words."""
    definition = mangled(ASL, changes)
    problems = lint(definition) or unmapped(definition)
    if problems:
        assert all(problem.path.startswith("$") and problem.text for problem in problems)
        return
    runs(definition, read_foreign(definition).task_names(), given)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=80)
@forall(replaced, st.sampled_from([{"n": 1}, {}, {"n": 7}, None]))
def test_a_mangled_serverless_workflow_is_refused_or_runs(changes: list[tuple[int, Any]], given: Any) -> None:
    """The same for the other language."""
    definition = mangled(SERVERLESS, changes)
    problems = check(definition)
    if problems:
        assert all(problem.path.startswith("$") and problem.text for problem in problems)
        return
    try:
        names = read_foreign(definition).task_names()
    except DefinitionError:
        return  # not seen to be a Serverless Workflow any more
    runs(definition, names, given)


def test_the_definitions_themselves_run() -> None:
    """What is mangled above is in order before."""
    assert not lint(ASL)
    assert not unmapped(ASL)
    assert not check(SERVERLESS)
    runs(ASL, {"t"}, {"n": 1})
    runs(SERVERLESS, {"c", "r"}, {"n": 1})
