"""What a running step may know of itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple

from actum.engine.rules.usage import Used

__all__ = ["StepInfo", "current_step", "running"]


class StepInfo(NamedTuple):
    """What a running step may know of itself."""

    execution: str
    key: str
    attempt: int
    services: Mapping[str, Any] = MappingProxyType({})
    """What the engine was given as `services`."""
    reported: list[Used] | None = None
    """What the step has reported so far; None where nobody counts it."""

    def used(
        self,
        *,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        cost_nanousd: int | None = None,
        model: str | None = None,
        tool: str | None = None,
    ) -> None:
        """Report what this attempt has used of a model or a tool; as often as it uses any.

        It is recorded with the end of the attempt, whether it succeeds or fails, counts against budgets, and is what
        `actum metrics` knows of tokens and cost. Tokens without a cost are of unknown cost. Raises `BadInput` for what
        is no amount; then nothing was counted.
        """
        report = Used(tokens_in, tokens_out, cost_nanousd, model, tool).checked()
        if self.reported is not None:
            self.reported.append(report)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step in this execution: hand it to whatever can recognise a repeat."""
        return sha256(f"{self.execution}\n{self.key}".encode()).hexdigest()[:32]


running: ContextVar[StepInfo | None] = ContextVar("actum_step", default=None)
"""Set by whoever runs a step, in a context that is the step's alone."""


def current_step() -> StepInfo | None:
    """The step that this code runs in; None outside of one."""
    return running.get()
