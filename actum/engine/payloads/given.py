"""Whether a step is asked for with the arguments that are recorded of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from actum.engine.payloads.codec import encode_arguments
from actum.engine.rules.calls import Call
from actum.engine.rules.keys import key_of
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.events import RecordedEvent

__all__ = ["changed", "given_to_steps"]

_SHOWN = 80


def given_to_steps(events: Iterable[RecordedEvent]) -> dict[str, bytes | None]:
    """By key: the recorded arguments of each step, None when it took none. What cannot be told is left out.

    That is what was erased, and what was refused before it could be recorded.
    """
    given: dict[str, bytes | None] = {}
    seen: set[str] = set()
    last = ""
    for event in events:
        type_ = event.type
        if type_ == "step.started" or type_ == "step.scheduled":
            last = key_of(event.facts, "step")
            if last not in seen:  # its first event has the payload
                seen.add(last)
                if event.payload is not None or "payload" not in event.head:
                    given[last] = event.payload
        elif type_ == "step.failed" and event.facts["error_type"] == "UnrecordableInput":
            given.pop(last, None)
    return given


def changed(call: Call, recorded: bytes | None) -> tuple[str, str, str] | None:
    """Where the arguments first differ from the recorded ones, and both values there; None when they are the same."""
    try:
        asked = encode_arguments(call.args, call.kwargs, 1 << 62)
    except BadInput:
        asked = b'"what cannot be recorded"'
    if asked == recorded:
        return None
    before: Any = {} if recorded is None else orjson.loads(recorded)
    now: Any = {} if asked is None else orjson.loads(asked)
    return _difference(before, now)


def _difference(before: Any, now: Any) -> tuple[str, str, str] | None:
    if before == now:  # the same in another order
        return None
    if not isinstance(now, Mapping):
        return "arguments", _short(before), str(now)
    old, new = before.get("args", []), now.get("args", [])
    for index in range(max(len(old), len(new))):
        if old[index : index + 1] != new[index : index + 1]:
            return f"args[{index}]", _at(old, index), _at(new, index)
    was, is_ = before.get("kwargs", {}), now.get("kwargs", {})
    name = next(name for name in (*was, *is_) if name not in was or name not in is_ or was[name] != is_[name])
    return f"argument {name}", _of(was, name), _of(is_, name)


def _at(values: list[Any], index: int) -> str:
    return _short(values[index]) if index < len(values) else "none"


def _of(values: dict[str, Any], name: str) -> str:
    return _short(values[name]) if name in values else "none"


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"
