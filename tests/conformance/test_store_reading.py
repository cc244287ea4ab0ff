"""Reading: ranges, filters, limits and pages, over logs longer than any page."""

from __future__ import annotations

from itertools import product

import pytest

from actum.events import PAYLOAD_LIMIT_BYTES
from actum.events.checkpoint import SigningKey
from actum.eventstore import ANY, Append, EventStore
from actum.testing.builders import STREAM, batch, event, event_id, signed
from actum.testing.places import Place

LONG = 2_345


def fill(store: EventStore) -> None:
    """2,345 events: every third a failure, every fifth in a stream of its own."""
    for start in range(0, LONG, 500):
        store.append(
            [
                Append(
                    "s/five" if i % 5 == 0 else "s/rest",
                    ANY,
                    [event(i, "step.failed" if i % 3 == 0 else "step.completed", b"%d" % i)],
                )
                for i in range(start, min(start + 500, LONG))
            ]
        )


@pytest.fixture
def long(store: EventStore) -> EventStore:
    """A long log; see `fill`."""
    fill(store)
    return store


def test_a_long_log_is_read_whole_and_in_order(long: EventStore) -> None:
    """However many pages it takes, reading gives each event once, in order, with its own payload."""
    read = list(long.read())

    assert [e.position for e in read] == list(range(LONG)) == [e.value() for e in read]
    assert [r.position for r in long.read_raw()] == list(range(LONG))


def test_reading_begins_behind_a_position_and_ends_at_the_limit(long: EventStore) -> None:
    """`after` is excluded, `limit` counts what is given, and beyond either end there is nothing."""
    places = [-5, -1, 0, 998, 999, 1000, LONG - 2, LONG - 1, LONG, 10**9]
    for after, limit in product(places, [None, 0, 1, 1000, 1001]):
        wanted = list(range(max(after, -1) + 1, LONG))[:limit]

        assert [e.position for e in long.read(after, limit)] == wanted, (after, limit)
        assert [r.position for r in long.read_raw(after, limit)] == wanted, (after, limit)


def test_types_filter_before_the_limit_counts(long: EventStore) -> None:
    """With `types`, the limit counts only events of these types, from wherever reading begins."""
    failed = list(range(0, LONG, 3))

    assert [e.position for e in long.read(types=["step.failed"])] == failed
    assert [e.position for e in long.read(100, 700, types=["step.failed"])] == [p for p in failed if p > 100][:700]
    assert [e.position for e in long.read(types=["step.failed", "step.completed"], limit=5)] == [0, 1, 2, 3, 4]
    assert list(long.read(types=["timer.set"])) == list(long.read(types=[])) == []


def test_payloads_are_left_out_when_not_asked_for(long: EventStore) -> None:
    """Without payloads, headers are the same and payload and salt are None."""
    without, whole = list(long.read(limit=10, payloads=False)), list(long.read(limit=10))

    assert [e.header for e in without] == [e.header for e in whole]
    assert {(e.payload, e.salt) for e in without} == {(None, None)}
    assert all(e.payload and e.salt for e in whole)


def test_a_stream_is_read_by_version(long: EventStore) -> None:
    """`from_version` is included, `to_version` is not; a range outside of the stream is empty."""
    ranges = [(0, None), (0, 0), (3, 7), (3, 3), (7, 3), (400, None), (400, 10**6), (469, None), (-2, 2)]
    for start, to in ranges:
        versions = list(range(469))[max(start, 0) : to]

        assert [e.version for e in long.read_stream("s/five", start, to)] == versions, (start, to)
        assert {e.stream for e in long.read_stream("s/five", start, to)} <= {"s/five"}


def test_a_stream_that_does_not_exist_is_empty(store: EventStore) -> None:
    """No such stream: no events, version 0, and it does not appear among the streams."""
    assert (store.read_stream("s/none"), store.stream_version("s/none"), list(store.streams())) == ([], 0, [])
    assert (list(store.read()), store.head()) == ([], 0)


def test_stream_names_are_not_patterns(store: EventStore) -> None:
    """Names that differ only in case, a wildcard or a trailing space are different streams."""
    names = ["s/a", "s/A", "s/%", "s/_", "s/a ", "S/a", "s/'; DROP TABLE events; --"]
    for name in names:
        store.append(batch(name, stream=name))

    for name in names:
        assert [e.id for e in store.read_stream(name)] == [event_id(name)]
    assert sorted(name for name, _, _ in store.streams()) == sorted(names)


def test_raw_rows_say_what_the_header_says(long: EventStore) -> None:
    """Columns and header of a raw event agree, and the payload comes with its 32-byte salt."""
    for raw, recorded in zip(long.read_raw(limit=1100), long.read(limit=1100), strict=True):
        assert (raw.stream, raw.version, raw.id, raw.type) == (
            recorded.stream,
            recorded.version,
            recorded.id,
            recorded.type,
        )
        assert (raw.header, raw.payload, raw.salt) == (recorded.header, recorded.payload, recorded.salt)
        assert raw.salt is not None
        assert len(raw.salt) == 32


def test_salts_are_fresh(store: EventStore) -> None:
    """Equal payloads have different salts, so their digests do not tell that they are equal."""
    store.append([Append(STREAM, ANY, [event(i, payload=b"yes") for i in range(50)])])

    assert len({raw.salt for raw in store.read_raw()}) == 50
    assert len({e.head["payload"]["digest"] for e in store.read()}) == 50


def test_big_batches_are_one_append(store: EventStore) -> None:
    """Thousands of events over many streams, and large payloads, go through in one batch."""
    store.append([Append(f"s/{i}", 0, [event(f"{i}-{n}") for n in range(30)]) for i in range(100)])
    store.append([Append("s/big", 0, [event(f"big{i}", payload=bytes(PAYLOAD_LIMIT_BYTES)) for i in range(20)])])

    assert store.head() == 3020
    assert [e.version for e in store.read_stream("s/99")] == list(range(30))


def test_a_checkpoint_is_kept_once_per_size(store: EventStore) -> None:
    """Checkpoints come back by size; the first one of a size stays."""
    store.append(batch("a", "b"))
    other = SigningKey.generate("actum/other", seed=bytes(32))
    first, second = signed(store, 1), signed(store, 2)
    for size, note in ((2, second), (1, first), (2, signed(store, 2, other))):
        store.add_checkpoint(size, note)

    assert store.checkpoints() == [(1, first), (2, second)]
    assert store.head() == 2


def test_two_tenants_are_two_logs(shared: Place) -> None:
    """Two tenants of one store have positions, trees, streams, views, ids and checkpoints of their own."""
    one, two = shared.open("one"), shared.open("two")
    for i in range(5):
        one.append(batch(f"1-{i}"))
        two.append(batch(f"2-{i}", f"2-{i}b"))
    one.append(batch("same"))
    two.append(batch("same"))
    one.add_checkpoint(1, "one's")

    assert [e.position for e in one.read()] == list(range(6))
    assert [e.position for e in two.read()] == list(range(11))
    assert [e.position for e in two.read(after=-7)] == list(range(11))
    assert {e.head["tenant"] for e in two.read()} == {"two"}
    assert (one.head(), two.head(), one.stream_version(STREAM), two.stream_version(STREAM)) == (6, 11, 6, 11)
    assert (one.checkpoints(), two.checkpoints()) == ([(1, "one's")], [])
    assert one.tree() != two.tree()
