"""How long at least one attempt of an execution was running, as its events say."""

from __future__ import annotations

from actum.engine.rules.state import Execution
from actum.events import to_us

__all__ = ["begin_work", "end_work"]


def begin_work(state: Execution, at: str) -> None:
    if state.busy == 0:
        state.busy_since_us = to_us(at)
    state.busy += 1


def end_work(state: Execution, at: str) -> None:
    if state.busy > 0:
        state.busy -= 1
        if state.busy == 0:
            state.active_us += max(0, to_us(at) - state.busy_since_us)
