"""A relay: a subscription whose effect is a message delivered. The log itself is the outbox.

It reads the log as any other reader does, so one that is dead, slow or stuck never holds up an append.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event

from actum.errors import ActumError, BadInput, TargetUnavailable
from actum.events import RecordedEvent
from actum.eventstore import AtLeastOnce, EventStore, Subscription
from actum.eventstore.backoff import Backoff
from actum.relay.ledger import Ledger
from actum.relay.message import message_of
from actum.relay.target import Target

__all__ = ["Relay"]


def _now_us() -> int:
    return time.time_ns() // 1000


class Relay:
    """Delivers the events of a log to a target: those of each stream in order, each at least once, with its id.

    It goes on where its mark is; a new one begins at position `first`, which is 0 when it is not given. Raises
    `BadInput` when `first` is given for one that has a mark, or when this name delivers to another target.
    Personal payloads are withheld unless `personal`. An event that the target refuses, or that fails `attempts` times,
    becomes a dead letter in the log.
    """

    def __init__(
        self,
        store: EventStore,
        name: str,
        target: Target,
        ledger: Ledger,
        *,
        types: Sequence[str] | None = None,
        first: int | None = None,
        personal: bool = False,
        attempts: int = 12,
        backoff: Backoff | None = None,
        clock: Callable[[], int] = _now_us,
    ) -> None:
        self.name = name
        self._target = target
        self._ledger = ledger
        self._personal = personal
        self._failing = False

        mark = ledger.cursors.load(name)
        if first is not None and mark is not None:
            raise BadInput(
                f"relay {name!r} has delivered up to position {mark.position} and goes on from there; "
                "leave out where to begin, or give another name"
            )
        self._subscription = Subscription(
            store,
            name,
            AtLeastOnce(ledger.cursors, name, self._deliver),
            types=types,
            after=(first or 0) - 1,
            batch=target.batch,
            attempts=attempts,
            backoff=backoff,
            clock=clock,
        )
        self._subscription.mark()  # a wrong log, or a position it does not have, is refused before anything is kept
        ledger.enrol(name, target.name, None if types is None else tuple(types))

    def deliver_all(self, stop: Event | None = None) -> int:
        """Deliver what there is now; returns how many events that were. A target that cannot take any raises."""
        with self._ending():
            return self._subscription.catch_up(stop)

    def run(self, stop: Event, *, idle_s: float = 1.0) -> None:
        """Deliver what there is and what comes until `stop` is set; waits, without end, for a target that is down.

        Raises `TargetGone` when it wants no more, and whatever else cannot be waited out.
        """
        with self._ending():
            self._subscription.follow(stop, idle_s=idle_s)

    def _deliver(self, events: Sequence[RecordedEvent]) -> None:
        try:
            self._target.deliver([message_of(event, personal=self._personal) for event in events])
        except Exception as exc:
            self._failing = True
            with suppress(TargetUnavailable):  # the ledger's database may be down too
                self._ledger.failed(self.name, str(exc))
            raise
        if self._failing:
            self._ledger.recovered(self.name)
            self._failing = False

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Keep that the relay has ended by itself, for whoever asks why nothing arrives."""
        try:
            yield
        except TargetUnavailable:
            raise
        except ActumError as exc:
            with suppress(TargetUnavailable):
                self._ledger.failed(self.name, str(exc), ended=True)
            raise
