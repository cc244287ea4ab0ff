"""What MySQL adds to the promises: taking turns, names compared by bytes, users, leases, and clear refusals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from urllib.parse import urlsplit

import pytest

from actum.errors import BadInput, StoreRefused, TargetUnavailable
from actum.events import Actor
from actum.events.merkle import Frontier
from actum.eventstore import ANY, Append, Appended, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.custody.erasing import erase_subject, finish
from actum.eventstore.mysql.connection import close, do
from actum.eventstore.mysql.roles import grant_use, grants_for
from actum.eventstore.mysql.store import MySQLStore
from actum.eventstore.mysql.write import write_group
from actum.eventstore.tables.group import Group, Salts
from actum.settings import Settings
from actum.testing.builders import STREAM, approval_row, batch, event, event_id, execution_row
from actum.testing.clock import NOON_US
from actum.testing.mysql import SERVER, ask, session
from actum.wiring import relay_ledger


@pytest.fixture
def store(mysql: str) -> Iterator[MySQLStore]:
    store = MySQLStore(mysql + "?busy_timeout=1")
    yield store
    assert check_store(store).verdict == "verified"
    store.close()


def test_both_names_of_the_scheme_open_the_same_store(store: MySQLStore, mysql: str) -> None:
    """`mariadb://` is `mysql://`."""
    store.append(batch("a"))
    other = open_store(mysql.replace("mysql:", "mariadb:"))
    assert [e.id for e in other.read()] == [event_id("a")]
    other.close()


# -- taking turns ------------------------------------------------------------------------------------------------------


def test_while_another_appends_an_append_waits_and_then_is_refused(store: MySQLStore, mysql: str) -> None:
    """Whoever holds the end of the log holds up appends, not readers; after the time given nothing was written."""
    store.append(batch("a"))
    patient = MySQLStore(mysql + "?busy_timeout=60")
    other = session(mysql)
    do(other, "START TRANSACTION")
    do(other, "SELECT size FROM tree_state WHERE tenant = 0 FOR UPDATE")
    with pytest.raises(StoreRefused, match=r"another process holds the log \(waited 1 s\); nothing was written"):
        store.append(batch("b"))
    assert [e.id for e in store.read()] == [event_id("a")]
    answered, answers = Event(), list[object]()
    patient.append_soon(batch("c"), lambda answer: (answers.append(answer), answered.set())[0])
    do(other, "ROLLBACK")
    close(other)

    assert answered.wait(60)
    assert answers == [Appended(1, 1, {STREAM: 2})]
    patient.close()


def test_two_stores_that_append_in_turns_see_each_others_streams(store: MySQLStore, mysql: str) -> None:
    """What a process remembers of streams and tree is dropped when another one has appended."""
    other = MySQLStore(mysql)
    for i in range(4):
        assert store.append(batch(f"{i}a", expected=2 * i)).last_position == 2 * i
        assert other.append(batch(f"{i}b", expected=2 * i + 1)).last_position == 2 * i + 1
    other.close()


def test_tenants_append_without_waiting_for_each_other(store: MySQLStore, mysql: str) -> None:
    """A transaction that holds one tenant's log lets another tenant's go on, with new streams on both sides."""
    other = MySQLStore(mysql + "?busy_timeout=1", "other")
    held = session(mysql)
    do(held, "START TRANSACTION")
    do(held, "SELECT size FROM tree_state WHERE tenant = 0 FOR UPDATE")
    assert other.append(batch("a", "b")) == Appended(0, 1, {STREAM: 2})
    close(held)
    assert store.append(batch("a")) == Appended(0, 0, {STREAM: 1})
    assert check_store(other).verdict == "verified"
    other.close()


def test_a_key_cannot_be_destroyed_under_an_append_that_writes_under_it(mysql: str) -> None:
    """Destroying waits for the append's end, and so takes its payload too."""
    store = MySQLStore(mysql + "?busy_timeout=1")
    key = store.key_for("ada")
    (filed,), _ = store._protection.file([Append(STREAM, 0, [replace(event("a", payload=b"1"), key=key)])])
    group = Group("default", 0, None, 0, "2026-11-21T00:00:00.000000Z", lambda _: None, Salts())
    group.plan([filed], lambda _: None)
    con = session(mysql)
    do(con, "START TRANSACTION")
    write_group(con, group, Frontier())

    with pytest.raises(StoreRefused, match="Lock wait timeout"):
        store.destroy_key(key)
    assert store.keys_of("ada") == [key]
    do(con, "COMMIT")
    close(con)

    assert store.destroy_key(key) == 1
    assert [raw.payload for raw in store.read_raw()] == [None]
    store.close()


# -- names, texts, values ----------------------------------------------------------------------------------------------

NAMES = ["s/a", "s/A", "s/a ", "s/á", "s/a\u0301", "s/🫖", "s/🫗", "s/" + "🫖" * 510]


def test_names_are_compared_by_their_bytes(store: MySQLStore, mysql: str) -> None:
    """Case, spaces at the end, accents and what lies outside the basic plane tell streams, rows and tenants apart."""
    for i, name in enumerate(NAMES):
        store.append([Append(name, 0, [event(i)], [execution_row(name[:502]), approval_row(name[:502], name[:256])])])
    for name in NAMES:
        assert store.stream_version(name) == len(store.read_stream(name)) == 1
        assert [row["id"] for row in store.view("executions", {"id": name[:502]})] == [name[:502]]
    assert [row["id"] for row in store.view("executions")] == sorted(name[:502] for name in NAMES)
    assert [row["execution"] for row in store.view("approvals")] == sorted(name[:502] for name in NAMES)

    tenants = [MySQLStore(mysql, name) for name in ("t", "T", "t ")]
    for tenant in tenants:
        assert tenant.append(batch("same id")).first_position == 0
        tenant.close()


def test_a_view_row_that_mysql_cannot_keep_is_refused(store: MySQLStore) -> None:
    """It is bad input of its own batch, and named; a long text in a column that is no key is kept."""
    with pytest.raises(BadInput, match=r"a view row has .*, which is no text"):
        store.append([Append(STREAM, ANY, [event("a")], [execution_row("k", workflow="\ud800")])])
    with pytest.raises(BadInput, match=r"too long for column 'id'.*nothing was written"):
        store.append([Append(STREAM, ANY, [event("a")], [execution_row("x" * 503)])])
    long = "x" * 60_000
    store.append([Append(STREAM, ANY, [event("a")], [execution_row("x" * 502, error_type=long, owner="a\0b")])])
    assert [(row["error_type"], row["owner"]) for row in store.view("executions")] == [(long, "a\0b")]


def test_rows_are_not_found_by_values_of_other_types(store: MySQLStore) -> None:
    """MySQL would convert a text to 0 and find it: what cannot stand in a column is in no row."""
    store.append([Append(STREAM, ANY, [event("a")], [execution_row("k", wake_us=5)])])

    assert store.view("executions", {"wake_us": "5"}) == store.view("executions", {"status": 0}) == []
    assert store.view("executions", {"wake_us": 2**70}) == []
    assert len(store.view("executions", {"wake_us": (5, "x")})) == 1


def test_nothing_in_a_value_is_taken_for_sql(store: MySQLStore) -> None:
    """Quotes, backslashes and per cent signs are text like any other, whatever the server's own sql_mode is."""
    name = "s/a'\\\" OR 1=1 -- %s %(x)s ?;"
    store.append([Append(name, 0, [event("a", payload=b"'\\\0%s\xff")], [execution_row(name, workflow=name)])])

    (got,) = store.read_stream(name)
    assert (got.stream, got.payload) == (name, b"'\\\0%s\xff")
    assert store.view("executions", {"workflow": name})[0]["id"] == name
    assert store.read_stream("s/' OR ''='") == []


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://127.0.0.1", "names no database"),
        ("mysql://127.0.0.1:x/db", "the port must be a number"),
        ("mysql://127.0.0.1/db?lese=3", "unknown option 'lese'; did you mean 'lease'"),
        ("mysql://127.0.0.1/db?lease=soon", "lease is a number of seconds, not 'soon'"),
        ("mysql://127.0.0.1/db?connect_timeout=x", "connect_timeout is a number of seconds"),
        ("mysql://127.0.0.1/db?ssl_verify_cert=yes", "ssl_verify_cert is true or false, not 'yes'"),
        ("mysql://127.0.0.1/db?mode=rx", "mode is rw or ro"),
        ("mysq://127.0.0.1/db", "did you mean 'mysql'"),
        ("maria://127.0.0.1/db", "did you mean 'mariadb'"),
    ],
)
def test_a_typo_in_the_url_is_named(url: str, said: str) -> None:
    """A URL that cannot be meant is refused with what is wrong in it."""
    with pytest.raises(BadInput, match=said):
        open_store(url)


@pytest.mark.parametrize(
    "rest", ["127.0.0.1:1/db", "127.0.0.1:1/db?x=1", "127.0.0.1:y/db", "127.0.0.1", "127.0.0.1:3306/actum_never"]
)
@pytest.mark.parametrize("scheme", ["mysql", "mysq"])
def test_no_error_shows_the_password(mysql_url: str, scheme: str, rest: str) -> None:
    """Neither a typo nor a server that refuses prints the password of the URL, whatever stands in it."""
    for password in ("hushhush", "hu/sh@hush", "hush#hush?"):
        with pytest.raises((BadInput, StoreRefused)) as caught:
            open_store(f"{scheme}://me:{password}@{rest}")
        assert "hush" not in str(caught.value)
        assert "me:***@127.0.0.1" in str(caught.value)


def test_no_way_in_is_one_clear_sentence(mysql_url: str) -> None:
    """Nobody listening, a database of no such name, a wrong password, a missing authority: each says which."""
    server = mysql_url.rpartition("/")[0]
    for url, said in (
        ("mysql://127.0.0.1:1/db", r"cannot be reached: .*refused"),
        (f"{server}/actum_never", r"cannot be reached: Unknown database 'actum_never'"),
        (server.replace("root@", "actum_nobody:wrong@") + "/db", r"cannot be reached: Access denied for user 'actum_"),
        (f"{mysql_url}?ssl_ca=/no/such/file", r"cannot be reached: .*No such file"),
    ):
        with pytest.raises(StoreRefused, match=said):
            open_store(url)


def test_read_only_is_never_written(store: MySQLStore, mysql: str) -> None:
    """A store opened with mode=ro reads, and refuses every write."""
    store.append(batch("a"))
    reader = MySQLStore(mysql + "?mode=ro")
    with pytest.raises(StoreRefused, match="read-only"):
        reader.append(batch("b"))
    with pytest.raises(StoreRefused, match="read-only"):
        reader.add_checkpoint(1, "note")
    with pytest.raises(StoreRefused, match="no tenant 'other'"):
        open_store(mysql + "?mode=ro", "other")
    assert [e.id for e in reader.read()] == [event_id("a")]
    reader.close()


def test_what_is_recorded_cannot_be_changed(store: MySQLStore, mysql: str) -> None:
    """UPDATE and DELETE are refused on events and checkpoints, for the owner too."""
    store.append(batch("a"))
    store.add_checkpoint(1, "a note — 🫖")
    store.add_checkpoint(1, "another")
    assert store.checkpoints() == [(1, "a note — 🫖")]
    for table in ("events", "checkpoints"):
        for statement in (f"UPDATE {table} SET tenant = tenant", f"DELETE FROM {table}"):
            with pytest.raises(Exception, match=f"{table} are never changed: {statement.split()[0]} refused"):
                ask(mysql, statement)
    assert store.head() == 1
    ask(mysql, "TRUNCATE checkpoints")  # "a note" is none


def change(mysql: str, statement: str) -> None:
    """As somebody with every privilege could: without the triggers."""
    guards = [row[:4] for row in ask(mysql, "SHOW TRIGGERS LIKE 'events'")]
    assert len(guards) == 2
    for name, *_ in guards:
        ask(mysql, f"DROP TRIGGER {name}")
    try:
        ask(mysql, statement)
    finally:
        for name, verb, table, act in guards:
            ask(mysql, f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW {act}")


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE events SET header = REPLACE(header, 'success', 'failure') WHERE seq = 3", 3),
        ("DELETE FROM events WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 5", 5),
        ("UPDATE events SET type = 'step.started' WHERE seq = 1", 1),
        ("UPDATE payloads SET data = 'x' WHERE seq = 0", 0),
        ("UPDATE streams SET name = CONCAT(name, ' ')", None),
        ("UPDATE streams SET version = version - 1", None),
    ],
)
def test_tampering_is_found(mysql: str, statement: str, position: int | None) -> None:
    """Who writes into the tables past everything is found, and the place is named."""
    store = MySQLStore(mysql)
    store.append([Append(STREAM, 0, [event(i, payload=b"1") for i in range(6)])])
    assert check_store(store).verdict == "verified"
    change(mysql, statement)

    found = check_store(store)

    assert found.verdict == "failed"
    if position is not None:
        assert found.first_bad is not None
        assert found.first_bad.position == position
    store.close()


# -- users -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def application(mysql: str) -> Iterator[str]:
    """The URL of the store for a user without any privilege yet."""
    name = f"app{abs(hash(mysql)) % 10**6}"
    ask(SERVER, f"DROP USER IF EXISTS {name}@'%'", f"CREATE USER {name}@'%' IDENTIFIED BY 'secret'")
    yield urlsplit(mysql)._replace(netloc=f"{name}:secret@127.0.0.1:{urlsplit(mysql).port}").geturl()
    ask(SERVER, f"DROP USER {name}@'%'")


def test_a_granted_user_appends_and_cannot_change_the_record(mysql: str, application: str) -> None:
    """It has what the store needs and no more: not even TRUNCATE or a new table, which no trigger would stop."""
    with pytest.raises(StoreRefused, match="Access denied for user"):
        open_store(application)
    grant_use(mysql, f"{urlsplit(application).username}@%")
    store = MySQLStore(application)
    store.append([Append(STREAM, 0, [event("a")], [execution_row("e")])])
    store.append([Append(STREAM, 1, [event("b")], [execution_row("e", status="completed")])])
    owners = store.owners()
    owners.hold("w")
    owners.release("w")
    assert check_store(store).verdict in ("verified", "verified_with_gaps")
    store.close()

    for statement in (
        "TRUNCATE events",
        "DELETE FROM events",
        "UPDATE checkpoints SET note = ''",
        "DROP TABLE events",
        "DROP TRIGGER events_no_delete",
        "CREATE TABLE mine (x int)",
        "UPDATE alembic_version SET version_num = '1'",
        "INSERT INTO floors VALUES (0, 1, '')",
        "DELETE FROM departed",
    ):
        with pytest.raises(Exception, match="denied"):
            ask(application, statement)


def test_a_granted_user_s_erasure_is_finished_by_the_owner(mysql: str, application: str) -> None:
    """It may remove what is erased, and not write the tables anew: that is said, and `finish` does it as the owner."""
    grant_use(mysql, f"{urlsplit(application).username}@%")
    store = MySQLStore(application)
    key = store.key_for("ada")
    store.append([Append(STREAM, 0, [replace(event("a", payload=b"1"), key=key)])])
    by = Actor("person", "p-dpo")

    with pytest.raises(StoreRefused, match=r"ALTER command denied.*`actum erase --finish` as their owner"):
        erase_subject(store, "ada", basis="request", reason="asked", by=by, clock=lambda: NOON_US)

    assert [e.payload for e in store.read_stream(STREAM)] == [None]
    assert store.keys_of("ada") == []
    store.close()
    owner = MySQLStore(mysql)
    finish(owner)
    assert check_store(owner).verdict == "verified"
    owner.close()


def test_who_moves_the_floor_waits_for_another_and_appends_for_neither(mysql: str) -> None:
    """Of two who archive at once, the second is refused when its patience ends; the log goes on meanwhile."""
    ours, theirs = MySQLStore(mysql), MySQLStore(f"{mysql}?busy_timeout=1")
    ours.append(batch("a"))
    with ours._moving():
        with pytest.raises(StoreRefused, match=r"another process holds the log \(waited 1 s\); nothing was written"):
            theirs.drop(0, ours.tree(), [], keep="system/default")
        assert theirs.append(batch("b", stream="s/another")).last_position == 1
    assert ours.floor().size == 0
    assert check_store(ours).verdict == "verified"
    theirs.close()
    ours.close()


def test_a_user_who_may_only_read_is_told_so(mysql: str, application: str) -> None:
    """A missing permission is one sentence at the first write; with mode=ro everything can be read."""
    open_store(mysql).append(batch("a"))
    database, user = urlsplit(mysql).path[1:], urlsplit(application).username
    ask(mysql, f"GRANT SELECT ON {database}.* TO {user}@'%'")
    reader = open_store(application + "?mode=ro")
    assert [e.id for e in reader.read()] == [event_id("a")]
    reader.close()
    store = open_store(application)
    with pytest.raises(StoreRefused, match=r"command denied to user.*nothing was written"):
        store.append(batch("b"))
    store.close()


@pytest.mark.parametrize("user", ["actum_never", "actum_never@localhost"])
def test_who_is_not_there_is_granted_nothing(mysql: str, user: str) -> None:
    """A user or role that does not exist is refused, and not made: it would have no password."""
    with pytest.raises(StoreRefused, match="not everything was granted"):
        grant_use(mysql, user)
    assert ask(SERVER, "SELECT host FROM mysql.user WHERE user = 'actum_never'") == []


def test_a_role_is_granted_what_a_user_is(mysql: str) -> None:
    """A role is named without a host."""
    role = f"actum_role_{os.getpid()}"
    ask(SERVER, f"CREATE ROLE {role}")
    try:
        assert len(grant_use(mysql, role)) == len(grants_for("x@%"))
        assert any("GRANT SELECT, INSERT ON" in row[0] for row in ask(SERVER, f"SHOW GRANTS FOR {role}"))
    finally:
        ask(SERVER, f"DROP ROLE {role}")


@pytest.mark.parametrize("name", ["", "a'b", "a@", "x`y", "a\\", "a@b'c"])
def test_what_is_no_name_of_a_user_is_granted_nothing(name: str) -> None:
    """A name that would have to be escaped is refused."""
    with pytest.raises(BadInput, match="is not the name of a user or role"):
        grants_for(name)


# -- who is alive, and relays ------------------------------------------------------------------------------------------


def test_a_worker_is_alive_until_its_lease_is_over(store: MySQLStore, mysql: str) -> None:
    """Alive for every process while it is held; not after release, nor when its process no longer renews."""
    other = MySQLStore(mysql + "?lease=3")
    ours, theirs = other.owners(), store.owners()
    ours.hold("w-1")
    ours.hold("w-2")
    assert [theirs.alive(name) for name in ("w-1", "w-2", "w-3", "W-1", "")] == [True, True, False, False, False]
    ours.release("w-2")
    assert [theirs.alive(name) for name in ("w-1", "w-2")] == [True, False]
    held = "SELECT until FROM leases WHERE name = 'worker/w-1'"
    until, renewed = ask(mysql, held), Event()
    while ask(mysql, held) == until:
        renewed.wait(0.02)
    assert theirs.alive("w-1")
    ours.release("w-1")
    assert not theirs.alive("w-1")

    ask(mysql, "INSERT INTO leases VALUES (0, 'worker/dead', 'dead', 1, UTC_TIMESTAMP(6) - INTERVAL 1 SECOND, NULL)")
    assert not theirs.alive("dead")
    theirs.hold("dead")  # started again under its name
    assert ours.alive("dead")
    theirs.release("dead")
    other.close()


def test_relays_keep_their_marks_in_the_stores_database(mysql: str) -> None:
    """The ledger of a MySQL store is beside the log, and does not answer when the database does not."""
    ledger = relay_ledger(Settings(store=mysql))
    ledger.enrol("r", "https://example.org", None)
    ledger.enrol("R", "https://example.org/other", ("step.completed",))
    assert [row.name for row in ledger.relays()] == ["R", "r"]
    ask(mysql, "DROP TABLE actum_relays", "DROP TABLE actum_deliveries", "DROP TABLE actum_cursors")
    with pytest.raises(TargetUnavailable):
        relay_ledger(Settings(store="mysql://127.0.0.1:1/db"))
