"""Many spellings, one meaning: conditions, retries and forms as other systems write them, in canonical form.

What cannot be honoured is refused by name, with the reason: a condition that is quietly false, or a setting
that is quietly ignored, would send an execution somewhere its author did not mean.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from actum.engine.durations import seconds
from actum.engine.graphs import conditions
from actum.engine.graphs.conditions import AllOf, AnyOf, Compare, Condition, Not
from actum.engine.graphs.place import Place
from actum.engine.payloads.json_values import kind
from actum.engine.rules.retry import Retry
from actum.errors import BadInput, near_miss

__all__ = ["read_condition", "read_duration", "read_retry"]

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "always": (),
    "expression": ("source", "operator", "value"),
    "threshold_condition": ("field", "operator", "value"),
    "threshold": ("field", "operator", "value"),
    "field_equals": ("field", "value"),
    "field_exists": ("field",),
    "field_greater_than": ("field", "value"),
    "field_less_than": ("field", "value"),
    "all": ("conditions",),
    "any": ("conditions",),
    "not": ("condition",),
}
_FIELD_OPERATORS: Final = {
    "field_equals": "eq",
    "field_exists": "exists",
    "field_greater_than": "gt",
    "field_less_than": "lt",
}
_CALLS_CODE: Final = (
    "would call code while deciding where to go; that is neither recorded nor repeatable. "
    "Make it a step and compare what the step returns"
)
_REFUSED: Final = {
    "function": _CALLS_CODE,
    "plugin": _CALLS_CODE,
    "custom": _CALLS_CODE,
    "agent": "would ask a model while deciding where to go; make it a step and compare what the step returns",
    "else": "depends on the other transitions; write its condition out, with {not: …}",
    "confidence_threshold": "asks for a person when it does not hold; make that an approval behind a comparison",
    "error_occurred": "asks for a person after a failure; give the step on_error: fallback, and an approval",
    "value_check": "asks for a person when it does not hold; make that an approval behind a comparison",
    "condition": "names no comparison; write {source, operator, value}",
}
_RETRY_NAMES: Final = {
    "max_attempts": "attempts",
    "initial_delay": "first_delay_s",
    "first_delay": "first_delay_s",
    "max_delay": "max_delay_s",
    "exponential_base": "factor",
    "backoff_factor": "factor",
}


def read_condition(raw: Any, step: str, place: Place, steps: Collection[str] = ()) -> Condition | None:
    """A condition of a transition out of `step`, in any spelling; None is "always".

    Raises `DefinitionError` for one that is not understood or cannot be honoured.
    """
    match raw:
        case None | "always":
            return None
        case str():
            kind_, _, name = raw.partition(":")
            if kind_.strip() == "parameter" and name.strip():
                return Compare(f"parameters.{name.strip()}", "truthy", True)
            hint = near_miss(kind_, ("always", "parameter"))
            raise place.error(f'{raw!r} is no condition; write "always", "parameter:NAME" or a comparison{hint}')
        case {"type": _}:
            return _typed(raw, step, place, steps)
        case _:
            return conditions.parse(raw, place)


def _typed(raw: dict[str, Any], step: str, place: Place, steps: Collection[str]) -> Condition | None:
    type_ = raw["type"]
    if not isinstance(type_, str) or type_ not in _FIELDS:
        if type_ in _REFUSED:
            raise place.error(f"a condition of type {type_!r} {_REFUSED[type_]}")
        raise (place / "type").error(f"there is no condition of type {type_!r}{near_miss(str(type_), _FIELDS)}")
    given = _given(raw, type_, place)
    inner = place / "config" if "config" in raw else place
    match type_:
        case "always":
            return None
        case "expression":
            return conditions.parse({"operator": "eq", **given, "source": _source(given, step, inner, steps)}, inner)
        case "threshold_condition" | "threshold":
            return conditions.parse(_of_field({"operator": "gte", **given}, step, inner), inner)
        case "all" | "any" | "not":
            return _combined(type_, given, step, inner, steps)
        case _:
            operator = _FIELD_OPERATORS[type_]
            return conditions.parse(_of_field({**given, "operator": operator}, step, inner), inner)


def _given(raw: dict[str, Any], type_: str, place: Place) -> dict[str, Any]:
    """The settings of a typed condition, which stand in `config` or beside its type."""
    config = raw.get("config", {})
    if not isinstance(config, dict):
        raise (place / "config").error(f"must be an object, not {kind(config)}")
    beside = {key: value for key, value in raw.items() if key not in ("type", "config", "description", "name")}
    for settings, where in ((beside, place), (config, place / "config")):
        for key in settings:
            if key not in _FIELDS[type_]:
                hint = near_miss(key, _FIELDS[type_])
                raise (where / key).error(f"a condition of type {type_!r} has no field {key!r}{hint}")
    return {**beside, **config}


def _source(given: dict[str, Any], step: str, place: Place, steps: Collection[str]) -> Any:
    source = given.get("source")
    if source is None:
        raise place.error("an expression needs a source, such as step_id.output_name")
    if isinstance(source, str) and source.split(".")[0] == "result" and "result" not in steps:
        return step + source.removeprefix("result")  # what the step before has returned
    return source


def _of_field(given: dict[str, Any], step: str, place: Place) -> dict[str, Any]:
    """The comparison of a field of what the step before has returned."""
    field = given.pop("field", None)
    if not isinstance(field, str) or not field:
        raise place.error("needs a field: the name of an output of the step before")
    outright = field.startswith(("{", "steps.", "parameters."))
    return {**given, "source": field if outright else f"{step}.{field}"}


def _combined(type_: str, given: dict[str, Any], step: str, place: Place, steps: Collection[str]) -> Condition | None:
    raws = [given.get("condition")] if type_ == "not" else given.get("conditions")
    if not isinstance(raws, list) or not raws:
        raise place.error(f"a condition of type {type_!r} needs a list of conditions")
    read = [read_condition(raw, step, place / "conditions" / index, steps) for index, raw in enumerate(raws)]
    held = tuple(one for one in read if one is not None)
    if type_ == "not":
        if not held:
            raise place.error('the opposite of "always" is never: leave the transition out')
        return Not(held[0])
    if type_ == "any":
        return AnyOf(held) if len(held) == len(read) else None
    return AllOf(held) if held else None


def read_retry(raw: Any, place: Place) -> Retry:
    """How often a step is tried: the number of attempts after the first, or a mapping in either spelling."""
    if isinstance(raw, dict):
        given: dict[str, Any] = {}
        for key, value in raw.items():
            name = str(_RETRY_NAMES.get(key, key))
            if name in given:
                raise (place / key).error(f"says {name!r} a second time")
            if name == "jitter" and isinstance(value, bool):
                value = 0.5 if value else 0.0
            elif name.endswith("_s") and isinstance(value, str):
                value = read_duration(value, place / key)
            elif name in ("on", "never") and not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
                raise (place / key).error("is a list of error types, such as [ConnectionError]")
            given[name] = value
        raw = given
    try:
        return Retry.of(raw)
    except (BadInput, TypeError) as exc:
        raise place.error(str(exc)) from None


def read_duration(raw: Any, place: Place) -> float:
    """A number of seconds."""
    try:
        return seconds(raw)
    except BadInput as exc:
        raise place.error(str(exc)) from None
