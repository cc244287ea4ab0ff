"""Plain JSON values: what kind they are, when two are equal, and how a value from outside becomes one.

Python thinks that `True == 1` and that a tuple is not a list; JSON, and the log, do not.
"""

from __future__ import annotations

import math
from typing import Any, Final

from actum.engine.graphs.place import Place

__all__ = ["MAX_DEPTH", "MAX_VALUES", "kind", "plain", "same"]

MAX_DEPTH: Final = 100
"""How deep a definition may nest: far more than anyone writes, far less than the interpreter's stack."""
MAX_VALUES: Final = 2_000_000
"""How many values a definition may hold: YAML aliases can make a billion out of ten lines."""

_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    tuple: "list",
    dict: "object",
}


def kind(value: Any) -> str:
    """What a value is, in the words of our messages: null, boolean, number, text, list or object."""
    return _KINDS.get(type(value)) or type(value).__name__


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: `1` and `1.0` are, `1` and `true` are not, at any depth."""
    if type(left) is str or type(right) is str:
        return bool(left == right)
    if kind(left) != kind(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def plain(value: Any, place: Place) -> Any:
    """A copy of the value as plain JSON, with lists for tuples.

    Raises `DefinitionError` with the path of the first thing that JSON cannot hold, or that could not be
    written down and read again unchanged.
    """
    return _plain(value, place, 0, [MAX_VALUES])


def _plain(value: Any, place: Place, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise place.error(f"the definition holds more than {MAX_VALUES:,} values; an alias may repeat itself")
    match value:
        case None | bool():
            return value
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise place.error("holds a lone surrogate and is not valid Unicode") from None
            return str(value)
        case int():
            if not -(2**63) <= value < 2**63:
                raise place.error("is a number outside ±2^63; write it as text")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise place.error(f"is {value}, which JSON cannot hold")
            return value
        case dict() | list() | tuple():
            if depth >= MAX_DEPTH:
                raise place.error(f"is nested more than {MAX_DEPTH} deep")
            if not isinstance(value, dict):
                return [_plain(item, place / index, depth + 1, left) for index, item in enumerate(value)]
            for key in value:
                if not isinstance(key, str):
                    raise place.error(f"has the key {key!r}, which is no text; put it in quotes")
            return {_plain(key, place, depth, left): _plain(value[key], place / key, depth + 1, left) for key in value}
        case _:
            raise place.error(f"is a {type(value).__name__}, which JSON cannot hold")
