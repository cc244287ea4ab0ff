"""JSON from outside, held against the shape that a format promises."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from actum.evidence.importers.source import Source

__all__ = ["Shape", "checked", "json_of"]


class Shape(BaseModel):
    """What must be there, and of which type. Fields nobody asked about are let through."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


AnyShape = TypeVar("AnyShape", bound=Shape)


def json_of(source: Source) -> Any:
    """The JSON value that the file is. Raises `ImportRefused` with line and column when it is not whole JSON."""
    try:
        return orjson.loads(source.read().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as exc:
        raise source.refusal(
            f"line {exc.lineno}, column {exc.colno}", f"is not JSON, or was cut off here ({exc.msg})"
        ) from None


def checked(shape: type[AnyShape], value: Any, source: Source, path: str) -> AnyShape:
    """The value as that shape. Raises `ImportRefused` with the JSON path of the first field that does not fit."""
    try:
        return shape.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        got = "" if first["type"] == "missing" else f", but is {_brief(first['input'])}"
        raise source.refusal(where, f"{first['msg']}{got}") from None


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
