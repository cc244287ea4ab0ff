"""The part of JSON Schema that actum honours: what is not honoured is refused when the schema is read.

A schema that is silently half ignored promises checks that nobody makes. So the keywords below are checked
as JSON Schema 2020-12 says, annotations are let through, and every other keyword is an error by name. A `pattern`
is searched for in time that grows with the text and not faster, whatever it is; what cannot be is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from actum.engine.graphs.place import Place
from actum.engine.payloads.json_values import kind, same
from actum.engine.payloads.patterns import BadPattern, searcher
from actum.errors import near_miss

__all__ = ["check_schema", "mismatch"]

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: kind(v) == "number" and v == int(v),
    "number": lambda v: kind(v) == "number",
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}
_SAID: Final = {"null": "null", "boolean": "boolean", "number": "number", "text": "string", "list": "array"}
_NUMBERS: Final[dict[str, tuple[str, Callable[[Any, Any], bool]]]] = {
    "minimum": ("at least", lambda v, bound: v >= bound),
    "maximum": ("at most", lambda v, bound: v <= bound),
    "exclusiveMinimum": ("more than", lambda v, bound: v > bound),
    "exclusiveMaximum": ("less than", lambda v, bound: v < bound),
}
_LENGTHS: Final[dict[str, tuple[type, str, Callable[[int, int], bool]]]] = {
    "minLength": (str, "at least {} characters long", lambda n, bound: n >= bound),
    "maxLength": (str, "at most {} characters long", lambda n, bound: n <= bound),
    "minItems": (list, "at least {} items long", lambda n, bound: n >= bound),
    "maxItems": (list, "at most {} items long", lambda n, bound: n <= bound),
}
_CHECKED: Final = frozenset(
    (
        "type",
        "enum",
        "const",
        "pattern",
        "items",
        "properties",
        "required",
        "additionalProperties",
        *_NUMBERS,
        *_LENGTHS,
    )
)
_ANNOTATIONS: Final = frozenset(
    ("title", "description", "default", "examples", "example", "format", "deprecated", "$comment", "$schema", "$id")
)


def check_schema(schema: Any, place: Place) -> None:
    """Refuse a schema that cannot be honoured, with `DefinitionError` and the path of what is wrong."""
    if not isinstance(schema, dict):
        raise place.error(f"a schema is an object, not {kind(schema)}")
    for keyword, wanted in schema.items():
        here = place / keyword
        match keyword:
            case "type":
                for name in wanted if isinstance(wanted, list) else [wanted]:
                    if not isinstance(name, str) or name not in _TYPES:
                        raise here.error(f"{name!r} is no JSON type{near_miss(str(name), _TYPES)}")
            case "enum" | "required":
                if not isinstance(wanted, list):
                    raise here.error(f"is a list, not {kind(wanted)}")
            case "pattern":
                if not isinstance(wanted, str):
                    raise here.error(f"is text, not {kind(wanted)}")
                try:
                    searcher(wanted)
                except BadPattern as exc:
                    raise here.error(f"{wanted!r} is no regular expression that can be searched for: {exc}") from None
            case "items":
                check_schema(wanted, here)
            case "properties":
                if not isinstance(wanted, dict):
                    raise here.error(f"is an object, not {kind(wanted)}")
                for name, inner in wanted.items():
                    check_schema(inner, here / name)
            case "additionalProperties":
                if not isinstance(wanted, bool):
                    check_schema(wanted, here)
            case "x-actum-class":
                if wanted not in ("public", "business", "personal"):
                    raise here.error(f"is public, business or personal, not {wanted!r}")
            case _ if keyword in _NUMBERS or keyword in _LENGTHS:
                if kind(wanted) != "number":
                    raise here.error(f"is a number, not {kind(wanted)}")
            case _ if keyword not in _CHECKED | _ANNOTATIONS:
                raise here.error(f"the keyword {keyword!r} is not checked by actum{near_miss(keyword, _CHECKED)}")


def mismatch(schema: dict[str, Any], value: Any, name: str) -> str:
    """The first way in which a value is not what its schema says, as a sentence about `name`; "" when there is none."""
    types = schema.get("type")
    if types is not None:
        types = types if isinstance(types, list) else [types]
        if not any(_TYPES[one](value) for one in types):
            said = kind(value)
            return f"{name} must be {' or '.join(types)}, not {_SAID.get(said, said)}"
    if "enum" in schema and not any(same(value, one) for one in schema["enum"]):
        return f"{name} must be one of {schema['enum']!r}, not {value!r}"
    if "const" in schema and not same(value, schema["const"]):
        return f"{name} must be {schema['const']!r}, not {value!r}"
    match value:
        case bool() | None:
            return ""
        case int() | float():
            for keyword, (words, holds) in _NUMBERS.items():
                if keyword in schema and not holds(value, schema[keyword]):
                    return f"{name} must be {words} {schema[keyword]}, not {value}"
        case str():
            if "pattern" in schema and not searcher(schema["pattern"])(value):
                return f"{name} must match {schema['pattern']!r}, and {value!r} does not"
            return _length(schema, value, name)
        case list():
            if found := _length(schema, value, name):
                return found
            if "items" in schema:
                for index, item in enumerate(value):
                    if found := mismatch(schema["items"], item, f"{name}[{index}]"):
                        return found
        case dict():
            return _members(schema, value, name)
    return ""


def _length(schema: dict[str, Any], value: str | list[Any], name: str) -> str:
    for keyword, (of, words, holds) in _LENGTHS.items():
        if keyword in schema and isinstance(value, of) and not holds(len(value), schema[keyword]):
            return f"{name} must be {words.format(schema[keyword])}, not {len(value)}"
    return ""


def _members(schema: dict[str, Any], value: dict[str, Any], name: str) -> str:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            return f"{name} has no {key!r}{near_miss(str(key), value)}"
    for key, inner in known.items():
        if key in value and (found := mismatch(inner, value[key], f"{name}.{key}")):
            return found
    others = schema.get("additionalProperties", True)
    if others is not True:
        for key in [key for key in value if key not in known]:
            if others is False:
                return f"{name} has {key!r}, which its schema does not know{near_miss(str(key), known)}"
            if found := mismatch(others, value[key], f"{name}.{key}"):
                return found
    return ""
