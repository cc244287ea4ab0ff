"""From what a definition names to what the engine runs: functions and classes of the user, as `StepSpec`s.

How a step's code is called:

- **A function** is called with the step's inputs as keyword arguments, if its signature accepts these names.
  When it has not these names, or there are no inputs, and it can be called with one positional argument, then
  it is called with the step's *data*. Anything else is refused when the graph is built. A function with a
  parameter `config` is given the step's config.
- **A class** needs no base class. It is constructed for every attempt, with its parameters `name` and `config`
  if it has them (or one or two positional ones, `config` or `name, config`); then its `execute`, or else its
  `run`, is called with the step's *data*.
- **Data** is one dict: the workflow's input, overlaid by the outputs of the steps that have ended so far,
  overlaid by this step's inputs.
- **Compensating code** is called with the output of the step it undoes, as with `@step(compensate=…)`.

Each call gets its own copy of its arguments: what the code does to them changes nothing else.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from actum.engine.functions.step import Step, services_of
from actum.engine.graphs.code import CodeFinder
from actum.engine.graphs.graph import Graph, GraphStep
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Values
from actum.engine.graphs.templates import parse
from actum.engine.payloads.classes import Classes, Declared, classes_of_function, classes_of_schemas
from actum.engine.payloads.codec import encode
from actum.engine.payloads.json_schema import mismatch
from actum.engine.rules.calls import StepSpec
from actum.engine.rules.retry import ONCE, Retry
from actum.errors import BadInput, near_miss

__all__ = ["OutputMismatch", "RunnableStep", "runnable"]

COMPENSATION_RETRY: Final = Retry(attempts=3)
"""Undoing is tried again, like the compensation of a `@step`."""

_Run = Callable[..., Any]
_VARIABLE: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class OutputMismatch(Exception):
    """A step returned something else than its definition declares. It is recorded as the step's failure."""


@dataclass(frozen=True, slots=True)
class RunnableStep:
    """A step that can run: `by_name` says whether its inputs or its data are the arguments."""

    spec: StepSpec
    by_name: bool
    takes_config: bool
    """Whether its config is given with each call, because it holds references."""


def runnable(graph: Graph, step: GraphStep, finder: CodeFinder, place: Place) -> RunnableStep:
    """The step with its code found and fitted. Raises `DefinitionError` when the code cannot be called as declared."""
    assert step.run is not None
    target = finder.find(step.run, place / "run")
    declared = _declared(target)
    services = _services(target if declared is None else declared.run, step, declared, place)
    run, by_name, takes_config = _fitted(
        target if declared is None else declared.run, step, tuple(services), place / "run"
    )
    if step.output_schema is not None:
        run = _checked(run, dict(step.output_schema), step.id)
    verify: _Run | None = None
    if step.verify is not None:
        verify = _verifying(finder.find(step.verify, place / "verify"), step, by_name, place / "verify")
    undo = _compensation(graph, step, finder, place / "compensate")
    classes = _classes(step, target, by_name)
    spec = StepSpec(
        step.id,
        run,
        step.retry,
        step.timeout_s,
        undo,
        step.on_doubt,
        verify,
        step.tool,
        classes,
        executor=step.executor,
        undo_group=step.undo_group,
        pivot=step.pivot,
        budget=step.budget,
    )
    spec = replace(spec, services=services) if services else spec
    spec = replace(spec, needs=step.needs) if step.needs is not None else spec
    return RunnableStep(spec if declared is None else _inherited(spec, declared), by_name, takes_config)


def _services(target: Any, step: GraphStep, declared: StepSpec | None, place: Place) -> dict[str, str]:
    """Parameter → service, as the graph and the code say."""
    if inspect.isclass(target) and step.services:
        raise (place / "services").error(
            f"are for the parameters of a function; {target.__name__!r} finds them in current_step().services"
        )
    if inspect.isclass(target):
        return {}
    try:
        found = services_of(target, step.services)
    except BadInput as exc:
        raise (place / "services").error(str(exc)) from None
    return found if declared is None else {**declared.services, **found}


def _declared(target: Any) -> StepSpec | None:
    """What a function's `@step` decorator says."""
    spec = getattr(target, "spec", None)
    return spec if isinstance(spec, StepSpec) else None


def _classes(step: GraphStep, target: Any, by_name: bool) -> Classes | None:
    """What the schemas declare of the step's payloads, else what its code does."""
    given = [("/kwargs", step.input_schema)] if by_name else [("/args/0", step.input_schema)]
    found = classes_of_schemas(given, [("", step.output_schema)])
    if found is not None and found.given.fields and not by_name:
        # What is not given by name comes with all the data there is, of which the schema says nothing.
        return found._replace(given=Declared("personal"))
    if found is not None:
        return found
    if isinstance(target, Step):
        return target.full_spec.classes
    return classes_of_function(target, None, 0, "args", "") if inspect.isfunction(target) and by_name else None


def _inherited(spec: StepSpec, declared: StepSpec) -> StepSpec:
    """What the graph leaves open is as the step's decorator says."""
    in_doubt = spec.on_doubt == "retry" and spec.verify is None
    return replace(
        spec,
        retry=declared.retry if spec.retry == ONCE else spec.retry,
        timeout_s=declared.timeout_s if spec.timeout_s is None else spec.timeout_s,
        compensate=declared.compensate if spec.compensate is None else spec.compensate,
        on_doubt=declared.on_doubt if in_doubt else spec.on_doubt,
        verify=declared.verify if in_doubt else spec.verify,
        tool=declared.tool if spec.tool is None else spec.tool,
        executor=spec.executor or declared.executor,
        undo_group=declared.undo_group if spec.undo_group is None else spec.undo_group,
        pivot=declared.pivot or spec.pivot,
        needs=declared.needs if spec.needs is None else spec.needs,
        budget=declared.budget if spec.budget is None else spec.budget,
        estimate=declared.estimate,
    )


# -- fitting code to its arguments ---------------------------------------------------------------------------------


def _fitted(target: Any, step: GraphStep, services: tuple[str, ...], place: Place) -> tuple[_Run, bool, bool]:
    """How to call the code, whether by name, and whether its config comes with each call."""
    template = parse(dict(step.config), place / "config")
    config: dict[str, Any] = template.render(Values({})) if template.constant else {}
    if inspect.isclass(target):
        return _of_class(target, step, config, place), False, not template.constant
    if not callable(target):
        raise place.error(f"is {type(target).__name__}, which cannot be called; name a function or a class")
    by_name = _by_name(target, step, services, place)
    if "config" not in _parameters(target) or "config" in step.inputs:
        if step.config:
            raise place.error(f"{_said(target)} has no parameter 'config', and the step has one to give")
        return _own_arguments(target, {}, services), by_name, False
    fixed = {"config": config} if template.constant else {}
    return _own_arguments(target, fixed, services), by_name, not template.constant


def _of_class(cls: type, step: GraphStep, config: dict[str, Any], place: Place) -> _Run:
    method = next((name for name in ("execute", "run") if callable(getattr(cls, name, None))), None)
    if method is None:
        public = [name for name in dir(cls) if not name.startswith("_")]
        raise place.error(
            f"class {cls.__name__!r} has no method execute(data) or run(data){near_miss('execute', public)}"
        )
    make = _constructor(cls, step, place)

    if inspect.iscoroutinefunction(getattr(cls, method)):

        async def run_async(data: dict[str, Any], config: dict[str, Any] = config) -> Any:
            return await getattr(make(_copy(config)), method)(_copy(data))

        return run_async

    def run(data: dict[str, Any], config: dict[str, Any] = config) -> Any:
        return getattr(make(_copy(config)), method)(_copy(data))

    return run


def _constructor(cls: type, step: GraphStep, place: Place) -> Callable[[dict[str, Any]], Any]:
    parameters = _parameters(cls)
    kinds = {parameter.kind for parameter in parameters.values()}
    named = [name for name in ("name", "config") if name in parameters or inspect.Parameter.VAR_KEYWORD in kinds]
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.kind not in _VARIABLE]
    id_ = step.id
    if named and _accepts(cls, (), named):
        by_name, takes_config = "name" in named, "config" in named
        return lambda config: cls(
            **({"name": id_} if by_name else {}),
            **({"config": config} if takes_config else {}),
        )
    if len(needed) == 2 and _accepts(cls, (None, None), ()):
        return lambda config: cls(id_, config)
    if inspect.Parameter.VAR_POSITIONAL in kinds and _accepts(cls, (None, None), ()):
        return lambda config: cls(id_, config)
    if len(needed) == 1 and _accepts(cls, (None,), ()):
        return lambda config: cls(config)
    if needed:
        raise place.error(
            f"class {cls.__name__!r} cannot be made: a step has its name and its config to give, "
            f"and this needs {', '.join(needed)}"
        )
    if step.config:
        raise place.error(f"class {cls.__name__!r} takes no config, and the step has one to give")
    return lambda config: cls()


def _by_name(target: _Run, step: GraphStep, services: tuple[str, ...], place: Place) -> bool:
    """Whether the inputs fit the parameters; refuses code that takes neither them nor one dict."""
    parameters = _parameters(target)
    own = ["config"] if "config" in parameters and "config" not in step.inputs else []
    own += services
    always = [name for name in step.inputs if name not in step.optional_inputs]
    if _accepts(target, (), [*own, *step.inputs]) and _accepts(target, (), [*own, *always]):
        return True
    wrong = next((name for name in step.inputs if name not in parameters), None)
    if (wrong is not None or not step.inputs) and _accepts(target, (None,), own):
        return False
    if wrong is not None:
        why = f"it has no parameter {wrong!r}{near_miss(wrong, parameters)}"
    else:
        free = [p for p in parameters.values() if p.default is p.empty and p.kind not in _VARIABLE]
        why = f"nothing is given for {', '.join(repr(p.name) for p in free if p.name not in (*always, *services))}"
    given = ", ".join(step.inputs) or "no inputs"
    raise place.error(f"{_said(target)} cannot be called with what the step gives it ({given}): {why}")


def _parameters(target: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(target).parameters
    except (TypeError, ValueError):  # some built-in ones have no signature
        return {}


def _accepts(target: Any, args: tuple[Any, ...], names: Any) -> bool:
    try:
        inspect.signature(target).bind(*args, **dict.fromkeys(names))
    except TypeError:
        return False
    except ValueError:
        return not args  # no signature to be had: by name, and the call will tell
    return True


def _said(target: Any) -> str:
    name = getattr(target, "__qualname__", type(target).__qualname__)
    try:
        return f"{name}{inspect.signature(target)}"
    except (TypeError, ValueError):
        return f"{name}(…)"


# -- what is put around the code -------------------------------------------------------------------------------------


def _own_arguments(target: _Run, fixed: dict[str, Any], services: tuple[str, ...] = ()) -> _Run:
    """The code, called with copies of its arguments and with what is fixed for this step; services are no copies."""

    def own(kwargs: dict[str, Any]) -> dict[str, Any]:
        if not services:
            return {name: _copy(value) for name, value in {**fixed, **kwargs}.items()}
        given = {**fixed, **kwargs}
        return {name: value if name in services else _copy(value) for name, value in given.items()}

    if _is_async(target):

        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return await target(*_copy(list(args)), **own(kwargs))

        return _sendable(run_async, target, fixed)

    def run(*args: Any, **kwargs: Any) -> Any:
        return target(*_copy(list(args)), **own(kwargs))

    return _sendable(run, target, fixed)


def _sendable(run: _Run, target: Any, fixed: dict[str, Any]) -> _Run:
    """Where the code runs in another process it has copies anyway, and is called by its own name."""
    if not fixed:
        vars(run)["sent_as"] = target
    return run


def _checked(run: _Run, schema: dict[str, Any], id_: str) -> _Run:
    """The code, failing when it returns something else than the step declares."""

    def check(result: Any) -> Any:
        wrong = mismatch(schema, orjson.loads(encode(result, f"the result of step {id_!r}", sys.maxsize)), "the output")
        if wrong:
            raise OutputMismatch(f"{wrong}, as the step declares")
        return result

    if _is_async(run):

        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return check(await run(*args, **kwargs))

        return run_async

    return lambda *args, **kwargs: check(run(*args, **kwargs))


# -- undoing and verifying -----------------------------------------------------------------------------------------


def _compensation(graph: Graph, step: GraphStep, finder: CodeFinder, place: Place) -> StepSpec | None:
    """What undoes the step: code, or another step of the graph with its own retries and time-out."""
    if step.compensate is None:
        return None
    undo = next((one for one in graph.steps if one.id == step.compensate.ref), None)
    if undo is not None:
        assert undo.run is not None
        return _undoing(finder.find(undo.run, place), undo, undo.retry, place)
    target = finder.find(step.compensate, place)
    name = step.compensate.ref.partition(":")[2]
    return _declared(target) or _undoing(target, GraphStep(name), COMPENSATION_RETRY, place)


def _undoing(target: Any, undo: GraphStep, retry: Retry, place: Place) -> StepSpec:
    if not inspect.isclass(target) and not _accepts(target, (None,), ()):
        raise place.error(f"{_said(target)} cannot undo a step: it is called with that step's output, and nothing else")
    run = _of_class(target, undo, dict(undo.config), place) if inspect.isclass(target) else _own_arguments(target, {})
    return StepSpec(undo.id, run, retry, undo.timeout_s)


def _verifying(target: Any, step: GraphStep, by_name: bool, place: Place) -> _Run:
    """A hook that is called with the step's own arguments, but for its config."""
    fits = callable(target) and (_accepts(target, (), step.inputs) if by_name else _accepts(target, (None,), ()))
    if not fits:
        what = f"the step's inputs ({', '.join(step.inputs) or 'none'})" if by_name else "the step's data, one dict"
        raise place.error(f"{_said(target)} cannot verify the step: it is called with {what}")
    inner = _own_arguments(target, {})
    hidden = {"config"} - step.inputs.keys()
    if _is_async(target):

        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return await inner(*args, **{key: value for key, value in kwargs.items() if key not in hidden})

        return run_async
    return lambda *args, **kwargs: inner(*args, **{key: v for key, v in kwargs.items() if key not in hidden})


def _is_async(target: Any) -> bool:
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004


def _copy(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value
