"""What the events of an execution make of what it has used, and of what is reserved."""

from __future__ import annotations

from typing import Any, Final

from actum.engine.rules.parts import ChildState, StepState
from actum.engine.rules.state import Execution
from actum.engine.rules.usage import Spent

__all__ = ["USED", "count_used", "release", "reserve", "spent_of"]


USED: Final = frozenset({"input_tokens", "output_tokens", "cost_nanousd"})
"""Facts that say how much was used."""


def spent_of(state: Execution) -> Spent:
    if state.spent is None:
        state.spent = Spent()
    return state.spent


def reserve(state: Execution, who: StepState | ChildState, asked: dict[str, int]) -> None:
    who.reserved = asked
    spent_of(state).reserve(asked)


def release(state: Execution, who: StepState | ChildState) -> None:
    """It has ended: what was kept for it is kept no longer."""
    if who.reserved is not None:
        spent_of(state).reserve(who.reserved, -1)
        who.reserved = None


def count_used(state: Execution, facts: dict[str, Any], who: str, *, step: bool = False) -> None:
    spent_of(state).add(facts, who, step=step)
