"""PostgreSQL servers as people run them: with passwords, roles, dumps, pools, and transactions nobody ever commits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from actum.errors import StoreError, StoreRefused
from actum.eventstore import ANY, Append, Appended, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.postgres.roles import grant_use
from actum.testing.builders import KEY, STREAM, batch, event, event_id, signed
from actum.testing.postgres import ask, session
from actum.testing.postgres_server import Server, find_bouncer, find_programs, pooled


def absent(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = find_programs()
    if programs is None:
        absent("POSTGRESQL PROGRAMS ABSENT: no initdb here, so no server of our own")
    assert programs is not None
    server = Server(programs)
    yield server
    server.close()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """An empty store on that server, opened by its owner."""
    ask(server.url("postgres"), "DROP DATABASE IF EXISTS log WITH (FORCE)", "CREATE DATABASE log")
    open_store(server.url()).close()
    yield server.url()
    ask(server.url("postgres"), "DROP DATABASE log WITH (FORCE)", "CREATE DATABASE log")


def test_a_wrong_password_or_role_is_one_clear_sentence(server: Server) -> None:
    """It says that the password, or the role, is not accepted, by whom, and never what the password was."""
    for wrong in (server.url(password="wrong-horse"), server.url(user="nobody-of-that-name")):
        with pytest.raises(
            StoreRefused, match=r"cannot be reached: .*password authentication failed for user"
        ) as caught:
            open_store(wrong)
        assert "horse" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_permissions_are_named(server: Server, url: str) -> None:
    """A role that may not read, or not make tables, is told which one it lacks; nothing is made."""
    ask(url, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'guest'")
    with pytest.raises(StoreRefused, match="permission denied for table alembic_version"):
        open_store(server.url(user="guest", password="guest"))
    ask(server.url("postgres"), "CREATE DATABASE bare")
    with pytest.raises(StoreRefused, match=r"permission denied for schema public; nothing was changed"):
        open_store(server.url("bare", user="guest", password="guest"))
    ask(server.url("postgres"), "DROP DATABASE bare")
    ask(url, "DROP ROLE guest")


def test_a_granted_role_can_append_and_change_nothing(server: Server, url: str) -> None:
    """After `db grant` the role does all that a store does, and may neither UPDATE nor DELETE what is recorded."""
    ask(url, "DROP ROLE IF EXISTS app", "CREATE ROLE app LOGIN PASSWORD 'app'")
    grant_use(url, "app")
    grant_use(url, "app")
    theirs = server.url(user="app", password="app")
    store = open_store(theirs)
    assert store.append(batch("a", "b")) == Appended(0, 1, {STREAM: 2})
    store.add_checkpoint(2, signed(store, 2))
    assert check_store(store).verdict == "verified"
    for statement in ("UPDATE events SET seq = 5", "DELETE FROM log", "TRUNCATE checkpoints", "DROP TABLE events"):
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            ask(theirs, statement)
    store.close()

    ask(url, "REVOKE INSERT ON events FROM app")
    store = open_store(theirs)
    with pytest.raises(StoreRefused, match="permission denied for table events; nothing was written"):
        store.append(batch("c"))
    assert store.head() == 2
    store.close()
    ask(url, "DROP OWNED BY app", "DROP ROLE app")
    with pytest.raises(StoreRefused, match='role "nobody" does not exist; nothing was granted'):
        grant_use(url, "nobody")


def test_a_prepared_transaction_that_nobody_commits_stops_nothing(url: str) -> None:
    """It holds its own stream; all other appends get positions, and are read. Committed at last, it comes in order."""
    store = open_store(url + "?busy_timeout=0.3")
    store.append(batch("a"))
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        transaction = connection.begin_twophase("forgotten")
        store.append_in(connection, batch("prepared", expected=1))  # type: ignore[attr-defined]
        transaction.prepare()
        connection.invalidate()
    engine.dispose()
    for i in range(10):
        assert store.append(batch(i, stream="s/1")).first_position == i + 1
    with pytest.raises(StoreRefused, match="another transaction holds the stream"):
        store.append(batch("b"))
    assert [e.position for e in store.read()] == list(range(11))
    store.close()
    store = open_store(url)
    assert store.append(batch("more", stream="s/1")).first_position == 11

    ask(url, "COMMIT PREPARED 'forgotten'")
    assert store.wait(12, 10) == 13
    assert [e.id for e in store.read_stream(STREAM)] == [event_id("a"), event_id("prepared")]
    assert check_store(store).verdict == "verified"
    store.close()


def test_a_server_that_is_switched_off_and_on_loses_nothing(server: Server, url: str) -> None:
    """While it is away every use says so; when it is back, the same store object goes on."""
    store = open_store(url)
    store.append(batch("a"))
    server.stop()
    with pytest.raises(StoreError, match=r"cannot be reached|did not answer"):
        store.append(batch("b"))
    with pytest.raises(StoreRefused, match="cannot be reached"):
        list(store.read())
    server.start()
    assert store.append(batch("b")) == Appended(1, 1, {STREAM: 2})
    assert check_store(store).verdict == "verified"
    store.close()


def test_a_full_disk_refuses_and_loses_nothing(server: Server, url: str) -> None:
    """What finds no room is refused with its sentence and is not there; with room the same append goes through."""
    server.stop()
    server.largest_file = 17 * 2**20 + 100  # more than a segment of the server's own log, and no whole page
    server.start()
    store = open_store(url)

    batches = [[Append(STREAM, ANY, [event(i, payload=os.urandom(200_000))])] for i in range(200)]
    with pytest.raises(StoreRefused, match="its disk is full; nothing was written"):
        list(map(store.append, batches))
    written = store.head()
    assert 0 < written < 200
    assert check_store(store).verdict == "verified"
    server.stop()
    server.largest_file = None
    server.start()
    assert store.append(batches[written]).last_position == written
    assert check_store(store).verdict == "verified"
    store.close()


def test_a_restored_dump_is_a_fork_that_is_refused_by_name(server: Server, url: str) -> None:
    """What was dumped verifies by itself; a checkpoint that covers more, kept elsewhere, shows what it lacks."""
    store = open_store(url)
    for i in range(10):
        store.append(batch(i))
    dump = server.dump()
    for i in range(10, 20):
        store.append(batch(i))
    outside = signed(store, 20)
    store.close()
    ask(server.url("postgres"), "DROP DATABASE IF EXISTS older WITH (FORCE)")
    server.restore(dump, "older")

    older = open_store(server.url("older"))
    assert check_store(older).verdict == "verified"
    found = check_store(older, keys=[KEY.verifier()], outside=[outside])
    assert found.verdict == "failed"
    assert "size 20 covers it, but the log ends before it" in str(found.checks)
    assert older.append(batch("fork")) == Appended(10, 10, {STREAM: 11})
    for i in range(9):
        older.append(batch(f"fork{i}"))
    found = check_store(older, keys=[KEY.verifier()], outside=[outside])
    assert found.verdict == "failed"
    assert "do not give the root of the checkpoint of size 20" in str(found.checks)
    older.close()
    ask(server.url("postgres"), "DROP DATABASE older WITH (FORCE)")


def test_what_a_forger_changes_is_found(url: str) -> None:
    """Without the triggers, a changed, removed or moved event is named by its position."""
    store = open_store(url)
    for i in range(5):
        store.append(batch(i))
    off = "SET session_replication_role = replica"
    for change, undo, position in (
        (
            "UPDATE events SET header = header || ' ' WHERE version = 2",
            "UPDATE events SET header = substring(header FROM 1 FOR length(header) - 1) WHERE version = 2",
            2,
        ),
        ("DELETE FROM log WHERE seq = 3", "INSERT INTO log SELECT 3, seq FROM events WHERE version = 3", 3),
        ("UPDATE log SET seq = 5 - seq WHERE seq IN (1, 4)", "UPDATE log SET seq = 5 - seq WHERE seq IN (1, 4)", 1),
    ):
        if "5 - seq" in change:  # a unique key is checked row by row
            change = undo = "UPDATE log SET seq = CASE seq WHEN 1 THEN 99 ELSE seq END"
            con = session(url)
            con.execute(off)
            for old, new in ((1, 99), (4, 1), (99, 4)):
                con.execute(f"UPDATE log SET seq = {new} WHERE seq = {old}".encode())
            con.close()
        else:
            ask(url, off, change)
        found = check_store(store)
        assert found.verdict == "failed"
        assert found.first_bad is not None
        assert found.first_bad.position == position, found
        if position != 1:
            ask(url, off, undo)
            assert check_store(store).verdict == "verified"
    store.close()


def test_it_works_through_a_transaction_pool(postgres: str) -> None:
    """Many stores share few server connections, each transaction on another one: all promises hold."""
    program = find_bouncer()
    if program is None:
        absent("PGBOUNCER ABSENT: install pgbouncer, or name it with ACTUM_PGBOUNCER")
    assert program is not None
    with pooled(program, postgres) as through:
        stores = [open_store(through) for _ in range(4)]

        def write(writer: int) -> list[int]:
            return [
                stores[writer % 4].append(batch(f"{writer}-{i}", stream=f"s/{i % 3}")).first_position for i in range(20)
            ]

        with ThreadPoolExecutor(8) as pool:
            positions = [position for answer in pool.map(write, range(8)) for position in answer]
        assert sorted(positions) == list(range(160))
        assert [e.position for e in stores[1].read()] == list(range(160))
        assert check_store(stores[0]).verdict == "verified"
        ours = stores[0].owners()  # type: ignore[attr-defined]
        ours.hold("w-1")
        assert stores[1].owners().alive("w-1")  # type: ignore[attr-defined]
        ours.release("w-1")
        for store in stores:
            store.close()
