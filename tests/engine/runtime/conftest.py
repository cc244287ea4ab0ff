"""A store of each kind that must be sound when the dust has settled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.eventstore import EventStore, open_store
from tests.engine.world import sound


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """A fresh store of each kind; whatever a test does, the log is sound when the dust has settled."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/log.db"}
    if request.param == "postgresql":
        urls["postgresql"] = f"{request.getfixturevalue('postgres')}?lease=0.5"
    store = open_store(urls[request.param])
    yield store
    sound(store)
    store.close()
