"""Stores to import into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.eventstore import EventStore, open_store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/log.db"
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def memory() -> Iterator[EventStore]:
    opened = open_store("memory://")
    yield opened
    opened.close()
