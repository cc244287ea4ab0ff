"""The engine's world under control: its clock, its chance and its ids follow from the loop and from a seed."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from actum.engine import Engine, Executor, Job
from actum.engine.runtime.ports import World
from actum.events import uuid7, uuid7s
from actum.eventstore import EventStore
from actum.testing.clock import NOON_US

__all__ = ["Inline", "VirtualWorld", "virtual_engine"]


class VirtualWorld(World):
    """The clock of a virtual loop, from noon on. Without a seed, jitter is always half, and ids are new every time.

    `ahead_s` is how far this clock is ahead of the loop's: changing it is a clock that jumps, back too.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.ahead_s = 0.0
        self._random = None if seed is None else Random(f"world {seed}")

    def now_us(self) -> int:
        return NOON_US + round((asyncio.get_running_loop().time() + self.ahead_s) * 1_000_000)

    def chance(self) -> float:
        return 0.5 if self._random is None else self._random.random()

    def new_id(self) -> str:
        if self._random is None:
            return super().new_id()
        return uuid7(self.now_us(), self._random.getrandbits(62))

    def new_ids(self, count: int) -> list[str]:
        if self._random is None:
            return super().new_ids(count)
        return uuid7s(self.now_us(), [self._random.getrandbits(62) for _ in range(count)])


class Inline(Executor):
    """Runs plain functions where they are called: in virtual time there are no threads and no other processes."""

    def check(self, run: Any) -> None: ...

    async def run(self, job: Job) -> Any:
        value = job.run(*job.args, **job.kwargs)
        return await value if asyncio.iscoroutine(value) else value

    def close(self) -> None: ...


def virtual_engine(store: EventStore, *, world: World | None = None, **more: Any) -> Engine:
    """An engine in virtual time. Plain steps run in its loop, unless `executors` says otherwise."""
    more.setdefault("executors", {"threads": Inline(), "process": Inline(), "ray": Inline()})
    return Engine(store, world=world or VirtualWorld(), blocked_after_s=None, **more)
