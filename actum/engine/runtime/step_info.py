"""What a running step may know of itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["StepInfo", "current_step", "running"]


class StepInfo(NamedTuple):
    """What a running step may know of itself."""

    execution: str
    key: str
    attempt: int
    services: Mapping[str, Any] = MappingProxyType({})
    """What the engine was given as `services`."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step in this execution: hand it to whatever can recognise a repeat."""
        return sha256(f"{self.execution}\n{self.key}".encode()).hexdigest()[:32]


running: ContextVar[StepInfo | None] = ContextVar("actum_step", default=None)
"""Set by whoever runs a step, in a context that is the step's alone."""


def current_step() -> StepInfo | None:
    """The step that this code runs in; None outside of one."""
    return running.get()
