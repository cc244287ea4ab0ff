"""PostgreSQL replicas: one that was behind is promoted, and one that may never be behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from actum.errors import LogForked, StoreRefused, StoreUnavailable
from actum.eventstore import Appended, open_store
from actum.eventstore.check.seals import Trusted
from actum.eventstore.check.store import check_store
from actum.eventstore.postgres.store import PostgresStore
from actum.eventstore.sealing.checkpoint_store import CheckpointFile
from actum.eventstore.sealing.restored import begin_epoch
from actum.eventstore.sealing.sealer import Sealer
from actum.testing.builders import KEY, batch, event_id
from actum.testing.clock import ManualClock
from actum.testing.postgres import ask, session
from actum.testing.postgres_server import Server, find_programs

pytestmark = pytest.mark.slow  # two servers are made for each

VKEY = KEY.verifier()


@pytest.fixture(scope="module")
def programs() -> Path:
    programs = find_programs()
    if programs is None:
        absent = "POSTGRESQL PROGRAMS ABSENT: no initdb here, so no server of our own"
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    return programs


@pytest.fixture
def primary(programs: Path) -> Iterator[Server]:
    server = Server(programs)
    open_store(server.url()).close()
    yield server
    server.close()


@pytest.fixture
def replica(programs: Path, primary: Server) -> Iterator[Server]:
    server = Server(programs, primary=primary)
    yield server
    server.close()


def ids(*names: str) -> list[str]:
    return [event_id(name) for name in names]


def test_a_promoted_replica_that_was_behind_is_a_fork_that_nobody_signs(
    primary: Server, replica: Server, tmp_path: Path
) -> None:
    """It opens, verifies and goes on; its sealer names the fork, until a new epoch puts the loss on record."""
    kept = CheckpointFile(tmp_path / "last.note")
    store = open_store(primary.url())
    for i in range(10):
        store.append(batch(f"e{i}", stream=f"s/{i % 3}"))
    Sealer(store, KEY, kept).seal()
    primary.wait_for_replica(replica)
    replica.cut_off()
    for i in range(10, 20):
        store.append(batch(f"e{i}", stream=f"s/{i % 3}"))
    Sealer(store, KEY, kept).seal()
    signed_there = kept.latest()
    primary.stop()
    with pytest.raises((StoreRefused, StoreUnavailable)):
        store.append(batch("e20"))
    store.close()
    replica.promote()

    store = open_store(replica.url())
    assert [e.id for e in store.read()] == ids(*(f"e{i}" for i in range(10)))
    assert check_store(store, keys=[VKEY]).verdict == "verified"
    # A writer that had no answer asks again: what came over is told, what did not is written, once and at the end.
    assert store.append(batch("e9", stream="s/0")) == Appended(9, 9, {"s/0": 4})
    assert store.append(batch("e19", stream="s/1")) == Appended(10, 10, {"s/1": 4})
    assert store.append(batch("e19", stream="s/1")) == Appended(10, 10, {"s/1": 4})
    with pytest.raises(LogForked, match="it has 11 events, but 20 were signed, so events are missing") as refused:
        Sealer(store, KEY, kept).seal()
    assert refused.value.agrees_to == 10
    assert kept.latest() == signed_there
    trusted = Trusted(kept=signed_there, kept_at="apart")
    assert check_store(store, keys=[VKEY], trusted=trusted).verdict == "failed"

    begin_epoch(store, KEY, kept, ManualClock(), "the primary's disk died before the replica had it all")
    trusted = Trusted(kept=kept.latest(), kept_at="apart")
    found = check_store(store, keys=[VKEY], outside=[signed_there or ""], trusted=trusted)
    assert found.verdict == "verified_with_gaps", found
    assert [e.position for e in store.read()] == list(range(12))
    store.close()


def test_events_without_positions_come_over_and_get_theirs(primary: Server, replica: Server) -> None:
    """What was committed and not yet sequenced when the primary died is given its positions by the replica, once."""
    store = PostgresStore(primary.url())
    store.append(batch("a"))
    engine = create_engine(primary.url().replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    holder = session(primary.url())
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM tree_state FOR UPDATE")  # nobody can give positions while this is held
    for name in ("b", "c"):
        with engine.begin() as connection:
            store.append_in(connection, batch(name, stream=f"s/{name}"))
    primary.wait_for_replica(replica)
    assert ask(replica.url(), "SELECT count(*) FROM pending") == [(2,)]
    replica.cut_off()
    primary.stop()
    holder.close()
    engine.dispose()
    store.close()
    replica.promote()

    store = PostgresStore(replica.url())
    assert store.wait(2, 30) == 3
    assert [e.id for e in store.read()] == ids("a", "b", "c")
    assert store.append(batch("c", stream="s/c")) == Appended(2, 2, {"s/c": 1})
    assert check_store(store).verdict == "verified"
    store.close()


def test_a_replica_can_be_read_and_checked(primary: Server, replica: Server) -> None:
    """While it follows, a read-only store on it sees what came over; one that would write is refused by name."""
    store = open_store(primary.url())
    store.append(batch("a", "b"))
    primary.wait_for_replica(replica)
    with closing(open_store(replica.url() + "?mode=ro")) as reader:
        assert [e.id for e in reader.read()] == ids("a", "b")
        assert check_store(reader).verdict == "verified"
        store.append(batch("c"))
        assert reader.wait(2, 20) == 3
    with (
        closing(open_store(replica.url())) as writer,
        pytest.raises(StoreRefused, match=r"it is read-only \(a standby\?\); nothing was written"),
    ):
        writer.append(batch("d"))
    store.close()


def test_with_a_synchronous_replica_nothing_acknowledged_is_lost(
    primary: Server, replica: Server, tmp_path: Path
) -> None:
    """Under `remote_apply` the primary dies in the middle; all it answered is on the replica, in order, and signed."""
    ask(primary.url("postgres"), "ALTER SYSTEM SET synchronous_standby_names = 'replica'")
    ask(primary.url("postgres"), "ALTER SYSTEM SET synchronous_commit = 'remote_apply'", "SELECT pg_reload_conf()")
    kept, answered, enough = CheckpointFile(tmp_path / "last.note"), list[list[str]]([[], []]), Event()

    def write(writer: int) -> None:
        store = open_store(primary.url())
        for i in range(100_000):
            name = f"w{writer}-{i}"
            try:
                store.append(batch(name, stream=f"s/{writer}"))
            except (StoreRefused, StoreUnavailable):
                break
            answered[writer].append(name)
            if i == 50:
                enough.set()
        store.close()

    writers = [Thread(target=write, args=(i,)) for i in range(2)]
    for writer in writers:
        writer.start()
    store = open_store(primary.url())
    assert enough.wait(60)
    Sealer(store, KEY, kept).seal()
    primary.stop()
    for writer in writers:
        writer.join(60)
    store.close()
    ask(replica.url("postgres"), "SELECT pg_promote(true, 60)")
    ask(replica.url("postgres"), "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")

    store = open_store(replica.url())
    there = [e.id for e in store.read()]
    assert len(there) == len(set(there))
    for writer, names in enumerate(answered):
        assert len(names) > 20
        assert [e.id for e in store.read_stream(f"s/{writer}")][: len(names)] == ids(*names)
        # The one that was under way has an answer now, and is there once.
        last = f"w{writer}-{len(names)}"
        store.append(batch(last, stream=f"s/{writer}"))
        assert [e.id for e in store.read_stream(f"s/{writer}")] == ids(*names, last)
    assert Sealer(store, KEY, kept).seal() is not None
    trusted = Trusted(kept=kept.latest(), kept_at="apart")
    assert check_store(store, keys=[VKEY], trusted=trusted).verdict == "verified"
    store.close()
