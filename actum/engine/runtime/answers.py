"""The store's answers to appends, brought from the writer's thread into the event loop."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from actum.engine.runtime.run import Run
    from actum.eventstore import Appended

__all__ = ["Answers"]

log = logging.getLogger("actum.engine")


class Answers:
    """One wake-up of the loop serves many answers."""

    def __init__(self, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Run, Appended | Exception]] = deque()
        self._posted = False
        self._lock = threading.Lock()

    def post(self, run: Run, answer: Appended | Exception) -> None:
        """Called from any thread."""
        with self._lock:
            self._waiting.append((run, answer))
            if self._posted:
                return
            self._posted = True
        try:
            self._loop().call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is gone: the log has it, nobody here is left to be told
            return

    def _deliver(self) -> None:
        with self._lock:
            answers = list(self._waiting)
            self._waiting.clear()
            self._posted = False
        for run, answer in answers:
            try:
                run.recorded(answer)
            except Exception as exc:
                log.exception("an execution was let go", extra={"execution": run.id})
                run.drop(exc)  # whatever is wrong with one, the others get their answers
