"""A MySQL store that must verify when the dust has settled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actum.eventstore.check.store import check_store
from actum.eventstore.mysql.store import MySQLStore


@pytest.fixture
def store(mysql: str) -> Iterator[MySQLStore]:
    store = MySQLStore(mysql + "?busy_timeout=1")
    yield store
    assert check_store(store).verdict == "verified"
    store.close()
