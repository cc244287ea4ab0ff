"""What the workers of a store have of what they share, and what they wait for: plain values, and their JSON.

The book is never evidence: the log says what was asked for and when it began. Each worker writes its own part, and
everybody the rest, under the rule of `granting.py`. Lost, it is whole again once every worker has written its part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

__all__ = ["Ask", "Book", "Counted", "Part"]


class Ask(NamedTuple):
    """Somebody asks for all of this at once. `id` names the execution and its step."""

    id: str
    share: str
    rank: tuple[int, int]
    """Who comes first: compensations before new work, then what is of a higher priority."""
    at_us: int
    units: dict[str, int]
    breaker: str = ""
    by: dict[str, str] = {}  # noqa: RUF012 - never changed
    """What quotas tell it apart by: name → value."""
    granted_us: int = 0
    stays: bool = False
    """It is held over many steps, and was let in before: it is not turned away from a full line."""
    preemptible: bool = False
    """Who holds it gives it back between two steps, when somebody of a higher rank waits for it."""

    @property
    def line(self) -> tuple[Any, ...]:
        """Those who stand in one line with it: of these, nobody overtakes."""
        return (self.rank, self.share, self.breaker, *sorted(self.units))


@dataclass(slots=True)
class Part:
    """One worker's: what it holds, the first of what it waits for, and how many wait: pool → number, since when."""

    held: dict[str, Ask] = field(default_factory=dict)
    waiting: dict[str, Ask] = field(default_factory=dict)
    lines: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Counted:
    """What a breaker has seen since it came into its state, which is that of this version of its stream."""

    version: int = 0
    failures: list[int] = field(default_factory=list)
    successes: int = 0


@dataclass(slots=True)
class Book:
    parts: dict[str, Part] = field(default_factory=dict)
    """By worker."""
    arrivals: dict[str, int] = field(default_factory=dict)
    """Rate limit → its theoretical arrival time."""
    clocks: dict[str, int] = field(default_factory=dict)
    """Name → how far it has come in sharing out."""
    finish: dict[str, dict[str, int]] = field(default_factory=dict)
    """Name → share → how far that share has come, where it is ahead of the clock."""
    first: dict[str, str] = field(default_factory=dict)
    """Name → the ask that is first in line: what comes free of it is kept for that one."""
    breakers: dict[str, Counted] = field(default_factory=dict)

    def held(self) -> Iterator[Ask]:
        return (ask for part in self.parts.values() for ask in part.held.values())

    def waiting(self) -> Iterator[Ask]:
        return (ask for part in self.parts.values() for ask in part.waiting.values())

    def to_json(self) -> bytes:
        parts = {
            worker: [[*map(list, part.held.values())], [*map(list, part.waiting.values())], part.lines]
            for worker, part in self.parts.items()
        }
        breakers = {name: [c.version, c.failures, c.successes] for name, c in self.breakers.items()}
        arrivals = {name: str(arrival) for name, arrival in self.arrivals.items()}  # they may need more than 64 bits
        return orjson.dumps([1, parts, arrivals, self.clocks, self.finish, self.first, breakers])

    @classmethod
    def from_json(cls, text: bytes) -> Book:
        """The book again. What a newer program has written, or nobody understands, is an empty one."""
        try:
            form, parts, arrivals, clocks, finish, first, breakers = orjson.loads(text)
            if form != 1:
                return cls()
            return cls(
                {worker: _part(*part) for worker, part in parts.items()},
                {name: int(arrival) for name, arrival in arrivals.items()},
                clocks,
                finish,
                first,
                {name: Counted(*counted) for name, counted in breakers.items()},
            )
        except (ValueError, TypeError):
            return cls()


def _part(held: list[Any], waiting: list[Any], lines: dict[str, Any]) -> Part:
    return Part(
        {ask.id: ask for ask in map(_ask, held)},
        {ask.id: ask for ask in map(_ask, waiting)},
        {name: (number, since) for name, (number, since) in lines.items()},
    )


def _ask(said: list[Any]) -> Ask:
    id_, share, rank, *rest = said
    return Ask(id_, share, (rank[0], rank[1]), *rest)
