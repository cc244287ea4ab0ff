"""One fresh store of every kind in the registry; a new kind needs a line in `urls` and in `actum.testing.places`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

import pytest

from actum.errors import StoreRefused
from actum.eventstore import STORES, Appended, Batch, EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.testing.places import Place


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A SQLite store without events: making the schema takes longer than most tests."""
    path = tmp_path_factory.mktemp("blank") / "log.db"
    open_store(f"sqlite:///{path}").close()
    return path.read_bytes()


@pytest.fixture(scope="session")
def blank_duckdb(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same for DuckDB."""
    path = tmp_path_factory.mktemp("blank") / "log.duckdb"
    open_store(f"duckdb:///{path}").close()
    return path.read_bytes()


@pytest.fixture(params=sorted(STORES))
def place(request: pytest.FixtureRequest, tmp_path: Path, blank: bytes) -> Iterator[Place]:
    """A fresh place."""
    urls = {
        "duckdb": f"duckdb:///{tmp_path}/log.duckdb",
        "memory": "memory://",
        "sqlite": f"sqlite:///{tmp_path}/log.db",
    }
    if request.param == "duckdb":
        (tmp_path / "log.duckdb").write_bytes(request.getfixturevalue("blank_duckdb"))
    if request.param == "postgresql":
        urls["postgresql"] = request.getfixturevalue("postgres")
    if request.param == "mysql":
        urls["mysql"] = request.getfixturevalue("mysql")
    if request.param == "sqlite":
        (tmp_path / "log.db").write_bytes(blank)
    place = Place(request.param, urls[request.param])
    yield place
    place.close()


@pytest.fixture
def shared(place: Place) -> Place:
    """A place that holds the logs of many tenants."""
    if not place.can("shared"):
        pytest.skip(f"{place.scheme} keeps each tenant to itself")
    return place


@pytest.fixture
def store(place: Place) -> Iterator[EventStore]:
    """A fresh store; whatever a test does to it, it must verify when the dust has settled."""
    store = place.open()
    yield store
    try:
        found = check_store(store)
    except StoreRefused:
        return  # the test closed it
    assert found.verdict == "verified", found


@pytest.fixture
def reopen(place: Place) -> Callable[[EventStore], EventStore]:
    """Close a store and open it again, where stores survive that."""
    if not place.can("survives"):
        pytest.skip(f"{place.scheme} does not outlive the process")

    def again(store: EventStore) -> EventStore:
        store.close()
        return place.open(store.tenant)

    return again


@pytest.fixture
def collect(place: Place) -> Callable[[EventStore, Sequence[Batch]], list[Appended | Exception]]:
    """Give batches to `append_soon` so that they wait together, and return their answers in the order they came."""

    def all_at_once(store: EventStore, batches: Sequence[Batch]) -> list[Appended | Exception]:
        gate, answers, finished = Event(), list[Appended | Exception](), Event()

        def hold(_: object) -> None:
            gate.wait(30)

        def last(answer: Appended | Exception) -> None:
            answers.append(answer)
            finished.set()

        if place.can("groups"):  # hold the writer in the answer to something refused, while the batches gather
            store.append_soon([], hold)
        for batch in batches[:-1]:
            store.append_soon(batch, answers.append)
        store.append_soon(batches[-1], last)
        gate.set()
        assert finished.wait(30)
        return answers

    return all_at_once
