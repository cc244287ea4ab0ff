"""What an importer is: a function from one foreign file to executions, with no store, no clock and no chance in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from actum.events import NewEvent
from actum.evidence.importers.mapping import Mapping
from actum.evidence.importers.source import Source

__all__ = ["ForeignExecution", "Importer", "LeftOut", "Tally"]


@dataclass(slots=True)
class ForeignExecution:
    """One run, trajectory or case of a foreign file as events of our catalogue.

    The events have no ids yet, and no times either when `time_unknown`: whoever appends them gives both.
    Equal records of equal foreign systems give the equal `id`, in whatever file they lie.
    """

    id: str
    foreign: str
    """What the file calls it."""
    where: str
    """Where in the file it stands, for messages."""
    content: str
    """Digest of the foreign record: the same `id` with other content is a conflict."""
    records: int
    """How many messages or events of the file are in it."""
    events: list[NewEvent]
    time_unknown: bool = False

    @property
    def stream(self) -> str:
        return f"execution/{self.id}"


@dataclass(frozen=True)
class LeftOut:
    """Something of the file that is not in the log, how often, and where first."""

    reason: str
    count: int
    first: str


@dataclass
class Tally:
    """What an importer did not take over (`left_out`), and what it took over but found odd (`noticed`)."""

    source: str
    _left_out: dict[str, LeftOut] = field(default_factory=dict)
    _noticed: dict[str, LeftOut] = field(default_factory=dict)

    def leave_out(self, reason: str, where: str) -> None:
        self._count(self._left_out, reason, where)

    def notice(self, reason: str, where: str) -> None:
        self._count(self._noticed, reason, where)

    @property
    def left_out(self) -> list[LeftOut]:
        return list(self._left_out.values())

    @property
    def noticed(self) -> list[LeftOut]:
        return list(self._noticed.values())

    def _count(self, kept: dict[str, LeftOut], reason: str, where: str) -> None:
        before = kept.get(reason)
        first = f"{self.source}: {where}" if before is None else before.first
        kept[reason] = LeftOut(reason, 1 if before is None else before.count + 1, first)


class Importer(NamedTuple):
    """One foreign format.

    `read` yields the executions of a file in its order. It raises `ImportRefused`, naming the place, as soon as the
    file turns out not to be whole or not of the format; what it yielded before must then be thrown away.
    """

    read: Callable[[Source, Mapping, Tally], Iterator[ForeignExecution]]
    uses: frozenset[str]
    """The fields of a mapping that mean something to this format."""
