"""How the code that a definition names is found and called."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import load_graph
from actum.engine.rules.calls import Call, StepSpec
from actum.engine.rules.retry import Retry
from actum.errors import DefinitionError
from tests.engine.planner_driver import Driven, carried_out


def one(run: Any, **settings: Any) -> Graph:
    """A graph of one step, whose workflow takes x and y."""
    return Graph("g").parameter("x", default=1).parameter("y", default=2).step("only", run, **settings).build()


def result(run: Any, **settings: Any) -> Any:
    return Driven(one(run, **settings)).run().output


X = {"x": "{{ parameters.x }}"}
XY = {"x": "{{ parameters.x }}", "y": "{{ parameters.y }}"}

# -- functions -------------------------------------------------------------------------------------------------------


def by_name(x: int, y: int = 0) -> list[int]:
    return [x, y]


async def by_name_async(x: int) -> list[int]:
    return [x]


def takes_anything(**values: Any) -> Any:
    return values


def takes_data(data: dict[str, Any]) -> Any:
    return data


def takes_nothing() -> str:
    return "nothing"


def takes_config(x: int, config: dict[str, Any]) -> Any:
    return [x, config]


class Called:
    """An object that can be called."""

    async def __call__(self, x: int) -> int:
        return x + 1


@pytest.mark.parametrize(
    ("run", "settings", "value"),
    [
        (by_name, {"inputs": XY}, [1, 2]),
        (by_name, {"inputs": X}, [1, 0]),
        (by_name_async, {"inputs": X}, [1]),
        (takes_anything, {"inputs": XY}, {"x": 1, "y": 2}),
        (takes_data, {}, {"x": 1, "y": 2}),
        (takes_data, {"inputs": {"y": 3, "z": 4}}, {"x": 1, "y": 3, "z": 4}),
        (takes_data, {"inputs": {"data": 5}}, 5),
        (takes_nothing, {}, "nothing"),
        (takes_config, {"inputs": X, "config": {"k": 1}}, [1, {"k": 1}]),
        (takes_config, {"inputs": X, "config": {"k": "{{ parameters.y }}"}}, [1, {"k": 2}]),
        (takes_config, {"inputs": X}, [1, {}]),
        (Called(), {"inputs": X}, 2),
    ],
)
def test_functions_are_called_by_name_or_with_all_data(run: Any, settings: dict[str, Any], value: Any) -> None:
    """Inputs that fit the signature are keyword arguments; else a function of one parameter gets the data."""
    assert result(run, **settings) == value


def two(x: int, total: int) -> None: ...


@pytest.mark.parametrize(
    ("run", "settings", "problem"),
    [
        (two, {"inputs": {"x": 1, "totl": 2}}, "it has no parameter 'totl'; did you mean 'total'?"),
        (two, {"inputs": X}, "nothing is given for 'total'"),
        (two, {}, "cannot be called with what the step gives it (no inputs): nothing is given for 'x', 'total'"),
        (takes_nothing, {"inputs": X}, "takes_nothing() -> 'str' cannot be called"),
        (by_name, {"inputs": XY, "optional_inputs": ("x",)}, "nothing is given for 'x'"),
        (by_name, {"inputs": X, "config": {"k": 1}}, "has no parameter 'config'"),
    ],
)
def test_code_that_cannot_be_called_so_is_refused_when_built(run: Any, settings: dict[str, Any], problem: str) -> None:
    """A call that could only fail is refused before anything runs, with both sides of the mismatch."""
    with pytest.raises(DefinitionError) as caught:
        one(run, **settings)
    assert caught.value.path == "$.steps[0].run"
    assert problem in caught.value.problem


def test_an_optional_input_is_left_out_when_there_is_nothing() -> None:
    """What an optional input refers to may be missing; the function's own default counts then."""
    graph = Graph("g").parameter("z").step("only", by_name, inputs={"x": 1, "y": "{{ parameters.z }}"})
    from dataclasses import replace

    optional = replace(graph, steps=(replace(graph.steps[0], optional_inputs=("y",)),)).build()

    assert Driven(optional).run().output == [1, 0]
    assert Driven(optional).run({"z": 9}).output == [1, 9]


def spoils(data: dict[str, Any]) -> Any:
    data["rows"].append(99)
    data["x"] = "spoilt"
    return None


def test_what_code_does_to_its_arguments_stays_with_it() -> None:
    """A step that changes what it was given changes neither the record nor what the next step gets."""
    graph = (
        Graph("g")
        .parameter("rows")
        .step("bad", spoils)
        .step("good", takes_data, inputs={"fixed": [1]})
        .edge("bad", "good")
        .build()
    )
    given = {"rows": [1]}
    run = Driven(graph).run(given)

    assert run.output == {"rows": [1], "fixed": [1]}
    assert given == {"rows": [1]}
    assert run.call("bad#0").args == ({"rows": [1]},)


# -- classes ---------------------------------------------------------------------------------------------------------


class NameAndConfig:
    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.made = [name, config]

    async def execute(self, data: dict[str, Any]) -> Any:
        return [self.made, data]


class OnlyConfig:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.made = settings

    def run(self, data: dict[str, Any]) -> Any:
        return [self.made, data]


class TwoPlain:
    def __init__(self, a: str, b: dict[str, Any], c: int = 0) -> None:
        self.made = [a, b, c]

    def execute(self, data: dict[str, Any]) -> Any:
        return self.made

    def run(self, data: dict[str, Any]) -> Any:
        raise AssertionError("execute comes first")


class AnyKeyword:
    def __init__(self, **settings: Any) -> None:
        self.made = settings

    def run(self, data: dict[str, Any]) -> Any:
        return self.made


@dataclass
class WithDefault:
    retries: int = 3

    def run(self, data: dict[str, Any]) -> Any:
        return self.retries


class Bare:
    def run(self, data: dict[str, Any]) -> Any:
        return data["x"]


@pytest.mark.parametrize(
    ("cls", "config", "value"),
    [
        (NameAndConfig, {"k": 1}, [["only", {"k": 1}], {"x": 1, "y": 2}]),
        (NameAndConfig, {"k": "{{ parameters.y }}!"}, [["only", {"k": "2!"}], {"x": 1, "y": 2}]),
        (OnlyConfig, {"k": 1}, [{"k": 1}, {"x": 1, "y": 2}]),
        (TwoPlain, {"k": 1}, ["only", {"k": 1}, 0]),
        (AnyKeyword, {"k": 1}, {"name": "only", "config": {"k": 1}}),
        (WithDefault, {}, 3),
        (Bare, {}, 1),
    ],
)
def test_a_class_needs_no_base_class(cls: type, config: dict[str, Any], value: Any) -> None:
    """It is made with what its constructor takes, and its execute or run is called with the data."""
    assert result(cls, config=config) == value


class Counts:
    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.calls: list[int] = []

    def run(self, data: dict[str, Any]) -> int:
        self.calls.append(1)
        return len(self.calls)


def test_every_attempt_has_its_own_instance() -> None:
    """What an instance remembers does not reach another call, or another execution."""
    graph = Graph("g").step("a", Counts).step("b", Counts).edge("a", "b").build()

    assert Driven(graph).run().output == 1
    assert Driven(graph).run().output == 1


class NeedsThree:
    def __init__(self, a: Any, b: Any, c: Any) -> None: ...
    def run(self, data: Any) -> None: ...


class Executes:
    def excute(self, data: Any) -> None: ...


@pytest.mark.parametrize(
    ("cls", "config", "problem"),
    [
        (NeedsThree, {}, "this needs a, b, c"),
        (Executes, {}, "has no method execute(data) or run(data); did you mean 'excute'?"),
        (Bare, {"k": 1}, "takes no config"),
    ],
)
def test_a_class_that_cannot_be_a_step_is_refused(cls: type, config: dict[str, Any], problem: str) -> None:
    """The error says what a step class has, and what this one needs or lacks."""
    with pytest.raises(DefinitionError) as caught:
        one(cls, config=config)
    assert problem in caught.value.problem


def test_data_is_the_input_overlaid_by_outputs_overlaid_by_inputs() -> None:
    """A class step sees what the steps before it returned; its own inputs come last."""
    graph = (
        Graph("g")
        .parameter("x", default=1)
        .step("first", takes_nothing_gives)
        .step("second", NameAndConfig, inputs={"b": "mine"})
        .edge("first", "second")
        .build()
    )

    assert Driven(graph).run({"name": "Ann"}).output[1] == {"x": 5, "name": "Ann", "a": 1, "b": "mine"}


def takes_nothing_gives() -> dict[str, Any]:
    return {"x": 5, "a": 1, "b": "theirs"}


# -- what is declared ------------------------------------------------------------------------------------------------


def test_a_step_that_returns_something_else_than_declared_has_failed() -> None:
    """A declared output that is not there is the step's failure, so that it can be tried again."""
    schema = {"type": "object", "required": ["total"]}
    run = Driven(one(takes_data, output_schema=schema)).run()

    assert run.error.error_type == "OutputMismatch"
    assert run.error.message == "step 'only': the output has no 'total', as the step declares"


def test_inputs_that_are_not_as_declared_stop_the_execution() -> None:
    """A step is not started with inputs that its definition rules out."""
    schema = {"properties": {"x": {"type": "string"}}}
    run = Driven(one(by_name, inputs=X, input_schema=schema)).run()

    assert run.called == []
    assert run.error.message == "step 'only' cannot start: its input.x must be string, not number"


class Decorated:
    """What `@step` leaves: the function, and how it is to be run."""

    def __init__(self) -> None:
        self.spec = StepSpec("inner", by_name, Retry(attempts=5), 7.0, None, "park", None, "search")
        self.__qualname__ = "Decorated"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the engine calls the function itself")


def test_a_decorated_function_keeps_its_settings() -> None:
    """What the graph does not say is as the function's decorator says; what it says counts."""
    call = Driven(one(Decorated(), inputs=X, timeout="1s")).begin().call("only#0")

    assert call.spec.name == "only"
    assert (call.spec.retry.attempts, call.spec.timeout_s, call.spec.on_doubt, call.spec.tool) == (
        5,
        1.0,
        "park",
        "search",
    )
    assert carried_out(call) == [1, 0]


def undo_result(output: Any) -> Any:
    return ["undone", output]


class Undoes:
    def __init__(self, name: str, config: dict[str, Any]) -> None: ...
    def execute(self, data: Any) -> Any:
        return ["undone", data]


@pytest.mark.parametrize("undo", [undo_result, Undoes])
def test_compensating_code_is_called_with_the_output(undo: Any) -> None:
    """As with `@step(compensate=…)`: one positional argument, the output of the step it undoes."""
    spec = Driven(one(takes_nothing, compensate=undo)).begin().call("only#0").spec.compensate

    assert spec is not None
    assert spec.run({"id": 1}) == ["undone", {"id": 1}]
    assert spec.retry.attempts == 3


def test_compensating_code_that_wants_more_is_refused() -> None:
    """Code that could not be called when it is needed most is refused when the graph is built."""
    with pytest.raises(DefinitionError) as caught:
        one(takes_nothing, compensate=two)
    assert caught.value.path == "$.steps[0].compensate"
    assert "is called with that step's output" in caught.value.problem


def test_a_verify_hook_is_called_like_the_step() -> None:
    """It gets the step's own arguments, by name or as data, without the config."""
    graph = one(takes_config, inputs=X, config={"k": "{{ parameters.y }}"}, on_doubt="verify", verify=by_name)
    call = Driven(graph).begin().call("only#0")

    assert call.spec.verify is not None
    assert call.spec.verify(*call.args, **dict(call.kwargs or {})) == [1, 0]


# -- finding code ----------------------------------------------------------------------------------------------------


def definition(ref: str, **more: Any) -> dict[str, Any]:
    return {"name": "found", "steps": [{"id": "only", "run": ref, **more}], "flow": {"start_at": "only"}}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_modules_are_looked_for_beside_the_definition(tmp_path: Path) -> None:
    """The file's folder comes first, and sys.path is left as it was."""
    write(tmp_path / "own_steps_a.py", "def go(): return 'from beside'")
    path = write(tmp_path / "flow.yaml", "name: f\nsteps:\n  - {id: only, run: 'own_steps_a:go'}\n")
    before = list(sys.path)

    assert Driven(load_graph(path)).run().output == "from beside"
    assert sys.path == before


def test_modules_are_looked_for_in_the_folder_above(tmp_path: Path) -> None:
    """Definitions kept in a folder of their own find the code beside that folder."""
    write(tmp_path / "own_steps_b.py", "def go(): return 'from above'")
    path = write(tmp_path / "pipelines" / "flow.yaml", "name: f\nsteps:\n  - {id: only, run: 'own_steps_b:go'}\n")

    assert Driven(load_graph(path)).run().output == "from above"


def test_two_projects_may_both_call_their_module_steps(tmp_path: Path) -> None:
    """Each definition gets the module of its own folder, whichever was loaded before."""
    graphs = []
    for name in ("one", "two"):
        write(tmp_path / name / "steps.py", f"def go(): return {name!r}")
        graphs.append(load_graph(definition("steps:go"), base=tmp_path / name))

    assert [Driven(graph).run().output for graph in graphs] == ["one", "two"]


def test_module_prefixes_can_be_renamed(tmp_path: Path) -> None:
    """The longest prefix that is renamed counts; the definition stays as it was written."""
    write(tmp_path / "here" / "deep" / "code.py", "def go(): return 'renamed'")
    renames = {"theirs": "elsewhere", "theirs.pipelines": "here"}
    graph = load_graph(definition("theirs.pipelines.deep.code:go"), base=tmp_path, modules=renames)

    assert Driven(graph).run().output == "renamed"
    assert graph.to_json()["steps"][0]["run"] == "theirs.pipelines.deep.code:go"


@pytest.mark.parametrize(
    ("ref", "problem"),
    [
        ("own_stepz_c:go", "there is no module 'own_stepz_c'; did you mean 'own_steps_c'?"),
        ("own_steps_c.x:go", "there is no module 'own_steps_c.x'"),
        ("own_steps_c:goo", "'own_steps_c' has no 'goo'; did you mean 'go'?"),
        ("own_steps_c:Thing.rn", "'own_steps_c.Thing' has no 'rn'; did you mean 'run'?"),
        ("own_steps_c:VALUE", "is int, which cannot be called"),
        ("needs_other:go", "module 'needs_other' cannot be imported: No module named 'not_there_at_all'"),
        ("is_broken:go", "module 'is_broken' cannot be imported: SyntaxError"),
        ("raises:go", "module 'raises' cannot be imported: ZeroDivisionError: division by zero"),
        ("exits:go", "module 'exits' cannot be imported: SystemExit: 3"),
        ("own_steps_c:f.<locals>.g", "is defined inside a function"),
        ("__main__:f", "was defined in a script"),
    ],
)
def test_code_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path, ref: str, problem: str) -> None:
    """The error says what was looked for, where, and what is near it."""
    write(tmp_path / "own_steps_c.py", "VALUE = 1\ndef go(): pass\nclass Thing:\n    def run(self, data): pass\n")
    write(tmp_path / "needs_other.py", "import not_there_at_all\n")
    write(tmp_path / "is_broken.py", "def go(:\n")
    write(tmp_path / "raises.py", "x = 1 / 0\n")
    write(tmp_path / "exits.py", "raise SystemExit(3)\n")

    with pytest.raises(DefinitionError) as caught:
        load_graph(definition(ref), base=tmp_path)
    assert caught.value.path == "$.steps[0].run"
    assert problem in caught.value.problem


def test_a_call_says_what_it_calls_with() -> None:
    """What is recorded of a call are the inputs by name, or the data as one argument."""
    assert isinstance(Driven(one(by_name, inputs=X)).begin().wishes[0], Call)
    assert Driven(one(by_name, inputs=X)).begin().call("only#0").kwargs == {"x": 1}
    assert Driven(one(Bare)).begin().call("only#0").args == ({"x": 1, "y": 2},)
