"""What all fact models share: strict, closed, and inside the canonical profile."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from actum.events.times import is_instant

__all__ = [
    "Attribute",
    "AttributeName",
    "Count",
    "Decimal",
    "Digest",
    "DurationUs",
    "Facts",
    "Instant",
    "Name",
    "StepFacts",
]


def _check_instant(text: str) -> str:
    if not is_instant(text):
        raise ValueError("is not UTC text like 2026-11-21T09:14:13.920114Z")
    return text


Name = Annotated[str, Field(min_length=1, max_length=256)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
DurationUs = Annotated[int, Field(ge=0, lt=2**53, description="microseconds")]
Instant = Annotated[str, AfterValidator(_check_instant)]
Digest = Annotated[str, Field(pattern=r"^[a-z0-9-]+:[0-9a-f]+$")]
AttributeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
Attribute = Annotated[str, Field(max_length=256)] | Annotated[int, Field(gt=-(2**53), lt=2**53)] | bool
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="a decimal number as text")]


class Facts(BaseModel):
    """The facts of one event type. Names and numbers only, never personal."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    type: ClassVar[str]


class StepFacts(Facts):
    """Which step of the execution: `scope` is the branch it runs in (absent at the top), `occurrence` counts from 0."""

    step: Name
    occurrence: Count
    scope: Name | None = None
    attempt: Annotated[int, Field(ge=1)] = 1
    tool: Name | None = None
    """The step is one call of this tool: its attempts count as tool calls."""


Outcome = Literal["success", "failure", "timeout"]
