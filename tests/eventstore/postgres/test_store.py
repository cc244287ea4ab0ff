"""What PostgreSQL adds to the promises: joining a transaction, waiting aside, leases, and clear refusals."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from actum.errors import BadInput, IdempotencyConflict, StoreRefused, StoreUnavailable, VersionConflict
from actum.eventstore import ANY, Append, Appended, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.payloads.blobs import FolderBlobs
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.postgres.store import PostgresStore
from actum.testing.builders import STREAM, batch, event, event_id, execution_row
from actum.testing.postgres import ask


@pytest.fixture
def store(postgres: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres + "?busy_timeout=0.5")
    yield store
    assert check_store(store).verdict == "verified"
    store.close()


@pytest.fixture
def database(postgres: str) -> Iterator[Engine]:
    """The application's own engine on the store's database, with a table of its own."""
    engine = create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS orders"))
        connection.execute(text("CREATE TABLE orders (name text)"))
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE orders"))
    engine.dispose()


# -- in the caller's transaction -----------------------------------------------------------------------------------


def test_events_come_with_the_callers_transaction(store: PostgresStore, database: Engine) -> None:
    """Nothing is there before the commit; after it the caller's row, the events and their view rows are."""
    store.append(batch("before", stream="s/x"))
    with database.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES ('one')"))
        joined = store.append_in(
            connection, [Append(STREAM, 0, [event("a", payload=b"1"), event("b")], [execution_row("a")])]
        )
        again = store.append_in(connection, batch("c", expected=2))
        assert (store.head(), store.stream_version(STREAM), store.view("executions")) == (1, 0, [])

    assert store.wait_placed(joined, 10) == Appended(1, 2, {STREAM: 2})
    assert store.wait_placed(again, 10) == Appended(3, 3, {STREAM: 3})
    assert [row["id"] for row in store.view("executions")] == ["a"]
    assert [e.id for e in store.read_stream(STREAM)] == [event_id(name) for name in "abc"]


def test_events_go_with_the_callers_rollback(store: PostgresStore, database: Engine) -> None:
    """When the caller's transaction is undone, so are the events; waiting for their positions says so."""
    with database.connect() as connection:
        transaction = connection.begin()
        joined = store.append_in(connection, batch("a"))
        transaction.rollback()

    with pytest.raises(StoreUnavailable, match="was not committed"):
        store.wait_placed(joined, 0.05)
    assert (store.head(), store.stream_version(STREAM)) == (0, 0)
    assert store.append(batch("a", expected=0)) == Appended(0, 0, {STREAM: 1})


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (batch("new", expected=7), VersionConflict),
        (batch("new", stream="bad"), BadInput),
        (batch("a", stream="s/other"), IdempotencyConflict),
        (batch("a", "new"), IdempotencyConflict),
        ([], BadInput),
    ],
)
def test_a_refusal_leaves_the_callers_transaction_whole(
    store: PostgresStore, database: Engine, refused: Any, error: type[Exception]
) -> None:
    """What is refused is undone behind a savepoint: the caller may go on, and the rest is committed."""
    store.append(batch("a"))
    with database.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES ('one')"))
        with pytest.raises(error):
            store.append_in(connection, refused)
        joined = store.append_in(connection, batch("b", expected=1))

    assert store.wait_placed(joined, 10) == Appended(1, 1, {STREAM: 2})
    with database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar() == 1


@pytest.mark.parametrize("expected", [0, ANY])
def test_what_was_appended_before_is_joined_again(store: PostgresStore, database: Engine, expected: int) -> None:
    """The same events in a caller's transaction get the first answer, and nothing is written twice."""
    first = store.append(batch("a", "b"))
    with database.begin() as connection:
        joined = store.append_in(connection, batch("a", "b", expected=expected))

    assert store.wait_placed(joined, 10) == first
    assert store.head() == 2


def test_only_a_transaction_on_the_stores_database_can_be_joined(store: PostgresStore, database: Engine) -> None:
    """Another driver, another tenant's number or no transaction at all is refused by name."""
    elsewhere = create_engine("sqlite://")
    with elsewhere.begin() as connection, pytest.raises(BadInput, match="psycopg driver"):
        store.append_in(connection, batch("a"))
    with database.connect() as connection, pytest.raises(BadInput, match="transaction begun"):
        store.append_in(connection, batch("a"))
    closed = PostgresStore(store.url)
    closed.close()
    with database.begin() as connection, pytest.raises(StoreRefused, match="closed"):
        closed.append_in(connection, batch("a"))
    elsewhere.dispose()


# -- somebody else's open transaction ------------------------------------------------------------------------------


def test_a_long_transaction_holds_up_its_own_streams_only(
    store: PostgresStore, postgres: str, database: Engine
) -> None:
    """While a caller's transaction is open, all other streams go on, and are read; its stream is refused in time."""
    store.append(batch("a"))
    patient = PostgresStore(postgres + "?busy_timeout=60")
    with database.begin() as connection:
        patient.append_in(connection, batch("held", expected=1))
        answers, answered = list[object](), Event()
        patient.append_soon(batch("late", expected=ANY), lambda answer: (answers.append(answer), answered.set())[0])
        for i in range(20):
            patient.append(batch(i, stream=f"s/{i % 3}"))
        assert answers == []
        assert [e.position for e in patient.read()] == list(range(21))
        with pytest.raises(StoreRefused, match=r"another transaction holds the stream \(waited 0.5 s\); nothing was"):
            store.append(batch("too late", expected=1))

    assert answered.wait(60)
    store.append(batch("after", expected=3))
    assert store.wait(23, 60) == 24
    assert [e.id for e in store.read_stream(STREAM)] == [event_id(name) for name in ("a", "held", "late", "after")]
    patient.close()


def test_who_waits_for_a_held_stream_is_not_overtaken(postgres: str, database: Engine) -> None:
    """Batches for a held stream, and for every other stream of these batches, are written in the order given."""
    store = PostgresStore(postgres + "?busy_timeout=20")
    finished = Event()
    with database.begin() as connection:
        store.append_in(connection, batch("held"))
        store.append_soon([*batch("1"), *batch("1b", stream="s/b")], lambda _: None)
        store.append_soon(batch("2b", stream="s/b"), lambda _: None)
        store.append_soon(batch("2"), lambda _: finished.set())
        store.append(batch("free", stream="s/c"))
    assert finished.wait(20)

    assert [e.id for e in store.read_stream(STREAM)] == [event_id(name) for name in ("held", "1", "2")]
    assert [e.id for e in store.read_stream("s/b")] == [event_id(name) for name in ("1b", "2b")]
    assert check_store(store).verdict == "verified"
    store.close()


def test_a_new_stream_in_an_open_transaction_holds_up_nobody_else(store: PostgresStore, database: Engine) -> None:
    """Also a stream that does not exist yet, for anybody but the transaction that makes it, is waited for aside."""
    with database.begin() as connection:
        store.append_in(connection, batch("a", stream="s/new"))
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(store.append, batch("b", stream="s/new"))
            assert store.append(batch("c", stream="s/other")).last_position == 0
            with pytest.raises(StoreRefused, match="another transaction holds"):
                late.result(10)


def test_an_idle_transaction_in_the_database_stops_nothing(store: PostgresStore, database: Engine) -> None:
    """An open transaction that has written something else delays neither positions nor readers."""
    with database.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES ('slow')"))
        for i in range(10):
            assert store.append(batch(i)).last_position == i
        assert store.head() == len(list(store.read())) == 10


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://127.0.0.1", "names no database"),
        ("postgresql://127.0.0.1:x/db", "the port must be a number"),
        ("postgresql://127.0.0.1/db?lese=3", "unknown option 'lese'; did you mean 'lease'"),
        ("postgresql://127.0.0.1/db?lease=soon", "lease is a number of seconds, not 'soon'"),
        ("postgresql://127.0.0.1/db?mode=rx", "mode is rw or ro"),
        ("postgres://127.0.0.1/db", "did you mean 'postgresql'"),
        ("postgresq://127.0.0.1/db", "did you mean 'postgresql'"),
    ],
)
def test_a_typo_in_the_url_is_named(url: str, said: str) -> None:
    """A URL that cannot be meant is refused with what is wrong in it."""
    with pytest.raises(BadInput, match=said):
        open_store(url)


def test_no_error_shows_the_password() -> None:
    """Neither a wrong option nor a server that is not there prints the password of the URL."""
    for url in ("postgresql://me:hushhush@127.0.0.1:1/db", "postgresql://me:hushhush@127.0.0.1:1/db?x=1"):
        with pytest.raises((BadInput, StoreRefused)) as caught:
            open_store(url)
        assert "hushhush" not in str(caught.value)
        assert "me:***@127.0.0.1" in str(caught.value)


def test_a_server_or_database_that_is_not_there_is_named(postgres: str) -> None:
    """Nobody listening, and a database of no such name, are one clear sentence each."""
    with pytest.raises(StoreRefused, match=r"cannot be reached: .*refused"):
        open_store("postgresql://127.0.0.1:1/db")
    with pytest.raises(StoreRefused, match=r'cannot be reached: .*database "actum_never" does not exist'):
        open_store(postgres.rpartition("/")[0] + "/actum_never")


def test_read_only_is_never_written(store: PostgresStore, postgres: str) -> None:
    """A store opened with mode=ro reads, refuses every write, and never takes the sequencer's lease."""
    store.append(batch("a"))
    before = ask(postgres, "SELECT holder, epoch FROM leases")
    reader = open_store(postgres + "?mode=ro&lease=0.1")
    with pytest.raises(StoreRefused, match="read-only"):
        reader.append(batch("b"))
    with pytest.raises(StoreRefused, match="read-only"):
        reader.add_checkpoint(1, "note")
    with pytest.raises(StoreRefused, match="no tenant 'other'"):
        open_store(postgres + "?mode=ro", "other")
    assert [e.id for e in reader.read()] == [event_id("a")]
    reader.close()
    assert ask(postgres, "SELECT holder, epoch FROM leases") == before


def test_what_is_recorded_cannot_be_changed(store: PostgresStore, postgres: str) -> None:
    """UPDATE, DELETE and TRUNCATE are refused on events, positions and checkpoints, for the owner too."""
    store.append(batch("a"))
    for table in ("events", "log", "checkpoints"):
        column = {"events": "seq", "log": "seq", "checkpoints": "size"}[table]
        if table == "checkpoints":
            store.add_checkpoint(1, "a note")
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(Exception, match=f"{table} are never changed: {statement.split()[0]} refused"):
                ask(postgres, statement)
    assert store.head() == 1
    ask(postgres, "SET session_replication_role = replica", "DELETE FROM checkpoints")  # "a note" is none


def test_a_view_row_that_is_no_text_is_refused(store: PostgresStore) -> None:
    """What PostgreSQL cannot keep in a column is bad input of its own batch, and named."""
    for bad in ("a\0b", "\ud800"):
        with pytest.raises(BadInput, match="a view row has"):
            store.append([Append(STREAM, ANY, [event("a")], [execution_row("k", workflow=bad)])])
    long = "x" * 5_000
    store.append([Append(STREAM, ANY, [event("a")], [execution_row("k", error_type=long)])])
    assert store.view("executions")[0]["error_type"] == long


def test_rows_are_found_by_values_of_other_types_too(store: PostgresStore) -> None:
    """Asking a column for what cannot stand in it finds nothing, and is no error."""
    store.append([Append(STREAM, ANY, [event("a")], [execution_row("k", wake_us=5)])])

    assert store.view("executions", {"wake_us": "5"}) == store.view("executions", {"status": 5}) == []
    assert store.view("executions", {"wake_us": 2**70}) == store.view("executions", {"status": "a\0"}) == []
    assert len(store.view("executions", {"wake_us": (5, "x")})) == 1


# -- who is alive ------------------------------------------------------------------------------------------------------


def test_a_worker_is_alive_until_its_lease_is_over(store: PostgresStore, postgres: str) -> None:
    """Alive for every process while it is held; not after release, nor when its process no longer renews."""
    other = PostgresStore(postgres + "?lease=3")
    ours, theirs = other.owners(), store.owners()
    ours.hold("w-1")
    ours.hold("w-2")
    assert [theirs.alive(name) for name in ("w-1", "w-2", "w-3", "")] == [True, True, False, False]
    ours.release("w-2")
    assert [theirs.alive(name) for name in ("w-1", "w-2")] == [True, False]
    held = "SELECT until FROM leases WHERE name = 'worker/w-1'"
    until, renewed = ask(postgres, held), Event()
    while ask(postgres, held) == until:
        renewed.wait(0.02)
    assert theirs.alive("w-1")
    ours.release("w-1")
    assert not theirs.alive("w-1")

    ask(postgres, "INSERT INTO leases VALUES (0, 'worker/dead', 'dead', 1, clock_timestamp() - interval '1 second')")
    assert not theirs.alive("dead")
    theirs.hold("dead")  # started again under its name
    assert ours.alive("dead")
    theirs.release("dead")
    other.close()


def test_payloads_that_are_kept_apart_come_with_the_callers_transaction(
    postgres: str, database: Engine, tmp_path: Path
) -> None:
    """Rows and blobs are there after the commit; a refusal takes its blob with it."""
    ours = PostgresStore(postgres, vault=Vault(blobs=FolderBlobs(tmp_path / "blobs")))
    large, keyed = event("a", payload=b"x" * (1 << 20)), event("b", payload=b"1")
    keyed.key = ours.key_for("ada")
    with database.begin() as connection:
        with pytest.raises(VersionConflict):
            ours.append_in(connection, [Append(STREAM, 7, [large])])
        joined = ours.append_in(connection, [Append(STREAM, 0, [large, keyed])])
        again = ours.append_in(connection, [Append(STREAM, 0, [large, keyed])])

    assert joined.versions == again.versions
    ours.wait_placed(joined, 10)
    assert [e.payload for e in ours.read_stream(STREAM)] == [large.payload, b"1"]
    assert ours.destroy_key(keyed.key) == 1
    ours.close()
