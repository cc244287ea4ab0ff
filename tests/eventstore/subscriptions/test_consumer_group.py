"""Consumer groups: who has which stream, and what happens at a change while members are slow, dead or doubled."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.errors import BadInput
from actum.events import Actor, RecordedEvent
from actum.events.catalog import validate_facts
from actum.eventstore import EventStore, open_store
from actum.eventstore.subscriptions.consumer import ExactlyOnce, MemoryCursors
from actum.eventstore.subscriptions.consumer_group import Member, member_of, resize
from actum.testing.builders import batch
from actum.testing.clock import NOON_US

PERSON = Actor("person", "p-1")
Taken = list[tuple[str, RecordedEvent]]


def set_size(store: EventStore, members: int) -> int:
    return resize(store, "g", members, PERSON, now_us=NOON_US, chance=random.getrandbits(62))


class World:
    """A log, the marks, and what was taken under which mark, in the order of taking."""

    def __init__(self) -> None:
        self.store = open_store("memory://")
        self.cursors = MemoryCursors()
        self.taken: Taken = []
        self.written = 0

    def write(self, many: int) -> None:
        for _ in range(many):
            self.store.append(batch(self.written, stream=f"s/{self.written % 5}"))
            self.written += 1

    def consumer(self, name: str) -> ExactlyOnce[None]:
        def take(_: None, events: Sequence[RecordedEvent]) -> None:
            self.taken += [(name, event) for event in events if event.type == "step.completed"]

        return ExactlyOnce(self.cursors, name, take)

    def member(self, number: int, **options: int) -> Member:
        return Member(self.store, "g", number, self.consumer, **options)  # type: ignore[arg-type]

    def check(self, total: int) -> None:
        positions = [event.position for _, event in self.taken]
        assert len(positions) == len(set(positions)) == total
        for stream in {event.stream for _, event in self.taken}:
            versions = [event.version for _, event in self.taken if event.stream == stream]
            assert versions == sorted(versions), stream


def test_a_stream_is_always_the_same_members() -> None:
    """Who has a stream follows from its name alone, and streams are spread over the members."""
    assert [member_of("execution/1", n) for n in (1, 2, 3, 1024)] == [0, 0, 0, 342]
    spread = Counter(member_of(f"execution/{i}", 4) for i in range(4000))
    assert all(900 < count < 1100 for count in spread.values())


def test_each_member_takes_its_own_streams_only() -> None:
    """Three members, one after the other: each takes the streams that its number says, and all of them."""
    world = World()
    world.write(60)
    set_size(world.store, 3)
    for number in range(3):
        world.member(number).catch_up()

    world.check(60)
    assert all(member_of(event.stream, 3) == int(name[-1]) for name, event in world.taken)


def test_nothing_new_is_taken_before_everybody_is_done_with_the_old() -> None:
    """After a change a member waits for the ones before it, or its streams could be overtaken."""
    world = World()
    set_size(world.store, 2)
    world.write(20)
    set_size(world.store, 3)
    world.write(20)
    second, third = world.member(1), world.member(2)
    second.catch_up()
    third.catch_up()

    assert {event.position for _, event in world.taken} <= set(range(1, 21))
    world.member(0).catch_up()
    second.catch_up()
    third.catch_up()
    world.check(40)


def test_what_a_member_that_is_gone_left_undone_is_taken_by_who_is_there() -> None:
    """Two members shrink to one: the first takes over what the second had before it, then all that comes."""
    world = World()
    set_size(world.store, 2)
    world.write(20)
    world.member(0).catch_up()
    set_size(world.store, 1)
    world.write(20)
    world.member(0).catch_up()

    world.check(40)


def test_a_member_too_many_has_nothing_to_do() -> None:
    """One whose number is not below the size of the group takes nothing, and does not hold the others up."""
    world = World()
    set_size(world.store, 1)
    world.write(10)
    assert world.member(1).catch_up() == 0
    assert world.member(0).catch_up() == 11  # the event that made the group lies in the log too


@pytest.mark.parametrize("members", [0, -1, 1025])
def test_a_size_that_cannot_be_is_refused(members: int) -> None:
    """Nothing is written."""
    store = open_store("memory://")
    with pytest.raises(BadInput, match="not a number of members"):
        set_size(store, members)
    assert store.head() == 0


def test_a_group_that_nobody_made_is_refused() -> None:
    """Members of different sizes in mind would share nothing."""
    with pytest.raises(BadInput, match="there is no group 'g'"):
        World().member(0).catch_up()


def test_the_change_is_an_event_of_the_catalogue() -> None:
    """It names the group and its new size."""
    store = open_store("memory://")
    set_size(store, 4)
    (event,) = store.read()
    assert (event.stream, event.facts) == ("subscription/g", {"subscription": "g", "members": 4})
    validate_facts(event.type, event.facts)


def test_a_group_may_begin_behind_its_first_sizes() -> None:
    """A beginning beyond a change: nothing before it is taken, and nothing is waited for in vain."""
    world = World()
    set_size(world.store, 2)
    set_size(world.store, 3)
    world.write(30)
    for number in range(3):
        world.member(number, after=11).catch_up()

    assert sorted(event.position for _, event in world.taken) == list(range(12, 32))


Act = tuple[str, int]
acts = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 12)),
        st.tuples(st.just("resize"), st.integers(1, 4)),
        st.tuples(st.just("run"), st.integers(0, 4)),
        st.tuples(st.just("restart"), st.integers(0, 4)),
    ),
    max_size=25,
)


@settings(max_examples=60)
@forall(acts, st.integers(1, 7))
def test_whatever_happens_each_event_is_taken_once_and_streams_in_order(asked: list[Act], size: int) -> None:
    """Writes, changes of size, members that run, restart or sleep, in any order; in the end they all run."""
    world = World()
    set_size(world.store, 2)
    running: dict[int, Member] = {}
    for act, number in asked:
        match act:
            case "write":
                world.write(number)
            case "resize":
                set_size(world.store, number)
            case "restart":
                running.pop(number, None)
            case _:
                running.setdefault(number, world.member(number, batch=size)).catch_up()
    for _ in range(2 * sum(act == "resize" for act, _ in asked) + 2):
        for number in range(5):
            running.setdefault(number, world.member(number, batch=size)).catch_up()

    world.check(world.written)
