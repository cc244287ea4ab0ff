"""DuckDB: what it refuses to open, several handles of one process, what it finds changed, and pages of the log."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import duckdb
import pytest

from actum.errors import BadInput, IdempotencyConflict, StoreDamaged, StoreRefused, VersionConflict
from actum.eventstore import ANY, Append, EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.duckdb.open import create_or_upgrade, revision_at
from actum.eventstore.duckdb.store import DuckDBStore
from actum.migrations import HEAD, REVISIONS
from actum.testing.builders import STREAM, batch, event, event_id, execution_row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.duckdb"


@pytest.fixture
def url(path: Path) -> str:
    return f"duckdb:///{path}"


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    store = open_store(url)
    yield store
    store.close()


def made(url: str, *names: str | int) -> None:
    store = open_store(url)
    if names:
        store.append(batch(*names))
    store.close()


def sql(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as con:
        for statement in statements:
            con.execute(statement)


# -- what it is ---------------------------------------------------------------------------------------------------


def test_every_commit_is_flushed_and_nothing_is_fetched(url: str) -> None:
    """The settings behind the promises are on: flushes as DuckDB means them, and no extension from elsewhere."""
    store = DuckDBStore(url)
    names = ("fsync_mode", "autoinstall_known_extensions", "autoload_known_extensions", "threads")
    found = store._file.execute(
        f"SELECT name, value FROM duckdb_settings() WHERE name IN ({','.join('?' * len(names))})", names
    ).fetchall()
    store.close()

    assert dict(found) == dict(zip(names, ("STANDARD", "false", "false", "1"), strict=True))


def test_closing_writes_the_log_back(path: Path, url: str) -> None:
    """While a store is open its commits stand in a file beside it; closed, it is one file."""
    store = open_store(url)
    store.append(batch("a"))
    assert Path(f"{path}.wal").stat().st_size > 0
    store.close()

    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_file_is_found_wherever_the_process_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store opened by a relative path stays that file when the process changes its folder."""
    monkeypatch.chdir(tmp_path)
    store = open_store("duckdb:///log.duckdb")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.append(batch("a"))
    store.close()

    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["log.duckdb"]


@pytest.mark.parametrize("name", ["a b.duckdb", "a%3Fb.duckdb", "a%23b.duckdb", "100%25.duckdb", "žlutý.duckdb"])
def test_file_names_of_any_kind(tmp_path: Path, name: str) -> None:
    """Spaces, question marks, hashes, per cent signs and accents in a file's name are names, not syntax."""
    made(f"duckdb:///{tmp_path}/{name}", "a")
    store = open_store(f"duckdb:///{tmp_path}/{name}")
    assert store.head() == 1
    store.close()


# -- what it refuses to open ----------------------------------------------------------------------------------------


def _sqlite(path: Path) -> None:
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE orders (id)")
    con.close()


def _other_program(path: Path) -> None:
    sql(path, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('0001')")


def _newer(path: Path) -> None:
    made(f"duckdb:///{path}")
    sql(path, "UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize("open_it", [open_store, create_or_upgrade], ids=["open", "upgrade"])
@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: path.mkdir(), "is a directory, not a store file"),
        (lambda path: path.write_bytes(b"a letter, not a database" * 99), "is not a DuckDB file"),
        (lambda path: path.write_bytes(b""), "is empty, not a DuckDB file; remove it"),
        (_sqlite, "is not a DuckDB file"),
        (_other_program, "is a database, but not a store of actum"),
        (_newer, f"schema 9999, this program knows {HEAD}.*upgrade actum"),
    ],
    ids=["directory", "letter", "empty", "sqlite", "other program", "newer"],
)
def test_what_is_not_ours_is_refused_and_left_alone(
    path: Path, url: str, prepare: Callable[[Path], None], said: str, open_it: Callable[[str], object]
) -> None:
    """What stands at the path and is no store of this program is named for what it is, and not a byte is written."""
    prepare(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(StoreRefused, match=said) as caught:
        open_it(url)

    assert url in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A store in a folder that does not exist is refused, and the folder is not made."""
    with pytest.raises(StoreRefused, match=f"the folder {tmp_path}/none does not exist"):
        open_store(f"duckdb:///{tmp_path}/none/log.duckdb")

    assert list(tmp_path.iterdir()) == []


def test_an_older_schema_is_named_with_what_to_do(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of an earlier revision is refused with both revisions and the command that upgrades it."""
    made(url)
    monkeypatch.setattr("actum.eventstore.duckdb.open.REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr("actum.eventstore.duckdb.open.HEAD", "9999")

    with pytest.raises(StoreRefused, match=f"schema {HEAD}, this program needs 9999; run `actum db upgrade`"):
        open_store(url)


def test_the_revision_can_be_asked_for(path: Path, url: str) -> None:
    """None before there is a store, today's after; asking makes nothing."""
    assert revision_at(url) is None
    assert not path.exists()
    assert create_or_upgrade(url) == (None, HEAD)
    assert revision_at(url) == HEAD
    assert create_or_upgrade(url) == (HEAD, HEAD)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("duckdb:log.duckdb", "not a store URL"),
        ("duckdb://log.duckdb", "write duckdb:///file.duckdb"),
        ("duckdb:///", "write duckdb:///file.duckdb"),
        ("duckbd:///log.duckdb", "did you mean 'duckdb'"),
        ("duckdb:///log.duckdb?mod=ro", "unknown option 'mod'; did you mean 'mode'"),
        ("duckdb:///log.duckdb?mode=rx", "mode is rw or ro, not 'rx'"),
        ("duckdb:///log.duckdb?mode=", "mode is rw or ro, not ''"),
    ],
)
def test_bad_urls_are_named(bad: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that names no store, or an option without a meaning, says how one is written; no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=said):
        open_store(bad)

    assert list(tmp_path.iterdir()) == []


# -- read-only ------------------------------------------------------------------------------------------------------


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


def test_one_process_cannot_have_it_in_two_modes(store: EventStore, url: str) -> None:
    """DuckDB shares a file between handles of one mode only; the other mode is refused with that reason."""
    with pytest.raises(StoreRefused, match="open in this process in the other mode, rw or ro"):
        open_store(url + "?mode=ro")

    assert store.append(batch("a")).last_position == 0


# -- several handles in one process -----------------------------------------------------------------------------------


def test_handles_of_one_log_write_at_once(url: str) -> None:
    """Two handles on one log, and one of another tenant: every event once, in dense positions and sound trees."""
    stores = [open_store(url), open_store(url), open_store(url, "other")]

    def write(number: int) -> None:
        for i in range(40):
            stores[number].append(batch(f"{number}-{i}", f"{number}-{i}b", stream=f"s/{i % 3}"))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))

    assert [store.head() for store in stores] == [160, 160, 80]
    assert len({e.id for e in stores[0].read()}) == 160
    for store in stores:
        assert [e.position for e in store.read()] == list(range(store.head()))
        assert check_store(store).verdict == "verified"
        store.close()


def test_what_another_handle_wrote_is_known_when_deciding(url: str) -> None:
    """A handle that appends nothing for a while still answers for the log as it is, not as it remembers it."""
    one, other = open_store(url), open_store(url)
    one.append(batch("a"))
    other.append(batch("b", expected=1))

    assert one.append(batch("c", expected=2)).last_position == 2
    with pytest.raises(VersionConflict, match="at version 3, not 2"):
        other.append(batch("d", expected=2))
    assert one.append(batch("b", expected=1)).last_position == 1
    with pytest.raises(IdempotencyConflict):
        one.append(batch("b", stream="s/other"))
    one.close()
    assert other.head() == 3
    other.close()


def test_a_row_of_a_view_can_be_written_again_and_again(store: EventStore) -> None:
    """Writing, removing and writing one key of a view, also while somebody reads, never meets its own old row."""
    reading = store.read()
    for i in range(20):
        row = execution_row("x", status="running" if i % 2 else "paused", wake_us=i)
        store.append(batch(f"{i}", views=(row if i % 5 else row._replace(row=None),)))
        next(reading, None)

    assert [(row["id"], row["wake_us"]) for row in store.view("executions")] == [("x", 19)]
    reading.close()


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 3, 7, 100])
def test_pages_of_any_size_give_the_same_log(store: EventStore, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    """However many positions a page has: every event once, with limits, types and gaps in the table."""
    monkeypatch.setattr("actum.eventstore.duckdb.read._WINDOW", window)
    kinds = ["step.started", "step.completed", "step.failed"]
    store.append([Append(STREAM, ANY, [event(i, kinds[i % 10 % 3], payload=b"x") for i in range(30)])])

    assert [e.position for e in store.read()] == list(range(30))
    assert [e.position for e in store.read_raw(after=4, limit=5)] == list(range(5, 10))
    failed = [i for i in range(30) if i % 10 % 3 == 2]
    assert [e.position for e in store.read(types=["step.failed"])] == failed
    assert [e.position for e in store.read(types=["step.failed"], limit=2, after=3)] == [i for i in failed if i > 3][:2]
    assert list(store.read(types=[])) == []


def test_a_reader_misses_nothing_that_is_appended_meanwhile(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that reaches beyond the end of the log is no promise about what comes into it later."""
    monkeypatch.setattr("actum.eventstore.duckdb.read._WINDOW", 10)
    store.append(batch("a"))
    reading = store.read()
    assert next(reading).position == 0
    store.append(batch("b", "c"))

    assert [e.position for e in reading] == [1, 2]


# -- changed behind its back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE events SET header = replace(header::VARCHAR, 'success', 'failure')::BLOB WHERE seq = 1", 1),
        ("UPDATE events SET type = 'step.failed' WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 1", 1),
        ("UPDATE payloads SET data = 'other'::BLOB WHERE seq = 3", 3),
        ("DELETE FROM payloads WHERE seq = 3", 3),
        ("UPDATE streams SET version = 2", None),
        ("UPDATE tree_state SET size = 3", None),
    ],
)
def test_what_is_changed_with_sql_is_found(path: Path, url: str, change: str, position: int | None) -> None:
    """DuckDB has no triggers, so anything can be changed; checking finds it, and names the place."""
    store = open_store(url)
    store.append([Append(STREAM, ANY, [event(i, payload=b"x") for i in range(4)])])
    store.close()
    sql(path, change)

    store = open_store(url + "?mode=ro")
    found = check_store(store)
    store.close()

    assert found.verdict == "failed"
    if position is not None:
        assert found.first_bad is not None
        assert found.first_bad.position == position


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tree_state SET frontier = '\\x00'::BLOB",
        "UPDATE tree_state SET size = 1",
        "UPDATE tree_state SET size = 0, frontier = '\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'::BLOB",
        "UPDATE streams SET version = 1",
        "DELETE FROM tree_state",
    ],
)
def test_a_store_that_contradicts_itself_takes_no_more(path: Path, url: str, damage: str) -> None:
    """When tree or heads do not fit the events, appends are refused as damage, and nothing more is written."""
    made(url, "a", "b")
    sql(path, damage)
    store = open_store(url)

    with pytest.raises(StoreDamaged, match="keep the files as they are"):
        store.append(batch("c"))
    assert len(list(store.read())) == 2
    store.close()


def test_a_damaged_block_costs_only_what_is_in_it(path: Path, url: str) -> None:
    """Bytes of the file that have changed are reported as damage with the position from which they are missing."""
    noise = [Random(i).randbytes(2000) for i in range(1000)]  # else it would be stored compressed
    store = open_store(url)
    store.append([Append(STREAM, ANY, [event(i, payload=noise[i]) for i in range(1000)])])
    store.close()
    content = path.read_bytes()
    at = content.index(noise[600][:50])
    path.write_bytes(content[:at] + b"\xff" * 20 + content[at + 20 :])

    store = open_store(url + "?mode=ro")
    seen: list[int] = []
    with pytest.raises(StoreDamaged, match="cannot be read from here on") as caught:
        seen.extend(one.position for one in store.read())
    store.close()

    assert seen == list(range(caught.value.position))
    assert 0 < caught.value.position <= 600


def test_it_is_not_needed_for_other_stores() -> None:
    """Opening the library is left to those who use it: a SQLite store works without."""
    code = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from actum.errors import BadInput\n"
        "from actum.eventstore import open_store\n"
        "try: open_store('duckdb:///x')\n"
        "except BadInput as exc: print(exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'actum[duckdb]'" in done.stdout
