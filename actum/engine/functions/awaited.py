"""What a workflow may await, and the driver that gives it out."""

from __future__ import annotations

import threading
import typing
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import Any

from actum.engine.payloads.codec import encode
from actum.engine.rules.calls import (
    Approval,
    Approve,
    Call,
    CancelChild,
    Child,
    Outcome,
    ParentClose,
    Receive,
    SignalChild,
    Sleep,
    StepSpec,
    Undo,
    Wait,
    Wish,
)
from actum.errors import BadInput

__all__ = [
    "ChildHandle",
    "ContinueAsNew",
    "Driver",
    "Gather",
    "Pending",
    "Race",
    "Savepoint",
    "Won",
    "driving",
    "named",
]


def named(what: str, name: str) -> str:
    """The name, which may be part of a key. Raises `BadInput` for one that may not."""
    if "/" in name or "#" in name or not name or not name.isprintable() or len(name) > 200:
        raise BadInput(f"the name of a {what} is 1 to 200 printable characters without '/' and '#', not {name!r}")
    return name


class Pending:
    """A call that a workflow has made and not yet awaited. Awaiting it gives what was, or will be, recorded."""

    __slots__ = ("awaited", "key", "wish")

    def __init__(self, wish: Call | Approve | Sleep | Wait | Child | Receive | Undo) -> None:
        self.wish = wish
        self.key = wish.key
        self.awaited = False

    def __await__(self) -> Generator[Pending, Any, Any]:
        return (yield self)


class ChildHandle(Pending):
    """An execution that this one has started; `id` is its id. Awaiting it, now or later, gives its output.

    It may be awaited again once it has ended. Giving up waiting for it, as the loser of a `ctx.race` does, leaves the
    child as it is.
    """

    __slots__ = ("_cancelled", "_driver", "_signals", "id", "outcome")

    def __init__(self, wish: Child, id_: str, driver: Driver) -> None:
        super().__init__(wish)
        self.id = id_
        self.outcome: Outcome | None = None
        self._driver = driver
        self._signals = 0
        self._cancelled = False

    def signal(self, name: str, value: Any = None) -> None:
        """Send it a signal: in the log of both from here on. Once it has ended, nothing is sent.

        Raises `BadInput` for a name or a value that no signal can have, and outside of the workflow.
        """
        named("signal", name)
        encode({"value": value}, f"the value of signal {name!r}")
        self._check_inside("signalled")
        self._driver.say(SignalChild(self.wish.key, self.id, self._signals, name, value))
        self._signals += 1

    def cancel(self) -> None:
        """Ask it to stop; it cleans up and undoes, and ends as cancelled. Once it has ended, nothing happens."""
        self._check_inside("cancelled")
        if not self._cancelled:
            self._cancelled = True
            self._driver.say(CancelChild(self.wish.key, self.id))

    def _check_inside(self, what: str) -> None:
        if driving.now is not self._driver:
            raise BadInput(f"child {self.id!r} can be {what} only by the code of the workflow that has started it")


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
        on_parent_close: ParentClose,
        convert: Callable[[Any], Any] | None,
    ) -> Pending: ...

    def start_child(
        self,
        name: str,
        workflow: Any,
        workflow_input: Any,
        id_: str | None,
        on_parent_close: ParentClose,
        convert: Callable[[Any], Any] | None,
    ) -> ChildHandle: ...

    def say(self, wish: Wish) -> None:
        """This is to be recorded, and needs no answer."""

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
