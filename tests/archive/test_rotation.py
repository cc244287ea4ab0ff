"""Archive, key rotations and epochs: whoever trusts the first key of a log can prove all of its archive."""

from __future__ import annotations

from typing import Any, cast

import pytest

from actum.archive import archive_log, check_archive, drop_archived, restore
from actum.archive.places import Folder
from actum.engine.rules.views import rebuild
from actum.errors import BadInput, CheckpointRefused, LogForked
from actum.events.checkpoint import SigningKey
from actum.eventstore import EventStore, open_store
from actum.eventstore.check.seals import Trusted
from actum.eventstore.check.store import check_store
from actum.eventstore.floor import HotStore
from actum.eventstore.sealing.checkpoint_store import MemoryCheckpoint
from actum.eventstore.sealing.record import record_rotation
from actum.eventstore.sealing.restored import begin_epoch
from actum.eventstore.sealing.sealer import Sealer, seal_log
from actum.testing.builders import KEY
from actum.testing.clock import NOON_US

from .conftest import SEGMENT, grow, sign

SECOND = SigningKey.generate("actum/default", seed=bytes(range(32, 64)))
FIRST = [KEY.verifier()]


def new() -> HotStore:
    return cast(HotStore, open_store("memory://"))


def clock() -> int:
    return NOON_US


@pytest.fixture
def rotated(folder: Folder) -> HotStore:
    """Two segments archived under the first key; then a rotation, a third segment under the second key."""
    store = new()
    grow(store, 0, 17)
    sign(store)
    archive_log(store, folder, FIRST, segment_events=SEGMENT)
    record_rotation(store, clock, KEY, SECOND)
    grow(store, 17, 12)
    seal_log(store, SECOND)
    return store


def test_archiving_goes_on_after_a_rotation(rotated: HotStore, folder: Folder) -> None:
    """Who pinned the first key need not be told of the second: the log says it, and both signed that."""
    new = archive_log(rotated, folder, FIRST, segment_events=SEGMENT)

    assert [segment.first for segment in new] == [16, 24]
    assert check_archive(folder, "default", FIRST, store=rotated).verdict == "verified"
    assert check_archive(folder, "default", [SECOND.verifier()], store=rotated).verdict == "verified"
    seal_log(rotated, SECOND)
    assert len(drop_archived(rotated, folder, FIRST)) == 4
    assert len(restore(rotated, folder, FIRST, rebuild)) == 4
    assert check_store(rotated, keys=FIRST).verdict == "verified"


@pytest.mark.parametrize("pinned", [KEY, SECOND], ids=["first", "second"])
def test_the_archive_alone_tells_of_the_rotation(rotated: HotStore, folder: Folder, pinned: SigningKey) -> None:
    """Without the log, and for a store that was lost, the rotation is read from the segment that holds it."""
    archive_log(rotated, folder, FIRST, segment_events=SEGMENT)
    keys = [pinned.verifier()]

    assert check_archive(folder, "default", keys).verdict == "verified"
    again = new()
    assert len(restore(again, folder, keys, rebuild)) == 4
    assert check_store(again, keys=keys).verdict == "verified_with_gaps"


def test_a_key_that_handed_over_signs_no_more(rotated: HotStore, folder: Folder) -> None:
    """A checkpoint of a later size by the old key, stolen perhaps, covers no segment."""
    grow(rotated, 40, 8)
    sign(rotated)
    archive_log(rotated, folder, FIRST, segment_events=SEGMENT)

    assert {s.signed.size for s in _segments(folder)} == {17, 32}
    assert check_archive(folder, "default", FIRST).verdict == "verified"


def _segments(folder: Folder) -> Any:
    from actum.archive import segments_of

    return segments_of(folder, "default")


def test_a_rotation_that_is_not_at_hand_is_not_guessed(folder: Folder) -> None:
    """Where neither log nor archive has the event, the keys are named, and what to do is said."""
    store = new()
    grow(store, 0, 16)
    record_rotation(store, clock, KEY, SECOND)
    seal_log(store, SECOND)
    archive_log(store, folder, FIRST, segment_events=SEGMENT)

    found = check_archive(folder, "default", FIRST)
    assert found.verdict == "failed"
    signatures = next(check for check in found.checks if check.name == "signatures")
    assert "no known key signed it" in signatures.detail
    with pytest.raises(CheckpointRefused, match="no known key signed it"):
        restore(new(), folder, FIRST, rebuild)
    assert check_archive(folder, "default", [*FIRST, SECOND.verifier()]).verdict == "verified"


# -- a store that was lost, and went on as another epoch ---------------------------------------------------------------


def lost(folder: Folder, kept: MemoryCheckpoint) -> HotStore:
    """A log of 25 signed events was lost; what its archive had, two segments, is a store again."""
    store = new()
    grow(store, 0, 20)
    Sealer(store, KEY, kept).seal()
    archive_log(store, folder, FIRST, segment_events=SEGMENT)
    grow(store, 20, 3)
    Sealer(store, KEY, kept).seal()
    again = new()
    restore(again, folder, FIRST, rebuild)
    return again


def verified(store: EventStore, kept: MemoryCheckpoint) -> dict[str, str]:
    found = check_store(store, keys=FIRST, trusted=Trusted(kept=kept.latest(), kept_at="kept"))
    assert found.verdict == "verified_with_gaps", found
    return {check.name: check.detail for check in found.checks}


def test_a_lost_store_goes_on_in_a_new_epoch_with_its_archive(folder: Folder) -> None:
    """The sealer refuses until the loss is stated; then both losses are told, and the same archive grows on."""
    kept = MemoryCheckpoint()
    store = lost(folder, kept)
    with pytest.raises(LogForked):
        Sealer(store, KEY, kept).seal()
    begin_epoch(store, KEY, kept, clock, "the disk died")

    told = verified(store, kept)
    assert "4 signed events that followed are lost" in told["restored"]
    assert "begins epoch 2: 25 events were signed" in told["epochs"]

    grow(store, 60, 10)
    Sealer(store, KEY, kept).seal()
    assert [one.first for one in archive_log(store, folder, FIRST, segment_events=SEGMENT)] == [16]
    found = check_archive(folder, "default", FIRST, store=store)
    assert found.verdict == "verified_with_gaps"
    assert [(check.name, check.ok, check.detail) for check in found.checks if check.name == "epochs"] == [
        (
            "epochs",
            None,
            "the checkpoint of 000000000000.parquet and of 1 more belongs to the lost epoch of actum/default, "
            "abandoned at size 25 by event 17",
        )
    ]
    assert check_archive(folder, "default", FIRST).checks[-1].name == "epochs"  # a segment holds the event that says so
    Sealer(store, KEY, kept).seal()
    assert len(drop_archived(store, folder, FIRST)) == 3
    verified(store, kept)
    assert len(restore(store, folder, FIRST, rebuild)) == 3
    verified(store, kept)


def test_a_store_lost_twice_is_made_again_from_both_epochs(folder: Folder) -> None:
    """Segments under the first epoch's checkpoints and under the second's lie in one archive, and prove one log."""
    kept = MemoryCheckpoint()
    store = lost(folder, kept)
    begin_epoch(store, KEY, kept, clock, "the disk died")
    grow(store, 60, 10)
    Sealer(store, KEY, kept).seal()
    archive_log(store, folder, FIRST, segment_events=SEGMENT)

    again = new()
    assert len(restore(again, folder, FIRST, rebuild)) == 3
    with pytest.raises(LogForked):
        Sealer(again, KEY, kept).seal()
    begin_epoch(again, KEY, kept, clock, "the next disk died")
    told = verified(again, kept)
    assert "begins epoch 2" in told["epochs"]
    assert "begins epoch 3" in told["epochs"]
    with pytest.raises(BadInput, match="nothing is lost"):
        begin_epoch(again, KEY, kept, clock, "once more")
    Sealer(again, KEY, kept).seal()
    archive_log(again, folder, FIRST, segment_events=SEGMENT)
    assert check_archive(folder, "default", FIRST, store=again).verdict == "verified_with_gaps"
