"""What steps use of models and tools: tokens, and cost in whole nano-dollars. Pure.

Nobody has to report anything, and what reports nothing has used nothing. Who reports tokens and no cost has used
something of unknown cost: then the cost of the whole is unknown, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from actum.errors import BadInput

__all__ = ["Spent", "Used", "spent_facts", "used_facts"]

_MOST = 2**53
_KINDS = 32
"""Pairs of model and tool that one attempt names at most; more would not fit its event."""


class Used(NamedTuple):
    """One report of a step. None is not reported."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_nanousd: int | None = None
    model: str | None = None
    tool: str | None = None

    def checked(self) -> Used:
        """Itself. Raises `BadInput` for what is no amount, for no name, and for what reports nothing."""
        for name in ("tokens_in", "tokens_out", "cost_nanousd"):
            amount = getattr(self, name)
            if amount is not None and (type(amount) is not int or not 0 <= amount < _MOST):
                raise BadInput(f"{name} is a whole number of at least 0, not {amount!r}; nothing was counted")
        for name in ("model", "tool"):
            said = getattr(self, name)
            if said is not None and not (isinstance(said, str) and 0 < len(said) <= 200 and said.isprintable()):
                raise BadInput(f"the name of a {name} is 1 to 200 printable characters, not {said!r}")
        if self == Used():
            raise BadInput("a report of use says at least one of tokens_in, tokens_out, cost_nanousd, model and tool")
        return self

    @property
    def facts(self) -> dict[str, Any]:
        names = ("input_tokens", "output_tokens", "cost_nanousd", "model", "tool")
        return {name: said for name, said in zip(names, self, strict=True) if said is not None}

    @property
    def cost_unknown(self) -> bool:
        """Whether it cost something that nobody has said."""
        return self.cost_nanousd is None and bool(self.tokens_in or self.tokens_out)


def _sum(amounts: Iterable[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _together(reports: list[Used]) -> Used:
    """All of them as one: its cost is unknown when that of one is."""
    unknown = any(one.cost_unknown for one in reports)
    return Used(
        _sum(one.tokens_in for one in reports),
        _sum(one.tokens_out for one in reports),
        None if unknown else _sum(one.cost_nanousd for one in reports),
    )


def used_facts(reports: list[Used]) -> dict[str, Any] | None:
    """What the end of an attempt says of what it has used: in all, and by model and tool. None: it reported nothing."""
    if not reports:
        return None
    by: dict[tuple[str | None, str | None], list[Used]] = {}
    for one in reports:
        by.setdefault((one.model, one.tool), []).append(one)
    kinds = [_together(some)._replace(model=model, tool=tool).facts for (model, tool), some in by.items()]
    return {**_together(reports).facts, "used": kinds[:_KINDS]}


class Spent:
    """What an execution has used so far, and what is reserved for steps that are under way."""

    __slots__ = ("cost_nanousd", "cost_unknown", "input_tokens", "output_tokens", "reserved", "steps")

    def __init__(self) -> None:
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cost_nanousd: int | None = None
        self.cost_unknown = ""
        """The first step that has used something of unknown cost."""
        self.reserved = {"tokens": 0, "cost_nanousd": 0}
        self.steps: dict[str, tuple[int, int, int]] = {}
        """By step: how many have ended that used something, with how many tokens and what cost."""

    @property
    def tokens(self) -> int:
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def add(self, facts: dict[str, Any], who: str, *, step: bool = False) -> None:
        """Count what the facts of an event say was used, by a step or a child of this name."""
        tokens_in, tokens_out = facts.get("input_tokens"), facts.get("output_tokens")
        cost = facts.get("cost_nanousd")
        if tokens_in is not None:
            self.input_tokens = (self.input_tokens or 0) + tokens_in
        if tokens_out is not None:
            self.output_tokens = (self.output_tokens or 0) + tokens_out
        if cost is not None:
            self.cost_nanousd = (self.cost_nanousd or 0) + cost
        elif Used(tokens_in, tokens_out).cost_unknown and not self.cost_unknown:
            self.cost_unknown = who
        if step:
            count, tokens, nanousd = self.steps.get(who, (0, 0, 0))
            self.steps[who] = count + 1, tokens + (tokens_in or 0) + (tokens_out or 0), nanousd + (cost or 0)

    def reserve(self, asked: dict[str, int], sign: int = 1) -> None:
        for name, amount in asked.items():
            self.reserved[name] += sign * amount

    def average(self, step: str) -> dict[str, int]:
        """What a step of this name has used on average so far, rounded up; empty when none has ended."""
        count, tokens, cost = self.steps.get(step, (0, 0, 0))
        return {"tokens": -(-tokens // count), "cost_nanousd": -(-cost // count)} if count else {}


def spent_facts(spent: Spent | None) -> dict[str, int]:
    """What the end of an execution says that it has used; what is unknown is left out."""
    if spent is None:
        return {}
    cost = None if spent.cost_unknown else spent.cost_nanousd
    said = {"input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens, "cost_nanousd": cost}
    return {name: amount for name, amount in said.items() if amount is not None}
