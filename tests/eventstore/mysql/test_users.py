"""What users of a MySQL store may do, and what they are granted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from actum.errors import BadInput, StoreRefused
from actum.events import Actor
from actum.eventstore import Append, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.custody.erasing import erase_subject, finish
from actum.eventstore.mysql.roles import grant_use, grants_for
from actum.eventstore.mysql.store import MySQLStore
from actum.testing.builders import STREAM, batch, event, event_id, execution_row
from actum.testing.clock import NOON_US
from actum.testing.mysql import SERVER, ask


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
