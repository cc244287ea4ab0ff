"""Who takes events from a subscription, and how far it has come: the position lies with the effects, not with the log.

`ExactlyOnce` commits effects and position in one transaction of the consumer's own database. `AtLeastOnce` is for
effects that no transaction can hold, such as a message sent: the position follows them, so a crash between the two
gives the same events again, under the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from actum.errors import CursorMoved
from actum.events import RecordedEvent

__all__ = ["START", "AtLeastOnce", "Consumer", "Cursors", "ExactlyOnce", "Mark", "MemoryCursors"]


class Mark(NamedTuple):
    """How far a consumer has come: the position of the last event that it is done with, and that event's id.

    The id tells when the log under it is not the one it has read.
    """

    position: int
    event: str


START: Final = Mark(-1, "")
"""Before the first event."""


class Consumer(Protocol):
    """What a subscription gives events to."""

    def mark(self) -> Mark | None:
        """How far its effects have come; None when it never took anything."""

    def take(self, events: Sequence[RecordedEvent], before: Mark, after: Mark) -> None:
        """Carry out the effects of these events, in their order, and be at `after` from then on.

        There may be none: then only the mark moves, past events that were not asked for. Raises `CursorMoved` when it
        is not at `before`, and `TargetUnavailable` when nothing can be taken at the moment; any other exception is
        about one of the events. In each case it stays at `before`.
        """


Tx = TypeVar("Tx")
TxCo = TypeVar("TxCo", covariant=True)


class Cursors(Protocol[TxCo]):
    """Marks of named consumers, in a place with transactions."""

    def load(self, name: str) -> Mark | None:
        """The mark of this consumer; None when it has none yet."""

    def moving(self, name: str, before: Mark, after: Mark) -> AbstractContextManager[TxCo]:
        """A transaction that moves the mark; what is done with it is committed together with the move, or not at all.

        Raises `CursorMoved`, before anything else happens in it, when the mark is not `before`; a consumer without
        one may be anywhere. While one process is in here, others that move the same mark wait.
        """


class ExactlyOnce(Generic[Tx]):
    """A consumer whose effects are in the transaction that moves its mark: each event has its effect exactly once."""

    def __init__(self, cursors: Cursors[Tx], name: str, handler: Callable[[Tx, Sequence[RecordedEvent]], None]) -> None:
        self._cursors = cursors
        self._name = name
        self._handler = handler

    def mark(self) -> Mark | None:
        return self._cursors.load(self._name)

    def take(self, events: Sequence[RecordedEvent], before: Mark, after: Mark) -> None:
        with self._cursors.moving(self._name, before, after) as transaction:
            if events:
                self._handler(transaction, events)


class AtLeastOnce(Generic[Tx]):
    """A consumer whose effects come first and its mark after them: an event may be given again after a crash."""

    def __init__(self, cursors: Cursors[Tx], name: str, handler: Callable[[Sequence[RecordedEvent]], None]) -> None:
        self._cursors = cursors
        self._name = name
        self._handler = handler

    def mark(self) -> Mark | None:
        return self._cursors.load(self._name)

    def take(self, events: Sequence[RecordedEvent], before: Mark, after: Mark) -> None:
        if events:
            self._handler(events)
        with self._cursors.moving(self._name, before, after):
            pass


class MemoryCursors:
    """Marks that live and die with the process, for effects that do too. Nothing is undone when a handler fails."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}
        self._lock = Lock()

    def load(self, name: str) -> Mark | None:
        return self._marks.get(name)

    @contextmanager
    def moving(self, name: str, before: Mark, after: Mark) -> Iterator[None]:
        with self._lock:
            there = self._marks.get(name, before)
            if there.position != before.position:
                raise CursorMoved(name, before.position, there.position)
            yield
            self._marks[name] = after
