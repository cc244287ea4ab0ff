"""Values to payload bytes and back: what a workflow sees is what was recorded."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel, ValidationError

from actum.engine.payloads.codec import decoder_for, encode, encode_arguments, encode_question
from actum.engine.rules.calls import Approval
from actum.errors import BadInput
from actum.events import PAYLOAD_LIMIT_BYTES


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Item:
    name: str
    price: int = 0


class Order(BaseModel):
    items: list[Item]
    at: datetime
    colour: Colour


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORDER = Order(items=[Item("tea", 3)], at=NOON, colour=Colour.RED)


def back(value: Any, annotation: Any) -> Any:
    """Record a value, and read it as what the annotation says."""
    decode = decoder_for(annotation)
    read = orjson.loads(encode(value, "it"))
    return read if decode is None else decode(read)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (None, None),
        (True, bool),
        (7, int),
        (1.5, float),
        ("ä\x00\u2028", str),
        ([1, "a", None], list[Any]),
        ({"a": [1]}, dict[str, Any]),
        (Item("tea"), Item),
        ([Item("tea"), Item("cup", 2)], list[Item]),
        ({"x": Item("tea")}, dict[str, Item]),
        (ORDER, Order),
        (Colour.RED, Colour),
        (NOON, datetime),
        (UUID(int=7), UUID),
        ((1, "a"), tuple[int, str]),
        pytest.param({"b", "a"}, set[str], id="set"),
        (None, Item | None),
    ],
    ids=repr,
)
def test_a_typed_value_comes_back_as_itself(value: Any, annotation: Any) -> None:
    """Plain JSON, dataclasses, models, enums, dates and UUIDs survive being recorded."""
    assert back(value, annotation) == value
    assert type(back(value, annotation)) is type(value)


@pytest.mark.parametrize(
    "annotation", [Any, object, None, int, str, dict, list[int], dict[str, Any], "Unknown"], ids=repr
)
def test_plain_json_is_not_touched(annotation: Any) -> None:
    """Where the annotation says nothing that JSON does not, there is nothing to convert, and nothing to pay."""
    assert decoder_for(annotation) is None


def test_a_type_that_json_cannot_become_is_left_alone() -> None:
    """An annotation that pydantic cannot read is no reason for the workflow to fail."""

    class Odd:
        pass

    assert decoder_for(Odd) is None


def test_a_value_that_does_not_fit_is_an_error() -> None:
    """A typed result is validated; what does not fit is not passed on as something else."""
    decode = decoder_for(Item)
    assert decode is not None

    with pytest.raises(ValidationError):
        decode({"name": 7})


class Loop:
    def model_dump(self, mode: str) -> Any:
        raise ValueError("cannot be dumped")


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", {1: 2}, {"a": {1, "x"}}, "\ud800", 2**64, Item, Order, Loop(), [1, [object()]]],
    ids=["object", "bytes", "key", "mixed set", "surrogate", "big", "class", "model class", "broken", "deep"],
)
def test_what_is_no_json_is_refused_by_name(value: Any) -> None:
    """The error says what could not be recorded, so that whoever reads it knows where to look."""
    with pytest.raises(BadInput, match="the result of step 'charge' cannot be recorded"):
        encode(value, "the result of step 'charge'")


def test_a_value_that_holds_itself_is_refused() -> None:
    """A loop ends with an error."""
    value: list[Any] = []
    value.append(value)

    with pytest.raises(BadInput):
        encode(value, "it")


def test_a_value_may_be_exactly_as_large_as_a_payload() -> None:
    """At the limit it is recorded; one byte over it is refused, with both sizes."""
    fits = "x" * (PAYLOAD_LIMIT_BYTES - 2)

    assert len(encode(fits, "it")) == PAYLOAD_LIMIT_BYTES
    with pytest.raises(BadInput, match="it is 262,145 bytes, over the limit of 262,144"):
        encode(fits + "x", "it")


def test_arguments_are_recorded_as_they_were_given() -> None:
    """Positional and named ones apart; none at all as nothing."""
    assert encode_arguments((1, Item("tea")), {"n": 2}) == b'{"args":[1,{"name":"tea","price":0}],"kwargs":{"n":2}}'
    assert encode_arguments((1,), None) == b'{"args":[1]}'
    assert encode_arguments((), None) is None


def test_a_question_is_its_title_and_context() -> None:
    """Exactly what people are shown, models and dates included."""
    shown = orjson.loads(encode_question(Approval("Really?", context=ORDER)))

    assert shown == {"title": "Really?", "context": orjson.loads(ORDER.model_dump_json())}
