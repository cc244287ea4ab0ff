"""Subscriptions: every event of the log to one consumer, in order, from any position, caught up and then live."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from threading import Event
from typing import NamedTuple

from actum.errors import BadInput, CursorMoved, TargetGone, TargetRefused, TargetUnavailable, WrongLog, near_miss
from actum.events import CURRENT, RecordedEvent, to_us
from actum.eventstore.backoff import Backoff
from actum.eventstore.protocol import EventStore
from actum.eventstore.subscriptions.consumer import START, Consumer, Mark
from actum.eventstore.subscriptions.dead_letters import DEAD_LETTERED, buried, bury

__all__ = ["Lag", "Subscription", "Wanted", "lag_behind", "mark_before"]

_SKIPPED_AT_MOST = 1_000  # positions that were not asked for, before the mark is moved past them


class Lag(NamedTuple):
    """How far a consumer is behind: positions it has not looked at, and the age of the oldest event it waits for."""

    positions: int
    oldest_pending_s: float


class Wanted(NamedTuple):
    """Which events are asked for: of these types, of these streams (`execution/*` is a beginning); None is all.

    Dead letters are given only to who names their type.
    """

    types: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None

    def takes(self, event: RecordedEvent) -> bool:
        if self.types is None and event.type == DEAD_LETTERED:
            return False
        return self.streams is None or any(
            event.stream.startswith(name[:-1]) if name.endswith("*") else event.stream == name for name in self.streams
        )


def _now_us() -> int:
    return time.time_ns() // 1000


def _everything(_: str) -> bool:
    return True


def _no_end() -> int | None:
    return None


class Subscription:
    """Gives the events of a log to a consumer, in the order of the log, and remembers nothing itself.

    It starts where the consumer's mark is or, for a consumer without one, behind position `after`. Every event that is
    asked for is taken once by an `ExactlyOnce` consumer, whatever crashes. An event that fails `attempts` times, or is
    refused, becomes a dead letter in `subscription/<name>`, and the consumer goes on behind it. When the consumer says
    `TargetUnavailable`, no event is at fault: it stays where it is.

    One object is for one thread at a time. `share` and `until` are for consumer groups: which streams are this
    member's, and which event is its last.
    """

    def __init__(
        self,
        store: EventStore,
        name: str,
        consumer: Consumer,
        *,
        types: Sequence[str] | None = None,
        streams: Sequence[str] | None = None,
        after: int = -1,
        batch: int = 500,
        payloads: bool = True,
        attempts: int = 5,
        backoff: Backoff | None = None,
        clock: Callable[[], int] = _now_us,
        share: Callable[[str], bool] = _everything,
        until: Callable[[], int | None] = _no_end,
    ) -> None:
        if not name or not name.isprintable() or len(name) > 200 or batch < 1 or attempts < 1:
            raise BadInput(f"{name!r}: a subscription has a name of 1 to 200 characters, a batch and attempts over 0")
        for type_ in types or ():
            if type_ not in CURRENT:
                raise BadInput(f"{name}: there is no event type {type_!r}{near_miss(type_, CURRENT)}")
        self.name = name
        self._store = store
        self._consumer = consumer
        self._wanted = Wanted(None if types is None else tuple(types), None if streams is None else tuple(streams))
        self._after = after
        self._batch = batch
        self._payloads = payloads
        self._attempts = attempts
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._share = share
        self._until = until
        self._mark: Mark | None = None
        self._seen = -1
        self._buried: set[str] = set()

    def mark(self) -> Mark:
        """How far the consumer has come. Raises `WrongLog` when it has taken an event that this log does not have."""
        if self._mark is None:
            there = self._consumer.mark()
            if there is not None:
                _check(self._store, self.name, there)
            self._mark = mark_before(self._store, self._after + 1) if there is None else there
            self._seen = self._mark.position
            self._buried = buried(self._store, self.name)
        return self._mark

    def catch_up(self, stop: Event | None = None) -> int:
        """Take all there is now; returns how many events that were. Ends early, between events, when `stop` is set.

        Raises `TargetUnavailable` when the consumer can take nothing now, `TargetGone` when it never will again, and
        `CursorMoved` when another process is taking the same events; the consumer is then where it was.
        """
        taken = self._run(stop or Event())
        self._settle()
        return taken

    def _run(self, stop: Event) -> int:
        taken = 0
        self.mark()
        end = self._store.head() - 1
        while self._seen < end and not stop.is_set():
            events, after = self._next()
            if after.position == self._seen:
                break  # `until` was reached
            if events:
                taken += self._take(events, after, stop)
            else:
                self._seen = after.position
                if after.position - self.mark().position >= _SKIPPED_AT_MOST:
                    self._move([], after)
        return taken

    def follow(
        self,
        stop: Event,
        *,
        idle_s: float = 1.0,
        told: Callable[[TargetUnavailable | None], None] = lambda problem: None,
    ) -> None:
        """Take all there is, then each event as it comes, until `stop` is set; that is noticed within `idle_s`.

        Where the consumer is unavailable it waits, longer each time, and gives the same events again, without end;
        `told` hears of each such problem, and None when it is over. Raises as `catch_up` does otherwise. Where there
        is an `until`, it returns when that is reached.
        """
        failures = 0
        while not stop.is_set():
            try:
                self._run(stop)
                if failures:
                    failures = 0
                    told(None)
                limit = self._until()
                if limit is not None and self._seen >= limit:
                    self._settle()
                    return
                if self._store.wait(self._seen + 1, idle_s) <= self._seen + 1:
                    self._settle()  # the log rests
            except TargetUnavailable as problem:
                failures += 1
                told(problem)
                stop.wait(self._backoff.delay_s(failures, problem.retry_after_s))

    def lag(self) -> Lag:
        """How far the consumer is behind the log now."""
        return lag_behind(self._store, self.mark(), self._wanted, self._clock(), self._share)

    # -- batches -------------------------------------------------------------------------------------------------

    def _next(self) -> tuple[list[RecordedEvent], Mark]:
        """The events of the next stretch of the log that are asked for, and the last position of that stretch."""
        end = self._store.head() - 1  # all up to here can be read now, so what is not found was not asked for
        found = list(self._store.read(self._seen, self._batch, types=self._wanted.types, payloads=self._payloads))
        last = found[-1].position if found else -1
        through = last if len(found) == self._batch else max(end, last)
        limit = self._until()  # asked after reading: what ends this member's part would have been read by now
        if limit is not None:
            through = min(through, limit)
        if through <= self._seen:
            return [], Mark(self._seen, "")
        mine = [
            event
            for event in found
            if event.position <= through
            and self._wanted.takes(event)
            and self._share(event.stream)
            and event.id not in self._buried
        ]
        after = mark_before(self._store, through + 1) if through != last else Mark(last, found[-1].id)
        return mine, after

    def _take(self, events: list[RecordedEvent], after: Mark, stop: Event) -> int:
        """Give them all at once; when that fails, one after the other, to find the one that is at fault."""
        if len(events) > 1:
            try:
                self._move(events, after)
                return len(events)
            except (TargetUnavailable, TargetGone, CursorMoved):
                raise
            except Exception:  # noqa: BLE001, S110 - it is met again below, with the event that it is about
                pass
        for number, event in enumerate(events):
            if not self._take_one(event, stop):
                return number
        self._seen = after.position
        return len(events)

    def _take_one(self, event: RecordedEvent, stop: Event) -> bool:
        """Give one event until it is taken or given up; False when there was no time for either."""
        own = Mark(event.position, event.id)
        for attempt in count(1):
            try:
                self._move([event], own)
                return True
            except (TargetUnavailable, TargetGone, CursorMoved):
                raise
            except Exception as exc:
                if event.type == DEAD_LETTERED:
                    raise  # a dead letter about a dead letter would have no end
                if attempt >= self._attempts or isinstance(exc, TargetRefused):
                    bury(self._store, self.name, event, exc, attempt, self._clock())
                    self._move([], own)
                    return True
            if stop.wait(self._backoff.delay_s(attempt)):
                return False
        raise AssertionError  # pragma: no cover - `count` has no end

    def _settle(self) -> None:
        """Move the mark past what was not asked for, now that there is nothing else to do."""
        if self._seen > self.mark().position:
            self._move([], mark_before(self._store, self._seen + 1))

    def _move(self, events: list[RecordedEvent], after: Mark) -> None:
        try:
            self._consumer.take(events, self.mark(), after)
        except CursorMoved:
            self._mark = None  # whoever was faster knows where it is
            raise
        self._mark = after
        self._seen = after.position


def mark_before(store: EventStore, position: int) -> Mark:
    """The mark of a consumer whose next event is the one at this position."""
    if position <= 0:
        return START
    event = next(iter(store.read(position - 2, 1, payloads=False)), None)
    if event is None:
        raise BadInput(f"the log has no position {position - 1} yet: it ends before {store.head()}; nothing was taken")
    return Mark(event.position, event.id)


def lag_behind(
    store: EventStore, mark: Mark, wanted: Wanted, now_us: int, share: Callable[[str], bool] = _everything
) -> Lag:
    """How far a consumer at this mark is behind a log."""
    behind = store.read(mark.position, types=wanted.types, payloads=False)
    oldest = next((event for event in behind if wanted.takes(event) and share(event.stream)), None)
    age_us = 0 if oldest is None else max(0, now_us - to_us(oldest.recorded_at))
    return Lag(max(0, store.head() - 1 - mark.position), age_us / 1_000_000)


def _check(store: EventStore, name: str, mark: Mark) -> None:
    if mark.position < 0:
        return
    there = next(iter(store.read(mark.position - 1, 1, payloads=False)), None)
    if there is None or there.position != mark.position or there.id != mark.event:
        found = "nothing yet" if there is None else f"event {there.id}"
        raise WrongLog(name, mark.position, mark.event, found)
