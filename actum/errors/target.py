"""What can be wrong with a system, or with code, that takes events from the log."""

from __future__ import annotations

from dataclasses import dataclass

from actum.errors.base import ActumError

__all__ = ["TargetError", "TargetGone", "TargetRefused", "TargetUnavailable"]


class TargetError(ActumError):
    """Something about the system or the code that takes events from the log."""


@dataclass(eq=False)
class TargetUnavailable(TargetError):
    """It cannot take any event now, which says nothing about the event. The same events are given again."""

    target: str
    problem: str
    retry_after_s: float | None = None

    def __str__(self) -> str:
        return f"{self.target}: {self.problem}; the position was left where it was"


@dataclass(eq=False)
class TargetRefused(TargetError):
    """It will never take this event, however often it is given."""

    target: str
    event: str
    problem: str

    def __str__(self) -> str:
        return f"{self.target} refused event {self.event}: {self.problem}"


@dataclass(eq=False)
class TargetGone(TargetError):
    """It wants no more events. Nothing is sent until somebody starts the relay again."""

    target: str
    problem: str

    def __str__(self) -> str:
        return f"{self.target} wants no more events ({self.problem}); the relay has ended where it was"
