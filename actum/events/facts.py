"""What all fact models share: strict, closed, and inside the canonical profile."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from actum.events.times import is_instant

__all__ = [
    "AttemptUsed",
    "Attribute",
    "AttributeName",
    "Count",
    "Decimal",
    "Digest",
    "DurationUs",
    "Facts",
    "Instant",
    "Name",
    "PoolName",
    "Reserved",
    "StepFacts",
    "UsedFacts",
]


def _check_instant(text: str) -> str:
    if not is_instant(text):
        raise ValueError("is not UTC text like 2026-11-21T09:14:13.920114Z")
    return text


Name = Annotated[str, Field(min_length=1, max_length=256)]
PoolName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[ -~]+$")]
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


class UsedFacts(Facts):
    """How much was used of models: absent is nothing, or not known. Tokens without a cost are of unknown cost."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_nanousd: Count | None = None


class UsedOf(UsedFacts):
    """The same of one model or one tool."""

    model: Name | None = None
    tool: Name | None = None


class AttemptUsed(UsedFacts):
    used: list[UsedOf] | None = None
    """By model and tool, as the step has reported it; absent when it has reported nothing."""


class Reserved(BaseModel):
    """What is kept of a budget for a step or a child until it ends."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    tokens: Count | None = None
    cost_nanousd: Count | None = None


Outcome = Literal["success", "failure", "timeout"]
