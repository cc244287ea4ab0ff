"""Cutting fields out of a JSON payload, and putting them back: by JSON Pointer (RFC 6901), `*` for any key or index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from actum.errors import BadInput

__all__ = ["cut", "join"]


def cut(payload: bytes, pointers: Sequence[str], where: str) -> tuple[bytes, bytes | None]:
    """The payload with null in the place of every field that a pointer meets, and what stood there.

    The second is a JSON object of pointer (without `*`) and value; None when no pointer met anything but null.
    Raises `BadInput`, naming `where`, for a payload that is no JSON, and for a pointer that is none or means all of it.
    """
    try:
        value = orjson.loads(payload)
    except ValueError as exc:
        raise BadInput(f"{where}: personal fields can be cut out of JSON only ({exc}); nothing was written") from None
    found: dict[str, Any] = {}
    for pointer in pointers:
        if not isinstance(pointer, str) or not pointer.startswith("/"):
            raise BadInput(
                f"{where}: {pointer!r} is no JSON Pointer to a field, like /customer/name; nothing was written"
            )
        _cut(value, pointer.split("/")[1:], "", found)
    if not found:
        return payload, None
    return orjson.dumps(value), orjson.dumps(found)


def _cut(value: Any, path: list[str], at: str, found: dict[str, Any]) -> None:
    step, rest = path[0], path[1:]
    for name, key in _members(value, step):
        here = f"{at}/{name}"
        if rest:
            _cut(value[key], rest, here, found)
        elif value[key] is not None:
            found[here] = value[key]
            value[key] = None


def _members(value: Any, step: str) -> list[tuple[str, Any]]:
    """What a step of a pointer meets in a value: escaped name, and key or index."""
    if isinstance(value, dict):
        keys = list(value) if step == "*" else [_plain(step)]
        return [(_escaped(key), key) for key in keys if key in value]
    if isinstance(value, list):
        if step == "*":
            return [(str(index), index) for index in range(len(value))]
        if step.isascii() and step.isdigit() and str(int(step)) == step and int(step) < len(value):
            return [(step, int(step))]
    return []


def join(payload: bytes, fields: bytes) -> bytes:
    """The payload with the fields where they stood: equal JSON, written without spaces."""
    value = orjson.loads(payload)
    # A field of a field was cut out of it before it was cut out itself, or after: the shorter pointer first.
    for pointer, field in sorted(orjson.loads(fields).items(), key=lambda item: item[0].count("/")):
        *path, last = pointer.split("/")[1:]
        holder = value
        for step in path:
            holder = holder[_key(holder, step)]
        holder[_key(holder, last)] = field
    return orjson.dumps(value)


def _key(holder: Any, step: str) -> Any:
    return int(step) if isinstance(holder, list) else _plain(step)


def _plain(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
