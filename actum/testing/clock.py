"""A clock that moves when it is told to, and never by itself."""

from __future__ import annotations

from actum.events import to_text

__all__ = ["NOON_US", "ManualClock"]

NOON_US = 1_795_262_400_000_000
"""2026-11-21T12:00:00Z in microseconds since the epoch: when tests begin."""


class ManualClock:
    """Called, it gives the instant in microseconds since the epoch: the same one until it is moved.

    With `step_us` every call moves it on by that much, after answering.
    """

    def __init__(self, now_us: int = NOON_US, *, step_us: int = 0) -> None:
        self.now_us = now_us
        self.step_us = step_us

    def __call__(self) -> int:
        now = self.now_us
        self.now_us += self.step_us
        return now

    def move_s(self, seconds: float) -> None:
        """Move on; by a negative number it is set back, as real clocks are."""
        self.now_us += round(seconds * 1_000_000)

    def text(self) -> str:
        """The instant as it stands in an event. Reading it does not move the clock."""
        return to_text(self.now_us)
