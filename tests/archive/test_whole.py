"""A store and its archive are checked by several processes as by one: the same report, whatever was changed where."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.archive import WholeStore, archive_log, drop_archived
from actum.archive.places import ArchivePlace, Bucket, Folder
from actum.events import RecordedEvent
from actum.eventstore import ANY, Append, EventStore, ViewRow, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Verification
from actum.eventstore.check.workers import ReadElsewhere, Workers
from actum.eventstore.floor import HotStore
from actum.testing import logs
from actum.testing.builders import KEY, event, execution_row
from actum.testing.tampering import Tampered

from .conftest import SEGMENT, sign

KEYS = [KEY.verifier()]
FLOORS = (8, 16, 24)


def rebuild(events: Iterator[RecordedEvent]) -> list[ViewRow]:
    return logs.rebuild(one for one in events if one.stream in logs.STREAMS)


def fill(store: EventStore) -> None:
    """Thirty events with a row each; every second has a payload, of which every third is personal and never leaves."""
    for i in range(30):
        stream = logs.STREAMS[i % 3]
        new = event(i, payload=b'{"n":%d}' % i if i % 2 else None)
        new.payload_class = "personal" if i % 3 == 0 else "business"
        store.append([Append(stream, ANY, [new], [execution_row(stream, error_type=new.id)])])


def leave(store: EventStore, place: ArchivePlace, floor: int) -> None:
    """Archive three segments of eight, and let those below the floor go."""
    fill(store)
    sign(store)
    archive_log(store, place, KEYS, segment_events=SEGMENT)
    sign(store)
    drop_archived(cast(HotStore, store), place, KEYS, keep_events=store.head() - floor)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log and its archive, once for each floor."""
    folder = tmp_path_factory.mktemp("good")
    for floor in FLOORS:
        (folder / str(floor)).mkdir()
        store = open_store(f"sqlite:///{folder}/{floor}/log.db")
        leave(store, Folder(folder / str(floor) / "archive"), floor)
        store.close()
    return folder


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, stretch=4, least=8) as workers:
        yield workers


def put(path: Path, row: int, column: str, to: Callable[[Any], Any]) -> None:
    table = pq.read_table(path)
    rows = table.to_pylist()
    if rows:
        rows[row % len(rows)][column] = to(rows[row % len(rows)][column])
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)


def without(path: Path, row: int) -> None:
    table = pq.read_table(path)
    rows = [one for number, one in enumerate(table.to_pylist()) if number != row % max(1, table.num_rows)]
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)


COPY: dict[str, Callable[[Path, Path, int], object]] = {
    "nothing": lambda headers, payloads, row: None,
    "a header": lambda headers, payloads, row: put(headers, row, "header", lambda h: h.replace('"success"', '"other"')),
    "no JSON": lambda headers, payloads, row: put(headers, row, "header", lambda h: "{"),
    "a stream": lambda headers, payloads, row: put(headers, row, "stream", str.upper),
    "a version": lambda headers, payloads, row: put(headers, row, "version", lambda v: v + 1),
    "a position": lambda headers, payloads, row: put(headers, row, "position", lambda p: p + 1),
    "an event less": lambda headers, payloads, row: without(headers, row),
    "no segment": lambda headers, payloads, row: headers.unlink(),
    "half a file": lambda headers, payloads, row: os.truncate(headers, headers.stat().st_size // 2),
    "a payload": lambda headers, payloads, row: put(payloads, row, "data", lambda _: b"{}"),
    "a payload less": lambda headers, payloads, row: without(payloads, row),
    "no payloads": lambda headers, payloads, row: payloads.unlink(),
}
HERE: dict[str, Callable[[Tampered, int], object]] = {
    "nothing": lambda log, at: None,
    "a type": lambda log, at: log.sql("UPDATE events SET type = 'step.failed' WHERE seq = ?", at),
    "an event less": lambda log, at: log.delete(at),
    "a payload": lambda log, at: log.sql("UPDATE payloads SET data = x'00' WHERE seq = ?", at),
    "no payload": lambda log, at: log.sql("DELETE FROM payloads WHERE seq = ?", at),
    "a head": lambda log, at: log.sql("UPDATE streams SET last_leaf = zeroblob(32) WHERE no = ?", at % 3),
    "a row": lambda log, at: log.sql("UPDATE executions SET owner = 'x' WHERE id = ?", logs.STREAMS[at % 3]),
    "the tree": lambda log, at: log.sql("UPDATE tree_state SET frontier = zeroblob(length(frontier))"),
}


def both(hot: EventStore, place: ArchivePlace, workers: Workers, **options: Any) -> tuple[Verification, Verification]:
    store = WholeStore(cast(HotStore, hot), place)
    alone, together = (check_store(store, keys=KEYS, workers=w, **options) for w in (None, workers))
    return alone, together


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@forall(
    floor=st.sampled_from(FLOORS),
    copy=st.sampled_from(sorted(COPY)),
    here=st.sampled_from(sorted(HERE)),
    segment=st.sampled_from([0, 8, 16]),
    row=st.integers(0, 7),
    at=st.integers(0, 36),
    stretch=st.sampled_from([1, 2, 4, 8, 16]),
    views=st.booleans(),
)
def test_whatever_is_changed_in_store_or_archive_the_answer_is_the_same(
    good: Path,
    tmp_path: Path,
    workers: Workers,
    floor: int,
    copy: str,
    here: str,
    segment: int,
    row: int,
    at: int,
    stretch: int,
    views: bool,
) -> None:
    """Any change, in the copy or in the store, is named by several processes as it is by one."""
    folder = tmp_path / str(uuid4())
    shutil.copytree(good / str(floor), folder)
    archive = folder / "archive"
    COPY[copy](archive / f"{segment:012d}.parquet", archive / f"{segment:012d}.payloads.parquet", row)
    HERE[here](Tampered(folder / "log.db"), at)
    workers.stretch = stretch

    store = open_store(f"sqlite:///{folder}/log.db")
    alone, together = both(store, Folder(archive), workers, rebuild=rebuild if views else None)
    store.close()

    assert together == alone
    if copy == here == "nothing":
        assert alone.verdict == "verified"
    shutil.rmtree(folder)


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("stretch", [1, 4, 16])
def test_a_good_whole_is_proved_by_the_processes(
    good: Path, workers: Workers, floor: int, stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archive, seam and store: this process reads only what is left over after the last stretch."""
    workers.stretch = stretch
    hot = cast(HotStore, open_store(f"sqlite:///{good}/{floor}/log.db"))
    store = WholeStore(hot, Folder(good / str(floor) / "archive"))
    raw: list[int] = []
    read = store.read_raw
    monkeypatch.setattr(store, "read_raw", lambda after=-1, limit=None: raw.append(after) or read(after, limit))

    found = check_store(store, keys=KEYS, rebuild=rebuild, workers=workers)
    hot.close()

    assert (found.verdict, found.events) == ("verified", found.size)
    assert raw == [found.size // stretch * stretch - 1]


def test_the_archive_is_read_from_elsewhere_only_where_the_store_can_be(log: EventStore, folder: Folder) -> None:
    """A store in memory is this process's alone, and so is what it makes with its archive."""
    assert not isinstance(WholeStore(cast(HotStore, log), folder), ReadElsewhere)


def test_a_lost_segment_is_a_finding(good: Path, tmp_path: Path) -> None:
    """Not an error that ends the check: its first event is named, and what comes before it is proved."""
    shutil.copytree(good / "16", tmp_path / "log")
    (tmp_path / "log/archive/000000000008.parquet").unlink()
    store = open_store(f"sqlite:///{tmp_path}/log/log.db")
    found = check_store(WholeStore(cast(HotStore, store), Folder(tmp_path / "log/archive")), keys=KEYS)
    store.close()

    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert (found.events, found.first_bad.position) == (8, 8)
    assert "archive: it is missing: no segment holds it" in found.first_bad.reason


def test_postgresql_and_its_archive_are_read_by_several_processes(
    postgres: str, folder: Folder, workers: Workers
) -> None:
    """A changed event of the store is named as ever."""
    from actum.testing.postgres import ask

    workers.stretch = 4
    store = open_store(postgres)
    leave(store, folder, 16)
    alone, together = both(store, folder, workers, rebuild=rebuild)
    assert together == alone
    assert alone.verdict == "verified"
    ask(postgres, "SET session_replication_role = replica", "UPDATE events SET type = 'x' WHERE version = 7")
    alone, together = both(store, folder, workers, rebuild=rebuild)
    store.close()
    assert together == alone
    assert alone.verdict == "failed"


def test_a_bucket_is_fetched_from_once_for_all_processes(s3_place: ArchivePlace, tmp_path: Path) -> None:
    """What one process has fetched the others find in the same folder; a good archive is proved by them."""
    bucket = cast(Bucket, s3_place)
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    leave(store, bucket, 24)
    with Workers(2, stretch=4, least=8) as workers:
        fresh = Bucket(bucket.url)
        alone, together = both(store, fresh, workers)
        fetched = {path.name for path in fresh._here.iterdir()}
        again = workers.submit(Bucket.fetch, fresh, "000000000000.parquet").result()
    store.close()

    assert together == alone
    assert alone.verdict == "verified"
    assert "000000000000.parquet" in fetched
    assert again == fresh._here / "000000000000.parquet"
