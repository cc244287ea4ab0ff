"""What a workflow may await, and the driver that gives it out."""

from __future__ import annotations

import threading
import typing
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from actum.engine.rules.calls import Approval, Approve, Call, Child, Receive, Sleep, StepSpec, Undo, Wait

__all__ = ["ContinueAsNew", "Driver", "Gather", "Pending", "Race", "Savepoint", "Won", "driving"]


class Pending:
    """A call that a workflow has made and not yet awaited. Awaiting it gives what was, or will be, recorded."""

    __slots__ = ("awaited", "wish")

    def __init__(self, wish: Call | Approve | Sleep | Wait | Child | Receive | Undo) -> None:
        self.wish = wish
        self.awaited = False

    def __await__(self) -> Generator[Pending, Any, Any]:
        return (yield self)


class Gather:
    """Several calls or coroutines of a workflow, awaited together."""

    __slots__ = ("children", "return_exceptions")

    def __init__(self, children: tuple[Any, ...], return_exceptions: bool) -> None:
        self.children = children
        self.return_exceptions = return_exceptions

    def __await__(self) -> Generator[Gather, Any, Any]:
        return (yield self)


@dataclass(frozen=True)
class Won:
    """Who came first in a race, its index or its name, and with what."""

    which: int | str
    value: Any


class Race:
    """Several calls or coroutines of a workflow, of which the first to end counts."""

    __slots__ = ("children", "names")

    def __init__(self, names: tuple[int | str, ...], children: tuple[Any, ...]) -> None:
        self.names = names
        self.children = children

    def __await__(self) -> Generator[Race, Won, Won]:
        return (yield self)


class ContinueAsNew(BaseException):
    """Ends a workflow that goes on as a new execution. No failure: `except Exception` lets it through."""

    def __init__(self, workflow_input: Any) -> None:
        self.input = workflow_input


class Driver(typing.Protocol):
    """The machine that runs a workflow's coroutine; it gives out occurrences."""

    now_us: int

    @property
    def rng(self) -> Random: ...
    def draw(self, what: str) -> bytes: ...
    def patched(self, patch: str) -> bool: ...
    def pending_wait(self, signal: str) -> Pending: ...
    def pending_child(
        self,
        name: str,
        workflow: Any,
        workflow_input: Any,
        id_: str | None,
        on_parent_close: Literal["cancel", "abandon"],
        convert: Callable[[Any], Any] | None,
    ) -> Pending: ...

    def pending_step(
        self, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], convert: Callable[[Any], Any] | None
    ) -> Pending: ...
    def pending_approval(self, approval: Approval) -> Pending: ...
    def pending_sleep(self, seconds: float, name: str, until_us: int | None = None) -> Pending: ...
    def pending_input(self, prompt: Any, name: str) -> Pending: ...
    def pending_undo(self, since: int, name: str) -> Pending: ...
    def told(self) -> int: ...


class Savepoint(typing.NamedTuple):
    """A place in a workflow that `ctx.compensate` can go back to."""

    told: int
    """How many outcomes the workflow had been told by then."""


class _Driving(threading.local):
    """The driver whose workflow runs at this moment in this thread, if any."""

    now: Driver | None = None


driving = _Driving()
