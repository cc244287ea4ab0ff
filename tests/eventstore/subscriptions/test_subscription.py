"""Subscriptions: what is asked for, what happens to an event that cannot be taken, and how far behind one is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import pytest

from actum.errors import BadInput, CursorMoved, TargetRefused, TargetUnavailable, WrongLog
from actum.events import CURRENT, UPCASTERS, RecordedEvent
from actum.events.catalog import validate_facts
from actum.eventstore import Append, EventStore, open_store
from actum.eventstore.backoff import Backoff
from actum.eventstore.memory import MemoryStore
from actum.eventstore.subscriptions.consumer import START, AtLeastOnce, ExactlyOnce, Mark, MemoryCursors
from actum.eventstore.subscriptions.dead_letters import DEAD_LETTERED
from actum.eventstore.subscriptions.subscription import Lag, Subscription
from actum.testing.builders import batch, event, event_id
from actum.testing.clock import ManualClock

AT_ONCE = Backoff(first_s=0)
Take = Callable[[Sequence[RecordedEvent]], None]


@pytest.fixture
def store() -> EventStore:
    return open_store("memory://")


def subscribe(store: EventStore, take: Take, cursors: MemoryCursors | None = None, **options: Any) -> Subscription:
    consumer = AtLeastOnce(cursors or MemoryCursors(), "mail", take)
    return Subscription(store, "mail", consumer, **{"backoff": AT_ONCE, **options})


def names(taken: list[RecordedEvent]) -> list[str]:
    return [event.facts["step"] for event in taken]


def test_only_what_is_asked_for_is_given_and_the_mark_goes_past_the_rest(store: EventStore) -> None:
    """Types and streams choose; a star is any ending; events that nobody asked for are not waited for again."""
    store.append(batch("a", stream="execution/1"))
    store.append(batch("b", stream="execution/2"))
    store.append(batch("c", stream="schedule/1"))
    store.append([Append("execution/1", 1, [event("d", type="step.started", step="d", occurrence=0)])])
    taken: list[RecordedEvent] = []
    chosen: list[dict[str, Any]] = [
        {"types": ["step.completed"]},
        {"streams": ["execution/*"]},
        {"streams": ["execution/2", "schedule/1"]},
        {"types": ["step.completed"], "streams": ["execution/1"]},
        {"types": ["timer.set"]},
    ]
    got = []
    for options in chosen:
        taken.clear()
        subscription = subscribe(store, taken.extend, **options)
        subscription.catch_up()
        got.append("".join(names(taken)))
        assert subscription.mark().position == 3

    assert got == ["abc", "abd", "bc", "a", ""]


def test_an_unknown_type_is_refused_by_its_name(store: EventStore) -> None:
    """A type that no event has would never be given: it is said at once, with the nearest there is."""
    with pytest.raises(BadInput, match=r"did you mean 'step\.completed'"):
        subscribe(store, print, types=["step.complete"])


def test_a_position_beyond_the_log_is_refused(store: EventStore) -> None:
    """A start behind an event that does not exist yet would skip it one day."""
    store.append(batch("a"))
    with pytest.raises(BadInput, match="no position 1 yet"):
        subscribe(store, print, after=1).catch_up()


def test_one_event_that_always_fails_becomes_a_dead_letter_and_the_others_are_taken(store: EventStore) -> None:
    """The consumer goes on behind it; the letter names source, position, attempts and error, and fits its model."""
    store.append(batch("a", "poison", "b"))
    taken: list[RecordedEvent] = []

    def take(events: Sequence[RecordedEvent]) -> None:
        if "poison" in names(list(events)):
            raise ValueError("no such address")
        taken.extend(events)

    subscription = subscribe(store, take, attempts=3)
    subscription.catch_up()

    (letter,) = store.read_stream("subscription/mail")
    assert names(taken) == ["a", "b"]
    assert letter.type == DEAD_LETTERED
    assert letter.facts == {
        "subscription": "mail",
        "source": event_id("poison"),
        "position": 1,
        "source_type": "step.completed",
        "attempts": 3,
        "error_type": "ValueError",
    }
    assert letter.value() == {"message": "no such address"}
    validate_facts(letter.type, letter.facts)
    subscription.catch_up()
    assert store.head() == 4


def test_what_is_refused_is_not_tried_again(store: EventStore) -> None:
    """A target that will never take an event is asked once."""
    store.append(batch("a", "b"))
    asked: list[str] = []

    def take(events: Sequence[RecordedEvent]) -> None:
        (one,) = events
        asked.append(one.facts["step"])
        raise TargetRefused("there", one.id, "too large")

    subscribe(store, take, batch=1).catch_up()

    assert asked == ["a", "b"]
    assert [e.facts["attempts"] for e in store.read_stream("subscription/mail")] == [1, 1]


def test_a_personal_event_leaves_a_personal_dead_letter(store: EventStore) -> None:
    """What an error says about a personal payload is personal too, so that it is erased and withheld like it."""
    personal = event("a", payload=b'"someone@example.org"')
    personal.payload_class = "personal"
    personal.key = store.key_for("someone")
    store.append([Append("s/1", 0, [personal])])

    def take(events: Sequence[RecordedEvent]) -> None:
        raise ValueError(events[0].value())

    subscribe(store, take, attempts=1).catch_up()

    (letter,) = store.read_stream("subscription/mail")
    assert letter.head["payload"]["class"] == "personal"
    assert letter.head["payload"]["key"] == personal.key
    assert "someone" not in str(letter.head)


def test_a_crash_between_the_dead_letter_and_the_mark_does_not_give_the_event_again(store: EventStore) -> None:
    """What was given up stays given up: a new process goes on behind it, and records no second letter."""
    store.append(batch("poison", "b"))
    cursors, taken = MemoryCursors(), list[RecordedEvent]()

    class Crashes:
        """Fails on the event, and then before its mark has moved past it."""

        def mark(self) -> Mark | None:
            return None

        def take(self, events: Sequence[RecordedEvent], before: Mark, after: Mark) -> None:
            raise ValueError("no") if events else KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Subscription(store, "mail", Crashes(), attempts=1, batch=1, backoff=AT_ONCE).catch_up()
    subscribe(store, taken.extend, cursors).catch_up()

    assert names(taken) == ["b"]
    assert len(store.read_stream("subscription/mail")) == 1


def test_an_unavailable_target_is_nobodys_dead_letter(store: EventStore) -> None:
    """The mark stays, nothing is recorded, and when the target is back it gets the same events."""
    store.append(batch("a", "b"))
    taken: list[RecordedEvent] = []
    down = True

    def take(events: Sequence[RecordedEvent]) -> None:
        if down:
            raise TargetUnavailable("there", "connection refused")
        taken.extend(events)

    subscription = subscribe(store, take)
    with pytest.raises(TargetUnavailable, match="the position was left where it was"):
        subscription.catch_up()
    assert (subscription.mark(), store.head()) == (START, 2)
    down = False
    subscription.catch_up()

    assert names(taken) == ["a", "b"]


def test_following_survives_an_outage_and_says_so(store: EventStore) -> None:
    """A live subscription waits out an outage of its target; it says when that begins and when it is over."""
    store.append(batch("a"))
    stop, said, tries = Event(), list[str](), 0

    def take(events: Sequence[RecordedEvent]) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise TargetUnavailable("there", "down")

    def told(problem: TargetUnavailable | None) -> None:
        said.append("over" if problem is None else problem.problem)
        if problem is None:
            stop.set()

    subscribe(store, take).follow(stop, idle_s=0, told=told)

    assert said == ["down", "down", "down", "over"]


def test_a_dead_letter_about_a_dead_letter_is_never_made(store: EventStore) -> None:
    """Dead letters are given to who asks for them; one that cannot be taken stops the subscription instead."""
    store.append(batch("a"))

    def refuse(events: Sequence[RecordedEvent]) -> None:
        raise ValueError("never")

    subscribe(store, refuse, attempts=1).catch_up()
    taken: list[RecordedEvent] = []
    subscribe(store, taken.extend).catch_up()
    assert [e.type for e in taken] == []  # its own is not given to it; "a" was given up
    with pytest.raises(ValueError, match="never"):
        Subscription(
            store, "letters", AtLeastOnce(MemoryCursors(), "letters", refuse), types=[DEAD_LETTERED], backoff=AT_ONCE
        ).catch_up()
    assert store.head() == 2


def test_a_mark_of_another_log_is_refused_by_name(store: EventStore) -> None:
    """A consumer that has read an event which the log does not have, or not there, is told and gets nothing."""
    store.append(batch("a", "b"))
    cursors = MemoryCursors()
    subscribe(store, lambda events: None, cursors).catch_up()
    older, other = MemoryStore(), MemoryStore()
    older.append(batch("a"))
    other.append(batch("a", "x", "y"))

    for log, found in ((older, "nothing yet"), (other, f"event {event_id('x')}")):
        with pytest.raises(WrongLog, match=re.escape(found)):
            subscribe(log, lambda events: pytest.fail("given"), cursors).catch_up()


def test_lag_is_positions_and_seconds(store: EventStore) -> None:
    """How many positions were not looked at, and how long the oldest wanted event has been waiting."""
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    subscription = subscribe(store, lambda events: None, types=["step.completed"], clock=clock)
    assert subscription.lag() == Lag(0, 0.0)
    store.append([Append("s/1", 0, [event("t", type="timer.set", timer="t", occurrence=0, due="x")])])
    clock.move_s(5)
    store.append(batch("a", "b"))
    clock.move_s(7)

    assert subscription.lag() == Lag(3, 7.0)
    subscription.catch_up()
    assert subscription.lag() == Lag(0, 0.0)
    clock.move_s(-60)
    store.append(batch("c"))
    clock.move_s(-60)
    assert subscription.lag() == Lag(1, 0.0), "a clock that goes back makes nothing younger than now"


def test_a_handler_that_fails_in_the_middle_is_given_what_was_not_taken(store: EventStore) -> None:
    """When a batch fails, its events are given one by one: each that can be taken is taken once, in order."""
    store.append(batch(*range(6)))
    taken: list[str] = []

    def take(_: None, events: Sequence[RecordedEvent]) -> None:
        if len(events) > 1 or names(list(events)) == ["3"]:
            raise ValueError
        taken.extend(names(list(events)))

    consumer = ExactlyOnce(MemoryCursors(), "mail", take)
    Subscription(store, "mail", consumer, attempts=2, backoff=AT_ONCE).catch_up()

    assert taken == ["0", "1", "2", "4", "5"]


def test_a_mark_that_somebody_else_moved_is_not_moved(store: EventStore) -> None:
    """The second of two consumers of one name is told where the first is."""
    cursors = MemoryCursors()
    with cursors.moving("mail", START, Mark(3, "x")):
        pass
    with pytest.raises(CursorMoved, match="at position 3, not -1"), cursors.moving("mail", START, Mark(1, "y")):
        pytest.fail("moved")


def test_old_events_are_given_in_todays_shape(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event recorded under an older schema reaches the consumer upcast, and its stored bytes stay as they were."""
    store.append([Append("s/1", 0, [event("a", step="a", occurrence=0)])])
    (before,) = store.read_raw()
    schema = CURRENT["step.completed"]
    monkeypatch.setitem(CURRENT, "step.completed", schema + 1)
    monkeypatch.setitem(UPCASTERS, ("step.completed", schema), lambda facts: facts | {"room": "here"})
    taken: list[RecordedEvent] = []

    memory = MemoryStore()
    raw = [RecordedEvent(e.position, e.header) for e in store.read_raw()]
    monkeypatch.setattr(memory, "_log", raw)
    subscribe(memory, taken.extend).catch_up()

    assert [e.facts for e in taken] == [{"step": "a", "occurrence": 0, "room": "here"}]
    assert (taken[0].head["schema"], taken[0].header) == (schema, before.header)


@pytest.mark.parametrize(("failures", "low", "high"), [(1, 0.5, 1.0), (4, 4.0, 8.0), (50, 5.0, 10.0)])
def test_waiting_grows_up_to_a_limit_and_is_spread(failures: int, low: float, high: float) -> None:
    """The wait doubles up to the most there is; half of it is chance; the other side's wish is granted."""
    assert Backoff(1, 10, lambda: 0.0).delay_s(failures) == low
    assert Backoff(1, 10, lambda: 1.0).delay_s(failures) == high
    assert Backoff(1, 10, lambda: 0.0).delay_s(failures, 30) == 30
