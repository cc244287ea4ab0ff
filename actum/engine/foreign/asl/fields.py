"""Which fields the States Language knows, by the kind of thing that has them, and what may stand in each. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from actum.engine.foreign.asl.choices import COMPARISONS, TESTS, instant_of
from actum.engine.foreign.asl.intrinsics import parse_expression
from actum.engine.foreign.asl.paths import BadPath, parse_path
from actum.engine.payloads.json_values import kind

__all__ = ["CATCHER", "MACHINE", "ONE_OF", "PROCESSOR", "REQUIRED", "RETRIER", "RULE", "STATES", "Check", "only_one"]

Check = Callable[[Any], str | None]
"""What is wrong with a value, in words that follow the field's name; None when nothing is."""

_MOST: Final = 99_999_999


def _is(wanted: str) -> Check:
    return lambda value: None if kind(value) == wanted else f"is a {kind(value)}, and must be a {wanted}"


def _number(value: Any, *, whole: bool = True, floor: int | None = None, minimum: float | None = None) -> str | None:
    if kind(value) != "number" or (whole and not isinstance(value, int)):
        return f"is {orjson.dumps(value).decode()}, and must be a {'whole number' if whole else 'number'}"
    if floor is not None and value <= floor:
        return f"is {value}, but allowed floor is {floor}"
    if minimum is not None and value < minimum:
        return f"is {value}, but allowed minimum is {minimum:g}"
    return f"is {value}, but allowed maximum is {_MOST}" if value > _MOST else None


def _one_of(*allowed: str) -> Check:
    return lambda value: (
        None if value in allowed else f"is {_shown(value)}, not one of the allowed values {_list(allowed)}"
    )


def _list(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:80]}…"


def _path(*, nullable: bool = False, reference: bool = False, calls: bool = False) -> Check:
    what = "JSONPath or intrinsic function expression" if calls else "reference path" if reference else "JSONPath"

    def check(value: Any) -> str | None:
        if value is None and nullable:
            return None
        if not isinstance(value, str):
            return f"is {_shown(value)}, which is not a {what}"
        try:
            path = parse_expression(value) if calls else parse_path(value)
        except BadPath as exc:
            return f"is {_shown(value)}, which is not a {what}: {exc}"
        if reference and not getattr(path, "reference", False):
            return f"is {_shown(value)}, which is not a {what}: it may name more than one value"
        return None

    return check


def _nothing_wrong(value: Any) -> None:
    return None


def _resource(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is {_shown(value)}, and must be a URI"
    # "${…}" is filled in when a template is deployed, and then is one.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S", value) or "${" in value:
        return None
    return f"is {_shown(value)}, which is not a URI"


def _errors(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return f"is {_shown(value)}, and must be a list of texts"
    return None if value else "is an empty list; non-empty required"


def _full_list(value: Any) -> str | None:
    if kind(value) != "list":
        return f"is a {kind(value)}, and must be a list"
    return None if value else "is an empty list; non-empty required"


def _instant(value: Any) -> str | None:
    return None if instant_of(value) is not None else f"is {_shown(value)}, which is not a timestamp of RFC 3339"


_TEXT, _BOOLEAN, _OBJECT, _LIST = _is("text"), _is("boolean"), _is("object"), _is("list")
_TEMPLATE: Final = _nothing_wrong
"""Any JSON; its computed fields are looked at apart."""


def _seconds(value: Any) -> str | None:
    return _number(value, floor=0)


def _count(value: Any) -> str | None:
    return _number(value, minimum=0)


def _rate(value: Any) -> str | None:
    return _number(value, whole=False, minimum=1)


def _share(value: Any) -> str | None:
    return _number(value, whole=False, minimum=0)


_COMMON: Final[dict[str, Check]] = {"Type": _TEXT, "Comment": _TEXT, "QueryLanguage": _one_of("JSONPath", "JSONata")}
_IN_OUT: Final[dict[str, Check]] = {"InputPath": _path(nullable=True), "OutputPath": _path(nullable=True)}
_ON: Final[dict[str, Check]] = {"Next": _TEXT, "End": _BOOLEAN, "Assign": _TEMPLATE}
_RESULT: Final[dict[str, Check]] = {
    "Parameters": _TEMPLATE,
    "ResultPath": _path(nullable=True, reference=True),
}
_WORK: Final[dict[str, Check]] = {"ResultSelector": _TEMPLATE, "Retry": _LIST, "Catch": _LIST}
_REFERENCE: Final = _path(reference=True)

STATES: Final[dict[str, dict[str, Check]]] = {
    "Pass": {**_COMMON, **_IN_OUT, **_ON, **_RESULT, "Result": _nothing_wrong},
    "Task": {
        **_COMMON,
        **_IN_OUT,
        **_ON,
        **_RESULT,
        **_WORK,
        "Resource": _resource,
        "Credentials": _OBJECT,
        "TimeoutSeconds": _seconds,
        "TimeoutSecondsPath": _REFERENCE,
        "HeartbeatSeconds": _seconds,
        "HeartbeatSecondsPath": _REFERENCE,
    },
    "Choice": {**_COMMON, **_IN_OUT, "Choices": _full_list, "Default": _TEXT, "Assign": _TEMPLATE},
    "Wait": {
        **_COMMON,
        **_IN_OUT,
        **_ON,
        "Seconds": _count,
        "SecondsPath": _REFERENCE,
        "Timestamp": _instant,
        "TimestampPath": _REFERENCE,
    },
    "Succeed": {**_COMMON, **_IN_OUT},
    "Fail": {
        **_COMMON,
        "Error": _TEXT,
        "ErrorPath": _path(calls=True),
        "Cause": _TEXT,
        "CausePath": _path(calls=True),
    },
    "Parallel": {**_COMMON, **_IN_OUT, **_ON, **_RESULT, **_WORK, "Branches": _full_list},
    "Map": {
        **_COMMON,
        **_IN_OUT,
        **_ON,
        **_RESULT,
        **_WORK,
        "Iterator": _OBJECT,
        "ItemProcessor": _OBJECT,
        "ItemsPath": _REFERENCE,
        "ItemSelector": _TEMPLATE,
        "ItemReader": _OBJECT,
        "ItemBatcher": _OBJECT,
        "ResultWriter": _OBJECT,
        "MaxConcurrency": _count,
        "MaxConcurrencyPath": _REFERENCE,
        "ToleratedFailurePercentage": _share,
        "ToleratedFailurePercentagePath": _REFERENCE,
        "ToleratedFailureCount": _count,
        "ToleratedFailureCountPath": _REFERENCE,
        "Label": _TEXT,
    },
}
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "Task": ("Resource",),
    "Choice": ("Choices",),
    "Parallel": ("Branches",),
    "machine": ("StartAt", "States"),
    "Retrier": ("ErrorEquals",),
    "Catcher": ("ErrorEquals", "Next"),
}
ONE_OF: Final[dict[str, tuple[tuple[bool, tuple[str, ...]], ...]]] = {
    "Task": (
        (False, ("TimeoutSeconds", "TimeoutSecondsPath")),
        (False, ("HeartbeatSeconds", "HeartbeatSecondsPath")),
    ),
    "Wait": ((True, ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")),),
    "Fail": ((False, ("Error", "ErrorPath")), (False, ("Cause", "CausePath"))),
    "Map": (
        (True, ("ItemProcessor", "Iterator")),
        (False, ("ItemSelector", "Parameters")),
        (False, ("MaxConcurrency", "MaxConcurrencyPath")),
        (False, ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath")),
        (False, ("ToleratedFailureCount", "ToleratedFailureCountPath")),
    ),
}
"""Fields of which a state may have only one; and whether it must have one."""

MACHINE: Final[dict[str, Check]] = {
    "Comment": _TEXT,
    "StartAt": _TEXT,
    "States": _OBJECT,
    "Version": _TEXT,
    "TimeoutSeconds": _seconds,
    "QueryLanguage": _one_of("JSONPath", "JSONata"),
}
PROCESSOR: Final[dict[str, Check]] = {
    "Comment": _TEXT,
    "StartAt": _TEXT,
    "States": _OBJECT,
    "QueryLanguage": _one_of("JSONPath", "JSONata"),
    "ProcessorConfig": _OBJECT,
}
RETRIER: Final[dict[str, Check]] = {
    "Comment": _TEXT,
    "ErrorEquals": _errors,
    "IntervalSeconds": _seconds,
    "MaxAttempts": _count,
    "BackoffRate": _rate,
    "MaxDelaySeconds": _seconds,
    "JitterStrategy": _one_of("FULL", "NONE"),
}
CATCHER: Final[dict[str, Check]] = {
    "Comment": _TEXT,
    "ErrorEquals": _errors,
    "Next": _TEXT,
    "ResultPath": _path(nullable=True, reference=True),
    "Assign": _TEMPLATE,
}

_OPERAND: Final[dict[str, Check]] = {
    "String": _TEXT,
    "Numeric": _is("number"),
    "Boolean": _BOOLEAN,
    "Timestamp": _instant,
}
RULE: Final[dict[str, Check]] = {
    "Comment": _TEXT,
    "Variable": _path(),
    "And": _full_list,
    "Or": _full_list,
    "Not": _OBJECT,
    "Next": _TEXT,
    "Assign": _TEMPLATE,
    "StringMatches": _TEXT,
    **dict.fromkeys(TESTS, _BOOLEAN),
    **{name: _OPERAND[wanted] for name, (wanted, _) in COMPARISONS.items()},
    **{f"{name}Path": _path() for name in COMPARISONS},
}


def only_one(names: Iterable[str]) -> str:
    return f"may have only one of {_list(names)}"
