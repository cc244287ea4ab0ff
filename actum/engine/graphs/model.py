"""What a definition file may hold: the canonical dialect and, as second names, the spellings of ia_modules.

These models check structure and types only. What a field means is read by `dialect` and `load`,
and whether it all fits together is seen by `check`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator

from actum.engine.graphs.graph import ABSENT
from actum.engine.graphs.place import Place
from actum.engine.payloads.json_values import kind
from actum.errors import DefinitionError, near_miss

__all__ = [
    "ErrorHandlingModel",
    "GraphModel",
    "ParameterModel",
    "StepModel",
    "TransitionModel",
    "read_error_handling",
    "read_model",
]


def _also(*names: str) -> Any:
    return Field(default=None, validation_alias=AliasChoices(*names))


def _map_or_list(value: Any) -> str:
    return "<map>" if isinstance(value, dict) else "<list>"


def _name_or_field(value: Any) -> str:
    return "<name>" if isinstance(value, str) else "<field>"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ParameterModel(_Model):
    name: str
    schema_: dict[str, Any] | None = _also("schema")
    required: bool = False
    default: Any = ABSENT
    description: str = ""


class InputModel(_Model):
    name: str
    source: Any
    required: bool = True
    schema_: dict[str, Any] | None = _also("schema")
    description: str = ""


class OutputModel(_Model):
    name: str
    required: bool = False
    schema_: dict[str, Any] | None = _also("schema")
    description: str = ""


# What may be written in two ways; the tags in angle brackets stand in pydantic's paths and are taken out again.
Parameters = Annotated[
    Annotated[dict[str, Any], Tag("<map>")] | Annotated[list[ParameterModel], Tag("<list>")],
    Discriminator(_map_or_list),
]
Inputs = Annotated[
    Annotated[dict[str, Any], Tag("<map>")] | Annotated[list[InputModel], Tag("<list>")],
    Discriminator(_map_or_list),
]
Outputs = list[
    Annotated[Annotated[str, Tag("<name>")] | Annotated[OutputModel, Tag("<field>")], Discriminator(_name_or_field)]
]


class ErrorHandlingModel(_Model):
    retry: Any = None
    timeout: Any = None
    on_error: str | None = None
    fallback: str | None = None
    continue_on_error: bool = False
    enable_fallback: bool = False


class CatchModel(_Model):
    types: list[str] = Field(default_factory=lambda: ["*"])
    then: str


class MapModel(_Model):
    items: Any
    as_: str = Field(default="item", validation_alias=AliasChoices("as"))
    concurrency: int | None = None
    join: Any = "all"
    cancel_rest: bool = False


class BudgetModel(_Model):
    steps: int | None = None
    seconds: Any = None
    cost_usd: Any = None
    tokens: Any = None


def _word_or_catches(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<name>"


class StepModel(_Model):
    id: str | None = None
    name: str | None = None
    description: str = ""
    type: str = "step"
    run: str | None = None
    module: str | None = None
    step_class: str | None = _also("step_class", "class")
    inputs: Inputs = Field(default_factory=dict)
    optional_inputs: list[str] = Field(default_factory=list)
    outputs: Outputs = Field(default_factory=list)
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    error_handling: ErrorHandlingModel | None = None
    retry: Any = _also("retry", "retries")
    timeout: Any = None
    compensate: str | None = None
    on_error: (
        Annotated[
            Annotated[str, Tag("<name>")] | Annotated[list[CatchModel], Tag("<list>")], Discriminator(_word_or_catches)
        ]
        | None
    ) = None
    fallback: str | None = None
    join: Any = "all"
    cancel_rest: bool = False
    max_visits: int | None = None
    on_doubt: str = "retry"
    verify: str | None = None
    tool: str | None = None
    undo_group: str | None = None
    pivot: bool = False
    title: str | None = None
    context: Any = None
    severity: str = "medium"
    policy: str | None = None
    deadline: Any = None
    seconds: Any = None
    until: Any = None
    signal: str | None = None
    default: Any = ABSENT
    prompt: Any = None
    workflow: Any = None
    on_parent_close: str | None = None
    output: Any = ABSENT
    error: str | None = None
    message: Any = None
    map: MapModel | None = None
    goto: Any = None
    budget: BudgetModel | None = None
    services: list[str] = Field(default_factory=list)
    every: Any = None
    executor: str = ""
    needs: dict[str, Any] | None = None
    breaker: str | None = None
    priority: int | None = None


class TransitionModel(_Model):
    source: str = Field(validation_alias=AliasChoices("from", "from_step"))
    target: str = Field(validation_alias=AliasChoices("to", "to_step"))
    condition: Any = None
    description: str = ""
    expires: Any = None
    on_expired: str | None = None


def _one_or_several(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<name>"


Starts = Annotated[Annotated[str, Tag("<name>")] | Annotated[list[str], Tag("<list>")], Discriminator(_one_or_several)]


class FlowModel(_Model):
    start_at: Starts | None = None
    transitions: list[TransitionModel] = Field(default_factory=list)
    paths: list[TransitionModel] = Field(default_factory=list)
    max_visits: int | None = None


class LoopConfigModel(_Model):
    max_iterations: int | None = None
    max_loop_time_seconds: float | None = None
    iteration_delay_seconds: float | None = None


class GraphModel(_Model):
    name: str
    version: str = ""
    description: str = ""
    parameters: Parameters = Field(default_factory=list)
    steps: list[StepModel]
    flow: FlowModel = Field(default_factory=FlowModel)
    error_handling: ErrorHandlingModel | None = None
    loop_config: LoopConfigModel | None = None
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    outputs: Any = None
    budget: BudgetModel | None = None
    needs: dict[str, Any] | None = None
    preemptible: bool = False
    timeout: Any = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    schema_: str | None = _also("$schema")

    @field_validator("version", mode="before")
    @classmethod
    def _version(cls, value: Any) -> Any:
        """YAML reads `version: 1.0` as a number, and everybody means the text."""
        return str(value) if kind(value) == "number" else value


_MODELS: Final[dict[str, type[_Model]]] = {
    "parameters": ParameterModel,
    "steps": StepModel,
    "inputs": InputModel,
    "outputs": OutputModel,
    "flow": FlowModel,
    "transitions": TransitionModel,
    "paths": TransitionModel,
    "error_handling": ErrorHandlingModel,
    "on_error": CatchModel,
    "map": MapModel,
    "budget": BudgetModel,
    "loop_config": LoopConfigModel,
}
_TAGS: Final = ("<map>", "<list>", "<name>", "<field>")
_WANTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def read_model(raw: Any, place: Place, problems: list[DefinitionError] | None = None) -> GraphModel:
    """The definition with its structure checked.

    Raises `DefinitionError` for the first thing that is wrong; with `problems`, all of them are put there first.
    """
    if not isinstance(raw, dict):
        raise place.error(f"a workflow definition is an object, not {kind(raw)}")
    try:
        return GraphModel.model_validate(raw)
    except ValidationError as exc:
        errors: list[Any] = exc.errors(include_url=False)
    # A misspelt field is both unknown and missing: the unknown one is the one to show.
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    if problems is not None:
        problems += [_translated(error, place) for error in errors]
    raise _translated(first, place)


def read_error_handling(raw: Any, place: Place) -> ErrorHandlingModel:
    """The error handling that ia_modules writes into a step's config."""
    try:
        return ErrorHandlingModel.model_validate(raw)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
    where = place
    for key in error["loc"]:
        where = where / key
    hint = near_miss(str(error["loc"][-1]), _names(ErrorHandlingModel)) if error["loc"] else ""
    raise where.error(f"is not understood{hint}")


def _translated(error: Any, place: Place) -> DefinitionError:
    model: type[_Model] = GraphModel
    loc = [key for key in error["loc"] if key not in _TAGS]
    for key in loc:
        place = place / key
    for key in loc[:-1]:
        model = _MODELS.get(str(key), model)
    match error["type"]:
        case "extra_forbidden":
            return place.error(f"there is no such field{near_miss(str(loc[-1]), _names(model))}")
        case "missing":
            return place.error("is missing")
        case type_ if type_ in _WANTED:
            return place.error(f"must be {_WANTED[type_]}, not {kind(error['input'])}")
        case _:
            return place.error(str(error["msg"]))


def _names(model: type[_Model]) -> list[str]:
    """Every name a field of this model may be written by."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        names += [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [name]
    return names
