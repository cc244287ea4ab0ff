"""One book that the workers of a store share: every change is whole, in turn, and seen by all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.engine.resources.book import Ask, Book, Counted, Part
from actum.engine.resources.shelf import Shelf, shelf_of
from actum.errors import StoreError
from actum.eventstore import EventStore, open_store
from actum.testing import mysql, postgres

NOW_US = 1_800_000_000_000_000
ASK = Ask("e-1/train#0", "alpha", (1, -3), NOW_US, {"gpu": 2}, "down", {"workflow": "alpha"}, NOW_US + 1)


@pytest.fixture(params=["memory", "sqlite", "duckdb", "postgres", "mysql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    match request.param:
        case "memory":
            url = "memory://"
        case "postgres" | "mysql":
            url = request.getfixturevalue(request.param)
        case _:
            url = f"{request.param}:///{tmp_path}/a.db"
    opened = open_store(url)
    yield opened
    opened.close()


def beside(store: EventStore, shelf: Shelf) -> Shelf:
    """What another worker on the same store gets."""
    return shelf_of(store, lambda: NOW_US) if shelf.shared else shelf


def give(book: Book, now_us: int) -> int:
    book.parts["w-1"] = Part({ASK.id: ASK}, {"x": ASK._replace(id="x", granted_us=0)}, {"gpu": (3, NOW_US)})
    book.arrivals["openai"] = 2**70
    book.clocks["gpu"] = 7
    book.finish["gpu"] = {"alpha": 9}
    book.first["gpu"] = "x"
    book.breakers["down"] = Counted(2, [NOW_US], 1)
    return now_us


def test_what_one_changes_another_reads(store: EventStore) -> None:
    """All of it, value for value; and the time is about the same everywhere."""
    shelf = shelf_of(store, lambda: NOW_US)
    other = beside(store, shelf)
    wanted = Book()
    give(wanted, 0)
    assert other.read()[0] == Book()
    before = other.stamp()
    now_us = shelf.change(give)
    book, read_us = other.read()
    assert book == wanted
    assert 0 <= read_us - now_us < 60_000_000
    assert not shelf.shared or other.stamp() != before
    after = other.stamp()
    shelf.change(lambda book, now_us: None)
    assert other.stamp() == after, "what changes nothing is nothing new"
    for one in {id(shelf): shelf, id(other): other}.values():
        one.close()


def test_nothing_is_changed_by_what_raises(store: EventStore) -> None:
    """The error comes through, the book is as it was, and the next change goes on from there."""
    shelf = shelf_of(store, lambda: NOW_US)
    if not shelf.shared:
        return

    def fail(book: Book, now_us: int) -> None:
        book.clocks["gpu"] = 99
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shelf.change(fail)
    assert shelf.read()[0] == Book()
    shelf.change(give)
    assert shelf.read()[0].clocks == {"gpu": 7}
    shelf.close()


def test_changes_of_many_come_one_after_the_other(store: EventStore) -> None:
    """Four that count at the same time lose no count."""
    shelf = shelf_of(store, lambda: NOW_US)
    if not shelf.shared:
        return

    def count(book: Book, now_us: int) -> None:
        book.clocks["gpu"] = book.clocks.get("gpu", 0) + 1

    shelf.change(count)

    def many() -> None:
        mine = beside(store, shelf)
        for _ in range(10):
            mine.change(count)
        mine.close()

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shelf.read()[0].clocks == {"gpu": 41}
    shelf.close()


@pytest.mark.parametrize("server", ["postgres", "mysql"])
def test_a_database_that_does_not_answer_is_a_store_error(server: str, request: pytest.FixtureRequest) -> None:
    """What was asked for is asked again later; it is no bug of whoever asks."""
    url = request.getfixturevalue(server)
    ask = postgres.ask if server == "postgres" else mysql.ask
    store = open_store(url)
    shelf = shelf_of(store, lambda: NOW_US)
    shelf.change(give)
    ask(url, "ALTER TABLE resources RENAME TO away")
    try:
        for use in (lambda: shelf.change(give), shelf.read, shelf.stamp):
            with pytest.raises(StoreError, match="as it was"):
                use()
    finally:
        ask(url, "ALTER TABLE away RENAME TO resources")
    assert shelf.read()[0].clocks == {"gpu": 7}
    shelf.close()
    store.close()


def test_a_book_that_nobody_understands_is_empty() -> None:
    """Each worker writes what it holds again: a torn or newer book stops nobody."""
    assert Book.from_json(b"") == Book.from_json(b"{") == Book.from_json(b"[2,{}]") == Book()
    assert Book.from_json(b"[1,{}]") == Book.from_json(b'[1,{"w":[1]},{},{},{},{},{}]') == Book()
