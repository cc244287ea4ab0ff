"""Branches of a workflow, and what they await together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any

from actum.engine.functions.awaited import Gather, Race, Won

if TYPE_CHECKING:
    from actum.engine.functions.planner import FunctionPlanner

__all__ = ["Branch", "BranchResume", "First", "Group", "Resume", "Together", "await_group"]

Resume = Callable[[Any, BaseException | None], None]


class Branch:
    """One coroutine of the workflow: the main one, or a branch of a gather or a race."""

    __slots__ = ("awaits", "coro", "finished", "gathers", "groups", "occurrences", "over", "races", "rng", "scope")

    def __init__(self, coro: Coroutine[Any, Any, Any], scope: str, finished: Resume) -> None:
        self.coro = coro
        self.scope = scope
        self.finished = finished
        self.occurrences: dict[str, int] = {}
        self.gathers = 0
        self.races = 0
        self.rng: Random | None = None
        self.over = False
        """It has finished, or was closed."""
        self.awaits = ""
        """Key of the last call that it awaited itself."""
        self.groups: dict[Group, None] | None = None
        """Gathers and races of it that still have children which have not ended."""

    def occurrence(self, name: str) -> int:
        number = self.occurrences.get(name, 0)
        self.occurrences[name] = number + 1
        return number


class BranchResume:
    """Puts a branch back on the list of those that can go on."""

    __slots__ = ("_planner", "branch")

    def __init__(self, planner: FunctionPlanner, branch: Branch) -> None:
        self._planner = planner
        self.branch = branch

    def __call__(self, value: Any, error: BaseException | None) -> None:
        self._planner.ready.append((self.branch, value, error))


class Group:
    """Children that a branch awaits together."""

    __slots__ = ("cancelled", "over", "parent", "planner", "running")

    def __init__(self, planner: FunctionPlanner, parent: Branch) -> None:
        self.planner = planner
        self.parent = parent
        self.running: dict[int, str | Branch] = {}
        """Index → the call or the branch of a child that has not ended."""
        self.over = False
        """Nobody waits for the rest any more."""
        self.cancelled = False
        """The execution is to end; the parent hears of it when all children have ended."""

    def child(self, index: int) -> Resume:
        raise NotImplementedError

    def ended(self, index: int) -> None:
        self.running.pop(index, None)
        if not self.running:
            self.planner.groups.discard(self)
            if self.parent.groups is not None:
                self.parent.groups.pop(self, None)

    def was_cancelled(self) -> bool:
        """Whether what a child ends with no longer matters; the last of them brings the parent its error."""
        if self.cancelled and not self.running and not self.over:
            self.over = True
            self.planner.ready.append((self.parent, None, asyncio.CancelledError()))
        return self.cancelled


class First(Group):
    """Hears which child of a race ends first."""

    __slots__ = ("names", "number")

    def __init__(self, planner: FunctionPlanner, parent: Branch, number: int, names: tuple[int | str, ...]) -> None:
        super().__init__(planner, parent)
        self.number = number
        self.names = names

    def child(self, index: int) -> Resume:
        def resume(value: Any, error: BaseException | None) -> None:
            self.ended(index)
            if self.over or self.was_cancelled():
                return
            self.over = True
            self.planner.decided(self, index)
            won = None if error is not None else Won(self.names[index], value)
            self.planner.ready.append((self.parent, won, error))

        return resume


class Together(Group):
    """Collects what the children of one gather end with."""

    __slots__ = ("_answered", "_keep_errors", "_left", "_results")

    def __init__(self, planner: FunctionPlanner, parent: Branch, count: int, keep_errors: bool) -> None:
        super().__init__(planner, parent)
        self._left = count
        self._results: list[Any] = [None] * count
        self._keep_errors = keep_errors
        self._answered = False

    def child(self, index: int) -> Resume:
        def resume(value: Any, error: BaseException | None) -> None:
            self._left -= 1
            self.ended(index)
            if self._answered or self.was_cancelled():
                return
            if error is not None and not self._keep_errors:
                self._answered = True
                self.planner.ready.append((self.parent, None, error))
                return
            self._results[index] = value if error is None else error
            if self._left == 0:
                self._answered = True
                self.planner.ready.append((self.parent, self._results, None))

        return resume


async def await_group(group: Gather | Race) -> Any:
    return await group
