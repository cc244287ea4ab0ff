"""The same events again: the first answer, or a clear refusal, and never a second copy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actum.errors import IdempotencyConflict
from actum.events import NewEvent
from actum.eventstore import ANY, EXISTS, NO_STREAM, Append, Appended, EventStore
from actum.testing.builders import STREAM, batch, event, event_id


@pytest.mark.parametrize("expected", [NO_STREAM, EXISTS, ANY, 1, 2, 77])
@pytest.mark.parametrize("others", [0, 3], ids=["at once", "later"])
def test_the_same_events_get_the_first_answer(store: EventStore, expected: int, others: int) -> None:
    """Whatever version is expected, and whatever was appended since, the answer to the same events is the first one."""
    store.append(batch("before", stream="s/x"))
    first = store.append(batch("a", "b"))
    for i in range(others):
        store.append(batch(f"other{i}"))

    again = store.append(batch("a", "b", expected=expected))

    assert again == first == Appended(1, 2, {STREAM: 2})
    assert store.head() == 3 + others


def test_a_batch_over_streams_gets_its_first_answer(store: EventStore) -> None:
    """The first answer to a batch over several streams names each with the version it then got."""
    both = [Append("s/1", 0, [event("a"), event("b")]), Append("s/2", 0, [event("c")])]
    first = store.append(both)
    store.append(batch("more", stream="s/1"))

    assert store.append(both) == first == Appended(0, 2, {"s/1": 2, "s/2": 1})


def _with(**changes: object) -> NewEvent:
    changed = event("a", payload=b"[1]")
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


@pytest.mark.parametrize(
    "other",
    [
        _with(type="step.failed"),
        _with(facts={"step": "other"}),
        _with(at="2026-11-21T12:00:00.000001Z"),
        _with(actor=("person", "w-1")),
        _with(payload=b"[2]"),
        _with(payload=None),
        _with(payload_class="personal"),
        _with(causation=event_id("x")),
        _with(correlation=event_id("x")),
        _with(trace="00-1"),
    ],
    ids=["type", "facts", "at", "actor", "payload", "no payload", "class", "causation", "correlation", "trace"],
)
@pytest.mark.parametrize("expected", [0, 1, ANY])
def test_a_known_id_with_other_content_is_refused(store: EventStore, other: NewEvent, expected: int) -> None:
    """An id stands for one content: any other under it is a conflict that names event, stream and version."""
    store.append([Append(STREAM, 0, [_with()])])

    with pytest.raises(IdempotencyConflict) as caught:
        store.append([Append(STREAM, expected, [other])])

    assert (caught.value.event, caught.value.stream, caught.value.version) == (event_id("a"), STREAM, 0)
    assert store.head() == 1


@pytest.mark.parametrize("expected", [0, ANY])
def test_a_known_id_in_another_stream_is_refused(store: EventStore, expected: int) -> None:
    """The same event for another stream is a conflict that names where it is recorded."""
    store.append(batch("a"))

    with pytest.raises(IdempotencyConflict, match=STREAM):
        store.append(batch("a", stream="s/other", expected=expected))

    assert (store.head(), store.stream_version("s/other")) == (1, 0)


@pytest.mark.parametrize("names", [("a", "new"), ("new", "a")])
@pytest.mark.parametrize("expected", [0, 1, ANY])
def test_a_batch_that_is_partly_there_is_refused(store: EventStore, names: tuple[str, str], expected: int) -> None:
    """A batch of which only some events are recorded was never appended as such; none of the rest is."""
    store.append(batch("a"))

    with pytest.raises(IdempotencyConflict) as caught:
        store.append(batch(*names, expected=expected))

    assert caught.value.event == event_id("a")
    assert store.head() == 1


@pytest.mark.parametrize("expected", [NO_STREAM, ANY])
def test_the_same_batch_given_twice_at_once_is_written_once(
    store: EventStore, collect: Callable[..., list[object]], expected: int
) -> None:
    """Two equal batches in one commit group are one append with one answer, and their neighbours are not touched."""
    one = batch("a", "b", expected=expected)
    answers = collect(store, [batch("before", stream="s/1"), one, one, batch("behind", stream="s/2"), one])

    assert answers[1] == answers[2] == answers[4] == Appended(1, 2, {STREAM: 2})
    assert isinstance(answers[0], Appended)
    assert isinstance(answers[3], Appended)
    assert [e.id for e in store.read()] == [event_id(name) for name in ("before", "a", "b", "behind")]


def test_one_id_for_two_contents_at_once_goes_to_the_first(
    store: EventStore, collect: Callable[..., list[object]]
) -> None:
    """Of two different events with one id in one commit group the first is recorded, the second refused."""
    other = [Append("s/1", ANY, [_with(facts={"step": "other"})])]
    answers = collect(store, [[Append("s/1", ANY, [_with()])], other, batch("b", stream="s/2")])

    assert isinstance(answers[0], Appended)
    assert isinstance(answers[1], IdempotencyConflict)
    assert isinstance(answers[2], Appended)
    assert store.head() == 2
