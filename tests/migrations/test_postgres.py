"""The schema on PostgreSQL: a fresh database equals a migrated one, and nothing newer is touched."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from actum.errors import StoreRefused
from actum.eventstore import open_store
from actum.eventstore.postgres.open import create_or_upgrade, revision_at
from actum.eventstore.tables.schema import NEVER_CHANGED, metadata, tables_for
from actum.migrations import HEAD, REVISIONS
from actum.testing.postgres import ask, database
from tests.migrations.test_upgrade import shape


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """An empty database."""
    with database() as url:
        yield url


def alchemy(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:")


def test_a_migrated_database_equals_a_fresh_one(url: str, postgres_url: str) -> None:
    """Tables, columns, types, keys, indexes, constraints and sequences of the revisions are those of the metadata."""
    engine = create_engine(alchemy(url), poolclass=NullPool)
    metadata.create_all(engine, tables=tables_for("postgresql"))
    engine.dispose()

    assert shape(alchemy(url)) == shape(alchemy(postgres_url))
    sequences = "SELECT sequencename::text, start_value, increment_by, cache_size FROM pg_sequences"
    assert ask(url, sequences) == ask(postgres_url, sequences) == [("batches", 1, 1, 1)]


def test_what_never_changes_is_guarded(postgres_url: str) -> None:
    """Each such table has a trigger against UPDATE, DELETE and TRUNCATE."""
    found = ask(
        postgres_url,
        "SELECT tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal "
        f"AND relname IN {NEVER_CHANGED}",
    )
    wanted = {f"{table}_no_{verb}" for table in NEVER_CHANGED for verb in ("update", "delete", "truncate")}
    assert wanted <= {name for (name,) in found}


def test_upgrading_goes_from_nothing_to_today_and_then_nowhere(url: str) -> None:
    """The first makes the tables, the second finds nothing to do, and says both."""
    assert revision_at(url) is None
    assert create_or_upgrade(url) == (None, HEAD)
    assert create_or_upgrade(url) == (HEAD, HEAD)
    assert revision_at(url) == HEAD


def test_processes_may_make_one_store_at_once(url: str) -> None:
    """Whoever comes first makes the schema; nobody fails, and every tenant is there once."""
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda i: open_store(url, f"tenant{i % 2}"), range(4)))
    for store in stores:
        assert store.head() == 0
        store.close()
    assert sorted(ask(url, "SELECT no, name FROM tenants ORDER BY name"))[0][0] == 0
    assert len(ask(url, "SELECT no FROM tenants")) == 2


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
    """A database with tables in our tables' places is refused, and stays as it was."""
    ask(url, "CREATE TABLE events (mine text)")
    with pytest.raises(StoreRefused, match="another program's tables are where the store's would be"):
        open_store(url)
    ask(url, "DROP TABLE events", "CREATE TABLE approvals (mine text)")
    with pytest.raises(StoreRefused, match='relation "approvals" already exists; nothing was changed'):
        open_store(url)
    ask(url, "DROP TABLE approvals", "CREATE TABLE alembic_version (version_num text)")
    ask(url, "INSERT INTO alembic_version VALUES ('theirs')")
    with pytest.raises(StoreRefused, match="another program's tables"):
        open_store(url)
    assert ask(url, "SELECT version_num FROM alembic_version") == [("theirs",)]


def test_a_schema_of_its_own_can_be_named(url: str) -> None:
    """With libpq's search_path the tables lie beside another program's of the same names."""
    ask(url, "CREATE TABLE events (mine text)", "CREATE SCHEMA record")
    store = open_store(url + "?options=-csearch_path%3Drecord")
    assert store.head() == 0
    store.close()
    assert ask(url, "SELECT count(*) FROM record.tenants") == [(1,)]


def test_only_below_the_floor_events_can_be_deleted(url: str) -> None:
    """Of `events` and `log`, a tenant's rows below its own floor may go, and no other; one without position never."""
    create_or_upgrade(url)
    ask(
        url,
        "INSERT INTO events SELECT (t << 30) + p, t, t, p, decode(lpad(to_hex(t * 16 + p), 2, '0'), 'hex'), 't', "
        "'\\x00' FROM generate_series(0, 1) t, generate_series(0, 4) p",
        "INSERT INTO log SELECT (t::bigint << 40) + p, (t << 30) + p FROM generate_series(0, 1) t, "
        "generate_series(0, 3) p",
        "INSERT INTO floors VALUES (0, 2, '\\x00')",
        "DELETE FROM events WHERE seq < 2",
        "DELETE FROM log WHERE seq < 2",
    )
    for table, seq in (("events", 2), ("events", 4), ("events", 1 << 30), ("log", 2), ("log", 1 << 40)):
        with pytest.raises(Exception, match=f"{table} are never changed: DELETE refused"):
            ask(url, f"DELETE FROM {table} WHERE seq = {seq}")
    assert ask(url, "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM log)") == [(8, 6)]
