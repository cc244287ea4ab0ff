"""With several processes the check says exactly what the one pass says, about any log, and only sooner."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.events import Actor, RecordedEvent
from actum.events.timestamp import load_roots, stamp_request
from actum.eventstore import ANY, Append, EventStore, open_store
from actum.eventstore.check.events import EventScan
from actum.eventstore.check.seals import Trusted
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Verification
from actum.eventstore.check.workers import Workers
from actum.eventstore.custody.erasing import erase_subject
from actum.eventstore.memory import MemoryStore
from actum.eventstore.sealing.record import record_stamp, seal_streams
from actum.eventstore.sealing.sealer import Sealer
from actum.eventstore.sqlite.store import SQLiteStore
from actum.testing import mysql, postgres
from actum.testing.authority import Authority
from actum.testing.builders import KEY, event, signed
from actum.testing.clock import NOON_US, ManualClock
from actum.testing.logs import STREAMS, fill, rebuild
from actum.testing.postgres import wipe
from actum.testing.tampering import Tampered
from tests.eventstore.check.changes import CHANGES, COVERINGS

KEYS = (KEY.verifier(),)


def both(tampered: Tampered, workers: Workers, **options: Any) -> tuple[Verification, Verification]:
    options = {"keys": KEYS, "rebuild": rebuild} | options
    return tampered.verify(**options, workers=None), tampered.verify(**options, workers=workers)


@pytest.fixture
def good_log(original: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "good.db"
    path.write_bytes(original)
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@forall(
    what=st.sampled_from(sorted(CHANGES)),
    at=st.integers(0, 29),
    covered_by=st.sampled_from(sorted(COVERINGS)),
    stretch=st.sampled_from([1, 2, 4, 8]),
    views=st.booleans(),
)
def test_whatever_is_changed_the_answer_is_the_same(
    good_log: Path, workers: Workers, what: str, at: int, covered_by: str, stretch: int, views: bool
) -> None:
    """Any change, at any place, covered up in any way, is named by several processes as it is by one."""
    path = good_log.with_name(f"{uuid4()}.db")
    shutil.copy(good_log, path)
    tampered = Tampered(path)
    CHANGES[what](tampered, at)
    with suppress(IndexError, TypeError):  # of a stream without events, of a header that is no bytes
        COVERINGS[covered_by](tampered)
    workers.stretch = stretch

    alone, together = both(tampered, workers, rebuild=rebuild if views else None)

    assert together == alone
    path.unlink()


@pytest.mark.parametrize("stretch", [2, 8])
@pytest.mark.parametrize("what", ["another canonical header", "an event less", "another payload", "neighbours swapped"])
def test_wherever_the_seams_are_the_answer_is_the_same(
    good_log: Path, workers: Workers, what: str, stretch: int
) -> None:
    """Before a seam, after it, and far from any, the same event is named."""
    workers.stretch = stretch
    for at in range(30):
        path = good_log.with_name(f"{at}.db")
        shutil.copy(good_log, path)
        tampered = Tampered(path)
        CHANGES[what](tampered, at)
        alone, together = both(tampered, workers)
        assert together == alone, at


def test_only_the_stretch_that_comes_next_joins() -> None:
    """Of a log whose streams have one event each, which no link would miss, none can be left out or come twice."""
    store = MemoryStore()
    for n in range(12):
        store.append([Append(f"s/{n}", ANY, [event(n)])])
    stretches = []
    for first in (0, 4, 8):
        scan = EventScan("default")
        scan.begin_at(first)
        scan.take(list(store.read_raw(first - 1, 4)))
        stretches.append(scan)
    whole = EventScan("default")

    assert [whole.join(stretches[n]) for n in (1, 0, 0, 2, 1, 2)] == [False, True, False, False, True, True]
    assert (whole.at, whole.events, whole.named) == (12, 12, 12)


def test_an_event_lost_at_a_seam_is_missed(tmp_path: Path, workers: Workers) -> None:
    """Also the only one of its stream, which nothing in the next stretch could miss."""
    store = open_store(f"sqlite:///{tmp_path}/x.db")
    for n in range(30):
        store.append([Append(f"s/{n}", ANY, [event(n)])])
    store.close()
    for at in (7, 8, 11):
        path = tmp_path / f"{at}.db"
        shutil.copy(tmp_path / "x.db", path)
        tampered = Tampered(path)
        tampered.delete(at)
        alone, together = both(tampered, workers, rebuild=None)
        assert together == alone
        assert together.first_bad is not None
        assert together.first_bad[:3] == (at, f"s/{at}", 0)


@pytest.mark.parametrize("stretch", [1, 2, 4, 8, 16])
def test_a_good_log_is_proved_by_the_processes_alone(tampered: Tampered, workers: Workers, stretch: int) -> None:
    """When all is well nothing is done twice: this process reads only what is left over after the last stretch."""
    workers.stretch = stretch
    outside = [signed(open_store(tampered.url), size) for size in (3, 16, 17)]
    raw: list[int] = []

    class Counted(SQLiteStore):
        def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[Any]:
            for row in super().read_raw(after, limit):
                raw.append(row.position)
                yield row

    store = Counted(tampered.url)
    alone = check_store(store, keys=KEYS, outside=outside, rebuild=rebuild)
    raw.clear()
    together = check_store(store, keys=KEYS, outside=outside, rebuild=rebuild, workers=workers)
    store.close()

    assert together == alone
    assert alone.verdict == "verified"
    assert raw == list(range(30 // stretch * stretch, 30))


def test_a_short_log_starts_no_process(tampered: Tampered) -> None:
    """Starting a process takes longer than checking a short log."""
    with Workers(2) as idle:
        assert tampered.verify(workers=idle).events == 30
        assert idle._pool is None


def test_a_store_that_only_this_process_can_read_is_checked_by_it(workers: Workers) -> None:
    """A store in memory is proved as ever."""
    store = MemoryStore()
    fill(store)
    assert check_store(store, rebuild=rebuild, workers=workers) == check_store(store, rebuild=rebuild)


def test_a_killed_process_changes_no_answer(tampered: Tampered) -> None:
    """When the processes die the pass is made without them."""
    with Workers(1, stretch=4, least=8) as doomed:
        pid = doomed.submit(os.getpid).result()
        os.kill(pid, signal.SIGKILL)
        alone, together = both(tampered, doomed)
        assert isinstance(doomed._pool, ProcessPoolExecutor)

    assert together == alone


def test_what_a_killed_process_was_given_is_done_here() -> None:
    """`map` gives every answer, in order, also when the processes die on the way."""
    with Workers(1) as doomed:
        os.kill(doomed.submit(os.getpid).result(), signal.SIGKILL)
        assert list(doomed.map(divmod, [(n, 3) for n in range(10)])) == [divmod(n, 3) for n in range(10)]


def test_a_log_that_is_written_to_is_proved_as_it_was(tmp_path: Path, workers: Workers) -> None:
    """Appends during the check, also into known streams, are no fault with several processes either."""
    url = f"sqlite:///{tmp_path}/x.db"

    class Busy(SQLiteStore):
        """Appends whenever it is asked for streams or raw events."""

        count = 0

        def _write(self) -> None:
            self.count += 1
            self.append([Append(f"s/{'abcx'[self.count % 4]}", ANY, [event(f"busy{self.count}")])])

        def streams(self) -> Iterator[tuple[str, int, bytes]]:
            self._write()
            yield from super().streams()
            self._write()

        def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[Any]:
            self._write()
            yield from super().read_raw(after, limit)

    store = Busy(url)
    fill(store)
    found = check_store(store, keys=KEYS, rebuild=rebuild, workers=workers)

    assert (found.verdict, found.first_bad) == ("verified", None), found
    assert found.events >= 30
    store.close()


def test_progress_goes_up_to_the_end(tampered: Tampered, workers: Workers) -> None:
    """It never goes back, and ends with all events."""
    for fold in (None, rebuild):
        told: list[tuple[int, int]] = []
        tampered.verify(workers=workers, rebuild=fold, progress=lambda done, all_, told=told: told.append((done, all_)))
        assert told == sorted(told)
        assert told[-1] == (30, 30)


def test_progress_does_not_run_ahead_of_the_views(tampered: Tampered) -> None:
    """What is checked and not yet folded into the views is not done."""
    told: list[int] = []

    with Workers(1, stretch=4, least=8) as one:

        def slow(events: Iterator[RecordedEvent]) -> Any:
            taken = [next(events)]
            one.submit(os.getpid).result()  # the only process has done all that it was given before
            taken.append(next(events))
            assert told
            assert max(told) <= len(taken)
            return rebuild(chain(taken, events))

        found = tampered.verify(workers=one, rebuild=slow, progress=lambda done, _: told.append(done))

    assert found.verdict == "verified"
    assert told[-1] == 30


def test_a_fold_that_stops_early_leaves_nothing_unchecked(tampered: Tampered, workers: Workers) -> None:
    """Whoever folds may stop in the middle: all events are checked all the same."""

    def lazy(events: Iterator[RecordedEvent]) -> Any:
        next(events)
        return []

    tampered.change(25, b'"attempt":1', b'"attempt":2')
    alone, together = both(tampered, workers, rebuild=lazy)

    assert together == alone
    assert together.first_bad is not None
    assert together.first_bad.position == 25


@pytest.mark.parametrize("moved", [0, 3600])
def test_stream_ends_and_time_stamps_are_checked_in_stretches_too(tmp_path: Path, workers: Workers, moved: int) -> None:
    """Where the log says how its streams ended, and when it was stamped, several processes find what one finds."""
    clock = ManualClock(time.time_ns() // 1000 + moved * 1_000_000)
    authority = Authority(tmp_path / "tsa")
    roots = load_roots(authority.root.read_bytes(), "root")
    store: EventStore = SQLiteStore(f"sqlite:///{tmp_path}/x.db", clock=clock)
    for n in range(9):
        store.append([Append(STREAMS[n % 3], ANY, [event(n)])])
    seal_streams(store, clock)
    Sealer(store, KEY).seal()
    note = store.checkpoints()[-1][1]
    record_stamp(store, clock, note, list(KEYS), authority.answer(stamp_request(note)), roots)
    for n in range(9, 20):
        store.append([Append(STREAMS[n % 3], ANY, [event(n)])])
    seal_streams(store, clock)
    Sealer(store, KEY).seal()
    trusted = Trusted(keys=KEYS, roots=roots)

    for stretch in (1, 2, 4, 8):
        workers.stretch = stretch
        alone, together = (check_store(store, trusted=trusted, workers=w) for w in (None, workers))
        assert together == alone
        assert {check.name: check.ok for check in together.checks}["stream ends"] is True
        assert {check.name: check.ok for check in together.checks}["time stamps"] is (moved == 0)
        assert (together.first_bad is None) == (moved == 0)
    store.close()


@pytest.mark.parametrize(
    ("server", "unguard"),
    [(mysql, "DROP TRIGGER events_no_update"), (postgres, "ALTER TABLE events DISABLE TRIGGER USER")],
    ids=["mysql", "postgresql"],
)
def test_a_server_is_read_by_several_processes(workers: Workers, server: ModuleType, unguard: str) -> None:
    """Its log is proved in stretches, and a changed one named as ever."""
    if problem := server.server_is_there():
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(f"SERVER ABSENT: {problem}")
    with server.database() as url:
        store = open_store(url)
        fill(store)
        raw: list[int] = []
        read = store.read_raw
        store.read_raw = lambda after=-1, limit=None: raw.append(after) or read(after, limit)  # type: ignore[method-assign]
        good = check_store(store, keys=KEYS, rebuild=rebuild, workers=workers)
        assert (good.verdict, good.events) == ("verified", 30)
        assert raw == [30 // workers.stretch * workers.stretch - 1]

        server.ask(url, unguard, "UPDATE events SET type = 'step.failed' WHERE version = 4")
        alone, together = (check_store(store, keys=KEYS, rebuild=rebuild, workers=w) for w in (None, workers))
        assert together == alone
        assert together.first_bad is not None
        assert together.first_bad[:3] == (12, "s/a", 4)
        store.close()


# -- payloads that are kept apart, or are gone ---------------------------------------------------------------------

PEOPLE = ("anna", "bert")
written = st.tuples(
    st.sampled_from([None, *PEOPLE]),  # whose
    st.booleans(),  # in two parts
    st.booleans(),  # large
    st.sampled_from([None, None, "row gone", "blob gone"]),  # what is wrong with it
)


@pytest.fixture(params=["sqlite", "postgresql"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Where an empty store may be made, again and again."""
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path}/{uuid4()}.db"
        return
    url = request.getfixturevalue("postgres")

    def wiped() -> str:
        wipe(url)
        return str(url)

    yield wiped


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@forall(
    log=st.lists(written, min_size=16, max_size=20),
    ring=st.booleans(),
    erased=st.sampled_from([(), ("anna",), ("anna", "bert")]),
    blind=st.booleans(),
    stretch=st.sampled_from([2, 4, 8]),
)
def test_payloads_kept_apart_are_checked_the_same(
    at: Callable[[], str],
    tmp_path: Path,
    workers: Workers,
    log: list[tuple[str | None, bool, bool, str | None]],
    ring: bool,
    erased: tuple[str, ...],
    blind: bool,
    stretch: int,
) -> None:
    """Under keys, in parts, in blobs, erased, missing, unreadable here: several processes say what one says."""
    url, vault = at(), tmp_path / str(uuid4())
    places = {"keys": f"file:{vault}.ring" if ring else "", "blobs": str(vault)}
    store = open_store(url, **places)
    keys = {name: store.key_for(name) for name in PEOPLE}
    for i, (whose, split, large, _) in enumerate(log):
        new = event(i, payload=b'{"name":"%s","n":%d}' % (b"x" * (300_000 if large else 3), i))
        new.key = None if whose is None else keys[whose]
        new.personal = ("/name",) if split and whose is not None else ()
        store.append([Append(f"s/{i % 3}", ANY, [new])])
    for name in erased:
        erase_subject(store, name, basis="test", reason="asked", by=Actor("person", "p"), clock=lambda: NOON_US)
    gone = [i for i, (_, _, _, wrong) in enumerate(log) if wrong == "row gone"]
    store.drop_payloads(gone)
    store.close()
    if any(wrong == "blob gone" for *_, wrong in log):
        shutil.rmtree(vault, ignore_errors=True)

    workers.stretch = stretch
    store = open_store(url, **(places | ({"keys": ""} if blind else {})))
    alone = check_store(store)
    together = check_store(store, workers=workers)
    store.close()
    assert together == alone
    if not blind:
        lost = [i for i in gone if log[i][0] not in erased]
        assert (alone.verdict == "failed") >= bool(lost)
