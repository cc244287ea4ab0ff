"""Segments leave the store only when their copy is proved, and then store and archive are read as one log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from actum.archive import WholeStore, archive_log, drop_archived, restore
from actum.archive.places import Folder
from actum.archive.reading import ArchivedEvents
from actum.errors import (
    ArchiveDamaged,
    CheckpointRefused,
    EventsArchived,
    IdempotencyConflict,
    StoreDamaged,
    VersionConflict,
)
from actum.events import to_us
from actum.events.checkpoint import SigningKey
from actum.eventstore import ANY, Append, Appended, EventStore, open_store
from actum.eventstore.check.seals import Trusted
from actum.eventstore.check.store import check_store
from actum.eventstore.floor import HotStore
from actum.eventstore.sealing.sealer import seal_log
from actum.testing.builders import KEY, event

from .conftest import SEGMENT, grow, sign

KEYS = [KEY.verifier()]


@pytest.fixture
def hot(log: EventStore, folder: Folder) -> HotStore:
    """Twenty events, two segments archived and recorded, all signed: 22 events."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    sign(log)
    return cast(HotStore, log)


def said(store: EventStore, *types: str) -> list[tuple[str, int]]:
    return [(e.type, e.facts["first"]) for e in store.read_stream("system/default") if e.type in types]


def left(store: EventStore) -> list[tuple[str, int]]:
    return said(store, "segment.dropped", "segment.restored")


# -- leaving ----------------------------------------------------------------------------------------------------


def test_archived_segments_leave_lowest_first(hot: HotStore, folder: Folder) -> None:
    """The floor rises behind each, and the log says which left, and to where."""
    gone = drop_archived(hot, folder, KEYS)

    assert [one.first for one in gone] == [0, 8]
    assert hot.floor().size == 16
    dropped = [e for e in hot.read_stream("system/default") if e.type == "segment.dropped"]
    assert [e.facts for e in dropped] == [
        {"first": one.first, "count": 8, "root": one.root.hex(), "place": folder.url} for one in gone
    ]
    assert drop_archived(hot, folder, KEYS) == []
    assert len(left(hot)) == 2


def test_personal_payloads_stay_in_the_store(hot: HotStore, folder: Folder) -> None:
    """What the archive never had is where it was: the payloads of 0 and 9; 3, 6, 12 and 15 went with their events."""
    drop_archived(hot, folder, KEYS)

    assert [position for position, _, _ in hot.payloads_here(0, 16)] == [0, 9]


@pytest.mark.parametrize(("keep", "gone"), [(0, 2), (6, 2), (7, 1), (14, 1), (15, 0), (1000, 0)])
def test_the_newest_events_stay(hot: HotStore, folder: Folder, keep: int, gone: int) -> None:
    """A segment leaves only when so many events follow it: of 22, six follow the second and fourteen the first."""
    assert len(drop_archived(hot, folder, KEYS, keep_events=keep)) == gone


@pytest.mark.parametrize(("days", "gone"), [(1, 2), (2, 2), (3, 0)])
def test_events_of_the_last_days_stay(hot: HotStore, folder: Folder, days: float, gone: int) -> None:
    """A segment leaves only when its last event was recorded so long ago."""
    recorded = max(to_us(e.recorded_at) for e in hot.read())
    later = recorded + round(2.5 * 86_400_000_000)

    assert len(drop_archived(hot, folder, KEYS, keep_days=days, clock=lambda: later)) == gone


def test_nothing_leaves_before_its_record_is_signed(log: EventStore, folder: Folder) -> None:
    """`segment.archived` must be in the log, and under a checkpoint that a trusted key signed."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    hot = cast(HotStore, log)
    assert drop_archived(hot, folder, KEYS) == []

    seal_log(log, SigningKey.generate("actum/default", seed=bytes(32)))
    assert drop_archived(hot, folder, KEYS) == []
    with pytest.raises(CheckpointRefused, match="no key was given"):
        drop_archived(hot, folder, [])
    assert (hot.floor().size, left(hot)) == (0, [])


def other_header(rows: list[dict[str, Any]]) -> None:
    rows[2]["header"] = rows[2]["header"].replace('"success"', '"failure"')


def test_a_copy_that_is_not_what_was_signed_keeps_the_events_here(hot: HotStore, folder: Folder) -> None:
    """One byte of the copy was changed since it was archived: it is read again, so that is seen, and nothing leaves."""
    path = folder.path / "000000000000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    other_header(rows)
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)

    with pytest.raises(ArchiveDamaged):
        drop_archived(hot, folder, KEYS)
    assert (hot.floor().size, left(hot)) == (0, [])


def test_a_copy_that_is_gone_keeps_the_events_here(hot: HotStore, folder: Folder) -> None:
    """The log says that it was archived; that is not enough."""
    (folder.path / "000000000000.parquet").unlink()

    with pytest.raises(ArchiveDamaged, match="there is no file"):
        drop_archived(hot, folder, KEYS)
    assert hot.floor().size == 0


def test_payloads_that_the_archive_lost_stay(hot: HotStore, folder: Folder) -> None:
    """A payload leaves only when the copy has it."""
    (folder.path / "000000000000.payloads.parquet").unlink()
    drop_archived(hot, folder, KEYS)

    assert [position for position, _, _ in hot.payloads_here(0, 16)] == [0, 3, 6, 9]


def test_a_store_that_is_not_what_was_archived_loses_nothing(tmp_path: Path, folder: Folder) -> None:
    """A row that was changed in the store is evidence: it is not deleted."""
    import sqlite3

    log = open_store(f"sqlite:///{tmp_path}/log.db")
    grow(log, 0, 20)
    sign(log)
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    sign(log)
    con = sqlite3.connect(tmp_path / "log.db")
    con.execute("DROP TRIGGER events_no_update")
    con.execute("UPDATE events SET type = 'step.failed' WHERE seq = 5")
    con.commit()
    con.close()

    with pytest.raises(StoreDamaged, match="event 5: it is not what was archived and signed"):
        drop_archived(cast(HotStore, log), folder, KEYS)
    assert cast(HotStore, log).floor().size == 0
    log.close()


# -- reading as one ---------------------------------------------------------------------------------------------


def everything(store: EventStore) -> object:
    """All that reading can give, for comparing a store with itself later."""
    return {
        "raw": list(store.read_raw(limit=22)),
        "read": [(e.position, e.header, e.payload, e.salt) for e in store.read(limit=22)],
        "bare": [(e.position, e.header, e.payload) for e in store.read(limit=22, payloads=False)],
        "types": [e.position for e in store.read(types=["step.completed"], limit=18)],
        "windows": [[r.position for r in store.read_raw(after, 5)] for after in range(-1, 17)],
        "streams": {
            name: [(e.position, e.header, e.payload, e.salt) for e in store.read_stream(name)]
            for name in ("s/0", "s/1", "s/2", "s/none")
        },
        "parts": [
            [e.version for e in store.read_stream("s/1", low, end)] for low in range(7) for end in (None, 0, 2, 4, 99)
        ],
    }


@pytest.mark.parametrize("first", [1, 2])
def test_store_and_archive_are_read_as_one_log(hot: HotStore, folder: Folder, first: int) -> None:
    """Whether one segment has left or both: every way of reading gives what it gave before, payloads and all."""
    before = everything(hot)
    drop_archived(hot, folder, KEYS, keep_events=0 if first == 2 else 14)
    assert hot.floor().size == 8 * first

    assert everything(WholeStore(hot, folder)) == before


def test_a_whole_store_is_verified_whole(hot: HotStore, folder: Folder) -> None:
    """No gap is stated: every header and payload is read and hashed, from wherever it is."""
    drop_archived(hot, folder, KEYS)
    found = check_store(WholeStore(hot, folder), keys=KEYS)

    assert (found.verdict, found.events) == ("verified", hot.head())


def test_a_changed_copy_is_found_by_verifying_the_whole(hot: HotStore, folder: Folder) -> None:
    """And its event is named."""
    drop_archived(hot, folder, KEYS)
    path = folder.path / "000000000000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    other_header(rows)
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)

    found = check_store(WholeStore(hot, folder), keys=KEYS)
    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert found.first_bad.position == 2


def test_reading_goes_on_while_segments_leave_and_come_back(hot: HotStore, folder: Folder) -> None:
    """A reader that began before sees each event once, whatever happens between its pages."""
    whole = WholeStore(hot, folder)
    for change in (
        lambda: drop_archived(hot, folder, KEYS),
        lambda: restore(hot, folder, KEYS, lambda events: {}),
    ):
        reading = whole.read_raw(limit=22)
        seen = [next(reading).position for _ in range(3)]
        change()
        assert seen + [row.position for row in reading] == list(range(22))


def test_a_stream_is_looked_for_only_where_it_is(
    hot: HotStore, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the segments that have left, one is opened: the one that holds what is asked for."""
    drop_archived(hot, folder, KEYS)
    fetched: list[str] = []
    fetch = folder.fetch
    monkeypatch.setattr(folder, "fetch", lambda name: fetched.append(name) or fetch(name))
    (found,) = WholeStore(hot, folder).read_stream("s/1", 3, 4)

    assert found.position == 10
    assert set(fetched) == {"000000000008.parquet", "000000000008.payloads.parquet"}


def test_an_archive_that_lost_a_segment_is_named(hot: HotStore, folder: Folder) -> None:
    """Not an event is skipped: the first missing one is named."""
    drop_archived(hot, folder, KEYS)
    (folder.path / "000000000008.parquet").unlink()
    whole = WholeStore(hot, folder)

    with pytest.raises(ArchiveDamaged, match="event 8: it is missing"):
        list(whole.read_raw())
    with pytest.raises(ArchiveDamaged):
        whole.read_stream("s/1")


def test_an_archive_of_another_log_is_refused(hot: HotStore, folder: Folder, tmp_path: Path) -> None:
    """Its segments say whose they are."""
    drop_archived(hot, folder, KEYS)
    with pytest.raises(ArchiveDamaged, match="is of tenant 'default'"):
        list(ArchivedEvents(folder, "other").between(0, 8))


def test_appending_and_sealing_go_on(hot: HotStore, folder: Folder) -> None:
    """Without the archive too: the sealer grows the tree from the floor, and its signature is right for the whole."""
    drop_archived(hot, folder, KEYS)
    hot.append([Append("s/1", hot.stream_version("s/1"), [event("more")])])
    checkpoint = seal_log(hot, KEY)

    assert checkpoint is not None
    assert checkpoint.size == hot.head()
    assert check_store(WholeStore(hot, folder), keys=KEYS).verdict == "verified"


def test_the_same_append_again_is_answered_by_its_version(hot: HotStore, folder: Folder) -> None:
    """With the archive at hand it gets its first answer; without, a refusal; who expected nothing is not told."""
    drop_archived(hot, folder, KEYS)
    whole = WholeStore(hot, folder)
    before = whole.head()
    both = [Append("s/1", 0, [event(1), event(4)]), Append("s/2", 5, [event(17)])]
    assert whole.append(both) == Appended(1, 17, {"s/1": 2, "s/2": 6})
    with pytest.raises(VersionConflict):
        hot.append([Append("s/1", 0, [event(1)])])
    with pytest.raises(VersionConflict):
        whole.append([Append("s/1", 1, [event(1)])])
    with pytest.raises(IdempotencyConflict):
        whole.append([Append("s/1", 0, [event(1, n=2)])])
    assert whole.head() == before
    whole.append([Append("s/1", ANY, [event(1)])])
    assert whole.head() == before + 1


# -- verifying without the archive --------------------------------------------------------------------------------


def test_without_the_archive_the_gap_is_stated(hot: HotStore, folder: Folder) -> None:
    """All that is here is proved from the floor on, and what was not read is said."""
    drop_archived(hot, folder, KEYS)
    seal_log(hot, KEY)
    found = check_store(hot, keys=KEYS, rebuild=lambda events: [])

    checks = {check.name: check for check in found.checks}
    assert (found.verdict, found.first_bad, found.events) == ("verified_with_gaps", None, 8)
    assert checks["archive"].ok is None
    assert "events 0 to 15 are in the archive and were not read" in checks["archive"].detail
    assert checks["projections"].ok is None
    assert [name for name, check in checks.items() if check.ok] == [
        "positions", "headers", "columns", "streams", "chains", "payloads", "tree", "checkpoints", "signatures",
        "own stream",
    ]  # fmt: skip


def tampered(tmp_path: Path, *statements: str) -> Any:
    """A SQLite store with a floor at 16, changed by somebody who may, as it is verified then."""
    import sqlite3

    log = cast(HotStore, open_store(f"sqlite:///{tmp_path}/log.db"))
    log.append([Append("system/default", ANY, [event("own"), event("own too")])])
    grow(log, 0, 20)
    sign(log)
    folder = Folder(tmp_path / "archive")
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    sign(log)
    drop_archived(log, folder, KEYS)
    con = sqlite3.connect(tmp_path / "log.db")
    for trigger in ("events_no_update", "events_no_delete"):
        con.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        con.execute(statement)
    con.commit()
    con.close()
    try:
        found = check_store(log, keys=KEYS)
    finally:
        log.close()
    return found


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE floors SET frontier = substr(frontier, 1, 8) || zeroblob(32)", "tree"),
        ("UPDATE floors SET position = 17", "tree"),
        ("UPDATE events SET header = replace(CAST(header AS TEXT), 'success', 'failure') WHERE seq = 17", "headers"),
        ("DELETE FROM events WHERE seq = 16", "positions"),
        ("UPDATE events SET header = CAST(replace(header, 'success', 'failure') AS BLOB) WHERE seq = 0", "own stream"),
        ("DELETE FROM events WHERE seq = 0", "own stream"),
    ],
)
def test_above_the_floor_nothing_is_changed_unseen(tmp_path: Path, statement: str, check: str) -> None:
    """Nor is the floor itself, nor what the log says of itself below it."""
    assert tampered(tmp_path).verdict == "verified_with_gaps"
    (tmp_path / "again").mkdir()
    found = tampered(tmp_path / "again", statement)

    assert found.verdict == "failed"
    assert check in {line.name for line in found.checks if line.ok is False}, found


def test_a_checkpoint_kept_apart_from_below_the_floor_is_not_compared(hot: HotStore, folder: Folder) -> None:
    """It cannot be without the archive, and that is said; with the archive it is."""
    from actum.testing.builders import signed

    note = signed(hot, 5)
    drop_archived(hot, folder, KEYS)
    beliefs = Trusted(keys=KEYS, kept=note, kept_at="elsewhere")

    def kept(store: EventStore) -> bool | None:
        return next(c.ok for c in check_store(store, trusted=beliefs).checks if c.name == "kept checkpoint")

    assert kept(hot) is None
    assert kept(WholeStore(hot, folder)) is True


# -- killed between any two steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["append", "drop"])
@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_a_run_that_broke_off_is_completed_by_the_next(
    hot: HotStore, folder: Folder, step: str, landed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after the record, before or after the drop: reads are right meanwhile, and each is recorded once."""
    before = list(hot.read_raw(limit=22))
    real: Callable[..., Any] = getattr(hot, step)

    def breaking(*args: Any, **named: Any) -> None:
        if landed:
            real(*args, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(hot, step, breaking)
    with pytest.raises(KeyboardInterrupt):
        drop_archived(hot, folder, KEYS)
    monkeypatch.undo()
    assert list(WholeStore(hot, folder).read_raw(limit=22)) == before

    drop_archived(hot, folder, KEYS)
    assert hot.floor().size == 16
    assert left(hot) == [("segment.dropped", 0), ("segment.dropped", 8)]
    assert list(WholeStore(hot, folder).read_raw(limit=22)) == before
    with pytest.raises(EventsArchived):
        list(hot.read())
