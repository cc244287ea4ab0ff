"""Watching the log for what other processes append to executions that are run, or asleep, here."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from actum.errors import StoreError

if TYPE_CHECKING:
    from actum.engine.runtime.engine import Engine

__all__ = ["Watching"]

log = logging.getLogger("actum.engine")

_POLL_S = 0.05
_FROM_OUTSIDE = (
    "approval.granted",
    "approval.rejected",
    "child.ended",
    "execution.cancel_requested",
    "execution.cancelled",
    "execution.claimed",
    "execution.paused",
    "execution.resumed",
    "input.received",
    "signal.received",
    "step.skipped",
)


class Watching:
    """Looks as long as something runs or waits; `always` goes on when nothing does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.always = False
        self._task: asyncio.Task[None] | None = None
        self._seen = 0
        self._head = 0
        self._versions: dict[str, int] = {}

    def start(self) -> None:
        if self._task is None or self._task.done():
            self._seen = self._head = self._engine.store.head()
            self._task = self._engine.loop.create_task(self._watching())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watching(self) -> None:
        """While something runs or waits: look for what other processes have appended to it."""
        while self._engine.has_any or self.always:
            await asyncio.sleep(_POLL_S)
            try:
                self._look_around()
            except StoreError as exc:  # then the next look sees it
                log.warning("the store could not be read", extra={"error": str(exc)})

    def _look_around(self) -> None:
        """Read what is new, if any execution stands still; one that goes on finds out when it appends.

        Who stood still since the last look may have been written to since its own last append, which is before that
        look and after the one before: so far back is what is new.
        """
        head = self._engine.store.head()
        if head == self._seen:
            return
        self._engine.moved.set()
        before = self._versions
        self._versions = {run.id: run.state.version for run in self._engine.runs}
        still = any(
            run.state.waiting or run.state.open_children or run.state.parent or before.get(run.id) == run.state.version
            for run in self._engine.runs
        )
        if still or self._engine.resting.asleep:
            fresh = self._engine.store.read(self._seen - 1, types=_FROM_OUTSIDE, payloads=False)
            for id_ in dict.fromkeys(event.stream.removeprefix("execution/") for event in fresh):
                self._engine.look_again(id_)
            self._seen = head
        else:
            self._seen = self._head
        self._head = head
