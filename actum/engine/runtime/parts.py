"""What the parts of an engine share. Each part is a base of `Engine` in a file of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from weakref import WeakValueDictionary

    from actum.engine.definitions import Code
    from actum.engine.resources.desk import Desk
    from actum.engine.runtime.executors import Executors
    from actum.engine.runtime.known import Known
    from actum.engine.runtime.ports import Observer, Owners, World
    from actum.engine.runtime.resting import Awaited, Resting
    from actum.engine.runtime.run import Run
    from actum.events import Actor
    from actum.eventstore import EventStore

__all__ = ["Parts"]


class Parts(ABC):
    """`Engine` makes and owns all of this."""

    store: EventStore
    world: World
    observer: Observer | None
    worker: str
    actor: Actor
    executors: Executors
    desk: Desk
    owners: Owners
    services: Mapping[str, Any]
    when_left: Callable[[str, BaseException | None], None] | None
    _known: Known
    """What was asked of from outside, as it was folded last."""
    _code: dict[str, Code]
    """The code that is known here, by name."""
    _checked: set[str]
    """Definitions whose steps can all be run here."""
    _published: set[str]
    """Definitions that are in the log."""
    _runs: dict[str, Run]
    """What is in memory, by id."""
    _awaited: WeakValueDictionary[str, Awaited]

    @property
    @abstractmethod
    def resting(self) -> Resting: ...

    @abstractmethod
    def _run_of(self, id_: str, code: Code | None) -> Run:
        """A new run, not in memory yet; without code, of an execution that has ended."""

    @abstractmethod
    def _watch_over(self) -> None:
        """Look for what other processes append, from now on."""
