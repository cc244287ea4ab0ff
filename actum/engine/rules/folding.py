"""The fold: what each event makes of the state of its execution. It needs none of the user's code and never refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Final

from actum.engine.rules.fold_life import LIFE
from actum.engine.rules.fold_steps import STEPS
from actum.engine.rules.fold_waits import WAITS, show_children
from actum.engine.rules.state import Event, Execution
from actum.events import RecordedEvent

__all__ = ["evolve", "fold"]


def fold(id_: str, events: list[RecordedEvent]) -> Execution:
    """The state after these events, which are a stream from its beginning."""
    return reduce(evolve, events, Execution(id_))


def evolve(state: Execution, event: Event) -> Execution:
    """The state one event later. What is recorded has happened: nothing is refused, unknown things change nothing."""
    handler = _HANDLERS.get(event.type)
    if handler is not None:
        handler(state, event)
        if state.child_shown and event.type != "child.ended":
            show_children(state)
    state.version += 1
    return state


_HANDLERS: Final[dict[str, Callable[[Execution, Event], None]]] = {**LIFE, **STEPS, **WAITS}
