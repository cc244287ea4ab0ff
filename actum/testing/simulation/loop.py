"""An event loop in virtual time: nothing waits, hours take no time, and a seed decides what chance would."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any, TypeVar

__all__ = ["Stuck", "VirtualLoop", "virtually"]

T = TypeVar("T")
_HAIR_S = 1e-9
"""Timers that are due within this much of each other are due at the same instant."""


class Stuck(AssertionError):
    """Everything waits, and nothing will ever happen."""


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for a time-out it moves the clock on by it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout is not None else 5)
        if timeout is None and not ready:
            raise Stuck("everything waits, and nothing will ever happen")
        if timeout is not None and timeout > 0 and not ready:
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while there is anything to do, and then jumps to the next timer.

    What is due at the same instant comes in an order that the seed draws; without a seed, in the order in which it was
    asked for. For code that waits for timers and for other code only: threads and sockets know nothing of this time.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.now = 0.0
        self._order = None if seed is None else Random(f"order {seed}")
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def call_at(  # type: ignore[override]  # as the base class, which types it with a TypeVarTuple
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if self._order is not None:
            when += self._order.random() * _HAIR_S
        return super().call_at(when, callback, *args, context=context)

    def jump_to(self, when: float) -> None:
        """Let time pass at once, as for a process that was suspended: what was due meanwhile is late."""
        self.now = max(self.now, when)


def virtually(main: Coroutine[Any, Any, T], *, seed: int | None = None) -> T:
    """Run in virtual time; everything comes in the same order every time. Raises `Stuck` instead of hanging."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        return runner.run(main)
