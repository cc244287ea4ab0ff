"""The rules of a Choice state: one comparison, or And, Or and Not of others. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from actum.engine.foreign.asl.intrinsics import Given
from actum.engine.foreign.asl.paths import NoValue, parse_path
from actum.engine.payloads.json_values import kind, same

__all__ = ["COMPARISONS", "TESTS", "holds", "instant_of", "matches", "said"]

TESTS: Final = ("IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp")
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "Equals": lambda left, right: bool(left == right),
    "LessThan": lambda left, right: bool(left < right),
    "GreaterThan": lambda left, right: bool(left > right),
    "LessThanEquals": lambda left, right: bool(left <= right),
    "GreaterThanEquals": lambda left, right: bool(left >= right),
}
COMPARISONS: Final[dict[str, tuple[str, str]]] = {
    **{f"{kind_}{order}": (kind_, order) for kind_ in ("String", "Numeric", "Timestamp") for order in _ORDERS},
    "BooleanEquals": ("Boolean", "Equals"),
}
"""Operators that compare with a value, each of which may also end in `Path`: what kind of value, in which order."""

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def instant_of(value: Any) -> datetime | None:
    """The instant that an RFC 3339 text with capital T names; None for anything else."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _of_kind(value: Any, wanted: str) -> Any:
    """The value as it is compared; None when it is of another kind."""
    match wanted:
        case "String":
            return value if isinstance(value, str) else None
        case "Numeric":
            return value if kind(value) == "number" else None
        case "Boolean":
            return value if isinstance(value, bool) else None
        case _:
            return instant_of(value)


def matches(text: str, pattern: str) -> bool:
    """Whether the text is like the pattern: `*` stands for any characters, with a backslash before it for itself."""
    pieces: list[str] = [""]
    for piece in re.findall(r"\\.|.", pattern, re.DOTALL):
        if piece == "*":
            pieces.append("")
        else:
            pieces[-1] += piece[1:] if piece in ("\\*", "\\\\") else piece
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return text == first
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at = len(first)
    for piece in pieces[1:-1]:
        found = text.find(piece, at, len(text) - len(last))
        if found < 0:
            return False
        at = found + len(piece)
    return True


def holds(rule: Mapping[str, Any], given: Given) -> bool:
    """Whether the rule holds. Raises `NoValue` when it compares something that is not there."""
    if "And" in rule:
        return all(holds(one, given) for one in rule["And"])
    if "Or" in rule:
        return any(holds(one, given) for one in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], given)
    name = operator_of(rule)
    operand = rule[name]
    path = parse_path(rule["Variable"])
    if name == "IsPresent":
        try:
            present = path.read(given.data, given.context) != [] or path.definite
        except NoValue:
            present = False
        return present is operand
    value = path.read(given.data, given.context)
    match name:
        case "IsNull":
            return (value is None) is operand
        case "IsNumeric":
            return (kind(value) == "number") is operand
        case "IsString":
            return isinstance(value, str) is operand
        case "IsBoolean":
            return isinstance(value, bool) is operand
        case "IsTimestamp":
            return (instant_of(value) is not None) is operand
        case "StringMatches":
            return isinstance(value, str) and matches(value, operand)
    if name.endswith("Path"):
        operand = parse_path(operand).read(given.data, given.context)
        name = name.removesuffix("Path")
    wanted, order = COMPARISONS[name]
    left, right = _of_kind(value, wanted), _of_kind(operand, wanted)
    if left is None or right is None:
        return False
    return same(left, right) if wanted == "Boolean" else _ORDERS[order](left, right)


def operator_of(rule: Mapping[str, Any]) -> str:
    return next(name for name in rule if name not in ("Variable", "Next", "Comment"))


def said(rule: Mapping[str, Any]) -> str:
    """The rule in one line, for the record."""
    for name in ("And", "Or"):
        if name in rule:
            return f"({f' {name.lower()} '.join(said(one) for one in rule[name])})"
    if "Not" in rule:
        return f"not {said(rule['Not'])}"
    name = operator_of(rule)
    return f"{rule['Variable']} {name} {rule[name]!r}"
