"""A small filled store in the hands of a forger, and fresh logs of every kind that can be sealed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from actum.eventstore import open_store
from actum.eventstore.check.workers import Workers
from actum.testing.fresh import FreshLogs
from actum.testing.logs import fill
from actum.testing.mysql_server import MySQLServer, find_server
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


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Iterator[Callable[[int], str]]:
    """The n-th of several PostgreSQL stores of this session, wiped."""
    made: list[str] = []
    with ExitStack() as dropped:

        def empty(number: int) -> str:
            from actum.testing.postgres import SERVER, database, wipe

            request.getfixturevalue("postgres_url")  # skips, loudly, where no server is
            while len(made) <= number:
                made.append(dropped.enter_context(database(SERVER)))
                open_store(made[-1]).close()
            wipe(made[number])
            return made[number]

        yield empty


@pytest.fixture(scope="module")
def mysql_server() -> Iterator[MySQLServer]:
    """A MariaDB server of the module's own."""
    programs = find_server()
    if programs is None:
        absent = "MARIADB'S PROGRAMS ABSENT: install mariadb-server"
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    server = MySQLServer(programs)
    yield server
    server.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def logs(request: pytest.FixtureRequest, tmp_path: Path, databases: Callable[[int], str]) -> Iterator[FreshLogs]:
    """Fresh logs of each kind in turn."""
    logs = FreshLogs(request.param, tmp_path, databases)
    yield logs
    logs.close()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that only a server on this machine takes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
