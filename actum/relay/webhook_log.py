"""One attempt to deliver to a webhook, as the delivery log keeps it."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Delivered", "Outcome"]

Outcome = Literal["delivered", "unavailable", "failed", "refused", "gone"]


class Delivered(NamedTuple):
    """What happened to one request. `status` is None when there was no answer; `problem` is "" when there is none."""

    event: str
    position: int
    at_us: int
    attempt: int
    outcome: Outcome
    status: int | None
    duration_us: int
    problem: str
