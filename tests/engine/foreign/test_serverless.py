"""Serverless Workflows run as version 1.0 of the language says: the published examples, and the rules one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.foreign import Foreign, TaskError, load_foreign
from actum.engine.foreign.serverless.check import check
from actum.engine.foreign.serverless.durations import duration_s
from actum.engine.foreign.serverless.expressions import ExpressionFailed, value_of
from actum.engine.graphs.source import read_file
from actum.errors import BadInput, DefinitionError
from actum.eventstore import open_store
from tests.engine.foreign.foreign_driver import Ran, Script
from tests.engine.world import engine_on, sound, virtually

ERRORS = "https://serverlessworkflow.io/spec/1.0.0/errors/"

# -- the examples of the specification ------------------------------------------------------------------------------


class Example(NamedTuple):
    """How an example runs: what is given to it, and what must come of it."""

    visited: list[str]
    output: Any = None
    tasks: dict[str, Callable[[], Any]] = {}  # noqa: RUF012 - read only
    given: Any = None
    signals: tuple[tuple[str, Any], ...] = ()
    called: list[str] | None = None
    error: str | None = None
    skipped: tuple[str, ...] = ()
    slept: tuple[float, ...] = ()


def answers(*values: Any) -> Callable[[], Any]:
    return lambda: Script(*values)


def echo() -> Script:
    return Script(lambda given: given)


HTTP = {"http": answers({"id": 1})}
ASKED = {"http": echo}
TEMPERATURE = "com.fake-hospital.vitals.measurements.temperature"
BPM = "com.fake-hospital.vitals.measurements.bpm"
VITALS = ((TEMPERATURE, {"temperature": 37}), (BPM, {"bpm": 120}), (TEMPERATURE, {"temperature": 39}))
PROCESS = {"container": answers({"code": 3, "stdout": "out", "stderr": "err"})}
GONE = TaskError(ERRORS + "communication", "gone", status=404, title="Gone")
BUSY = TaskError(ERRORS + "communication", "busy", status=503)
NOT_YET = "The workflow 'raise-not-implemented:0.1.0' is a work in progress and cannot be run yet"
PATIENT = {"id": 7, "name": "P", "room": {"number": 1}, "vitals": {"bpm": 9}}
EVENT = {"type": "t", "data": {"timestamp": 5, "patient": PATIENT}}
SENSOR = {"specversion": "1.0", "source": "https://my.home.com/sensor", "data": {"roomid": 1}}

EXAMPLES: dict[str, Example] = {
    "accumulate-room-readings": Example(
        ["consumeReading"],
        signals=(
            ("my.home.sensors.temperature", SENSOR),
            ("my.home.sensors.humidity", SENSOR),
        ),
        tasks={"openapi": answers({})},
        error=ERRORS + "expression",  # what it listened to is a list, and a list has no field `data`
        slept=(3600,),
    ),
    "authentication-bearer-uri-format": Example(["getPet"], {"id": 1}, HTTP, {"token": "t"}),
    "authentication-bearer": Example(
        ["getPet"],
        {
            "method": "get",
            "endpoint": {"uri": "https://petstore.swagger.io/v2/pet/1", "authentication": {"bearer": {"token": "t"}}},
        },
        ASKED,
        {"token": "t"},
    ),
    "authentication-oauth2-secret": Example(["getPet"], {"id": 1}, HTTP),
    "authentication-oauth2": Example(["getPet"], {"id": 1}, HTTP),
    "authentication-oidc-secret": Example(["getPet"], {"id": 1}, HTTP),
    "authentication-oidc": Example(["getPet"], {"id": 1}, HTTP),
    "authentication-reusable": Example(
        ["getPet"],
        {
            "method": "get",
            "endpoint": {"uri": "https://petstore.swagger.io/v2/pet/4", "authentication": {"bearer": {"token": "t"}}},
        },
        ASKED,
        {"token": "t", "petId": 4},
    ),
    "call-asyncapi-publish": Example(
        ["findPet"],
        {"petId": 4},
        {"findPetsByStatus": lambda: Script(lambda g: g["message"]["payload"])},
        {"pet": {"id": 4}},
    ),
    "call-custom-function-cataloged": Example(["log"], "logged", {"log": answers("logged")}),
    "call-custom-function-inline": Example(
        ["getPet", "getPetById"],
        {"method": "get", "endpoint": "https://petstore.swagger.io/v2/pet/69"},
        ASKED,
        called=["getPetById"],
    ),
    "call-grpc": Example(
        ["greet"],
        "Hi Ann",
        {"grpc": lambda: Script(lambda g: f"Hi {g['arguments']['name']}")},
        {"user": {"preferredDisplayName": "Ann"}},
    ),
    "call-http-endpoint-interpolation-shorthand": Example(
        ["getPet"], {"method": "get", "endpoint": "https://petstore.swagger.io/v2/pet/4"}, ASKED, {"petId": 4}
    ),
    "call-http-endpoint-interpolation": Example(
        ["getPet"],
        {
            "headers": {"content-type": "application/json"},
            "method": "get",
            "endpoint": "https://petstore.swagger.io/v2/pet/4",
        },
        ASKED,
        {"petId": 4},
    ),
    "call-http-query-headers-expressions": Example(
        ["setQueryAndHeaders", "searchStarWarsCharacters"],
        {
            "method": "get",
            "endpoint": "https://swapi.dev/api/people/",
            "headers": {"Accept": "application/json"},
            "query": {"search": "luke"},
        },
        ASKED,
        {"searchQuery": "luke"},
    ),
    "call-http-query-parameters": Example(["searchStarWarsCharacters"], {"id": 1}, HTTP, {"searchQuery": "luke"}),
    "call-http-redirect": Example(["searchStarWarsCharacters"], {"id": 1}, HTTP, {"searchQuery": "luke"}),
    "call-openapi-redirect": Example(["findPet"], [4], {"findPetsByStatus": answers([4])}),
    "call-openapi": Example(["findPet"], [4], {"openapi": answers([4])}),
    "conditional-task": Example(
        ["raiseErrorIfUnderage", "placeBet"],
        {"id": 1},
        HTTP,
        {"customer": {"age": 18}},
        skipped=("raiseErrorIfUnderage",),
    ),
    "do-multiple": Example(["getPet", "buyPet"], {"id": 1}, HTTP),
    "do-single": Example(["getPet"], {"id": 1}, HTTP),
    "for": Example(
        ["checkup", "waitForCheckup"],
        signals=(("com.fake.petclinic.pets.checkup.completed.v2", {}),),
        given={"pets": [{"id": 1}], "vet": "v"},
        error=ERRORS + "expression",  # what it listened to is a list, and a list has no field `pets`
    ),
    "fork": Example(
        ["raiseAlarm", "raiseAlarm.0.0/callNurse", "raiseAlarm.0.1/callDoctor"],
        "nurse",
        {"callNurse": answers("nurse"), "callDoctor": answers("doctor")},
        {"patient": {}, "room": {}},
    ),
    "listen-to-all": Example(["callDoctor"], [{"bpm": 120}, {"temperature": 39}], signals=VITALS),
    "listen-to-all_read-envelope": Example(
        ["callDoctor"],
        [{"type": BPM, "data": {"bpm": 120}}, {"type": TEMPERATURE, "data": {"temperature": 39}}],
        signals=VITALS,
    ),
    "listen-to-any-filter": Example(["callDoctor"], [{"bpm": 120}], signals=VITALS),
    "listen-to-any-forever-foreach": Example(
        ["listenToGossips", "postToChatApi", "postToChatApi"],
        tasks=ASKED,
        signals=(("a", 1), ("b", 2)),
        called=["postToChatApi"] * 2,
    ),
    "listen-to-any-until-condition": Example(["callDoctor"], [0, 1, 2, 3], signals=tuple(("x", n) for n in range(6))),
    "listen-to-any-until-consumed": Example(
        ["callDoctor"],
        [{"bpm": 120}, {"temperature": 39}],
        signals=(*VITALS, ("com.fake-hospital.patient.checked-out", {})),
    ),
    "listen-to-any": Example(["callDoctor"], [1], signals=(("x", 1), ("y", 2))),
    "listen-to-one": Example(
        ["waitForStartup", "startup"],
        {"id": 1},
        HTTP,
        signals=(("com.virtual-wf-powered-race.events.race.started.v1", {"car": 1}),),
    ),
    "raise-inline": Example(["notImplemented"], error=ERRORS.replace("spec/1.0.0/", "") + "not-implemented"),
    "raise-reusable": Example(["notImplemented"], error=ERRORS.replace("spec/1.0.0/", "") + "not-implemented"),
    "run-container-cleanup-always": Example(["runContainer"], "out", PROCESS),
    "run-container-cleanup-eventually": Example(["runContainer"], "out", PROCESS),
    "run-container-stdin-and-arguments": Example(
        ["setInput", "runContainer"], "Hello World", {"alpine": lambda: Script(lambda g: g["stdin"])}
    ),
    "run-container-with-name": Example(
        ["runContainer"], "hello-null-null-null", {"container": lambda: Script(lambda g: g["name"])}
    ),
    "run-container-with-pull-policy": Example(["runContainer"], "out", PROCESS),
    "run-container": Example(["runContainer"], "out", {"hello-world": answers("out")}),
    "run-return-all": Example(["runContainer"], {"code": 3, "stdout": "out", "stderr": "err"}, PROCESS),
    "run-return-code": Example(["runContainer"], 3, PROCESS),
    "run-return-none": Example(["runContainer"], None, PROCESS),
    "run-return-stderr": Example(["runContainer"], "err", PROCESS),
    "run-script-with-stdin-and-arguments": Example(
        ["runScript"], ["hello"], {"script": lambda: Script(lambda g: g["arguments"])}
    ),
    "run-shell-stdin-and-arguments": Example(
        ["setInput", "runShell"], "Hello World", {"shell": lambda: Script(lambda g: {"stdout": g["stdin"]})}
    ),
    "run-subflow": Example(["registerCustomer"], {"customer": ".user"}, {"register-customer": echo}),
    "schedule-cron": Example(["backup"], {"id": 1}, HTTP),
    "schedule-event-driven": Example(["callNurse"], {"id": 1}, HTTP, [EVENT]),
    "set-expression": Example(["initialize"], EVENT, given=[EVENT]),
    "set": Example(["initialize"], {"startEvent": EVENT}, given=[EVENT]),
    "star-wars-homeworld": Example(
        ["getStarWarsCharacter", "getStarWarsHomeworld"],
        {"method": "get", "endpoint": "https://swapi.dev/api/planets/1"},
        {
            "getStarWarsCharacter": answers({"content": {"homeworld": "https://swapi.dev/api/planets/1"}}),
            "getStarWarsHomeworld": echo,
        },
        {"id": 1},
    ),
    "switch-then-string": Example(
        ["processOrder", "processElectronicOrder"],
        {"validate": True, "status": "fulfilled"},
        given={"orderType": "electronic"},
    ),
    "try-catch-retry-inline": Example(
        ["tryGetPet", "getPet", "getPet", "getPet"], {"id": 1}, {"getPet": answers(BUSY, BUSY, {"id": 1})}, slept=(3, 6)
    ),
    "try-catch-retry-reusable": Example(
        ["tryGetPet"] + ["getPet"] * 6,
        tasks={"getPet": answers(BUSY)},
        error=ERRORS + "communication",
        slept=(3, 6, 12, 24, 48),
    ),
    "try-catch-then": Example(
        ["tryGetPet", "getPet", "notifySupport", "setError", "buyPet"],
        {"error": "$error"},
        {"getPet": answers(GONE), "buyPet": answers("bought")},
        skipped=("buyPet",),
    ),
    "try-catch": Example(["tryGetPet", "getPet"], {"petId": 4}, {"getPet": answers(GONE)}, {"petId": 4}),
    "wait-duration-inline": Example(["wait30Seconds"], {}, slept=(30,)),
    "wait-duration-iso8601": Example(["wait30Seconds"], {}, slept=(30,)),
}
MORE: dict[str, Example] = {
    "conditional-task": Example(
        ["raiseErrorIfUnderage"],
        tasks=HTTP,
        given={"customer": {"age": 17}},
        error="https://superbet-casinos.com/customer/access-forbidden",
    ),
    "switch-then-string": Example(
        ["processOrder", "handleUnknownOrderType"],
        {"log": "warn", "message": "something's wrong"},
        given={"orderType": "other"},
    ),
    "try-catch-then": Example(
        ["tryGetPet", "getPet", "buyPet"], "bought", {"getPet": answers({"id": 1}), "buyPet": answers("bought")}
    ),
    "try-catch": Example(["tryGetPet", "getPet"], tasks={"getPet": answers(BUSY)}, error=ERRORS + "communication"),
    "for": Example(["checkup"], {"pets": [{"id": 1}]}, given={"pets": [{"id": 1}]}),
}
"""Other ways through some of them."""
EMITTED = "emit"
REFUSED = {
    "call-asyncapi-subscribe-consume-amount": "$.do[0].getNotifications.with.subscription: subscription",
    "call-asyncapi-subscribe-consume-forever-foreach": "$.do[0].getNotifications.with.subscription: subscription",
    "call-asyncapi-subscribe-consume-until": "$.do[0].getNotifications.with.subscription: subscription",
    "call-asyncapi-subscribe-consume-while": "$.do[0].getNotifications.with.subscription: subscription",
    "mock-service-extension": "$.use.extensions: extensions",
}


@pytest.fixture(scope="session")
def examples(data: Path) -> Path:
    return data / "workflows" / "serverless_workflow" / "examples"


def test_every_example_runs_or_is_refused_by_name(examples: Path) -> None:
    """Of 65 examples 60 run, and five are refused for what does not exist here."""
    names = {file.stem for file in examples.iterdir()}
    assert len(names) == 65
    assert names == EXAMPLES.keys() | REFUSED.keys() | {EMITTED}
    assert len(EXAMPLES.keys() | {EMITTED}) == 60
    for name, expected in REFUSED.items():
        with pytest.raises(DefinitionError) as refused:
            load_foreign(examples / f"{name}.yaml")
        assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("name", "example"), [*EXAMPLES.items(), *MORE.items()], ids=[*EXAMPLES, *(f"{name} (2)" for name in MORE)]
)
def test_an_example_takes_the_right_path(examples: Path, name: str, example: Example) -> None:
    """With scripted tasks each goes through the tasks that its definition says, and gives what it says."""
    tasks = {key: make() for key, make in example.tasks.items()}
    ran = Ran(load_foreign(examples / f"{name}.yaml", tasks=tasks), example.given, example.signals)
    assert ran.visited == example.visited
    assert tuple(ran.skipped) == example.skipped
    assert tuple(ran.slept) == example.slept
    if example.called is not None:
        assert ran.called == example.called
    if example.error is not None:
        assert ran.error.error_type == example.error
    elif name == "listen-to-any-forever-foreach":
        assert ran.ended is None
    else:
        assert ran.output == example.output


def test_an_emitted_event_is_recorded_without_any_function(examples: Path) -> None:
    """The event is the argument of a step, with an id that a replay gives again; a bound function may send it."""
    sent = Script(None)
    for tasks in ({}, {"com.petstore.order.placed.v1": sent}):
        ran = Ran(load_foreign(examples / "emit.yaml", tasks=tasks))
        assert ran.called == ["emitEvent"]
        assert ran.output["type"] == "com.petstore.order.placed.v1"
        assert ran.output["data"]["client"] == {"firstName": "Cruella", "lastName": "de Vil"}
    assert sent.given == [ran.output]


def test_what_we_take_the_language_s_own_schema_takes_too(data: Path, examples: Path) -> None:
    """Every example is valid by the schema that the specification ships; our check refuses no more than it says."""
    import jsonschema

    schema = read_file(data / "workflows" / "serverless_workflow" / "schema" / "workflow.yaml")
    validator = jsonschema.Draft202012Validator(schema)
    for file in sorted(examples.iterdir()):
        definition = read_file(file)
        assert validator.is_valid(definition), file.name
        assert bool(check(definition)) is (file.stem in REFUSED), file.name


# -- the rules ------------------------------------------------------------------------------------------------------


def flow(*tasks: dict[str, Any], bind: Any = None, **more: Any) -> Foreign:
    document = {"dsl": "1.0.0", "namespace": "test", "name": "flow", "version": "1.0.0"}
    return load_foreign({"document": document, "do": list(tasks), **more}, tasks=bind)


def call(name: str, **more: Any) -> dict[str, Any]:
    return {name: {"call": "http", "with": {"method": "get", "endpoint": f"http://{name}"}, **more}}


def fail(name: str, type_: str = "e", **more: Any) -> dict[str, Any]:
    return {name: {"raise": {"error": {"type": type_, "status": 400, **more}}}}


def test_data_goes_from_task_to_task_as_they_say() -> None:
    """input.from, output.as and export.as shape it; $context is what was exported last."""
    ran = Ran(
        flow(
            {
                "a": {
                    "set": {"x": "${ .n + 1 }", "was": "${ $input }"},
                    "input": {"from": ".given"},
                    "export": {"as": {"kept": "${ .x }"}},
                }
            },
            {"b": {"set": {"kept": "${ $context.kept }", "all": "${ . }"}, "output": {"as": "{ kept, x: .all.x }"}}},
            output={"as": ".kept + .x"},
        ),
        {"given": {"n": 1}},
    )
    assert ran.output == 4


@pytest.mark.parametrize(
    ("directive", "visited", "output"),
    [
        ("continue", ["outer", "first", "second", "third", "last"], "last"),
        ("exit", ["outer", "first", "last"], "last"),
        ("end", ["outer", "first"], 1),
        ("third", ["outer", "first", "third", "last"], "last"),
    ],
)
def test_then_says_where_to_go(directive: str, visited: list[str], output: Any) -> None:
    """On, out of the list, to the end of the workflow, or to a task of the same list."""
    inner = [
        {"first": {"set": "${ 1 }", "then": directive}},
        {"second": {"set": "${ 2 }"}},
        {"third": {"set": "${ 3 }"}},
    ]
    ran = Ran(flow({"outer": {"do": inner}}, {"last": {"set": '${ "last" }'}}))
    assert (ran.visited, ran.output) == (visited, output)


def test_a_loop_hands_its_output_on_and_stops_when_told() -> None:
    """Each round gets what the one before gave; the item and its number are variables."""
    loop = {
        "for": {"each": "data", "in": ".items", "at": "own"},
        "while": ".sum < 6",
        "do": [{"add": {"set": {"sum": "${ .sum + $data * ($own + 1) }"}}}],
    }
    ran = Ran(flow({"loop": loop}), {"items": [1, 2, 3, 4], "sum": 0})
    assert ran.output == {"sum": 14}
    assert ran.visited == ["loop", "add", "add", "add"]


def test_branches_give_a_list_and_one_error_fails_them() -> None:
    """A fork waits for all its branches; the first error leaves the others behind."""
    branches = [call("a"), {"b": {"set": "${ 2 }"}}]
    assert Ran(flow({"f": {"fork": {"branches": branches}}}, bind={"a": Script(1)})).output == [1, 2]
    never = Script(1)
    slow = {"slow": {"do": [{"w": {"wait": {"seconds": 5}}}, call("c")]}}
    ran = Ran(flow({"f": {"fork": {"branches": [slow, fail("x", "bad")]}}}, bind={"c": never}))
    assert (ran.error.error_type, never.given) == ("bad", [])


def test_an_error_is_caught_by_what_it_is() -> None:
    """Type and status, a condition, and the error itself as a variable; an error that does not fit passes."""
    catch = {"errors": {"with": {"status": 400}}, "as": "e", "when": '$e.title == "T"', "exceptWhen": '$e.type == "no"'}
    for error, caught in (({"title": "T"}, True), ({"title": "U"}, False), ({"title": "T", "type_": "no"}, False)):
        attempt = {"try": [fail("x", **error)], "catch": {**catch, "do": [{"c": {"set": "${ $e.title }"}}]}}
        ran = Ran(flow({"t": attempt}))
        assert (ran.output if caught else ran.error.error_type) == ("T" if caught else error.get("type_", "e"))


@pytest.mark.parametrize(
    ("backoff", "slept"), [("constant", [2, 2, 2]), ("linear", [2, 4, 6]), ("exponential", [2, 4, 8])]
)
def test_waits_between_tries_grow_as_the_policy_says(backoff: str, slept: list[float]) -> None:
    """Constant, linear, exponential; when the tries are used up, what the catch does is done."""
    policy = {"delay": "PT2S", "backoff": {backoff: {}}, "limit": {"attempt": {"count": 3}}}
    catch = {"retry": policy, "do": [{"c": {"set": '${ "gave up" }'}}]}
    ran = Ran(flow({"t": {"try": [call("a")], "catch": catch}}, bind={"a": Script(ValueError("x"))}))
    assert (ran.output, ran.slept, len(ran.called)) == ("gave up", slept, 4)


def test_jitter_lies_between_its_bounds() -> None:
    """It is added to the wait, and a replay draws it again."""
    policy = {
        "delay": {"seconds": 1},
        "jitter": {"from": {"seconds": 2}, "to": {"seconds": 4}},
        "limit": {"attempt": {"count": 1}},
    }
    ran = Ran(flow({"t": {"try": [call("a")], "catch": {"retry": policy}}}, bind={"a": Script(ValueError("x"), 1)}))
    assert 3 <= ran.slept[0] < 5


def test_a_timeout_ends_what_takes_too_long() -> None:
    """A task's own, the workflow's, and one that is named in `use`; it can be caught like any error."""
    wait = {"w": {"wait": {"minutes": 5}, "timeout": {"after": {"seconds": 10}}}}
    assert Ran(flow(wait)).error.error_type == ERRORS + "timeout"
    catch = {"errors": {"with": {"status": 408}}, "do": [{"c": {"set": '${ "late" }'}}]}
    ran = Ran(flow({"t": {"try": [wait], "catch": catch}}))
    assert (ran.output, ran.now_us % 60_000_000) == ("late", 10_000_000)
    named = Ran(flow({"w": {"wait": {"minutes": 5}}}, timeout="short", use={"timeouts": {"short": {"after": "PT20S"}}}))
    assert (named.error.error_type, named.now_us % 60_000_000) == (ERRORS + "timeout", 20_000_000)


def test_the_time_of_the_start_comes_from_the_log() -> None:
    """An expression that asks for it gets what a timer recorded."""
    assert Ran(flow({"s": {"set": "${ $workflow.startedAt }"}})).output == "2026-11-21T12:00:00.000Z"


def test_events_wait_for_whoever_listens() -> None:
    """What came too early is not lost, what fits nobody stays, and keys that correlate must be the same."""
    one = {"with": {"type": "a"}, "correlate": {"room": {"from": ".room"}}}
    two = {"with": {"type": "b"}, "correlate": {"room": {"from": ".room"}}}
    code = flow(
        {"w": {"wait": {"seconds": 5}}},
        {"l": {"listen": {"to": {"all": [one, two]}}}},
        {"m": {"listen": {"to": {"any": []}}}},
    )
    signals = [("a", {"room": 1}), ("b", {"room": 2}), ("b", {"room": 1, "n": 3})]
    ran = Ran(code, None, signals)
    assert ran.output == [{"room": 2}]
    assert ran.listened == ["a", "b", "*"]


def test_each_event_is_worked_on_before_the_next() -> None:
    """foreach runs its tasks once for every event, in their order, and gives what they gave."""
    each = {"item": "e", "at": "n", "do": [call("work"), {"both": {"set": "${ [$n, $e, .] }"}}]}
    code = flow(
        {"l": {"listen": {"to": {"any": [], "until": "length == 2"}}, "foreach": each}}, bind={"work": Script("x", "y")}
    )
    assert Ran(code, None, [("a", 1), ("b", 2)]).output == [[0, 1, "x"], [1, 2, "y"]]


def test_input_that_does_not_fit_its_schema_is_refused_before_anything_is_written() -> None:
    """The workflow's own schema refuses the start; a task's fails the task by name."""
    schema = {"schema": {"document": {"type": "object", "required": ["n"]}}}
    code = flow({"s": {"set": "${ 1 }"}}, input=schema)
    with pytest.raises(BadInput, match="'n'"):
        code.prepare({})
    assert Ran(flow({"s": {"set": "${ 1 }", "input": schema}}), {}).error.error_type == ERRORS + "validation"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no task": ({"a": {"cal": "http"}}, "$.do[0].a: is no task"),
    "an unknown field": (
        {"a": {"set": "1", "thn": "x"}},
        "$.do[0].a.thn: 'thn' is not known here; did you mean 'then'",
    ),
    "an unknown target": ({"a": {"set": "1", "then": "c"}}, "$.do[0].a.then: leads to 'c'"),
    "an expression that is none": ({"a": {"set": {"x": "${ .a( }"}}}, "$.do[0].a.set.x: '.a(' is no expression of jq"),
    "an unknown variable": ({"a": {"set": {"x": "${ $contxt }"}}}, "$contxt is not defined"),
    "a secret": ({"a": {"set": {"x": "${ $secrets.k }"}}}, "secrets are not kept here"),
    "an unknown function": ({"a": {"call": "htp"}}, "there is no function 'htp'; did you mean 'http'"),
    "an unknown error": ({"a": {"raise": {"error": "e"}}}, "there is no 'e' in use.errors"),
    "no duration": ({"a": {"wait": "P1M"}}, "'P1M' is no duration of ISO 8601 with a fixed length"),
    "what goes on alone": (
        {"a": {"run": {"shell": {"command": "x"}, "await": False}}},
        "$.do[0].a.run.await: await: false: what is run is always waited for here",
    ),
}


@pytest.mark.parametrize(("task", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_refused_with_its_place(task: dict[str, Any], expected: str) -> None:
    """The path of the place, what is wrong, and the nearest thing there is."""
    with pytest.raises(DefinitionError) as refused:
        flow(task)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    "text", ["now", "env", "$ENV.PATH", "input", "halt", "localtime", "empty", "1, 2", "input_filename"]
)
def test_an_expression_that_is_not_the_same_twice_is_not_evaluated(text: str) -> None:
    """The clock, the environment and other inputs are not there, and one value is what an expression gives."""
    if text == "$ENV.PATH":
        assert value_of(text, {}, {}) is None
        return
    with pytest.raises(ExpressionFailed):
        value_of(text, 0, {})


def test_a_workflow_that_does_nothing_for_ever_is_stopped() -> None:
    """A loop of tasks without work or waiting ends with an error instead of never."""
    ran = Ran(flow({"a": {"set": "${ 1 }"}}, {"b": {"set": "${ 2 }", "then": "a"}}))
    assert ran.error.error_type == ERRORS + "runtime"


@forall(
    st.dictionaries(
        st.sampled_from(["days", "hours", "minutes", "seconds", "milliseconds"]), st.integers(0, 999), min_size=1
    )
)
def test_both_spellings_of_a_duration_are_the_same(units: dict[str, int]) -> None:
    """An object of units and ISO 8601 name the same number of seconds."""
    seconds = units.get("seconds", 0) + units.get("milliseconds", 0) / 1000
    text = f"P{units.get('days', 0)}DT{units.get('hours', 0)}H{units.get('minutes', 0)}M{seconds:.3f}S"
    assert duration_s(units) == pytest.approx(duration_s(text))


# -- in the engine --------------------------------------------------------------------------------------------------


async def answer(given: Any) -> Any:
    return {"asked": given["endpoint"]}


def test_a_workflow_runs_in_the_engine_and_goes_on_elsewhere() -> None:
    """Another engine finishes it from the published definition; the record holds."""
    store = open_store("memory://")

    async def begin() -> None:
        code = flow({"w": {"wait": {"minutes": 1}}}, call("a"), bind={"http": f"{__name__}:answer"})
        async with engine_on(store) as engine:
            await engine.start(code, {"n": 1}, id="one")

    async def finish() -> Any:
        async with engine_on(store) as engine:
            handles, refused = await engine.recover()
            assert refused == {}
            return await handles[0].result()

    virtually(begin())
    assert virtually(finish()) == {"asked": "http://a"}
    sound(store)
    assert store.view("executions")[0]["kind"] == "serverless"
