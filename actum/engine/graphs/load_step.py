"""One step of a definition file, in any spelling, as a `GraphStep`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, cast

from actum.engine.graphs.dialect import read_duration, read_retry
from actum.engine.graphs.graph import Code, Graph, GraphStep
from actum.engine.graphs.kinds import (
    ABSENT,
    ANYWHERE,
    AskInput,
    AwaitSignal,
    Budget,
    Catch,
    FailWith,
    Inner,
    Kind,
    Over,
    Pause,
    SucceedWith,
    Transform,
)
from actum.engine.graphs.load_approval import read_approval
from actum.engine.graphs.model import (
    BudgetModel,
    ErrorHandlingModel,
    InputModel,
    OutputModel,
    StepModel,
    read_error_handling,
)
from actum.engine.graphs.periods import read_every
from actum.engine.graphs.place import Place
from actum.engine.graphs.templates import canonical
from actum.engine.resources.needs import Needs, needs_of
from actum.errors import BadInput, near_miss

__all__ = ["read_budget", "read_step"]

ReadInner = Callable[[Any, Place], Graph | str]
"""What a step names as its workflow: a graph written out there or in a file, or the name of a published one."""

_STEP_TYPES: Final = ("step", "task", "function", "map")
_APPROVAL_TYPES: Final = ("approval", "human_input")
_ONLY_APPROVALS: Final = ("title", "context", "policy", "deadline")
_OF_KIND: Final[dict[str, tuple[str, ...]]] = {
    "wait": ("seconds", "until"),
    "signal": ("signal", "timeout", "default", "on_error", "fallback"),
    "input": ("prompt",),
    "workflow": (
        *("workflow", "inputs", "optional_inputs", "on_error", "fallback", "on_parent_close", "map", "budget"),
        "every",
    ),
    "pass": ("output",),
    "fail": ("error", "message"),
    "succeed": ("output",),
}
"""The fields that each further type of step has."""
_OF_ALL: Final = frozenset({"id", "name", "description", "type", "join", "max_visits", "cancel_rest"})
_ONLY_KINDS: Final = {
    field: type_
    for type_, fields in reversed(_OF_KIND.items())
    for field in fields
    if field not in ("timeout", "on_error", "fallback", "inputs", "optional_inputs", "map", "budget", "every")
}
_ONLY_STEPS: Final = (
    *("run", "module", "optional_inputs", "input_schema", "output_schema", "error_handling", "retry", "timeout"),
    *(
        "compensate",
        "on_error",
        "fallback",
        "verify",
        "tool",
        "undo_group",
        "pivot",
        "map",
        "goto",
        "budget",
        "services",
        "every",
        "executor",
        "needs",
        "priority",
        "breaker",
    ),
)


def read_step(model: StepModel, defaults: ErrorHandlingModel, inner: ReadInner, place: Place) -> GraphStep:
    """The step that a checked model stands for. Raises `DefinitionError` for what cannot be honoured."""
    id_ = model.id if model.id is not None else model.name
    if id_ is None:
        raise (place / "id").error("is missing")
    name = model.name if model.name is not None and model.name != id_ else ""
    type_ = _type(model)
    if type_ in _APPROVAL_TYPES:
        for field in _ONLY_STEPS:
            if getattr(model, field):
                hint = "; its deadline says how long to wait" if field == "timeout" else ""
                raise (place / field).error(f"belongs to steps that run code, and an approval runs none{hint}")
        return read_approval(model, id_, name, _join(model.join, place / "join"), place)
    if type_ in _OF_KIND:
        return _of_kind(type_, model, id_, name, defaults, inner, place)
    if type_ not in _STEP_TYPES:
        known = (*_STEP_TYPES, *_APPROVAL_TYPES, *_OF_KIND)
        hint = near_miss(type_, known) or f"; known: {', '.join(known)}"
        raise (place / "type").error(f"there are no steps of type {type_!r}{hint}")
    for field in _ONLY_APPROVALS:
        if getattr(model, field) is not None:
            raise (place / field).error("belongs to steps of type approval, and this one runs code")
    for field, belongs in _ONLY_KINDS.items():
        if field in model.model_fields_set:
            raise (place / field).error(f"belongs to steps of type {belongs}, and this one runs code")
    if type_ == "map" and model.map is None:
        raise (place / "map").error("is missing; a map has its items there: map: {items: …}")
    config, handling = _handling(model, defaults, place)
    catches = _catches(model)
    on_error, fallback = _on_error(model, handling, id_, place)
    retry, timeout = _first("retry", model, *handling), _first("timeout", model, *handling)
    inputs, optional, input_schema = _inputs(model, place)
    return GraphStep(
        id_,
        _code(model, place),
        None,
        name,
        model.description,
        inputs,
        optional,
        input_schema,
        _output_schema(model, place),
        canonical(config, place / "config"),
        read_retry(retry, place / "retry"),
        None if timeout is None else read_duration(timeout, place / "timeout"),
        None if model.compensate is None else Code(model.compensate),
        on_error,
        fallback,
        _join(model.join, place / "join"),
        model.max_visits,
        cast(Literal["retry", "verify", "park"], model.on_doubt),
        None if model.verify is None else Code(model.verify),
        model.tool,
        model.undo_group,
        model.pivot,
        place.path,
        None,
        _over(model, place),
        _goto(model, place),
        catches,
        model.cancel_rest,
        read_budget(model.budget, place / "budget"),
        tuple(model.services),
        None if model.every is None else read_every(model.every, id_, place / "every"),
        model.executor,
        needs=_needs(model, place),
    )


def _needs(model: StepModel, place: Place) -> Needs | None:
    try:
        return needs_of(model.needs, model.breaker, model.priority)
    except BadInput as exc:
        raise place.error(str(exc)) from None


def _join(raw: Any, place: Place) -> Any:
    """How the step waits; `{required: […]}` names the steps whose transitions must have been taken."""
    if not isinstance(raw, dict):
        return raw
    ids = raw.get("required")
    if len(raw) != 1 or not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
        raise place.error('is all, any, a number, or {"required": [steps whose transitions must be taken]}')
    return tuple(ids)


def _type(model: StepModel) -> str:
    """A step that names a workflow and no code is of that type, whether it says so or not."""
    if model.workflow is not None and model.run is None and model.module is None and model.type in ("step", "map"):
        return "workflow"
    return model.type


def _over(model: StepModel, place: Place) -> Over | None:
    one = model.map
    if one is None:
        return None
    items = canonical(one.items, place / "map" / "items")
    return Over(items, one.as_, one.concurrency, one.join, one.cancel_rest)


def _goto(model: StepModel, place: Place) -> tuple[str, ...]:
    match model.goto:
        case None:
            return ()
        case "any":
            return ANYWHERE
        case [*names] if names and all(isinstance(name, str) for name in names):
            return tuple(names)
        case other:
            raise (place / "goto").error(f"is a list of the steps that may come next, or any, not {other!r}")


def read_budget(model: BudgetModel | None, place: Place) -> Budget | None:
    """What may be spent."""
    if model is None:
        return None
    seconds = None if model.seconds is None else read_duration(model.seconds, place / "seconds")
    return Budget(model.steps, seconds, model.tokens, model.cost_usd)


# -- the other kinds -----------------------------------------------------------------------------------------------


def _of_kind(
    type_: str,
    model: StepModel,
    id_: str,
    name: str,
    defaults: ErrorHandlingModel,
    inner: ReadInner,
    place: Place,
) -> GraphStep:
    allowed = _OF_KIND[type_]
    for field in StepModel.model_fields:
        if field in model.model_fields_set and field not in allowed and field not in _OF_ALL:
            raise (place / field).error(f"has no meaning for a step of type {type_}, which has {', '.join(allowed)}")
    inputs, optional, _ = _inputs(model, place)
    on_error, fallback = ("fail", None) if "on_error" not in allowed else _on_error(model, [defaults], id_, place)
    return GraphStep(
        id_,
        None,
        None,
        name,
        model.description,
        inputs,
        optional,
        on_error=on_error,
        fallback=fallback,
        join=_join(model.join, place / "join"),
        max_visits=model.max_visits,
        where=place.path,
        does=_kind(type_, model, id_, inner, place),
        over=_over(model, place),
        catches=_catches(model),
        cancel_rest=model.cancel_rest,
        budget=read_budget(model.budget, place / "budget"),
        every=None if model.every is None else read_every(model.every, id_, place / "every"),
    )


def _kind(type_: str, model: StepModel, id_: str, inner: ReadInner, place: Place) -> Kind:
    output = model.output if model.output is ABSENT else canonical(model.output, place / "output")
    match type_:
        case "wait":
            return Pause(canonical(model.seconds, place / "seconds"), canonical(model.until, place / "until"))
        case "signal":
            timeout_s = None if model.timeout is None else read_duration(model.timeout, place / "timeout")
            return AwaitSignal(id_ if model.signal is None else model.signal, timeout_s, model.default)
        case "input":
            return AskInput(canonical(model.prompt, place / "prompt"))
        case "workflow":
            if model.workflow is None:
                raise (place / "workflow").error("is missing: a graph, the file of one, or the name of a published one")
            on_close = "cancel" if model.on_parent_close is None else model.on_parent_close
            return Inner(inner(model.workflow, place / "workflow"), cast(Literal["cancel", "abandon"], on_close))
        case "pass":
            return Transform(None if output is ABSENT else output)
        case "fail":
            return FailWith(model.error or "Failed", canonical(model.message or "", place / "message"))
        case _:
            return SucceedWith(output)


def _code(model: StepModel, place: Place) -> Code:
    if model.run is not None:
        if model.module is not None or model.step_class is not None:
            raise (place / "run").error("and module with step_class say the same thing; keep one")
        return Code(model.run)
    if model.module is None and model.step_class is None:
        raise place.error('says nothing to run; write run: "module:name", or module and step_class')
    if model.module is None:
        raise (place / "module").error(f"is missing: where is {model.step_class!r} to be found?")
    if model.step_class is None:
        raise (place / "step_class").error(f"is missing: what in {model.module!r} is to be run?")
    return Code(f"{model.module}:{model.step_class}")


# -- errors ------------------------------------------------------------------------------------------------------


def _handling(
    model: StepModel, defaults: ErrorHandlingModel, place: Place
) -> tuple[dict[str, Any], list[ErrorHandlingModel]]:
    """The config without the error handling in it, and every error handling that bears on the step, nearest first."""
    config = dict(model.config)
    handling = [] if model.error_handling is None else [model.error_handling]
    if "error_handling" in config:
        handling.append(read_error_handling(config.pop("error_handling"), place / "config" / "error_handling"))
    handling.append(defaults)
    for one in handling:
        if one.enable_fallback:
            raise (place / "error_handling" / "enable_fallback").error(
                "would call fallback() of the step's class inside the failed attempt, where nothing is recorded; "
                "make it a step and name it: fallback: STEP_ID"
            )
    return config, handling


def _first(name: str, *models: Any) -> Any:
    return next((value for one in models if (value := getattr(one, name)) is not None), None)


def _catches(model: StepModel) -> tuple[Catch, ...]:
    if not isinstance(model.on_error, list):
        return ()
    return tuple(Catch(tuple(one.types), one.then) for one in model.on_error)


def _on_error(model: StepModel, handling: list[ErrorHandlingModel], id_: str, place: Place) -> tuple[str, str | None]:
    if isinstance(model.on_error, list):  # whoever catches by type has said all there is to say
        return "fail", model.fallback
    stated: list[StepModel | ErrorHandlingModel] = [model, *handling]
    for one in stated:
        continues = isinstance(one, ErrorHandlingModel) and one.continue_on_error
        if continues and one.on_error not in (None, "continue"):
            raise (place / "on_error").error(f"is {one.on_error!r}, but continue_on_error says continue; keep one")
        if one is handling[-1] and one.fallback == id_:
            continue  # the common fallback has nothing to fall back to
        if one.on_error or one.fallback or continues:
            named = one.on_error if isinstance(one.on_error, str) else None
            return named or ("fallback" if one.fallback else "continue"), one.fallback
    return "fail", None


# -- inputs and outputs --------------------------------------------------------------------------------------------


def _inputs(model: StepModel, place: Place) -> tuple[dict[str, Any], tuple[str, ...], dict[str, Any] | None]:
    """The inputs, those that may be missing, and the schema they must meet."""
    here = place / "inputs"
    if isinstance(model.inputs, dict):
        inputs = {name: canonical(value, here / name) for name, value in model.inputs.items()}
        return inputs, tuple(model.optional_inputs), model.input_schema
    inputs = {}
    for index, one in enumerate(model.inputs):
        if one.name in inputs:
            raise (here / index).error(f"the input {one.name!r} is given twice")
        inputs[one.name] = canonical(one.source, here / index / "source")
    optional = tuple(one.name for one in model.inputs if not one.required)
    if model.optional_inputs:
        raise (place / "optional_inputs").error("goes with inputs as a map; in a list, write required: false")
    return inputs, optional, _schema(model.inputs, model.input_schema, (), place / "input_schema")


def _output_schema(model: StepModel, place: Place) -> dict[str, Any] | None:
    declared = [one for one in model.outputs if isinstance(one, OutputModel)]
    required = tuple(one.name for one in declared if one.required)
    return _schema(declared, model.output_schema, required, place / "output_schema")


def _schema(
    fields: list[InputModel] | list[OutputModel],
    given: dict[str, Any] | None,
    required: tuple[str, ...],
    place: Place,
) -> dict[str, Any] | None:
    properties = {one.name: one.schema_ for one in fields if one.schema_}
    if not properties and not required:
        return given
    if given is not None:
        raise place.error("and the schemas of the single fields say the same thing; keep one")
    made: dict[str, Any] = {"type": "object"}
    if properties:
        made["properties"] = properties
    if required:
        made["required"] = list(required)
    return made
