"""The operators of conditions, and the other names they go by. Each answers for every pair of JSON values, or
raises `UnlikeKinds`: comparing a number with a text is a mistake, and neither yes nor no.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from actum.engine.payloads.json_values import kind, same
from actum.engine.payloads.patterns import searcher

__all__ = ["ALIASES", "OPERATORS", "RIGHT_SIDES", "NoAnswer", "UnlikeKinds"]


class NoAnswer(Exception):
    """A condition that is neither true nor false. The planner makes it the failure of the execution."""


class UnlikeKinds(NoAnswer):
    """A comparison of values that cannot be compared."""


def _equal(left: Any, right: Any) -> bool:
    if left is not None and right is not None and kind(left) != kind(right):
        raise UnlikeKinds
    return same(left, right)


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def operator(left: Any, right: Any) -> bool:
        of = kind(left)
        if of != kind(right) or of not in ("number", "text"):
            raise UnlikeKinds
        return holds(left, right)

    return operator


def _textual(holds: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def operator(left: Any, right: Any) -> bool:
        if not isinstance(left, str) or not isinstance(right, str):
            raise UnlikeKinds
        return holds(left, right)

    return operator


def _contains(left: Any, right: Any) -> bool:
    match left:
        case list():
            return any(same(item, right) for item in left)
        case str() | dict() if isinstance(right, str):
            return right in left
        case _:
            raise UnlikeKinds


OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "gt": _ordered(lambda left, right: left > right),
    "gte": _ordered(lambda left, right: left >= right),
    "lt": _ordered(lambda left, right: left < right),
    "lte": _ordered(lambda left, right: left <= right),
    "in": lambda left, right: _contains(right, left),
    "not_in": lambda left, right: not _contains(right, left),
    "contains": _contains,
    "starts_with": _textual(str.startswith),
    "ends_with": _textual(str.endswith),
    "matches": _textual(lambda left, right: searcher(right)(left)),
    "exists": lambda left, right: bool(right),
    "truthy": lambda left, right: bool(left) is right,
}
"""`exists` asks whether there is a value at all (null is one), `truthy` whether it is not null, false, 0 or empty."""

_SPELLINGS: Final = {
    "eq": ("equals", "equal", "=="),
    "ne": ("not_equals", "not_equal", "neq", "!="),
    "gt": ("greater_than", ">"),
    "gte": ("greater_than_or_equals", "greater_than_or_equal", "ge", ">="),
    "lt": ("less_than", "<"),
    "lte": ("less_than_or_equals", "less_than_or_equal", "le", "<="),
    "not_in": ("not in", "nin"),
    "starts_with": ("startswith", "startsWith"),
    "ends_with": ("endswith", "endsWith"),
    "matches": ("regex", "regex_match"),
}
ALIASES: Final = {name: name for name in OPERATORS} | {
    other: name for name, others in _SPELLINGS.items() for other in others
}
"""Every spelling of an operator that other systems use, and the operator."""
RIGHT_SIDES: Final = {
    **dict.fromkeys(("gt", "gte", "lt", "lte"), ("number", "text")),
    **dict.fromkeys(("in", "not_in"), ("list", "text", "object")),
    **dict.fromkeys(("starts_with", "ends_with", "matches"), ("text",)),
    "exists": ("boolean",),
    "truthy": ("boolean",),
}
"""What may stand on the right: a constant of another kind is refused when the definition is read."""
