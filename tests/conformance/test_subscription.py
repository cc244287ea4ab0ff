"""Subscriptions over every backend: each event once, in order, from any position, by whomever it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from actum.events import Actor, RecordedEvent
from actum.eventstore import EventStore
from actum.eventstore.subscriptions.consumer import AtLeastOnce, ExactlyOnce, MemoryCursors
from actum.eventstore.subscriptions.consumer_group import Member, resize
from actum.eventstore.subscriptions.subscription import Subscription
from actum.testing.builders import batch, event_id
from actum.testing.clock import NOON_US

PERSON = Actor("person", "p-1")


@pytest.mark.parametrize("size", [1, 3, 7, 500])
@pytest.mark.parametrize("after", [-1, 0, 9, 19])
def test_a_subscription_takes_every_event_behind_its_position_in_order(
    store: EventStore, after: int, size: int
) -> None:
    """Whatever the size of a batch, what is taken are the positions behind the given one, each once."""
    for i in range(10):
        store.append(batch(2 * i, 2 * i + 1, stream=f"s/{i % 3}"))
    taken: list[int] = []

    subscription = Subscription(
        store,
        "s",
        AtLeastOnce(MemoryCursors(), "s", lambda events: taken.extend(e.position for e in events)),
        after=after,
        batch=size,
    )

    assert subscription.catch_up() == len(taken) == 19 - after
    assert taken == list(range(after + 1, 20))
    assert (subscription.catch_up(), subscription.lag()) == (0, (0, 0.0))


def test_a_live_subscription_is_woken_by_an_append(store: EventStore) -> None:
    """One that waits at the end of the log takes what is appended then, long before its idle time is over."""
    taken: list[str] = []
    two, stop = Event(), Event()

    def take(events: Sequence[RecordedEvent]) -> None:
        taken.extend(e.id for e in events)
        if len(taken) == 2:
            two.set()

    subscription = Subscription(store, "s", AtLeastOnce(MemoryCursors(), "s", take))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(subscription.follow, stop, idle_s=30)
        store.append(batch("a"))
        store.append(batch("b"))
        assert two.wait(20)
        stop.set()
        store.append(batch("c"))  # wakes it, to see that it is to stop
        running.result(20)

    assert taken[:2] == [event_id("a"), event_id("b")]


def test_two_consumers_of_one_name_do_not_take_an_event_twice(store: EventStore) -> None:
    """When two processes run one subscription, what one has taken the other does not, in the consumer's own place."""
    store.append(batch(*range(50)))
    cursors, taken = MemoryCursors(), list[int]()

    def take(_: None, events: Sequence[RecordedEvent]) -> None:
        taken.extend(e.position for e in events)

    def run(_: int) -> None:
        from actum.errors import CursorMoved

        rival = Subscription(store, "s", ExactlyOnce(cursors, "s", take), batch=1)
        for _ in range(200):
            try:
                rival.catch_up()
                return
            except CursorMoved:
                continue

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(3)))

    assert taken == list(range(50))


def test_a_group_shares_streams_and_changes_size_without_loss_or_doubles(store: EventStore) -> None:
    """With 2, then 3, then 1 members at work while events come, each event is taken once, each stream in order."""
    cursors, taken = MemoryCursors(), list[tuple[int, str, int]]()
    at = iter(range(100))
    stop = Event()

    def consumer(name: str) -> ExactlyOnce[None]:
        def take(_: None, events: Sequence[RecordedEvent]) -> None:
            taken.extend((e.position, e.stream, e.version) for e in events if e.type == "step.completed")

        return ExactlyOnce(cursors, name, take)

    def write(names: range) -> None:
        for i in names:
            store.append(batch(i, stream=f"s/{i % 7}"))

    write(range(20))
    resize(store, "g", 2, PERSON, now_us=NOON_US, chance=next(at))
    with ThreadPoolExecutor(4) as pool:
        members = [Member(store, "g", number, consumer, batch=4) for number in range(3)]
        running = [pool.submit(member.follow, stop, idle_s=0.05) for member in members]
        write(range(20, 60))
        resize(store, "g", 3, PERSON, now_us=NOON_US, chance=next(at))
        write(range(60, 100))
        resize(store, "g", 1, PERSON, now_us=NOON_US, chance=next(at))
        write(range(100, 140))
        while len(taken) < 140 and not any(one.done() for one in running):
            store.wait(store.head(), 0.02)
        stop.set()
        for one in running:
            one.result(20)

    assert len(taken) == len({position for position, _, _ in taken}) == 140
    for stream in {stream for _, stream, _ in taken}:
        versions = [version for _, name, version in taken if name == stream]
        assert versions == sorted(versions), stream
