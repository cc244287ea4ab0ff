"""Watching the log for what other processes append to executions that are run, or asleep, here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from actum.errors import StoreError

if TYPE_CHECKING:
    from actum.engine.runtime.engine import Engine

__all__ = ["Watching"]

log = logging.getLogger("actum.engine")

_POLL_S = 0.05
_AWAKE = 20
"""Looks without anything new, after which they become fewer."""
_LONGEST_S = 5.0
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
    """Looks as long as something runs or waits; `always` goes on when nothing does.

    When nothing happens it looks ever less often, and has the store wake it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.always = False
        self._task: asyncio.Task[None] | None = None
        self._seen = 0
        self._head = 0
        self._versions: dict[str, int] = {}
        self._quiet = 0
        """Looks since the log has grown."""
        self._grown = False
        self._dozing = False
        self._woken = asyncio.Event()
        self._unlisten: Callable[[], None] | None = None

    def start(self) -> None:
        if self._task is None or self._task.done():
            self._seen = self._head = self._engine.store.head()
            self._task = self._engine.loop.create_task(self._watching())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watching(self) -> None:
        """While something runs or waits: look for what other processes have appended to it."""
        try:
            while self._engine.has_any or self.always:
                await self._doze()
                self._grown = False
                try:
                    busy = self._look_around() or any(run.committing for run in self._engine.runs)
                    self._quiet = 0 if busy else self._quiet + 1
                except StoreError as exc:  # then the next look sees it
                    log.warning("the store could not be read", extra={"error": str(exc)})
        finally:
            if self._unlisten is not None:
                self._unlisten()
                self._unlisten = None

    async def _doze(self) -> None:
        """Until the next look: soon while things happen, else when the store says that something has."""
        if self._quiet < _AWAKE:
            await asyncio.sleep(_POLL_S)
            return
        if self._unlisten is None:
            self._unlisten = self._engine.store.listen(self._listened)
        self._woken.clear()
        self._dozing = True
        try:
            if not self._grown:
                async with asyncio.timeout(min(_POLL_S * 2 ** min(self._quiet - _AWAKE, 10), _LONGEST_S)):
                    await self._woken.wait()
        except TimeoutError:
            pass
        finally:
            self._dozing = False

    def _listened(self) -> None:
        """Called in any thread."""
        self._grown = True
        if self._dozing:
            with suppress(RuntimeError):  # the loop is gone, and nobody is left to be told
                self._engine.loop.call_soon_threadsafe(self._woken.set)

    def _look_around(self) -> bool:
        """Read what is new, if any execution stands still; one that goes on finds out when it appends.

        Who stood still since the last look may have been written to since its own last append, which is before that
        look and after the one before: so far back is what is new. Returns whether the log has grown.
        """
        head = self._engine.store.head()
        if head == self._seen:
            return False
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
        return True
