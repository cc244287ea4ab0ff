"""What can happen to a circuit breaker. Stream `breaker/<name>`; its state follows from these events alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from actum.events.facts import Facts, Name

__all__ = ["EVENTS"]


class BreakerOpened(Facts):
    """Too many attempts have failed, or one did while it was half open: nothing goes through for a while."""

    type = "breaker.opened"
    breaker: Name
    failures: Annotated[int, Field(ge=1)]
    """How many it took."""
    error_type: Name | None = None
    """Of the last one."""


class BreakerHalfOpened(Facts):
    """Few attempts at a time go through, to see whether the other side is back."""

    type = "breaker.half_opened"
    breaker: Name


class BreakerClosed(Facts):
    """So many attempts have succeeded since it was half open: everything goes through."""

    type = "breaker.closed"
    breaker: Name
    successes: Annotated[int, Field(ge=1)]


EVENTS: tuple[type[Facts], ...] = (BreakerOpened, BreakerHalfOpened, BreakerClosed)
