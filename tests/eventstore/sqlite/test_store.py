"""SQLite: what it refuses to open, the settings behind the promises, and what a full or locked disk means."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from actum.errors import BadInput, StoreDamaged, StoreRefused
from actum.eventstore import ANY, Append, Appended, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.sqlite.store import SQLiteStore
from actum.migrations import HEAD, REVISIONS
from actum.testing.builders import STREAM, batch, event, event_id


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def made(url: str, *names: str | int) -> None:
    store = open_store(url)
    if names:
        store.append(batch(*names))
    store.close()


# -- what it is -------------------------------------------------------------------------------------------------


def test_every_connection_flushes_every_commit(url: str) -> None:
    """The file is in write-ahead mode, and the writer's and each reader's connection is at synchronous=FULL."""
    store = SQLiteStore(url)
    store.append(batch("a"))
    store.head()
    connections = [store._connection, *store._idle]

    assert len(connections) >= 2
    assert [con.execute("PRAGMA synchronous").fetchone()[0] for con in connections] == [2] * len(connections)
    assert {con.execute("PRAGMA journal_mode").fetchone()[0] for con in connections} == {"wal"}
    assert [con.execute("PRAGMA query_only").fetchone()[0] for con in connections[1:]] == [1] * (len(connections) - 1)
    store.close()


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
@pytest.mark.parametrize(("table", "column"), [("events", "header"), ("checkpoints", "note")])
def test_the_database_itself_refuses_changes(path: Path, url: str, statement: str, table: str, column: str) -> None:
    """Raw SQL that updates or deletes an event or a checkpoint is refused by a trigger."""
    store = open_store(url)
    store.append(batch("a"))
    store.add_checkpoint(1, "a note")
    store.close()
    con = sqlite3.connect(path)

    with pytest.raises(sqlite3.IntegrityError, match=f"{table} are never changed"):
        con.execute(statement.format(table, column, column))
    con.close()


def test_the_file_is_found_wherever_the_process_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store opened by a relative path stays that file when the process changes its folder."""
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///log.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.append(batch("a"))

    assert store.head() == 1
    store.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["a b.db", "a%3Fb.db", "a%23b.db", "100%25.db", "žlutý.db"])
def test_file_names_of_any_kind(tmp_path: Path, name: str) -> None:
    """Spaces, question marks, hashes, per cent signs and accents in a file's name are names, not syntax."""
    made(f"sqlite:///{tmp_path}/{name}", "a")
    store = open_store(f"sqlite:///{tmp_path}/{name}")
    assert store.head() == 1
    store.close()


# -- what it refuses to open ------------------------------------------------------------------------------------


def _other_program(path: Path) -> None:
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE alembic_version (version_num TEXT)")
    con.execute("INSERT INTO alembic_version VALUES ('0001')")
    con.execute("CREATE TABLE orders (id)")
    con.commit()
    con.close()


def _revision(number: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        made(f"sqlite:///{path}")
        con = sqlite3.connect(path)
        con.execute("UPDATE alembic_version SET version_num = ?", (number,))
        con.commit()
        con.close()

    return write


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: path.mkdir(), "is a directory, not a store file"),
        (lambda path: path.write_bytes(b"a letter, not a database" * 99), "is not a database"),
        (_other_program, "is a database, but not a store of actum"),
        (_revision("9999"), f"schema 9999, this program knows {HEAD}.*upgrade actum"),
    ],
    ids=["directory", "letter", "other program", "newer"],
)
def test_what_is_not_ours_is_refused_and_left_alone(
    path: Path, url: str, prepare: Callable[[Path], None], said: str
) -> None:
    """What stands at the path and is no store of this program is named for what it is, and not a byte is written."""
    prepare(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(StoreRefused, match=said) as caught:
        open_store(url)

    assert url in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A store in a folder that does not exist is refused, and the folder is not made."""
    with pytest.raises(StoreRefused, match=f"the folder {tmp_path}/none does not exist"):
        open_store(f"sqlite:///{tmp_path}/none/log.db")

    assert list(tmp_path.iterdir()) == []


def test_an_older_schema_is_named_with_what_to_do(path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of an earlier revision is refused with both revisions and the command that upgrades it."""
    made(url)
    monkeypatch.setattr("actum.eventstore.sqlite.open.REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr("actum.eventstore.sqlite.open.HEAD", "9999")

    with pytest.raises(StoreRefused, match=f"schema {HEAD}, this program needs 9999; run `actum db upgrade`"):
        open_store(url)


def test_an_empty_file_becomes_a_store(path: Path, url: str) -> None:
    """A file of no bytes, and a database without tables, are taken as new."""
    path.write_bytes(b"")
    made(url, "a")
    path.unlink()
    con = sqlite3.connect(path)
    con.execute("PRAGMA journal_mode = WAL")
    con.execute("PRAGMA user_version = 0")
    con.close()
    made(url, "a")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("?mod=ro", "unknown option 'mod'; did you mean 'mode'"),
        ("?busy_timout=3", "did you mean 'busy_timeout'"),
        ("?mode=rx", "mode is rw or ro, not 'rx'"),
        ("?mode=", "mode is rw or ro, not ''"),
        ("?busy_timeout=soon", "number of seconds, not 'soon'"),
        ("?busy_timeout=²", "number of seconds"),
        ("?busy_timeout=-1", "number of seconds"),
        ("?busy_timeout=.", "number of seconds"),
    ],
)
def test_bad_options_are_named(path: Path, url: str, rest: str, said: str) -> None:
    """An option of the URL that is unknown or has no meaning is refused with the nearest one; no file is made."""
    with pytest.raises(BadInput, match=said):
        open_store(url + rest)

    assert not path.exists()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("sqlite:log.db", "not a store URL"),
        ("sqlite://log.db", "write sqlite:///file.db"),
        ("sqlite:///", "write sqlite:///file.db"),
        ("sqlte:///log.db", "did you mean 'sqlite'"),
        ("log.db", "write for example sqlite:///actum.db"),
    ],
)
def test_bad_urls_are_named(bad: str, said: str) -> None:
    """A URL that names no store says how one is written."""
    with pytest.raises(BadInput, match=said):
        open_store(bad)


@pytest.mark.parametrize("tenant", ["", "x" * 257, "a\nb", "\ud800"])
def test_bad_tenants_are_named(url: str, tenant: str) -> None:
    """A tenant's name is 1 to 256 printable characters."""
    with pytest.raises(BadInput, match="1 to 256 printable"):
        open_store(url, tenant)


# -- read-only --------------------------------------------------------------------------------------------------


def test_a_read_only_store_reads_and_writes_nothing(path: Path, url: str) -> None:
    """With mode=ro everything can be read and checked, every write is refused, and the file stays as it is."""
    made(url, "a", "b")
    before = path.read_bytes()
    store = open_store(url + "?mode=ro")

    for write in (lambda: store.append(batch("c")), lambda: store.add_checkpoint(2, "note")):
        with pytest.raises(StoreRefused, match="opened read-only; nothing was written"):
            write()
    assert [e.id for e in store.read()] == [event_id("a"), event_id("b")]
    assert check_store(store).verdict == "verified"
    store.close()
    assert path.read_bytes() == before


def test_reading_what_is_not_there_makes_nothing(path: Path, url: str) -> None:
    """mode=ro of a missing store, or a missing tenant, is refused and leaves no trace."""
    with pytest.raises(StoreRefused, match=f"there is no store at {path}"):
        open_store(url + "?mode=ro")
    assert not path.exists()

    made(url)
    with pytest.raises(StoreRefused, match="has no tenant 'other' and is opened read-only"):
        open_store(url + "?mode=ro", "other")


# -- locked, full, contradictory --------------------------------------------------------------------------------


def test_a_locked_store_says_so_and_goes_on_later(path: Path, url: str) -> None:
    """While another connection holds the write lock, appends are refused after the time asked for; then they work."""
    store = open_store(url + "?busy_timeout=0.05")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreRefused, match=r"locked by another process \(waited 0.05 s\); nothing was written"):
        store.append(batch("a"))
    with pytest.raises(StoreRefused, match="locked"):
        store.add_checkpoint(1, "note")
    assert store.head() == 0
    other.execute("ROLLBACK")
    other.close()

    assert store.append(batch("a")).last_position == 0
    store.close()


def test_a_full_disk_refuses_and_the_store_stays_good(url: str) -> None:
    """When the file cannot grow, the append is refused, nothing of it is there, and with room it goes through."""
    store = SQLiteStore(url)
    store.append(batch("before"))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    big = [Append(STREAM, ANY, [event("big", payload=bytes(100_000))])]

    with pytest.raises(StoreRefused, match="the disk is full; nothing was written"):
        store.append(big)
    assert (store.head(), check_store(store).verdict) == (1, "verified")
    store._connection.execute("PRAGMA max_page_count = 1073741823")

    assert store.append(big) == Appended(1, 1, {STREAM: 2})
    assert check_store(store).verdict == "verified"
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tree_state SET frontier = x'00'",
        "UPDATE tree_state SET size = 1",
        "UPDATE tree_state SET size = 0, frontier = zeroblob(8)",
        "UPDATE streams SET version = 1",
        "DELETE FROM tree_state",
    ],
)
def test_a_store_that_contradicts_itself_takes_no_more(path: Path, url: str, damage: str) -> None:
    """When tree or heads do not fit the events, appends are refused as damage, and nothing more is written."""
    made(url, "a", "b")
    con = sqlite3.connect(path)
    con.execute(damage)
    con.commit()
    con.close()
    store = open_store(url)

    with pytest.raises(StoreDamaged, match="keep the files as they are"):
        store.append(batch("c"))
    assert len(list(store.read())) == 2
    store.close()


def test_an_unreadable_header_is_damage_with_its_position(path: Path, url: str) -> None:
    """Reading an event whose bytes are no header says which one it is."""
    made(url, "a", "b", "c")
    con = sqlite3.connect(path)
    con.execute("DROP TRIGGER events_no_update")
    con.execute("UPDATE events SET header = x'ff' WHERE seq = 1")
    con.commit()
    con.close()
    store = open_store(url)

    with pytest.raises(StoreDamaged, match="event 1: the stored bytes are not a header") as caught:
        list(store.read())
    assert caught.value.position == 1
    store.close()


def test_connections_are_given_back(url: str) -> None:
    """Reading from many short-lived threads keeps only as many connections as ever read at once."""
    from concurrent.futures import ThreadPoolExecutor

    store = SQLiteStore(url)
    store.append(batch("a"))
    for _ in range(30):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(store.head).result() == 1

    assert len(store._idle) == 1
    store.close()
