"""The schema on DuckDB: the same revisions, in the same words of DuckDB's own catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from actum.errors import StoreRefused
from actum.eventstore.tables.schema import metadata, tables_for
from actum.migrations import HEAD
from actum.migrations.upgrade import upgrade


def catalogue(path: Path) -> dict[str, list[Any]]:
    """What DuckDB says of the tables, indexes and sequences in a file, ours only."""
    with duckdb.connect(str(path)) as con:
        return {
            what: con.execute(f"SELECT sql FROM duckdb_{what}() WHERE sql NOT LIKE '%alembic%' ORDER BY sql").fetchall()
            for what in ("tables", "indexes", "sequences", "views")
        }


def test_a_migrated_database_equals_a_fresh_one(tmp_path: Path) -> None:
    """Tables, columns, types, keys and constraints of the revisions are those of `schema.metadata`."""
    migrated, fresh = tmp_path / "migrated.duckdb", tmp_path / "fresh.duckdb"
    assert upgrade(f"duckdb:///{migrated}") == (None, HEAD)
    assert upgrade(f"duckdb:///{migrated}") == (HEAD, HEAD)
    engine = create_engine(f"duckdb:///{fresh}", poolclass=NullPool)
    with engine.begin() as connection:
        for table in tables_for("duckdb"):
            table.create(connection)
    engine.dispose()

    assert catalogue(migrated) == catalogue(fresh)
    tables = " ".join(sql for (sql,) in catalogue(migrated)["tables"])
    assert all(f"CREATE TABLE {table.name}(" in tables for table in tables_for("duckdb"))
    assert {table.name for table in metadata.sorted_tables} - {t.name for t in tables_for("duckdb")} == {
        "leases",
        "log",
        "pending",
        "resources",
    }


def test_an_upgrade_that_fails_leaves_nothing_half_made(tmp_path: Path) -> None:
    """When one step cannot be done, the steps before it are undone too: it can be tried again."""
    path = tmp_path / "log.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE approvals (in_the_way TEXT)")

    with pytest.raises(StoreRefused, match=r"approvals.*already exists.*nothing was changed"):
        upgrade(f"duckdb:///{path}")

    with duckdb.connect(str(path)) as con:
        assert con.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("approvals",)]
        con.execute("DROP TABLE approvals")
    assert upgrade(f"duckdb:///{path}") == (None, HEAD)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """A schema that only a later program knows is named, with what to do."""
    path = tmp_path / "log.duckdb"
    upgrade(f"duckdb:///{path}")
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreRefused, match=f"schema 9999, this program knows {HEAD}.*upgrade actum"):
        upgrade(f"duckdb:///{path}")
