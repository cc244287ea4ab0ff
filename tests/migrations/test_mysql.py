"""The schema on MySQL: fresh equals migrated, what was cut off is completed, and nothing newer is touched."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

import actum.migrations.upgrade as upgrade_module
from actum.errors import StoreRefused
from actum.eventstore import open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.mysql.open import create_or_upgrade, revision_at
from actum.eventstore.tables.schema import NEVER_CHANGED, tables_for
from actum.migrations import HEAD, JOURNAL, REVISIONS
from actum.testing.builders import batch
from actum.testing.mysql import ask, database
from tests.migrations.test_upgrade import shape

KILLED_AT = """
import os, signal, sys
from sqlalchemy import Engine, event
from actum.eventstore.mysql.open import create_or_upgrade
url, wanted, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
seen = 0
import pymysql.cursors as cursors
real = cursors.Cursor.execute
def execute(self, query, args=None):
    global seen
    changes = isinstance(query, str) and query.lstrip().startswith(("CREATE", "ALTER", "DROP"))
    seen += changes
    if changes and seen == wanted and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = real(self, query, args)
    if changes and seen == wanted:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
cursors.Cursor.execute = execute
create_or_upgrade(url)
"""
"""Upgrades, and is killed before or after the given change of the schema."""


@pytest.fixture
def url(mysql_url: str) -> Iterator[str]:
    """An empty database."""
    with database() as url:
        yield url


def alchemy(url: str) -> str:
    return url.replace(
        "mysql:", "mariadb+pymysql:" if "MariaDB" in ask(url, "SELECT VERSION()")[0][0] else "mysql+pymysql:"
    )


def triggers(url: str) -> set[tuple[Any, ...]]:
    return {row[:4] for row in ask(url, "SHOW TRIGGERS")}


def test_a_migrated_database_equals_a_fresh_one(url: str, mysql_url: str) -> None:
    """Tables, columns, types, keys, indexes and constraints of the revisions are those of the metadata."""
    engine = create_engine(alchemy(url), poolclass=NullPool)
    for table in tables_for(engine.dialect.name):
        table.create(engine)
    engine.dispose()

    fresh, migrated = shape(alchemy(url)), shape(alchemy(mysql_url))
    assert fresh == migrated
    assert {"events", "streams", "payloads", "tree_state", "checkpoints", "leases"} <= set(fresh)


def test_text_is_compared_by_bytes_whatever_the_database_does(mysql_url: str) -> None:
    """No text column has the collation of the database, and each table can be rolled back."""
    found = ask(
        mysql_url,
        "SELECT table_name, column_name, collation_name FROM information_schema.columns WHERE collation_name IS NOT "
        "NULL AND table_schema = DATABASE() AND table_name <> 'alembic_version'",
    )
    assert {row[2] for row in found} <= {"utf8mb4_nopad_bin", "utf8mb4_0900_bin"}
    assert len(found) > 20
    engines = ask(mysql_url, "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE()")
    assert engines == [("InnoDB",)]


def test_what_never_changes_is_guarded(mysql_url: str) -> None:
    """Each such table has a trigger against UPDATE and one against DELETE."""
    guarded = [table.name for table in tables_for("mysql") if table.name in NEVER_CHANGED]
    wanted = {(f"{table}_no_{verb.lower()}", verb, table) for table in guarded for verb in ("UPDATE", "DELETE")}
    assert wanted <= {row[:3] for row in triggers(mysql_url)}
    assert len(guarded) == 2


def test_upgrading_goes_from_nothing_to_today_and_then_nowhere(url: str) -> None:
    """The first makes the tables, the second finds nothing to do, and says both; nothing else is left."""
    assert revision_at(url) is None
    assert create_or_upgrade(url) == (None, HEAD)
    assert create_or_upgrade(url) == (HEAD, HEAD)
    assert revision_at(url) == HEAD
    assert (JOURNAL,) not in ask(url, "SHOW TABLES")


def test_only_below_the_floor_events_can_be_deleted(url: str) -> None:
    """A tenant's events below its own floor may go, and no others."""
    create_or_upgrade(url)
    for tenant in (0, 1):
        rows = ", ".join(f"(({tenant} << 40) + {i}, {tenant}, {tenant}, {i}, '{tenant}{i}', 't', '')" for i in range(4))
        ask(url, f"INSERT INTO events VALUES {rows}")
    ask(url, "INSERT INTO floors VALUES (0, 2, '')", "DELETE FROM events WHERE seq < 2")
    for seq in (2, 3, 1 << 40):
        with pytest.raises(Exception, match="events are never changed: DELETE refused"):
            ask(url, f"DELETE FROM events WHERE seq = {seq}")
    assert ask(url, "SELECT count(*) FROM events") == [(6,)]


def changes_of_an_upgrade() -> int:
    """How often a whole upgrade changes the schema, journal included."""
    with database() as url:
        statements = []

        def count(engine: Any) -> None:
            event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
            real(engine)

        real = upgrade_module.keep_journal
        upgrade_module.keep_journal = count
        try:
            create_or_upgrade(url)
        finally:
            upgrade_module.keep_journal = real
    return sum(statement.lstrip().startswith(("CREATE", "ALTER", "DROP")) for statement in statements) + 1


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_upgrade_cut_off_at_any_statement_is_completed_by_the_next(mysql_url: str, when: str) -> None:
    """Killed before or after a change of the schema, at the first ones as at the last: the next upgrade goes on."""
    total = changes_of_an_upgrade()
    assert total > 20
    wanted = shape(alchemy(mysql_url)), triggers(mysql_url)
    for at in [*range(0, total - 3, 12), *range(total - 3, total)]:  # the last three replace a trigger, and end it
        with database() as url:
            done = subprocess.run([sys.executable, "-c", KILLED_AT, url, str(at + 1), when], timeout=60, check=False)
            assert done.returncode == -signal.SIGKILL, at
            assert revision_at(url) in (None, *REVISIONS)

            create_or_upgrade(url)

            assert (shape(alchemy(url)), triggers(url)) == wanted, at
            assert (JOURNAL,) not in ask(url, "SHOW TABLES")
            store = open_store(url)
            store.append(batch("a"))
            assert check_store(store).verdict == "verified"
            store.close()


def test_processes_may_make_one_store_at_once(url: str) -> None:
    """Whoever comes first makes the schema; nobody fails, and every tenant is there once."""
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda i: open_store(url, f"tenant{i % 2}"), range(4)))
    for store in stores:
        assert store.head() == 0
        store.close()
    assert sorted(ask(url, "SELECT no FROM tenants")) == [(0,), (1,)]
    assert len(ask(url, "SELECT tenant FROM tree_state")) == 2


@pytest.mark.parametrize(
    ("version", "said"),
    [("9999", f"newer version .schema 9999, this program knows {HEAD}"), (REVISIONS[0], "run `actum db upgrade`")],
)
def test_another_version_is_refused_by_name(url: str, version: str, said: str) -> None:
    """Opening neither touches a newer store nor upgrades an older one by itself."""
    create_or_upgrade(url)
    ask(url, f"UPDATE alembic_version SET version_num = '{version}'")

    with pytest.raises(StoreRefused, match=said):
        open_store(url)
    assert revision_at(url) == version


def test_another_programs_tables_are_left_alone(url: str) -> None:
    """A database with tables in our tables' places is refused, also when it is tried again."""
    ask(url, "CREATE TABLE events (mine text)")
    with pytest.raises(StoreRefused, match="another program's tables are where the store's would be"):
        open_store(url)
    ask(url, "DROP TABLE events", "CREATE TABLE approvals (mine text)")
    for _ in range(2):
        with pytest.raises(StoreRefused, match=r"'approvals' already exists.*the next upgrade goes on from there"):
            open_store(url)
    assert ask(url, "SELECT * FROM approvals") == []
    ask(url, "DROP TABLE approvals")
    assert create_or_upgrade(url) == (None, HEAD)


def test_two_upgrades_take_turns(url: str) -> None:
    """While another connection upgrades, the second waits, and then finds it done."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: create_or_upgrade(url), range(4)))
    assert sorted(answers, key=str) == sorted([(None, HEAD), *[(HEAD, HEAD)] * 3], key=str)
