"""State machines run as the States Language says: their data, their paths, their errors, on replay as live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actum.engine.foreign import Foreign, TaskError, load_foreign
from actum.errors import BadInput, DefinitionError, ExecutionFailed
from actum.eventstore import open_store
from tests.engine.foreign.foreign_driver import Ran, Script
from tests.engine.world import engine_on, history, sound, virtually

SUCCEED = {"Type": "Succeed"}


def machine(*states: dict[str, Any], name: str = "m", tasks: Any = None, **more: Any) -> Foreign:
    """States called a, b, c …, each leading to the next unless it says something else."""
    names = [chr(ord("a") + index) for index in range(len(states))]
    made: dict[str, Any] = {}
    for index, state in enumerate(states):
        leads = {"Next", "End"} & state.keys() or state["Type"] in ("Succeed", "Fail", "Choice")
        on = {} if leads else {"Next": names[index + 1]} if index + 1 < len(names) else {"End": True}
        made[names[index]] = {**state, **on}
    return load_foreign({"StartAt": "a", "States": made, **more}, tasks=tasks, name=name)


def task(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "x:y", **more}


# -- data -----------------------------------------------------------------------------------------------------------

DATA: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "nothing said": ({"Type": "Pass"}, {"n": 1}, {"n": 1}),
    "no input": ({"Type": "Pass"}, None, {}),
    "a result in place of all": ({"Type": "Pass", "Result": 7}, {"n": 1}, 7),
    "a result beside the rest": (
        {"Type": "Pass", "Result": 7, "ResultPath": "$.a.b"},
        {"n": 1},
        {"n": 1, "a": {"b": 7}},
    ),
    "a result thrown away": ({"Type": "Pass", "Result": 7, "ResultPath": None}, {"n": 1}, {"n": 1}),
    "a part goes in": ({"Type": "Pass", "InputPath": "$.n"}, {"n": {"m": 1}}, {"m": 1}),
    "nothing goes in": ({"Type": "Pass", "InputPath": None}, {"n": 1}, {}),
    "nothing comes out": ({"Type": "Pass", "OutputPath": None}, {"n": 1}, {}),
    "the result goes into the state's own input": (
        {"Type": "Pass", "InputPath": "$.n", "ResultPath": "$.r"},
        {"n": 1},
        {"n": 1, "r": 1},
    ),
    "parameters": (
        {"Type": "Pass", "Parameters": {"is": "fixed", "x.$": "$.n", "deep": [{"y.$": "$.l[-1]"}]}},
        {"n": 1, "l": [1, 2]},
        {"is": "fixed", "x": 1, "deep": [{"y": 2}]},
    ),
    "a call": (
        {"Type": "Pass", "Parameters": {"t.$": "States.Format('{} of {}', $.n, States.ArrayLength($.l))"}},
        {"n": 1, "l": [1, 2]},
        {"t": "1 of 2"},
    ),
    "the context": (
        {
            "Type": "Pass",
            "Parameters": {"i.$": "$$.Execution.Input.n", "s.$": "$$.State.Name", "e.$": "$$.Execution.Id"},
        },
        {"n": 1},
        {"i": 1, "s": "a", "e": "one"},
    ),
    "the context as input": ({"Type": "Pass", "InputPath": "$$.Execution.Input.n"}, {"n": 1}, 1),
}


@pytest.mark.parametrize(("state", "given", "expected"), DATA.values(), ids=DATA.keys())
def test_one_value_goes_through_a_state(state: dict[str, Any], given: Any, expected: Any) -> None:
    """InputPath, Parameters, the result, ResultPath and OutputPath shape it, in this order."""
    assert Ran(machine(state), given).output == expected


def test_a_result_is_selected_before_it_is_placed() -> None:
    """ResultSelector sees what the task returned and nothing else; ResultPath puts it into the state's input."""
    work = Script({"ok": True, "noise": 1})
    state = task(ResultSelector={"good.$": "$.ok"}, ResultPath="$.r", OutputPath="$.r")
    assert Ran(machine(state, tasks={"x:y": work}), {"n": 1}).output == {"good": True}
    assert work.given == [{"n": 1}]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"Type": "Pass", "InputPath": "$.no"}, "States.Runtime"),
        ({"Type": "Pass", "Parameters": {"x.$": "$.no"}}, "States.ParameterPathFailure"),
        ({"Type": "Pass", "Parameters": {"x.$": "States.StringToJson('{')"}}, "States.IntrinsicFailure"),
        ({"Type": "Pass", "Result": 1, "ResultPath": "$.n.m"}, "States.ResultPathMatchFailure"),
        (
            {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 2, "Next": "b"}]},
            "States.NoChoiceMatched",
        ),
        ({"Type": "Choice", "Choices": [{"Variable": "$.no", "NumericEquals": 2, "Next": "b"}]}, "States.Runtime"),
        ({"Type": "Wait", "SecondsPath": "$.l"}, "States.Runtime"),
    ],
)
def test_data_that_does_not_fit_fails_by_name(state: dict[str, Any], error: str) -> None:
    """Each way in which data can be missing has the name that the language gives it, and says which state."""
    ran = Ran(machine(state, SUCCEED), {"n": 1, "l": []})
    assert ran.error.error_type == error
    assert "'a'" in ran.error.message


# -- paths through a machine ----------------------------------------------------------------------------------------

RULES: dict[str, tuple[dict[str, Any], Any, bool]] = {
    "text": ({"Variable": "$.x", "StringEquals": "a"}, "a", True),
    "text of another kind": ({"Variable": "$.x", "StringEquals": "1"}, 1, False),
    "order of texts": ({"Variable": "$.x", "StringLessThan": "b"}, "a", True),
    "stars": ({"Variable": "$.x", "StringMatches": "log-*.txt"}, "log-7.txt", True),
    "a star itself": ({"Variable": "$.x", "StringMatches": "a\\*"}, "ab", False),
    "numbers": ({"Variable": "$.x", "NumericGreaterThanEquals": 2}, 2.0, True),
    "true is no number": ({"Variable": "$.x", "NumericEquals": 1}, True, False),
    "another field": ({"Variable": "$.x", "NumericLessThanPath": "$.y"}, 4, True),
    "instants, whatever their zone": (
        {"Variable": "$.x", "TimestampEquals": "2026-11-21T12:00:00Z"},
        "2026-11-21T13:00:00+01:00",
        True,
    ),
    "null": ({"Variable": "$.x", "IsNull": True}, None, True),
    "present": ({"Variable": "$.x", "IsPresent": True}, None, True),
    "absent": ({"Variable": "$.z", "IsPresent": False}, None, True),
    "a timestamp": ({"Variable": "$.x", "IsTimestamp": True}, "2026-11-21", False),
    "all": ({"And": [{"Variable": "$.x", "IsNumeric": True}, {"Variable": "$.x", "NumericLessThan": 5}]}, 4, True),
    "any": ({"Or": [{"Variable": "$.x", "IsString": True}, {"Variable": "$.x", "IsBoolean": True}]}, 4, False),
    "not": ({"Not": {"Variable": "$.x", "BooleanEquals": True}}, False, True),
}


@pytest.mark.parametrize(("rule", "value", "expected"), RULES.values(), ids=RULES.keys())
def test_a_choice_goes_where_its_first_rule_that_holds_leads(rule: dict[str, Any], value: Any, expected: bool) -> None:
    """Rules compare by kind and value; when none holds, the Default is taken."""
    choice = {"Type": "Choice", "Choices": [{**rule, "Next": "b"}], "Default": "c"}
    ran = Ran(machine(choice, SUCCEED, SUCCEED), {"x": value, "y": 5})
    assert ran.states == ["b" if expected else "c"]


def test_a_fail_state_fails_the_execution_with_its_words() -> None:
    """Error and Cause, fixed or from the data."""
    ran = Ran(machine({"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('no {}', $.e)"}), {"e": "Luck"})
    assert (ran.error.error_type, ran.error.message) == ("Luck", "no Luck")
    ran = Ran(machine({"Type": "Fail", "Error": "E", "Cause": "why"}))
    assert (ran.error.error_type, ran.error.message) == ("E", "why")


def test_waiting_takes_as_long_as_the_state_says() -> None:
    """Seconds, seconds from the data, and until an instant, by the clock of the log."""
    assert Ran(machine({"Type": "Wait", "Seconds": 10})).slept == [10]
    assert Ran(machine({"Type": "Wait", "SecondsPath": "$.s"}), {"s": 3}).slept == [3]
    assert Ran(machine({"Type": "Wait", "Timestamp": "2026-11-21T12:01:00Z"})).slept == [60]
    assert Ran(machine({"Type": "Wait", "TimestampPath": "$.t"}), {"t": "2026-11-21T11:00:00Z"}).slept == []


def test_the_time_comes_from_the_log() -> None:
    """When the execution started and when a state was entered is what its timers recorded."""
    fields = {"started.$": "$$.Execution.StartTime", "entered.$": "$$.State.EnteredTime"}
    ran = Ran(machine({"Type": "Wait", "Seconds": 60}, {"Type": "Pass", "Parameters": fields}))
    assert ran.output == {"started": "2026-11-21T12:00:00.000Z", "entered": "2026-11-21T12:01:00.000Z"}


def test_a_loop_that_does_nothing_ends_with_an_error() -> None:
    """A machine that goes round for ever without work or waiting is stopped."""
    ran = Ran(
        machine(
            {"Type": "Pass", "Next": "b"},
            {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "c"}], "Default": "a"},
            SUCCEED,
        )
    )
    assert ran.error.error_type == "States.Runtime"
    assert "without any work or wait" in ran.error.message


def test_the_machine_s_own_time_out_ends_it() -> None:
    """TimeoutSeconds of the whole machine fails the execution, whatever waits in it."""
    ran = Ran(machine({"Type": "Wait", "Seconds": 100}, TimeoutSeconds=30))
    assert (ran.error.error_type, ran.now_us % 60_000_000) == ("States.Timeout", 30_000_000)


# -- branches and items ---------------------------------------------------------------------------------------------


def branch(*states: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"StartAt": states[0][0], "States": dict(states)}


def test_branches_get_the_same_input_and_give_a_list() -> None:
    """Every branch has a scope of its own, and the result keeps the order of the branches."""
    slow = branch(
        ("w", {"Type": "Wait", "Seconds": 5, "Next": "s"}), ("s", {"Type": "Pass", "Result": "slow", "End": True})
    )
    fast = branch(("f", task(End=True)))
    ran = Ran(machine({"Type": "Parallel", "Branches": [slow, fast]}, tasks={"f": Script("fast")}), {"n": 1})
    assert ran.output == ["slow", "fast"]
    assert ran.called == ["a.0.1/f"]


def test_one_failed_branch_fails_the_state_and_leaves_the_others_behind() -> None:
    """The error keeps its name, and can be caught as a failed branch too; what the others do next is not wanted."""
    slow = branch(("w", {"Type": "Wait", "Seconds": 5, "Next": "t"}), ("t", task(End=True)))
    bad = branch(("x", {"Type": "Fail", "Error": "Bad", "Cause": "luck"}))
    parallel = {
        "Type": "Parallel",
        "Branches": [slow, bad],
        "Catch": [{"ErrorEquals": ["States.BranchFailed"], "Next": "b"}],
    }
    never = Script("never")
    ran = Ran(machine(parallel, {"Type": "Wait", "Seconds": 60}, tasks={"x:y": never}))
    assert ran.output == {"Error": "Bad", "Cause": "luck"}
    assert never.given == []


def test_items_are_worked_on_side_by_side_up_to_the_limit() -> None:
    """Each item gets what ItemSelector makes of it; results keep the order; no more run at once than allowed."""
    state = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 2,
        "ItemSelector": {"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index", "n.$": "$.n"},
        "ItemProcessor": branch(("t", task(End=True))),
    }
    code = machine(state, tasks={"t": Script(lambda given: given)})
    ran = Ran(code, {"items": ["x", "y", "z"], "n": 9})
    assert ran.output == [{"v": v, "i": i, "n": 9} for i, v in enumerate("xyz")]
    assert ran.called == ["a.0.0/t", "a.0.1/t", "a.0.2/t"]
    at_once = [sum(type(wish).__name__ == "Call" for wish in turn) for turn in ran.wishes]
    assert at_once[:2] == [2, 1]
    assert Ran(code, {"items": [], "n": 9}).output == []


def test_a_thousand_items_that_need_no_work_cost_no_stack() -> None:
    """Items that end at once, one after the other, run in a loop and not in each other."""
    state = {"Type": "Map", "MaxConcurrency": 1, "Iterator": branch(("p", {"Type": "Pass", "End": True}))}
    assert Ran(machine(state), list(range(2000))).output == list(range(2000))


# -- errors ---------------------------------------------------------------------------------------------------------


def test_one_retrier_is_the_engine_s_own() -> None:
    """The tries of a task with one Retrier are attempts of one step, with the waits it says."""
    work = Script(TaskError("Busy"), TaskError("Busy"), "done")
    state = task(Retry=[{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "BackoffRate": 3.0, "MaxAttempts": 5}])
    ran = Ran(machine(state, tasks={"a": work}))
    assert (ran.output, ran.called, ran.slept) == ("done", ["a"], [2, 6])


@pytest.mark.parametrize(
    ("names", "error", "again"),
    [
        (["States.ALL"], ValueError("x"), True),
        (["States.ALL"], TimeoutError("x"), True),
        (["States.TaskFailed"], ValueError("x"), True),
        (["States.TaskFailed"], TimeoutError("x"), False),
        (["States.Timeout"], TimeoutError("x"), True),
        (["ValueError"], ValueError("x"), True),
        (["Exception"], ValueError("x"), False),
        (["Lambda.Busy"], TaskError("Lambda.Busy"), True),
    ],
)
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_who_is_retried_is_said_by_name(names: list[str], error: Exception, again: bool, several: bool) -> None:
    """Whether the engine or the planner retries, the same names mean the same errors."""
    retry = [{"ErrorEquals": ["Never.Seen"]}] if several else []
    state = task(
        Retry=[*retry, {"ErrorEquals": names, "MaxAttempts": 1}],
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "b"}],
        End=True,
    )
    ran = Ran(machine(state, {"Type": "Pass", "Result": "caught"}, tasks={"a": Script(error, "done")}))
    assert ran.output == ("done" if again else "caught")


def test_each_of_several_retriers_counts_for_itself() -> None:
    """The tries that one Retrier has used up are not missing to another."""
    work = Script(TaskError("A"), TaskError("B"), TaskError("A"), TaskError("B"), "late")
    retry = [
        {"ErrorEquals": ["A"], "MaxAttempts": 2, "IntervalSeconds": 1},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "IntervalSeconds": 10, "BackoffRate": 1},
    ]
    ran = Ran(machine(task(Retry=retry), tasks={"a": work}))
    assert (ran.output, ran.slept) == ("late", [1, 10, 2, 10])
    worse = Script(TaskError("A"))
    assert Ran(machine(task(Retry=retry), tasks={"a": worse})).error.error_type == "A"
    assert len(worse.given) == 3


def test_a_failed_branch_is_retried_whole() -> None:
    """A Parallel state with a Retry starts all its branches again, in scopes of their own."""
    work = Script(TaskError("Busy"), "done")
    state = {"Type": "Parallel", "Branches": [branch(("t", task(End=True)))], "Retry": [{"ErrorEquals": ["Busy"]}]}
    ran = Ran(machine(state, tasks={"x:y": work}))
    assert (ran.output, ran.called) == (["done"], ["a.0.0/t", "a.1.0/t"])


def test_a_caught_error_goes_where_the_catcher_says() -> None:
    """The next state gets Error and Cause, in place of the input or beside it."""
    catch = [
        {"ErrorEquals": ["Other"], "Next": "b"},
        {"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.e", "Next": "c"},
    ]
    ran = Ran(machine(task(Catch=catch, Next="b"), SUCCEED, SUCCEED, tasks={"a": Script(KeyError("k"))}), {"n": 1})
    assert (ran.states, ran.output) == (["c"], {"n": 1, "e": {"Error": "KeyError", "Cause": "'k'"}})


def test_no_catcher_of_all_catches_a_mistake_in_the_machine() -> None:
    """States.Runtime is not among the errors that States.ALL stands for."""
    state = task(OutputPath="$.no", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "b"}])
    assert Ran(machine(state, SUCCEED, tasks={"a": Script({})})).error.error_type == "States.Runtime"


# -- bindings -------------------------------------------------------------------------------------------------------


def test_a_lambda_function_is_called_with_its_payload() -> None:
    """Bound by its name it gets the Payload, and the state sees what lambda:invoke would have answered."""
    work = Script({"ok": 1})
    state = task(
        Resource="arn:aws:states:::lambda:invoke",
        Parameters={"FunctionName": "${Check}", "Payload.$": "$.customer"},
        OutputPath="$.Payload",
    )
    assert Ran(machine(state, tasks={"${Check}": work}), {"customer": "c"}).output == {"ok": 1}
    assert work.given == ["c"]
    whole = Script({"Payload": 2})
    ran = Ran(machine(state, tasks={"arn:aws:states:::lambda:invoke": whole}), {"customer": "c"})
    assert (ran.output, whole.given) == (2, [{"FunctionName": "${Check}", "Payload": "c"}])


def test_a_task_without_a_function_is_refused_before_anything_runs() -> None:
    """The message names the state and what can be bound; a binding that no task has is refused too."""
    with pytest.raises(DefinitionError, match=r"\$\.States\.a: no function is bound .* to 'x:y' or 'a'"):
        machine(task())
    with pytest.raises(DefinitionError, match="no task is called 'x:z'; did you mean 'x:y'"):
        machine(task(), tasks={"x:z": print})
    with pytest.raises(DefinitionError, match="cannot be called with one value"):
        machine(task(), tasks={"a": lambda one, two: None})


def test_an_error_s_name_is_checked() -> None:
    """A name that could not be recorded is refused where the error is made."""
    for name in ("", "x" * 300, "a\nb", 7):
        with pytest.raises(BadInput, match="name of a task's error"):
            TaskError(name)  # type: ignore[arg-type]


# -- in the engine --------------------------------------------------------------------------------------------------


async def one(given: Any) -> Any:
    return {"got": given}


async def fails(given: Any) -> Any:
    raise TaskError("Lambda.Busy", "later")


def test_a_machine_runs_in_the_engine_and_is_found_again_in_the_log(tmp_path: Path) -> None:
    """Another engine, which never saw the file, finishes what the first one left, from the published definition."""
    definition = {
        "StartAt": "w",
        "States": {"w": {"Type": "Wait", "Seconds": 60, "Next": "t"}, "t": task(End=True)},
    }
    store = open_store("memory://")

    async def begin() -> None:
        code = load_foreign(definition, tasks={"x:y": f"{__name__}:one"}, name="waits")
        async with engine_on(store) as engine:
            await engine.start(code, {"n": 1}, id="one")
            await engine.start(code, {"n": 1}, id="one")

    async def finish() -> Any:
        async with engine_on(store) as engine:
            handles, refused = await engine.recover()
            assert refused == {}
            return await handles[0].result()

    virtually(begin())
    assert virtually(finish()) == {"got": {"n": 1}}
    sound(store)
    assert store.view("executions")[0]["kind"] == "asl"


def test_the_engine_retries_and_fails_by_the_foreign_name() -> None:
    """Attempts, waits and the last error are recorded like those of any other step."""
    store = open_store("memory://")

    async def main() -> None:
        retry = [{"ErrorEquals": ["Lambda.Busy"], "IntervalSeconds": 5, "MaxAttempts": 2}]
        code = machine(task(Retry=retry), tasks={"a": fails})
        async with engine_on(store) as engine:
            with pytest.raises(ExecutionFailed, match=r"Lambda\.Busy"):
                await (await engine.start(code, id="one")).result()

    virtually(main())
    sound(store)
    assert [word for word in history(store) if word.startswith("step.failed")] == [
        "step.failed a#0",
        "step.failed a#0 (2)",
        "step.failed a#0 (3)",
    ]


def test_a_task_that_takes_too_long_is_a_time_out() -> None:
    """TimeoutSeconds bounds each attempt, and the error is States.Timeout."""
    store = open_store("memory://")

    async def slow() -> Any:
        import asyncio

        await asyncio.sleep(100)

    async def main() -> Any:
        state = task(TimeoutSecondsPath="$.t", Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "b"}])
        code = machine(state, SUCCEED, tasks={"a": slow})
        async with engine_on(store) as engine:
            return await (await engine.start(code, {"t": 3}, id="one")).result()

    assert virtually(main())["Error"] == "States.Timeout"
    sound(store)


# -- state machines in use ------------------------------------------------------------------------------------------

APPROVED = ["Update risk profile", "New account approved", "Succeeded"]
SHIPPED = [
    "Get Customer Status",
    "Do Fraud Check",
    "Notify New Order",
    "Reserve Products",
    "Notify Products Reserved",
    "Initate Packaging and Shipping",
]
FRAUD = ["Get Customer Status", "Do Fraud Check", "Notify Fraudulent Customer", "Order Shipping Failed"]
ORDER = {
    "detail-type": "OrderCreated",
    "detail": {"order_id": "o-1", "customer": {"id": 7}, "products": [{"product_id": "p"}, {"product_id": "q"}]},
}
PUT, PUBLISH, SEND = (
    "arn:aws:states:::events:putEvents",
    "arn:aws:states:::sns:publish",
    "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
)


def order_tasks(**more: Any) -> dict[str, Any]:
    reserve = Script(lambda given: {"reservation_status": "reserved", "product_id": given["product_id"]})
    customer = Script({"status": "ok", "products": []})
    tasks = {"${LambdaGetCustomerStatus}": customer, "${LambdaReserveProduct}": reserve}
    return {**tasks, PUT: Script({}), PUBLISH: Script({"MessageId": "m"}), SEND: Script({"sent": True}), **more}


REAL: dict[str, tuple[str, dict[str, Any], Any, list[str]]] = {
    "kyc: approved": (
        "kyc.asl.yaml",
        {PUT: Script(TaskError("Throttled"), {})},
        {"customerName": "n", "customerAddress": "a"},
        ["Identity check completed", "Verify risk profile", "Approve or decline", *APPROVED],
    ),
    "order: shipped": (
        "ship-order.asl.json",
        order_tasks(),
        ORDER,
        [*SHIPPED, "Notify Successful Shipping", "Order Shipped Successfully"],
    ),
    "order: not shipped": (
        "ship-order.asl.json",
        order_tasks(**{SEND: Script(TaskError("NoBox", "none left"))}),
        ORDER,
        [*SHIPPED, "Notify Packaging and Shipping Failed", "Order Shipping Failed"],
    ),
    "order: fraud": (
        "ship-order.asl.json",
        order_tasks(**{"${LambdaGetCustomerStatus}": Script({"status": "fraudulent"})}),
        ORDER,
        FRAUD,
    ),
    "order: of another kind": (
        "ship-order.asl.json",
        order_tasks(),
        {**ORDER, "detail-type": "OrderPaid"},
        ["Notify Invalid Input", "Order Shipping Failed"],
    ),
    "rules": (
        "businessrules_orchestration.asl.json",
        {
            "${AuditLambaPath}": Script({"id": 1}),
            "${ExecuteRulesetLambdaPath}": Script({"body": {"granted": True}}),
        },
        {"rule": 4},
        ["Execute Ruleset", "Audit Response"],
    ),
}


@pytest.mark.parametrize(("file", "tasks", "given", "expected"), REAL.values(), ids=REAL.keys())
def test_state_machines_in_use_take_the_right_path(
    data: Path, file: str, tasks: dict[str, Any], given: Any, expected: list[str]
) -> None:
    """With scripted tasks each goes through the states that its definition says for these answers."""
    ran = Ran(load_foreign(data / "workflows" / "asl_real" / file, tasks=tasks), given)
    assert [target for source, target in ran.path if "/" not in source] == expected
    assert ran.ended is not None
    if expected[-1] == "Order Shipping Failed":
        assert ran.error.error_type == "order_shipping_failed"
    if file.startswith("business"):
        assert ran.output == {"granted": True}


def test_a_product_that_is_not_there_yet_is_waited_for(data: Path) -> None:
    """One item of the Map goes round once more, ten seconds later, while the other is done."""
    states = iter(["temporarily-unavailable", "reserved", "reserved"])
    reserve = Script(lambda given: {"reservation_status": next(states), "product_id": given["product_id"]})
    tasks = order_tasks(**{"${LambdaReserveProduct}": reserve})
    ran = Ran(load_foreign(data / "workflows" / "asl_real" / "ship-order.asl.json", tasks=tasks), ORDER)
    assert ran.slept == [10]
    assert [target for source, target in ran.path if source.startswith("Reserve Products.0.0/")] == [
        "Choice",
        "Notify Delayed",
        "Wait for availability",
        "Reserve Product",
        "Choice",
        "Reservation Successful",
    ]
