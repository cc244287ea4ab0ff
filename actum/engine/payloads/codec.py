"""Values to payload bytes and back. What a workflow sees is always what was recorded, live as on replay."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from actum.engine.rules.calls import Approval
from actum.errors import BadInput
from actum.events import PAYLOAD_LIMIT_BYTES

__all__ = ["Checked", "checker_for", "decoder_for", "encode", "encode_arguments", "encode_question", "why"]

Checked = Callable[[Any], Any]
"""Makes a JSON value into what is declared; raises `ValueError` when it does not fit."""

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


_KINDS: Final[dict[Any, tuple[tuple[type, ...], str]]] = {
    None: ((type(None),), "null"),
    type(None): ((type(None),), "null"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
    list: ((list,), "a list"),
    dict: ((dict,), "an object"),
}


def checker_for(annotation: Any) -> Checked | None:
    """How to hold a JSON value against an annotation, plain types too; None when anything fits."""
    origin = typing.get_origin(annotation) or annotation
    convert = decoder_for(annotation)
    if convert is not None:
        return convert
    if not isinstance(origin, type) and origin is not None:
        return None
    kinds = _KINDS.get(origin)
    if kinds is None:
        return None
    types, wanted = kinds

    def check(value: Any) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"should be {wanted}, not {_short(value)}")
        return value

    return check


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def why(error: ValueError) -> str:
    """What does not fit, and where: `total: Input should be a valid integer`, the first thing that is wrong."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    found = errors()
    field = ".".join(map(str, found[0]["loc"]))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{field}: {found[0]['msg']}{more}" if field else f"{found[0]['msg']}{more}"
