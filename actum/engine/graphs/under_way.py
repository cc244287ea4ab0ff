"""What a graph has asked for and waits for, and what its frames share with the planner. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from actum.engine.graphs.items import Items
from actum.engine.graphs.marking import Visit
from actum.engine.rules.calls import Approve, Call, Child, Failure, Raced, Receive, Sleep, Wait, Wish

if TYPE_CHECKING:
    from actum.engine.graphs.frame import Frame

__all__ = ["Driver", "Open", "Stop"]


class Stop(Exception):
    """The graph cannot go on; it fails with this."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(error_type, message)


class Open:
    """What was asked for and has not ended: for which visit of which frame, and which step stands in for it."""

    __slots__ = ("acting", "counted", "frame", "index", "items", "occurrence", "scope", "settled", "shown", "visit")

    def __init__(
        self,
        frame: Frame,
        visit: Visit,
        acting: int,
        occurrence: int,
        scope: str,
        items: Items | None = None,
        index: int = 0,
    ) -> None:
        self.frame = frame
        self.visit = visit
        self.acting = acting
        self.occurrence = occurrence
        self.scope = scope
        self.items = items
        self.index = index
        """The item of a map that this is for."""
        self.shown: Any = None
        """What people are shown, when this is a question."""
        self.settled = False
        self.counted = False
        """It is a step that runs, which is waited for whatever happens."""

    def again(self, occurrence: int) -> Open:
        """For asking something else on behalf of the same."""
        return Open(self.frame, self.visit, self.acting, occurrence, self.scope, self.items, self.index)

    @property
    def left_behind(self) -> bool:
        """Nobody waits for it any more: a loop has begun another round, or a map has enough."""
        return self.visit.left_behind or not self.visit.wanted or (self.items is not None and self.items.ended)


class Driver(Protocol):
    """What a frame gives to the planner it belongs to."""

    execution: str
    now_us: int
    started_us: int

    def open(self, wish: Call | Approve | Sleep | Wait | Child | Receive, opened: Open) -> None:
        """This is wanted; what it ends with is for `opened`."""

    def say(self, wish: Wish) -> None:
        """This is to be recorded, and needs no answer."""

    def next(self, frame: Frame, visits: list[Visit]) -> None:
        """These come next."""

    def give_up(self, race: Raced, lost: Callable[[Open], bool]) -> None:
        """All that is open and lost is not wanted any more; the race tells of it."""
