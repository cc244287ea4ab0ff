"""Events removed, added or moved behind the store's back are found, and the place is named."""

from __future__ import annotations

from typing import Any

import pytest

from actum.eventstore.check.verdict import Verification
from actum.testing.builders import KEY
from actum.testing.logs import STREAMS, rebuild
from actum.testing.tampering import Tampered


def verify(tampered: Tampered, **options: Any) -> Verification:
    return tampered.verify(**{"keys": (KEY.verifier(),), "rebuild": rebuild} | options)


def failed(found: Verification) -> list[str]:
    return [check.name for check in found.checks if check.ok is False]


@pytest.mark.parametrize("forged", [False, True], ids=["as is", "tree and heads forged"])
@pytest.mark.parametrize("position", [0, 13])
def test_a_deleted_event_is_found(tampered: Tampered, position: int, forged: bool) -> None:
    """A hole in the positions is named, with stream and version of the event that was there."""
    tampered.delete(position)
    if forged:
        tampered.fix_tree()

    found = verify(tampered)

    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert found.first_bad[:3] == (position, STREAMS[position % 3], position // 3)
    assert "missing" in found.first_bad.reason


def test_a_hole_closed_again_is_found(tampered: Tampered) -> None:
    """Moving all later events down over a deleted one leaves a hole in its stream's versions."""
    tampered.delete(13)
    tampered.renumber()
    tampered.fix_tree()

    found = verify(tampered)

    assert found.first_bad is not None
    assert found.first_bad[:3] == (15, "s/b", 5)
    assert "version 4 of the stream should come here" in found.first_bad.reason


def test_a_deleted_tail_is_found_by_tree_and_heads(tampered: Tampered) -> None:
    """Events cut off at the end are missing from the tree's state and from their streams' heads."""
    tampered.delete(29)
    found = verify(tampered)

    assert {"positions", "streams", "tree"} <= set(failed(found))
    assert found.first_bad is not None
    assert found.first_bad[:3] == (29, "s/c", 9)


@pytest.mark.parametrize("fixed", ["tree", "streams"])
def test_a_deleted_tail_is_found_by_either(tampered: Tampered, fixed: str) -> None:
    """Forging the tree's state leaves the heads; forging the heads leaves the tree."""
    tampered.delete(29)
    tampered.delete(28)
    tampered.fix_tree() if fixed == "tree" else tampered.fix_streams()

    found = verify(tampered)

    assert found.first_bad is not None
    assert found.first_bad.position == 28
    assert failed(found)[0] == ("streams" if fixed == "tree" else "positions")


def test_a_deleted_tail_with_all_forged_is_found_by_a_checkpoint(tampered: Tampered) -> None:
    """With tree and heads forged, a checkpoint larger than the log shows that it was cut."""
    for position in range(29, 14, -1):
        tampered.delete(position)
    tampered.fix_tree()
    tampered.fix_streams()

    found = verify(tampered, rebuild=None)

    assert failed(found) == ["checkpoints"]
    assert found.first_bad is not None
    assert found.first_bad.position == 15
    assert "checkpoint of size 20" in found.first_bad.reason


def test_a_deleted_stream_is_found(tampered: Tampered) -> None:
    """A stream removed whole, with positions closed and tree forged, is missed by its head, then by checkpoints."""
    for position in range(1, 30, 3):
        tampered.delete(position)
    tampered.renumber()
    tampered.fix_tree()
    assert "streams" in failed(verify(tampered))


def test_two_swapped_events_are_found(tampered: Tampered) -> None:
    """Two events of one stream that changed places are out of place; the first is named."""
    tampered.swap(3, 9)
    found = verify(tampered)

    assert found.first_bad is not None
    assert found.first_bad.position == 3


def test_neighbours_of_two_streams_swapped_are_found(tampered: Tampered) -> None:
    """Events of different streams that changed places break no chain, but the tree; the times tell where."""
    tampered.swap(3, 4)
    found = verify(tampered)

    assert failed(found) == ["tree", "checkpoints"]
    assert found.first_bad is not None
    assert found.first_bad.position == 0
    assert "at 4 the recorded times run backwards" in found.first_bad.reason


def test_a_duplicated_event_is_found(tampered: Tampered) -> None:
    """The same header a second time, under whatever columns, does not belong there."""
    tampered.sql(
        "INSERT INTO events SELECT 30, tenant, stream, 10, randomblob(16), type, header FROM events WHERE seq = 27"
    )
    tampered.fix_tree()
    tampered.sql("UPDATE streams SET version = 11 WHERE name = 's/a'")

    found = verify(tampered)

    assert found.first_bad is not None
    assert found.first_bad.position == 30
    assert {"columns", "chains"} <= set(failed(found))


def test_a_forged_event_at_the_end_is_found(tampered: Tampered) -> None:
    """An event with the right version and link, but not in the tree, was not appended by the store."""
    tampered.forge(30, after=27)

    found = verify(tampered)

    assert {"streams", "tree"} <= set(failed(found))
    assert found.first_bad is not None
    assert found.first_bad[:3] == (30, "s/a", 10)


def test_a_forged_event_in_place_of_a_true_one_is_found(tampered: Tampered) -> None:
    """An event put where another was, with valid version, link and columns, is named by what follows it."""
    tampered.delete(15)
    tampered.forge(15, after=12)
    tampered.fix_tree()

    found = verify(tampered)

    assert found.first_bad is not None
    assert found.first_bad[:3] == (15, "s/a", 5)
