"""A small filled store in the hands of a forger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.eventstore import open_store
from actum.eventstore.check_workers import Workers
from actum.testing.logs import fill
from actum.testing.tampering import Tampered


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("original") / "log.db"
    store = open_store(f"sqlite:///{path}")
    fill(store)
    store.close()
    return path.read_bytes()


@pytest.fixture(scope="session")
def pool() -> Iterator[Workers]:
    with Workers(2, stretch=4, least=8) as workers:
        yield workers


@pytest.fixture
def workers(pool: Workers) -> Workers:
    """Two processes, for which eight events are a long log and four are a stretch."""
    pool.stretch = 4
    return pool


@pytest.fixture(params=["one process", "several"])
def tampered(request: pytest.FixtureRequest, original: bytes, tmp_path: Path) -> Tampered:
    """The store in the hands of a forger; it is checked by one process, and by several."""
    path = tmp_path / "log.db"
    path.write_bytes(original)
    return Tampered(path, request.getfixturevalue("workers") if request.param == "several" else None)
