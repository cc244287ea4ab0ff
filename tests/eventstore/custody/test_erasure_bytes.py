"""After an erasure the bytes are nowhere: not in a table, not in a file, not in a log of changes, not in a bucket.

The words that are looked for stand in payloads of every size and as the subject's name. Each search is made before
too, and must find them then: a search that cannot find proves nothing.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actum.errors import StoreRefused
from actum.events import Actor
from actum.eventstore import ANY, Append, EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.custody.custodian import set_retention
from actum.eventstore.custody.erasing import erase_subject, finish
from actum.eventstore.custody.retaining import run_retention
from actum.eventstore.custody.retention import Policy
from actum.eventstore.mysql.connection import close, do
from actum.eventstore.payloads.blobs_s3 import BucketBlobs
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.sqlite.store import SQLiteStore
from actum.eventstore.tables.schema import tables_for
from actum.testing.builders import event
from actum.testing.clock import NOON_US
from actum.testing.mysql import ask as ask_mysql
from actum.testing.mysql import session
from actum.testing.mysql_server import MySQLServer
from tests.eventstore.aws import endpoint_of

OFFICER = Actor("person", "p-dpo")
SUBJECTS = [f"subject{n:02d}-marker@example.org" for n in range(12)]
SIZES = (1, 3, 20, 200, 2_000)

Search = Callable[[bytes], int]


def mark(subject: str) -> bytes:
    return f"<{subject.partition('@')[0]}>".encode()


def fill(store: EventStore, sizes: tuple[int, ...] = SIZES) -> None:
    """Events of all subjects, mixed and of all sizes: inputs, outputs and error messages, whole and in parts."""
    chance = random.Random(4)
    for n in range(240):
        subject = chance.choice(SUBJECTS)
        words = mark(subject) * chance.choice(sizes)
        new = replace(
            event(n, ("step.started", "step.completed", "step.failed")[n % 3], b'{"v":"%s","n":1}' % words),
            key=store.key_for(subject),
            payload_class="business" if n % 5 == 0 else "personal",
            personal=("/v",) if n % 5 == 0 else (),
        )
        store.append([Append(f"execution/{SUBJECTS.index(subject)}", ANY, [new])])


def erase(store: EventStore, subject: str) -> None:
    erase_subject(store, subject, basis="gdpr-17", reason="asked", by=OFFICER, clock=lambda: NOON_US)


def files(folder: Path) -> Search:
    """How often some bytes stand in the files of a folder, or in their names."""

    def search(wanted: bytes) -> int:
        found = [path for path in folder.rglob("*") if path.is_file()]
        return sum(path.read_bytes().count(wanted) + (wanted in os.fsencode(path.name)) for path in found)

    return search


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventStore]:
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    yield store
    store.close()


def test_sqlite_without_a_key_ring(tmp_path: Path, log: EventStore) -> None:
    """Payloads, large ones too, and names leave the file, its write-ahead log and the blobs, one subject at a time."""
    fill(log, (*SIZES, 30_000))
    search = files(tmp_path)
    order = random.Random(5).sample(SUBJECTS, len(SUBJECTS))
    for number, subject in enumerate(order):
        assert search(mark(subject)) > 0
        assert search(subject.encode()) > 0

        erase(log, subject)

        for gone in order[: number + 1]:
            assert search(mark(gone)) == 0, f"{gone}, after erasing {subject}"
            assert search(gone.encode()) == 0, f"{gone}, after erasing {subject}"
    assert check_store(log).verdict == "verified"


def test_sqlite_with_a_key_ring(tmp_path: Path) -> None:
    """No payload was ever readable in a file; the name and the key that could open them are gone after erasing."""
    folder = tmp_path / "store"
    folder.mkdir()
    store = open_store(f"sqlite:///{folder}/log.db", keys=f"file:{tmp_path}/ring")
    fill(store, (*SIZES, 30_000))
    search = files(folder)
    order = random.Random(6).sample(SUBJECTS, len(SUBJECTS))
    wrapped = {subject: _wrapped(store, subject) for subject in SUBJECTS}
    for number, subject in enumerate(order):
        assert search(mark(subject)) == 0
        assert search(subject.encode()) > 0
        assert search(wrapped[subject]) > 0

        erase(store, subject)

        for gone in order[: number + 1]:
            assert search(gone.encode()) == 0, f"{gone}, after erasing {subject}"
            assert search(wrapped[gone]) == 0, f"the key of {gone}, after erasing {subject}"
    assert check_store(store).verdict == "verified"
    store.close()


def _wrapped(store: EventStore, subject: str) -> bytes:
    (row,) = store._protection.keys.rows.of(subject)  # type: ignore[attr-defined]  # nobody else may see it
    assert row.wrapped is not None
    return bytes(row.wrapped)


@pytest.mark.parametrize("ring", [True, False], ids=["key ring", "plain"])
def test_duckdb(tmp_path: Path, ring: bool) -> None:
    """Payloads, names and wrapped keys leave the file and its log, one subject at a time, while others are appended."""
    folder = tmp_path / "store"
    folder.mkdir()
    store = open_store(f"duckdb:///{folder}/log.duckdb", keys=f"file:{tmp_path}/ring" if ring else "")
    chance = random.Random(7)
    marks = {subject: chance.randbytes(12) for subject in SUBJECTS}  # no words: they would be stored compressed
    keys = {subject: store.key_for(subject) for subject in SUBJECTS}
    wrapped = {subject: _wrapped(store, subject) if ring else b"" for subject in SUBJECTS}
    search, order, n = files(folder), chance.sample(SUBJECTS, 5), 0
    for number, subject in enumerate(order):
        for _ in range(40):
            whose = chance.choice(order[number:])
            data = marks[whose] + chance.randbytes(chance.choice((1, 20, 2_000, 20_000))) + marks[whose]
            store.append([Append("s/1", ANY, [replace(event(n, payload=data), key=keys[whose])])])
            n += 1
        assert search(subject.encode()) > 0
        assert search(wrapped[subject]) > 0
        assert (search(marks[subject]) > 0) != ring

        erase(store, subject)

        for gone in order[: number + 1]:
            assert search(gone.encode()) == 0, f"{gone}, after erasing {subject}"
            assert search(marks[gone]) == 0, f"payloads of {gone}, after erasing {subject}"
            assert not ring or search(wrapped[gone]) == 0, f"the key of {gone}, after erasing {subject}"
    assert check_store(store).verdict == "verified"
    store.close()


def test_duckdb_says_that_somebody_still_sees_the_rows(tmp_path: Path) -> None:
    """An older transaction keeps what was removed in the file: that is an error, and `finish` ends it."""
    store = open_store(f"duckdb:///{tmp_path}/log.duckdb")
    fill(store)
    reader = store._file.cursor()  # type: ignore[attr-defined]  # no other process can read the file
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM protected").fetchall()

    with pytest.raises(StoreRefused, match="erase --finish"):
        erase(store, SUBJECTS[0])

    reader.execute("COMMIT")
    reader.close()
    finish(store)
    store.close()


def test_retention_leaves_no_bytes_either(tmp_path: Path, log: EventStore) -> None:
    """What is past its time leaves the file as what is erased does; what is not stays."""
    fill(log)
    set_retention(log, Policy.from_words(["personal=30d"]), by=OFFICER, clock=lambda: NOON_US)
    search = files(tmp_path)
    assert all(search(mark(subject)) for subject in SUBJECTS)

    run_retention(log, by=OFFICER, clock=lambda: NOON_US + 1_000 * 86_400_000_000)

    assert [subject for subject in SUBJECTS if search(mark(subject))] == []
    assert len(list(log.subjects())) == len(SUBJECTS)


def test_a_reader_in_the_way_is_said_and_finished_later(tmp_path: Path) -> None:
    """Somebody who holds an old state of the file keeps its bytes there: that is an error, and `finish` ends it."""
    import sqlite3

    store = open_store(f"sqlite:///{tmp_path}/log.db?busy_timeout=0.1")
    fill(store)
    reader = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM payloads").fetchone()
    search = files(tmp_path)

    with pytest.raises(StoreRefused, match="erase --finish"):
        erase(store, SUBJECTS[0])

    assert search(mark(SUBJECTS[0])) > 0
    reader.execute("COMMIT")
    reader.close()
    finish(store)
    assert search(mark(SUBJECTS[0])) == 0
    store.close()


@pytest.mark.parametrize("ring", [True, False], ids=["key ring", "plain"])
def test_postgresql(tmp_path: Path, postgres: str, ring: bool) -> None:
    """The same of the files of every table and index of the database."""
    leaves_no_bytes(postgres, f"file:{tmp_path}/ring" if ring else "", relations(postgres))


def leaves_no_bytes(url: str, keys: str, search: Search) -> None:
    """Fills a store, looks for a subject and its payloads, erases it, and looks again."""
    store = open_store(url, keys=keys)
    fill(store)
    subject, other = SUBJECTS[:2]
    assert search(subject.encode()) > 0
    assert (search(mark(subject)) > 0) != bool(keys)

    erase(store, subject)

    assert search(subject.encode()) == 0
    assert search(mark(subject)) == 0
    assert search(other.encode()) > 0
    assert check_store(store).verdict == "verified"
    store.close()


def relations(url: str) -> Search:
    """How often some bytes stand in the files of the database's own tables, indexes and long values."""
    from actum.testing.postgres import ask

    def search(wanted: bytes) -> int:
        rows = ask(
            url,
            "ANALYZE",
            "CHECKPOINT",
            "SELECT pg_read_binary_file(pg_relation_filepath(c.oid)) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE relkind IN ('r', 'i', 't') AND nspname IN ('public', 'pg_toast', 'pg_catalog') "
            "AND pg_relation_filepath(c.oid) IS NOT NULL AND pg_relation_size(c.oid) > 0",
        )
        return sum(bytes(data).count(wanted) for (data,) in rows if data is not None)

    return search


@pytest.mark.parametrize("ring", [True, False], ids=["key ring", "plain"])
def test_mysql(tmp_path: Path, mysql_server: MySQLServer, ring: bool) -> None:
    """The same of the files of every table. (What the server keeps for all of them together is out of reach.)"""
    name = f"log_{ring}"
    ask_mysql(mysql_server.url(), f"CREATE DATABASE {name}")
    url = mysql_server.url(name)
    leaves_no_bytes(url, f"file:{tmp_path}/ring" if ring else "", tables(url, mysql_server.files(name)))


def tables(url: str, folder: Path) -> Search:
    """How often some bytes stand in the files of a MySQL database, with all that was written to it in them."""

    def search(wanted: bytes) -> int:
        names = ", ".join(table.name for table in tables_for("mysql"))
        con = session(url)
        try:
            do(con, f"FLUSH TABLES {names} FOR EXPORT")
            return files(folder)(wanted)
        finally:
            close(con)

    return search


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    yield from endpoint_of()


@pytest.mark.usefixtures("aws")
def test_a_bucket_of_large_payloads(tmp_path: Path, endpoint: str) -> None:
    """Large payloads leave their bucket; those of others stay there."""
    place = BucketBlobs("s3://large/payloads/", endpoint=endpoint)
    place._s3.create_bucket(Bucket="large")
    store = SQLiteStore(f"sqlite:///{tmp_path}/log.db", vault=Vault(blobs=place))
    fill(store, (30_000,))

    def there() -> set[str]:
        objects = [place.get(name) or b"" for name, _ in place.names("default")]
        return {subject for subject in SUBJECTS if any(mark(subject) in data for data in objects)}

    assert there() == set(SUBJECTS)

    erase(store, SUBJECTS[0])

    assert there() == set(SUBJECTS[1:])
    assert files(tmp_path)(mark(SUBJECTS[0])) == 0
    assert check_store(store).verdict == "verified"
    store.close()
