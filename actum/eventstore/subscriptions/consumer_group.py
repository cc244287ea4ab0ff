"""Consumer groups: the streams of a log shared out among N members, each stream always to one of them, in its order.

How many members there are is an event in the log, `subscription.resized`: events up to it belong to the members there
were before, events after it to those there are now. The order of the log is the only agreement that members need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from threading import Event
from typing import NamedTuple

from actum.errors import BadInput, CursorMoved, TargetUnavailable
from actum.events import Actor, NewEvent, to_text, uuid7
from actum.eventstore.backoff import Backoff
from actum.eventstore.protocol import ANY, Append, EventStore
from actum.eventstore.subscriptions.consumer import Consumer
from actum.eventstore.subscriptions.dead_letters import stream_of
from actum.eventstore.subscriptions.subscription import Subscription

__all__ = ["MEMBERS_AT_MOST", "Generation", "Member", "cursor_name", "member_of", "resize"]

MEMBERS_AT_MOST = 1024
_RESIZED = "subscription.resized"


class Generation(NamedTuple):
    """A time in the life of a group: `members` share the events behind position `after`, up to `until` if it is over.

    `after` is None for the first one, which begins where the group does.
    """

    number: int
    members: int
    after: int | None
    until: int | None


def member_of(stream: str, members: int) -> int:
    """Which of so many members has this stream: the first 8 bytes of the SHA-256 of its name, modulo members."""
    return int.from_bytes(sha256(stream.encode()).digest()[:8], "big") % members


def cursor_name(group: str, generation: int, member: int) -> str:
    """Under which name a member's mark is kept."""
    return f"{group}.{generation}.{member}"


def resize(store: EventStore, group: str, members: int, by: Actor, *, now_us: int, chance: int) -> int:
    """Make the group, or change how many members it has, from the event after this one on; returns its position.

    `chance` are 62 random bits. Members that run see it in their place in the log; new ones may be started at once.
    """
    if not 1 <= members <= MEMBERS_AT_MOST:
        raise BadInput(f"group {group!r}: {members} is not a number of members from 1 to {MEMBERS_AT_MOST}")
    facts = {"subscription": group, "members": members}
    event = NewEvent(_RESIZED, facts, to_text(now_us), by, id=uuid7(now_us, chance))
    return store.append([Append(stream_of(group), ANY, [event])]).last_position


def _now_us() -> int:
    return time.time_ns() // 1000


class Member:
    """One of the members of a group, counted from 0. `consumer` gives it the consumer for the name of a mark.

    A member takes its streams of the newest generation only when all that came before is done by everybody, so the
    order of each stream outlives a change. What members that are gone have left undone is shared out among those that
    there are now; when one of them is still alive after all, one of the two finds the mark moved, and nothing is
    taken twice by an `ExactlyOnce` consumer. One object is for one thread at a time; other options are those of
    `Subscription`.
    """

    def __init__(
        self,
        store: EventStore,
        group: str,
        number: int,
        consumer: Callable[[str], Consumer],
        *,
        types: Sequence[str] | None = None,
        streams: Sequence[str] | None = None,
        after: int = -1,
        batch: int = 500,
        payloads: bool = True,
        attempts: int = 5,
        backoff: Backoff | None = None,
        clock: Callable[[], int] = _now_us,
    ) -> None:
        if number < 0:
            raise BadInput(f"group {group!r}: {number} is not the number of a member; they are counted from 0")
        self.group = group
        self.number = number
        self._store = store
        self._consumer = consumer
        self._after = after
        self._backoff = backoff or Backoff()
        self._changes: list[tuple[int, int]] = []
        self._read = 0
        self._done = 0
        """Generations, from the first, of which nothing is left to do."""
        self._parts: dict[tuple[int, int], Subscription] = {}

        def part(generation: Generation, member: int) -> Subscription:
            return Subscription(
                store,
                group,
                consumer(cursor_name(group, generation.number, member)),
                types=types,
                streams=streams,
                after=self._begin(generation),
                batch=batch,
                payloads=payloads,
                attempts=attempts,
                backoff=backoff,
                clock=clock,
                share=lambda stream: member_of(stream, generation.members) == member,
                until=lambda: self._generations()[generation.number].until,
            )

        self._part = part

    def catch_up(self, stop: Event | None = None) -> int:
        """Take all there is now for this member; returns how many events that were.

        Some may be left: those of the newest generation wait while another member is not done with the one before.
        Raises `BadInput` for a group that nobody has made with `resize`, and as `Subscription.catch_up` does, but for
        `CursorMoved`: who was faster has taken the events.
        """
        stop = stop or Event()
        taken = 0
        while not stop.is_set():
            found = self._generations()
            if not found:
                raise BadInput(f"there is no group {self.group!r} in this log; make it with `resize`")
            generation = found[self._done]
            over = generation.until is not None
            for member in range(generation.members):
                if (member % found[-1].members if over else member) == self.number:
                    taken += self._take_part(generation, member, stop)
            generation = self._generations()[self._done]
            if generation.until is None or not self._is_done(generation.until, generation):
                return taken
            self._done += 1
        return taken

    def follow(self, stop: Event, *, idle_s: float = 1.0) -> None:
        """Take all there is, then each event as it comes, until `stop` is set; waits where it is unavailable."""
        failures = 0
        while not stop.is_set():
            head = self._store.head()
            try:
                self.catch_up(stop)
                failures = 0
            except TargetUnavailable as problem:
                failures += 1
                stop.wait(self._backoff.delay_s(failures, problem.retry_after_s))
                continue
            if self._generations()[self._done].until is None:
                self._store.wait(head, idle_s)
            else:  # another member is not done: its mark is in the consumers' place, where nobody can wait
                stop.wait(min(idle_s, 0.2))

    def _take_part(self, generation: Generation, member: int, stop: Event) -> int:
        key = (generation.number, member)
        subscription = self._parts.get(key)
        if subscription is None:
            subscription = self._parts[key] = self._part(generation, member)
        try:
            return subscription.catch_up(stop)
        except CursorMoved:
            return 0  # somebody else runs this part too; it will be seen from the mark how far that has come

    def _is_done(self, until: int, generation: Generation) -> bool:
        for member in range(generation.members):
            mark = self._consumer(cursor_name(self.group, generation.number, member)).mark()
            if (self._begin(generation) if mark is None else mark.position) < until:
                return False
        return True

    def _begin(self, generation: Generation) -> int:
        return self._after if generation.after is None else max(generation.after, self._after)

    def _generations(self) -> list[Generation]:
        """All generations as of now; asked after reading events, it knows every change among them."""
        found = self._store.read_stream(stream_of(self.group), self._read)
        self._read += len(found)
        self._changes += [(event.position, event.facts["members"]) for event in found if event.type == _RESIZED]
        ends = [*(position for position, _ in self._changes[1:]), None]
        return [
            Generation(number, members, position if number else None, ends[number])
            for number, (position, members) in enumerate(self._changes)
        ]
