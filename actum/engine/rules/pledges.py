"""Whether a budget allows for a step that is about to start, with room kept for those that are under way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from decimal import Decimal
from typing import Any

from actum.engine.rules.budgets import Budget, Estimate, nanousd
from actum.engine.rules.state import Execution, StepState
from actum.engine.rules.usage import Spent
from actum.errors import BudgetExceeded
from actum.events import to_us

__all__ = ["Pledges"]


class Pledges:
    """What is left of the budgets of an execution while steps are about to start, one after the other."""

    def __init__(
        self, state: Execution, at_us: int, again: StepState | None = None, used: Mapping[str, Any] | None = None
    ) -> None:
        """`again` is a step of which an attempt has just failed, having `used` this: another one is no other step."""
        self._state = state
        self._at_us = at_us
        self._steps = sum(step.status != "skipped" for step in state.steps.values()) - (again is not None)
        spent = self._spent = Spent() if state.spent is None else state.spent
        self._reserved = dict(spent.reserved)
        if again is not None and again.reserved is not None:
            for name, amount in again.reserved.items():
                self._reserved[name] -= amount
        if again is not None and used is not None:
            self._spent = copy(spent)
            self._spent.steps = dict(spent.steps)
            self._spent.add(dict(used), again.step, step=True)

    def ask(self, step: str, budget: Budget, estimate: Estimate | None) -> dict[str, int]:
        """What is to be kept for a step, which may start. Raises `BudgetExceeded` when it may not."""
        state = self._state
        if state.kind == "function":  # a graph looks at these where it decides what comes next
            self._check("steps", budget.steps, self._steps, 0, 1, step)
            gone_us = self._at_us - to_us(state.started_at)
            if budget.seconds is not None and gone_us > budget.seconds * 1_000_000:
                raise BudgetExceeded(step, "seconds", f"{budget.seconds:g}", f"{gone_us / 1_000_000:g}")
        self._steps += 1
        if budget.tokens is None and budget.cost_usd is None:
            return {}
        spent, reserved = self._spent, self._reserved
        asked = spent.average(step)
        if estimate is not None:
            asked |= estimate.amounts
        self._check("tokens", budget.tokens, spent.tokens, reserved["tokens"], asked.get("tokens"), step)
        if budget.cost_usd is not None:
            if spent.cost_unknown:
                unknown = f"unknown: {spent.cost_unknown!r} has used tokens and not said what they cost"
                raise BudgetExceeded(step, "dollars", _dollars(nanousd(budget.cost_usd)), unknown)
            limit = nanousd(budget.cost_usd)
            self._check(
                "dollars", limit, spent.cost_nanousd or 0, reserved["cost_nanousd"], asked.get("cost_nanousd"), step
            )
        kept = {name: amount for name, amount in asked.items() if amount}
        for name, amount in kept.items():
            reserved[name] += amount
        return kept

    def _check(self, unit: str, limit: int | None, used: int, reserved: int, asked: int | None, step: str) -> None:
        """`asked` is None when nobody knows: then there must be something left."""
        left = 0 if limit is None else limit - used - reserved
        if limit is None or (left > 0 if asked is None else left >= asked):
            return
        show: Any = _dollars if unit == "dollars" else str
        raise BudgetExceeded(step, unit, show(limit), show(used), show(reserved), show(asked or 0))


def _dollars(amount: int) -> str:
    return f"{Decimal(amount) / 10**9:f}"
