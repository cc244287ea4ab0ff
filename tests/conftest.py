"""What every test shares: where the real data is, and patience on busy machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from actum.testing.warm import Warm

pytest_plugins = ["actum.testing.pytest_plugin"]

settings.register_profile("actum", deadline=None, print_blob=True)
settings.load_profile("actum")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: a long one that begins last would leave the other processes idle."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real input; the test is skipped, loudly, where it is absent."""
    folder = Path(os.environ.get("ACTUM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "MANIFEST.json").exists():
        pytest.skip(f"REAL DATA ABSENT: no {folder}; set ACTUM_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """The command, for tests that run it often."""
    warm = Warm()
    yield warm
    warm.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL store for this session, which tests share and wipe.

    Without a server these tests are skipped, loudly; with `CI=true` that is a failure.
    """
    from actum.eventstore import open_store
    from actum.testing.postgres import SERVER, database, server_is_there

    problem = server_is_there()
    if problem:
        absent = f"POSTGRESQL ABSENT: {problem}; set ACTUM_TEST_POSTGRES to a server where databases can be made"
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    with database(SERVER) as url:
        open_store(url).close()
        yield url


@pytest.fixture
def postgres(postgres_url: str) -> str:
    """The URL of an empty PostgreSQL store."""
    from actum.testing.postgres import wipe

    wipe(postgres_url)
    return postgres_url


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """The URL of a MySQL store for this session, which tests share and wipe.

    Without a server these tests are skipped, loudly; with `CI=true` that is a failure.
    """
    from actum.eventstore import open_store
    from actum.testing.mysql import SERVER, database, server_is_there

    problem = server_is_there()
    if problem:
        absent = f"MYSQL ABSENT: {problem}; set ACTUM_TEST_MYSQL to a server where databases can be made"
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    with database(SERVER) as url:
        open_store(url).close()
        yield url


@pytest.fixture
def mysql(mysql_url: str) -> str:
    """The URL of an empty MySQL store."""
    from actum.testing.mysql import wipe

    wipe(mysql_url)
    return mysql_url
