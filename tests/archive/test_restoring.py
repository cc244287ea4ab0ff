"""What left comes back as it was; and a store that was lost is made again from its archive, as far as that goes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from actum.archive import WholeStore, archive_log, drop_archived, restore
from actum.archive.places import Folder
from actum.engine.rules.views import rebuild
from actum.errors import ArchiveDamaged, BadInput, CheckpointRefused, LogForked
from actum.eventstore import EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.views import by_view
from actum.eventstore.floor import HotStore
from actum.eventstore.sealing.checkpoint_store import MemoryCheckpoint
from actum.eventstore.sealing.sealer import Sealer, seal_log
from actum.testing.builders import KEY, event
from actum.testing.logs import fill
from actum.testing.logs import rebuild as small_rebuild

from .conftest import SEGMENT, grow, sign

KEYS = [KEY.verifier()]


@pytest.fixture(params=["memory", "postgresql", "sqlite"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], HotStore]]:
    """What opens an empty store of this name."""
    url = request.getfixturevalue("postgres") if request.param == "postgresql" else ""
    opened: list[EventStore] = []

    def make(name: str) -> HotStore:
        from actum.testing.postgres import wipe

        if url:
            for store in opened:
                store.close()
            wipe(url)
        store = open_store({"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/{name}.db"}.get(request.param, url))
        opened.append(store)
        return cast(HotStore, store)

    yield make
    for store in opened:
        store.close()


def filled(store: HotStore, folder: Folder) -> list[Any]:
    """Twenty events and more, in two archived segments and what follows them; all signed."""
    grow(store, 0, 20)
    sign(store)
    archive_log(store, folder, KEYS, segment_events=SEGMENT)
    sign(store)
    return list(store.read_raw())


def test_what_left_comes_back_as_it_was(new: Callable[[str], HotStore], folder: Folder) -> None:
    """Events, payloads and streams; the log says that they came back, and all of it is verified."""
    store = new("log")
    rows = filled(store, folder)
    drop_archived(store, folder, KEYS)
    back = restore(store, folder, KEYS, rebuild)

    assert [one.first for one in back] == [8, 0]
    assert store.floor().size == 0
    assert list(store.read_raw(limit=22)) == rows
    assert [(e.type, e.facts["first"]) for e in store.read(types=["segment.dropped", "segment.restored"])] == [
        ("segment.dropped", 0),
        ("segment.dropped", 8),
        ("segment.restored", 8),
        ("segment.restored", 0),
    ]
    assert check_store(store, keys=KEYS).verdict == "verified"
    assert restore(store, folder, KEYS, rebuild) == []


def test_it_can_leave_and_come_back_again(new: Callable[[str], HotStore], folder: Folder) -> None:
    """Each time is recorded as one of its own."""
    store = new("log")
    rows = filled(store, folder)
    for gone in (2, 1):
        assert len(drop_archived(store, folder, KEYS)) == gone
        assert len(restore(store, folder, KEYS, rebuild, start=9)) == 1
        assert store.floor().size == 8
    restore(store, folder, KEYS, rebuild)

    assert list(store.read_raw(limit=22)) == rows
    types = [e.type for e in store.read(types=["segment.dropped", "segment.restored"])]
    assert (types.count("segment.dropped"), types.count("segment.restored")) == (3, 3)


def test_a_lost_store_is_made_again(new: Callable[[str], HotStore], folder: Folder) -> None:
    """Up to the last segment; what the archive does not have is a gap that is stated, and all else is proved."""
    rows = filled(new("log"), folder)
    store = new("again")
    restore(store, folder, KEYS, rebuild)

    personal = (0, 9)
    assert [r._replace(salt=None, payload=None) if r.position in personal else r for r in rows[:16]] == list(
        store.read_raw(limit=16)
    )
    found = check_store(store, keys=KEYS, rebuild=rebuild)
    checks = {check.name: check for check in found.checks}
    assert (found.verdict, found.events, found.first_bad) == ("verified_with_gaps", 17, None)
    assert checks["restored"].detail == (
        "the first 16 events came back from an archive: 2 payloads never left the lost store "
        "(personal, under a data key, or over 256 KiB), and 4 signed events that followed are lost"
    )
    assert checks["projections"].ok is True
    store.append([_append("s/1", store.stream_version("s/1"))])
    assert restore(store, folder, KEYS, rebuild) == []


def _append(stream: str, expected: int) -> Any:
    from actum.eventstore import Append

    return Append(stream, expected, [event("more")])


def test_views_are_made_again(new: Callable[[str], HotStore], folder: Folder) -> None:
    """A log of executions gives its lists back, and they follow from the events."""
    store = new("log")
    fill(store)
    sign(store)
    archive_log(store, folder, KEYS, segment_events=SEGMENT)
    size = 30 // SEGMENT * SEGMENT
    again = new("again")
    restore(again, folder, KEYS, small_rebuild)

    wanted = by_view(small_rebuild(again.read(limit=size)))
    assert {row["id"]: row["error_type"] for row in again.view("executions")} == {
        key: row["error_type"] for (key,), row in wanted["executions"].items()
    }
    found = check_store(again, keys=KEYS, rebuild=lambda events: small_rebuild(e for e in events if e.position < size))
    assert next(c.ok for c in found.checks if c.name == "projections") is True


def test_a_store_made_again_does_not_become_a_second_log(new: Callable[[str], HotStore], folder: Folder) -> None:
    """More was signed than the archive has: the sealer says so by name, and signs nothing."""
    store = new("log")
    filled(store, folder)
    kept = MemoryCheckpoint()
    Sealer(store, KEY, kept).seal()
    grow(store, 50, 3)
    Sealer(store, KEY, kept).seal()
    again = new("again")
    restore(again, folder, KEYS, rebuild)

    with pytest.raises(LogForked, match="it has 17 events, but 25 were signed"):
        Sealer(again, KEY, kept).seal()


def test_a_store_made_again_can_be_sealed_when_nothing_was_lost(new: Callable[[str], HotStore], folder: Folder) -> None:
    """Where the last signed size is in the archive, signing goes on."""
    store = new("log")
    grow(store, 0, 16)
    kept = MemoryCheckpoint()
    Sealer(store, KEY, kept).seal()
    archive_log(store, folder, KEYS, segment_events=SEGMENT)
    again = new("again")
    restore(again, folder, KEYS, rebuild)

    assert [size for size, _ in again.checkpoints()] == [16]
    checkpoint = Sealer(again, KEY, kept).seal()
    assert checkpoint is not None
    assert checkpoint.size == 17


@pytest.mark.parametrize("step", ["begin_at", "append", "put_back"])
@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
@pytest.mark.parametrize("lost", [False, True], ids=["left", "lost store"])
def test_a_restore_that_broke_off_is_completed_by_the_next(
    folder: Folder, step: str, landed: bool, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after each write, into the store or into a new one: reads with the archive are right meanwhile."""
    store = cast(HotStore, open_store("memory://"))
    rows = filled(store, folder)
    if lost:
        store = cast(HotStore, open_store("memory://"))
        rows = [r._replace(salt=None, payload=None) if r.position in (0, 9) else r for r in rows[:16]]
    elif step == "begin_at":
        return
    else:
        drop_archived(store, folder, KEYS)
    real: Callable[..., Any] = getattr(store, step)

    def breaking(*args: Any, **named: Any) -> None:
        if landed:
            real(*args, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, step, breaking)
    with pytest.raises(KeyboardInterrupt):
        restore(store, folder, KEYS, rebuild)
    monkeypatch.undo()
    if store.head():
        assert list(WholeStore(store, folder).read_raw(limit=len(rows))) == rows

    restore(store, folder, KEYS, rebuild)
    assert list(store.read_raw(limit=len(rows))) == rows
    said = [e.type for e in store.read(types=["segment.restored", "log.rebuilt"])]
    assert said == (["log.rebuilt"] if lost else ["segment.restored", "segment.restored"])
    assert check_store(store, keys=KEYS).verdict == ("verified_with_gaps" if lost else "verified")


def test_nothing_comes_back_that_is_not_what_was_signed(folder: Folder) -> None:
    """A changed copy, no key, a stranger's key, no archive: nothing is written."""
    from actum.events.checkpoint import SigningKey

    store = cast(HotStore, open_store("memory://"))
    filled(store, folder)
    drop_archived(store, folder, KEYS)
    head = store.head()
    stranger = SigningKey.generate("actum/default", seed=bytes(32)).verifier()
    for target in (store, cast(HotStore, open_store("memory://"))):
        with pytest.raises(CheckpointRefused, match="no key was given"):
            restore(target, folder, [], rebuild)
        with pytest.raises(CheckpointRefused):
            restore(target, folder, [stranger], rebuild)
        with pytest.raises(BadInput, match="no segment"):
            restore(target, Folder(folder.path / "nothing"), KEYS, rebuild)

    path = folder.path / "000000000008.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[2]["header"] = rows[2]["header"].replace('"success"', '"failure"')
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    for target in (store, cast(HotStore, open_store("memory://"))):
        with pytest.raises(ArchiveDamaged):
            restore(target, folder, KEYS, rebuild)
    assert (store.floor().size, store.head()) == (16, head)


def test_a_floor_that_no_segment_ends_at_is_refused(folder: Folder, tmp_path: Path) -> None:
    """Another archive than the one that the events left to cannot give them back."""
    store = cast(HotStore, open_store("memory://"))
    filled(store, folder)
    drop_archived(store, folder, KEYS)
    other = Folder(tmp_path / "other")
    other.path.mkdir()
    for name in folder.names()[:2]:
        shutil.copy(folder.path / name, other.path / name)

    with pytest.raises(BadInput, match="no segment ends at 16"):
        restore(store, other, KEYS, rebuild)


def test_sealing_after_a_restore_signs_the_same_log(new: Callable[[str], HotStore], folder: Folder) -> None:
    """Leaving and coming back are events like any other: the tree grows on."""
    store = new("log")
    filled(store, folder)
    drop_archived(store, folder, KEYS)
    restore(store, folder, KEYS, rebuild)

    checkpoint = seal_log(store, KEY)
    assert checkpoint is not None
    assert checkpoint.size == store.head() == 26
