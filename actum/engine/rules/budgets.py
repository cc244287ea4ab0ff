"""Budgets: what may be spent, and what a step is expected to."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from actum.errors import BadInput

__all__ = ["Budget", "Estimate", "nanousd"]

_LIMITS = ("steps", "seconds", "tokens", "cost_usd")


def nanousd(dollars: float | str | Decimal) -> int:
    """Dollars in whole nano-dollars. Raises `BadInput` for what is no amount of at least 0."""
    try:
        amount = Decimal(str(dollars))
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(dollars, bool) or not amount.is_finite() or not 0 <= amount < 1_000_000:
        raise BadInput(f"an amount is a number of dollars from 0 to a million, not {dollars!r}")
    return round(amount * 10**9)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent: looked at before a step starts. Over it, that step fails with `BudgetExceeded`.

    `steps` is how many steps were started, `seconds` the time since the execution was. `tokens` and `cost_usd` are what
    steps have reported, with what children had used when they ended. What is under way goes on to its end, so that the
    time may be overrun by one step; of tokens and cost, what steps under way are expected to use is kept for them.

    Of several budgets, each limit of the nearest counts: that of the step, then that of the workflow.
    """

    steps: int | None = None
    seconds: float | None = None
    tokens: int | None = None
    cost_usd: float | str | Decimal | None = None

    def checked(self, whose: str) -> Budget:
        """Itself. Raises `BadInput` for a limit that is none, and for a budget without any."""
        problem = self.problem()
        if problem is not None:
            raise BadInput(f"the budget of {whose}: {' '.join(problem).strip()}")
        return self

    def problem(self) -> tuple[str, str] | None:
        """Which limit is none, and why; an empty name when there is no limit at all."""
        if all(getattr(self, name) is None for name in _LIMITS):
            return "", f"limits nothing; give it {', '.join(_LIMITS[:-1])} or {_LIMITS[-1]}"
        for name, least in (("steps", 1), ("tokens", 0)):
            limit = getattr(self, name)
            if limit is not None and (type(limit) is not int or limit < least):
                return name, f"is a whole number of at least {least}, not {limit!r}"
        seconds = self.seconds
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0):
            return "seconds", f"is a number of at least 0, not {seconds!r}"
        if self.cost_usd is not None:
            try:
                nanousd(self.cost_usd)
            except BadInput as exc:
                return "cost_usd", str(exc)
        return None

    @property
    def estimate(self) -> Estimate | None:
        """The most that whoever has this budget will spend; None when it may be anything."""
        if self.tokens is None and self.cost_usd is None:
            return None
        return Estimate(self.tokens, self.cost_usd)

    def over(self, other: Budget | None) -> Budget:
        """Of each limit this one's; where it has none, the other's."""
        if other is None:
            return self
        return Budget(*(mine if (mine := getattr(self, n)) is not None else getattr(other, n) for n in _LIMITS))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one attempt of a step will use, at most or about: so much is kept for it while it is under way.

    0 is nothing; None is not known, and then it is what the step has used on average so far.
    """

    tokens: int | None = None
    cost_usd: float | str | Decimal | None = None

    def checked(self, whose: str) -> Estimate:
        """Itself. Raises `BadInput` for what is no amount."""
        if self.tokens is not None and (type(self.tokens) is not int or self.tokens < 0):
            raise BadInput(f"the estimate of {whose}: tokens is a whole number of at least 0, not {self.tokens!r}")
        if self.cost_usd is not None:
            nanousd(self.cost_usd)
        return self

    @property
    def amounts(self) -> dict[str, int]:
        """What is known of it."""
        known = {} if self.tokens is None else {"tokens": self.tokens}
        return known if self.cost_usd is None else {**known, "cost_nanousd": nanousd(self.cost_usd)}
