"""Sees when the event loop stands still, and says which step, or which line, holds it up.

A step that computes for long, or waits with a blocking call, keeps all other executions of its process from going on.
A thread beside the loop asks it for a sign of life now and then; nothing is added to what a step costs.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

__all__ = ["Watchdog"]

log = logging.getLogger("actum.engine")


class Watchdog:
    """Warns once for each time that the loop has not turned for `after_s`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, after_s: float) -> None:
        self._loop = loop
        self._after_s = after_s
        self._loop_thread = threading.get_ident()
        self._alive = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="actum-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._after_s / 4):
            self._alive.clear()
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._alive.set)
            except RuntimeError:  # the loop is gone
                return
            if self._alive.wait(self._after_s) or self._stopped.is_set():
                continue
            said = self._who()
            while not (self._alive.wait(0.05) or self._stopped.is_set()):
                pass
            log.warning("the event loop stood still", extra={**said, "seconds": round(time.monotonic() - asked, 1)})

    def _who(self) -> dict[str, str]:
        """The step whose code runs in the loop's thread at this moment, if one does, and the line."""
        frame: FrameType | None = sys._current_frames().get(self._loop_thread)
        if frame is None:
            return {}
        said = {"at": f"{frame.f_code.co_filename}:{frame.f_lineno}"}
        while frame is not None:
            if frame.f_code.co_name == "carry_out" and "info" in frame.f_locals:
                info = frame.f_locals["info"]
                return {**said, "execution": info.execution, "step": info.key}
            frame = frame.f_back
        return said
