"""The schema: a fresh database equals a migrated one, and nothing newer is touched."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

import actum.migrations
from actum.errors import StoreRefused
from actum.eventstore.tables.schema import metadata, tables_for
from actum.migrations import HEAD, REVISIONS
from actum.migrations.upgrade import upgrade


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


def shape(url: str) -> dict[str, Any]:
    """Everything that SQLAlchemy can tell of a database's tables, ours only."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as con:  # one for all it asks
        looked = inspect(con)
        tables = {
            name: {
                "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in looked.get_columns(name)],
                "key": looked.get_pk_constraint(name)["constrained_columns"],
                "unique": sorted((u["name"] or "", u["column_names"]) for u in looked.get_unique_constraints(name)),
                "indexes": sorted((i["name"], i["column_names"], i["unique"]) for i in looked.get_indexes(name)),
                "foreign": sorted(
                    (f["constrained_columns"], f["referred_table"], f["referred_columns"])
                    for f in looked.get_foreign_keys(name)
                ),
                "checks": sorted((c["name"], c["sqltext"]) for c in looked.get_check_constraints(name)),
            }
            for name in looked.get_table_names()
            if name != "alembic_version"
        }
    engine.dispose()
    return tables


def test_a_migrated_database_equals_a_fresh_one(url: str, tmp_path: Path) -> None:
    """Tables, columns, types, keys, indexes and constraints of the revisions are those of `schema.metadata`."""
    upgrade(url)
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    engine = create_engine(fresh, poolclass=NullPool)
    metadata.create_all(engine, tables=tables_for("sqlite"))
    engine.dispose()

    assert shape(url) == shape(fresh)
    assert {"events", "streams", "payloads", "tree_state", "checkpoints"} <= set(shape(url))


def test_the_list_of_revisions_is_that_of_the_files() -> None:
    """`REVISIONS` names every file in `versions/`, in the order in which each follows the one before."""
    files = sorted((Path(actum.migrations.__file__).parent / "versions").glob("[0-9]*.py"))
    assert [file.name.split("_")[0] for file in files] == list(REVISIONS)
    assert all(file.name.split("_")[1] in ("expand", "contract") for file in files)
    for file, before in zip(files, (None, *REVISIONS), strict=False):
        text = file.read_text()
        assert f'revision = "{file.name.split("_")[0]}"' in text
        assert f"down_revision = {before!r}".replace("'", '"') in text


def test_upgrading_twice_changes_nothing_more(url: str, tmp_path: Path) -> None:
    """The first upgrade goes from nothing to today, the second from today to today."""
    assert upgrade(url) == (None, HEAD)
    before = (tmp_path / "log.db").read_bytes()

    assert upgrade(url) == (HEAD, HEAD)
    assert (tmp_path / "log.db").read_bytes() == before


def test_events_and_checkpoints_are_guarded(url: str, tmp_path: Path) -> None:
    """There is a trigger against UPDATE and one against DELETE on each table that never changes."""
    upgrade(url)
    con = sqlite3.connect(tmp_path / "log.db")
    triggers = {name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    con.close()

    assert triggers == {f"{table}_no_{verb}" for table in ("events", "checkpoints") for verb in ("update", "delete")}


def test_a_newer_database_is_refused_and_left_alone(url: str, tmp_path: Path) -> None:
    """A schema that only a later program knows is named, with what to do; not a byte is changed."""
    upgrade(url)
    con = sqlite3.connect(tmp_path / "log.db")
    con.execute("UPDATE alembic_version SET version_num = '9999'")
    con.commit()
    con.close()
    before = (tmp_path / "log.db").read_bytes()

    with pytest.raises(StoreRefused, match=f"schema 9999, this program knows {HEAD}.*upgrade actum"):
        upgrade(url)

    assert (tmp_path / "log.db").read_bytes() == before


def test_what_is_no_database_is_refused_and_left_alone(url: str, tmp_path: Path) -> None:
    """A file of another kind is not overwritten."""
    (tmp_path / "log.db").write_bytes(b"a letter, not a database" * 100)

    with pytest.raises(StoreRefused, match="not a database"):
        upgrade(url)

    assert (tmp_path / "log.db").read_bytes() == b"a letter, not a database" * 100


def test_an_upgrade_that_fails_leaves_nothing_half_made(url: str, tmp_path: Path) -> None:
    """When one step cannot be done, the steps before it are undone too: it can be tried again."""
    con = sqlite3.connect(tmp_path / "log.db")
    con.execute("CREATE TABLE approvals (in_the_way TEXT)")
    con.close()

    with pytest.raises(StoreRefused, match=r"approvals already exists.*nothing was changed"):
        upgrade(url)

    con = sqlite3.connect(tmp_path / "log.db")
    assert [name for (name,) in con.execute("SELECT name FROM sqlite_master")] == ["approvals"]
    con.execute("DROP TABLE approvals")
    con.close()
    assert upgrade(url) == (None, HEAD)


def test_two_upgrades_at_once_take_turns(url: str) -> None:
    """Of several upgrades of one new file one does the work, and the others find it done."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: upgrade(url), range(4)))

    assert sorted(answers, key=str) == sorted([(None, HEAD), *[(HEAD, HEAD)] * 3], key=str)


def test_only_below_the_floor_events_can_be_deleted(url: str, tmp_path: Path) -> None:
    """A tenant's events below its own floor may go; all others, and other tenants', are refused as ever."""
    upgrade(url)
    con = sqlite3.connect(tmp_path / "log.db")
    for tenant in (0, 1):
        for position in range(4):
            con.execute(
                "INSERT INTO events VALUES (?,?,?,?,?,'t',x'00')",
                ((tenant << 40) + position, tenant, tenant, position, bytes([tenant, position])),
            )
    con.execute("INSERT INTO floors VALUES (0, 2, x'00')")
    con.execute("DELETE FROM events WHERE seq < 2")
    for seq in (2, 3, 1 << 40, (1 << 40) + 1):
        with pytest.raises(sqlite3.IntegrityError, match="events are never changed: DELETE refused"):
            con.execute("DELETE FROM events WHERE seq = ?", (seq,))
    assert con.execute("SELECT count(*) FROM events").fetchone() == (6,)
    con.close()
