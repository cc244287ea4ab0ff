"""A store whose past has left for the archive: what it still answers, what it refuses, and how it takes events back."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from actum.errors import EventsArchived, StoreDamaged, StoreRefused, VersionConflict
from actum.events.merkle import Frontier
from actum.eventstore import ANY, Append, EventStore, RawEvent, TreeState
from actum.eventstore.check.store import check_store
from actum.eventstore.floor import HotStore, Stretch
from actum.testing.builders import batch, event, event_id, execution_row
from actum.testing.places import Place

SYSTEM = "system/default"


def tree_at(rows: list[RawEvent], size: int) -> TreeState:
    from actum.events import leaf_hash

    frontier = Frontier()
    frontier.extend([leaf_hash(row.header) for row in rows[:size]])
    return TreeState(size, frontier.to_bytes())


def filled(store: EventStore, first: int = 0, count: int = 20) -> HotStore:
    """Events over three streams and the log's own one; the fourth and eighth of every nine have a payload."""
    for i in range(first, first + count):
        stream = SYSTEM if i % 7 == 3 else f"s/{i % 3}"
        store.append([Append(stream, ANY, [event(i, payload=b"%d" % i if i % 9 in (3, 7) else None)])])
    return cast(HotStore, store)


@pytest.fixture
def hot(place: Place) -> HotStore:
    return filled(place.open())


def drop(store: HotStore, floor: int, new: int, payloads: list[int] | None = None) -> list[RawEvent]:
    """All there was, before positions from `floor` to `new` left."""
    rows = list(store.read_raw(floor - 1))
    frontier = Frontier.from_bytes(store.floor().frontier)
    from actum.events import leaf_hash

    frontier.extend([leaf_hash(row.header) for row in rows[: new - floor]])
    store.drop(floor, TreeState(new, frontier.to_bytes()), payloads or [], keep=SYSTEM)
    return rows


def test_a_store_holds_everything_at_first(hot: HotStore) -> None:
    """Its floor is the empty tree."""
    assert hot.floor() == TreeState(0, Frontier().to_bytes())
    assert hot.departed("s/0") == []


def test_what_left_is_refused_by_name_and_nothing_is_skipped(hot: HotStore) -> None:
    """Every way of reading says where the floor is, and gives not one event above it first."""
    drop(hot, 0, 8)

    assert hot.floor().size == 8
    for after in (-1, 0, 5, 6):
        for read in (
            lambda a: hot.read(a),
            lambda a: hot.read_raw(a),
            lambda a: hot.read(a, types=["step.failed", "step.completed"]),
            lambda a: hot.read(a, payloads=False),
        ):
            with pytest.raises(EventsArchived) as caught:
                next(iter(read(after)))
            assert (caught.value.stream, caught.value.at, caught.value.floor) == (None, after + 1, 8)
    with pytest.raises(EventsArchived, match=r"version 1 of stream 's/1'.*ACTUM_ARCHIVE") as caught:
        hot.read_stream("s/1", 1)
    assert (caught.value.stream, caught.value.at, caught.value.floor) == ("s/1", 1, 8)


def test_what_is_above_the_floor_is_read_as_before(hot: HotStore) -> None:
    """Positions, streams from the version that is here on, types, and what is behind the end."""
    rows = drop(hot, 0, 8)

    assert list(hot.read_raw(7)) == rows[8:]
    assert [e.position for e in hot.read(10, 3)] == [11, 12, 13]
    assert [e.position for e in hot.read(7, types=["step.completed"])] == list(range(8, 20))
    assert [e.version for e in hot.read_stream("s/0", 3)] == [3, 4, 5]
    assert list(hot.read(19)) == hot.read_stream("s/0", 6) == hot.read_stream("s/none") == []
    assert hot.read_stream("s/0", 1, 1) == []


def test_the_logs_own_stream_stays(hot: HotStore) -> None:
    """Keys, checkpoints and what was archived are read without the archive, however high the floor is."""
    before = [e.header for e in hot.read_stream(SYSTEM)]
    drop(hot, 0, 16)

    assert [e.header for e in hot.read_stream(SYSTEM)] == before
    assert hot.departed(SYSTEM) == []


def test_the_rest_of_the_store_stays_as_it_was(hot: HotStore) -> None:
    """Head, tree, ends of streams, checkpoints and views know nothing of the floor."""
    hot.append(batch("x", views=(execution_row("e"),)))
    hot.add_checkpoint(5, "a note")

    def all_of_it() -> object:
        return hot.head(), hot.tree(), sorted(hot.streams()), hot.checkpoints(), hot.view("executions")

    before = all_of_it()
    drop(hot, 0, 16)
    assert all_of_it() == before
    assert hot.stream_version("s/0") == 6


def test_appending_goes_on(hot: HotStore) -> None:
    """The chain and the tree go on from events that are no longer here, to the last of them."""
    last = {name: leaf for name, _, leaf in hot.streams()}
    drop(hot, 0, 20)
    hot.append(batch("more", stream="s/1", expected=hot.stream_version("s/1")))

    (new,) = hot.read(19)
    assert new.prev == last["s/1"].hex()
    assert hot.tree().size == hot.head() == 21


def test_the_same_events_again_after_they_left(hot: HotStore) -> None:
    """With the version they expected they are refused, since the stream has moved on; nothing is there twice."""
    drop(hot, 0, 8)

    for expected in (0, 1):
        with pytest.raises(VersionConflict):
            hot.append(batch(0, stream="s/0", expected=expected))
    assert hot.head() == 20


def test_where_a_stream_has_gone_is_known(hot: HotStore) -> None:
    """Each stretch of its versions, with the first position of what left together."""
    drop(hot, 0, 8)
    drop(hot, 8, 16)

    assert hot.departed("s/0") == [Stretch(0, 0, 2), Stretch(8, 2, 5)]
    assert hot.departed("s/none") == []


def test_payloads_that_must_not_leave_stay(hot: HotStore) -> None:
    """Only those that were named go with their events; the others are found by position."""
    before = [(r.position, r.salt, r.payload) for r in hot.read_raw() if r.payload is not None]
    assert list(hot.payloads_here(0, 20)) == before
    assert [p for p, _, _ in hot.payloads_here(3, 12)] == [3, 7]
    drop(hot, 0, 16, payloads=[7, 12])

    assert list(hot.payloads_here(0, 20)) == [row for row in before if row[0] not in (7, 12)]


def test_events_come_back_as_they_were(hot: HotStore) -> None:
    """Segment by segment from the top down; then nothing tells that they were away."""
    rows, payloads = list(hot.read_raw()), list(hot.payloads_here(0, 20))
    drop(hot, 0, 8, payloads=[7])
    drop(hot, 8, 16, payloads=[12])
    hot.append(batch("more", stream="s/1"))
    stayed = {position for position, _, _ in hot.payloads_here(0, 16)}
    # As an archive has them: without the payloads that stayed.
    away = [r._replace(salt=None, payload=None) if r.position in stayed else r for r in rows]

    hot.put_back(16, tree_at(rows, 8), away[8:16])
    assert hot.floor() == tree_at(rows, 8)
    assert hot.departed("s/0") == [Stretch(0, 0, 2)]
    assert list(hot.read_raw(7, 12)) == rows[8:]
    with pytest.raises(EventsArchived):
        list(hot.read_raw(6))

    hot.put_back(8, tree_at(rows, 0), away[:8])
    assert hot.floor().size == 0
    assert list(hot.read_raw(limit=20)) == rows
    assert list(hot.payloads_here(0, 20)) == payloads
    assert [e.version for e in hot.read_stream("s/0")] == list(range(hot.stream_version("s/0")))
    assert check_store(hot).verdict == "verified"


def test_a_floor_that_moved_is_refused(hot: HotStore) -> None:
    """Of two processes that let go of the same events one wins; the other is told, and has done nothing."""
    rows = drop(hot, 0, 8)
    before = list(hot.read_raw(7)), hot.floor()

    with pytest.raises(StoreRefused, match="floor is at position 8, not 0"):
        hot.drop(0, tree_at(rows, 8), [], keep=SYSTEM)
    with pytest.raises(StoreRefused, match="floor is at position 8, not 16"):
        hot.put_back(16, tree_at(rows, 8), rows[8:16])
    assert (list(hot.read_raw(7)), hot.floor()) == before


def test_an_event_whose_id_was_used_again_cannot_come_back(hot: HotStore) -> None:
    """An id that left is free again for who expects no version; then it is the new event's, and the old one is told."""
    rows = drop(hot, 0, 8)
    hot.append(batch(0, stream="s/other"))

    with pytest.raises(StoreDamaged):
        hot.put_back(8, tree_at(rows, 0), rows[:8])
    assert hot.floor().size == 8
    with pytest.raises(EventsArchived):
        hot.read_stream("s/0")


def test_an_empty_store_begins_where_another_ended(place: Place, hot: HotStore) -> None:
    """With its streams, its tree and its views; then its events can come back, and it can be appended to."""
    other = cast(HotStore, place.open("other"))
    rows = list(hot.read_raw())
    streams = sorted(hot.streams())
    parts = [(name, Stretch(0, 0, version)) for name, version, _ in streams]
    other.begin_at(hot.tree(), streams, parts, [execution_row("e")])

    assert (other.head(), other.tree(), other.floor()) == (20, hot.tree(), hot.tree())
    assert sorted(other.streams()) == streams
    assert [row["id"] for row in other.view("executions")] == ["e"]
    with pytest.raises(EventsArchived):
        other.read_stream("s/0")
    other.put_back(20, TreeState(0, bytes(8)), rows)
    assert list(other.read_raw()) == rows
    assert other.departed("s/0") == []
    other.append([Append("s/0", 6, [event("more")])])
    with pytest.raises(StoreRefused, match="is not empty"):
        other.begin_at(hot.tree(), streams, parts, [])


def test_the_floor_survives(place: Place, hot: HotStore, reopen: Callable[[EventStore], EventStore]) -> None:
    """A store that is opened again has the floor that it had."""
    drop(hot, 0, 8)
    floor = hot.floor()
    again = cast(HotStore, reopen(hot))

    assert again.floor() == floor
    assert [e.id for e in again.read(7, 1)] == [event_id(8)]


def test_another_tenant_is_not_touched(shared: Place) -> None:
    """A floor is one tenant's."""
    mine, theirs = filled(shared.open("mine")), filled(shared.open("theirs"), 100)
    before = list(theirs.read_raw())
    drop(mine, 0, 16)

    assert list(theirs.read_raw()) == before
    assert theirs.floor().size == 0
