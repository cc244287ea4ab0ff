"""Values to payload bytes and back. What a workflow sees is always what was recorded, live as on replay."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from actum.engine.calls import Approval
from actum.errors import BadInput
from actum.events import PAYLOAD_LIMIT_BYTES

__all__ = ["decoder_for", "encode", "encode_arguments", "encode_question"]

_PLAIN = (None, type(None), bool, int, float, str, list, dict, Any, object)


def encode(value: Any, what: str, limit_bytes: int = PAYLOAD_LIMIT_BYTES) -> bytes:
    """The JSON bytes of a value: plain JSON, dataclasses, pydantic models, enums, dates and UUIDs.

    Raises `BadInput`, naming `what`, for anything else and for more bytes than the limit: what the store takes.
    """
    try:
        data = orjson.dumps(value, default=_model)
    except (TypeError, orjson.JSONEncodeError) as exc:
        raise BadInput(f"{what} cannot be recorded as JSON: {exc}") from None
    if len(data) > limit_bytes:
        raise BadInput(
            f"{what} is {len(data):,} bytes, over the limit of {limit_bytes:,}; "
            "store it elsewhere and return a reference"
        )
    return data


def _model(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"type is not JSON serializable: {type(value).__qualname__}")


def encode_arguments(
    args: tuple[Any, ...], kwargs: Mapping[str, Any] | None, limit_bytes: int = PAYLOAD_LIMIT_BYTES
) -> bytes | None:
    """The payload of a step's start; None when it takes no arguments."""
    if not args and not kwargs:
        return None
    value: dict[str, Any] = {}
    if args:
        value["args"] = args
    if kwargs:
        value["kwargs"] = kwargs
    return encode(value, "the step's input", limit_bytes)


def encode_question(approval: Approval) -> bytes:
    """The payload of a question: exactly what people are shown, and what their decision is bound to."""
    return encode({"title": approval.title, "context": approval.context}, f"what approval {approval.name!r} shows")


@lru_cache(maxsize=4096)
def _adapter(annotation: Any) -> Callable[[Any], Any] | None:
    from pydantic import TypeAdapter  # only for typed values: plain ones must not pay for the import
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(annotation).validate_python
    except PydanticUserError:  # no type that JSON could be made into
        return None


def decoder_for(annotation: Any) -> Callable[[Any], Any] | None:
    """How to make a plain JSON value into what the annotation says; None when it is that already.

    Dataclasses and pydantic models are validated; plain JSON types, annotations that cannot be resolved and types
    that pydantic does not know are left as they are.
    """
    if annotation in _PLAIN or isinstance(annotation, (str, typing.TypeVar)):
        return None
    origin = typing.get_origin(annotation)
    if origin in (list, dict) and all(a in _PLAIN for a in typing.get_args(annotation)):
        return None
    return _adapter(annotation)
