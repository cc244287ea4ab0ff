"""What an append promises: what comes back, which version is expected, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from actum.errors import StoreUnavailable, VersionConflict
from actum.events import leaf_hash
from actum.eventstore import ANY, EXISTS, NO_STREAM, Append, Appended, EventStore
from actum.testing.builders import STREAM, batch, event, event_id
from actum.testing.faults import FaultyStore


def ids(store: EventStore) -> list[str]:
    return [recorded.id for recorded in store.read()]


def test_an_event_comes_back_as_it_was_given(store: EventStore) -> None:
    """Type, facts, time, actor, links and payload of a recorded event are those of the new one."""
    new = event("a", payload=b'{"x":1}', step="charge", occurrence=3)
    new.causation, new.correlation, new.trace = event_id("c"), event_id("d"), "00-1-01"

    store.append([Append(STREAM, NO_STREAM, [new])])

    (got,) = store.read_stream(STREAM)
    assert (got.id, got.type, got.facts, got.at, got.actor) == (new.id, new.type, new.facts, new.at, new.actor)
    assert (got.payload, got.value()) == (b'{"x":1}', {"x": 1})
    assert [got.head[name] for name in ("causation", "correlation", "trace")] == [
        new.causation,
        new.correlation,
        new.trace,
    ]
    assert (got.position, got.stream, got.version) == (0, STREAM, 0)
    assert got.head["tenant"] == store.tenant


def test_the_answer_says_where_the_events_are(store: EventStore) -> None:
    """An append over two streams is answered with its first and last position and both new versions."""
    store.append(batch("x", stream="a/1"))

    answer = store.append([Append("a/1", 1, [event("b"), event("c")]), Append("a/2", 0, [event("d")])])

    assert answer == Appended(1, 3, {"a/1": 3, "a/2": 1})


def test_links_and_leaves_follow_from_the_stored_bytes(store: EventStore) -> None:
    """Each event names the leaf hash of its stream's previous event, whatever lies between them in the log."""
    store.append(batch("a1", stream="s/a"))
    store.append([Append("s/b", 0, [event("b1")]), Append("s/a", 1, [event("a2"), event("a3")])])

    a1, b1, a2, a3 = store.read()
    assert (a1.prev, b1.prev) == (None, None)
    assert a2.prev == sha256(b"\x00" + a1.header).hexdigest()
    assert a3.prev == leaf_hash(a2.header).hex() == a2.leaf.hex()
    assert [e.version for e in (a1, a2, a3)] == [0, 1, 2]


def test_no_payload_and_the_payload_null_are_different(store: EventStore) -> None:
    """An event without a payload reads back None; the payload `null` reads back its four bytes."""
    store.append([Append(STREAM, 0, [event("none"), event("null", payload=b"null"), event("empty", payload=b"")])])

    none, null, empty = store.read()
    assert (none.payload, "payload" in none.head) == (None, False)
    assert (null.payload, null.head["payload"]["size"]) == (b"null", 4)
    assert (empty.payload, empty.head["payload"]["size"]) == (b"", 0)


@pytest.mark.parametrize(
    ("there", "expected"),
    [(0, NO_STREAM), (0, ANY), (2, 2), (2, EXISTS), (2, ANY)],
)
def test_a_met_expectation_lets_the_append_through(store: EventStore, there: int, expected: int) -> None:
    """NO_STREAM fits no stream, EXISTS any stream with events, a number exactly that many events, ANY everything."""
    if there:
        store.append(batch(*range(there)))

    store.append(batch("new", expected=expected))

    assert store.stream_version(STREAM) == there + 1


@pytest.mark.parametrize(
    ("there", "expected", "said"),
    [(2, NO_STREAM, "0"), (0, EXISTS, "an existing stream"), (2, 1, "1"), (2, 3, "3"), (0, 1, "1")],
)
def test_an_unmet_expectation_names_both_sides(store: EventStore, there: int, expected: int, said: str) -> None:
    """A version conflict carries stream, expected and actual version, says them, and nothing was written."""
    if there:
        store.append(batch(*range(there)))

    with pytest.raises(VersionConflict) as caught:
        store.append(batch("new", expected=expected))

    assert (caught.value.stream, caught.value.expected, caught.value.actual) == (STREAM, said, there)
    assert said in str(caught.value)
    assert f"version {there}" in str(caught.value)
    assert ids(store) == [event_id(i) for i in range(there)]


def test_one_conflict_refuses_the_whole_batch(store: EventStore) -> None:
    """When one of three streams is not as expected, none of the three gets an event."""
    store.append(batch("there", stream="s/2"))
    before = store.tree()

    with pytest.raises(VersionConflict):
        store.append([Append(f"s/{i}", 0, [event(f"new{i}")]) for i in (1, 2, 3)])

    assert (ids(store), store.tree()) == ([event_id("there")], before)
    assert [store.stream_version(f"s/{i}") for i in (1, 2, 3)] == [0, 1, 0]


def test_one_stream_twice_in_a_batch_grows_twice(store: EventStore) -> None:
    """The second part of a batch for the same stream expects the version that the first part made."""
    store.append([Append(STREAM, 0, [event("a")]), Append("s/x", ANY, [event("x")]), Append(STREAM, 1, [event("b")])])
    with pytest.raises(VersionConflict):
        store.append([Append(STREAM, 2, [event("c")]), Append(STREAM, 2, [event("d")])])

    assert [e.id for e in store.read_stream(STREAM)] == [event_id("a"), event_id("b")]


@pytest.mark.parametrize("soon", [False, True], ids=["append", "append_soon"])
@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_trying_again_after_no_answer_records_once(store: EventStore, landed: bool, soon: bool) -> None:
    """Whether or not the first write landed, the second try leaves one copy and gives the answer."""
    flaky = FaultyStore(store, landed=landed)

    if soon:
        got: list[object] = []
        flaky.append_soon(batch("a", expected=NO_STREAM), got.append)
        store.append(batch("behind", stream="s/x"))  # whatever was given before is answered before
        assert isinstance(got[0], StoreUnavailable)
    else:
        with pytest.raises(StoreUnavailable, match="append the same events again"):
            flaky.append(batch("a", expected=NO_STREAM))
    answer = flaky.append(batch("a", expected=NO_STREAM))

    assert ids(store).count(event_id("a")) == 1
    assert answer.versions == {STREAM: 1}


def test_what_was_acknowledged_is_there_after_reopening(
    store: EventStore, reopen: Callable[[EventStore], EventStore]
) -> None:
    """Events, payloads, streams, tree and checkpoints outlive the store object."""
    store.append([Append(STREAM, 0, [event("a", payload=b"1"), event("b")])])
    store.add_checkpoint(2, "a note")
    before = (list(store.read_raw()), list(store.streams()), store.tree(), store.checkpoints())

    again = reopen(store)

    assert (list(again.read_raw()), list(again.streams()), again.tree(), again.checkpoints()) == before
    assert again.append(batch("c", expected=2)) == Appended(2, 2, {STREAM: 3})
