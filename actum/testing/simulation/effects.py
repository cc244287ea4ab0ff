"""What the code of steps does to the world outside, written down as it happens, and what may become of an attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from actum.engine import StepInfo
from actum.engine.runtime.around import Call, Middleware
from actum.testing.simulation.storm import Storm
from actum.testing.simulation.weather import Luck

__all__ = ["LONG_S", "Effect", "Effects", "GivesUp", "Planned"]

LONG_S = 500.0
"""What hangs takes so long."""


class Planned(Exception):
    """The failure of an attempt that its luck asked for."""


class GivesUp(Planned, TypeError):
    """The same, as an error that is not tried again unless a retry says so."""


@dataclass
class Effect:
    """One attempt of a step, or of a compensation (its key ends in `/undo`), as the world outside saw it."""

    execution: str
    key: str
    attempt: int
    worker: str
    known: int
    """How many events were durable when it began."""
    done: bool = False
    """Whether it came to its end; if not, it may have had its effect all the same."""


class Effects:
    """Everything that steps have done in one simulation, in order. `around` makes the middleware of one worker."""

    def __init__(self, storm: Storm, luck: Luck | None) -> None:
        self.all: list[Effect] = []
        self._storm = storm
        self._luck = luck

    def happened(self, key: str, attempt: int, execution: str | None = None) -> bool:
        """Whether this attempt came to its end, as a hook would find out that looks outside."""
        return any(
            one.done
            for one in self.all
            if (one.key, one.attempt) == (key, attempt) and execution in (None, one.execution)
        )

    def around(self, worker: str) -> Middleware:
        async def recorded(info: StepInfo, call: Call) -> Any:
            effect = Effect(info.execution, info.key, info.attempt, worker, self._storm.calm.head())
            self.all.append(effect)
            value = await self._attempt(info, call)
            effect.done = True
            return value

        return recorded

    def _attempt(self, info: StepInfo, call: Call) -> Awaitable[Any]:
        return call() if self._luck is None else self._with_luck(self._luck, info, call)

    async def _with_luck(self, luck: Luck, info: StepInfo, call: Callable[[], Awaitable[Any]]) -> Any:
        failures = self._failures(info)
        await asyncio.sleep(luck.takes_s(info.key, failures))
        match luck.outcome(info.key, failures):
            case "fails":
                raise Planned(info.key)
            case "gives up":
                raise GivesUp(info.key)
            case "hangs":
                await asyncio.sleep(LONG_S)
        return await call()

    def _failures(self, info: StepInfo) -> int:
        state = self._storm.state(info.execution)
        one = state.steps.get(info.key.removesuffix("/undo"))
        if one is None:
            return 0
        return one.undo_failures if info.key.endswith("/undo") else one.failures
