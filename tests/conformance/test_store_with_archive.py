"""The reading promises, kept by a store half of whose events have left for an archive that is read as one with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from actum.archive.places import Folder
from actum.archive.segment import Segment, write_payloads, write_segment
from actum.archive.whole import WholeStore
from actum.events import leaf_hash
from actum.events.merkle import Frontier, root_of
from actum.eventstore import EventStore, TreeState
from actum.eventstore.check.store import check_store
from actum.eventstore.floor import HotStore
from actum.testing.builders import signed
from actum.testing.places import Place
from tests.conformance.test_store_reading import (  # noqa: F401 - the same promises, collected here once more
    fill,
    test_a_long_log_is_read_whole_and_in_order,
    test_a_stream_is_read_by_version,
    test_payloads_are_left_out_when_not_asked_for,
    test_raw_rows_say_what_the_header_says,
    test_reading_begins_behind_a_position_and_ends_at_the_limit,
    test_types_filter_before_the_limit_counts,
)

pytestmark = pytest.mark.slow
SEGMENT, GONE = 256, 5


def leave(hot: HotStore, folder: Folder, here: Path) -> None:
    """Let the lowest segments go as `archive_log` and `drop_archived` do, but without a word in the log."""
    note = signed(hot, hot.head())
    frontier = Frontier()
    for first in range(0, SEGMENT * GONE, SEGMENT):
        rows = list(hot.read_raw(first - 1, SEGMENT))
        leaves = [leaf_hash(row.header) for row in rows]
        segment = Segment(hot.tenant, first, SEGMENT, root_of(leaves), [], note)
        write_segment(here / segment.name, segment, rows)
        write_payloads(here / segment.payloads_name, rows)
        folder.put(segment.payloads_name, here / segment.payloads_name)
        folder.put(segment.name, here / segment.name)
        frontier.extend(leaves)
        # Half of the payloads stay, as personal ones do.
        going = [row.position for row in rows if row.position % 2]
        hot.drop(first, TreeState(frontier.size, frontier.to_bytes()), going, keep="system/default")


@pytest.fixture
def long(place: Place, tmp_path: Path) -> Iterator[EventStore]:
    hot = cast(HotStore, place.open())
    fill(hot)
    folder = Folder(tmp_path / "archive")
    leave(hot, folder, tmp_path)
    assert hot.floor().size == SEGMENT * GONE
    store = WholeStore(hot, folder)
    yield store
    assert check_store(store).verdict == "verified"


def test_a_subscription_passes_from_the_archive_into_the_store(long: EventStore) -> None:
    """It sees every event once, in order, and never learns where each was."""
    from actum.eventstore import MemoryCursors, Subscription
    from actum.eventstore.subscriptions.consumer import AtLeastOnce

    seen: list[int] = []
    consumer = AtLeastOnce(MemoryCursors(), "reader", lambda events: seen.extend(e.position for e in events))
    Subscription(long, "reader", consumer, batch=333).catch_up()

    assert seen == list(range(long.head()))
